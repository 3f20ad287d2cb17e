//! Cuts a document into chunks that fit an embedding model.
//!
//! A chunk never crosses a heading, and begins with the last sentences of the one before it under
//! the same heading, so that what stands at a cut is found from both sides. Blocks that are too
//! long are cut between sentences, sentences between words, words between letters.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::read::{Block, Document};

/// How long chunks may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// No chunk has more tokens, except a single letter that has.
    pub max_tokens: usize,
    /// At most this many are repeated from the chunk before.
    pub overlap_tokens: usize,
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its text, the repeated part included.
    pub text: String,
    /// The tokens of `text`.
    pub tokens: usize,
    /// The headings that it stands under, outermost first.
    pub headings: Vec<String>,
    /// The page on which it begins, if the format has pages.
    pub page: Option<u32>,
    /// Where it begins in the document's plain text, in bytes.
    pub offset: usize,
}

/// The chunks of a document in reading order. `count` tells the tokens of a text; a longer text
/// never has fewer.
pub fn chunks(document: &Document, limits: Limits, count: impl Fn(&str) -> usize) -> Vec<Chunk> {
    let mut out = Vec::new();
    let packer = Packer {
        limits,
        surrounding: count(""),
        count: &count,
    };
    let sections = document.blocks.chunk_by(|a, b| a.headings == b.headings);
    for section in sections {
        packer.section(section, &mut out);
    }
    out
}

/// A sentence or less, with the line end or space before it.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    gap: &'static str,
    page: Option<u32>,
    offset: usize,
    /// Its own, without those that surround every text.
    tokens: usize,
}

struct Packer<'a, Count> {
    limits: Limits,
    /// Tokens that every text has, such as those that mark its ends.
    surrounding: usize,
    count: &'a Count,
}

impl<Count: Fn(&str) -> usize> Packer<'_, Count> {
    fn section(&self, blocks: &[Block], out: &mut Vec<Chunk>) {
        let headings = &blocks[0].headings;
        let pieces: Vec<Piece> = blocks.iter().flat_map(|block| self.pieces(block)).collect();
        let mut start = 0;
        let mut end = 0;
        while end < pieces.len() {
            // What is repeated must leave room for something new.
            while start < end && !self.fits(&join(&pieces[start..=end])) {
                start += 1;
            }
            let (text, to) = self.fill(&pieces, start, end);
            end = to;
            out.push(Chunk {
                tokens: (self.count)(&text),
                text,
                headings: headings.to_vec(),
                page: pieces[start].page,
                offset: pieces[start].offset,
            });
            start = self.overlap(&pieces, start, end);
        }
    }

    /// The longest text from `start` on that fits, with the piece at `end` in any case, and where
    /// it ends. The sum of the pieces' tokens is close to those of the text, so that few texts
    /// have to be counted.
    fn fill(&self, pieces: &[Piece], start: usize, end: usize) -> (String, usize) {
        let mut to = end + 1;
        let mut tokens = self.surrounding + sum(&pieces[start..to]);
        while to < pieces.len() && tokens + pieces[to].tokens <= self.limits.max_tokens {
            tokens += pieces[to].tokens;
            to += 1;
        }
        let mut text = join(&pieces[start..to]);
        while to > end + 1 && !self.fits(&text) {
            to -= 1;
            text = join(&pieces[start..to]);
        }
        while to < pieces.len() {
            let longer = with(&text, &pieces[to]);
            if !self.fits(&longer) {
                break;
            }
            text = longer;
            to += 1;
        }
        (text, to)
    }

    /// Where the next chunk begins so that it repeats no more than allowed.
    fn overlap(&self, pieces: &[Piece], start: usize, end: usize) -> usize {
        let mut from = end;
        let mut tokens = self.surrounding;
        while from > start + 1 && tokens + pieces[from - 1].tokens <= self.limits.overlap_tokens {
            from -= 1;
            tokens += pieces[from].tokens;
        }
        while from < end && (self.count)(&join(&pieces[from..end])) > self.limits.overlap_tokens {
            from += 1;
        }
        from
    }

    fn fits(&self, text: &str) -> bool {
        (self.count)(text) <= self.limits.max_tokens
    }

    /// The sentences of a block; of those that are too long, runs of words.
    fn pieces<'b>(&self, block: &'b Block) -> Vec<Piece<'b>> {
        let mut spans = Vec::new();
        for (at, sentence) in block.text.split_sentence_bound_indices() {
            if self.fits(sentence.trim()) {
                spans.push(at..at + sentence.len());
            } else {
                let words = sentence
                    .split_word_bound_indices()
                    .map(|(from, _)| at + from);
                self.words(
                    &block.text,
                    words.chain([at + sentence.len()]).collect(),
                    &mut spans,
                );
            }
        }
        let pieces = spans.into_iter().map(|span| {
            let mut piece = Piece::new(block, span);
            piece.tokens = (self.count)(piece.text).saturating_sub(self.surrounding);
            piece
        });
        pieces.filter(|piece| !piece.text.is_empty()).collect()
    }

    /// Adds runs of words that fit; of words that are too long, runs of letters.
    fn words(&self, text: &str, bounds: Vec<usize>, out: &mut Vec<Range<usize>>) {
        let mut from = 0;
        while from + 1 < bounds.len() {
            let to = self.longest(text, &bounds, from);
            let span = bounds[from]..bounds[to];
            if to == from + 1 && !self.fits(text[span.clone()].trim()) {
                let letters = text[span.clone()].grapheme_indices(true);
                let letters = letters.map(|(at, _)| span.start + at);
                self.letters(text, letters.chain([span.end]).collect(), out);
            } else {
                out.push(span);
            }
            from = to;
        }
    }

    fn letters(&self, text: &str, bounds: Vec<usize>, out: &mut Vec<Range<usize>>) {
        let mut from = 0;
        while from + 1 < bounds.len() {
            let to = self.longest(text, &bounds, from);
            out.push(bounds[from]..bounds[to]);
            from = to;
        }
    }

    /// The furthest bound after `from` up to which the text fits, at least the next one. Steps
    /// double and then halve, so that the time depends on what fits and not on what is left.
    fn longest(&self, text: &str, bounds: &[usize], from: usize) -> usize {
        let fits = |to: usize| self.fits(text[bounds[from]..bounds[to]].trim());
        let last = bounds.len() - 1;
        let (mut good, mut step) = (from + 1, 1);
        while good + step <= last && fits(good + step) {
            good += step;
            step *= 2;
        }
        let mut bad = (good + step).min(last + 1);
        while bad - good > 1 {
            let middle = good.midpoint(bad);
            if fits(middle) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        good
    }
}

impl<'a> Piece<'a> {
    fn new(block: &'a Block, span: Range<usize>) -> Self {
        let text = &block.text[span.clone()];
        let at = span.end - text.trim_start().len();
        Self {
            text: text.trim(),
            gap: gap(&block.text[..at]),
            page: block.page,
            offset: block.offset + at,
            tokens: 0,
        }
    }
}

/// What stood before a piece: nothing within a word, a line end, or a space.
fn gap(before: &str) -> &'static str {
    match before.chars().next_back() {
        None | Some('\n') => "\n",
        Some(c) if c.is_whitespace() => " ",
        Some(_) => "",
    }
}

fn sum(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.tokens).sum()
}

fn join(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .fold(String::new(), |text, piece| with(&text, piece))
}

fn with(text: &str, piece: &Piece) -> String {
    if text.is_empty() {
        piece.text.to_owned()
    } else {
        [text, piece.gap, piece.text].concat()
    }
}

#[cfg(test)]
mod tests;
