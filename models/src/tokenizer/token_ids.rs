//! The ids of token texts, found by hash.

use ahash::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::vocabulary::Vocabulary;

/// Holds ids only: the texts are compared where they lie, in the vocabulary this was made from.
#[derive(Debug)]
pub(super) struct TokenIds {
    table: HashTable<u32>,
    hasher: RandomState,
}

impl TokenIds {
    /// The tokens of `vocabulary` for which `wanted` holds; of several with one text the last.
    pub(super) fn new(vocabulary: &Vocabulary, wanted: impl Fn(u32, &str) -> bool) -> TokenIds {
        let mut ids = TokenIds {
            table: HashTable::with_capacity(vocabulary.len()),
            hasher: RandomState::new(),
        };
        for (id, text) in vocabulary.iter().filter(|&(id, text)| wanted(id, text)) {
            let same = |&other: &u32| vocabulary.text(other) == text;
            let hash = |&other: &u32| ids.hasher.hash_one(vocabulary.text(other));
            match ids.table.entry(ids.hasher.hash_one(text), same, hash) {
                Entry::Occupied(mut entry) => *entry.get_mut() = id,
                Entry::Vacant(entry) => {
                    entry.insert(id);
                }
            }
        }
        ids
    }

    /// The id of `text`; `vocabulary` must be the one this was made from.
    pub(super) fn get(&self, vocabulary: &Vocabulary, text: &str) -> Option<u32> {
        let same = |&id: &u32| vocabulary.text(id) == text;
        self.table.find(self.hasher.hash_one(text), same).copied()
    }
}
