//! Web pages: the text of the main part, without scripts, menus, banners and what is not shown.
//!
//! Read from html5ever's tokens alone: building a tree takes quadratic time on hostile nesting.
//! What is left out is told by structure, never by words: elements and roles that are no text of
//! the document, attributes that hide, runs of nothing but links, and small boxes with buttons
//! beside the text, as notices about cookies are.

mod tags;

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

use html5ever::LocalName;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::{Document, Headings, MOST_BLOCKS, ReadError};

/// Elements whose text is not the document's, wherever they stand.
const LEFT_OUT: [&str; 19] = [
    "aside", "audio", "button", "canvas", "datalist", "dialog", "head", "iframe", "math", "nav",
    "noscript", "object", "script", "select", "style", "svg", "template", "textarea", "video",
];

/// The same by what elements say of themselves.
const LEFT_OUT_ROLES: [&str; 12] = [
    "alertdialog",
    "banner",
    "complementary",
    "contentinfo",
    "dialog",
    "menu",
    "menubar",
    "navigation",
    "search",
    "tablist",
    "toolbar",
    "tooltip",
];

/// Elements within a line; all others part blocks.
const INLINE: [&str; 29] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u",
    "var", "wbr",
];

/// Elements without an end.
const VOID: [&str; 13] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];

/// What a head may hold; anything else begins the body.
const OF_HEAD: [&str; 10] = [
    "base", "head", "html", "link", "meta", "noscript", "script", "style", "template", "title",
];

/// Elements that are open at a time; those within are only counted.
const MOST_OPEN: usize = 256;

/// So many links without any text between them are a menu.
const MENU_LINKS: usize = 4;

/// Links of menus are no longer than this on average.
const MENU_LINK_BYTES: usize = 60;

pub(super) fn read(text: &str) -> Result<Document, ReadError> {
    if tags::are_crowded(text) {
        return Err(ReadError::Bomb {
            reason: Cow::Borrowed("it has a tag with more than 1000 attributes"),
        });
    }
    let tokens = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(text));
    // The sink never asks for a pause, so one call reads everything.
    let _ = tokens.feed(&input);
    tokens.end();
    let mut page = tokens.sink.0.into_inner();
    page.close(0);
    Ok(page.document())
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
    match raw_kind(&tag.name) {
        Some(kind) if tag.kind == TagKind::StartTag => TokenSinkResult::RawData(kind),
        _ => TokenSinkResult::Continue,
    }
}

/// Of elements that hold no tags. A script ends with the first `</script>`, also where `<!--<script>` stands before:
/// what it says is not read, and where it ends can be told without reading it.
fn raw_kind(name: &str) -> Option<RawKind> {
    match name {
        "script" | "style" | "noscript" | "iframe" | "xmp" => Some(RawKind::Rawtext),
        "title" | "textarea" => Some(RawKind::Rcdata),
        _ => None,
    }
}

/// What has been read of a page.
#[derive(Default)]
struct Page {
    title: String,
    in_title: bool,
    open: Vec<Open>,
    /// Elements that are open within the last of `open`.
    deeper: usize,
    counts: Counts,
    heading: Option<u8>,
    text: String,
    links: Links,
    parts: Vec<Part>,
    /// Parts of boxes beside the text that hold buttons.
    boxes: Vec<Range<usize>>,
    is_cut: bool,
}

struct Open {
    name: LocalName,
    is_left_out: bool,
    is_main: bool,
    /// Right below the body, and no part of the page that has a name.
    is_box: bool,
    has_button: bool,
    first_part: usize,
}

/// Of open elements.
#[derive(Default)]
struct Counts {
    left_out: usize,
    main: usize,
    edges: usize,
    links: usize,
}

/// Links since the last boundary, and whether there was text outside of them.
#[derive(Clone, Copy, Default)]
struct Links {
    count: usize,
    text_outside: bool,
}

struct Part {
    text: String,
    heading: Option<u8>,
    in_main: bool,
    at_edge: bool,
    /// If it is links and nothing else, their number.
    only_links: usize,
}

impl Page {
    fn characters(&mut self, text: &str) {
        let is_empty = text.trim().is_empty();
        if self.in_title {
            self.title.push_str(text);
            return;
        }
        if !is_empty && self.open.last().is_some_and(|open| &*open.name == "head") {
            self.close(self.open.len() - 1);
        }
        if self.counts.left_out > 0 {
            return;
        }
        self.text.push_str(text);
        let is_mark =
            |c: char| c.is_whitespace() || c.is_ascii_punctuation() || "·•›»–—".contains(c);
        if self.counts.links == 0 && !text.chars().all(is_mark) {
            self.links.text_outside = true;
        }
    }

