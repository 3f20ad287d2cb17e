//! Byte-level BPE over the pieces a pre-tokenizer makes: of all neighbours that have a merge, those whose merge comes
//! first in the file's list are joined first.

mod merges;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::convert::Infallible;

use super::byte_level;
use super::pre_tokenizer::{PreTokenizer, Splitter};
use super::token_ids::TokenIds;
use super::vocabulary::Vocabulary;
use crate::gguf::Texts;
use crate::{Error, Gguf};
use merges::MergeTable;

#[derive(Debug)]
pub(super) struct Bpe {
    splitter: Splitter,
    ids: TokenIds,
    /// The token of each byte; bytes without one are left out of texts.
    byte_ids: Box<[Option<u32>; 256]>,
    merges: MergeTable,
    /// Whether a piece that is a token is not put together by merges.
    whole_words: bool,
}

impl Bpe {
    pub(super) fn from_gguf(
        gguf: &Gguf,
        pre: &'static PreTokenizer,
        vocabulary: &Vocabulary,
    ) -> Result<Bpe, Error> {
        let key = "tokenizer.ggml.merges";
        let merges = gguf.texts(key)?.ok_or_else(|| Error::MissingKey {
            path: gguf.path().to_owned(),
            key: key.to_owned(),
        })?;
        Bpe::new(vocabulary, merges, pre).map_err(|source| Error::Compute {
            path: gguf.path().to_owned(),
            step: "building the pre-tokenizer".to_owned(),
            source: Box::new(source),
        })
    }

    fn new(
        vocabulary: &Vocabulary,
        merges: &Texts,
        pre: &'static PreTokenizer,
    ) -> Result<Bpe, regex::Error> {
        let ids = TokenIds::new(vocabulary, |_, _| true);
        let byte_id = |byte| ids.get(vocabulary, byte_level::char(byte).encode_utf8(&mut [0; 4]));
        let byte_ids = Box::new(std::array::from_fn(|byte| byte_id(byte as u8)));
        Ok(Bpe {
            splitter: Splitter::new(pre)?,
            merges: MergeTable::new(merges, vocabulary, &ids),
            byte_ids,
            ids,
            whole_words: pre.whole_words,
        })
    }

    /// `vocabulary` must be the one this was made from.
    pub(super) fn encode(&self, text: &str, vocabulary: &Vocabulary, out: &mut Vec<u32>) {
        let (mut word, mut joiner) = (String::new(), Joiner::default());
        let Ok(()) = self.splitter.split::<Infallible>(text, &mut |piece| {
            let whole = self.whole_words.then(|| {
                word.clear();
                byte_level::encode(piece, &mut word);
                self.ids.get(vocabulary, &word)
            });
            match whole.flatten() {
                Some(id) => out.push(id),
                None => self.encode_piece(piece, &mut joiner, out),
            }
            Ok(())
        });
    }

    fn encode_piece(&self, piece: &str, joiner: &mut Joiner, out: &mut Vec<u32>) {
        let ids = piece
            .bytes()
            .filter_map(|byte| self.byte_ids[byte as usize]);
        joiner.start(ids);
        joiner.join(&self.merges);
        out.extend(joiner.symbols.iter().filter_map(|symbol| symbol.id));
    }
}

/// A stretch of a piece that is one token so far; no id once joined to its left neighbour.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    id: Option<u32>,
    previous: Option<u32>,
    next: Option<u32>,
}

/// Two neighbours that could become token `id`. The least is joined first: the lowest rank, of equal ones the leftmost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Join {
    rank: u32,
    left: u32,
    id: u32,
}

/// What joining needs, kept from one piece of a text to the next.
#[derive(Debug, Default)]
struct Joiner {
    symbols: Vec<Symbol>,
    heap: BinaryHeap<Reverse<Join>>,
}

impl Joiner {
    fn start(&mut self, ids: impl Iterator<Item = u32>) {
        self.symbols.clear();
        self.symbols
            .extend((0..).zip(ids).map(|(index, id): (u32, u32)| Symbol {
                id: Some(id),
                previous: index.checked_sub(1),
                next: Some(index + 1),
            }));
        if let Some(last) = self.symbols.last_mut() {
            last.next = None;
        }
    }

    /// Joins until no two neighbours have a merge. Each join is found in a heap, so a piece of n bytes takes
    /// O(n log n) however long it is.
    fn join(&mut self, merges: &MergeTable) {
        self.heap.clear();
        for right in 1..self.symbols.len() as u32 {
            self.consider(merges, right - 1, right);
        }
        while let Some(Reverse(join)) = self.heap.pop() {
            let left = self.symbols[join.left as usize];
            let Some(right_index) = left.next else {
                continue;
            };
            let right = self.symbols[right_index as usize];
            // One of the two may have been joined to another neighbour since.
            let merge = left.id.zip(right.id).and_then(|(l, r)| merges.get(l, r));
            if merge.is_none_or(|merge| merge.id != join.id) {
                continue;
            }
            let joined = &mut self.symbols[join.left as usize];
            (joined.id, joined.next) = (Some(join.id), right.next);
            self.symbols[right_index as usize].id = None;
            if let Some(previous) = left.previous {
                self.consider(merges, previous, join.left);
            }
            if let Some(next) = right.next {
                self.symbols[next as usize].previous = Some(join.left);
                self.consider(merges, join.left, next);
            }
        }
    }

    /// Notes the merge of two neighbours, if they have one.
    fn consider(&mut self, merges: &MergeTable, left: u32, right: u32) {
        let [first, second] = [left, right].map(|index| self.symbols[index as usize].id);
        let merge = first.zip(second).and_then(|(l, r)| merges.get(l, r));
        self.heap.extend(merge.map(|merge| {
            let (rank, id) = (merge.rank, merge.id);
            Reverse(Join { rank, left, id })
        }));
    }
}

#[cfg(test)]
mod tests;
