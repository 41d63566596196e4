//! How many files the process may have open, connections among them.

/// What is kept for database, blobs and components, of as many as there may be.
const FILES: u64 = 1024;

/// Lets the process open as many files as it may, and says how many of so many connections it can
/// hold then. The usual soft limit of 1024 is there for programs that call `select()`, which this is
/// none of.
pub(super) fn enough_for(connections: u32) -> u32 {
    let open = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot tell how many files may be open");
        FILES
    });
    let held = held(connections, open);
    if held < connections {
        tracing::warn!(
            connections = held,
            "fewer connections than configured: no more than {open} files may be open"
        );
    }
    held
}

/// Leaves a part for files, however few there may be.
fn held(connections: u32, open: u64) -> u32 {
    let left = open - FILES.min(open / 4);
    u32::try_from(left).unwrap_or(u32::MAX).min(connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        for (open, connections) in [
            (256, 192),
            (1024, 768),
            (20_000, 16_384),
            (u64::MAX, 16_384),
        ] {
            assert_eq!(held(16_384, open), connections, "{open}");
        }
        assert_eq!(held(100, 20_000), 100);
    }
}
