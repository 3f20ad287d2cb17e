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
        let vocab: Vocab = tokens
            .iter()
            .zip(0..)
            .map(|(&token, id)| (token.to_owned(), id))
            .collect();
        let merges = usable_merges(&merges, &vocab);
        let model = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .ignore_merges(pre.whole_words)
            // Its cache belongs to the thread and would outlive the model.
            .cache_capacity(0)
            .build()
            .map_err(|source| failed("building the merge table", source))?;
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

/// Merges whose parts and result are all in the vocabulary; the library refuses, or even panics on,
/// a table with any other.
fn usable_merges(merges: &[&str], vocab: &Vocab) -> Merges {
    let mut whole = String::new();
    let mut usable = Vec::with_capacity(merges.len());
    for merge in merges {
        // A part may itself be a space, so the separator is not the first character.
        let separator = merge.char_indices().skip(1).find(|&(_, char)| char == ' ');
        let Some((at, _)) = separator else { continue };
        let (left, right) = (&merge[..at], &merge[at + 1..]);
        whole.clear();
        whole.push_str(left);
        whole.push_str(right);
        if vocab.contains_key(&whole) && vocab.contains_key(left) && vocab.contains_key(right) {
            usable.push((left.to_owned(), right.to_owned()));
        }
    }
    if usable.len() < merges.len() {
        tracing::warn!(
            "{} of {} merges name tokens the vocabulary does not have",
            merges.len() - usable.len(),
            merges.len()
        );
    }
    usable
}
