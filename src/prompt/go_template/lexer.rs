//! Template text to tokens, after the lexical rules of Go's `text/template`.

use super::GoTemplateError;

/// One token and the line it starts on, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

/// What a token is. Names carry no leading dot; variables keep their `$`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Text(String),
    Open,
    Close,
    Space,
    Ident(String),
    Field(String),
    Variable(String),
    Keyword(Keyword),
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Pipe,
    OpenParen,
    CloseParen,
    Declare,
    Assign,
    Comma,
    End,
}

/// Words that begin a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

impl Keyword {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "block" => Self::Block,
            "break" => Self::Break,
            "continue" => Self::Continue,
            "define" => Self::Define,
            "else" => Self::Else,
            "end" => Self::End,
            "if" => Self::If,
            "range" => Self::Range,
            "template" => Self::Template,
            "with" => Self::With,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Open => f.write_str("\"{{\""),
            Self::Close => f.write_str("\"}}\""),
            Self::Space => f.write_str("space"),
            Self::Ident(name) => write!(f, "\"{name}\""),
            Self::Field(name) => write!(f, "<.{name}>"),
            Self::Variable(name) => write!(f, "\"{name}\""),
            Self::Keyword(word) => write!(f, "<{}>", format!("{word:?}").to_lowercase()),
            Self::Dot => f.write_str("<.>"),
            Self::Nil => f.write_str("<nil>"),
            Self::Bool(value) => write!(f, "\"{value}\""),
            Self::Int(value) => write!(f, "\"{value}\""),
            Self::Float(value) => write!(f, "\"{value}\""),
            Self::Str(text) => write!(f, "{text:?}"),
            Self::Pipe => f.write_str("\"|\""),
            Self::OpenParen => f.write_str("\"(\""),
            Self::CloseParen => f.write_str("\")\""),
            Self::Declare => f.write_str("\":=\""),
            Self::Assign => f.write_str("\"=\""),
            Self::Comma => f.write_str("\",\""),
            Self::End => f.write_str("EOF"),
        }
    }
}

