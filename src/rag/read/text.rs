//! Plain text: paragraphs between empty lines, pages between form feeds.

use super::{Document, Headings};

pub(super) fn read(text: &str) -> Document {
    let mut document = Document::default();
    let headings = Headings::default();
    let has_pages = text.contains('\u{c}');
    for (page, text) in (1..).zip(text.split('\u{c}')) {
        let mut paragraph = String::new();
        for line in text.lines() {
            if line.trim().is_empty() {
                document.push(&paragraph, &headings, has_pages.then_some(page));
                paragraph.clear();
            } else {
                paragraph.push_str(line.trim_end());
                paragraph.push('\n');
            }
        }
        document.push(&paragraph, &headings, has_pages.then_some(page));
    }
    document
}
