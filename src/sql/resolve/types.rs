//! Types, as far as the schema tells them: comparisons, conditions and calls that a strict database would refuse.
//!
//! PostgreSQL and BigQuery are strict; what others convert in silence is no problem there. An expression whose type
//! is not known for certain (of a subquery, a function of somebody's own, a parameter) goes with everything.

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned,
    UnaryOperator, Value,
};
use sqlparser::tokenizer::Span;

use crate::sql::{Dialect, Kind};

use super::scope::{Columns, Scope, Source};
use super::{Problem, ProblemKind, Resolver};

/// Longest expression that a problem quotes, in characters.
const QUOTED: usize = 60;
/// Texts that PostgreSQL takes for a moment though they have no digit.
const MOMENTS: [&str; 8] = [
    "now",
    "today",
    "tomorrow",
    "yesterday",
    "epoch",
    "infinity",
    "-infinity",
    "allballs",
];
/// Texts that PostgreSQL takes for true or false, and their beginnings.
const BOOLEANS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "1", "0"];

/// What goes with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Number,
    Text,
    Boolean,
    /// Days, with or without a time.
    Moment,
    Uuid,
    Json,
}

/// Something that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand<'e> {
    Of(Sort),
    /// A literal text, which becomes what it is compared with if it can.
    Quoted(&'e str),
}

impl Sort {
    fn of(kind: Kind) -> Option<Sort> {
        Some(match kind {
            Kind::Integer | Kind::Real | Kind::Decimal => Sort::Number,
            Kind::Text => Sort::Text,
            Kind::Boolean => Sort::Boolean,
            Kind::Date | Kind::Timestamp => Sort::Moment,
            Kind::Uuid => Sort::Uuid,
            Kind::Json => Sort::Json,
            Kind::Time | Kind::Binary | Kind::Other => return None,
        })
    }

    fn told(self) -> &'static str {
        match self {
            Sort::Number => "a number",
            Sort::Text => "text",
            Sort::Boolean => "true or false",
            Sort::Moment => "a date",
            Sort::Uuid => "a UUID",
            Sort::Json => "JSON",
        }
    }

    /// Whether a literal text can become one. In doubt it can.
    fn takes(self, text: &str) -> bool {
        let text = text.trim().to_ascii_lowercase();
        let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
        match self {
            Sort::Number => {
                // Money may begin with its sign.
                let is_word = text.starts_with(char::is_alphabetic);
                (has_digit && !is_word) || text.parse::<f64>().is_ok()
            }
            Sort::Moment => has_digit || MOMENTS.contains(&text.as_str()),
            Sort::Boolean => {
                !text.is_empty() && BOOLEANS.iter().any(|word| word.starts_with(&text))
            }
            Sort::Text | Sort::Uuid | Sort::Json => true,
        }
    }
}

