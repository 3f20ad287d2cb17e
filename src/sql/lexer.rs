//! Tokens of a statement that is being typed: nothing here fails, whatever stands in the text.

use std::ops::Range;

use crate::sql::Dialect;

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Lexeme,
    /// Bytes of the text that it takes.
    pub(super) span: Range<usize>,
    /// A word in capitals, an identifier without its quotes, anything else as it stands.
    pub(super) text: String,
}

/// What sort of piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lexeme {
    /// A keyword or an identifier without quotes.
    Word,
    /// An identifier in quotes.
    Quoted,
    Number,
    /// A literal in quotes.
    Text,
    Comment,
    /// One character of punctuation, or an operator of several.
    Sign,
}

impl Token {
    /// Whether it is this keyword or sign, given in capitals.
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Lexeme::Word | Lexeme::Sign) && self.text == text
    }

    pub(super) fn is_any(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.is(text))
    }

    /// Whether it can be a name.
    pub(super) fn is_name(&self) -> bool {
        matches!(self.kind, Lexeme::Word | Lexeme::Quoted)
    }

    /// The name as the text has it, without quotes.
    pub(super) fn name<'a>(&'a self, source: &'a str) -> &'a str {
        match self.kind {
            Lexeme::Word => &source[self.span.clone()],
            _ => &self.text,
        }
    }
}

/// The tokens of `source`, space apart.
pub(super) fn tokens(source: &str, dialect: Dialect) -> Vec<Token> {
    let mut lexer = Lexer {
        source,
        dialect,
        at: 0,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next_token() {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    source: &'a str,
    dialect: Dialect,
    at: usize,
}

impl Lexer<'_> {
    fn next_token(&mut self) -> Option<Token> {
        let rest = &self.source[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        let rest = &self.source[self.at..];
        let first = rest.chars().next()?;
        let start = self.at;
        let (kind, length) = self.piece(rest, first);
        self.at += length;
        let span = start..self.at;
        let text = &self.source[span.clone()];
        let text = match kind {
            Lexeme::Word => text.to_uppercase(),
            Lexeme::Quoted => unquoted(text),
            _ => text.to_owned(),
        };
        Some(Token { kind, span, text })
    }

    fn piece(&self, rest: &str, first: char) -> (Lexeme, usize) {
        if rest.starts_with("--") || (first == '#' && self.dialect == Dialect::MySql) {
            return (Lexeme::Comment, rest.find('\n').unwrap_or(rest.len()));
        }
        if let Some(inner) = rest.strip_prefix("/*") {
            let end = inner.find("*/").map_or(rest.len(), |at| at + 4);
            return (Lexeme::Comment, end);
        }
        let strings = matches!(self.dialect, Dialect::MySql | Dialect::BigQuery);
        match first {
            '\'' => (Lexeme::Text, in_quotes(rest, '\'', '\'')),
            '"' if strings => (Lexeme::Text, in_quotes(rest, '"', '"')),
            '"' => (Lexeme::Quoted, in_quotes(rest, '"', '"')),
            '`' => (Lexeme::Quoted, in_quotes(rest, '`', '`')),
            '[' if self.dialect == Dialect::MsSql => (Lexeme::Quoted, in_quotes(rest, '[', ']')),
            '$' if self.dialect == Dialect::Postgres => dollar_text(rest),
            _ if first.is_ascii_digit() => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
                (Lexeme::Number, length_of(rest, is_part))
            }
            _ if is_word(first) => (Lexeme::Word, length_of(rest, is_word)),
            _ => (Lexeme::Sign, sign(rest, first)),
        }
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '@' | '#' | '$')
}

fn length_of(rest: &str, is_part: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !is_part(c)).unwrap_or(rest.len())
}