    fn tag(&mut self, tag: &Tag) {
        match tag.kind {
            TagKind::StartTag => self.start(tag),
            TagKind::EndTag => self.end(&tag.name),
        }
    }

    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        self.implied_ends(name);
        match name {
            "title" => self.in_title = self.title.is_empty() && !self.is_open("svg"),
            "br" => self.text.push(' '),
            "td" | "th" => self.text.push_str("  "),
            "a" if self.counts.left_out == 0 => self.links.count += 1,
            "button" => self.note_button(),
            "input" if attribute(tag, "type").is_some_and(is_button) => self.note_button(),
            _ => {}
        }
        // Cells stay in the line of their row.
        if !is_inline(name) && !matches!(name, "br" | "td" | "th" | "title") {
            self.part();
        }
        if let [b'h', level @ b'1'..=b'6'] = name.as_bytes() {
            self.heading = Some(level - b'0');
        }
        let hides = is_hidden(tag);
        if !VOID.contains(&name) && name != "title" && (!tag.self_closing || hides) {
            self.open(tag, hides);
        }
    }

    fn open(&mut self, tag: &Tag, hides: bool) {
        let name = &*tag.name;
        let is_page = matches!(name, "html" | "body");
        if self.open.len() == MOST_OPEN {
            self.deeper += 1;
            return;
        }
        if is_page && self.is_open(name) {
            return;
        }
        let role = attribute(tag, "role").unwrap_or("").trim();
        let is_main = matches!(name, "main" | "article") || role == "main";
        let is_top = self
            .open
            .iter()
            .all(|open| matches!(&*open.name, "html" | "body"));
        // Some frameworks put the whole page into one form.
        let is_form = name == "form" && !is_top;
        let is_left_out = LEFT_OUT.contains(&name)
            || is_form
            || (!is_page && !is_main && (hides || LEFT_OUT_ROLES.contains(&role)));
        if is_left_out && is_inline(name) {
            self.text.push(' ');
        }
        self.counts.left_out += usize::from(is_left_out);
        self.counts.main += usize::from(is_main);
        self.counts.edges += usize::from(is_edge(name));
        self.counts.links += usize::from(name == "a");
        self.open.push(Open {
            name: tag.name.clone(),
            is_left_out,
            is_main,
            is_box: is_top && matches!(name, "div" | "section" | "form"),
            has_button: false,
            first_part: self.parts.len(),
        });
    }

    fn end(&mut self, name: &LocalName) {
        if &**name == "title" {
            self.in_title = false;
            return;
        }
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let crosses = |open: &Open| is_inline(name) && !is_inline(&open.name);
        for at in (0..self.open.len()).rev() {
            if self.open[at].name == *name {
                // The parts of a page go on after its end, if anything follows.
                if !matches!(&**name, "html" | "body") {
                    self.close(at);
                }
                return;
            }
            if crosses(&self.open[at]) {
                return;
            }
        }
        // A stray end of a paragraph still parts what stands around it.
        if !is_inline(name) {
            self.part();
        }
    }

    /// Ends the open elements from `at` on.
    fn close(&mut self, at: usize) {
        let parts_text =
            |open: &Open| !is_inline(&open.name) && !matches!(&*open.name, "td" | "th");
        if at == 0 || self.open[at..].iter().any(parts_text) {
            self.part();
        }
        self.deeper = 0;
        for open in self.open.drain(at..) {
            self.counts.left_out -= usize::from(open.is_left_out);
            self.counts.main -= usize::from(open.is_main);
            self.counts.edges -= usize::from(is_edge(&open.name));
            self.counts.links -= usize::from(&*open.name == "a");
            if open.is_box && open.has_button {
                self.boxes.push(open.first_part..self.parts.len());
            }
        }
    }

    /// Ends the elements that need no end tag before `name` begins.
    fn implied_ends(&mut self, name: &str) {
        if self.deeper > 0 {
            return;
        }
        let (ends, within): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol", "menu"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "tr" => (&["tr"], &["table"]),
            "tbody" | "thead" | "tfoot" => (&["tbody", "thead", "tfoot"], &["table"]),
            _ => (&[], &[]),
        };
        let begins_body = !OF_HEAD.contains(&name);
        let begins_block = !is_inline(name) && !VOID.contains(&name);
        for at in (0..self.open.len()).rev() {
            let open = &*self.open[at].name;
            let ends_it = ends.contains(&open)
                || (open == "p" && begins_block)
                || (open == "head" && begins_body);
            if ends_it {
                self.close(at);
                return;
            }
            let goes_on = match ends {
                [] => is_inline(open),
                _ => !within.contains(&open),
            };
            if !goes_on {
                return;
            }
        }
    }

    fn is_open(&self, name: &str) -> bool {
        self.open.iter().any(|open| &*open.name == name)
    }

    fn note_button(&mut self) {
        if let Some(open) = self.open.iter_mut().find(|open| open.is_box) {
            open.has_button = true;
        }
    }

    /// Ends the text since the last boundary. Runs of white space become one space, as in browsers.
    fn part(&mut self) {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let text = words.join(" ");
        self.text.clear();
        let heading = self.heading.take();
        let links = std::mem::take(&mut self.links);
        if self.parts.len() == MOST_BLOCKS {
            self.is_cut = true;
        } else if !text.is_empty() {
            self.parts.push(Part {
                text,
                heading,
                in_main: self.counts.main > 0,
                at_edge: self.counts.edges > 0,
                only_links: if links.text_outside { 0 } else { links.count },
            });
        }
    }

    /// The parts of `main` and `article`, or where those are empty, all but what stands around the
    /// text.
    fn document(&self) -> Document {
        let has_main = self
            .parts
            .iter()
            .any(|part| part.in_main && part.heading.is_none());
        let kept: Vec<bool> = self
            .parts
            .iter()
            .map(|part| {
                if has_main {
                    part.in_main
                } else {
                    !part.at_edge
                }
            })
            .collect();
        let mut document = self.kept(&self.without_menus_and_boxes(kept.clone()));
        if document.blocks.is_empty() {
            // A page of nothing but links is still a page.
            document = self.kept(&kept);
        }
        document.is_cut |= self.is_cut;
        let title: Vec<&str> = self.title.split_whitespace().collect();
        document.title = Some(title.join(" ")).filter(|title| !title.is_empty());
        document
    }

    fn kept(&self, kept: &[bool]) -> Document {
        let mut document = Document::default();
        let mut headings = Headings::default();
        for (part, _) in self.parts.iter().zip(kept).filter(|(_, kept)| **kept) {
            match part.heading {
                Some(level) => headings.open(level, &part.text),
                None => document.push(&part.text, &headings, None),
            }
        }
        document
    }

    fn without_menus_and_boxes(&self, mut kept: Vec<bool>) -> Vec<bool> {
        let whole: usize = self.bytes(&(0..self.parts.len()));
        for range in &self.boxes {
            let parts = &self.parts[range.clone()];
            let is_text = parts
                .iter()
                .any(|part| part.in_main || part.heading == Some(1));
            if !is_text && self.bytes(range) * 4 <= whole {
                kept[range.clone()].fill(false);
            }
        }
        let mut at = 0;
        for run in self.parts.chunk_by(|a, b| is_link(a) == is_link(b)) {
            let range = at..at + run.len();
            at = range.end;
            let links: usize = run.iter().map(|part| part.only_links).sum();
            if links >= MENU_LINKS && self.bytes(&range) <= links * MENU_LINK_BYTES {
                kept[range].fill(false);
            }
        }
        kept
    }

    fn bytes(&self, range: &Range<usize>) -> usize {
        let parts = &self.parts[range.clone()];
        parts.iter().map(|part| part.text.len()).sum()
    }
}

