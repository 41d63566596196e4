//! Asks for 32 MB before it is called.
#![cfg(target_family = "wasm")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU8, Ordering};

use atropos_sdk::{Judgement, Request};
use atropos_test_guests::allowed;

static ROOM: [AtomicU8; 32 << 20] = [const { AtomicU8::new(0) }; 32 << 20];

fn review(request: Request) -> Judgement {
    let place = black_box(request.object.id.len());
    ROOM[place].fetch_add(1, Ordering::Relaxed);
    allowed()
}

atropos_test_guests::policy!("greedy-start", review);
