//! Tags with very many attributes: html5ever compares each attribute of a tag with all before it, which takes hours
//! for a tag of some megabytes.
//!
//! Goes the tokenizer's way through a page as far as it takes to tell what is a tag and what an attribute: comments,
//! quoted values and raw text may hold anything. Takes linear time.

use memchr::{memchr, memmem};

/// Attributes of one tag; people and programs write far fewer.
const MOST_ATTRIBUTES: usize = 1000;

/// Where in a tag a byte stands.
#[derive(Clone, Copy)]
enum Place {
    Name,
    Between,
    Attribute,
    AfterAttribute,
    BeforeValue,
    Value,
    /// In a value that ends with this quote.
    Quoted(u8),
}

/// Whether a tag of the page has more than [`MOST_ATTRIBUTES`].
pub(super) fn are_crowded(page: &str) -> bool {
    let page = page.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr(b'<', &page[at..]) {
        at += found + 1;
        at += match &page[at..] {
            [b'!', b'-', b'-', comment @ ..] => 3 + comment_bytes(comment),
            [b'/', letter, ..] if letter.is_ascii_alphabetic() => {
                let (bytes, attributes) = tag(&page[at + 1..]);
                if attributes > MOST_ATTRIBUTES {
                    return true;
                }
                1 + bytes
            }
            [letter, ..] if letter.is_ascii_alphabetic() => {
                let (bytes, attributes) = tag(&page[at..]);
                if attributes > MOST_ATTRIBUTES {
                    return true;
                }
                bytes + raw_bytes(&page[at + bytes..], name(&page[at..]))
            }
            // Declarations, and what is taken for a comment.
            rest @ [b'!' | b'?' | b'/', ..] => memchr(b'>', rest).map_or(rest.len(), |end| end + 1),
            _ => 0,
        };
    }
    false
}

/// The bytes of a tag from its name to its `>`, and its attributes.
fn tag(text: &[u8]) -> (usize, usize) {
    let (mut place, mut attributes) = (Place::Name, 0);
    for (at, &byte) in text.iter().enumerate() {
        place = match (place, byte) {
            (Place::Quoted(quote), _) if byte == quote => Place::Between,
            (Place::Quoted(_), _) => place,
            (_, b'>') => return (at + 1, attributes),
            (Place::BeforeValue, b'"' | b'\'') => Place::Quoted(byte),
            (Place::BeforeValue, _) if is_space(byte) => place,
            (Place::BeforeValue, _) => Place::Value,
            (Place::Value, _) if !is_space(byte) => place,
            (Place::Attribute | Place::AfterAttribute, b'=') => Place::BeforeValue,
            (Place::Attribute | Place::AfterAttribute, _) if is_space(byte) => {
                Place::AfterAttribute
            }
            (_, b'/') => Place::Between,
            _ if is_space(byte) => Place::Between,
            (Place::Name | Place::Attribute, _) => place,
            _ => {
                attributes += 1;
                Place::Attribute
            }
        };
    }
    (text.len(), attributes)
}

/// The bytes of a comment from after its `<!--` on.
fn comment_bytes(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr(b'>', &text[at..]) {
        let before = &text[..at + found];
        at += found + 1;
        let is_short = matches!(before, [] | [b'-']);
        if is_short || before.ends_with(b"--") || before.ends_with(b"--!") {
            return at;
        }
    }
    text.len()
}

/// The bytes after a tag of this name in which `<` begins no tag, up to the tag that ends it.
fn raw_bytes(text: &[u8], name: &[u8]) -> usize {
    let lower = name.to_ascii_lowercase();
    let is_raw = std::str::from_utf8(&lower).is_ok_and(|name| super::raw_kind(name).is_some());
    if !is_raw {
        return 0;
    }
    let ends = |at: &usize| {
        let tag = &text[at + 2..];
        tag.len() > name.len() && self::name(tag).eq_ignore_ascii_case(name)
    };
    let mut found = memmem::find_iter(text, b"</");
    found.find(ends).unwrap_or(text.len())
}

fn name(tag: &[u8]) -> &[u8] {
    let ends = |byte: &u8| is_space(*byte) || matches!(byte, b'/' | b'>');
    let bytes = tag.iter().position(ends).unwrap_or(tag.len());
    &tag[..bytes]
}

/// What the tokenizer takes for white space, line ends of all kinds included.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}
