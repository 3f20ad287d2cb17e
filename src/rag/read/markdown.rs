//! Markdown: one block per paragraph, list item, table row and piece of code.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Document, Headings, ReadError};

/// Characters that may be markup; the parser takes memory for each.
const MOST_MARKS: usize = 6 << 20;

pub(super) fn read(text: &str) -> Result<Document, ReadError> {
    let is_mark = |byte: &u8| byte.is_ascii_punctuation() && !b".,;:-'\"()".contains(byte);
    if text.bytes().filter(is_mark).count() > MOST_MARKS {
        return Err(ReadError::TooMuchText);
    }
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, options) {
        reader.event(event);
    }
    Ok(reader.document)
}

#[derive(Default)]
struct Reader {
    document: Document,
    headings: Headings,
    text: String,
    in_front_matter: bool,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::MetadataBlock(_)) => self.in_front_matter = true,
            Event::End(TagEnd::MetadataBlock(_)) => self.in_front_matter = false,
            Event::Text(text) if !self.in_front_matter => self.text.push_str(&text),
            Event::Code(text) => self.text.push_str(&text),
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            Event::Start(
                Tag::Heading { .. } | Tag::Paragraph | Tag::Item | Tag::CodeBlock(_) | Tag::List(_),
            )
            | Event::End(
                TagEnd::Paragraph
                | TagEnd::Item
                | TagEnd::CodeBlock
                | TagEnd::TableHead
                | TagEnd::TableRow,
            )
            | Event::Rule => self.flush(),
            Event::End(TagEnd::TableCell) => self.text.push_str("  "),
            Event::End(TagEnd::Heading(level)) => {
                let text = std::mem::take(&mut self.text);
                if level as u8 == 1 && self.document.title.is_none() {
                    self.document.title = Some(text.trim().to_owned()).filter(|t| !t.is_empty());
                }
                self.headings.open(level as u8, &text);
            }
            // HTML inside Markdown is markup, and markup is not text.
            _ => {}
        }
    }

    fn flush(&mut self) {
        self.document.push(&self.text, &self.headings, None);
        self.text.clear();
    }
}
