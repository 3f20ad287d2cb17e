//! A statement's text with its tokens, and edits of it.

use sqlparser::tokenizer::Span;

use crate::sql::Dialect;
use crate::sql::lexer::{Lexeme, Token, tokens};
use crate::sql::statement::Places;

/// A text that something is wrong with.
pub(super) struct Source<'a> {
    pub(super) sql: &'a str,
    pub(super) dialect: Dialect,
    /// Comments apart.
    pub(super) tokens: Vec<Token>,
}

/// A change to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// How unlikely it is.
    pub(super) cost: u32,
    /// What is changed, in words.
    pub(super) reason: String,
    /// The whole text after it.
    pub(super) sql: String,
}

impl<'a> Source<'a> {
    pub(super) fn new(sql: &'a str, dialect: Dialect) -> Source<'a> {
        let mut tokens = tokens(sql, dialect);
        tokens.retain(|token| token.kind != Lexeme::Comment);
        Source {
            sql,
            dialect,
            tokens,
        }
    }

    pub(super) fn text(&self, token: &Token) -> &'a str {
        &self.sql[token.span.clone()]
    }

    /// Replaces bytes of the text.
    pub(super) fn replace(
        &self,
        start: usize,
        end: usize,
        with: &str,
        cost: u32,
        reason: impl Into<String>,
    ) -> Edit {
        let mut sql = String::with_capacity(self.sql.len() + with.len());
        sql.push_str(&self.sql[..start]);
        sql.push_str(with);
        sql.push_str(&self.sql[end..]);
        Edit {
            cost,
            reason: reason.into(),
            sql,
        }
    }

    pub(super) fn replace_token(
        &self,
        at: usize,
        with: &str,
        cost: u32,
        reason: impl Into<String>,
    ) -> Edit {
        let span = &self.tokens[at].span;
        self.replace(span.start, span.end, with, cost, reason)
    }

    /// Takes a token out, with the space before it.
    pub(super) fn remove(&self, at: usize, cost: u32, reason: impl Into<String>) -> Edit {
        let span = &self.tokens[at].span;
        let start = self.sql[..span.start].trim_end().len();
        let start = if start == 0 { span.start } else { start };
        self.replace(start, span.end, "", cost, reason)
    }

    /// Puts a word before a token, or at the end.
    pub(super) fn insert_before(
        &self,
        at: usize,
        word: &str,
        cost: u32,
        reason: impl Into<String>,
    ) -> Edit {
        match self.tokens.get(at) {
            Some(token) => self.replace(
                token.span.start,
                token.span.start,
                &format!("{word} "),
                cost,
                reason,
            ),
            None => self.append(&format!(" {word}"), cost, reason),
        }
    }

    /// Puts text directly after a token.
    pub(super) fn insert_after(
        &self,
        at: usize,
        text: &str,
        cost: u32,
        reason: impl Into<String>,
    ) -> Edit {
        let end = self.tokens[at].span.end;
        self.replace(end, end, text, cost, reason)
    }

    /// Puts text after the last token, before a semicolon at the end.
    pub(super) fn append(&self, text: &str, cost: u32, reason: impl Into<String>) -> Edit {
        let end = self.end();
        self.replace(end, end, text, cost, reason)
    }

    /// Where the last token ends, a semicolon at the end apart.
    pub(super) fn end(&self) -> usize {
        let mut last = self.tokens.iter().rev().filter(|token| !token.is(";"));
        last.next()
            .map_or(self.sql.trim_end().len(), |token| token.span.end)
    }

    pub(super) fn replace_span(
        &self,
        span: Span,
        with: &str,
        cost: u32,
        reason: String,
    ) -> Option<Edit> {
        let places = Places::new(self.sql);
        let start = places.offset(span.start)?;
        let end = places.offset(span.end)?;
        (start < end).then(|| self.replace(start, end, with, cost, reason))
    }

    /// The token at a place of the parser, counted from 1; the number of tokens for the end.
    pub(super) fn token_at(&self, line: u64, column: u64) -> usize {
        let place = sqlparser::tokenizer::Location { line, column };
        let offset = Places::new(self.sql)
            .offset(place)
            .unwrap_or(self.sql.len());
        self.tokens
            .iter()
            .position(|token| token.span.end > offset)
            .unwrap_or(self.tokens.len())
    }

    /// Depth of brackets at each token; an opening one counts as outside.
    pub(super) fn depths(&self) -> Vec<usize> {
        let mut depth = 0_usize;
        let depths = self.tokens.iter().map(|token| {
            if token.is(")") {
                depth = depth.saturating_sub(1);
            }
            let here = depth;
            if token.is("(") {
                depth += 1;
            }
            here
        });
        depths.collect()
    }

    /// The tokens of one bracket around `at`, its inner brackets apart: their places.
    pub(super) fn siblings(&self, at: usize) -> Vec<usize> {
        let depths = self.depths();
        let Some(&depth) = depths.get(at) else {
            return Vec::new();
        };
        let mut start = at;
        while start > 0 && depths[start - 1] >= depth {
            start -= 1;
        }
        let mut end = at;
        while end + 1 < depths.len() && depths[end + 1] >= depth {
            end += 1;
        }
        (start..=end)
            .filter(|place| depths[*place] == depth)
            .collect()
    }

    /// Keywords as the text writes them: small if its first letter is.
    pub(super) fn keyword(&self, word: &str) -> String {
        let first = self.sql.chars().find(char::is_ascii_alphabetic);
        match first.is_some_and(|letter| letter.is_ascii_lowercase()) {
            true => word.to_lowercase(),
            false => word.to_owned(),
        }
    }
}
