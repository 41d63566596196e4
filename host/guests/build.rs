//! Compiles the default plugin and the policies that come with the host to components, which the host
//! embeds.

use atropos_guest_build::{Guest, packages};

fn main() -> anyhow::Result<()> {
    packages(&[
        Guest::new("atropos-standard", "standard"),
        Guest::new("atropos-policy-allow-all", "allow-all"),
        Guest::new("atropos-policy-retention", "retention"),
        Guest::new("atropos-policy-labels", "labels"),
        Guest::new("atropos-policy-change-freeze", "change-freeze"),
    ])
}
