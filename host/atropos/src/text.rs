//! Text that guests wrote, made harmless.
//!
//! Findings, messages and names come from components, and end in answers, logs, records and terminals.
//! A line break in one forges a log line, an escape sequence speaks to a terminal, a bidirectional mark
//! shows a sentence in another order than it has. The escape form says which character stood there.
//!
//! **Invariant:** escaped text has no harmful character, and to escape it again changes nothing: a
//! backslash is not escaped.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character breaks a line, speaks to a terminal, or changes how the characters around it are
/// shown: controls (C0, DEL, C1), separators of lines and paragraphs, bidirectional formatting, the byte
/// order mark and interlinear annotation.
pub fn is_harmful(character: char) -> bool {
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

/// Whether there is no harmful character in a text.
pub fn is_plain(text: &str) -> bool {
    is_printable_ascii(text.as_bytes()) || !text.contains(is_harmful)
}

/// The text with each harmful character in its escape form, such as `\n` or `\u{85}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    match is_plain(text) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(escaped(text, usize::MAX)),
    }
}

/// Escapes the text, and cuts it between characters to at most `limit` bytes.
pub fn escape_within(text: &mut String, limit: usize) {
    if !is_plain(text) {
        *text = escaped(text, limit);
    }
    text.truncate(text.floor_char_boundary(limit));
}

/// JSON text with each harmful character from DEL on in the escape form of JSON, such as `\u0085`: the
/// values are the same. In a string, JSON has no others; between values, line breaks may stand.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let harmful = |character| is_harmful(character) && character >= '\u{7f}';
    if !json.contains(harmful) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if harmful(character) {
            // Writing to a string does not fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Stops at the first character that reaches `enough` bytes.
fn escaped(text: &str, enough: usize) -> String {
    let mut escaped = String::with_capacity(text.len().min(enough) + 16);
    for character in text.chars() {
        if escaped.len() >= enough {
            break;
        }
        if is_harmful(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Looks at eight bytes at once and never branches on one: nearly all text is plain ASCII, and each
/// decision passes here.
fn is_printable_ascii(bytes: &[u8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    // Adding 1 sets the highest bit of DEL, and leaves it set in what is no ASCII: no byte of UTF-8 is
    // 0xff. Taking 0x20 sets it in what is below a space.
    let odd = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_add(EACH) | word.wrapping_sub(EACH * 0x20)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let mut seen = words.iter().fold(0, |seen, word| seen | odd(word));
    match bytes.last_chunk::<8>() {
        Some(last) => seen |= odd(last),
        None => {
            let mut word = [b' '; 8];
            for (place, byte) in word.iter_mut().zip(rest) {
                *place = *byte;
            }
            seen |= odd(&word);
        }
    }
    seen & (EACH * 0x80) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first and the last of each range, with the escape form, and the neighbours outside.
    const HARMFUL: [(char, &str); 24] = [
        ('\0', "\\u{0}"),
        ('\t', "\\t"),
        ('\n', "\\n"),
        ('\r', "\\r"),
        ('\u{1b}', "\\u{1b}"),
        ('\u{1f}', "\\u{1f}"),
        ('\u{7f}', "\\u{7f}"),
        ('\u{80}', "\\u{80}"),
        ('\u{85}', "\\u{85}"),
        ('\u{9b}', "\\u{9b}"),
        ('\u{9f}', "\\u{9f}"),
        ('\u{61c}', "\\u{61c}"),
        ('\u{200e}', "\\u{200e}"),
        ('\u{200f}', "\\u{200f}"),
        ('\u{2028}', "\\u{2028}"),
        ('\u{2029}', "\\u{2029}"),
        ('\u{202a}', "\\u{202a}"),
        ('\u{202e}', "\\u{202e}"),
        ('\u{2066}', "\\u{2066}"),
        ('\u{2069}', "\\u{2069}"),
        ('\u{feff}', "\\u{feff}"),
        ('\u{fff9}', "\\u{fff9}"),
        ('\u{fffa}', "\\u{fffa}"),
        ('\u{fffb}', "\\u{fffb}"),
    ];
    const PLAIN: [char; 24] = [
        ' ',
        '!',
        '~',
        '\\',
        '"',
        '\u{a0}',
        'é',
        '\u{61b}',
        '\u{61d}',
        '\u{200b}',
        '\u{200d}',
        '\u{2010}',
        '\u{2027}',
        '\u{202f}',
        '\u{2065}',
        '\u{206a}',
        '\u{fefe}',
        '\u{ff00}',
        '\u{fff8}',
        '\u{fffc}',
        '\u{fffd}',
        '日',
        '\u{1f600}',
        '\u{10ffff}',
    ];

    #[test]
    fn each_harmful_character_is_escaped_wherever_it_stands_and_no_other() {
        for length in 0..40 {
            let text = "x".repeat(length);
            for (harmful, escape_form) in HARMFUL {
                for place in [0, length / 2, length] {
                    let (before, after) = text.split_at(place);
                    let raw = format!("{before}{harmful}{after}");
                    assert_eq!(escape(&raw), format!("{before}{escape_form}{after}"));
                }
            }
            for plain in PLAIN {
                let plain = format!("{text}{plain}{text}");
                assert!(matches!(escape(&plain), Cow::Borrowed(same) if same == plain));
            }
        }
    }

    #[test]
    fn every_control_character_is_harmful() {
        let mut controls = (char::MIN..=char::MAX).filter(|character| character.is_control());
        assert!(controls.all(is_harmful));
    }

    #[test]
    fn escaped_text_is_cut_between_characters_at_its_limit_in_bytes() {
        for (raw, limit, cut) in [
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("aé", 2, "a"),
            ("é\n", 4, "é\\n"),
            ("é\n", 3, "é\\"),
            ("a\u{85}b", 4, "a\\u{"),
            ("a\u{85}日本", 9, "a\\u{85}"),
            ("\n\n", 0, ""),
        ] {
            let mut text = raw.to_owned();
            escape_within(&mut text, limit);
            assert_eq!(text, cut, "{raw:?} within {limit}");
        }
        let mut long = "\u{fff9}".repeat(1 << 20);
        escape_within(&mut long, 512);
        assert_eq!((long.len(), long.capacity() < 1024), (512, true));
    }

    #[test]
    fn escaped_json_says_the_same() {
        let all: String = HARMFUL.iter().map(|(harmful, _)| *harmful).collect();
        let value = serde_json::json!({ all.clone(): [all, PLAIN.iter().collect::<String>()] });
        let json = serde_json::to_string_pretty(&value).unwrap();
        let escaped = escape_json(&json);
        assert!(escaped.lines().all(is_plain), "{escaped}");
        let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
        assert_eq!(read, value);
        assert_eq!(escape_json("{\n\t\"a\": 1\r\n}"), "{\n\t\"a\": 1\r\n}");
    }

    proptest! {
        #[test]
        fn to_escape_again_changes_nothing(text in any::<String>(), limit in 0_usize..64) {
            let once = escape(&text).into_owned();
            prop_assert!(is_plain(&once));
            prop_assert_eq!(is_plain(&text), !text.chars().any(is_harmful));
            prop_assert_eq!(&escape(&once), &once);
            let mut within = text.clone();
            escape_within(&mut within, limit);
            let mut again = within.clone();
            escape_within(&mut again, limit);
            prop_assert!(once.starts_with(&within) && within.len() <= limit);
            prop_assert_eq!(again, within);
        }
    }
}
