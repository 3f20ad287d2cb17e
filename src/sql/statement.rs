//! Reads statements, with bounds that keep hostile text from exhausting memory or the stack.

use sqlparser::ast::{JoinConstraint, JoinOperator, Statement};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::{Dialect, SqlError};

/// Longest statement that is read.
pub const LIMIT_BYTES: usize = 64 << 10;
/// Operators and brackets within each other, at most. Trees are walked by recursion.
const DEPTH: usize = 150;
/// Times the parser may read what a bracket holds: it tries one reading, goes back and tries another, and so it does
/// for the brackets within. `f(f(f(…` thirty deep would keep it busy for hours.
const READINGS: u64 = 3;
/// Tokens it may read in all, counted like this.
const WORK: u64 = 1_000_000;

/// The statements of a text; none in an empty one.
///
/// # Errors
/// Text that is too long, too deep, or not of the dialect.
pub fn parse(sql: &str, dialect: Dialect) -> Result<Vec<Statement>, SqlError> {
    if sql.len() > LIMIT_BYTES {
        return Err(SqlError::TooLong {
            size_bytes: sql.len(),
            limit_bytes: LIMIT_BYTES,
        });
    }
    let tokens = tokens(sql, dialect)?;
    check_depth(&tokens)?;
    let grammar = dialect.parser();
    Parser::new(grammar.as_ref())
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(syntax)
}

/// The tokens of a text with their places, space and comments too.
pub fn tokens(sql: &str, dialect: Dialect) -> Result<Vec<TokenWithSpan>, SqlError> {
    let grammar = dialect.parser();
    Tokenizer::new(grammar.as_ref(), sql)
        .tokenize_with_location()
        .map_err(|error| SqlError::Syntax {
            line: error.location.line,
            column: error.location.column,
            reason: error.message,
        })
}

/// Byte offsets of places in a text, for many of them at the cost of one pass.
pub struct Places {
    /// Byte at which each character starts.
    chars: Vec<usize>,
    /// Number of the first character of each line.
    lines: Vec<usize>,
    end: usize,
}

impl Places {
    /// Of this text.
    pub fn new(text: &str) -> Places {
        let breaks = text.chars().enumerate().filter(|(_, c)| *c == '\n');
        let starts = breaks.map(|(at, _)| at + 1);
        Places {
            chars: text.char_indices().map(|(at, _)| at).collect(),
            lines: std::iter::once(0).chain(starts).collect(),
            end: text.len(),
        }
    }

    /// The byte at which the place is.
    pub fn offset(&self, place: Location) -> Option<usize> {
        let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
        let at = self.lines.get(line)?.checked_add(column)?;
        Some(self.chars.get(at).copied().unwrap_or(self.end))
    }
}

/// An error of the parser with the place that its text ends in.
pub(super) fn syntax(error: ParserError) -> SqlError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return SqlError::TooDeep {
                line: 1,
                limit: DEPTH,
            };
        }
    };
    let (reason, place) = match text.rsplit_once(" at Line: ") {
        Some((reason, place)) => (reason.to_owned(), place),
        None => (text.clone(), ""),
    };
    let mut numbers = place.split(", Column: ").map(str::parse);
    let mut number = || numbers.next().and_then(Result::ok).unwrap_or(1);
    SqlError::Syntax {
        line: number(),
        column: number(),
        reason,
    }
}

/// One pair of brackets, as far as it is read.
#[derive(Default)]
struct Level {
    /// Operators since the last comma.
    operators: usize,
    /// Set operations and joins, which commas do not end.
    unions: usize,
}

/// Refuses text whose tree would be so deep that walking it could exhaust the stack, or whose brackets are so deep
/// within each other that parsing it would not end. A chain of operators without brackets makes a tree as deep as
/// it is long, so chains count like brackets.
pub(super) fn check_depth(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut levels = vec![Level::default()];
    let mut work: u64 = 0;
    for token in tokens {
        let brackets = u32::try_from(levels.len() - 1).unwrap_or(u32::MAX);
        let is_read = !matches!(token.token, Token::Whitespace(_));
        let readings = READINGS.saturating_pow(brackets);
        work = work.saturating_add(readings.saturating_mul(u64::from(is_read)));
        if work > WORK {
            return Err(SqlError::TooDeep {
                line: token.span.start.line,
                limit: levels.len().saturating_sub(2),
            });
        }
        let Some(level) = levels.last_mut() else {
            break;
        };
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => levels.push(Level::default()),
            Token::RParen | Token::RBracket | Token::RBrace => close(&mut levels),
            Token::SemiColon => levels = vec![Level::default()],
            Token::Comma => level.operators = 0,
            Token::Word(word) => match word.keyword {
                Keyword::CASE => levels.push(Level::default()),
                Keyword::END => close(&mut levels),
                Keyword::WHEN | Keyword::THEN | Keyword::ELSE => level.operators = 0,
                Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::MINUS
                | Keyword::JOIN
                | Keyword::APPLY => level.unions += 1,
                keyword if is_operator(keyword) => level.operators += 1,
                _ => {}
            },
            other if is_value(other) => {}
            _ => level.operators += 1,
        }
        let deep = |level: &Level| 1 + level.operators + level.unions;
        if levels.iter().map(deep).sum::<usize>() > DEPTH {
            return Err(SqlError::TooDeep {
                line: token.span.start.line,
                limit: DEPTH,
            });
        }
    }
    Ok(())
}

