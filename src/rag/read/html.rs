//! Web pages: the text of the main part, without scripts, menus and forms.
//!
//! Read from html5ever's tokens alone: building a tree takes quadratic time on hostile nesting.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::{Document, Headings};

/// Elements whose text is not the document's, wherever they stand.
const LEFT_OUT: [&str; 18] = [
    "aside", "audio", "button", "canvas", "datalist", "dialog", "form", "head", "iframe", "math",
    "nav", "noscript", "object", "select", "style", "svg", "template", "video",
];

/// Elements within a line; all others part blocks.
const INLINE: [&str; 29] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u",
    "var", "wbr",
];

pub(super) fn read(text: &str) -> Document {
    let tokens = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(text));
    // The sink never asks for a pause, so one call reads everything.
    let _ = tokens.feed(&input);
    tokens.end();
    let mut page = tokens.sink.0.into_inner();
    page.part();
    page.document()
}

#[derive(Default)]
struct Sink(RefCell<Page>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line_number: u64) -> TokenSinkResult<()> {
        let mut page = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => page.characters(&text),
            Token::TagToken(tag) => {
                page.tag(&tag);
                return raw_text(&tag);
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// Tells the tokenizer where `<` does not begin a tag.
fn raw_text(tag: &Tag) -> TokenSinkResult<()> {
    match (tag.kind, &*tag.name) {
        (TagKind::StartTag, "script") => TokenSinkResult::RawData(RawKind::ScriptData),
        (TagKind::StartTag, "style" | "noscript" | "iframe" | "xmp") => {
            TokenSinkResult::RawData(RawKind::Rawtext)
        }
        (TagKind::StartTag, "title" | "textarea") => TokenSinkResult::RawData(RawKind::Rcdata),
        _ => TokenSinkResult::Continue,
    }
}

/// What has been read of a page.
#[derive(Default)]
struct Page {
    title: String,
    in_title: bool,
    /// Open elements that are left out, outermost first.
    left_out: Vec<String>,
    /// Open `main` and `article` elements.
    main: u32,
    /// Open `header` and `footer` elements.
    edges: u32,
    heading: Option<u8>,
    text: String,
    parts: Vec<Part>,
}

struct Part {
    text: String,
    heading: Option<u8>,
    in_main: bool,
    at_edge: bool,
}

impl Page {
    fn characters(&mut self, text: &str) {
        if self.in_title {
            self.title.push_str(text);
        } else if self.left_out.is_empty() {
            self.text.push_str(text);
        }
    }

    fn tag(&mut self, tag: &Tag) {
        let (name, opens) = (&*tag.name, tag.kind == TagKind::StartTag);
        match name {
            "title" => self.in_title = opens && self.title.is_empty(),
            "body" => self.left_out.clear(),
            "script" | "textarea" => self.leave_out(name, opens),
            _ if LEFT_OUT.contains(&name) => self.leave_out(name, opens && !tag.self_closing),
            _ if !self.left_out.is_empty() => {}
            "br" => self.text.push(' '),
            "td" | "th" => self.text.push_str("  "),
            _ if INLINE.contains(&name) => {}
            _ => self.boundary(name, opens),
        }
    }

    /// A closing tag ends the innermost of its name and all that were opened within.
    fn leave_out(&mut self, name: &str, opens: bool) {
        if opens {
            self.part();
            // Deeper nesting changes nothing.
            if self.left_out.len() < 64 {
                self.left_out.push(name.to_owned());
            }
        } else if let Some(at) = self.left_out.iter().rposition(|open| open == name) {
            self.left_out.truncate(at);
        }
    }

    fn boundary(&mut self, name: &str, opens: bool) {
        self.part();
        let step = |count: u32| match opens {
            true => count + 1,
            false => count.saturating_sub(1),
        };
        match name.as_bytes() {
            b"main" | b"article" => self.main = step(self.main),
            b"header" | b"footer" => self.edges = step(self.edges),
            [b'h', level @ b'1'..=b'6'] if opens => self.heading = Some(level - b'0'),
            _ => {}
        }
    }

    /// Ends the text since the last boundary. Runs of white space become one space, as in browsers.
    fn part(&mut self) {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let text = words.join(" ");
        self.text.clear();
        let heading = self.heading.take();
        if !text.is_empty() {
            self.parts.push(Part {
                text,
                heading,
                in_main: self.main > 0,
                at_edge: self.edges > 0,
            });
        }
    }

    /// The parts of `main` and `article`, or where those are empty, all but the page's edges.
    fn document(&self) -> Document {
        let has_main = self
            .parts
            .iter()
            .any(|part| part.in_main && part.heading.is_none());
        let mut document = Document::default();
        let mut headings = Headings::default();
        for part in &self.parts {
            match part.heading {
                _ if (has_main && !part.in_main) || (!has_main && part.at_edge) => {}
                Some(level) => headings.open(level, &part.text),
                None => document.push(&part.text, &headings, None),
            }
        }
        let title: Vec<&str> = self.title.split_whitespace().collect();
        document.title = Some(title.join(" ")).filter(|title| !title.is_empty());
        document
    }
}