fn sign(rest: &str, first: char) -> usize {
    const LONG: [&str; 12] = [
        "<=>", "->>", "::", "<=", ">=", "<>", "!=", "||", "->", "=>", "==", ":=",
    ];
    let long = LONG.iter().find(|sign| rest.starts_with(**sign));
    long.map_or(first.len_utf8(), |sign| sign.len())
}

/// Length of what starts with `open`, to the closing quote or the end of the text. A doubled quote is inside.
fn in_quotes(rest: &str, open: char, close: char) -> usize {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != close {
            continue;
        }
        match letters.peek() {
            Some((_, next)) if *next == close && open == close => {
                letters.next();
            }
            _ => return at + close.len_utf8(),
        }
    }
    rest.len()
}

fn dollar_text(rest: &str) -> (Lexeme, usize) {
    let tag_end = rest[1..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
    match tag_end {
        Some(end) if rest[1 + end..].starts_with('$') => {
            let tag = &rest[..end + 2];
            let end = rest[tag.len()..].find(tag);
            (
                Lexeme::Text,
                end.map_or(rest.len(), |at| at + 2 * tag.len()),
            )
        }
        _ => (Lexeme::Sign, 1),
    }
}

fn unquoted(text: &str) -> String {
    let mut letters = text.chars();
    let close = match letters.next() {
        Some('[') => ']',
        Some(quote) => quote,
        None => return String::new(),
    };
    let inner = letters.as_str();
    let inner = inner.strip_suffix(close).unwrap_or(inner);
    inner.replace(&format!("{close}{close}"), &close.to_string())
}

/// Whether the token, which ends at the end of the text, still lacks its closing quote.
pub(super) fn is_open(token: &Token, source: &str) -> bool {
    let text = &source[token.span.clone()];
    match token.kind {
        Lexeme::Text | Lexeme::Quoted => {
            let first = text.chars().next().unwrap_or(' ');
            let close = if first == '[' { ']' } else { first };
            let closing = text.chars().rev().take_while(|c| *c == close).count();
            text.chars().count() == 1 || closing % 2 == 0 && first != '$'
        }
        Lexeme::Comment => text.starts_with("--") || text.starts_with('#') || !text.ends_with("*/"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str, dialect: Dialect) -> Vec<(Lexeme, String)> {
        let tokens = tokens(source, dialect).into_iter();
        tokens.map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn text_becomes_tokens_whatever_it_is() {
        let got = texts(
            "select \"a\"\"b\", 'it''s' -- x\n>= $$ y; $$ 1.5",
            Dialect::Postgres,
        );
        let want = [
            (Lexeme::Word, "SELECT"),
            (Lexeme::Quoted, "a\"b"),
            (Lexeme::Sign, ","),
            (Lexeme::Text, "'it''s'"),
            (Lexeme::Comment, "-- x"),
            (Lexeme::Sign, ">="),
            (Lexeme::Text, "$$ y; $$"),
            (Lexeme::Number, "1.5"),
        ];
        let want: Vec<(Lexeme, String)> =
            want.into_iter().map(|(k, t)| (k, t.to_owned())).collect();
        assert_eq!(got, want);
        assert_eq!(texts("[a b].`c`", Dialect::MsSql)[0].1, "a b");
        assert_eq!(texts("\"a\"", Dialect::MySql)[0].0, Lexeme::Text);
        for source in ["'", "\"", "[", "$", "$a", "/*", "é😀$", "--", "`x"] {
            for dialect in Dialect::ALL {
                let tokens = tokens(source, dialect);
                assert!(
                    tokens
                        .iter()
                        .all(|token| source.get(token.span.clone()).is_some())
                );
            }
        }
    }

    #[test]
    fn open_quotes_are_seen() {
        for (source, open) in [
            ("'a", true),
            ("'a'", false),
            ("'a''", true),
            ("\"", true),
            ("-- x", true),
            ("/* */", false),
        ] {
            let tokens = tokens(source, Dialect::Postgres);
            assert_eq!(is_open(&tokens[0], source), open, "{source}");
        }
    }
}
