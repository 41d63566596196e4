//! Text as the contract asks for it: plain, and within limits, which are in bytes.

/// Cuts `text` to at most `most` bytes, between characters.
pub fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
}

/// Whether `text` is one line that shows what it says: without control characters, separators of lines
/// and paragraphs, bidirectional formatting, the byte order mark and interlinear annotation. The host
/// escapes those.
#[inline(always)]
pub fn is_plain(text: &str) -> bool {
    is_printable_ascii(text.as_bytes()) || position(text).is_none()
}

/// The first character that is not plain, and its place in `text`, counted in characters from 1.
pub(crate) fn position(text: &str) -> Option<(usize, char)> {
    let mut characters = (1..).zip(text.chars());
    characters.find(|(_, character)| is_harmful(*character))
}

/// `text` with each harmful character in its escape form, such as `\n` or `\u{85}`, cut at `most` bytes.
pub(crate) fn escape(text: &str, most: usize) -> String {
    let mut escaped = String::new();
    for character in text.chars().take(most) {
        if is_harmful(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    cut(&mut escaped, most);
    escaped
}

fn is_harmful(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

/// Eight bytes at once, which saves fuel: nearly all text is plain ASCII. Inlined, so that a literal costs
/// none.
#[inline(always)]
fn is_printable_ascii(bytes: &[u8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    // Adding 1 sets the highest bit of DEL, and leaves it set in what is no ASCII: no byte of UTF-8 is
    // 0xff. Taking 0x20 sets it in what is below a space.
    let odd = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_add(EACH) | word.wrapping_sub(EACH * 0x20)
    };
    let mut seen = 0;
    let mut rest = bytes;
    while rest.len() > 8
        && let Some((word, more)) = rest.split_first_chunk::<8>()
    {
        seen |= odd(word);
        rest = more;
    }
    // The last eight bytes, four of them twice or not at all if there are fewer.
    seen |= match (
        bytes.last_chunk::<8>(),
        bytes.first_chunk::<4>(),
        bytes.last_chunk::<4>(),
    ) {
        (Some(last), ..) => odd(last),
        (None, Some([a, b, c, d]), Some([e, f, g, h])) => odd(&[*a, *b, *c, *d, *e, *f, *g, *h]),
        _ => {
            let plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
            u64::from(!plain) << 7
        }
    };
    seen & (EACH * 0x80) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn one_harmful_character_anywhere_makes_a_text_not_plain() {
        let harmful = [
            '\0', '\t', '\n', '\r', '\u{1b}', '\u{1f}', '\u{7f}', '\u{80}', '\u{85}', '\u{9f}',
            '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}',
            '\u{2066}', '\u{2069}', '\u{feff}', '\u{fff9}', '\u{fffb}',
        ];
        let plain = [
            ' ',
            '~',
            '\\',
            '\u{a0}',
            'é',
            '\u{200d}',
            '\u{2027}',
            '\u{202f}',
            '\u{2065}',
            '\u{206a}',
            '\u{fff8}',
            '\u{fffc}',
            '日',
            '\u{1f600}',
        ];
        for length in 0..40 {
            for place in 0..=length {
                let with = |character: char| {
                    let (before, after) = ("é".repeat(place), "x".repeat(length - place));
                    format!("{before}{character}{after}")
                };
                for character in harmful {
                    let text = with(character);
                    assert!(!is_plain(&text), "{text:?}");
                    assert_eq!(position(&text), Some((place + 1, character)));
                    assert!(is_plain(&escape(&text, 512)), "{text:?}");
                }
                for character in plain {
                    let text = with(character);
                    assert!(is_plain(&text), "{text:?}");
                    assert_eq!(escape(&text, 512), text);
                }
            }
            let ascii = "x".repeat(length);
            assert!(is_plain(&ascii));
            for place in 0..length {
                for character in ['\n', '\u{1f}', '\u{7f}'] {
                    let mut text = ascii.clone();
                    text.replace_range(place..=place, &character.to_string());
                    assert!(!is_plain(&text), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn escaped_text_is_cut_at_its_limit() {
        for (text, most, escaped) in [
            ("year\nend", 512, "year\\nend"),
            ("year\nend", 6, "year\\n"),
            ("é\u{85}", 5, "é\\u{"),
            ("a\u{202e}", 0, ""),
        ] {
            assert_eq!(escape(text, most), escaped);
        }
    }
}
