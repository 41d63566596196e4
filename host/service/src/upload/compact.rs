//! Removing parts of a file in place, so that a decoder does not see them.

use std::ops::Range;

/// A file in memory, of which some parts are kept, in their order.
pub(super) struct Compact<'a> {
    file: &'a mut Vec<u8>,
    kept: usize,
}

impl<'a> Compact<'a> {
    pub(super) fn new(file: &'a mut Vec<u8>) -> Self {
        Self { file, kept: 0 }
    }

    /// The file from there on. Only what was kept has been moved, and that to the front: what follows
    /// the last part that was kept is as it was.
    pub(super) fn after(&self, place: usize) -> &[u8] {
        self.file.get(place..).unwrap_or_default()
    }

    /// Keeps a part that follows those kept before; its end may be beyond that of the file.
    pub(super) fn keep(&mut self, part: Range<usize>) {
        let part = part.start..part.end.min(self.file.len());
        if self.kept <= part.start && part.start <= part.end {
            let length = part.len();
            self.file.copy_within(part, self.kept);
            self.kept += length;
        }
    }
}

impl Drop for Compact<'_> {
    fn drop(&mut self) {
        self.file.truncate(self.kept);
    }
}
