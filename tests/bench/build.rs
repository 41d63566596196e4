//! Compiles the plugin for extism, which the benchmarks embed.

use atropos_guest_build::{Guest, modules};

fn main() -> anyhow::Result<()> {
    let plugin = Guest::new("atropos-bench-extism", "extism");
    modules(&[plugin], &["extism"])
}
