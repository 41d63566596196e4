//! Computes without end when the host asks it for room to pass an answer in: the host is in the
//! middle of a call, and waits.

#![cfg(target_family = "wasm")]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, Ordering};

use atropos_sdk::Arena;
use atropos_sdk::plugin::{DocumentRequest, PhotoRequest, Plugin, Refusal};
use atropos_test_guests::{permitted, refusal};

static CALLING: AtomicBool = AtomicBool::new(false);

struct Spinning(Arena);

// SAFETY: what returns at all comes from the arena.
unsafe impl GlobalAlloc for Spinning {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        while CALLING.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { self.0.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Spinning = Spinning(Arena::new());

struct Guest;

impl Plugin for Guest {
    fn delete_photo(request: PhotoRequest) -> Result<(), Refusal> {
        let (photo, _) = permitted(&request)?;
        CALLING.store(true, Ordering::Relaxed);
        drop(photo.facts());
        Ok(())
    }

    fn delete_document(_: DocumentRequest) -> Result<(), Refusal> {
        Err(refusal("not-served"))
    }
}

atropos_sdk::bindings::deletion::export_plugin!(Guest);
