//! DDL of six dialects to a [`Schema`].

mod mssql;
mod table;

use std::collections::HashMap;

use sqlparser::ast::{
    AlterTableOperation, CommentObject, CreateIndex, CreateTableLikeKind, ObjectName, Statement,
    UserDefinedTypeRepresentation,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::statement::{check_depth, syntax, tokens};
use super::{Dialect, Index, Kind, Schema, SqlError, Table};

pub(super) use table::name_parts as stored_parts;

/// Longest DDL that is read.
const LIMIT_BYTES: usize = 2 << 20;
/// Tables of one schema at most.
pub(super) const MOST_TABLES: usize = 2_000;
/// Columns of one table at most.
const MOST_COLUMNS: usize = 1_600;

/// The schema that a text creates.
pub(super) fn read(text: &str, dialect: Dialect) -> Result<Schema, SqlError> {
    if text.len() > LIMIT_BYTES {
        return Err(SqlError::TooLong {
            size_bytes: text.len(),
            limit_bytes: LIMIT_BYTES,
        });
    }
    let text = without_data(text, dialect);
    let chunks = chunks(tokens(&text, dialect)?);
    let count = chunks.iter().filter(|c| c.is_some_table()).count();
    if count > MOST_TABLES {
        return Err(SqlError::TooManyTables {
            tables: count,
            limit: MOST_TABLES,
        });
    }
    let mut reader = Reader {
        schema: Schema {
            dialect,
            tables: Vec::new(),
        },
        enums: HashMap::new(),
    };
    for chunk in chunks {
        reader.take(chunk)?;
    }
    reader.finish()
}

/// What stands between two semicolons.
struct Chunk(Vec<TokenWithSpan>);

impl Chunk {
    /// The first words, in capitals.
    fn head(&self) -> Vec<String> {
        let words = self.0.iter().map_while(|token| match &token.token {
            Token::Word(word) => Some(Some(word.value.to_uppercase())),
            Token::Whitespace(_) => Some(None),
            _ => None,
        });
        words.flatten().take(8).collect()
    }

    fn line(&self) -> u64 {
        let mut tokens = self.0.iter();
        let first = tokens.find(|token| !matches!(token.token, Token::Whitespace(_)));
        first.map_or(1, |token| token.span.start.line)
    }

    fn is_some_table(&self) -> bool {
        is_table(&self.head())
    }
}

/// Whether a statement with this head creates a table with columns.
fn is_table(head: &[String]) -> bool {
    const BETWEEN: [&str; 7] = [
        "OR",
        "REPLACE",
        "GLOBAL",
        "LOCAL",
        "TEMP",
        "TEMPORARY",
        "UNLOGGED",
    ];
    let Some((first, rest)) = head.split_first() else {
        return false;
    };
    let next = rest.iter().find(|word| !BETWEEN.contains(&word.as_str()));
    first == "CREATE" && next.is_some_and(|word| word == "TABLE")
}

fn chunks(tokens: Vec<TokenWithSpan>) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    for token in tokens {
        match token.token {
            Token::SemiColon => chunks.push(Chunk(std::mem::take(&mut chunk))),
            _ => chunk.push(token),
        }
    }
    chunks.push(Chunk(chunk));
    chunks.retain(|chunk| {
        let mut tokens = chunk.0.iter();
        tokens.any(|token| !matches!(token.token, Token::Whitespace(_)))
    });
    chunks
}

/// The text with the rows of `COPY … FROM stdin` and the `GO` between batches blanked out, line by line.
fn without_data(text: &str, dialect: Dialect) -> String {
    let mut within = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let upper = || trimmed.to_ascii_uppercase();
        let is_data = within || trimmed.starts_with('\\');
        if dialect == Dialect::Postgres && is_data {
            within &= trimmed != "\\.";
            kept.push('\n');
        } else if dialect == Dialect::MsSql && trimmed.eq_ignore_ascii_case("go") {
            kept.push_str(";\n");
        } else {
            within = dialect == Dialect::Postgres
                && trimmed.len() < 10_000
                && upper().starts_with("COPY ")
                && upper().ends_with("FROM STDIN;");
            kept.push_str(if within { "\n" } else { line });
        }
    }
    kept
}

struct Reader {
    schema: Schema,
    /// Labels of the enumerations, by name.
    enums: HashMap<String, Vec<String>>,
}

