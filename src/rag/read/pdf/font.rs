//! What the codes of a font mean, and how wide they are.

use encoding_rs::Encoding;
use lopdf::{Dictionary, Document, Object};

use super::cmap::CMap;

/// What a table of codes or widths may unpack to.
const MOST_TABLE_BYTES: usize = 4 << 20;

/// Widths that a font lists; it can have no more codes.
const MOST_WIDTHS: usize = 1 << 16;

/// Of letters in fonts that tell none, in thousandths of the font's size.
const WIDTH: f32 = 500.0;

pub(super) struct Font {
    codes: Codes,
    to_unicode: Option<CMap>,
    widths: Widths,
    pub(super) is_bold: bool,
}

enum Codes {
    /// One byte each, with what they are drawn as.
    Single(Box<[Option<char>; 256]>),
    /// Two bytes each, which mean nothing by themselves.
    Double,
    /// Texts in an encoding.
    Encoded(&'static Encoding),
}

/// A letter of a font, or several that are drawn as one.
pub(super) struct Glyph {
    pub(super) text: String,
    /// In parts of the font's size.
    pub(super) width: f32,
    /// Whether word spacing widens it.
    pub(super) is_space_code: bool,
}

impl Font {
    pub(super) fn read(font: &Dictionary, file: &Document) -> Self {
        let kind = name(font, b"Subtype", file);
        let base = name(font, b"BaseFont", file);
        let to_unicode = stream(font, b"ToUnicode", file).map(|bytes| CMap::read(&bytes));
        let descendant = descendant(font, file);
        let (codes, widths) = match (kind.as_slice(), descendant) {
            (b"Type0", Some(descendant)) => (double(font, file), Widths::double(descendant, file)),
            (b"Type0", None) => (double(font, file), Widths::even(WIDTH)),
            _ => (
                Codes::Single(single(font, file)),
                Widths::single(font, &base, &kind, file),
            ),
        };
        let style = String::from_utf8_lossy(&base).to_ascii_lowercase();
        Self {
            codes,
            to_unicode,
            widths,
            is_bold: ["bold", "black", "heavy"]
                .iter()
                .any(|word| style.contains(word)),
        }
    }

    /// The letters of a string.
    pub(super) fn glyphs(&self, mut bytes: &[u8], mut see: impl FnMut(Glyph)) {
        if let Codes::Encoded(encoding) = self.codes {
            let text = encoding.decode_without_bom_handling(bytes).0;
            for c in text.chars() {
                see(Glyph {
                    text: c.to_string(),
                    width: if c.is_ascii() { 0.5 } else { 1.0 },
                    is_space_code: false,
                });
            }
            return;
        }
        while !bytes.is_empty() {
            let count = self.code_bytes(bytes).clamp(1, bytes.len());
            let (code, rest) = bytes.split_at(count);
            bytes = rest;
            let value = code
                .iter()
                .fold(0, |value, byte| value << 8 | u32::from(*byte));
            see(Glyph {
                text: self.text(count, value),
                width: self.widths.of(value) / 1000.0,
                is_space_code: count == 1 && value == 32,
            });
        }
    }

    fn code_bytes(&self, bytes: &[u8]) -> usize {
        match (&self.codes, &self.to_unicode) {
            (Codes::Single(_), _) => 1,
            (_, Some(cmap)) => cmap.code_bytes(bytes).unwrap_or(2),
            (_, None) => 2,
        }
    }

