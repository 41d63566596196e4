//! Which part of a list is read.

/// Which rows of a longer list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// How many to skip.
    pub offset: u64,
    /// How many at most.
    pub limit: u32,
}
