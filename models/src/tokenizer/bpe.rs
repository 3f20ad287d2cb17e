//! Byte-level BPE over the pieces a pre-tokenizer makes.

use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Merges, Vocab};

use super::byte_level;
use super::pre_tokenizer::{PreTokenizer, Splitter};
use crate::{Error, Gguf};

#[derive(Debug)]
pub(super) struct Bpe {
    splitter: Splitter,
    model: BPE,
}

impl Bpe {
    pub(super) fn from_gguf(gguf: &Gguf, pre: &'static PreTokenizer) -> Result<Bpe, Error> {
        let failed = |step: &str, source| Error::Compute {
            path: gguf.path().to_owned(),
            step: step.to_owned(),
            source,
        };
        let splitter = Splitter::new(pre)
            .map_err(|source| failed("building the pre-tokenizer", Box::new(source) as Box<_>))?;
        let tokens = gguf.strings("tokenizer.ggml.tokens")?.unwrap_or_default();
        let key = "tokenizer.ggml.merges";
        let merges = gguf.strings(key)?.ok_or_else(|| Error::MissingKey {
            path: gguf.path().to_owned(),
            key: key.to_owned(),
        })?;
        let vocab = || -> Vocab {
            let ids = tokens.iter().zip(0..);
            ids.map(|(&token, id)| (token.to_owned(), id)).collect()
        };
        let build = |vocab, merges| {
            BPE::builder()
                .vocab_and_merges(vocab, merges)
                .ignore_merges(pre.whole_words)
                // Its cache belongs to the thread and would outlive the model.
                .cache_capacity(0)
                .build()
        };
        // Looking every merge up takes as long as building, so only a table that fails is cleaned.
        let model = match build(vocab(), split_merges(&merges, &tokens)) {
            Ok(model) => model,
            Err(_) => {
                let (vocab, merges) = (vocab(), split_merges(&merges, &tokens));
                let merges = known_merges(merges, &vocab);
                build(vocab, merges).map_err(|source| failed("building the merge table", source))?
            }
        };
        Ok(Bpe { splitter, model })
    }

    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) -> tokenizers::Result<()> {
        let mut word = String::new();
        self.splitter.split(text, &mut |piece| {
            word.clear();
            byte_level::encode(piece, &mut word);
            ids.extend(
                self.model
                    .tokenize(&word)?
                    .into_iter()
                    .map(|token| token.id),
            );
            Ok(())
        })
    }
}

/// Both parts of every merge, without those that make a longer text than any token is: the library
/// has no room for them.
fn split_merges(merges: &[&str], tokens: &[&str]) -> Merges {
    let longest = tokens.iter().map(|token| token.len()).max().unwrap_or(0);
    let parts = merges.iter().filter_map(|merge| {
        // A part may itself be a space, so the separator is not the first character.
        let (at, _) = merge
            .char_indices()
            .skip(1)
            .find(|&(_, char)| char == ' ')?;
        let (left, right) = (&merge[..at], &merge[at + 1..]);
        (left.len() + right.len() <= longest).then(|| (left.to_owned(), right.to_owned()))
    });
    parts.collect()
}

/// Merges whose parts and result are all in the vocabulary; the library refuses any other.
fn known_merges(merges: Merges, vocab: &Vocab) -> Merges {
    let all = merges.len();
    let known: Merges = merges
        .into_iter()
        .filter(|(left, right)| {
            vocab.contains_key(left)
                && vocab.contains_key(right)
                && vocab.contains_key(&format!("{left}{right}"))
        })
        .collect();
    tracing::warn!(
        "{} of {all} merges name tokens the vocabulary does not have",
        all - known.len()
    );
    known
}