    /// What to copy goes before what is drawn: fonts are cut down to what a file uses, and codes
    /// given anew.
    fn text(&self, bytes: usize, code: u32) -> String {
        let table = self.to_unicode.as_ref();
        // Tables of fonts with single codes are sometimes written with two bytes.
        let copied = table.and_then(|table| {
            table
                .text(bytes, code)
                .or_else(|| table.text(3 - bytes.min(2), code))
        });
        let drawn = || match &self.codes {
            Codes::Single(table) => table[code as usize & 255].map(String::from),
            Codes::Double | Codes::Encoded(_) => None,
        };
        let text = copied.filter(|text| !text.contains('\0')).or_else(drawn);
        text.map_or_else(
            || char::REPLACEMENT_CHARACTER.to_string(),
            |text| apart(&text),
        )
    }
}

/// Ligatures as the letters they join, spaces of all widths as one, no hyphens that only divide.
fn apart(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{fb00}' => out.push_str("ff"),
            '\u{fb01}' => out.push_str("fi"),
            '\u{fb02}' => out.push_str("fl"),
            '\u{fb03}' => out.push_str("ffi"),
            '\u{fb04}' => out.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => out.push_str("st"),
            c if c.is_whitespace() => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn name(dict: &Dictionary, key: &[u8], file: &Document) -> Vec<u8> {
    let found = dict.get_deref(key, file).and_then(Object::as_name);
    found.map(<[u8]>::to_vec).unwrap_or_default()
}

fn stream(dict: &Dictionary, key: &[u8], file: &Document) -> Option<Vec<u8>> {
    let stream = dict.get_deref(key, file).ok()?.as_stream().ok()?;
    stream.get_plain_content_with_limit(MOST_TABLE_BYTES).ok()
}

fn descendant<'a>(font: &'a Dictionary, file: &'a Document) -> Option<&'a Dictionary> {
    let fonts = font
        .get_deref(b"DescendantFonts", file)
        .ok()?
        .as_array()
        .ok()?;
    let (_, first) = file.dereference(fonts.first()?).ok()?;
    first.as_dict().ok()
}

fn double(font: &Dictionary, file: &Document) -> Codes {
    let name = name(font, b"Encoding", file);
    let name = String::from_utf8_lossy(&name);
    let known = [
        ("UTF16", encoding_rs::UTF_16BE),
        ("UCS2", encoding_rs::UTF_16BE),
        ("RKSJ", encoding_rs::SHIFT_JIS),
        ("GBK", encoding_rs::GBK),
        ("GB-EUC", encoding_rs::GBK),
        ("B5", encoding_rs::BIG5),
        ("KSC", encoding_rs::EUC_KR),
    ];
    let found = known.into_iter().find(|(part, _)| name.contains(part));
    found.map_or(Codes::Double, |(_, encoding)| Codes::Encoded(encoding))
}

/// What each code is drawn as: a standard table, changed where the font says so.
fn single(font: &Dictionary, file: &Document) -> Box<[Option<char>; 256]> {
    let encoding = font.get_deref(b"Encoding", file).ok();
    let changes = encoding.and_then(|encoding| encoding.as_dict().ok());
    let base = match (encoding, changes) {
        (Some(Object::Name(base)), _) => base.clone(),
        (_, Some(changes)) => name(changes, b"BaseEncoding", file),
        _ => Vec::new(),
    };
    let mut table = Box::new([None; 256]);
    for (code, c) in table.iter_mut().enumerate() {
        *c = standard(&base, code as u8);
    }
    let changed = changes.and_then(|changes| changes.get_deref(b"Differences", file).ok());
    let mut code = 0_usize;
    for change in changed
        .and_then(|changed| changed.as_array().ok())
        .into_iter()
        .flatten()
    {
        match change {
            Object::Integer(at) => code = usize::try_from(*at).unwrap_or(usize::MAX),
            Object::Name(glyph) => {
                if let Some(c) = table.get_mut(code) {
                    *c = named(glyph);
                }
                code = code.saturating_add(1);
            }
            _ => {}
        }
    }
    table
}

/// A code of an encoding that the format names.
fn standard(base: &[u8], code: u8) -> Option<char> {
    let base = match base {
        b"WinAnsiEncoding" | b"MacRomanEncoding" | b"MacExpertEncoding" => base,
        _ => b"StandardEncoding",
    };
    one(Object::Name(base.to_vec()), code)
}

/// What a glyph is, by its name.
fn named(glyph: &[u8]) -> Option<char> {
    let unicode = |hex: &str| char::from_u32(u32::from_str_radix(hex, 16).ok()?);
    let name = str::from_utf8(glyph).ok()?;
    // Variants have a name behind a point.
    let name = name.split('.').next().unwrap_or(name);
    if let Some(c) = name
        .strip_prefix("uni")
        .filter(|hex| hex.len() == 4)
        .and_then(unicode)
    {
        return Some(c);
    }
    if let Some(c) = name
        .strip_prefix('u')
        .filter(|hex| hex.len() >= 4)
        .and_then(unicode)
    {
        return Some(c);
    }
    let mut changes = Dictionary::new();
    let glyph = Object::Name(name.as_bytes().to_vec());
    changes.set("Differences", vec![Object::Integer(0), glyph]);
    one(Object::Dictionary(changes), 0)
}

/// What the library's own tables say of a code.
fn one(encoding: Object, code: u8) -> Option<char> {
    // An unknown name falls back to a table in which the first codes mean nothing.
    let mut font = Dictionary::new();
    font.set("Type", "Font");
    font.set("Encoding", encoding);
    let file = Document::new();
    let encoding = font.get_font_encoding(&file).ok()?;
    let text = encoding.bytes_to_string(&[code]).ok()?;
    text.chars().next().filter(|c| *c != '\0')
}

/// In thousandths of the font's size.
struct Widths {
    /// From a code on, one for each.
    runs: Vec<(u32, Vec<f32>)>,
    /// First code, last code, width of each between.
    spans: Vec<(u32, u32, f32)>,
    other: f32,
}

impl Widths {
    fn even(width: f32) -> Self {
        Self {
            runs: Vec::new(),
            spans: Vec::new(),
            other: width,
        }
    }

    fn single(font: &Dictionary, base: &[u8], kind: &[u8], file: &Document) -> Self {
        let listed = font.get_deref(b"Widths", file).and_then(Object::as_array);
        let Ok(listed) = listed else {
            return Self::known(base);
        };
        // Letters that are drawn by a program have sizes of their own.
        let scale = match kind {
            b"Type3" => matrix_scale(font, file) * 1000.0,
            _ => 1.0,
        };
        let first = font.get_deref(b"FirstChar", file).and_then(Object::as_i64);
        let first = first
            .ok()
            .and_then(|code| u32::try_from(code).ok())
            .unwrap_or(0);
        let width = |object: &Object| number(object, file).unwrap_or(WIDTH) * scale;
        Self {
            runs: vec![(first, listed.iter().take(256).map(width).collect())],
            spans: Vec::new(),
            other: WIDTH,
        }
    }

    /// Of the fonts that every reader has.
    fn known(base: &[u8]) -> Self {
        let base = String::from_utf8_lossy(base);
        if base.contains("Courier") {
            return Self::even(600.0);
        }
        let table = match base.contains("Times") {
            true => TIMES,
            false => HELVETICA,
        };
        Self {
            runs: vec![(32, table.into_iter().map(f32::from).collect())],
            spans: Vec::new(),
            other: WIDTH,
        }
    }

    fn double(font: &Dictionary, file: &Document) -> Self {
        let other = font.get_deref(b"DW", file).ok();
        let mut widths = Self::even(
            other
                .and_then(|width| number(width, file))
                .unwrap_or(1000.0),
        );
        let Ok(list) = font.get_deref(b"W", file).and_then(Object::as_array) else {
            return widths;
        };
        let mut rest = list.as_slice();
        let mut count = 0;
        while let [first, second, after @ ..] = rest {
            let code = |object: &Object| {
                object
                    .as_i64()
                    .ok()
                    .and_then(|code| u32::try_from(code).ok())
            };
            let Some(from) = code(first) else { break };
            let listed = file.dereference(second).map(|(_, object)| object);
            if let Ok(Object::Array(listed)) = listed {
                let run: Vec<f32> = listed
                    .iter()
                    .map(|one| number(one, file).unwrap_or(WIDTH))
                    .collect();
                count += run.len();
                widths.runs.push((from, run));
                rest = after;
            } else {
                let ([width, after @ ..], Some(to)) = (after, code(second)) else {
                    break;
                };
                widths
                    .spans
                    .push((from, to, number(width, file).unwrap_or(WIDTH)));
                count += 1;
                rest = after;
            }
            if count > MOST_WIDTHS {
                break;
            }
        }
        widths.runs.sort_by_key(|(from, _)| *from);
        widths.spans.sort_by_key(|(from, _, _)| *from);
        widths
    }

    fn of(&self, code: u32) -> f32 {
        let after = self.runs.partition_point(|(from, _)| *from <= code);
        let run = after.checked_sub(1).and_then(|at| {
            let (from, run) = &self.runs[at];
            run.get((code - from) as usize)
        });
        let span = || {
            let after = self.spans.partition_point(|(from, _, _)| *from <= code);
            let (_, to, width) = self.spans.get(after.checked_sub(1)?)?;
            (code <= *to).then_some(width)
        };
        *run.or_else(span).unwrap_or(&self.other)
    }
}

fn number(object: &Object, file: &Document) -> Option<f32> {
    let (_, object) = file.dereference(object).ok()?;
    object.as_float().ok().filter(|number| number.is_finite())
}

fn matrix_scale(font: &Dictionary, file: &Document) -> f32 {
    let matrix = font
        .get_deref(b"FontMatrix", file)
        .and_then(Object::as_array);
    let first = matrix.ok().and_then(|matrix| number(matrix.first()?, file));
    first.unwrap_or(0.001).abs()
}

/// Of the codes from space to tilde.
#[rustfmt::skip]
const HELVETICA: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

#[rustfmt::skip]
const TIMES: [u16; 95] = [
    250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500,
    500, 500, 500, 500, 500, 500, 500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611,
    556, 722, 722, 333, 389, 722, 611, 889, 722, 722, 556, 722, 667, 556, 611, 722, 722, 944, 722,
    722, 611, 333, 278, 333, 469, 500, 333, 444, 500, 444, 500, 444, 333, 500, 500, 278, 278, 500,
    278, 778, 500, 500, 500, 500, 333, 389, 278, 500, 500, 722, 500, 500, 444, 480, 200, 480, 541,
];
