//! The allocator of a guest: it hands out memory upwards and takes back only the newest block.
//!
//! An instance serves one call and is dropped, so that freeing is wasted work. What a general
//! allocator costs instead is `memory.grow`, which it asks for at its first allocation: more than the
//! rest of the call. This one uses what is left of the pages that the memory starts with, and grows
//! only when that is used up.

use std::alloc::Layout;

/// The arithmetic, on addresses alone.
#[derive(Debug)]
struct Bump {
    /// The first free address.
    next: usize,
    /// The address after the last one there is.
    end: usize,
}

impl Bump {
    /// The address of a new block, or `None` when there is no more memory. `extend` is given how many
    /// bytes are missing at least, and answers with the new end.
    fn reserve(
        &mut self,
        layout: Layout,
        extend: impl FnOnce(usize) -> Option<usize>,
    ) -> Option<usize> {
        let start = self.next.checked_next_multiple_of(layout.align())?;
        self.advance(start.checked_add(layout.size())?, extend)?;
        Some(start)
    }

    /// Changes the size of a block where it stands. `None` when it cannot: another block follows, or
    /// there is no more memory. Then nothing has changed.
    fn resize(
        &mut self,
        start: usize,
        layout: Layout,
        size: usize,
        extend: impl FnOnce(usize) -> Option<usize>,
    ) -> Option<()> {
        if self.is_newest(start, layout) {
            self.advance(start.checked_add(size)?, extend)
        } else {
            (size <= layout.size()).then_some(())
        }
    }

    /// Takes a block back if it is the newest.
    fn release(&mut self, start: usize, layout: Layout) {
        if self.is_newest(start, layout) {
            self.next = start;
        }
    }

    fn is_newest(&self, start: usize, layout: Layout) -> bool {
        start + layout.size() == self.next
    }

    fn advance(&mut self, next: usize, extend: impl FnOnce(usize) -> Option<usize>) -> Option<()> {
        if next > self.end {
            self.end = extend(next - self.end)?;
        }
        self.next = next;
        Some(())
    }
}

#[cfg(target_family = "wasm")]
pub use self::wasm::Arena;

#[cfg(target_family = "wasm")]
mod wasm {
    use std::alloc::{GlobalAlloc, Layout};
    use std::arch::wasm32::{memory_grow, memory_size};
    use std::cell::UnsafeCell;
    use std::ptr;

    use super::Bump;

    const PAGE: usize = 65_536;

    unsafe extern "C" {
        /// Set by the linker: its address is the first one after the stack and the static data.
        static __heap_base: u8;
    }

    /// The global allocator that [`policy!`](crate::policy!) and [`plugin!`](crate::plugin!)
    /// install. One instance at most: it takes all memory after the static data for itself.
    #[derive(Debug)]
    pub struct Arena(UnsafeCell<Option<Bump>>);

    // SAFETY: the target has no threads.
    unsafe impl Sync for Arena {}

    impl Arena {
        /// An arena that looks for its memory when it is first asked.
        #[expect(clippy::new_without_default, reason = "a static needs a const fn")]
        pub const fn new() -> Self {
            Self(UnsafeCell::new(None))
        }

        fn with<T>(&self, work: impl FnOnce(&mut Bump) -> T) -> T {
            // SAFETY: there are no threads, and `work` is arithmetic that does not allocate, so that
            // no second reference comes to be.
            let bump = unsafe { &mut *self.0.get() };
            work(bump.get_or_insert_with(|| Bump {
                next: (&raw const __heap_base).addr(),
                end: memory_size::<0>() * PAGE,
            }))
        }
    }

    /// Grows the memory by whole pages, and by no more than needed: asking beyond the instance's
    /// limit counts as a fault.
    fn extend(missing: usize) -> Option<usize> {
        let pages = memory_grow::<0>(missing.div_ceil(PAGE));
        (pages != usize::MAX).then(|| memory_size::<0>() * PAGE)
    }

    /// The provenance of all blocks: memory that the linker and `memory.grow` give to nobody else.
    fn pointer(address: usize) -> *mut u8 {
        ptr::with_exposed_provenance_mut(address)
    }

    // SAFETY: blocks are aligned, lie within the memory and do not overlap: each begins at or after
    // the end of every block in use, and a block is moved or taken back only as the newest.
    unsafe impl GlobalAlloc for Arena {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.with(|bump| bump.reserve(layout, extend))
                .map_or(ptr::null_mut(), pointer)
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            self.with(|bump| bump.release(block.addr(), layout));
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            if self
                .with(|bump| bump.resize(block.addr(), layout, size, extend))
                .is_some()
            {
                return block;
            }
            // SAFETY: the caller vouches that `size` rounded up to the alignment fits an `isize`.
            let moved =
                unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
            if !moved.is_null() {
                // SAFETY: both blocks hold at least this many bytes, and the new one overlaps none.
                unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// A kibibyte from address 1000 on, which can grow to 4 KiB.
    fn arena() -> Bump {
        Bump {
            next: 1000,
            end: 2024,
        }
    }

    fn extend(missing: usize) -> Option<usize> {
        let end = 2024 + missing.next_multiple_of(1024);
        (end <= 1000 + 4096).then_some(end)
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let mut arena = arena();
        assert_eq!(arena.reserve(layout(3, 1), extend), Some(1000));
        assert_eq!(arena.reserve(layout(8, 8), extend), Some(1008));
        assert_eq!(arena.reserve(layout(1, 1), extend), Some(1016));
        assert_eq!(arena.end, 2024, "it grew without need");
    }

    #[test]
    fn only_the_newest_block_is_taken_back() {
        let mut arena = arena();
        let old = arena.reserve(layout(16, 1), extend).unwrap();
        let new = arena.reserve(layout(16, 1), extend).unwrap();
        arena.release(old, layout(16, 1));
        assert_eq!(arena.next, 1032);
        arena.release(new, layout(16, 1));
        assert_eq!(arena.next, 1016);
    }

    #[test]
    fn the_newest_block_grows_and_shrinks_in_place() {
        let mut arena = arena();
        let start = arena.reserve(layout(16, 1), extend).unwrap();
        assert!(arena.resize(start, layout(16, 1), 3000, extend).is_some());
        assert_eq!(arena.next, start + 3000);
        assert!(arena.resize(start, layout(3000, 1), 10, extend).is_some());
        assert_eq!(arena.next, start + 10);
    }

    #[test]
    fn an_older_block_shrinks_in_place_but_does_not_grow() {
        let mut arena = arena();
        let old = arena.reserve(layout(16, 1), extend).unwrap();
        arena.reserve(layout(16, 1), extend).unwrap();
        assert!(arena.resize(old, layout(16, 1), 17, extend).is_none());
        assert!(arena.resize(old, layout(16, 1), 8, extend).is_some());
        assert_eq!(arena.next, 1032);
    }

    #[test]
    fn it_grows_when_it_is_used_up() {
        let mut arena = arena();
        assert_eq!(arena.reserve(layout(2000, 8), extend), Some(1000));
        assert_eq!(arena.end, 3048);
    }

    #[test]
    fn without_memory_nothing_changes() {
        let mut arena = arena();
        let start = arena.reserve(layout(8, 8), extend).unwrap();
        for size in [5000, isize::MAX as usize - 8] {
            assert_eq!(arena.reserve(layout(size, 8), extend), None);
            assert_eq!(arena.resize(start, layout(8, 8), size, extend), None);
            assert_eq!((arena.next, arena.end), (1008, 2024));
        }
    }
}
