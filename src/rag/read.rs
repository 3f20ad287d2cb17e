//! Reads a file into blocks of plain text.
//!
//! Text, Markdown, HTML, CSV and JSON. Scripts, styles, navigation and other things that are not
//! the document's own text are left out. What a file says is data: nothing in it is followed,
//! fetched or run.

mod decode;
mod html;
mod markdown;
mod table;
mod text;

use std::path::Path;

/// The largest file that is read.
pub const MOST_BYTES: usize = 32 << 20;

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
            _ => None,
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
}

/// A paragraph, a list item, a piece of code, a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its text, without markup.
    pub text: String,
    /// The headings that it stands under, outermost first.
    pub headings: Vec<String>,
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
    /// Nothing in it, or nothing but spaces and markup.
    #[error("the file holds no text")]
    Empty,
    /// Bytes that are no text in any encoding.
    #[error("the file is not text")]
    NotText,
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
    let text = match format {
        Format::Html => decode::html(bytes)?,
        _ => decode::text(bytes)?,
    };
    let document = match format {
        Format::Text => text::read(&text),
        Format::Markdown => markdown::read(&text),
        Format::Html => html::read(&text),
        Format::Csv => table::read_csv(&text)?,
        Format::Json => table::read_json(&text)?,
    };
    if document.blocks.is_empty() {
        return Err(ReadError::Empty);
    }
    Ok(document)
}

impl Document {
    /// Adds a block, unless it is empty. Spaces at both ends go.
    fn push(&mut self, text: &str, headings: &Headings, page: Option<u32>) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.blocks.push(Block {
            text: text.to_owned(),
            headings: headings.path(),
            page,
            offset: self.text_bytes,
        });
        self.text_bytes += text.len() + 1;
    }
}

/// The headings that are open while a document is read.
#[derive(Default)]
struct Headings(Vec<(u8, String)>);

impl Headings {
    /// A heading closes all of its own level and below.
    fn open(&mut self, level: u8, text: &str) {
        self.0.retain(|(open, _)| *open < level);
        let text = text.trim();
        if !text.is_empty() {
            self.0.push((level, text.to_owned()));
        }
    }

    fn path(&self) -> Vec<String> {
        self.0.iter().map(|(_, text)| text.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
