//! What a file is: by its name, by its first bytes, and whether both agree.

use std::sync::LazyLock;

use regex::Regex;

use super::{Format, ReadError};

/// Longer names are cut, their ending kept.
const MOST_NAME_CHARS: usize = 200;

/// A PDF may begin a little later than its first byte.
const PDF_START_BYTES: usize = 1024;

/// First bytes of files that are no text, and what to call them.
const SIGNATURES: [(&[u8], &str); 21] = [
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old or password-protected Office document",
    ),
    (b"\x89PNG\r\n\x1a\n", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF87a", "a picture"),
    (b"GIF89a", "a picture"),
    (b"II*\0", "a picture"),
    (b"MM\0*", "a picture"),
    (b"RIFF", "a picture, sound or film"),
    (b"OggS", "sound or a film"),
    (b"ID3", "sound"),
    (b"fLaC", "sound"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\0", "a database"),
    (b"GGUF", "a model"),
];

/// What a file is called, for people to read: the last part of a path of any system, without
/// characters that are not seen. Never empty, never `.` or `..`.
pub fn file_name(name: &str) -> String {
    static UNSEEN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]+")
            .expect("the pattern is fixed")
    });
    let last = name.rsplit(['/', '\\']).next().unwrap_or("");
    let seen = UNSEEN.replace_all(last, "");
    let seen = seen.trim();
    if seen.trim_matches('.').is_empty() {
        return "document".to_owned();
    }
    let surplus = seen.chars().count().saturating_sub(MOST_NAME_CHARS);
    if surplus == 0 {
        return seen.to_owned();
    }
    let (stem, ending) = seen.rsplit_once('.').unwrap_or((seen, ""));
    if ending.is_empty() || ending.chars().count() > 10 {
        return seen.chars().take(MOST_NAME_CHARS).collect();
    }
    let room = MOST_NAME_CHARS - ending.chars().count() - 1;
    let stem: String = stem.chars().take(room).collect();
    format!("{stem}.{ending}")
}

/// The format of a file whose name may tell one and whose bytes may tell another.
///
/// # Errors
/// When the bytes are of another kind than the name says, or of a kind that is not read.
pub fn format(name: &str, bytes: &[u8]) -> Result<Format, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    let wrong = |named: Format, holds| Err(ReadError::WrongType { named, holds });
    let unknown = |holds| Err(ReadError::UnknownType { holds });
    let named = Format::of_name(name);
    match (named, content(named, bytes)) {
        (Some(named), Content::Known(found)) if named == found => Ok(named),
        (Some(named), Content::Known(found)) => wrong(named, found.description()),
        (Some(named), Content::Other(holds)) => wrong(named, holds),
        (Some(named @ (Format::Pdf | Format::Docx)), Content::Text) => wrong(named, "text"),
        (Some(named), Content::Text) => Ok(named),
        (None, Content::Known(found)) => Ok(found),
        (None, Content::Other(holds)) => unknown(holds),
        (None, Content::Text) if is_page(bytes) => Ok(Format::Html),
        // A name without a known ending says nothing against text.
        (None, Content::Text) => match super::decode::text(bytes) {
            Ok(_) => Ok(Format::Text),
            Err(_) => unknown("bytes of no kind that is known"),
        },
    }
}