/// Splits a whole template. The last token is [`Kind::End`]; comments are gone and texts are
/// already trimmed where `{{-` and `-}}` ask for it.
pub(super) fn lex(source: &str) -> Result<Vec<Token>, GoTemplateError> {
    let mut lexer = Lexer {
        rest: source,
        line: 1,
        tokens: Vec::new(),
    };
    lexer.template()?;
    lexer.push(Kind::End);
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    rest: &'s str,
    line: usize,
    tokens: Vec<Token>,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

impl<'s> Lexer<'s> {
    fn push(&mut self, kind: Kind) {
        let line = self.line;
        self.tokens.push(Token { kind, line });
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, GoTemplateError> {
        Err(GoTemplateError::Parse {
            line: self.line,
            message: message.into(),
        })
    }

    /// Takes `length` bytes, which must end at a character.
    fn take(&mut self, length: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.line += taken.bytes().filter(|byte| *byte == b'\n').count();
        taken
    }

    fn template(&mut self) -> Result<(), GoTemplateError> {
        let mut trim_start = false;
        while !self.rest.is_empty() {
            let open = self.rest.find("{{");
            let length = open.unwrap_or(self.rest.len());
            let after = open.map_or("", |at| &self.rest[at + 2..]);
            let trim_end = after.starts_with('-') && after[1..].starts_with(is_space);
            let line = self.line;
            let mut text = self.take(length);
            if trim_start {
                text = text.trim_start_matches(is_space);
            }
            if trim_end {
                text = text.trim_end_matches(is_space);
            }
            if !text.is_empty() {
                let kind = Kind::Text(text.to_owned());
                self.tokens.push(Token { kind, line });
            }
            if open.is_none() {
                break;
            }
            self.take(if trim_end { 3 } else { 2 });
            let comment = self.rest.trim_start_matches(is_space);
            // Without a trim marker a comment must follow the delimiter at once.
            let comment_at = if trim_end {
                self.rest.len() - comment.len()
            } else {
                0
            };
            trim_start = if self.rest[comment_at..].starts_with("/*") {
                self.comment(comment_at)?
            } else {
                self.action()?
            };
        }
        Ok(())
    }

    /// Skips a comment and its closing delimiter; true when the next text is trimmed.
    fn comment(&mut self, at: usize) -> Result<bool, GoTemplateError> {
        let Some(end) = self.rest[at + 2..].find("*/") else {
            return self.error("unclosed comment");
        };
        self.take(at + 2 + end + 2);
        if let Some((length, trim)) = self.close_length() {
            self.take(length);
            return Ok(trim);
        }
        self.error("comment ends before closing delimiter")
    }

    /// Length of the closing delimiter that comes next, and whether it trims.
    fn close_length(&self) -> Option<(usize, bool)> {
        if self.rest.starts_with("}}") {
            return Some((2, false));
        }
        let mut chars = self.rest.chars();
        let trims = chars.next().is_some_and(is_space) && chars.as_str().starts_with("-}}");
        trims.then_some((4, true))
    }

    /// Reads up to and including the closing delimiter; true when the next text is trimmed.
    fn action(&mut self) -> Result<bool, GoTemplateError> {
        self.push(Kind::Open);
        let mut parens = 0usize;
        loop {
            if let Some((length, trim)) = self.close_length() {
                if parens > 0 {
                    return self.error("unclosed left paren");
                }
                self.push(Kind::Close);
                self.take(length);
                return Ok(trim);
            }
            let Some(c) = self.rest.chars().next() else {
                return self.error("unclosed action");
            };
            match c {
                _ if is_space(c) => self.space(),
                '|' => self.punctuation(Kind::Pipe, 1),
                ',' => self.punctuation(Kind::Comma, 1),
                '=' => self.punctuation(Kind::Assign, 1),
                ':' if self.rest.starts_with(":=") => self.punctuation(Kind::Declare, 2),
                ':' => return self.error("expected :="),
                '(' => {
                    parens += 1;
                    self.punctuation(Kind::OpenParen, 1);
                }
                ')' => {
                    if parens == 0 {
                        return self.error("unexpected right paren");
                    }
                    parens -= 1;
                    self.punctuation(Kind::CloseParen, 1);
                }
                '"' => self.quoted()?,
                '`' => self.raw_quoted()?,
                '\'' => self.character()?,
                '$' => self.variable()?,
                '.' if !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.field()?,
                '.' | '+' | '-' | '0'..='9' => self.number()?,
                _ if is_word(c) => self.word()?,
                _ => {
                    return self.error(format!(
                        "unexpected bad character U+{:04X} '{c}' in command",
                        u32::from(c)
                    ));
                }
            }
        }
    }

    fn punctuation(&mut self, kind: Kind, length: usize) {
        self.push(kind);
        self.take(length);
    }

    /// A run of spaces, short of the one that belongs to ` -}}`.
    fn space(&mut self) {
        self.push(Kind::Space);
        while self.rest.starts_with(is_space) && self.close_length().is_none() {
            self.take(1);
        }
    }

    fn word_length(&self) -> usize {
        self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len())
    }

    /// A name must end where the grammar lets something else begin.
    fn check_end_of_name(&self) -> Result<(), GoTemplateError> {
        match self.rest.chars().next() {
            None => Ok(()),
            Some(c) if is_space(c) || matches!(c, '.' | ',' | '|' | ':' | '(' | ')' | '=') => {
                Ok(())
            }
            Some(_) if self.rest.starts_with("}}") => Ok(()),
            Some(c) => self.error(format!("bad character U+{:04X} '{c}'", u32::from(c))),
        }
    }

    fn word(&mut self) -> Result<(), GoTemplateError> {
        let word = self.take(self.word_length());
        self.check_end_of_name()?;
        self.push(match word {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "nil" => Kind::Nil,
            _ => match Keyword::from_word(word) {
                Some(keyword) => Kind::Keyword(keyword),
                None => Kind::Ident(word.to_owned()),
            },
        });
        Ok(())
    }

    fn variable(&mut self) -> Result<(), GoTemplateError> {
        self.take(1);
        let name = self.take(self.word_length());
        self.check_end_of_name()?;
        self.push(Kind::Variable(format!("${name}")));
        Ok(())
    }

    fn field(&mut self) -> Result<(), GoTemplateError> {
        self.take(1);
        let name = self.take(self.word_length());
        self.check_end_of_name()?;
        self.push(match name {
            "" => Kind::Dot,
            _ => Kind::Field(name.to_owned()),
        });
        Ok(())
    }

    fn number(&mut self) -> Result<(), GoTemplateError> {
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let mut length = sign;
        let mut before = ' ';
        let hex = self.rest[sign..].starts_with("0x") || self.rest[sign..].starts_with("0X");
        for c in self.rest[sign..].chars() {
            let exponent_sign = matches!(c, '+' | '-') && !hex && matches!(before, 'e' | 'E');
            if !(c.is_alphanumeric() || matches!(c, '_' | '.') || exponent_sign) {
                break;
            }
            before = c;
            length += c.len_utf8();
        }
        let text = self.take(length);
        match parse_number(text) {
            Some(kind) => self.push(kind),
            None => return self.error(format!("bad number syntax: {text:?}")),
        }
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), GoTemplateError> {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let Some(text) = unescape(&self.rest[1..at], '"') else {
                        return self.error(format!("invalid syntax: {}", &self.rest[..=at]));
                    };
                    self.push(Kind::Str(text));
                    self.take(at + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.error("unterminated quoted string")
    }

    fn raw_quoted(&mut self) -> Result<(), GoTemplateError> {
        let Some(end) = self.rest[1..].find('`') else {
            return self.error("unterminated raw quoted string");
        };
        self.push(Kind::Str(self.rest[1..=end].replace('\r', "")));
        self.take(end + 2);
        Ok(())
    }

    /// A character constant is the number of its code point.
    fn character(&mut self) -> Result<(), GoTemplateError> {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\'' => {
                    let text = unescape(&self.rest[1..at], '\'').unwrap_or_default();
                    let mut chars = text.chars();
                    let (Some(value), None) = (chars.next(), chars.next()) else {
                        return self.error(format!(
                            "malformed character constant: {}",
                            &self.rest[..=at]
                        ));
                    };
                    self.push(Kind::Int(i64::from(u32::from(value))));
                    self.take(at + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.error("unterminated character constant")
    }
}

fn parse_number(text: &str) -> Option<Kind> {
    let clean = text.replace('_', "");
    let (negative, digits) = match clean.as_bytes().first()? {
        b'-' => (true, &clean[1..]),
        b'+' => (false, &clean[1..]),
        _ => (false, clean.as_str()),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if lower.len() > 1 && lower.starts_with('0') && !lower.contains(['.', 'e']) {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if !digits.starts_with(['+', '-'])
        && let Ok(value) = i128::from_str_radix(digits, radix)
    {
        let value = if negative { -value } else { value };
        return i64::try_from(value).ok().map(Kind::Int);
    }
    // Rust's parser also reads words such as `inf`, which are no numbers here.
    let decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if radix != 10 || !decimal {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    Some(Kind::Float(if negative { -value } else { value }))
}

/// Resolves Go's escapes; `None` for one it does not have.
fn unescape(text: &str, quote: char) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            flush(&mut bytes, &mut out);
            out.push(c);
            continue;
        }
        let escape = chars.next()?;
        let code = match escape {
            'x' => {
                bytes.push(u8::try_from(digits(&mut chars, 2, 16)?).ok()?);
                continue;
            }
            '0'..='7' => {
                let high = escape.to_digit(8)?;
                bytes.push(u8::try_from(high * 64 + digits(&mut chars, 2, 8)?).ok()?);
                continue;
            }
            'u' => digits(&mut chars, 4, 16)?,
            'U' => digits(&mut chars, 8, 16)?,
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            '\\' => u32::from('\\'),
            _ if escape == quote => u32::from(quote),
            _ => return None,
        };
        flush(&mut bytes, &mut out);
        out.push(char::from_u32(code)?);
    }
    flush(&mut bytes, &mut out);
    Some(out)
}

/// Bytes written as `\x` may form one character together.
fn flush(bytes: &mut Vec<u8>, out: &mut String) {
    if !bytes.is_empty() {
        out.push_str(&String::from_utf8_lossy(bytes));
        bytes.clear();
    }
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut value = 0u32;
    for _ in 0..count {
        let digit = chars.next()?.to_digit(radix)?;
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<Kind> {
        let tokens = lex(source).unwrap();
        tokens.into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn trim_markers_and_comments_shape_the_text() {
        assert_eq!(
            kinds("a  {{- /* c */ -}}  b"),
            [Kind::Text("a".into()), Kind::Text("b".into()), Kind::End]
        );
        assert_eq!(
            kinds("a {{- .X -}} b"),
            [
                Kind::Text("a".into()),
                Kind::Open,
                Kind::Space,
                Kind::Field("X".into()),
                Kind::Close,
                Kind::Text("b".into()),
                Kind::End
            ]
        );
    }

    #[test]
    fn numbers_follow_go() {
        assert_eq!(parse_number("-3"), Some(Kind::Int(-3)));
        assert_eq!(parse_number("0x1F"), Some(Kind::Int(31)));
        assert_eq!(parse_number("017"), Some(Kind::Int(15)));
        assert_eq!(parse_number("1_000"), Some(Kind::Int(1000)));
        assert_eq!(parse_number("1.5e3"), Some(Kind::Float(1500.0)));
        assert_eq!(parse_number("1x"), None);
    }

    #[test]
    fn strings_are_unescaped() {
        assert_eq!(
            kinds(r#"{{"a\n\u00e9\xc3\xa9" `r\n` 'x'}}"#)[1..6],
            [
                Kind::Str("a\néé".into()),
                Kind::Space,
                Kind::Str("r\\n".into()),
                Kind::Space,
                Kind::Int(120)
            ]
        );
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        for source in [
            "{{",
            "{{ \"a }}",
            "{{/* a }}",
            "{{ (1 }}",
            "{{ `a }}",
            "{{ # }}",
            "{{ ) }}",
        ] {
            assert!(lex(source).is_err(), "{source}");
        }
    }
}
