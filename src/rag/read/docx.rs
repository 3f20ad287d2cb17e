//! Word documents: paragraphs, headings, tables and notes of the main text.
//!
//! Headers and footers are parts of their own and are not read. Nothing outside the file is: a
//! part that declares a document type, where entities would come from, is refused.

mod package;
mod styles;

use std::borrow::Cow;
use std::collections::HashMap;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use self::package::Package;
use self::styles::{Role, Styles};
use super::{Document, Format, Headings, ReadError};

/// Elements within elements.
const MOST_DEPTH: usize = 256;

pub(super) fn read(bytes: &[u8]) -> Result<Document, ReadError> {
    let mut package = Package::open(bytes)?;
    let main = package.main_part()?;
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    let part_name = |name: &str| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let styles = match package.part(&part_name("styles.xml"))? {
        Some(xml) => Styles::read(&xml)?,
        None => Styles::default(),
    };
    let mut notes = HashMap::new();
    for part in ["footnotes.xml", "endnotes.xml"] {
        if let Some(xml) = package.part(&part_name(part))? {
            let mut body = Body::new(&styles, HashMap::new());
            body.read(&xml)?;
            notes.extend(body.notes);
        }
    }
    let xml = package
        .part(&main)?
        .ok_or_else(|| broken("its main part is missing"))?;
    let mut body = Body::new(&styles, notes);
    body.read(&xml)?;
    let mut document = body.document();
    if document.title.is_none()
        && let Some(xml) = package.part("docProps/core.xml")?
    {
        document.title = title(&xml)?;
    }
    Ok(document)
}

fn broken(reason: &'static str) -> ReadError {
    ReadError::Broken {
        format: Format::Docx,
        reason: Cow::Borrowed(reason),
    }
}

/// What the file says that it is called.
fn title(xml: &str) -> Result<Option<String>, ReadError> {
    let mut title = String::new();
    let mut inside = false;
    events(xml, |event| {
        match event {
            Part::Start(element) => inside = element.local_name().as_ref() == "title",
            Part::End(_) => inside = false,
            Part::Text(text) if inside => title.push_str(text),
            Part::Text(_) => {}
        }
        Ok(())
    })?;
    let words: Vec<&str> = title.split_whitespace().collect();
    Ok(Some(words.join(" ")).filter(|title| !title.is_empty()))
}

