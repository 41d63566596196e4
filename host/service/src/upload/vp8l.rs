//! How much room the tables of a lossless WebP take.
//!
//! A lossless picture may name 65,536 groups of five Huffman codes, whatever its size, and the decoder
//! makes tables of all of them before it comes to the first pixel: a file of 16 MB can ask for 8 GB. So
//! what comes before the pixels is read here first, as the decoder reads it, and nothing is kept of it.

/// What the decoder keeps for a code beside its tables.
const CODE_BYTES: u64 = 64;
/// An entry of the table that is indexed by the next bits, and how many of these there are.
const ENTRY_BYTES: u64 = 4;
const TABLE_BITS: usize = 10;
/// What is kept for a symbol whose code is longer.
const LONG_SYMBOL_BYTES: u64 = 32;

const LENGTHS: usize = 16;
const LENGTH_CODES: usize = 19;
const LENGTH_CODE_ORDER: [usize; LENGTH_CODES] = [
    17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// The symbols that stand for a colour; those that follow copy pixels or name a colour of the cache.
const COLOURS: u16 = 256;
const COPIES: u16 = 24;
const DISTANCES: u16 = 40;

/// How many bytes the tables take, or more than `enough` of them; `None` for what the decoder cannot
/// read either. `size` is that of a picture that does not say so itself, as an alpha channel.
pub(super) fn table_bytes(bytes: &[u8], size: Option<(u32, u32)>, enough: u64) -> Option<u64> {
    let mut bits = Bits { bytes, place: 0 };
    let (mut width, height) = match size {
        Some(size) => size,
        None => bits.header()?,
    };
    let mut seen = [false; 4];
    while bits.read(1)? == 1 {
        let transform = bits.read(2)?;
        if std::mem::replace(seen.get_mut(transform as usize)?, true) {
            return None;
        }
        match transform {
            0 | 1 => {
                let scale = bits.read(3)? + 2;
                bits.image(scaled(width, scale), scaled(height, scale))?;
            }
            2 => {}
            _ => {
                let colours = bits.read(8)? + 1;
                bits.image(colours, 1)?;
                width = scaled(
                    width,
                    match colours {
                        ..=2 => 3,
                        3..=4 => 2,
                        5..=16 => 1,
                        _ => 0,
                    },
                );
            }
        }
    }
    let cache = bits.cache()?;
    let mut groups = 1;
    if bits.read(1)? == 1 {
        let scale = bits.read(3)? + 2;
        groups += bits.image(scaled(width, scale), scaled(height, scale))?;
    }
    let mut taken = 0;
    for _ in 0..groups {
        for code in bits.group(cache)? {
            taken += code.table_bytes();
        }
        if taken > enough {
            break;
        }
    }
    Some(taken)
}

/// A side in blocks of `1 << scale` pixels.
fn scaled(side: u32, scale: u32) -> u32 {
    (side + (1 << scale) - 1) >> scale
}

/// The bits of a picture, the lowest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl Bits<'_> {
    /// The next bits as a number, 24 at most.
    fn read(&mut self, count: u32) -> Option<u32> {
        let end = self.place + count as usize;
        if end > self.bytes.len() * 8 {
            return None;
        }
        let mut word = [0; 4];
        let from = self.bytes.get(self.place / 8..)?;
        for (byte, from) in word.iter_mut().zip(from) {
            *byte = *from;
        }
        let value = u32::from_le_bytes(word) >> (self.place % 8);
        self.place = end;
        Some(value & ((1 << count) - 1))
    }

    /// Width and height.
    fn header(&mut self) -> Option<(u32, u32)> {
        if self.read(8)? != 0x2f {
            return None;
        }
        let size = (self.read(14)? + 1, self.read(14)? + 1);
        let _alpha = self.read(1)?;
        (self.read(3)? == 0).then_some(size)
    }

    /// How many colours the cache has.
    fn cache(&mut self) -> Option<u16> {
        if self.read(1)? == 0 {
            return Some(0);
        }
        let bits = self.read(4)?;
        (1..=11).contains(&bits).then_some(1 << bits)
    }

    /// The codes for green, copies and cache; red, blue, alpha, and distances.
    fn group(&mut self, cache: u16) -> Option<[Code; 5]> {
        Some([
            self.code(COLOURS + COPIES + cache)?,
            self.code(COLOURS)?,
            self.code(COLOURS)?,
            self.code(COLOURS)?,
            self.code(DISTANCES)?,
        ])
    }

    /// Goes through a small picture that belongs to another, and tells the largest number that red and
    /// green make in it.
    fn image(&mut self, width: u32, height: u32) -> Option<u32> {
        let pixels = u64::from(width) * u64::from(height);
        let cache = self.cache()?;
        let [green, red, blue, alpha, distance] = self.group(cache)?;
        let plain = [&green, &red, &blue, &alpha].map(Code::is_single) == [true; 4];
        let (mut largest, mut place) = (0, 0);
        while place < pixels {
            let symbol = green.read(self)?;
            if symbol < COLOURS {
                let value = (u32::from(red.read(self)?) << 8) | u32::from(symbol);
                blue.read(self)?;
                alpha.read(self)?;
                largest = largest.max(value);
                // Without a bit for each, all are this one.
                place += if plain { pixels } else { 1 };
            } else if symbol < COLOURS + COPIES {
                place += u64::from(self.copies(symbol - COLOURS)?);
                let symbol = distance.read(self)?;
                self.copies(symbol)?;
            } else {
                place += 1;
            }
        }
        Some(largest)
    }

    /// A length or a distance.
    fn copies(&mut self, symbol: u16) -> Option<u32> {
        if symbol < 4 {
            return Some(u32::from(symbol) + 1);
        }
        let extra = u32::from(symbol - 2) >> 1;
        let offset = (2 + u32::from(symbol & 1)) << extra;
        Some(offset + self.read(extra)? + 1)
    }

    fn code(&mut self, symbols: u16) -> Option<Code> {
        if self.read(1)? == 1 {
            let two = self.read(1)? == 1;
            let wide = self.read(1)?;
            let first = self.read(1 + 7 * wide)? as u16;
            if !two {
                return (first < symbols).then(|| Code::single(first));
            }
            let second = self.read(8)? as u16;
            return (first < symbols && second < symbols).then(|| Code::pair(first, second));
        }
        let mut lengths = [0; LENGTH_CODES];
        let count = 4 + self.read(4)? as usize;
        for place in LENGTH_CODE_ORDER.iter().take(count) {
            *lengths.get_mut(*place)? = self.read(3)? as u8;
        }
        let lengths = Code::new(&lengths)?;
        let mut left = u32::from(symbols);
        if self.read(1)? == 1 {
            let bits = 2 + 2 * self.read(3)?;
            left = 2 + self.read(bits)?;
            if left > u32::from(symbols) {
                return None;
            }
        }
        let symbols = usize::from(symbols);
        let mut found = Vec::with_capacity(symbols);
        let mut before = 8;
        while found.len() < symbols && left > 0 {
            left -= 1;
            let length = lengths.read(self)?;
            let (length, times) = match length {
                0..16 => (length as u8, 1),
                16 => (before, 3 + self.read(2)?),
                17 => (0, 3 + self.read(3)?),
                _ => (0, 11 + self.read(7)?),
            };
            if length != 0 {
                before = length;
            }
            let end = found.len() + times as usize;
            if end > symbols {
                return None;
            }
            found.resize(end, length);
        }
        Code::new(&found)
    }
}

