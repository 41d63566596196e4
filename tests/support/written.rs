//! Files that tests write and people review.

/// Holds a file of the repository against what it should say. `ATROPOS_BLESS=1` writes it anew.
pub(crate) fn assert_written(name: &str, text: &str) {
    let file = super::root().join(name);
    if std::env::var_os("ATROPOS_BLESS").is_some() {
        std::fs::write(&file, text).expect("a file");
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    let missing = |one: &str, other: &str, sign: char| {
        let lines = one.lines();
        let lines = lines.filter(|line| !other.lines().any(|known| known == *line));
        let lines: String = lines.map(|line| format!("{sign} {line}\n")).collect();
        lines
    };
    assert!(
        written == text,
        "{name} is not what was reviewed; if it is meant, ATROPOS_BLESS=1 writes it:\n{}{}",
        missing(&written, text, '-'),
        missing(text, &written, '+')
    );
}
