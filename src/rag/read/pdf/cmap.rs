//! Tables from character codes to text, as fonts carry them to be searched and copied.

use lopdf::Object;
use lopdf::content::Content;

/// Entries of a table; the largest scripts have some ten thousand.
const MOST_ENTRIES: usize = 1 << 17;

/// From codes of one to four bytes to text.
#[derive(Default)]
pub(super) struct CMap {
    /// Which codes there are: how many bytes, the lowest and the highest.
    spaces: Vec<(usize, u32, u32)>,
    /// Ascending by first code.
    ranges: Vec<Entry>,
}

struct Entry {
    bytes: usize,
    first: u32,
    last: u32,
    /// In UTF-16, for the first code; further codes count its last unit up.
    text: Vec<u16>,
}

impl CMap {
    /// Reads what can be read. The format is PostScript, of which a table uses no more than the
    /// content of a page does.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut cmap = Self::default();
        for operation in Content::decode_iter(bytes).map_while(Result::ok) {
            let operands = &operation.operands;
            match operation.operator.as_str() {
                "endcodespacerange" => {
                    for pair in operands.chunks_exact(2) {
                        if let (Some((bytes, low)), Some((_, high))) =
                            (code(&pair[0]), code(&pair[1]))
                        {
                            cmap.spaces.push((bytes, low, high));
                        }
                    }
                }
                "endbfchar" => {
                    for pair in operands.chunks_exact(2) {
                        if let (Some((bytes, at)), Some(text)) = (code(&pair[0]), units(&pair[1])) {
                            cmap.add(bytes, at, at, text);
                        }
                    }
                }
                "endbfrange" => {
                    for triple in operands.chunks_exact(3) {
                        cmap.add_range(&triple[0], &triple[1], &triple[2]);
                    }
                }
                _ => {}
            }
        }
        cmap.ranges.sort_by_key(|entry| (entry.bytes, entry.first));
        cmap
    }

    fn add(&mut self, bytes: usize, first: u32, last: u32, text: Vec<u16>) {
        if self.ranges.len() < MOST_ENTRIES && first <= last {
            self.ranges.push(Entry {
                bytes,
                first,
                last,
                text,
            });
        }
    }

    fn add_range(&mut self, first: &Object, last: &Object, texts: &Object) {
        let (Some((bytes, first)), Some((_, last))) = (code(first), code(last)) else {
            return;
        };
        match texts {
            Object::Array(texts) => {
                for (at, text) in (first..=last).zip(texts) {
                    if let Some(text) = units(text) {
                        self.add(bytes, at, at, text);
                    }
                }
            }
            text => {
                if let Some(text) = units(text) {
                    self.add(bytes, first, last, text);
                }
            }
        }
    }

    /// How many bytes the next code has, if the table tells.
    pub(super) fn code_bytes(&self, text: &[u8]) -> Option<usize> {
        let fits = |(bytes, low, high): &&(usize, u32, u32)| {
            let Some(code) = text.get(..*bytes) else {
                return false;
            };
            // Each byte has bounds of its own.
            let bound = |of: u32, at: usize| (of >> (8 * (bytes - 1 - at))) as u8;
            (0..*bytes).all(|at| (bound(*low, at)..=bound(*high, at)).contains(&code[at]))
        };
        self.spaces.iter().find(fits).map(|(bytes, _, _)| *bytes)
    }

    pub(super) fn text(&self, bytes: usize, code: u32) -> Option<String> {
        let after = self
            .ranges
            .partition_point(|entry| (entry.bytes, entry.first) <= (bytes, code));
        let entry = &self.ranges[after.checked_sub(1)?];
        if entry.bytes != bytes || code > entry.last {
            return None;
        }
        let mut units = entry.text.clone();
        let last = units.last_mut()?;
        *last = last.wrapping_add((code - entry.first) as u16);
        Some(String::from_utf16_lossy(&units))
    }
}

/// A code and how many bytes it has.
fn code(object: &Object) -> Option<(usize, u32)> {
    let bytes = object.as_str().ok()?;
    let value = bytes
        .iter()
        .fold(0, |value, byte| value << 8 | u32::from(*byte));
    matches!(bytes.len(), 1..=4).then_some((bytes.len(), value))
}

fn units(object: &Object) -> Option<Vec<u16>> {
    let bytes = object.as_str().ok()?;
    let units: Vec<u16> = match bytes {
        [byte] => vec![u16::from(*byte)],
        bytes => bytes
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect(),
    };
    // Ligatures stand for a few letters, nothing for a page.
    matches!(units.len(), 1..=64).then_some(units)
}
