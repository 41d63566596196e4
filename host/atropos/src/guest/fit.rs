//! Whether a component is of a world, and fits into what it is given.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::failure::GuestError;
use super::world::{Surface, World};
use crate::config::GuestLimits;

/// Makes a checked component ready: typechecks it against its world's bindings.
pub(super) type Prepare<Pre> = Arc<dyn Fn(&Component) -> Result<Pre, GuestError> + Send + Sync>;

/// How much memory a component begins with.
pub(super) fn memory_bytes(component: &Component) -> u64 {
    const PAGE_BYTES: u64 = 64 << 10;
    // Nothing is known of what imports core modules, which neither world lets it.
    let needs = component.resources_required();
    let pages = needs.and_then(|needs| needs.max_initial_memory_size);
    pages.unwrap_or_default().saturating_mul(PAGE_BYTES)
}

/// Refuses a component that would fail for want of memory before it does anything.
pub(super) fn fits(
    memory_bytes: u64,
    limits: GuestLimits,
    remedy: &'static str,
) -> Result<(), GuestError> {
    let (needed, given) = (memory_bytes, limits.memory_bytes);
    match needed > given {
        true => Err(GuestError::Memory {
            needed,
            given,
            remedy,
        }),
        false => Ok(()),
    }
}

/// Refuses a component that is not of `world`.
pub(super) fn require(
    engine: &Engine,
    component: &Component,
    world: World,
) -> Result<(), GuestError> {
    Surface::of(engine, component).require(world)
}
