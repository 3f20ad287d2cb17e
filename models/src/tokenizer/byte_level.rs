//! The alphabet of byte-level BPE: each byte is one printable character, as in GPT-2's `encoder.py`.
//! Printable bytes of Latin-1 stand for themselves, the others for U+0100 and on, in order.

/// The character of each byte.
const CHARS: [char; 256] = chars();

const fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

const fn chars() -> [char; 256] {
    let mut chars = ['\0'; 256];
    let mut shifted = 0x100;
    let mut byte = 0;
    while byte < 256 {
        if stands_for_itself(byte as u8) {
            chars[byte] = byte as u8 as char;
        } else {
            chars[byte] = match char::from_u32(shifted) {
                Some(char) => char,
                None => unreachable!(),
            };
            shifted += 1;
        }
        byte += 1;
    }
    chars
}

/// The character of a byte.
pub(super) fn char(byte: u8) -> char {
    CHARS[byte as usize]
}

/// The byte of each character; `None` for one outside the alphabet.
fn byte(char: char) -> Option<u8> {
    const BYTES: [u8; 0x144] = {
        let mut bytes = [0; 0x144];
        let mut byte = 0;
        while byte < 256 {
            bytes[CHARS[byte] as usize] = byte as u8;
            byte += 1;
        }
        bytes
    };
    let byte = *BYTES.get(char as usize)?;
    (CHARS[byte as usize] == char).then_some(byte)
}

/// Writes a text's bytes as characters of the alphabet.
pub(super) fn encode(text: &str, out: &mut String) {
    out.extend(text.bytes().map(|byte| CHARS[byte as usize]));
}

/// Adds the bytes of a token. A character outside the alphabet, as in tokens added by hand, stands
/// for itself.
pub(super) fn decode(token: &str, piece: &mut Vec<u8>) {
    for char in token.chars() {
        match byte(char) {
            Some(byte) => piece.push(byte),
            None => piece.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_characters() {
        let mut text = String::new();
        encode("a b\n\u{ad}é", &mut text);
        assert_eq!(text, "aĠbĊÂŃÃ©");
    }

    #[test]
    fn every_byte_comes_back() {
        for value in 0..=255 {
            assert_eq!(byte(CHARS[value as usize]), Some(value));
        }
        assert_eq!(byte(' '), None);
        assert_eq!(byte('▁'), None);
        let mut piece = Vec::new();
        decode("Ġ€", &mut piece);
        assert_eq!(piece, " €".as_bytes());
    }
}
