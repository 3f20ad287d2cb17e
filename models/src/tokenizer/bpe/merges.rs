//! Which two tokens become which third one, and what goes first.

use ahash::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::gguf::Texts;
use crate::tokenizer::token_ids::TokenIds;
use crate::tokenizer::vocabulary::Vocabulary;

/// Merges by their two parts.
#[derive(Debug)]
pub(super) struct MergeTable {
    table: HashTable<Merge>,
    hasher: RandomState,
}

/// Token `left` followed by token `right` becomes token `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Merge {
    left: u32,
    right: u32,
    /// Place in the file's list; lower ones go first.
    pub(super) rank: u32,
    pub(super) id: u32,
}

impl MergeTable {
    /// The merges of `lines`, each of two texts with a space between. Lines whose parts or result are no tokens have no
    /// effect; of two lines with the same parts the second counts.
    pub(super) fn new(lines: &Texts, vocabulary: &Vocabulary, ids: &TokenIds) -> MergeTable {
        let mut merges = MergeTable {
            table: HashTable::with_capacity(lines.len()),
            hasher: RandomState::new(),
        };
        let mut resolver = Resolver {
            vocabulary,
            ids,
            text: String::new(),
            last: None,
        };
        let mut unknown = 0;
        for (rank, line) in (0..).zip(lines.iter()) {
            match resolver.merge(line, rank) {
                Some(merge) => merges.insert(merge),
                None => unknown += 1,
            }
        }
        if unknown > 0 {
            let all = lines.len();
            tracing::warn!("{unknown} of {all} merges name tokens the vocabulary does not have");
        }
        merges
    }

    /// The merge of two tokens, if there is one.
    pub(super) fn get(&self, left: u32, right: u32) -> Option<Merge> {
        let key = key(left, right);
        let same = |merge: &Merge| merge.key() == key;
        self.table.find(self.hasher.hash_one(key), same).copied()
    }

    fn insert(&mut self, merge: Merge) {
        let same = |other: &Merge| other.key() == merge.key();
        let hash = |merge: &Merge| self.hasher.hash_one(merge.key());
        match self.table.entry(hash(&merge), same, hash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = merge,
            Entry::Vacant(entry) => {
                entry.insert(merge);
            }
        }
    }
}

impl Merge {
    fn key(&self) -> u64 {
        key(self.left, self.right)
    }
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// Turns lines into ids.
struct Resolver<'a> {
    vocabulary: &'a Vocabulary,
    ids: &'a TokenIds,
    text: String,
    /// What the line before made: files that list every way to make a token list them together.
    last: Option<u32>,
}

impl Resolver<'_> {
    fn merge(&mut self, line: &str, rank: u32) -> Option<Merge> {
        // A part may itself be a space, so the separator is not the first character.
        let (at, _) = line.char_indices().skip(1).find(|&(_, char)| char == ' ')?;
        let (left, right) = (&line[..at], &line[at + 1..]);
        Some(Merge {
            left: self.ids.get(self.vocabulary, left)?,
            right: self.ids.get(self.vocabulary, right)?,
            rank,
            id: self.result(left, right)?,
        })
    }

    fn result(&mut self, left: &str, right: &str) -> Option<u32> {
        if let Some(last) = self.last {
            let text = self.vocabulary.text(last);
            if text.strip_prefix(left) == Some(right) {
                return Some(last);
            }
        }
        self.text.clear();
        self.text.push_str(left);
        self.text.push_str(right);
        self.last = self.ids.get(self.vocabulary, &self.text);
        self.last
    }
}