fn close(levels: &mut Vec<Level>) {
    if levels.len() > 1 {
        levels.pop();
    }
}

fn is_operator(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::XOR
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::SIMILAR
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::BETWEEN
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::NOTNULL
            | Keyword::DIV
            | Keyword::OVERLAPS
            | Keyword::MEMBER
            | Keyword::OPERATOR
            | Keyword::ESCAPE
    )
}

fn is_value(token: &Token) -> bool {
    matches!(
        token,
        Token::Whitespace(_)
            | Token::Number(..)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Period
            | Token::Placeholder(_)
            | Token::EOF
    )
}

/// What a join is over, for the kinds that can say.
pub(super) fn join_constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::AsOf { constraint, .. }
        | JoinOperator::StraightJoin(constraint) => Some(constraint),
        JoinOperator::CrossApply
        | JoinOperator::OuterApply
        | JoinOperator::ArrayJoin
        | JoinOperator::LeftArrayJoin
        | JoinOperator::InnerArrayJoin => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(sql: &str) -> SqlError {
        parse(sql, Dialect::Postgres).unwrap_err()
    }

    #[test]
    fn errors_tell_where() {
        let SqlError::Syntax { line, column, .. } = error("SELECT 1\nFROM t GROUP x") else {
            panic!("a syntax error");
        };
        assert_eq!((line, column), (2, 8));
        let SqlError::Syntax { line, .. } = error("SELECT 1\n\n, 'abc") else {
            panic!("a syntax error");
        };
        assert_eq!(line, 3);
    }

    #[test]
    fn hostile_text_is_refused_before_it_is_parsed() {
        let ones = |text: &str, times: usize| format!("SELECT 1{}", text.repeat(times));
        for sql in [
            ones("+1", 20_000),
            ones(" UNION SELECT 1, 2", 3_000),
            ones(" + CASE WHEN a THEN 1, 2 END", 2_000),
            ones("::int", 10_000),
            format!("SELECT {}1", "(".repeat(30_000)),
            format!("SELECT {}1", "NOT ".repeat(10_000)),
            format!("SELECT {}1", "a[".repeat(10_000)),
            ones(" IS NULL", 5_000),
        ] {
            assert!(matches!(error(&sql), SqlError::TooDeep { .. }), "{sql:.40}");
        }
        let long = ones(" ", LIMIT_BYTES);
        assert!(matches!(error(&long), SqlError::TooLong { .. }));
    }

    /// What keeps the parser trying would keep this test from ending.
    #[test]
    fn nothing_keeps_the_parser_busy() {
        for (open, inner, close) in [
            ("abs(", "1", ")"),
            ("abs(", "1", ""),
            ("CAST(", "1", " AS int)"),
            ("CAST(", "1 +", ""),
            ("position(", "1", ")"),
            ("substring(", "1", ""),
            ("extract(year FROM ", "1 1", ")"),
            ("a IN ((SELECT ", "1", "), 1)"),
            ("ARRAY[", "1 1", "]"),
            ("CASE WHEN ", "a", " THEN 1 END"),
            ("CASE WHEN ", "a a", ""),
            ("(SELECT ", "1 FROM FROM", ")"),
            (
                "(SELECT 1 FROM ((SELECT 1 FROM t WHERE ",
                "1",
                ") x JOIN t ON true))",
            ),
            ("EXISTS (SELECT 1 FROM ((", "1", ")))"),
            ("((", "1 1", "))"),
        ] {
            for dialect in Dialect::ALL {
                let deep = |times: usize| {
                    let (open, close) = (open.repeat(times), close.repeat(times));
                    parse(&format!("SELECT {open}{inner}{close}"), dialect)
                };
                // Read or not, it comes to an end.
                let _ = deep(4);
                assert!(deep(60).is_err(), "{open} {dialect:?}");
            }
        }
        let chain = format!(
            "SELECT {}name{}",
            "replace(".repeat(9),
            ", 'a', 'b')".repeat(9)
        );
        for dialect in Dialect::ALL {
            assert!(parse(&chain, dialect).is_ok(), "{dialect:?}");
        }
    }

    #[test]
    fn long_statements_that_are_not_deep_are_read() {
        let list: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
        let sql = format!("SELECT a FROM t WHERE a IN ({})", list.join(", "));
        assert_eq!(parse(&sql, Dialect::Postgres).unwrap().len(), 1);
        let sql = format!("SELECT a FROM t WHERE a = 1{}", " OR a = 2".repeat(70));
        let parsed = parse(&sql, Dialect::Postgres).unwrap();
        assert_eq!(parsed[0].to_string(), sql);
    }

    #[test]
    fn places_are_counted_in_characters() {
        let text = "a\nöö x";
        let place = Location { line: 2, column: 4 };
        assert_eq!(Places::new(text).offset(place), Some(7));
    }
}
