//! The rules of a statement, for each sort of `SELECT` that it may hold.

use std::fmt::Write;

use crate::sql::Dialect;

use super::words;

/// What a `SELECT` reads, which decides what it may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// Tables of the schema.
    Tables,
    /// A subquery in `FROM` too: its columns are named behind its alias.
    Derived,
    /// Common table expressions too: their columns are named anywhere.
    Common,
}

impl Variant {
    pub(super) const ALL: [Variant; 3] = [Variant::Tables, Variant::Derived, Variant::Common];

    fn mark(self) -> &'static str {
        match self {
            Variant::Tables => "t",
            Variant::Derived => "d",
            Variant::Common => "c",
        }
    }
}

/// The statement as a whole.
pub(super) fn statement(text: &mut String, dialect: Dialect) {
    let limit = match dialect {
        Dialect::MsSql => {
            "tail: S \"OFFSET\" S INT S \"ROWS\" (S \"FETCH NEXT\" S INT S \"ROWS ONLY\")?\n"
        }
        _ => "tail: S \"LIMIT\" S INT (S \"OFFSET\" S INT)?\n",
    };
    let recursive = match dialect {
        Dialect::MsSql => "",
        _ => "(\"RECURSIVE\" S)? ",
    };
    let _ = write!(
        text,
        r#"start: (plain | with) ";"?
with: "WITH" S {recursive}cte (C cte){{0,7}} S body_c
cte: CTE S "AS" S "(" S? body_c S? ")"
plain: body_t | body_d
sub: body_t
{limit}table_alias: S ("AS" S)? TALIAS
as: S "AS" S (ALIAS | ucol)
setop: "UNION" (S "ALL")? | "INTERSECT" | "EXCEPT"
dir: S ("ASC" | "DESC")
"#
    );
}

/// Where missing values go in an order, where a dialect lets one say so.
fn nulls(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MySql | Dialect::MsSql => "",
        _ => "(S \"NULLS\" S (\"FIRST\" | \"LAST\"))?",
    }
}

/// The rules of one sort of `SELECT`.
pub(super) fn select(text: &mut String, dialect: Dialect, variant: Variant, booleans: bool) {
    let v = variant.mark();
    let nulls = nulls(dialect);
    let top = match dialect {
        Dialect::MsSql => "(\"TOP\" S INT S)? ",
        _ => "",
    };
    let _ = write!(
        text,
        r#"body_{v}: select_{v} (S setop S select_{v}){{0,3}} (S "ORDER BY" S order_{v} (C order_{v}){{0,7}})? tail?
select_{v}: "SELECT" S ("DISTINCT" S)? {top}item_{v} (C item_{v}){{0,31}} S "FROM" S from_{v} (S "WHERE" S cond_p{v})? (S "GROUP BY" S group_{v} (C group_{v}){{0,7}})? (S "HAVING" S cond_f{v})?
item_{v}: "*" | star | scalar_f{v} as?
group_{v}: scalar_p{v} | ALIAS
order_{v}: (scalar_f{v} | ALIAS) dir? {nulls}
"#
    );
    from(text, variant);
    columns(text, variant);
    for aggregates in [false, true] {
        expressions(text, dialect, variant, aggregates, booleans);
    }
    if variant == Variant::Tables {
        text.push_str("star: (qualifier | TALIAS) \".*\"\n");
    }
}

fn from(text: &mut String, variant: Variant) {
    let join = "(\"INNER\" S | \"LEFT\" S (\"OUTER\" S)? | \"RIGHT\" S (\"OUTER\" S)? | \"FULL\" S (\"OUTER\" S)?)? \"JOIN\"";
    if variant == Variant::Tables {
        let _ = write!(
            text,
            r#"from_t: tref (S join_t){{0,7}}
tref: table table_alias?
join_t: {join} S tref S "ON" S on_t | "CROSS JOIN" S tref
on_t: (pair | TALIAS "." ucol S "=" S (TALIAS "." ucol | tcol) | tcol S "=" S TALIAS "." ucol) (S "AND" S cond_pt)?
derived: "(" S? body_t S? ")" S ("AS" S)? (TALIAS | CTE)
"#
        );
        return;
    }
    let v = variant.mark();
    let named = match variant {
        Variant::Common => "(CTE table_alias? | derived)",
        _ => "derived",
    };
    let _ = write!(
        text,
        r#"from_{v}: named_{v} (S join_{v}){{0,7}} | tref (S join_t){{0,7}} S more_{v} (S join_{v}){{0,7}}{plain}
named_{v}: {named}
more_{v}: {join} S named_{v} S "ON" S cond_p{v} | "CROSS JOIN" S named_{v}
join_{v}: {join} S (tref | named_{v}) S "ON" S cond_p{v} | "CROSS JOIN" S (tref | named_{v})
"#,
        plain = match variant {
            // A part of a WITH may read tables alone.
            Variant::Common => " | from_t",
            _ => "",
        }
    );
}