impl Resolver<'_> {
    /// Finds what is wrong with the types of one expression; those within it are looked at by themselves.
    pub(super) fn types(&mut self, expr: &Expr, scope: &Scope<'_>) {
        if !self.is_strict() {
            return;
        }
        match expr {
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq => self.compared(left, right, scope),
                BinaryOperator::And | BinaryOperator::Or => {
                    self.condition(left, scope);
                    self.condition(right, scope);
                }
                BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo => self.reckoned(left, right, scope),
                _ => {}
            },
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            }
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr) => self.condition(expr, scope),
            Expr::Between {
                expr, low, high, ..
            } => {
                self.compared(expr, low, scope);
                self.compared(expr, high, scope);
            }
            Expr::InList { expr, list, .. } => {
                for item in list {
                    self.compared(expr, item, scope);
                }
            }
            Expr::Like { expr, .. } | Expr::ILike { expr, .. } => {
                self.wanted(expr, Sort::Text, "LIKE", scope);
            }
            Expr::Trim { expr, .. } => self.wanted(expr, Sort::Text, "TRIM", scope),
            Expr::Ceil { expr, .. } => self.wanted(expr, Sort::Number, "CEIL", scope),
            Expr::Floor { expr, .. } => self.wanted(expr, Sort::Number, "FLOOR", scope),
            Expr::Extract { expr, .. } => self.wanted(expr, Sort::Moment, "EXTRACT", scope),
            Expr::Case {
                operand: None,
                conditions,
                ..
            } => {
                for when in conditions {
                    self.condition(&when.condition, scope);
                }
            }
            Expr::Function(function) => self.call(function, scope),
            _ => {}
        }
    }

    /// What stands where only true or false can be.
    pub(super) fn condition(&mut self, expr: &Expr, scope: &Scope<'_>) {
        if !self.is_strict() {
            return;
        }
        if let Some(Operand::Of(sort)) = self.operand(expr, scope)
            && sort != Sort::Boolean
        {
            let reason = format!(
                "'{}' is {} and cannot be a condition",
                quoted(expr),
                sort.told()
            );
            self.mismatch(expr, reason, None);
        }
    }

    fn is_strict(&self) -> bool {
        matches!(self.schema.dialect, Dialect::Postgres | Dialect::BigQuery)
    }

    fn compared(&mut self, left: &Expr, right: &Expr, scope: &Scope<'_>) {
        let operands = self.operand(left, scope).zip(self.operand(right, scope));
        let told = |sort: Sort| sort.told();
        match operands {
            Some((Operand::Of(a), Operand::Of(b))) if a != b => {
                let reason = format!(
                    "'{}' is {} and '{}' is {}: they do not compare",
                    quoted(left),
                    told(a),
                    quoted(right),
                    told(b)
                );
                // A literal can be written as what it is compared with.
                let (literal, as_other) = match (as_sort(right, a), as_sort(left, b)) {
                    (Some(text), _) => (right, Some(text)),
                    (None, Some(text)) => (left, Some(text)),
                    (None, None) => (left, None),
                };
                self.mismatch(literal, reason, as_other);
            }
            Some((Operand::Of(sort), Operand::Quoted(text)))
            | Some((Operand::Quoted(text), Operand::Of(sort)))
                if !sort.takes(text) =>
            {
                let other = if matches!(self.operand(left, scope), Some(Operand::Of(_))) {
                    left
                } else {
                    right
                };
                let reason = format!(
                    "'{}' is {} and the text '{text}' is none",
                    quoted(other),
                    told(sort)
                );
                self.mismatch(other, reason, None);
            }
            _ => {}
        }
    }

    /// Sums and the like: text is in none of them.
    fn reckoned(&mut self, left: &Expr, right: &Expr, scope: &Scope<'_>) {
        let operands = [left, right].map(|expr| (expr, self.operand(expr, scope)));
        let has_number = operands
            .iter()
            .any(|(_, operand)| *operand == Some(Operand::Of(Sort::Number)));
        for (expr, operand) in operands {
            if has_number && let Some(Operand::Of(sort @ (Sort::Text | Sort::Boolean))) = operand {
                let reason = format!(
                    "'{}' is {} and nothing to reckon with",
                    quoted(expr),
                    sort.told()
                );
                self.mismatch(expr, reason, None);
            }
        }
    }

    fn call(&mut self, function: &Function, scope: &Scope<'_>) {
        let name = name(function);
        let arguments = arguments(function);
        let Some(&first) = arguments.first() else {
            return;
        };
        let is_postgres = self.schema.dialect == Dialect::Postgres;
        match name.as_str() {
            "SUM" | "AVG" | "ABS" | "ROUND" | "CEILING" | "SQRT" => {
                self.wanted(first, Sort::Number, &name, scope);
            }
            "LOWER" | "UPPER" | "INITCAP" | "CHAR_LENGTH" | "LENGTH" => {
                self.wanted(first, Sort::Text, &name, scope);
            }
            "DATE_TRUNC" if is_postgres => {
                if let Some(second) = arguments.get(1) {
                    self.wanted(second, Sort::Moment, &name, scope);
                }
            }
            "MIN" | "MAX" if is_postgres => {
                if let Some(Operand::Of(sort @ (Sort::Boolean | Sort::Json))) =
                    self.operand(first, scope)
                {
                    let reason =
                        format!("{name} does not take '{}', {}", quoted(first), sort.told());
                    self.mismatch(first, reason, None);
                }
            }
            _ => {}
        }
    }

    /// What a function or an operator does not take. A literal text may become anything.
    fn wanted(&mut self, expr: &Expr, wanted: Sort, taker: &str, scope: &Scope<'_>) {
        if let Some(Operand::Of(sort)) = self.operand(expr, scope)
            && sort != wanted
        {
            let reason = format!(
                "{taker} takes {}, and '{}' is {}",
                wanted.told(),
                quoted(expr),
                sort.told()
            );
            self.mismatch(expr, reason, None);
        }
    }

    fn mismatch(&mut self, expr: &Expr, reason: String, instead: Option<String>) {
        self.found.problems.push(Problem {
            kind: ProblemKind::Type { reason, instead },
            name: quoted(expr),
            nearest: Vec::new(),
            span: place(expr),
        });
    }

    /// What an expression is, if that is certain.
    fn operand<'e>(&self, expr: &'e Expr, scope: &Scope<'_>) -> Option<Operand<'e>> {
        let of = |sort| Some(Operand::Of(sort));
        match expr {
            Expr::Nested(inner) => self.operand(inner, scope),
            Expr::Value(value) => match &value.value {
                Value::Number(..) => of(Sort::Number),
                Value::Boolean(_) => of(Sort::Boolean),
                Value::SingleQuotedString(text) => Some(Operand::Quoted(text)),
                _ => None,
            },
            Expr::UnaryOp {
                op: UnaryOperator::Minus | UnaryOperator::Plus,
                expr,
            } => self
                .operand(expr, scope)
                .filter(|operand| *operand == Operand::Of(Sort::Number)),
            Expr::TypedString(typed) => {
                Sort::of(Kind::of(&typed.data_type.to_string())).and_then(of)
            }
            Expr::Cast { data_type, .. } => Sort::of(Kind::of(&data_type.to_string())).and_then(of),
            Expr::Extract { .. } => of(Sort::Number),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                Sort::of(self.kind(expr, scope)?).and_then(of)
            }
            Expr::BinaryOp {
                left,
                op:
                    BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::Modulo,
                right,
            } => {
                let number = Some(Operand::Of(Sort::Number));
                let is_number =
                    self.operand(left, scope) == number && self.operand(right, scope) == number;
                number.filter(|_| is_number)
            }
            Expr::Function(function) => self.result(function, scope),
            _ => None,
        }
    }

    /// What a call returns.
    fn result<'e>(&self, function: &'e Function, scope: &Scope<'_>) -> Option<Operand<'e>> {
        let of = |sort| Some(Operand::Of(sort));
        let first = arguments(function).first().copied();
        match name(function).as_str() {
            "COUNT" | "ROW_NUMBER" | "RANK" | "DENSE_RANK" | "NTILE" | "LENGTH" | "CHAR_LENGTH" => {
                of(Sort::Number)
            }
            "SUM" | "AVG" | "ABS" | "ROUND" => {
                let number = Some(Operand::Of(Sort::Number));
                number.filter(|_| first.is_some_and(|expr| self.operand(expr, scope) == number))
            }
            "MIN" | "MAX" => match self.operand(first?, scope) {
                Some(Operand::Of(sort)) => of(sort),
                _ => None,
            },
            "LOWER" | "UPPER" | "TO_CHAR" => of(Sort::Text),
            "NOW" | "CURRENT_DATE" | "CURRENT_TIMESTAMP" | "DATE_TRUNC" => of(Sort::Moment),
            _ => None,
        }
    }

    /// The kind of a column, if it is one of a table of the schema and no other thing of the statement may be meant.
    fn kind(&self, expr: &Expr, scope: &Scope<'_>) -> Option<Kind> {
        let (qualifier, ident) = match expr {
            Expr::Identifier(ident) => (None, ident),
            Expr::CompoundIdentifier(parts) => {
                let [qualifier, ident] = parts.as_slice() else {
                    return None;
                };
                (Some(self.fold(qualifier)), ident)
            }
            _ => return None,
        };
        let name = self.fold(ident);
        for level in scope.outwards() {
            let is_meant = |source: &&Source| match &qualifier {
                Some(qualifier) => self.schema.same(&source.name, qualifier),
                None => source.columns.has(self.schema, &name),
            };
            let mut meant = level.sources.iter().filter(is_meant);
            let is_alias = level
                .aliases
                .iter()
                .any(|alias| self.schema.same(alias, &name));
            if qualifier.is_none() && (level.is_open() || is_alias) {
                return None;
            }
            match (meant.next(), meant.next()) {
                (None, _) => {}
                (Some(source), None) => return self.kind_in(source, &name),
                (Some(_), Some(_)) => return None,
            }
        }
        None
    }

    fn kind_in(&self, source: &Source, name: &str) -> Option<Kind> {
        let table = self.schema.table(&source.table.as_ref()?.full)?;
        let Columns::Known(names) = &source.columns else {
            return None;
        };
        // An alias may have given the columns other names.
        let at = names
            .iter()
            .position(|known| self.schema.same(known, name))?;
        let column = table.columns.get(at)?;
        (column.name == names[at]).then_some(column.kind)
    }
}

