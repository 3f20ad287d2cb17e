//! What SQL Server's scripts say beyond the schema: how indexes are stored and constraints are trusted.

use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The tokens without `CLUSTERED`, `WITH (…)` after a list, `ON [PRIMARY]` and `WITH CHECK`.
pub(super) fn simplified(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let tokens: Vec<TokenWithSpan> = tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)))
        .collect();
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1).map(|token| &token.token);
        let after_list = kept.last().is_some_and(|last| last.token == Token::RParen);
        if is(&token.token, "clustered") || is(&token.token, "nonclustered") {
            at += 1;
        } else if is(&token.token, "with") && next == Some(&Token::LParen) && after_list {
            at = after_brackets(&tokens, at + 1);
        } else if with_check(&token.token, next) || after_list && on_file_group(&token.token, next)
        {
            at += 2;
        } else {
            kept.push(token.clone());
            at += 1;
        }
    }
    kept
}

/// `WITH CHECK` and `WITH NOCHECK`.
fn with_check(token: &Token, next: Option<&Token>) -> bool {
    is(token, "with") && next.is_some_and(|next| is(next, "check") || is(next, "nocheck"))
}

/// `ON [PRIMARY]`.
fn on_file_group(token: &Token, next: Option<&Token>) -> bool {
    is(token, "on") && matches!(next, Some(Token::Word(word)) if word.quote_style.is_some())
}

fn is(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// The place behind the brackets that open at `at`.
fn after_brackets(tokens: &[TokenWithSpan], at: usize) -> usize {
    let mut open = 0;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.token {
            Token::LParen => open += 1,
            Token::RParen => open -= 1,
            _ => {}
        }
        if open == 0 {
            return place + 1;
        }
    }
    tokens.len()
}
