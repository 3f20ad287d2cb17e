//! The tokens of a file: their texts, their kinds and the bytes they print.

use crate::gguf::Texts;
use crate::{Error, Gguf};

/// What a token is for; numbers as in `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl TokenKind {
    fn from_number(number: u64) -> TokenKind {
        match number {
            2 => TokenKind::Unknown,
            3 => TokenKind::Control,
            4 => TokenKind::UserDefined,
            5 => TokenKind::Unused,
            6 => TokenKind::Byte,
            _ => TokenKind::Normal,
        }
    }
}

/// Printed bytes lie in one buffer, as the texts do.
#[derive(Debug)]
pub(super) struct Vocabulary {
    texts: Texts,
    pieces: Vec<u8>,
    piece_ends: Vec<usize>,
    kinds: Vec<TokenKind>,
}

impl Vocabulary {
    pub(super) fn from_gguf(gguf: &Gguf) -> Result<Vocabulary, Error> {
        let key = "tokenizer.ggml.tokens";
        let tokens = gguf.texts(key)?.ok_or_else(|| Error::MissingKey {
            path: gguf.path().to_owned(),
            key: key.to_owned(),
        })?;
        if tokens.is_empty() || u32::try_from(tokens.len()).is_err() {
            let problem = format!("{} tokens make no vocabulary", tokens.len());
            return Err(Error::malformed(gguf.path(), key, problem));
        }
        let kinds = kinds(gguf, tokens.len())?;
        Ok(Vocabulary::new(tokens.clone(), kinds))
    }

    /// Tokens of which nothing is known yet but their texts and as many kinds.
    pub(super) fn new(texts: Texts, kinds: Vec<TokenKind>) -> Vocabulary {
        Vocabulary {
            texts,
            pieces: Vec::new(),
            piece_ends: Vec::new(),
            kinds,
        }
    }

    /// Fills in what every token prints: `decode` says it for normal ones; the others print their
    /// text, or the byte they stand for.
    pub(super) fn decode_pieces(&mut self, mut decode: impl FnMut(&str, &mut Vec<u8>)) {
        let mut pieces = Vec::with_capacity(self.texts.total_bytes());
        let mut piece_ends = Vec::with_capacity(self.len());
        for (id, text) in self.iter() {
            match (self.kinds[id as usize], byte_of(text)) {
                (TokenKind::Byte, Some(byte)) => pieces.push(byte),
                (TokenKind::Normal | TokenKind::Byte | TokenKind::Unused, _) => {
                    decode(text, &mut pieces);
                }
                // "▁<PRE>" is written " <PRE>" in a text.
                (TokenKind::Control, _) if text.starts_with('▁') => {
                    decode_escaped_spaces(text, &mut pieces);
                }
                (TokenKind::Unknown | TokenKind::Control | TokenKind::UserDefined, _) => {
                    pieces.extend_from_slice(text.as_bytes());
                }
            }
            piece_ends.push(pieces.len());
        }
        (self.pieces, self.piece_ends) = (pieces, piece_ends);
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).unwrap_or_default()
    }

    pub(super) fn piece(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.piece_ends.get(id) else {
            return &[];
        };
        let start = if id == 0 { 0 } else { self.piece_ends[id - 1] };
        &self.pieces[start..end]
    }

    pub(super) fn kind(&self, id: u32) -> Option<TokenKind> {
        self.kinds.get(id as usize).copied()
    }

    pub(super) fn set_kind(&mut self, id: u32, kind: TokenKind) {
        self.kinds[id as usize] = kind;
    }

    /// Every id with its text, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..).zip(self.texts.iter())
    }
}

fn kinds(gguf: &Gguf, tokens: usize) -> Result<Vec<TokenKind>, Error> {
    let key = "tokenizer.ggml.token_type";
    let Some(numbers) = gguf.u64s(key)? else {
        return Ok(vec![TokenKind::Normal; tokens]);
    };
    if numbers.len() < tokens {
        let problem = format!("{} types for {tokens} tokens", numbers.len());
        return Err(Error::malformed(gguf.path(), key, problem));
    }
    let numbers = numbers.into_iter().take(tokens);
    Ok(numbers.map(TokenKind::from_number).collect())
}

/// The byte that a token such as `<0x0A>` stands for.
pub(super) fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u8::from_str_radix(digits, 16).ok())?
}

/// U+2581 stands for a space.
pub(super) fn decode_escaped_spaces(text: &str, piece: &mut Vec<u8>) {
    let mut parts = text.split('▁');
    piece.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        piece.push(b' ');
        piece.extend_from_slice(part.as_bytes());
    }
}
