//! What could stand at a cursor in SQL, ranked, without a model: keywords that fit the place, tables, columns of
//! the tables in scope, joins along foreign keys, known values.
//!
//! It works on tokens, so it needs no statement that parses yet.

mod joins;
mod place;
mod relations;
mod words;

use serde::Serialize;

use crate::code::{CursorError, split_at};

use super::lexer::{Lexeme, Token, is_open, tokens};
use super::names::{distance, written};
use super::{Column, Kind, Schema, Table};

use place::{Clause, Place};
use relations::{Names, Relation, Text, find_table};

/// Answers at most.
const MOST: usize = 50;

/// What could stand at a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Completions {
    /// UTF-16 units before the text that a completion replaces: the beginning of the word at the cursor.
    pub replace_from: usize,
    /// Where that text ends: the cursor.
    pub replace_to: usize,
    /// The likeliest first, no text twice.
    pub items: Vec<Completion>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// What to insert.
    pub text: String,
    /// What it is.
    pub kind: CompletionKind,
    /// Its type, its table, or what it joins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a completion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CompletionKind {
    /// A word of the language, or several.
    Keyword,
    /// A table, or a result of `WITH`.
    Table,
    /// A column.
    Column,
    /// A table with the condition that joins it, or the condition alone.
    Join,
    /// A function.
    Function,
    /// The name that the statement gives a table.
    Alias,
    /// A value that the column is known to hold.
    Value,
}

/// Completes `query` at `cursor`, which counts UTF-16 units as browsers do.
///
/// # Errors
/// A cursor behind the end or inside a surrogate pair.
pub fn complete(query: &str, cursor: usize, schema: &Schema) -> Result<Completions, CursorError> {
    let (before, after) = split_at(query, cursor)?;
    let at = before.len();
    let mut all = tokens(query, schema.dialect);
    let is_inside = |token: &&Token| {
        let ends = token.span.end == at && is_open(token, before);
        token.span.start < at && (at < token.span.end || ends)
    };
    let inside = all.iter().find(is_inside);
    if inside.is_some_and(|token| matches!(token.kind, Lexeme::Text | Lexeme::Comment)) {
        return Ok(Completions {
            replace_from: cursor,
            replace_to: cursor,
            items: Vec::new(),
        });
    }
    // A name whose quote is not closed yet would take the rest of the text with it.
    let closed = inside.and_then(|token| {
        let rest = &query[at..token.span.end];
        let runs_on =
            rest.contains(char::is_whitespace) || (rest.is_empty() && is_open(token, before));
        let quote = before[token.span.start..].chars().next()?;
        let close = if quote == '[' { ']' } else { quote };
        (token.kind == Lexeme::Quoted && runs_on).then(|| format!("{before}{close}{after}"))
    });
    let query = closed.as_deref().unwrap_or(query);
    if closed.is_some() {
        all = tokens(query, schema.dialect);
    }
    let statement = statement_around(&all, at);
    let word = statement
        .iter()
        .position(|token| token.is_name() && token.span.start < at && at <= token.span.end);
    let (start, typed) = match word {
        Some(word) => typed_part(&statement[word], query, at),
        None => (at, String::new()),
    };
    // The word being typed is no part of what surrounds it: half a name is no table.
    let mut rest = statement.clone();
    if let Some(word) = word {
        rest.remove(word);
    }
    let index = rest
        .iter()
        .position(|token| token.span.start >= start)
        .unwrap_or(rest.len());
    let text = Text {
        source: query,
        tokens: &rest,
        schema,
    };
    let asked = Asked {
        text,
        names: Names::at(text, index),
        place: place::at(text, index),
        style: words::Style::of(query, &typed),
        typed,
    };
    let replaced = query[start..at].encode_utf16().count();
    Ok(Completions {
        replace_from: cursor - replaced,
        replace_to: cursor,
        items: asked.ranked(),
    })
}

/// Where the word starts, and its letters up to the cursor.
fn typed_part(token: &Token, source: &str, at: usize) -> (usize, String) {
    let text = &source[token.span.start..at];
    (
        token.span.start,
        text.trim_matches(['"', '`', '[', ']']).to_owned(),
    )
}

/// The tokens between the semicolons around a byte, comments apart.
fn statement_around(tokens: &[Token], at: usize) -> Vec<Token> {
    let mut kept = Vec::new();
    for token in tokens {
        if token.is(";") {
            if token.span.start >= at {
                break;
            }
            kept.clear();
        } else if token.kind != Lexeme::Comment {
            kept.push(token.clone());
        }
    }
    kept
}

struct Asked<'a> {
    text: Text<'a>,
    names: Names<'a>,
    place: Place,
    style: words::Style,
    typed: String,
}

/// A completion and how well it fits the place, before what is typed counts.
struct Candidate {
    completion: Completion,
    weight: i32,
    /// What typed letters are compared with.
    matched: String,
}