/// A number or a truth as the other sort writes it, if it is a literal: `'5'` for 5, `TRUE` for 1.
fn as_sort(expr: &Expr, sort: Sort) -> Option<String> {
    let Expr::Value(value) = expr else {
        return None;
    };
    match (&value.value, sort) {
        (Value::Number(digits, _), Sort::Text) => Some(format!("'{digits}'")),
        (Value::Number(digits, _), Sort::Boolean) => match digits.as_str() {
            "1" => Some("TRUE".to_owned()),
            "0" => Some("FALSE".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

fn name(function: &Function) -> String {
    match function.name.0.as_slice() {
        [part] => part
            .as_ident()
            .map(|ident| ident.value.to_ascii_uppercase())
            .unwrap_or_default(),
        // Of somebody's own schema, whatever it is.
        _ => String::new(),
    }
}

fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    let plain = list.args.iter().map_while(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    plain.collect()
}

/// The expression in few words.
fn quoted(expr: &Expr) -> String {
    let text = expr.to_string();
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn place(expr: &Expr) -> Span {
    match expr {
        Expr::Value(value) => value.span,
        other => other.span(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::resolve;
    use crate::sql::repair::repair;
    use crate::sql::{Dialect, Schema, statement};

    const DDL: &str = "
        CREATE TABLE users (id int PRIMARY KEY, name text, email text, city text, status text, age int, born date,
            nickname text, note text, info jsonb, tags text[], token uuid, active boolean, created_at timestamp,
            updated_at timestamp, deleted boolean, first text, last text);
        CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, total numeric, quantity int,
            status text, paid boolean, created_at timestamptz);
        CREATE TABLE posts (id int, tags text[]);
        CREATE TABLE t (a text, b int, x int, y int, region text);
    ";

    fn types(sql: &str, dialect: Dialect, ddl: &str) -> Vec<String> {
        let schema = Schema::from_ddl(ddl, dialect).unwrap();
        let statements = statement::parse(sql, dialect).unwrap();
        let found = statements.iter().flat_map(|s| resolve(s, &schema).problems);
        let wrong = found.filter(|problem| !problem.is_about_name());
        wrong.map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn what_a_strict_database_refuses_is_told() {
        for (sql, want) in [
            (
                "SELECT id FROM users WHERE status = 1",
                "'status' is text and '1' is a number: they do not compare",
            ),
            (
                "SELECT id FROM users u WHERE 5 < u.name",
                "'5' is a number and 'u.name' is text: they do not compare",
            ),
            (
                "SELECT u.id FROM users u JOIN orders o ON o.user_id = u.email",
                "'o.user_id' is a number and 'u.email' is text: they do not compare",
            ),
            (
                "SELECT id FROM users WHERE active = 1",
                "'active' is true or false and '1' is a number: they do not compare",
            ),
            (
                "SELECT id FROM users WHERE born > 2000",
                "'born' is a date and '2000' is a number: they do not compare",
            ),
            (
                "SELECT id FROM users WHERE created_at BETWEEN 'spring' AND '2024-01-01'",
                "'created_at' is a date and the text 'spring' is none",
            ),
            (
                "SELECT id FROM users WHERE age IN (1, 'many')",
                "'age' is a number and the text 'many' is none",
            ),
            (
                "SELECT id FROM users WHERE age = 'over 30'",
                "'age' is a number and the text 'over 30' is none",
            ),
            (
                "SELECT id FROM users WHERE active = 'maybe'",
                "'active' is true or false and the text 'maybe' is none",
            ),
            (
                "SELECT SUM(name) FROM users",
                "SUM takes a number, and 'name' is text",
            ),
            (
                "SELECT avg(o.paid) FROM orders o",
                "AVG takes a number, and 'o.paid' is true or false",
            ),
            (
                "SELECT lower(age) FROM users",
                "LOWER takes text, and 'age' is a number",
            ),
            (
                "SELECT extract(year FROM name) FROM users",
                "EXTRACT takes a date, and 'name' is text",
            ),
            (
                "SELECT date_trunc('month', age) FROM users",
                "DATE_TRUNC takes a date, and 'age' is a number",
            ),
            (
                "SELECT id FROM users WHERE age LIKE '3%'",
                "LIKE takes text, and 'age' is a number",
            ),
            (
                "SELECT id FROM users WHERE age AND active",
                "'age' is a number and cannot be a condition",
            ),
            (
                "SELECT id FROM users WHERE name",
                "'name' is text and cannot be a condition",
            ),
            (
                "SELECT name + 1 FROM users",
                "'name' is text and nothing to reckon with",
            ),
            (
                "SELECT max(active) FROM users",
                "MAX does not take 'active', true or false",
            ),
            (
                "SELECT name FROM users WHERE EXISTS (SELECT 1 FROM orders WHERE orders.user_id = users.name)",
                "'orders.user_id' is a number and 'users.name' is text: they do not compare",
            ),
            (
                "SELECT status FROM orders GROUP BY status HAVING count(*) > 'x'",
                "'count(*)' is a number and the text 'x' is none",
            ),
        ] {
            assert_eq!(types(sql, Dialect::Postgres, DDL), [want], "{sql}");
        }
    }

    #[test]
    fn what_is_not_known_goes_with_everything() {
        for sql in [
            "SELECT name FROM users WHERE id = '7' AND born > '2000-01-01' AND created_at > 'now'",
            "SELECT name FROM users WHERE active AND NOT deleted AND active = 'yes' AND created_at > 'Jan 5 2024'",
            "SELECT id FROM (SELECT name AS id FROM users) u WHERE id = 'x' AND id LIKE 'x%'",
            "WITH users AS (SELECT 1 AS name) SELECT sum(name) FROM users",
            "SELECT sum(a) FROM users AS u(a, b)",
            "SELECT sum(name) FROM users AS u(name, b)",
            "SELECT id FROM users WHERE name = (SELECT 1)",
            "SELECT id FROM users WHERE name::int = 5 AND CAST(age AS text) LIKE '5%' AND length(name) = 5",
            "SELECT id FROM users WHERE name = $1 AND age = ANY(ARRAY[1, 2]) AND token = 'a0eebc99'",
            "SELECT sum(age * 2 + 1), avg(-age), max(born), min(name) FROM users",
            "SELECT id FROM users WHERE born - created_at::date > 5 AND born + 5 < current_date",
            "SELECT id FROM users WHERE info ->> 'a' = '5' AND coalesce(name, 'x') = 'x'",
            "SELECT mine.sum(name) FROM users",
            "SELECT u.id FROM users u, generate_series(1, 2) AS status WHERE status = 1",
        ] {
            assert_eq!(types(sql, Dialect::Postgres, DDL), [""; 0], "{sql}");
        }
        // Others convert.
        let sql = "SELECT sum(name) FROM users WHERE status = 1 AND age";
        for dialect in [Dialect::Sqlite, Dialect::MySql] {
            let ddl = "CREATE TABLE users (id int, name text, status text, age int);";
            assert_eq!(types(sql, dialect, ddl), [""; 0]);
        }
    }

    #[derive(Deserialize)]
    struct Honest {
        dialect: Dialect,
        sql: String,
    }

    #[derive(Deserialize)]
    struct Case {
        prompt: String,
        sql: String,
    }

    #[test]
    fn sound_statements_raise_no_alarm() {
        let honest: Vec<Honest> =
            serde_json::from_str(include_str!("../../../tests/data/sql/honest.json")).unwrap();
        assert!(honest.len() >= 60);
        for Honest { dialect, sql } in honest {
            let ddl = match dialect {
                Dialect::Postgres => DDL,
                Dialect::BigQuery => "CREATE TABLE t (a INT64, b INT64, x BOOL, d DATE);",
                _ => "CREATE TABLE users (id int, name varchar(9), age int);",
            };
            assert_eq!(types(&sql, dialect, ddl), [""; 0], "{sql}");
        }
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../../models/starter/eval/sql.json")).unwrap();
        for case in cases {
            let start = case.prompt.to_lowercase().find("create table").unwrap();
            let end = case.prompt.rfind(");").unwrap() + 2;
            let ddl = &case.prompt[start..end];
            assert_eq!(
                types(&case.sql, Dialect::Postgres, ddl),
                [""; 0],
                "{} {ddl}",
                case.sql
            );
        }
    }

    #[test]
    fn literals_of_another_type_are_written_as_what_they_meet() {
        let schema = Schema::from_ddl(DDL, Dialect::Postgres).unwrap();
        for (sql, want) in [
            (
                "SELECT id FROM users WHERE status = 1 AND nmae <> 22",
                "SELECT id FROM users WHERE status = '1' AND name <> '22'",
            ),
            (
                "SELECT id FROM users WHERE active = 1 OR 0 = deleted",
                "SELECT id FROM users WHERE active = TRUE OR FALSE = deleted",
            ),
        ] {
            let done = repair(sql, &schema).unwrap();
            assert_eq!((done.sql.as_str(), done.problems.len()), (want, 0));
        }
        let done = repair("SELECT sum(name) FROM users", &schema).unwrap();
        assert_eq!((done.changes.len(), done.problems.len()), (0, 1));
    }
}
