//! Text within the contract's limits, which are in bytes.

/// Cuts `text` to at most `most` bytes, between characters.
pub fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn text_is_cut_between_characters() {
        for (text, most, left) in [
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("aé", 2, "a"),
            ("é", 1, ""),
            ("", 0, ""),
        ] {
            let mut text = text.to_owned();
            cut(&mut text, most);
            assert_eq!(text, left);
        }
    }
}