impl Asked<'_> {
    fn ranked(&self) -> Vec<Completion> {
        let mut scored: Vec<(i32, Candidate)> = self
            .candidates()
            .into_iter()
            .filter_map(|candidate| {
                let fit = fit(&self.typed, &candidate.matched)?;
                Some((candidate.weight + fit, candidate))
            })
            .collect();
        scored.sort_by(|(a, x), (b, y)| {
            b.cmp(a)
                .then_with(|| x.completion.text.cmp(&y.completion.text))
        });
        let mut items: Vec<Completion> = Vec::new();
        for (_, candidate) in scored {
            if items.len() == MOST {
                break;
            }
            if !items
                .iter()
                .any(|item| item.text == candidate.completion.text)
            {
                items.push(candidate.completion);
            }
        }
        items
    }

    fn candidates(&self) -> Vec<Candidate> {
        match &self.place {
            Place::Nothing => Vec::new(),
            Place::Words(phrases) => self.keywords(phrases, 500),
            Place::Member(qualifier) => self.members(qualifier),
            Place::Table { after_join } => self.tables_or_joins(*after_join),
            Place::AfterTable { phrases, may_join } => {
                let mut found = self.keywords(phrases, 400);
                if *may_join {
                    found.extend(self.joined_tables("JOIN ", 420));
                }
                found
            }
            Place::Operand {
                clause,
                compared,
                may_select,
            } => self.operands(*clause, compared.as_deref(), *may_select),
            Place::Operator(phrases) => self.keywords(phrases, 400),
            Place::InsertColumns { table, taken } => self.insert_columns(table, taken),
            Place::UsingColumns => self.shared_columns(),
        }
    }

    fn keywords(&self, phrases: &[&str], weight: i32) -> Vec<Candidate> {
        let phrases = phrases
            .iter()
            .enumerate()
            .filter(|(_, phrase)| words::is_known(phrase, self.text.schema.dialect));
        let candidates = phrases.map(|(at, phrase)| {
            let text = self.style.written(phrase);
            Candidate {
                weight: weight - at as i32,
                matched: text.clone(),
                completion: Completion {
                    text,
                    kind: CompletionKind::Keyword,
                    detail: None,
                },
            }
        });
        candidates.collect()
    }

    fn functions(&self, weight: i32) -> Vec<Candidate> {
        let functions = words::functions(self.text.schema.dialect)
            .iter()
            .enumerate();
        let candidates = functions.map(|(at, name)| {
            let text = self.style.written(name);
            Candidate {
                weight: weight - at as i32,
                matched: text.clone(),
                completion: Completion {
                    text: format!("{text}("),
                    kind: CompletionKind::Function,
                    detail: None,
                },
            }
        });
        candidates.collect()
    }

    fn tables_or_joins(&self, after_join: bool) -> Vec<Candidate> {
        let mut found = self.tables(300);
        if after_join {
            found.extend(self.joined_tables("", 500));
        }
        found
    }

    fn tables(&self, weight: i32) -> Vec<Candidate> {
        let schema = self.text.schema;
        let mut found: Vec<Candidate> = self
            .names
            .ctes
            .iter()
            .map(|cte| Candidate {
                weight: weight + 50,
                matched: cte.name.clone(),
                completion: Completion {
                    text: written(schema.dialect, &cte.name),
                    kind: CompletionKind::Table,
                    detail: Some("result of WITH".to_owned()),
                },
            })
            .collect();
        found.extend(schema.tables.iter().map(|table| Candidate {
            weight,
            matched: table.name.clone(),
            completion: Completion {
                text: table_text(schema, table),
                kind: CompletionKind::Table,
                detail: table.comment.clone(),
            },
        }));
        found
    }

    fn joined_tables(&self, lead: &str, weight: i32) -> Vec<Candidate> {
        let relations: Vec<&Relation<'_>> = self.own_relations().collect();
        let joins = joins::tables(self.text.schema, &relations);
        let candidates = joins.into_iter().map(|join| {
            let on = self.style.written("ON");
            let text = format!(
                "{}{} {on} {}",
                self.style.written(lead),
                join.table,
                join.condition
            );
            Candidate {
                weight,
                matched: if lead.is_empty() {
                    join.name.clone()
                } else {
                    text.clone()
                },
                completion: Completion {
                    text,
                    kind: CompletionKind::Join,
                    detail: Some(join.detail),
                },
            }
        });
        candidates.collect()
    }

    fn own_relations(&self) -> impl Iterator<Item = &Relation<'_>> {
        self.names
            .relations
            .iter()
            .filter(|relation| relation.distance == 0)
    }

    /// What can follow `qualifier.`: columns of a table in scope, or tables of a namespace.
    fn members(&self, qualifier: &[String]) -> Vec<Candidate> {
        let schema = self.text.schema;
        let Some(last) = qualifier.last() else {
            return Vec::new();
        };
        let known = self
            .names
            .relations
            .iter()
            .find(|r| r.name.eq_ignore_ascii_case(last));
        if let Some(relation) = known {
            let columns = relation.columns.iter().enumerate();
            return columns
                .map(|(at, name)| {
                    self.column(
                        relation,
                        name,
                        written(schema.dialect, name),
                        300 - at as i32,
                    )
                })
                .collect();
        }
        let mut found: Vec<Candidate> = Vec::new();
        if let Some(table) = find_table(schema, qualifier) {
            found.extend(
                table
                    .columns
                    .iter()
                    .map(|column| of_table(schema, table, column, 300)),
            );
        }
        let in_namespace = schema.tables.iter().filter(|table| {
            table
                .namespace
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(last))
        });
        found.extend(in_namespace.map(|table| Candidate {
            weight: 250,
            matched: table.name.clone(),
            completion: Completion {
                text: written(schema.dialect, &table.name),
                kind: CompletionKind::Table,
                detail: table.comment.clone(),
            },
        }));
        found
    }

    fn column(&self, relation: &Relation<'_>, name: &str, text: String, weight: i32) -> Candidate {
        let column = relation.table.and_then(|table| table.column(name));
        let detail = match column {
            Some(column) => format!("{} {}", relation.name, column.type_name),
            None => relation.name.clone(),
        };
        Candidate {
            weight,
            matched: name.to_owned(),
            completion: Completion {
                text,
                kind: CompletionKind::Column,
                detail: Some(detail),
            },
        }
    }

    fn operands(
        &self,
        clause: Clause,
        compared: Option<&[String]>,
        may_select: bool,
    ) -> Vec<Candidate> {
        let left = compared.and_then(|parts| self.resolve(parts));
        let mut found = Vec::new();
        if clause == Clause::On {
            let relations: Vec<&Relation<'_>> = self.own_relations().collect();
            let conditions = joins::conditions(self.text.schema, &relations).into_iter();
            found.extend(
                conditions
                    .filter(|_| compared.is_none())
                    .map(|condition| Candidate {
                        weight: 600,
                        matched: condition.clone(),
                        completion: Completion {
                            text: condition,
                            kind: CompletionKind::Join,
                            detail: None,
                        },
                    }),
            );
        }
        found.extend(left.iter().flat_map(|(_, column)| values(column)));
        for relation in &self.names.relations {
            found.extend(self.columns_of(relation, clause, left.as_ref()));
        }
        let several = self.names.relations.len() > 1;
        if several {
            found.extend(self.names.relations.iter().map(|relation| Candidate {
                weight: 150,
                matched: relation.name.clone(),
                completion: Completion {
                    text: written(self.text.schema.dialect, &relation.name),
                    kind: CompletionKind::Alias,
                    detail: relation.table.map(Table::full_name),
                },
            }));
        }
        if self.names.relations.is_empty() && !self.typed.is_empty() {
            let tables = self.text.schema.tables.iter();
            found.extend(tables.flat_map(|table| {
                table
                    .columns
                    .iter()
                    .map(|column| of_table(self.text.schema, table, column, 200))
            }));
        }
        if !matches!(clause, Clause::Set) {
            found.extend(self.functions(if clause == Clause::Group { 50 } else { 120 }));
            found.extend(self.keywords(words::operands(clause), 90));
        }
        if may_select {
            found.extend(self.keywords(&["SELECT"], 350));
        }
        found
    }

    fn columns_of(
        &self,
        relation: &Relation<'_>,
        clause: Clause,
        left: Option<&(&str, &Column)>,
    ) -> Vec<Candidate> {
        let dialect = self.text.schema.dialect;
        let columns = relation.columns.iter().enumerate().map(|(at, name)| {
            let holders = self.names.relations.iter().filter(|other| {
                other
                    .columns
                    .iter()
                    .any(|column| column.eq_ignore_ascii_case(name))
            });
            let plain = written(dialect, name);
            let text = match holders.count() > 1 && clause != Clause::Set {
                true => format!("{}.{plain}", written(dialect, &relation.name)),
                false => plain,
            };
            let mut weight = 300 - 100 * relation.distance.min(1) as i32 - at.min(40) as i32;
            let column = relation.table.and_then(|table| table.column(name));
            if let (Some((owner, left)), Some(column)) = (left, column) {
                let itself = left.name == column.name && relation.name == *owner;
                weight += if itself {
                    -250
                } else if left.kind == column.kind {
                    50
                } else {
                    -50
                };
            }
            self.column(relation, name, text, weight)
        });
        columns.collect()
    }

    /// The column that a name in the text means, with the relation that it is of.
    fn resolve(&self, parts: &[String]) -> Option<(&str, &Column)> {
        let (name, qualifier) = parts.split_last()?;
        let relations = self.names.relations.iter();
        let mut columns = relations.filter_map(|relation| {
            let fits = qualifier
                .last()
                .is_none_or(|q| q.eq_ignore_ascii_case(&relation.name));
            let column = relation.table.filter(|_| fits)?.column(name)?;
            Some((relation.name.as_str(), column))
        });
        columns.next()
    }

    fn insert_columns(&self, table: &[String], taken: &[String]) -> Vec<Candidate> {
        let schema = self.text.schema;
        let Some(table) = find_table(schema, table) else {
            return Vec::new();
        };
        let is_free = |column: &&Column| {
            !taken
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&column.name))
        };
        let free: Vec<&Column> = table.columns.iter().filter(is_free).collect();
        let mut found: Vec<Candidate> = free
            .iter()
            .enumerate()
            // Columns that must be given come before those that fill themselves.
            .map(|(at, column)| {
                let fills = column.nullable || column.default.is_some();
                of_table(
                    schema,
                    table,
                    column,
                    300 - at as i32 - if fills { 50 } else { 0 },
                )
            })
            .collect();
        if taken.is_empty() && self.typed.is_empty() {
            let all: Vec<String> = free
                .iter()
                .map(|column| written(schema.dialect, &column.name))
                .collect();
            found.push(Candidate {
                weight: 290,
                matched: String::new(),
                completion: Completion {
                    text: all.join(", "),
                    kind: CompletionKind::Column,
                    detail: Some("all columns".to_owned()),
                },
            });
        }
        found
    }

    /// Columns that the last table shares with those before it.
    fn shared_columns(&self) -> Vec<Candidate> {
        let relations: Vec<&Relation<'_>> = self.own_relations().collect();
        let Some((last, others)) = relations.split_last() else {
            return Vec::new();
        };
        let shared = last.columns.iter().filter(|name| {
            others.iter().any(|other| {
                other
                    .columns
                    .iter()
                    .any(|column| column.eq_ignore_ascii_case(name))
            })
        });
        shared
            .map(|name| self.column(last, name, written(self.text.schema.dialect, name), 300))
            .collect()
    }
}