enum Content {
    /// Recognised for sure.
    Known(Format),
    /// Something that is not read.
    Other(&'static str),
    /// Nothing known; if it is text, its name tells which.
    Text,
}

fn content(named: Option<Format>, bytes: &[u8]) -> Content {
    if is_pdf(named, bytes) {
        return Content::Known(Format::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        let has_part = memchr::memmem::find(bytes, b"word/document").is_some();
        return match has_part {
            true => Content::Known(Format::Docx),
            false => Content::Other("a zip archive or another kind of Office document"),
        };
    }
    let known = SIGNATURES
        .iter()
        .find(|(start, _)| bytes.starts_with(start));
    match known {
        // Two letters and no more may begin a text.
        Some((b"MZ" | b"BZh" | b"ID3" | b"RIFF" | b"GGUF" | b"OggS" | b"fLaC", _))
            if super::decode::text(bytes).is_ok() =>
        {
            Content::Text
        }
        Some((_, holds)) => Content::Other(holds),
        None => Content::Text,
    }
}

/// Whether the bytes begin as a PDF does, or a little later.
fn is_pdf(named: Option<Format>, bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(PDF_START_BYTES)];
    match memchr::memmem::find(start, b"%PDF-") {
        Some(0) => true,
        // A text about such files is no such file.
        Some(_) => named == Some(Format::Pdf) || super::decode::text(bytes).is_err(),
        None => false,
    }
}

fn is_page(bytes: &[u8]) -> bool {
    let Ok(text) = super::decode::html(&bytes[..bytes.len().min(PDF_START_BYTES)]) else {
        return false;
    };
    let start = text
        .trim_start()
        .get(..9)
        .unwrap_or("")
        .to_ascii_lowercase();
    start.starts_with("<!doctype") || start.starts_with("<html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_last_part_of_any_path_without_what_is_not_seen() {
        let cases = [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\eve\\a b.docx", "a b.docx"),
            ("/srv/../x\\y/z.txt", "z.txt"),
            ("a\0b\r\nc\t.md", "abc.md"),
            ("in\u{202e}fdp.exe", "infdp.exe"),
            ("zero\u{200b}width\u{2028}.txt", "zerowidth.txt"),
            ("  spaced .txt ", "spaced .txt"),
            ("Größe 中文.txt", "Größe 中文.txt"),
            ("", "document"),
            ("folder/", "document"),
            ("..", "document"),
            ("a/..", "document"),
            ("...", "document"),
            ("\u{7}", "document"),
        ];
        for (name, want) in cases {
            assert_eq!(file_name(name), want, "{name:?}");
        }
        let long = format!("{}.pdf", "ä".repeat(500));
        assert_eq!(file_name(&long), format!("{}.pdf", "ä".repeat(196)));
        assert_eq!(file_name(&"x.".repeat(400)).chars().count(), 200);
    }

    #[test]
    fn bytes_and_names_have_to_agree() {
        let pdf = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n";
        let docx = b"PK\x03\x04......word/document.xml";
        let fine = [
            ("a.pdf", &pdf[..], Format::Pdf),
            ("a.pdf", b"\n\n%PDF-1.4\n", Format::Pdf),
            ("a", pdf, Format::Pdf),
            ("a.bak", docx, Format::Docx),
            ("a.docx", docx, Format::Docx),
            ("a.txt", b"MZ is how it begins", Format::Text),
            ("a.unknown", b"just text", Format::Text),
            ("a", b"  <!DOCTYPE html><p>x", Format::Html),
            ("a.md", b"about %PDF-1.7", Format::Markdown),
            ("a.json", b"{}", Format::Json),
        ];
        for (name, bytes, want) in fine {
            assert_eq!(format(name, bytes).unwrap(), want, "{name}");
        }
        let wrong = [
            ("a.txt", &pdf[..], "named as a text, but is a PDF"),
            ("a.pdf", b"plain", "named as a PDF, but is text"),
            ("a.docx", b"plain", "named as a Word document, but is text"),
            ("a.pdf", docx, "named as a PDF, but is a Word document"),
            (
                "a.docx",
                b"PK\x03\x04xl/workbook.xml",
                "but is a zip archive or another kind",
            ),
            (
                "a.docx",
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest",
                "old or password-protected",
            ),
            ("a.html", b"\x89PNG\r\n\x1a\n", "but is a picture"),
            ("a.csv", b"\x1f\x8b\x08", "but is a gzip archive"),
            ("a", b"\x7fELF\x02\x01", "the file is a program"),
            ("a.exe", b"MZ\x90\0\x03\0\0\0", "the file is a program"),
            ("a.bin", b"\0\0\0\0", "bytes of no kind that is known"),
            ("a.txt", b"", "holds no text"),
        ];
        for (name, bytes, want) in wrong {
            let error = format(name, bytes).unwrap_err().to_string();
            assert!(error.contains(want), "{name}: {error}");
        }
    }
}
