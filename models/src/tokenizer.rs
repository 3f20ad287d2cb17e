//! Text to token ids and back, for the vocabularies GGUF files carry.
//!
//! Three kinds: byte-level BPE (`gpt2`), SentencePiece (`llama`) and WordPiece (`bert`). Results follow
//! llama.cpp's, which GGUF files are made for and tested with.

mod bpe;
mod byte_level;
mod pre_tokenizer;
mod sentencepiece;
mod special;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod token_ids;
mod vocabulary;
mod wordpiece;

use std::path::PathBuf;

pub use special::FimTokens;
pub use stream::DecodeStream;

use crate::{Error, Gguf};
use bpe::Bpe;
use sentencepiece::SentencePiece;
use special::{SpecialMatcher, SpecialTokens};
use vocabulary::{TokenKind, Vocabulary};
use wordpiece::WordPiece;

/// Whether to add the tokens that start and end a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddSpecial {
    /// As the file says: BOS and EOS, or `[CLS]` and `[SEP]`.
    Yes,
    /// Only what the text says.
    No,
}

/// What becomes of control tokens when ids are turned into text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specials {
    /// They are written as in the vocabulary, so that encoding the text finds them again.
    Keep,
    /// They are left out.
    Skip,
}

/// A vocabulary and the rules that split text into its tokens.
#[derive(Debug)]
pub struct Tokenizer {
    path: PathBuf,
    vocabulary: Vocabulary,
    special: SpecialTokens,
    matcher: SpecialMatcher,
    model: Model,
    chat_template: Option<String>,
}

#[derive(Debug)]
enum Model {
    Bpe(Bpe),
    SentencePiece(SentencePiece),
    WordPiece(WordPiece),
}

impl Tokenizer {
    /// Builds the tokenizer a file describes in its `tokenizer.ggml.*` keys.
    ///
    /// An unknown `tokenizer.ggml.pre` is logged and treated as `default`.
    ///
    /// # Errors
    /// When a key is missing or has the wrong type, or the kind of vocabulary is unknown.
    pub fn from_gguf(gguf: &Gguf) -> Result<Tokenizer, Error> {
        let kind = gguf.require_str("tokenizer.ggml.model")?;
        let mut vocabulary = Vocabulary::from_gguf(gguf)?;
        let pre = match kind {
            "gpt2" => Some(pre_tokenizer::named(gguf.str("tokenizer.ggml.pre")?)),
            _ => None,
        };
        let special = SpecialTokens::from_gguf(gguf, kind, pre, &mut vocabulary)?;
        let model = match (kind, pre) {
            ("gpt2", Some(pre)) => {
                let bpe = Bpe::from_gguf(gguf, pre, &vocabulary)?;
                vocabulary.decode_pieces(byte_level::decode);
                Model::Bpe(bpe)
            }
            ("llama", _) => {
                vocabulary.decode_pieces(vocabulary::decode_escaped_spaces);
                Model::SentencePiece(SentencePiece::from_gguf(gguf, &vocabulary, &special)?)
            }
            ("bert", _) => {
                let wordpiece = WordPiece::from_gguf(gguf, &vocabulary, &special)?;
                vocabulary.decode_pieces(wordpiece.piece_decoder());
                Model::WordPiece(wordpiece)
            }
            (other, _) => {
                return Err(Error::Tokenizer {
                    path: gguf.path().to_owned(),
                    problem: format!("vocabularies of the kind '{other}' are not supported"),
                });
            }
        };
        let matcher = SpecialMatcher::new(gguf, &vocabulary)?;
        Ok(Tokenizer {
            path: gguf.path().to_owned(),
            vocabulary,
            special,
            matcher,
            model,
            chat_template: gguf.str("tokenizer.chat_template")?.map(str::to_owned),
        })
    }