impl Reader {
    fn take(&mut self, chunk: Chunk) -> Result<(), SqlError> {
        let head = chunk.head();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let creates = chunk.is_some_table();
        let matters = match head.as_slice() {
            [
                "CREATE",
                "TYPE" | "INDEX" | "UNIQUE" | "CLUSTERED" | "NONCLUSTERED",
                ..,
            ]
            | ["ALTER", "TABLE", ..]
            | ["COMMENT", "ON", ..] => true,
            _ => creates,
        };
        if !matters {
            return Ok(());
        }
        let line = chunk.line();
        let tokens = simplified(chunk.0, self.schema.dialect);
        check_depth(&tokens)?;
        let grammar = self.schema.dialect.parser();
        let mut parser = Parser::new(grammar.as_ref()).with_tokens_with_locations(tokens);
        loop {
            match parser.parse_statement() {
                Ok(statement) => self.apply(statement, line)?,
                Err(error) if creates => return Err(syntax(error)),
                // What some dump says of owners, storage and the like is no part of a schema.
                Err(_) => return Ok(()),
            }
            // SQL Server's statements need no semicolon; what else follows is of no concern.
            match parser.peek_token().token {
                Token::Word(word) if matches!(word.keyword, Keyword::CREATE | Keyword::ALTER) => {}
                _ => return Ok(()),
            }
        }
    }

    fn apply(&mut self, statement: Statement, line: u64) -> Result<(), SqlError> {
        match statement {
            Statement::CreateTable(create) => {
                let has_rows = create.partition_of.is_none() && create.query.is_none();
                if has_rows || !create.columns.is_empty() {
                    self.create(create, line)?;
                }
            }
            Statement::AlterTable(alter) => self.alter(&alter.name, alter.operations)?,
            Statement::CreateIndex(index) => self.index(index),
            Statement::Comment {
                object_type,
                object_name,
                comment: Some(comment),
                ..
            } => self.comment(object_type, &object_name, comment),
            Statement::CreateType {
                name,
                representation: Some(UserDefinedTypeRepresentation::Enum { labels }),
            } => {
                let name = self.name_parts(&name).pop().unwrap_or_default();
                let labels = labels.into_iter().map(|label| label.value).collect();
                self.enums.insert(name, labels);
            }
            _ => {}
        }
        Ok(())
    }

    fn create(&mut self, create: sqlparser::ast::CreateTable, line: u64) -> Result<(), SqlError> {
        let mut table = self.named(&create.name);
        if self.find(&create.name).is_some() {
            if create.if_not_exists {
                return Ok(());
            }
            let table = table.full_name();
            return Err(SqlError::TableTwice { line, table });
        }
        if self.schema.tables.len() >= MOST_TABLES {
            return Err(SqlError::TooManyTables {
                tables: MOST_TABLES + 1,
                limit: MOST_TABLES,
            });
        }
        let like = create.like.as_ref().map(|like| match like {
            CreateTableLikeKind::Plain(like) | CreateTableLikeKind::Parenthesized(like) => {
                &like.name
            }
        });
        for parent in create.inherits.iter().flatten().chain(like) {
            if let Some(parent) = self.find(parent) {
                let columns = self.schema.tables[parent].columns.clone();
                table.columns.extend(columns);
            }
        }
        let mut maker = table::Maker::new(self.schema.dialect, &self.enums, &mut table);
        maker.columns(create.columns);
        maker.constraints(create.constraints);
        maker.options(create.table_options, create.comment);
        self.check_columns(&table)?;
        self.schema.tables.push(table);
        Ok(())
    }

    fn check_columns(&self, table: &Table) -> Result<(), SqlError> {
        match table.columns.len() {
            columns if columns > MOST_COLUMNS => Err(SqlError::TooManyColumns {
                table: table.full_name(),
                columns,
                limit: MOST_COLUMNS,
            }),
            _ => Ok(()),
        }
    }

    fn alter(
        &mut self,
        name: &ObjectName,
        operations: Vec<AlterTableOperation>,
    ) -> Result<(), SqlError> {
        let Some(at) = self.find(name) else {
            return Ok(());
        };
        let mut table = std::mem::take(&mut self.schema.tables[at]);
        let mut maker = table::Maker::new(self.schema.dialect, &self.enums, &mut table);
        for operation in operations {
            maker.alter(operation);
        }
        let checked = self.check_columns(&table);
        self.schema.tables[at] = table;
        checked
    }

