//! Reads a file into blocks of plain text.
//!
//! Text, Markdown, HTML, CSV, JSON, PDF and Word. Scripts, styles, navigation, running heads and
//! other things that are not the document's own text are left out. What a file says is data:
//! nothing in it is followed, fetched or run, and none can take more memory or time than the
//! limits here allow.

mod apart;
mod decode;
mod docx;
mod html;
mod markdown;
mod pdf;
mod sniff;
mod table;
mod text;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

pub use apart::{COMMAND, Reader, serve};
pub use sniff::{file_name, format};

/// The largest file that is read.
pub const MOST_BYTES: usize = 32 << 20;

/// The most text of a file; packed formats could hold far more than their size.
pub const MOST_TEXT_BYTES: usize = 64 << 20;

/// The most blocks of a file.
pub const MOST_BLOCKS: usize = 1 << 20;

/// Longer headings are cut, since every block under one carries it.
const MOST_HEADING_CHARS: usize = 200;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Plain text in any common encoding; form feeds part pages.
    Text,
    /// CommonMark with tables; front matter is left out.
    Markdown,
    /// A web page.
    Html,
    /// Records with a header line; separated by commas, semicolons, tabs or bars.
    Csv,
    /// One JSON value.
    Json,
    /// Pages with text; pictures of text are not read.
    Pdf,
    /// Word since 2007.
    Docx,
}

impl Format {
    /// The format that a file's name tells; folders in it do not matter.
    pub fn of_name(name: &str) -> Option<Self> {
        let extension = Path::new(name).extension()?.to_str()?;
        match extension.to_ascii_lowercase().as_str() {
            "txt" | "text" | "log" => Some(Self::Text),
            "md" | "markdown" => Some(Self::Markdown),
            "html" | "htm" | "xhtml" => Some(Self::Html),
            "csv" | "tsv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "pdf" => Some(Self::Pdf),
            "docx" | "docm" | "dotx" => Some(Self::Docx),
            _ => None,
        }
    }

    /// What people call it, with its article.
    pub fn description(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Markdown => "a Markdown text",
            Self::Html => "a web page",
            Self::Csv => "a CSV table",
            Self::Json => "a JSON value",
            Self::Pdf => "a PDF",
            Self::Docx => "a Word document",
        }
    }
}

/// A document as plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// What the document calls itself, if it does.
    pub title: Option<String>,
    /// In reading order; none is empty.
    pub blocks: Vec<Block>,
    text_bytes: usize,
    /// Whether a limit was reached, so that text is missing.
    is_cut: bool,
}