/// Links of the text itself are the author's own list.
fn is_link(part: &Part) -> bool {
    part.only_links > 0 && part.heading.is_none() && !part.in_main
}

fn is_inline(name: &str) -> bool {
    INLINE.contains(&name)
}

fn is_edge(name: &str) -> bool {
    matches!(name, "header" | "footer")
}

fn is_button(kind: &str) -> bool {
    matches!(kind, "button" | "submit")
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let found = tag.attrs.iter().find(|attr| &*attr.name.local == name)?;
    Some(&found.value)
}

/// Whether a browser shows nothing of the element.
fn is_hidden(tag: &Tag) -> bool {
    let by_attribute = attribute(tag, "hidden").is_some_and(|value| value != "until-found");
    by_attribute || attribute(tag, "style").is_some_and(is_hiding_style)
}

fn is_hiding_style(style: &str) -> bool {
    let mut declarations = style.split(';').filter_map(|one| one.split_once(':'));
    declarations.any(|(property, value)| {
        let value = value.trim().to_ascii_lowercase();
        let value = value.split(['!', ' ']).next().unwrap_or("");
        match property.trim().to_ascii_lowercase().as_str() {
            "display" => value == "none",
            "visibility" => matches!(value, "hidden" | "collapse"),
            "font-size" => value.trim_end_matches(|c: char| !c.is_ascii_digit()) == "0",
            _ => false,
        }
    })
}
