//! What the keys of a file's metadata hold.

/// One value of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A byte.
    U8(u8),
    /// A signed byte.
    I8(i8),
    /// 16 bits.
    U16(u16),
    /// 16 bits, signed.
    I16(i16),
    /// 32 bits.
    U32(u32),
    /// 32 bits, signed.
    I32(i32),
    /// 64 bits.
    U64(u64),
    /// 64 bits, signed.
    I64(i64),
    /// Single precision.
    F32(f32),
    /// Double precision.
    F64(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    String(String),
    /// An array of texts.
    Texts(Texts),
    /// Any other array; all elements have the same type.
    Array(Vec<Value>),
}

/// Texts in order, all in one buffer: a vocabulary and its merges are four hundred thousand short ones, which would
/// take several times the room and most of the time of a load if each had its own memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    buffer: String,
    /// Where each text ends in `buffer`, ascending.
    ends: Vec<u32>,
}

impl Texts {
    /// No texts.
    pub const fn new() -> Texts {
        Texts {
            buffer: String::new(),
            ends: Vec::new(),
        }
    }

    /// Texts that lie in `bytes` one behind the other. What is not UTF-8 becomes U+FFFD, text by text.
    pub(super) fn from_bytes(bytes: Vec<u8>, ends: Vec<u32>) -> Texts {
        let bytes = match String::from_utf8(bytes) {
            Ok(buffer)
                if ends
                    .iter()
                    .all(|&end| buffer.is_char_boundary(end as usize)) =>
            {
                return Texts { buffer, ends };
            }
            Ok(buffer) => buffer.into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let mut start = 0;
        let texts = ends.iter().map(|&end| {
            let text = &bytes[start..end as usize];
            start = end as usize;
            String::from_utf8_lossy(text)
        });
        texts.collect()
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all texts together.
    pub fn total_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The text at `index`, if there are so many.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        Some(&self.buffer[start..end])
    }

    /// All texts in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = &self.buffer[start..end as usize];
            start = end as usize;
            text
        })
    }
}

/// Panics where the texts have more than 4 GiB together.
impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Texts {
        let mut all = Texts::new();
        for text in texts {
            all.buffer.push_str(text.as_ref());
            let end = u32::try_from(all.buffer.len()).expect("texts of less than 4 GiB");
            all.ends.push(end);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_order_and_ends() {
        let texts: Texts = ["a", "", "é", "bc"].into_iter().collect();
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["a", "", "é", "bc"]);
        assert_eq!((texts.len(), texts.total_bytes()), (4, 5));
        assert_eq!((texts.get(1), texts.get(3)), (Some(""), Some("bc")));
        assert_eq!(texts.get(4), None);
        assert!(Texts::new().is_empty() && Texts::new().iter().next().is_none());
    }

    #[test]
    fn what_is_not_utf8_is_replaced_in_its_text_only() {
        let split = |bytes: &[u8], ends: &[u32]| -> Vec<String> {
            let texts = Texts::from_bytes(bytes.to_vec(), ends.to_vec());
            texts.iter().map(str::to_owned).collect()
        };
        assert_eq!(split("aéb".as_bytes(), &[1, 3, 4]), ["a", "é", "b"]);
        assert_eq!(split(b"a\xFFb", &[1, 2, 3]), ["a", "\u{FFFD}", "b"]);
        // Together they are a character, apart they are none.
        assert_eq!(split("é".as_bytes(), &[1, 2]), ["\u{FFFD}", "\u{FFFD}"]);
    }
}
