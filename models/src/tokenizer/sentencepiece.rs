//! SentencePiece BPE: the two neighbours whose union has the highest score are joined first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use ahash::AHashSet;

use super::special::SpecialTokens;
use super::token_ids::TokenIds;
use super::vocabulary::{TokenKind, Vocabulary, byte_of};
use crate::{Error, Gguf};

#[derive(Debug)]
pub(super) struct SentencePiece {
    ids: TokenIds,
    /// Characters that are neighbours in some token. Where a text has two others side by side, no
    /// token can reach across, and both sides are joined on their own.
    neighbours: AHashSet<(char, char)>,
    scores: Vec<f32>,
    /// What each byte becomes when its character is in no token.
    byte_ids: Box<[Option<u32>; 256]>,
    longest_bytes: usize,
    space_prefix: bool,
}

impl SentencePiece {
    pub(super) fn from_gguf(
        gguf: &Gguf,
        vocabulary: &Vocabulary,
        special: &SpecialTokens,
    ) -> Result<SentencePiece, Error> {
        let scores = scores(gguf, vocabulary.len())?;
        let mut neighbours = AHashSet::new();
        let mut byte_ids = Box::new([special.unknown; 256]);
        let mut longest_bytes = 0;
        for (id, text) in vocabulary.iter() {
            longest_bytes = longest_bytes.max(text.len());
            match byte_token(vocabulary, id, text) {
                Some(byte) => byte_ids[byte as usize] = Some(id),
                None => neighbours.extend(text.chars().zip(text.chars().skip(1))),
            }
        }
        let is_text =
            |id, text: &str| !text.is_empty() && byte_token(vocabulary, id, text).is_none();
        let space_prefix = gguf.bool("tokenizer.ggml.add_space_prefix")?;
        Ok(SentencePiece {
            ids: TokenIds::new(vocabulary, is_text),
            neighbours,
            scores,
            byte_ids,
            longest_bytes,
            space_prefix: space_prefix.unwrap_or(true),
        })
    }

    /// Whether texts get a space in front, as the vocabulary writes words with one.
    pub(super) fn adds_space_prefix(&self) -> bool {
        self.space_prefix
    }

    /// `may_prefix`: the space of [`SentencePiece::adds_space_prefix`] is wanted here. `vocabulary` must be the one
    /// this was made from.
    pub(super) fn encode(
        &self,
        text: &str,
        may_prefix: bool,
        vocabulary: &Vocabulary,
        out: &mut Vec<u32>,
    ) {
        let mut escaped = String::with_capacity(text.len() * 2);
        if may_prefix && self.space_prefix {
            escaped.push('▁');
        }
        for char in text.chars() {
            escaped.push(if char == ' ' { '▁' } else { char });
        }
        let stretches = Stretches {
            rules: self,
            vocabulary,
        };
        let mut joiner = Joiner::default();
        let mut start = 0;
        let mut before = None;
        for (at, char) in escaped.char_indices() {
            if before.is_some_and(|before| !self.neighbours.contains(&(before, char))) {
                stretches.encode(&escaped[start..at], &mut joiner, out);
                start = at;
            }
            before = Some(char);
        }
        stretches.encode(&escaped[start..], &mut joiner, out);
    }
}

/// The byte that a byte token stands for.
fn byte_token(vocabulary: &Vocabulary, id: u32, text: &str) -> Option<u8> {
    match vocabulary.kind(id) {
        Some(TokenKind::Byte) => byte_of(text),
        _ => None,
    }
}

/// Encodes text that no token crosses the ends of.
#[derive(Clone, Copy)]
struct Stretches<'a> {
    rules: &'a SentencePiece,
    vocabulary: &'a Vocabulary,
}