fn columns(text: &mut String, variant: Variant) {
    let v = variant.mark();
    let more = match variant {
        Variant::Tables => "",
        Variant::Derived => " | (TALIAS | CTE) \".\" ALIAS | CTE \".\" ucol",
        Variant::Common => " | (TALIAS | CTE) \".\" ALIAS | CTE \".\" ucol | ALIAS",
    };
    let _ = writeln!(text, "col_{v}: ucol | tcol | TALIAS \".\" ucol{more}");
}

/// Values and conditions, with or without aggregates and windows.
fn expressions(
    text: &mut String,
    dialect: Dialect,
    variant: Variant,
    aggregates: bool,
    booleans: bool,
) {
    let v = format!("{}{}", if aggregates { "f" } else { "p" }, variant.mark());
    let col = format!("col_{}", variant.mark());
    let mut terms = vec![
        col,
        "NUMBER".to_owned(),
        "STRING".to_owned(),
        format!("call_{v}"),
        format!("case_{v}"),
        format!("\"(\" scalar_{v} \")\""),
        "\"(\" S? sub S? \")\"".to_owned(),
    ];
    if aggregates {
        terms.push(format!("agg_{v}"));
        terms.push(format!("win_{v}"));
    }
    if dialect != Dialect::MsSql {
        terms.push("\"TRUE\" | \"FALSE\"".to_owned());
    }
    let boolean = match booleans {
        true => "boolcol | (tbool) |".to_owned(),
        false => String::new(),
    };
    let _ = write!(
        text,
        r#"scalar_{v}: term_{v} (S ARITHMETIC S term_{v}){{0,7}}
term_{v}: {terms}
cond_{v}: pred_{v} (S ("AND" | "OR") S pred_{v}){{0,11}}
pred_{v}: ("NOT" S)? (test_{v} | {boolean} "(" cond_{v} ")" | "EXISTS" S? "(" S? sub S? ")")
test_{v}: scalar_{v} S COMPARE S scalar_{v}
  | scalar_{v} S ("NOT" S)? "BETWEEN" S scalar_{v} S "AND" S scalar_{v}
  | scalar_{v} S ("NOT" S)? "IN" S? "(" (S? sub S? | value (C value){{0,31}}) ")"
  | scalar_{v} S ("NOT" S)? {like} S STRING
  | scalar_{v} S "IS" S ("NOT" S)? "NULL"
case_{v}: "CASE" (S "WHEN" S cond_{v} S "THEN" S scalar_{v}){{1,8}} (S "ELSE" S (scalar_{v} | "NULL"))? S "END"
"#,
        terms = terms.join(" | "),
        like = words::like(dialect),
    );
    words::calls(text, dialect, &v);
    if aggregates {
        windows(text, dialect, &v, variant.mark());
    }
    if variant == Variant::Tables && !aggregates {
        text.push_str("value: NUMBER | STRING\n");
        if booleans {
            text.push_str("tbool: TALIAS \".\" boolcol | qualifier \".\" boolcol\n");
        }
    }
}

fn windows(text: &mut String, dialect: Dialect, v: &str, mark: &str) {
    let plain = format!("p{mark}");
    let filter = match dialect {
        Dialect::Postgres | Dialect::Sqlite | Dialect::DuckDb => {
            format!("(S \"FILTER\" S? \"(WHERE\" S cond_{plain} \")\")?")
        }
        _ => String::new(),
    };
    let gathered = words::gathering(dialect, &plain);
    let nulls = nulls(dialect);
    let _ = write!(
        text,
        r#"agg_{v}: ("COUNT(*)" | "COUNT(" ("DISTINCT" S)? scalar_{plain} ")" | AGGREGATE "(" ("DISTINCT" S)? scalar_{plain} ")"{gathered}) {filter}
win_{v}: (RANKING "()" | SHIFTING "(" scalar_{v} (C INT)? ")" | "NTILE(" INT ")" | agg_{v}) S "OVER" S? "(" over_{v}? ")"
over_{v}: "PARTITION BY" S scalar_{v} (C scalar_{v}){{0,3}} (S order_by_{v})? | order_by_{v}
order_by_{v}: "ORDER BY" S scalar_{v} dir? {nulls} (C scalar_{v} dir? {nulls}){{0,3}} (S FRAME)?
"#
    );
}