    /// Splits a text into token ids. Special tokens written out in the text become their ids; a BOS
    /// that the text already starts with is not added again.
    ///
    /// # Errors
    /// When the tokenizer library fails, which no text is known to cause.
    pub fn encode(&self, text: &str, special: AddSpecial) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 2);
        let mut rest = text;
        let mut after = None;
        while !rest.is_empty() {
            let found = self.matcher.find(rest, after.is_none());
            let plain = found.as_ref().map_or(rest, |found| &rest[..found.start]);
            if !plain.is_empty() {
                self.encode_plain(plain, after, &mut ids)?;
            }
            let Some(found) = found else { break };
            ids.push(found.id);
            rest = &rest[found.end..];
            after = Some(found.id);
        }
        if special == AddSpecial::Yes {
            if let (true, Some(bos)) = (self.adds_bos(), self.special.bos)
                && ids.first() != Some(&bos)
            {
                ids.insert(0, bos);
            }
            if let (true, Some(end)) = (self.adds_eos(), self.special.end()) {
                ids.push(end);
            }
        }
        Ok(ids)
    }

    /// Splits a text in which nothing is special: a token's name that is written out in it is text like any
    /// other. `starts`: whether a text starts here, so that vocabularies which put a space before texts do.
    ///
    /// # Errors
    /// When the tokenizer library fails, which no text is known to cause.
    pub fn encode_literal(&self, text: &str, starts: bool) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 2);
        if text.is_empty() {
            return Ok(ids);
        }
        match &self.model {
            Model::SentencePiece(sentencepiece) => {
                sentencepiece.encode(text, starts, &self.vocabulary, &mut ids);
            }
            Model::Bpe(_) | Model::WordPiece(_) => self.encode_plain(text, None, &mut ids)?,
        }
        Ok(ids)
    }

    fn encode_plain(
        &self,
        text: &str,
        after: Option<u32>,
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        match &self.model {
            Model::Bpe(bpe) => bpe.encode(text, &self.vocabulary, ids),
            Model::WordPiece(wordpiece) => {
                wordpiece
                    .encode(text, ids)
                    .map_err(|source| Error::Compute {
                        path: self.path.clone(),
                        step: "splitting a text into tokens".to_owned(),
                        source,
                    })?;
            }
            Model::SentencePiece(sentencepiece) => {
                // The space of "<PRE> text" is the one every text gets in front, not one more.
                let spaced = after.is_some_and(|id| self.vocabulary.text(id).starts_with('▁'))
                    && text.starts_with(' ');
                sentencepiece.encode(text, !spaced, &self.vocabulary, ids);
            }
        }
        Ok(())
    }

    /// The bytes a token prints; none for control tokens and for ids outside the vocabulary. The
    /// bytes of one token need not be whole characters.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        match self.vocabulary.kind(id) {
            Some(TokenKind::Normal | TokenKind::UserDefined | TokenKind::Byte) => {
                self.vocabulary.piece(id)
            }
            Some(TokenKind::Unknown | TokenKind::Control | TokenKind::Unused) | None => &[],
        }
    }

    /// A token as the vocabulary writes it; empty for ids outside the vocabulary.
    pub fn token_text(&self, id: u32) -> &str {
        self.vocabulary.text(id)
    }

    /// The id of a token as the vocabulary writes it, such as `<|im_end|>`. Searches the whole
    /// vocabulary.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        (0..self.vocab_size() as u32).find(|&id| self.vocabulary.text(id) == text)
    }

    /// The text of a whole sequence. With [`Specials::Keep`] encoding it gives a sequence of the same
    /// text; what is not UTF-8 becomes U+FFFD.
    pub fn decode(&self, ids: &[u32], specials: Specials) -> String {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        // Encoding puts a space before every piece of plain text, and that one is not part of it.
        let prefixed = match &self.model {
            Model::SentencePiece(sentencepiece) => sentencepiece.adds_space_prefix(),
            Model::WordPiece(_) => true,
            Model::Bpe(_) => false,
        };
        let mut at_start = true;
        for &id in ids {
            let piece = match specials {
                Specials::Keep => self.vocabulary.piece(id),
                Specials::Skip => self.token_bytes(id),
            };
            let plain = matches!(
                self.vocabulary.kind(id),
                Some(TokenKind::Normal | TokenKind::Byte | TokenKind::Unused)
            );
            let strip = prefixed && plain && at_start;
            bytes.extend_from_slice(match piece {
                [b' ', rest @ ..] if strip => rest,
                whole => whole,
            });
            at_start = !plain;
        }
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    /// Starts turning ids into text one by one.
    pub fn stream(&self) -> DecodeStream {
        DecodeStream::default()
    }

    /// Number of tokens; ids are below it.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The token that starts a text (`[CLS]` for WordPiece), if there is one.
    pub fn bos(&self) -> Option<u32> {
        self.special.bos
    }

    /// The token that ends a text, if there is one.
    pub fn eos(&self) -> Option<u32> {
        self.special.eos
    }

    /// Whether [`AddSpecial::Yes`] puts [`Tokenizer::bos`] in front.
    pub fn adds_bos(&self) -> bool {
        self.special.add_bos && self.special.bos.is_some()
    }

    /// Whether [`AddSpecial::Yes`] puts a token at the end: EOS, or `[SEP]`.
    pub fn adds_eos(&self) -> bool {
        self.special.end().is_some()
    }

    /// Whether a model that gives this token has said all it wants to say.
    pub fn is_end_of_generation(&self, id: u32) -> bool {
        self.special.end_of_generation.contains(&id)
    }

    /// Every token for which [`Tokenizer::is_end_of_generation`] holds, in ascending order.
    pub fn end_of_generation(&self) -> &[u32] {
        &self.special.end_of_generation
    }

    /// Whether a token is a control or unknown token, which prints nothing.
    pub fn is_special(&self, id: u32) -> bool {
        matches!(
            self.vocabulary.kind(id),
            Some(TokenKind::Control | TokenKind::Unknown)
        )
    }

    /// The tokens around a gap that the model is asked to fill, if it knows such.
    pub fn fim(&self) -> Option<FimTokens> {
        self.special.fim
    }

    /// The file's Jinja chat template, if it has one.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }
}
