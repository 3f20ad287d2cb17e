//! Bytes to text, whatever their encoding.

use std::borrow::Cow;
use std::sync::LazyLock;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};
use regex::bytes::Regex;

use super::ReadError;

/// Text by its byte order mark, as UTF-8, or in the encoding that its letters suggest.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, ReadError> {
    decode(bytes, None)
}

/// The same, but what the page declares about itself comes before a guess.
pub(super) fn html(bytes: &[u8]) -> Result<Cow<'_, str>, ReadError> {
    static DECLARED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?i)<meta[^>]{0,200}charset\s*=\s*["']?([a-z0-9_:-]+)"#)
            .expect("the pattern is fixed")
    });
    let start = &bytes[..bytes.len().min(1024)];
    let declared = DECLARED.captures(start).and_then(|found| found.get(1));
    decode(
        bytes,
        declared.and_then(|label| Encoding::for_label(label.as_bytes())),
    )
}

fn decode<'a>(
    bytes: &'a [u8],
    declared: Option<&'static Encoding>,
) -> Result<Cow<'a, str>, ReadError> {
    let text = if let Some((encoding, mark_bytes)) = Encoding::for_bom(bytes) {
        encoding.decode_without_bom_handling(&bytes[mark_bytes..]).0
    } else if bytes.contains(&0) {
        // No encoding of text without a mark has bytes of zero.
        return Err(ReadError::NotText);
    } else if let Ok(text) = str::from_utf8(bytes) {
        Cow::Borrowed(text)
    } else {
        // A page that says UTF-8 and is not is mostly UTF-8 all the same.
        let encoding = declared.unwrap_or_else(|| guess(bytes));
        encoding.decode_without_bom_handling(bytes).0
    };
    let strange = text.chars().filter(|c| is_strange(*c)).count();
    if strange * 20 > text.chars().count() {
        return Err(ReadError::NotText);
    }
    Ok(text)
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    match detector.guess(None, Utf8Detection::Allow) {
        encoding if encoding == UTF_8 => encoding_rs::WINDOWS_1252,
        encoding => encoding,
    }
}

/// Characters that text does not hold: replaced bytes and controls.
fn is_strange(c: char) -> bool {
    c == char::REPLACEMENT_CHARACTER || (c.is_control() && !c.is_whitespace())
}
