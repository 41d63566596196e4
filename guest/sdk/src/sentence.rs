//! Sentences with names and numbers in them, for a third of the fuel that `format!` takes.

use std::borrow::Cow;
use std::fmt;
use std::ops::{AddAssign, Deref};

use crate::text;

/// Puts together a [`Sentence`] of its parts: see [`Part`].
///
/// ```
/// # use atropos_sdk::sentence;
/// let (label, days) = ("tax", 30);
/// assert_eq!(sentence!["`", label, "` stays for ", days, " days"], "`tax` stays for 30 days");
/// ```
#[macro_export]
macro_rules! sentence {
    ($($part:expr),+ $(,)?) => {{
        let mut sentence = $crate::sentence::Sentence::new();
        $($crate::sentence::Part::append(&$part, &mut sentence);)+
        sentence
    }};
}

/// Most sentences fit.
const ROOM: usize = 96;

/// Text that is put together, and whether all of it is [plain](text::is_plain): each part is looked at
/// when it is added, which costs no fuel for literals and numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    text: String,
    plain: bool,
}

impl Sentence {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "made by the macro")]
    pub fn new() -> Self {
        Self {
            text: String::with_capacity(ROOM),
            plain: true,
        }
    }

    /// Adds text at the end.
    #[inline(always)]
    pub fn push_str(&mut self, text: &str) {
        self.plain &= text::is_plain(text);
        self.text.push_str(text);
    }
}

impl Deref for Sentence {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AddAssign<&Self> for Sentence {
    fn add_assign(&mut self, more: &Self) {
        self.plain = self.plain && more.plain;
        self.text.push_str(&more.text);
    }
}

impl AddAssign<&str> for Sentence {
    #[inline(always)]
    fn add_assign(&mut self, more: &str) {
        self.push_str(more);
    }
}

impl PartialEq<&str> for Sentence {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}

impl From<Sentence> for String {
    fn from(sentence: Sentence) -> Self {
        sentence.text
    }
}

/// Text, a whole number, or what an author makes of them.
pub trait Part {
    /// Adds it at the end.
    fn append(&self, sentence: &mut Sentence);
}

impl Part for str {
    #[inline(always)]
    fn append(&self, sentence: &mut Sentence) {
        sentence.push_str(self);
    }
}

impl Part for String {
    fn append(&self, sentence: &mut Sentence) {
        sentence.push_str(self);
    }
}

impl<T: Part + ?Sized> Part for &T {
    #[inline(always)]
    fn append(&self, sentence: &mut Sentence) {
        (*self).append(sentence);
    }
}

/// In decimal digits.
macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl Part for $number {
            fn append(&self, sentence: &mut Sentence) {
                sentence.text.push_str(itoa::Buffer::new().format(*self));
            }
        }
    )+};
}

numbers!(u32, u64, usize, i32, i64);

/// What the detail of a finding can be made of.
pub trait Detail {
    /// Whether it is [plain](text::is_plain).
    fn is_plain(&self) -> bool;

    /// Its text.
    fn into_text(self) -> String;
}

impl Detail for Sentence {
    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.plain
    }

    #[inline(always)]
    fn into_text(self) -> String {
        self.text
    }
}

/// Text that is looked at as a whole.
macro_rules! details {
    ($($text:ty),+) => {$(
        impl Detail for $text {
            #[inline(always)]
            fn is_plain(&self) -> bool {
                text::is_plain(self)
            }

            #[inline(always)]
            fn into_text(self) -> String {
                self.into()
            }
        }
    )+};
}

details!(&str, String, &String, Cow<'_, str>, Box<str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_what_its_parts_are_one_after_the_other() {
        let owned = "b".to_owned();
        let mut sentence = sentence!["a ", owned, 7_u32, u64::MAX, -1];
        sentence += &sentence![" c"];
        sentence += " d";
        assert_eq!(sentence, "a b718446744073709551615-1 c d");
        assert!(Detail::is_plain(&sentence));
    }

    #[test]
    fn a_sentence_with_one_part_that_is_not_plain_is_not_plain() {
        let bad = "x\ny".to_owned();
        let mut joined = sentence!["a"];
        joined += &sentence![bad];
        let mut longer = sentence!["a"];
        longer += "\u{202e}";
        for sentence in [
            sentence![bad, " a"],
            sentence!["a ", bad, 1_u32],
            joined,
            longer,
        ] {
            assert!(!Detail::is_plain(&sentence), "{sentence:?}");
        }
    }
}
