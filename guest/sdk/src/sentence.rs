//! Sentences with names and numbers in them, for a third of the fuel that `format!` takes.

/// Puts together a sentence of its parts: see [`Part`].
///
/// ```
/// # use atropos_sdk::sentence;
/// let (label, days) = ("tax", 30);
/// assert_eq!(sentence!["`", label, "` stays for ", days, " days"], "`tax` stays for 30 days");
/// ```
#[macro_export]
macro_rules! sentence {
    ($($part:expr),+ $(,)?) => {{
        let mut sentence = ::std::string::String::with_capacity($crate::sentence::ROOM);
        $($crate::sentence::Part::append(&$part, &mut sentence);)+
        sentence
    }};
}

/// Most sentences fit.
#[doc(hidden)]
pub const ROOM: usize = 96;

/// Text, a whole number, or what an author makes of them.
pub trait Part {
    /// Adds it at the end.
    fn append(&self, sentence: &mut String);
}

impl Part for str {
    fn append(&self, sentence: &mut String) {
        sentence.push_str(self);
    }
}

impl Part for String {
    fn append(&self, sentence: &mut String) {
        sentence.push_str(self);
    }
}

impl<T: Part + ?Sized> Part for &T {
    fn append(&self, sentence: &mut String) {
        (*self).append(sentence);
    }
}

/// In decimal digits.
macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl Part for $number {
            fn append(&self, sentence: &mut String) {
                sentence.push_str(itoa::Buffer::new().format(*self));
            }
        }
    )+};
}

numbers!(u32, u64, usize, i32, i64);

#[cfg(test)]
mod tests {
    #[test]
    fn a_sentence_is_what_its_parts_are_one_after_the_other() {
        let owned = "b".to_owned();
        assert_eq!(
            sentence!["a ", owned, 7_u32, u64::MAX, -1],
            "a b718446744073709551615-1"
        );
    }
}
