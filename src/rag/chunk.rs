//! Cuts a document into chunks that fit an embedding model.
//!
//! A chunk never crosses a heading, and begins with the last sentences of the one before it under
//! the same heading, so that what stands at a cut is found from both sides. Blocks that are too
//! long are cut between sentences, sentences between words, words between letters.

use std::ops::Range;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::read::{Block, Document};

/// Bytes that a chunk may have for each of its tokens. Tokenizers take a word that is too long for them for one token,
/// and what cannot be seen for none, so that tokens alone bound no text.
const BYTES_PER_TOKEN: usize = 32;

/// Bytes that are looked at together for the ends of sentences, for which the splitter looks ahead from each mark.
const SPLIT_BYTES: usize = 512;

/// How long chunks may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// No chunk has more tokens, except a single letter that has, or more than 32 bytes for each of them.
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
    pub headings: Arc<[String]>,
    /// The page on which it begins, if the format has pages.
    pub page: Option<u32>,
    /// Where it begins in the document's plain text, in bytes.
    pub offset: usize,
}

/// The chunks of a document in reading order. `count` tells the tokens of a text. A longer text seldom has fewer, but
/// it can: a very long word may be one token, and an invisible one none.
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
    /// Its own, without those that surround every text; at least 1.
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
                headings: Arc::clone(headings),
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
        let mut bytes: usize = pieces[start..to].iter().map(Piece::bytes).sum();
        while to < pieces.len() {
            tokens += pieces[to].tokens;
            bytes += pieces[to].bytes();
            if tokens > self.limits.max_tokens || bytes > most_bytes(self.limits.max_tokens) {
                break;
            }
            to += 1;
        }
        let mut text = join(&pieces[start..to]);
        while to > end + 1 && !self.fits(&text) {
            to -= 1;
            text = join(&pieces[start..to]);
        }
        while to < pieces.len() && to - start < self.limits.max_tokens {
            let shorter = text.len();
            push(&mut text, &pieces[to]);
            if !self.fits(&text) {
                text.truncate(shorter);
                break;
            }
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
        while from < end && !self.is_within(&join(&pieces[from..end]), self.limits.overlap_tokens) {
            from += 1;
        }
        from
    }

    fn fits(&self, text: &str) -> bool {
        self.is_within(text, self.limits.max_tokens)
    }

    fn is_within(&self, text: &str, tokens: usize) -> bool {
        text.len() <= most_bytes(tokens) && (self.count)(text) <= tokens
    }

    /// The sentences of a block; of those that are too long, runs of words.
    fn pieces<'b>(&self, block: &'b Block) -> Vec<Piece<'b>> {
        let mut spans = Vec::new();
        for span in sentences(&block.text).windows(2) {
            let (at, sentence) = (span[0], &block.text[span[0]..span[1]]);
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
            let tokens = (self.count)(piece.text).saturating_sub(self.surrounding);
            piece.tokens = tokens.max(1);
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
                self.letters(text, self.letter_bounds(text, span), out);
            } else {
                out.push(span);
            }
            from = to;
        }
    }

    /// Where the letters of a word begin, and its end. One with marks upon marks, too long for a chunk, is cut too.
    fn letter_bounds(&self, text: &str, word: Range<usize>) -> Vec<usize> {
        let most = most_bytes(self.limits.max_tokens);
        let mut bounds = Vec::new();
        for (at, letter) in text[word.clone()].grapheme_indices(true) {
            let at = word.start + at;
            if letter.len() <= most {
                bounds.push(at);
            } else {
                bounds.extend(letter.char_indices().map(|(within, _)| at + within));
            }
        }
        bounds.push(word.end);
        bounds
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
            tokens: 1,
        }
    }

    /// What it adds to a text.
    fn bytes(&self) -> usize {
        self.gap.len() + self.text.len()
    }
}

/// Where sentences begin in a text, and its end. The splitter takes quadratic time where a mark of abbreviation is
/// followed by nothing but brackets or spaces, so it sees a little at a time and begins again where it last found a
/// sentence. Where it finds none, a sentence goes on.
fn sentences(text: &str) -> Vec<usize> {
    let mut bounds = vec![0];
    let mut from = 0;
    while from < text.len() {
        let to = text.floor_char_boundary(from + SPLIT_BYTES);
        let found = text[from..to].split_sentence_bound_indices().skip(1);
        let before = bounds.len();
        bounds.extend(found.map(|(at, _)| from + at));
        from = match bounds[before..].last() {
            Some(last) if to < text.len() => *last,
            _ => to,
        };
    }
    bounds.push(text.len());
    bounds
}

fn most_bytes(tokens: usize) -> usize {
    tokens.saturating_mul(BYTES_PER_TOKEN)
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
    let mut text = String::new();
    for piece in pieces {
        push(&mut text, piece);
    }
    text
}

fn push(text: &mut String, piece: &Piece) {
    if !text.is_empty() {
        text.push_str(piece.gap);
    }
    text.push_str(piece.text);
}

#[cfg(test)]
mod tests;
