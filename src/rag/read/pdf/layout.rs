//! Lines of pages to paragraphs, headings and rows.
//!
//! Lines come in the order in which they were drawn, which is the order of reading in all but odd
//! files, columns included. Where a paragraph ends is told by gaps, indents and short last lines;
//! what is a heading, by size and weight; what is a running head, by its coming again in the same
//! place on page after page. Numbers that stand alone at an edge of a page and tables of contents,
//! whose lines lead to numbers by dots, go as well.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use regex::Regex;

use super::page::Line;
use crate::rag::read::{Document, Headings};

/// Lines at the top and at the bottom of a page that may be running heads.
const EDGE_LINES: usize = 3;

/// A head comes again on so many pages at least, and on three tenths of them.
const HEAD_PAGES: usize = 3;

/// Headings are no longer.
const MOST_HEADING_BYTES: usize = 160;

/// Sizes of headings that are told apart.
const MOST_LEVELS: usize = 5;

pub(super) fn document(pages: &[Vec<Line>]) -> Document {
    let heads = Heads::of(pages);
    let kept: Vec<Vec<&Line>> = pages.iter().map(|page| kept(page, &heads)).collect();
    let measure = Measure::of(&kept);
    let mut paragraphs = Vec::new();
    for (page, lines) in (1..).zip(&kept) {
        for line in lines {
            add(&mut paragraphs, line, page, &measure);
        }
    }
    blocks(&paragraphs, &measure)
}

/// The lines of a page that are its own text.
fn kept<'a>(page: &'a [Line], heads: &Heads) -> Vec<&'a Line> {
    let mut heights: Vec<f64> = page.iter().map(|line| line.height).collect();
    heights.sort_by(f64::total_cmp);
    let is_own =
        |line: &&Line| is_text(line) && !heads.contain(line) && !is_page_number(&heights, line);
    page.iter().filter(is_own).collect()
}

/// Whether a line says something that can be told.
fn is_text(line: &Line) -> bool {
    let letters = line.text.chars().filter(|c| !c.is_whitespace());
    let (mut known, mut unknown) = (0, 0);
    for c in letters {
        match c {
            char::REPLACEMENT_CHARACTER => unknown += 1,
            _ => known += 1,
        }
    }
    known > 2 * unknown && !is_contents(&line.text)
}

/// Whether dots lead from the text to a number.
fn is_contents(text: &str) -> bool {
    static LEADER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:[.:·…_]\s?){5,}\s*(?:[0-9]+|[ivxlc]+)\s*$").expect("the pattern is fixed")
    });
    LEADER.is_match(text)
}

/// Whether a line stands alone at the top or the bottom of its page and is nothing but a number.
/// `heights`: of all lines of the page, ascending.
fn is_page_number(heights: &[f64], line: &Line) -> bool {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[-–—\s]*(?:[0-9]{1,4}|[ivxlc]{1,7})[-–—\s]*$").expect("the pattern is fixed")
    });
    if !NUMBER.is_match(&line.text) {
        return false;
    }
    let is_far = |next: f64| (line.height - next).abs() >= 1.6 * line.size;
    match heights {
        [_] => false,
        [lowest, next, ..] if line.height <= *lowest => is_far(*next),
        [.., next, highest] if line.height >= *highest => is_far(*next),
        _ => false,
    }
}

/// What stands in the same place on many pages.
struct Heads {
    pages: HashMap<(String, i64), usize>,
    least: usize,
}

impl Heads {
    fn of(pages: &[Vec<Line>]) -> Self {
        let mut found: HashMap<_, usize> = HashMap::new();
        for page in pages {
            let mut by_height: Vec<&Line> = page.iter().collect();
            by_height.sort_by(|a, b| a.height.total_cmp(&b.height));
            let top = by_height.iter().rev().take(EDGE_LINES);
            let mut keys: Vec<_> = by_height
                .iter()
                .take(EDGE_LINES)
                .chain(top)
                .map(|line| key(line))
                .collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                *found.entry(key).or_default() += 1;
            }
        }
        let least = HEAD_PAGES.max((pages.len() * 3).div_ceil(10));
        found.retain(|_, count| *count >= least);
        Self {
            pages: found,
            least,
        }
    }

    fn contain(&self, line: &Line) -> bool {
        self.pages
            .get(&key(line))
            .is_some_and(|count| *count >= self.least)
    }
}

