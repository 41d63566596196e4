//! A disk that takes longer to make something durable: what others have to live with, on any machine.
//!
//! `fsync` and `fdatasync` stand here in the place of libc's, for all that is linked into this program:
//! std as well as SQLite. As on a disk, a process has one barrier at a time.

use std::ffi::{c_int, c_long};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

static LONGER_MS: AtomicU64 = AtomicU64::new(0);

static UNDER_WAY: Mutex<()> = Mutex::new(());

/// From now on each barrier of this process takes so much longer.
pub(crate) fn lengthen(by_ms: u64) {
    LONGER_MS.store(by_ms, Ordering::Relaxed);
}

/// How much longer each takes than the disk asks for.
pub(crate) fn longer_ms() -> u64 {
    LONGER_MS.load(Ordering::Relaxed)
}

fn sync(how: c_long, file: c_int) -> c_int {
    // SAFETY: both calls take one number, and answer with an error for one that is no open file.
    let barrier = || match unsafe { libc::syscall(how, file) } {
        0 => 0,
        _ => -1,
    };
    let by_ms = longer_ms();
    if by_ms == 0 {
        return barrier();
    }
    let _one = UNDER_WAY.lock();
    let outcome = barrier();
    thread::sleep(Duration::from_millis(by_ms));
    outcome
}

// SAFETY: named, typed and behaving as libc's, whose place it takes.
#[unsafe(no_mangle)]
extern "C" fn fsync(file: c_int) -> c_int {
    sync(libc::SYS_fsync, file)
}

// SAFETY: named, typed and behaving as libc's, whose place it takes.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: c_int) -> c_int {
    sync(libc::SYS_fdatasync, file)
}