/// A canonical Huffman code.
struct Code {
    /// How many symbols have a code of each length.
    counts: [u16; LENGTHS],
    /// The symbols, by the length of their codes.
    symbols: Vec<u16>,
}

impl Code {
    /// Of the lengths of the symbols' codes; 0 for a symbol that has none.
    fn new(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0; LENGTHS];
        let mut symbols: Vec<u16> = Vec::new();
        for (symbol, length) in lengths.iter().enumerate() {
            if *length > 0 {
                *counts.get_mut(usize::from(*length))? += 1;
                symbols.push(symbol as u16);
            }
        }
        if let [symbol] = *symbols {
            return Some(Self::single(symbol));
        }
        // Each code is used, and none twice.
        let shares = counts.iter().enumerate().skip(1);
        let used: u32 = shares
            .map(|(bits, count)| u32::from(*count) << (15 - bits))
            .sum();
        if used != 1 << 15 {
            return None;
        }
        symbols.sort_by_key(|symbol| lengths.get(usize::from(*symbol)).copied());
        Some(Self { counts, symbols })
    }

    /// The only symbol; no bit is read for it.
    fn single(symbol: u16) -> Self {
        Self {
            counts: [0; LENGTHS],
            symbols: vec![symbol],
        }
    }

    fn pair(first: u16, second: u16) -> Self {
        let mut counts = [0; LENGTHS];
        counts[1] = 2;
        Self {
            counts,
            symbols: vec![first, second],
        }
    }

    fn is_single(&self) -> bool {
        self.symbols.len() == 1
    }

    fn table_bytes(&self) -> u64 {
        if self.is_single() {
            return CODE_BYTES;
        }
        let longest = self.counts.iter().rposition(|count| *count > 0);
        let bits = longest.unwrap_or_default().min(TABLE_BITS);
        let long = self.counts.iter().skip(TABLE_BITS + 1);
        let long: u64 = long.map(|count| u64::from(*count)).sum();
        CODE_BYTES + (ENTRY_BYTES << bits) + LONG_SYMBOL_BYTES * long
    }

    fn read(&self, bits: &mut Bits<'_>) -> Option<u16> {
        if let [symbol] = *self.symbols {
            return Some(symbol);
        }
        let (mut code, mut first, mut before) = (0, 0, 0);
        for count in self.counts.iter().skip(1) {
            let count = u32::from(*count);
            code |= bits.read(1)?;
            if code < first + count {
                return self.symbols.get((before + code - first) as usize).copied();
            }
            before += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes bits, the lowest of each byte first.
    #[derive(Default)]
    struct Writer {
        bytes: Vec<u8>,
        place: usize,
    }

    impl Writer {
        fn write(&mut self, value: u64, count: usize) {
            for bit in 0..count {
                if self.place.is_multiple_of(8) {
                    self.bytes.push(0);
                }
                let bit = ((value >> bit) & 1) as u8;
                *self.bytes.last_mut().unwrap() |= bit << (self.place % 8);
                self.place += 1;
            }
        }

        fn single(&mut self, symbol: u64) {
            self.write(0b101, 3);
            self.write(symbol, 8);
        }

        /// A code of 256 symbols with eight bits each.
        fn full(&mut self) {
            self.write(0, 1);
            // Up to the length 8; this and "as before" have one bit each.
            self.write(12 - 4, 4);
            for place in LENGTH_CODE_ORDER.iter().take(12) {
                self.write(u64::from(matches!(place, 8 | 16)), 3);
            }
            // 44 lengths are given, for the first 256 symbols.
            self.write(1, 1);
            self.write(2, 3);
            self.write(44 - 2, 6);
            self.write(0, 1);
            for _ in 0..42 {
                self.write(0b111, 3);
            }
            self.write(0b001, 3);
        }
    }

    /// One pixel that names 65,536 groups of codes, of which so many follow.
    pub(in crate::upload) fn one_pixel(groups: usize) -> Vec<u8> {
        let mut bits = Writer::default();
        bits.write(0x2f, 8);
        // A side less one, twice; no alpha; version 0; no transform, no cache.
        bits.write(0, 14 + 14 + 1 + 3 + 1 + 1);
        // Groups, in blocks of four pixels; their picture has no cache.
        bits.write(1, 1 + 3 + 1);
        for symbol in [0xff, 0xff, 0, 0, 0] {
            bits.single(symbol);
        }
        for _ in 0..groups {
            for _ in 0..4 {
                bits.full();
            }
            bits.single(0);
        }
        bits.bytes
    }

    #[test]
    fn the_tables_of_all_groups_count_and_not_only_those_of_a_pixel() {
        let group = 4 * (64 + 4 * 256) + 64;
        let enough = 10 * group;
        assert_eq!(table_bytes(&one_pixel(20), None, enough), Some(11 * group));
        assert_eq!(table_bytes(&one_pixel(9), None, enough), None, "cut off");
    }

    #[test]
    fn a_code_that_is_not_complete_is_none() {
        assert!(Code::new(&[1, 2, 2]).is_some());
        assert!(Code::new(&[1, 2]).is_none(), "a code is left over");
        assert!(Code::new(&[1, 1, 1]).is_none(), "too many");
        assert!(Code::new(&[0; 9]).is_none());
        assert!(Code::new(&[0, 5]).is_some_and(|code| code.is_single()));
    }
}
