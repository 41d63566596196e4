//! How many files the process may have open, connections among them.

use atropos_service::config::Http;

/// What is kept for database, components and logs, of as many as there may be.
const FILES: u64 = 1024;

/// Lets the process open as many files as it may, and counts connections, and the files behind them,
/// against that. The usual soft limit of 1024 is there for programs that call `select()`, which this is
/// none of.
pub(super) fn share(http: &mut Http) {
    let open = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot tell how many files may be open");
        FILES
    });
    let (descriptors, connections) = shared(open);
    http.descriptors = Some(descriptors);
    if connections < http.max_connections {
        http.max_connections = connections;
        tracing::warn!(
            connections,
            "fewer connections than configured: no more than {open} files may be open"
        );
    }
}

/// How many descriptors connections and the files behind them have together, and how many of these
/// connections have at most: each quarter is left for what they do not have.
fn shared(open: u64) -> (u32, u32) {
    let descriptors = open - FILES.min(open / 4);
    // More than that are as good as no limit.
    let descriptors = u32::try_from(descriptors).unwrap_or(u32::MAX).min(1 << 28);
    (descriptors, descriptors - descriptors / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_left_for_the_files_of_connections_and_another_for_all_others() {
        for (open, expected) in [
            (256, (192, 144)),
            (1024, (768, 576)),
            (20_000, (18_976, 14_232)),
            (1_048_576, (1_047_552, 785_664)),
            (u64::MAX, (1 << 28, 3 << 26)),
        ] {
            assert_eq!(shared(open), expected, "{open}");
        }
    }
}