/// The text of a line with every number the same, and where it stands.
fn key(line: &Line) -> (String, i64) {
    let mut text = String::new();
    for c in line.text.trim().chars() {
        match c {
            c if c.is_numeric() && text.ends_with('#') => {}
            c if c.is_numeric() => text.push('#'),
            c if c.is_whitespace() => {}
            c => text.push(c),
        }
    }
    (text, (line.height / 8.0).round() as i64)
}

/// What is usual in a file.
struct Measure {
    /// The size of most letters.
    size: f64,
    /// From line to line within paragraphs, in sizes.
    leading: f64,
    is_bold: bool,
}

impl Measure {
    fn of(pages: &[Vec<&Line>]) -> Self {
        let mut sizes: BTreeMap<i64, usize> = BTreeMap::new();
        let (mut letters, mut bold) = (0, 0);
        let mut leadings = Vec::new();
        for page in pages {
            for line in page {
                *sizes.entry(half_points(line.size)).or_default() += line.letters;
                letters += line.letters;
                bold += line.bold;
            }
            for pair in page.windows(2) {
                let leading = (pair[0].height - pair[1].height) / pair[0].size;
                if is_alike(pair[0], pair[1]) && (0.8..3.0).contains(&leading) {
                    leadings.push(leading);
                }
            }
        }
        leadings.sort_by(f64::total_cmp);
        let most = sizes.iter().max_by_key(|(_, letters)| **letters);
        Self {
            size: most.map_or(10.0, |(size, _)| *size as f64 / 2.0),
            // Gaps between paragraphs are fewer than lines.
            leading: leadings.get(leadings.len() / 3).copied().unwrap_or(1.2),
            is_bold: bold * 2 > letters,
        }
    }
}

fn half_points(size: f64) -> i64 {
    (size * 2.0).round() as i64
}

fn is_alike(a: &Line, b: &Line) -> bool {
    let is_bold = |line: &Line| line.bold * 2 > line.letters;
    a.turns == b.turns
        && (a.size - b.size).abs() <= 0.12 * a.size.max(b.size)
        && is_bold(a) == is_bold(b)
}

struct Paragraph<'a> {
    text: String,
    page: u32,
    last: &'a Line,
    last_page: u32,
    /// How far its longest line reaches.
    to: f64,
    lines: usize,
    letters: usize,
    bold: usize,
}

/// Adds a line to the last paragraph, or begins one with it.
fn add<'a>(paragraphs: &mut Vec<Paragraph<'a>>, line: &'a Line, page: u32, measure: &Measure) {
    match paragraphs.last_mut() {
        Some(paragraph) if goes_on(paragraph, line, page, measure) => {
            join(&mut paragraph.text, line.text.trim());
            paragraph.to = paragraph.to.max(line.to);
            paragraph.lines += 1;
            paragraph.letters += line.letters;
            paragraph.bold += line.bold;
            (paragraph.last, paragraph.last_page) = (line, page);
        }
        _ => paragraphs.push(Paragraph {
            text: line.text.trim().to_owned(),
            page,
            last: line,
            last_page: page,
            to: line.to,
            lines: 1,
            letters: line.letters,
            bold: line.bold,
        }),
    }
}

fn goes_on(paragraph: &Paragraph<'_>, line: &Line, page: u32, measure: &Measure) -> bool {
    let last = paragraph.last;
    let is_row = |line: &Line| line.text.trim().contains("  ");
    if !is_alike(last, line) || is_row(last) || is_row(line) || is_item(&line.text) {
        return false;
    }
    let is_ended = paragraph
        .text
        .ends_with(['.', '!', '?', ':', '”', '"', '»', ')']);
    let begins_within = line.text.trim().starts_with(|c: char| c.is_lowercase());
    let down = (last.height - line.height) / line.size;
    if page != paragraph.last_page || down < 0.3 {
        // At the top of the next page or column.
        return !is_ended && begins_within;
    }
    if down > 1.3 * measure.leading {
        return false;
    }
    let is_short = last.to - last.from < 0.75 * (paragraph.to - last.from);
    let is_indented = line.from > last.from + 0.8 * line.size;
    !(is_ended && (is_indented || is_short))
}