/// A step through a part.
enum Part<'a, 'xml> {
    Start(&'a BytesStart<'xml>),
    /// Its local name.
    End(&'a str),
    Text(&'a str),
}

/// Calls `see` for what stands in a part, elements without content as a start and an end.
fn events(
    xml: &str,
    mut see: impl FnMut(Part<'_, '_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut reader = Reader::from_str(xml);
    let mut depth = 0;
    loop {
        match reader
            .read_event()
            .map_err(|_| broken("its XML is damaged"))?
        {
            Event::Start(element) => {
                depth += 1;
                if depth > MOST_DEPTH {
                    return Err(broken("its XML is nested too deeply"));
                }
                see(Part::Start(&element))?;
            }
            Event::Empty(element) => {
                see(Part::Start(&element))?;
                see(Part::End(element.local_name().as_ref()))?;
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                see(Part::End(element.local_name().as_ref()))?;
            }
            Event::Text(text) => see(Part::Text(&text.xml10_content()))?,
            Event::CData(text) => see(Part::Text(&text.xml10_content()))?,
            Event::GeneralRef(name) => see(Part::Text(referred(&name)?.encode_utf8(&mut [0; 4])))?,
            Event::DocType(_) => {
                return Err(broken(
                    "it declares a document type, which may pull in other files",
                ));
            }
            Event::Eof if depth > 0 => return Err(broken("its XML ends too early")),
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

/// The character of a reference; none but numbers and XML's own five names are known.
fn referred(name: &BytesRef<'_>) -> Result<char, ReadError> {
    let number = name.resolve_char_ref();
    let named = match &**name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    };
    number
        .ok()
        .flatten()
        .or(named)
        .ok_or_else(|| broken("it refers to an entity that it does not define"))
}

/// The value of an attribute, whatever its prefix.
fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = element.attributes();
    let mut whole = attributes.with_checks(false).flatten();
    let found = whole.find(|found| found.key.local_name().as_ref() == name)?;
    let value = found.normalized_value(XmlVersion::Implicit1_0).ok()?;
    Some(value.into_owned())
}

/// Whether an element switches something on: without a value it does.
fn is_on(element: &BytesStart<'_>) -> bool {
    !attribute(element, "val")
        .is_some_and(|value| matches!(&*value, "0" | "false" | "off" | "none"))
}

/// What has been read of the main part or of notes.
struct Body<'s> {
    styles: &'s Styles,
    /// Texts of notes by their kind and number, each until the place that refers to it.
    notes: HashMap<String, String>,
    document: Document,
    headings: Headings,
    /// Open paragraphs; those of text boxes stand within others.
    paragraphs: Vec<Paragraph>,
    /// Open rows of tables within tables, with the text of their cells.
    rows: Vec<Vec<String>>,
    /// How many elements are open within one that is left out, that one included.
    left_out: usize,
    in_text: bool,
    in_run: bool,
    in_properties: bool,
    is_hidden: bool,
    /// The page that is being read, as last laid out and as told by breaks alone.
    page: Pages,
    /// For each block, where it begins.
    pages: Vec<Pages>,
}

#[derive(Clone, Copy, Debug)]
struct Pages {
    laid_out: u32,
    told: u32,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    role: Option<Role>,
    begins: Option<Pages>,
}

impl<'s> Body<'s> {
    fn new(styles: &'s Styles, notes: HashMap<String, String>) -> Self {
        Self {
            styles,
            notes,
            document: Document::default(),
            headings: Headings::default(),
            paragraphs: Vec::new(),
            rows: Vec::new(),
            left_out: 0,
            in_text: false,
            in_run: false,
            in_properties: false,
            is_hidden: false,
            page: Pages {
                laid_out: 1,
                told: 1,
            },
            pages: Vec::new(),
        }
    }

    fn read(&mut self, xml: &str) -> Result<(), ReadError> {
        let mut note = String::new();
        events(xml, |event| {
            match event {
                Part::Start(_) if self.left_out > 0 => self.left_out += 1,
                Part::End(_) if self.left_out > 0 => self.left_out -= 1,
                Part::Text(text) if self.in_text && self.left_out == 0 => self.text(text),
                Part::Text(_) => {}
                Part::Start(element) => match element.local_name().as_ref() {
                    "footnote" | "endnote" => {
                        note = note_key(element);
                        self.forget();
                    }
                    name => self.start(name, element),
                },
                Part::End("footnote" | "endnote") => {
                    let blocks = self.document.blocks.drain(..);
                    let texts: Vec<String> = blocks.map(|block| block.text).collect();
                    self.notes
                        .insert(std::mem::take(&mut note), texts.join(" "));
                }
                Part::End(name) => self.end(name),
            }
            Ok(())
        })
    }

    /// What was read of notes so far is not a part of the next one.
    fn forget(&mut self) {
        self.document.blocks.clear();
        self.paragraphs.clear();
        self.rows.clear();
    }

    fn start(&mut self, name: &str, element: &BytesStart<'_>) {
        match name {
            // The same again for old programs; text that has moved to elsewhere.
            "Fallback" | "moveFrom" | "del" => self.left_out = 1,
            "p" => self.paragraphs.push(Paragraph::default()),
            "r" => (self.in_run, self.is_hidden) = (true, false),
            "rPr" => self.in_properties = true,
            "vanish" if self.in_run && self.in_properties => self.is_hidden = is_on(element),
            "t" => self.in_text = true,
            "tab" | "ptab" if self.in_run && !self.in_properties => self.text("\t"),
            "noBreakHyphen" => self.text("-"),
            "cr" => self.text("\n"),
            "br" if attribute(element, "type").as_deref() == Some("page") => self.page.told += 1,
            "br" => self.text("\n"),
            "lastRenderedPageBreak" => self.page.laid_out += 1,
            "pageBreakBefore" if is_on(element) => self.page.told += 1,
            "pStyle" => self.style(element),
            "outlineLvl" => self.outline(element),
            "footnoteReference" | "endnoteReference" => self.note(element),
            "tr" => self.rows.push(Vec::new()),
            "tc" => {
                if let Some(cells) = self.rows.last_mut() {
                    cells.push(String::new());
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "p" => self.end_paragraph(),
            "r" => (self.in_run, self.is_hidden) = (false, false),
            "rPr" => self.in_properties = false,
            "t" => self.in_text = false,
            "tr" => self.end_row(),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.is_hidden {
            return;
        }
        let page = self.page;
        if let Some(paragraph) = self.paragraphs.last_mut() {
            if !text.trim().is_empty() {
                paragraph.begins.get_or_insert(page);
            }
            paragraph.text.push_str(text);
        }
    }

    fn style(&mut self, element: &BytesStart<'_>) {
        let role = attribute(element, "val").and_then(|id| self.styles.role(&id));
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.role = paragraph.role.or(role);
        }
    }

    /// What a paragraph says itself goes before what its style says.
    fn outline(&mut self, element: &BytesStart<'_>) {
        let role = attribute(element, "val").and_then(|level| styles::outline_role(&level));
        if let (Some(paragraph), Some(role)) = (self.paragraphs.last_mut(), role) {
            paragraph.role = Some(role);
        }
    }

    fn note(&mut self, element: &BytesStart<'_>) {
        if let Some(text) = self.notes.remove(&note_key(element)) {
            self.text(&format!(" ({text})"));
        }
    }

    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.paragraphs.pop() else {
            return;
        };
        if let Some(cell) = self.rows.last_mut().and_then(|cells| cells.last_mut()) {
            let gap = if cell.is_empty() { "" } else { " " };
            cell.extend([gap, paragraph.text.trim()]);
            return;
        }
        let text = paragraph.text.trim();
        let page = paragraph.begins.unwrap_or(self.page);
        match paragraph.role {
            Some(Role::Contents) => {}
            Some(Role::Title) if !text.is_empty() => {
                self.document.title.get_or_insert_with(|| text.to_owned());
                self.headings.open(0, text);
            }
            Some(Role::Heading(level)) if !text.is_empty() => self.headings.open(level, text),
            _ => self.push(text, page),
        }
    }

    fn end_row(&mut self) {
        let Some(cells) = self.rows.pop() else {
            return;
        };
        let filled: Vec<&str> = cells.iter().map(|cell| cell.trim()).collect();
        let text = filled.join("  ");
        match self.rows.last_mut().and_then(|outer| outer.last_mut()) {
            Some(cell) => {
                let gap = if cell.is_empty() { "" } else { " " };
                cell.extend([gap, text.trim()]);
            }
            None => self.push(&text, self.page),
        }
    }

    fn push(&mut self, text: &str, page: Pages) {
        let blocks = self.document.blocks.len();
        self.document.push(text, &self.headings, None);
        if self.document.blocks.len() > blocks {
            self.pages.push(page);
        }
    }

    /// The blocks with their pages, if the file tells any. Programs that lay out write where their
    /// pages broke; other files only know the breaks that were asked for.
    fn document(mut self) -> Document {
        let Pages { laid_out, told } = self.page;
        for (block, page) in self.document.blocks.iter_mut().zip(&self.pages) {
            block.page = match (laid_out > 1, told > 1) {
                (true, _) => Some(page.laid_out),
                (false, true) => Some(page.told),
                (false, false) => None,
            };
        }
        self.document
    }
}

fn note_key(element: &BytesStart<'_>) -> String {
    let name = element.local_name();
    let kind = if name.as_ref().starts_with("foot") {
        'f'
    } else {
        'e'
    };
    format!("{kind}{}", attribute(element, "id").unwrap_or_default())
}

#[cfg(test)]
mod tests;
