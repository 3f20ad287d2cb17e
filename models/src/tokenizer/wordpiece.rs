//! WordPiece, as BERT uses it: words are cleaned, lower-cased and split at punctuation, then the
//! longest token that starts each rest is taken.

use tokenizers::models::wordpiece::WordPiece as WordPieceModel;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer,
};

use super::special::SpecialTokens;
use super::vocabulary::{TokenKind, Vocabulary, decode_escaped_spaces};
use crate::{Error, Gguf};

#[derive(Debug)]
pub(super) struct WordPiece {
    model: WordPieceModel,
    normalizer: BertNormalizer,
    /// Word starts are marked with U+2581, as llama.cpp's converter writes them, instead of
    /// continuations with `##`.
    marked_starts: bool,
}

impl WordPiece {
    pub(super) fn from_gguf(
        gguf: &Gguf,
        vocabulary: &Vocabulary,
        special: &SpecialTokens,
    ) -> Result<WordPiece, Error> {
        let path = gguf.path();
        let unknown = special.unknown.ok_or_else(|| Error::MissingKey {
            path: path.to_owned(),
            key: "tokenizer.ggml.unknown_token_id".to_owned(),
        })?;
        let marked_starts = vocabulary.iter().any(|(_, text)| text.starts_with('▁'));
        let unknown_text = vocabulary.text(unknown).to_owned();
        let words = vocabulary.iter().map(|(id, text)| {
            let word = match text.strip_prefix('▁') {
                _ if id == unknown => unknown_text.clone(),
                _ if !marked_starts => text.to_owned(),
                Some(start) => start.to_owned(),
                None if vocabulary.kind(id) == Some(TokenKind::Control) => text.to_owned(),
                None => format!("##{text}"),
            };
            (word, id)
        });
        let model = WordPieceModel::builder()
            .vocab::<tokenizers::models::bpe::Vocab>(words.collect())
            .unk_token(unknown_text.clone())
            .build()
            .map_err(|source| Error::Compute {
                path: path.to_owned(),
                step: "building the vocabulary".to_owned(),
                source,
            })?;
        let lowercase = gguf.bool("tokenizer.ggml.normalizer.lowercase")?;
        let strip_accents = gguf.bool("tokenizer.ggml.normalizer.strip_accents")?;
        Ok(WordPiece {
            model,
            normalizer: BertNormalizer::new(true, true, strip_accents, lowercase.unwrap_or(true)),
            marked_starts,
        })
    }

    /// How a token prints: a word with a space in front, a continuation without.
    pub(super) fn piece_decoder(&self) -> fn(&str, &mut Vec<u8>) {
        if self.marked_starts {
            return decode_escaped_spaces;
        }
        |token, piece| match token.strip_prefix("##") {
            Some(continuation) => piece.extend_from_slice(continuation.as_bytes()),
            None => {
                piece.push(b' ');
                piece.extend_from_slice(token.as_bytes());
            }
        }
    }

    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) -> tokenizers::Result<()> {
        let mut normalized = NormalizedString::from(text);
        self.normalizer.normalize(&mut normalized)?;
        let mut words = PreTokenizedString::from(normalized);
        BertPreTokenizer.pre_tokenize(&mut words)?;
        for (word, _, _) in words.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            ids.extend(self.model.tokenize(word)?.into_iter().map(|token| token.id));
        }
        Ok(())
    }
}