/// Whether a line begins an item of a list.
fn is_item(text: &str) -> bool {
    let text = text.trim_start();
    if text.starts_with(['•', '◦', '▪', '‣', '●', '■', '\u{f0b7}', '\u{f0a7}']) {
        return true;
    }
    let (mark, rest) = text.split_once(' ').unwrap_or((text, ""));
    let number = mark.trim_start_matches('(').trim_end_matches(['.', ')']);
    let is_numbered = number.len() < mark.len()
        && matches!(number.len(), 1..=3)
        && number.chars().all(|c| c.is_ascii_digit());
    !rest.is_empty() && (matches!(mark, "-" | "–" | "*") || is_numbered)
}

/// Words that were divided at the end of a line become whole.
fn join(text: &mut String, line: &str) {
    let is_divided = text.ends_with('\u{ad}')
        || text.strip_suffix(['-', '\u{2010}']).is_some_and(|word| {
            word.ends_with(char::is_lowercase) && line.starts_with(char::is_lowercase)
        });
    if is_divided {
        text.pop();
    } else if !text.ends_with(['-', '\u{2010}', '/']) {
        text.push(' ');
    }
    text.push_str(line);
}

fn blocks(paragraphs: &[Paragraph<'_>], measure: &Measure) -> Document {
    let mut sizes: Vec<i64> = paragraphs
        .iter()
        .filter(|paragraph| is_large(paragraph, measure))
        .map(|paragraph| half_points(paragraph.last.size))
        .collect();
    sizes.sort_by(|a, b| b.cmp(a));
    sizes.dedup();
    sizes.truncate(MOST_LEVELS);
    let level = |paragraph: &Paragraph<'_>| {
        if is_large(paragraph, measure) {
            let size = half_points(paragraph.last.size);
            let at = sizes.iter().position(|known| *known <= size);
            return Some(at.unwrap_or(sizes.len()) as u8 + 1);
        }
        is_bold(paragraph, measure).then_some(sizes.len() as u8 + 2)
    };
    let mut document = Document::default();
    let mut headings = Headings::default();
    // A heading that nothing stands under is text like any other.
    let mut bare: Option<(u8, &Paragraph<'_>)> = None;
    for paragraph in paragraphs {
        let level = level(paragraph);
        if let (Some((over, heading)), Some(level)) = (bare, level)
            && level <= over
        {
            document.push(&heading.text, &headings, Some(heading.page));
        }
        match level {
            Some(level) => {
                headings.open(level, &paragraph.text);
                bare = Some((level, paragraph));
            }
            None => {
                document.push(&visible(&paragraph.text), &headings, Some(paragraph.page));
                bare = None;
            }
        }
    }
    if let Some((_, heading)) = bare {
        document.push(&heading.text, &headings, Some(heading.page));
    }
    document
}

/// Without code points that only the file's own fonts know.
fn visible(text: &str) -> String {
    let is_private = |c: char| matches!(c, '\u{e000}'..='\u{f8ff}' | char::REPLACEMENT_CHARACTER);
    text.replace(['\u{f0b7}', '\u{f0a7}'], "•")
        .replace(is_private, "")
}

fn could_be_heading(paragraph: &Paragraph<'_>) -> bool {
    let text = paragraph.text.as_str();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    letters >= 2
        && text.len() <= MOST_HEADING_BYTES
        && paragraph.lines <= 3
        && !text.ends_with(['.', ',', ';'])
        && !text.contains("  ")
}

fn is_large(paragraph: &Paragraph<'_>, measure: &Measure) -> bool {
    paragraph.last.size >= 1.15 * measure.size && could_be_heading(paragraph)
}

fn is_bold(paragraph: &Paragraph<'_>, measure: &Measure) -> bool {
    !measure.is_bold
        && paragraph.bold == paragraph.letters
        && paragraph.lines == 1
        && paragraph.last.size >= 0.95 * measure.size
        && could_be_heading(paragraph)
}
