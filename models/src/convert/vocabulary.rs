//! The WordPiece vocabulary of a folder, as GGUF files hold it: word starts marked with U+2581 in
//! place of continuations marked with `##`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::config::read_json;
use crate::Error;

/// Tokens in the order of their ids, and the ids of those with a meaning of their own.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) tokens: Vec<String>,
    /// Numbers of `tokenizer.ggml.token_type`.
    pub(super) kinds: Vec<i32>,
    pub(super) class: u32,
    pub(super) separator: u32,
    pub(super) unknown: u32,
    pub(super) padding: Option<u32>,
    pub(super) mask: Option<u32>,
    pub(super) lowercase: Option<bool>,
    pub(super) strip_accents: Option<bool>,
}

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

#[derive(Deserialize)]
struct TokenizerFile {
    model: WordPieceModel,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Normalizer>,
}

#[derive(Deserialize)]
struct WordPieceModel {
    #[serde(default)]
    r#type: Option<String>,
    vocab: HashMap<String, u32>,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    special: bool,
}

#[derive(Default, Deserialize)]
struct Normalizer {
    lowercase: Option<bool>,
    strip_accents: Option<bool>,
}

impl Words {
    /// Reads `tokenizer.json`, or else `vocab.txt`. There are `rows` tokens, as the embedding has;
    /// ids that no token has are filled with unused ones.
    pub(super) fn read(dir: &Path, rows: usize) -> Result<Words, Error> {
        let json = dir.join("tokenizer.json");
        let source = if json.is_file() {
            Source::from_json(json)?
        } else {
            Source::from_text(dir.join("vocab.txt"))?
        };
        source.into_words(rows)
    }
}

/// A vocabulary as its file has it.
struct Source {
    path: PathBuf,
    words: Vec<(String, u32)>,
    added: Vec<AddedToken>,
    normalizer: Normalizer,
}

impl Source {
    fn from_json(path: PathBuf) -> Result<Source, Error> {
        let file: TokenizerFile = read_json(&path)?;
        if file
            .model
            .r#type
            .as_deref()
            .is_some_and(|kind| kind != "WordPiece")
        {
            let problem = "only WordPiece vocabularies can be converted";
            return Err(Error::malformed(&path, "model.type", problem));
        }
        Ok(Source {
            path,
            words: file.model.vocab.into_iter().collect(),
            added: file.added_tokens,
            normalizer: file.normalizer.unwrap_or_default(),
        })
    }

    fn from_text(path: PathBuf) -> Result<Source, Error> {
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let words: Vec<_> = text.lines().map(str::to_owned).zip(0..).collect();
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let added = words
            .iter()
            .filter(|(word, _)| special.contains(&word.as_str()));
        let added = added.map(|(word, id)| AddedToken {
            id: *id,
            content: word.clone(),
            special: true,
        });
        Ok(Source {
            path,
            added: added.collect(),
            words,
            normalizer: Normalizer::default(),
        })
    }

    fn into_words(self, rows: usize) -> Result<Words, Error> {
        let Source {
            path,
            words,
            added,
            normalizer,
        } = self;
        let highest = words
            .iter()
            .map(|(_, id)| *id)
            .chain(added.iter().map(|token| token.id));
        let needed = highest.max().map_or(0, |id| id as usize + 1);
        // Checked before anything of that size is made; the checkpoint proves `rows` later.
        if needed > rows || rows > MAX_TOKENS {
            let problem = format!("has ids up to {needed}, the embedding has {rows} rows");
            return Err(Error::malformed(&path, "vocabulary", problem));
        }
        let mut tokens: Vec<String> = (0..rows).map(|id| format!("[PAD{id}]")).collect();
        let mut kinds = vec![UNUSED; rows];
        for (word, id) in words {
            tokens[id as usize] = marked(&word);
            kinds[id as usize] = NORMAL;
        }
        for token in &added {
            tokens[token.id as usize].clone_from(&token.content);
            kinds[token.id as usize] = if token.special { CONTROL } else { USER_DEFINED };
        }
        let find = |text: &str| {
            let id = tokens.iter().position(|token| token == text);
            id.and_then(|id| u32::try_from(id).ok())
        };
        let require = |text: &str| {
            find(text).ok_or_else(|| {
                Error::malformed(&path, "vocabulary", format!("has no token '{text}'"))
            })
        };
        Ok(Words {
            class: require("[CLS]")?,
            separator: require("[SEP]")?,
            unknown: require("[UNK]")?,
            padding: find("[PAD]"),
            mask: find("[MASK]"),
            lowercase: normalizer.lowercase,
            strip_accents: normalizer.strip_accents,
            tokens,
            kinds,
        })
    }
}

/// Far more than any WordPiece vocabulary has.
const MAX_TOKENS: usize = 4_000_000;

/// `##ing` -> `ing`, `play` -> `▁play`; tokens in brackets stay.
fn marked(word: &str) -> String {
    if word.starts_with('[') && word.ends_with(']') {
        word.to_owned()
    } else if let Some(continuation) = word.strip_prefix("##") {
        continuation.to_owned()
    } else {
        format!("▁{word}")
    }
}
