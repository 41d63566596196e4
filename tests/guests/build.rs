//! Compiles every guest in `examples/` to a component.

use std::fs;

fn main() -> anyhow::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir("examples")? {
        let path = entry?.path();
        names.extend(
            path.file_stem()
                .and_then(|stem| stem.to_str())
                .map(str::to_owned),
        );
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    atropos_guest_build::examples(&names)
}
