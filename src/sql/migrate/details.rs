//! What DDL says of tables beyond a [`Schema`](crate::sql::Schema): names of constraints, actions of foreign
//! keys, whole definitions of indexes, enumerations.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlparser::ast::{
    AlterTableOperation, ColumnOption, ConstraintCharacteristics, CreateTable, Ident, ObjectName,
    ReferentialAction, Statement, TableConstraint, UserDefinedTypeRepresentation,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::sql::Dialect;
use crate::sql::names::fold;
use crate::sql::statement::{check_depth, tokens};

/// All of it. Tables are named without their namespace, in small letters.
#[derive(Debug, Default)]
pub(super) struct Details {
    /// Names that constraints were given.
    names: HashMap<(String, Rule), String>,
    /// ` ON DELETE CASCADE` and the like, by table and columns.
    actions: HashMap<(String, Vec<String>), String>,
    /// `CREATE INDEX` statements by the names of the indexes.
    pub(super) indexes: HashMap<String, String>,
    /// Labels of enumerations, in order.
    pub(super) enums: BTreeMap<String, Vec<String>>,
    /// Kinds of statements that are not compared.
    pub(super) others: BTreeSet<String>,
}

/// What a constraint is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    Primary,
    Unique(Vec<String>),
    Foreign(Vec<String>),
    Check(String),
}

impl Details {
    /// Of DDL; statements that do not parse say nothing.
    pub(super) fn read(ddl: &str, dialect: Dialect) -> Details {
        let mut details = Details::default();
        let grammar = dialect.parser();
        for chunk in chunks(ddl, dialect) {
            if check_depth(&chunk).is_err() {
                continue;
            }
            let mut parser = Parser::new(grammar.as_ref()).with_tokens_with_locations(chunk);
            if let Ok(statement) = parser.parse_statement() {
                details.take(statement, dialect);
            }
        }
        details
    }

    fn take(&mut self, statement: Statement, dialect: Dialect) {
        match statement {
            Statement::CreateTable(create) => self.table(create, dialect),
            Statement::AlterTable(alter) => {
                let table = key(&alter.name);
                for operation in alter.operations {
                    if let AlterTableOperation::AddConstraint { constraint, .. } = operation {
                        self.constraint(&table, constraint, dialect);
                    }
                }
            }
            Statement::CreateIndex(index) => {
                if let Some(name) = &index.name {
                    self.indexes.insert(key(name), index.to_string());
                }
            }
            Statement::CreateType {
                name,
                representation: Some(UserDefinedTypeRepresentation::Enum { labels }),
            } => {
                let labels = labels.into_iter().map(|label| label.value).collect();
                self.enums.insert(key(&name), labels);
            }
            Statement::CreateView(_) => self.other("views"),
            Statement::CreateTrigger(_) => self.other("triggers"),
            Statement::CreateFunction(_) | Statement::CreateProcedure { .. } => {
                self.other("functions")
            }
            Statement::CreateSequence { .. } => self.other("sequences"),
            Statement::CreateDomain(_) => self.other("domains"),
            Statement::CreatePolicy(_) => self.other("policies"),
            _ => {}
        }
    }

    fn other(&mut self, kind: &str) {
        self.others.insert(kind.to_owned());
    }

    fn table(&mut self, create: CreateTable, dialect: Dialect) {
        let table = key(&create.name);
        for column in create.columns {
            let own = vec![folded(dialect, &column.name)];
            for option in column.options {
                let rule = match option.option {
                    ColumnOption::PrimaryKey(_) => Rule::Primary,
                    ColumnOption::Unique(_) => Rule::Unique(own.clone()),
                    ColumnOption::Check(check) => Rule::Check(check.expr.to_string()),
                    ColumnOption::ForeignKey(foreign) => {
                        let actions = actions(
                            foreign.on_delete,
                            foreign.on_update,
                            foreign.characteristics,
                        );
                        self.actions.insert((table.clone(), own.clone()), actions);
                        Rule::Foreign(own.clone())
                    }
                    _ => continue,
                };
                if let Some(name) = option.name {
                    self.names
                        .insert((table.clone(), rule), folded(dialect, &name));
                }
            }
        }
        for constraint in create.constraints {
            self.constraint(&table, constraint, dialect);
        }
    }

    fn constraint(&mut self, table: &str, constraint: TableConstraint, dialect: Dialect) {
        let (name, rule) = match constraint {
            TableConstraint::PrimaryKey(primary) => (primary.name, Rule::Primary),
            TableConstraint::Unique(unique) => {
                let columns = unique
                    .columns
                    .iter()
                    .map(|column| match &column.column.expr {
                        sqlparser::ast::Expr::Identifier(ident) => folded(dialect, ident),
                        other => other.to_string(),
                    });
                (unique.name, Rule::Unique(columns.collect()))
            }
            TableConstraint::ForeignKey(foreign) => {
                let columns: Vec<String> =
                    foreign.columns.iter().map(|c| folded(dialect, c)).collect();
                let actions = actions(
                    foreign.on_delete,
                    foreign.on_update,
                    foreign.characteristics,
                );
                self.actions
                    .insert((table.to_owned(), columns.clone()), actions);
                (foreign.name, Rule::Foreign(columns))
            }
            TableConstraint::Check(check) => (check.name, Rule::Check(check.expr.to_string())),
            _ => return,
        };
        if let Some(name) = name {
            self.names
                .insert((table.to_owned(), rule), folded(dialect, &name));
        }
    }

    /// The name that a constraint was given.
    pub(super) fn name(&self, table: &str, rule: &Rule) -> Option<&str> {
        let key = (table.to_lowercase(), rule.clone());
        self.names.get(&key).map(String::as_str)
    }

    /// What a foreign key does when its target goes or changes, as SQL that starts with a space.
    pub(super) fn actions(&self, table: &str, columns: &[String]) -> &str {
        let key = (table.to_lowercase(), columns.to_vec());
        self.actions.get(&key).map_or("", String::as_str)
    }
}

fn actions(
    on_delete: Option<ReferentialAction>,
    on_update: Option<ReferentialAction>,
    characteristics: Option<ConstraintCharacteristics>,
) -> String {
    let plain = |action: &ReferentialAction| *action != ReferentialAction::NoAction;
    let mut text = String::new();
    if let Some(action) = on_delete.filter(plain) {
        text.push_str(&format!(" ON DELETE {action}"));
    }
    if let Some(action) = on_update.filter(plain) {
        text.push_str(&format!(" ON UPDATE {action}"));
    }
    if let Some(characteristics) = characteristics {
        text.push_str(&format!(" {characteristics}"));
    }
    text
}

fn chunks(ddl: &str, dialect: Dialect) -> Vec<Vec<TokenWithSpan>> {
    let Ok(tokens) = tokens(ddl, dialect) else {
        return Vec::new();
    };
    let mut chunks = vec![Vec::new()];
    for token in tokens {
        match token.token {
            Token::SemiColon => chunks.push(Vec::new()),
            _ => chunks
                .last_mut()
                .expect("one chunk is always open")
                .push(token),
        }
    }
    chunks
}

/// The last part of a name in small letters.
fn key(name: &ObjectName) -> String {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map_or(String::new(), |ident| ident.value.to_lowercase())
}

fn folded(dialect: Dialect, ident: &Ident) -> String {
    fold(dialect, &ident.value, ident.quote_style.is_some())
}
