//! Text as it is generated, token by token.

use super::Tokenizer;

/// Turns tokens into text as they come; bytes of a character that is not complete yet are held back.
#[derive(Clone, Debug, Default)]
pub struct DecodeStream {
    /// The start of a character; never more than three bytes between calls.
    pending: Vec<u8>,
}

impl DecodeStream {
    /// Adds a token; returns the text that is certain now, or `None` where there is none. Control
    /// tokens print nothing; bytes that can be no character become U+FFFD.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Option<String> {
        self.push_bytes(tokenizer.token_bytes(id))
    }

    /// As [`DecodeStream::push`], for bytes that come from elsewhere than a token.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Option<String> {
        self.pending.extend_from_slice(bytes);
        let complete = self.pending.len() - incomplete_tail(&self.pending);
        if complete == 0 {
            return None;
        }
        let tail = self.pending.split_off(complete);
        let text = std::mem::replace(&mut self.pending, tail);
        Some(lossy(text))
    }

    /// Ends the text; what is left is an incomplete character, and becomes U+FFFD.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| lossy(rest))
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// How many of the last bytes start a character that more bytes could complete.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(_) => return 0,
            Err(error) => match error.error_len() {
                None => return rest.len() - error.valid_up_to(),
                Some(bad) => rest = &rest[error.valid_up_to() + bad..],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_split() {
        let mut stream = DecodeStream::default();
        let emoji = "a🦀é".as_bytes();
        let parts: Vec<_> = emoji
            .iter()
            .map(|&byte| stream.push_bytes(&[byte]))
            .collect();
        let some = |text: &str| Some(text.to_owned());
        let want = [some("a"), None, None, None, some("🦀"), None, some("é")];
        assert_eq!(parts, want);
        assert_eq!(stream.finish(), None);
    }

    #[test]
    fn bad_bytes_are_replaced_and_do_not_stall() {
        let mut stream = DecodeStream::default();
        assert_eq!(stream.push_bytes(&[0xF0, 0x9F]), None);
        assert_eq!(stream.push_bytes(b"x"), Some("\u{FFFD}x".to_owned()));
        assert_eq!(stream.push_bytes(&[0x80]), Some("\u{FFFD}".to_owned()));
        assert_eq!(stream.push_bytes(&[b'y', 0xE2, 0x82]), Some("y".to_owned()));
        assert_eq!(stream.finish(), Some("\u{FFFD}".to_owned()));
        assert_eq!(stream.finish(), None);
    }

    proptest::proptest! {
        #[test]
        fn any_cut_gives_the_same_text(text: String, step in 1_usize..5) {
            let mut stream = DecodeStream::default();
            let mut got = String::new();
            for chunk in text.as_bytes().chunks(step) {
                got.extend(stream.push_bytes(chunk));
            }
            got.extend(stream.finish());
            proptest::prop_assert_eq!(got, text);
        }
    }
}