impl Stretches<'_> {
    fn encode(&self, text: &str, joiner: &mut Joiner, out: &mut Vec<u32>) {
        self.join(text, joiner);
        let mut next = (!joiner.symbols.is_empty()).then_some(0);
        while let Some(index) = next {
            let symbol = &joiner.symbols[index];
            self.push_symbol(&text[symbol.start..symbol.end()], out);
            next = symbol.next;
        }
    }

    fn push_symbol(&self, text: &str, out: &mut Vec<u32>) {
        let bytes = &self.rules.byte_ids;
        match self.rules.ids.get(self.vocabulary, text) {
            Some(id) => out.push(id),
            None => out.extend(text.bytes().filter_map(|byte| bytes[byte as usize])),
        }
    }

    /// Characters, joined until no two neighbours make a token. Each join is found in a heap, so a
    /// text of n characters takes O(n log n) however long its words are.
    fn join(&self, text: &str, joiner: &mut Joiner) {
        let Joiner { symbols, heap } = joiner;
        set_characters(text, symbols);
        heap.clear();
        for right in 1..symbols.len() {
            heap.extend(self.candidate(text, symbols, right - 1, right));
        }
        while let Some(join) = heap.pop() {
            let (left, right) = (symbols[join.left], symbols[join.right]);
            // One of the two was joined to another neighbour since.
            if left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != join.bytes {
                continue;
            }
            symbols[join.left].bytes = join.bytes;
            symbols[join.left].next = right.next;
            symbols[join.right].bytes = 0;
            if let Some(next) = right.next {
                symbols[next].previous = Some(join.left);
                heap.extend(self.candidate(text, symbols, join.left, next));
            }
            if let Some(previous) = left.previous {
                heap.extend(self.candidate(text, symbols, previous, join.left));
            }
        }
    }

    fn candidate(&self, text: &str, symbols: &[Symbol], left: usize, right: usize) -> Option<Join> {
        let bytes = symbols[left].bytes + symbols[right].bytes;
        if bytes > self.rules.longest_bytes {
            return None;
        }
        let start = symbols[left].start;
        let text = &text[start..start + bytes];
        let id = self.rules.ids.get(self.vocabulary, text)?;
        Some(Join {
            score: self.rules.scores[id as usize],
            left,
            right,
            bytes,
        })
    }
}

fn scores(gguf: &Gguf, tokens: usize) -> Result<Vec<f32>, Error> {
    let key = "tokenizer.ggml.scores";
    let Some(scores) = gguf.f32s(key)? else {
        return Ok(vec![0.0; tokens]);
    };
    if scores.len() < tokens {
        let problem = format!("{} scores for {tokens} tokens", scores.len());
        return Err(Error::malformed(gguf.path(), key, problem));
    }
    Ok(scores)
}

/// A stretch of the text that is one token so far; no bytes once joined to its left neighbour.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    start: usize,
    bytes: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

impl Symbol {
    fn end(&self) -> usize {
        self.start + self.bytes
    }
}

/// What joining needs, kept from one stretch of a text to the next.
#[derive(Default)]
struct Joiner {
    symbols: Vec<Symbol>,
    heap: BinaryHeap<Join>,
}

fn set_characters(text: &str, symbols: &mut Vec<Symbol>) {
    symbols.clear();
    let starts = text.char_indices().enumerate();
    symbols.extend(starts.map(|(index, (start, char))| Symbol {
        start,
        bytes: char.len_utf8(),
        previous: index.checked_sub(1),
        next: Some(index + 1),
    }));
    if let Some(last) = symbols.last_mut() {
        last.next = None;
    }
}

/// Two neighbours that could become one token.
struct Join {
    score: f32,
    left: usize,
    right: usize,
    bytes: usize,
}

/// The greatest is joined first: the highest score, of equal ones the leftmost.
impl Ord for Join {
    fn cmp(&self, other: &Join) -> Ordering {
        let by_score = self.score.total_cmp(&other.score);
        by_score.then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Join {
    fn partial_cmp(&self, other: &Join) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Join {
    fn eq(&self, other: &Join) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Join {}