/// A paragraph, a list item, a piece of code, a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its text, without markup.
    pub text: String,
    /// The headings that it stands under, outermost first.
    pub headings: Arc<[String]>,
    /// The page it begins on, from 1, if the format has pages.
    pub page: Option<u32>,
    /// Where it begins, in bytes of the document's plain text: all blocks, a line end after each.
    pub offset: usize,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// More than [`MOST_BYTES`].
    #[error("the file has {size_bytes} bytes; at most {MOST_BYTES} are read")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
    },
    /// More than [`MOST_TEXT_BYTES`], headings counted with all above them, or [`MOST_BLOCKS`].
    #[error("the file holds more than {MOST_TEXT_BYTES} bytes of text or {MOST_BLOCKS} paragraphs")]
    TooMuchText,
    /// Nothing in it, or nothing but spaces and markup.
    #[error("the file holds no text")]
    Empty,
    /// Pages, but none with text.
    #[error("the {pages} pages of the file hold no text; pictures of text are not read")]
    OnlyPictures {
        /// How many.
        pages: usize,
    },
    /// Bytes that are no text in any encoding.
    #[error("the file is not text")]
    NotText,
    /// Of another kind than its name says.
    #[error("the file is named as {}, but is {holds}", named.description())]
    WrongType {
        /// By its name.
        named: Format,
        /// By its bytes, with the article.
        holds: &'static str,
    },
    /// Of a kind that is not read.
    #[error("the file is {holds}; txt, md, html, pdf, docx, csv and json are read")]
    UnknownType {
        /// What it is, with the article.
        holds: &'static str,
    },
    /// It opens with a password only.
    #[error("the file is protected by a password; save it without one and add it again")]
    Encrypted,
    /// It is damaged, cut off, or made in a way that is not allowed.
    #[error("the file cannot be read as {}: {reason}", format.description())]
    Broken {
        /// What it should have been.
        format: Format,
        /// What is wrong, about "it".
        reason: Cow<'static, str>,
    },
    /// It is made to take memory.
    #[error("the file is refused: {reason}")]
    Bomb {
        /// What is wrong, about "it".
        reason: Cow<'static, str>,
    },
    /// It takes too long.
    #[error("the file took more than {limit_s} seconds to read")]
    TimedOut {
        /// How long it may take.
        limit_s: u64,
    },
    /// A record cannot be read.
    #[error("the file is not CSV")]
    Csv(#[source] csv::Error),
    /// The value cannot be read, or is nested too deeply.
    #[error("the file is not JSON")]
    Json(#[source] serde_json::Error),
}

/// The text of a file.
pub fn read(bytes: &[u8], format: Format) -> Result<Document, ReadError> {
    if bytes.len() > MOST_BYTES {
        return Err(ReadError::TooLarge {
            size_bytes: bytes.len(),
        });
    }
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    let mut document = match format {
        Format::Text => text::read(&decode::text(bytes)?),
        Format::Markdown => markdown::read(&decode::text(bytes)?)?,
        Format::Html => html::read(&decode::html(bytes)?)?,
        Format::Csv => table::read_csv(&decode::text(bytes)?)?,
        Format::Json => table::read_json(&decode::text(bytes)?)?,
        Format::Pdf => pdf::read(bytes)?,
        Format::Docx => docx::read(bytes)?,
    };
    if document.is_cut {
        return Err(ReadError::TooMuchText);
    }
    if document.blocks.is_empty() {
        return Err(ReadError::Empty);
    }
    document.title = document
        .title
        .map(|title| one_line(&title))
        .filter(|title| !title.is_empty());
    Ok(document)
}

impl Document {
    /// Adds a block, unless it is empty. Spaces at both ends and controls go.
    fn push(&mut self, text: &str, headings: &Headings, page: Option<u32>) {
        let text = printable(text);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let bytes = text.len() + headings.bytes;
        if bytes >= self.room() || self.blocks.len() >= MOST_BLOCKS {
            self.is_cut = true;
            return;
        }
        self.blocks.push(Block {
            text: text.to_owned(),
            headings: Arc::clone(&headings.path),
            page,
            offset: self.text_bytes,
        });
        self.text_bytes += text.len() + 1;
    }

    /// The bytes of text that may still be added.
    fn room(&self) -> usize {
        MOST_TEXT_BYTES - self.text_bytes
    }
}

/// The headings that are open while a document is read.
#[derive(Default)]
struct Headings {
    open: Vec<(u8, String)>,
    path: Arc<[String]>,
    /// What all paths so far take, which is kept with the text and takes of its room: each heading has a new one.
    bytes: usize,
}

impl Headings {
    /// A heading closes all of its own level and below.
    fn open(&mut self, level: u8, text: &str) {
        self.open.retain(|(open, _)| *open < level);
        let text = one_line(text);
        if !text.is_empty() {
            self.open.push((level, text));
        }
        self.path = self.open.iter().map(|(_, text)| text.clone()).collect();
        let bytes = self
            .path
            .iter()
            .map(|text| size_of::<String>() + text.len());
        self.bytes += bytes.sum::<usize>();
    }
}

/// A heading or a title: no line ends, and not too long.
fn one_line(text: &str) -> String {
    let text = printable(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MOST_HEADING_CHARS).collect()
}

/// The text without controls, except those that are white space.
fn printable(text: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && !c.is_whitespace();
    match text.contains(is_control) {
        true => Cow::Owned(text.replace(is_control, "")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
