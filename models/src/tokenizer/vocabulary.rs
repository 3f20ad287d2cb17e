//! The tokens of a file: their texts, their kinds and the bytes they print.

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

/// Texts and printed bytes lie in two buffers, as a quarter of a million small strings would take
/// several times the room.
#[derive(Debug)]
pub(super) struct Vocabulary {
    texts: String,
    text_ends: Vec<usize>,
    pieces: Vec<u8>,
    piece_ends: Vec<usize>,
    kinds: Vec<TokenKind>,
}

impl Vocabulary {
    pub(super) fn from_gguf(gguf: &Gguf) -> Result<Vocabulary, Error> {
        let key = "tokenizer.ggml.tokens";
        let tokens = gguf.strings(key)?.ok_or_else(|| Error::MissingKey {
            path: gguf.path().to_owned(),
            key: key.to_owned(),
        })?;
        if tokens.is_empty() || u32::try_from(tokens.len()).is_err() {
            let problem = format!("{} tokens make no vocabulary", tokens.len());
            return Err(Error::malformed(gguf.path(), key, problem));
        }
        let kinds = kinds(gguf, tokens.len())?;
        let mut texts = String::with_capacity(tokens.iter().map(|token| token.len()).sum());
        let mut text_ends = Vec::with_capacity(tokens.len());
        for token in tokens {
            texts.push_str(token);
            text_ends.push(texts.len());
        }
        Ok(Vocabulary {
            texts,
            text_ends,
            pieces: Vec::new(),
            piece_ends: Vec::new(),
            kinds,
        })
    }

    /// Fills in what every token prints: `decode` says it for normal ones; the others print their
    /// text, or the byte they stand for.
    pub(super) fn decode_pieces(&mut self, mut decode: impl FnMut(&str, &mut Vec<u8>)) {
        let mut pieces = Vec::with_capacity(self.texts.len());
        let mut piece_ends = Vec::with_capacity(self.len());
        for id in 0..self.len() as u32 {
            let text = self.text(id);
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
        self.text_ends.len()
    }

    pub(super) fn text(&self, id: u32) -> &str {
        match span(&self.text_ends, id) {
            Some((start, end)) => &self.texts[start..end],
            None => "",
        }
    }

    pub(super) fn piece(&self, id: u32) -> &[u8] {
        match span(&self.piece_ends, id) {
            Some((start, end)) => &self.pieces[start..end],
            None => &[],
        }
    }

    pub(super) fn kind(&self, id: u32) -> Option<TokenKind> {
        self.kinds.get(id as usize).copied()
    }

    pub(super) fn set_kind(&mut self, id: u32, kind: TokenKind) {
        self.kinds[id as usize] = kind;
    }

    /// Every id with its text, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..self.len() as u32).map(|id| (id, self.text(id)))
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

fn span(ends: &[usize], id: u32) -> Option<(usize, usize)> {
    let id = id as usize;
    let end = *ends.get(id)?;
    let start = if id == 0 { 0 } else { ends[id - 1] };
    Some((start, end))
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