    fn index(&mut self, index: CreateIndex) {
        let Some(at) = self.find(&index.table_name) else {
            return;
        };
        let name = index.name.map(|name| self.name_parts(&name));
        let dialect = self.schema.dialect;
        let table = &mut self.schema.tables[at];
        let columns = index
            .columns
            .iter()
            .map(|c| table::index_column(dialect, c));
        table.indexes.push(Index {
            name: name.and_then(|mut parts| parts.pop()),
            columns: columns.collect(),
            // One over part of the rows does not make the columns unique.
            unique: index.unique && index.predicate.is_none(),
        });
    }

    fn comment(&mut self, of: CommentObject, name: &ObjectName, text: String) {
        match of {
            CommentObject::Table => {
                if let Some(at) = self.find(name) {
                    self.schema.tables[at].comment = Some(text);
                }
            }
            CommentObject::Column => {
                let mut parts = self.name_parts(name);
                let (Some(column), Some(at)) = (parts.pop(), self.find_parts(&parts)) else {
                    return;
                };
                let columns = &mut self.schema.tables[at].columns;
                if let Some(column) = columns.iter_mut().find(|c| c.name == column) {
                    column.comment = Some(text);
                }
            }
            _ => {}
        }
    }

    /// An empty table of this name.
    fn named(&self, name: &ObjectName) -> Table {
        let mut parts = self.name_parts(name);
        Table {
            name: parts.pop().unwrap_or_default(),
            namespace: parts.pop(),
            ..Table::default()
        }
    }

    fn name_parts(&self, name: &ObjectName) -> Vec<String> {
        table::name_parts(self.schema.dialect, name)
    }

    fn find(&self, name: &ObjectName) -> Option<usize> {
        self.find_parts(&self.name_parts(name))
    }

    /// Where the table of this name is; one without a namespace is found in any.
    fn find_parts(&self, parts: &[String]) -> Option<usize> {
        let (name, spaces) = parts.split_last()?;
        self.schema.tables.iter().position(|table| {
            let in_space = match (spaces.last(), &table.namespace) {
                (Some(wanted), Some(space)) => self.schema.same(wanted, space),
                _ => true,
            };
            in_space && self.schema.same(&table.name, name)
        })
    }

    /// Gives foreign keys the stored names and the columns they leave out.
    fn finish(mut self) -> Result<Schema, SqlError> {
        if self.schema.tables.is_empty() {
            return Err(SqlError::NoTables);
        }
        let mut names: HashMap<String, usize> = HashMap::new();
        for table in &self.schema.tables {
            *names.entry(table.name.to_lowercase()).or_default() += 1;
        }
        for at in 0..self.schema.tables.len() {
            let mut keys = std::mem::take(&mut self.schema.tables[at].foreign_keys);
            for key in &mut keys {
                let parts: Vec<String> = key.table.split('\u{0}').map(str::to_owned).collect();
                let Some(target) = self.find_parts(&parts) else {
                    key.table = parts.last().cloned().unwrap_or_default();
                    continue;
                };
                let target = &self.schema.tables[target];
                let is_alone = names.get(&target.name.to_lowercase()) == Some(&1);
                key.table = if is_alone {
                    target.name.clone()
                } else {
                    target.full_name()
                };
                if key.references.is_empty() {
                    key.references.clone_from(&target.primary_key);
                }
            }
            self.schema.tables[at].foreign_keys = keys;
        }
        Ok(self.schema)
    }
}

/// Tokens without what `sqlparser` does not know and a schema does not need.
fn simplified(tokens: Vec<TokenWithSpan>, dialect: Dialect) -> Vec<TokenWithSpan> {
    match dialect {
        Dialect::MsSql => mssql::simplified(tokens),
        _ => {
            let is = |token: &Token, word: &str| matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word));
            let mut before_table = true;
            tokens
                .into_iter()
                .filter(|token| {
                    before_table &= !is(&token.token, "table");
                    !(before_table && is(&token.token, "unlogged"))
                })
                .collect()
        }
    }
}

/// The labels that a type lists by itself.
fn labels_of(kind: Kind, labels: &[String]) -> Vec<String> {
    match kind {
        Kind::Text => labels.iter().take(20).cloned().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