fn table_text(schema: &Schema, table: &Table) -> String {
    let name = written(schema.dialect, &table.name);
    let is_default = |namespace: &&str| matches!(*namespace, "public" | "dbo" | "main");
    match table
        .namespace
        .as_deref()
        .filter(|namespace| !is_default(namespace))
    {
        Some(namespace) => format!("{}.{name}", written(schema.dialect, namespace)),
        None => name,
    }
}

fn of_table(schema: &Schema, table: &Table, column: &Column, weight: i32) -> Candidate {
    Candidate {
        weight,
        matched: column.name.clone(),
        completion: Completion {
            text: written(schema.dialect, &column.name),
            kind: CompletionKind::Column,
            detail: Some(format!("{} {}", table.name, column.type_name)),
        },
    }
}

fn values(column: &Column) -> Vec<Candidate> {
    let values = column.samples.iter().enumerate().map(|(at, value)| {
        let text = match column.kind {
            kind if kind.is_number() || kind == Kind::Boolean => value.clone(),
            _ => format!("'{}'", value.replace('\'', "''")),
        };
        Candidate {
            weight: 500 - at as i32,
            matched: value.clone(),
            completion: Completion {
                text,
                kind: CompletionKind::Value,
                detail: Some(column.name.clone()),
            },
        }
    });
    values.collect()
}

/// How well typed letters fit a name, 0 to 1000; `None` if not at all.
fn fit(typed: &str, name: &str) -> Option<i32> {
    if typed.is_empty() {
        return Some(0);
    }
    // Of several that start alike, the shorter is nearer.
    let rest = name.len().saturating_sub(typed.len()).min(40) as i32;
    if name.starts_with(typed) {
        return Some(1000 - rest);
    }
    let (typed, name) = (typed.to_lowercase(), name.to_lowercase());
    if name.starts_with(&typed) {
        return Some(950 - rest);
    }
    // `at` fits `created_at`.
    if name
        .split(['_', ' ', '.'])
        .any(|word| word.starts_with(&typed))
    {
        return Some(700);
    }
    if name.contains(&typed) {
        return Some(500);
    }
    let initials: String = name
        .split('_')
        .filter_map(|word| word.chars().next())
        .collect();
    if typed.len() >= 2 && initials.starts_with(&typed) {
        return Some(400);
    }
    let beginning: String = name.chars().take(typed.chars().count()).collect();
    let is_slip = typed.len() >= 4 && distance(&typed, &beginning, 1).is_some();
    is_slip.then_some(300)
}

#[cfg(test)]
mod tests;
