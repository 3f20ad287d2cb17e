//! What a database holds, as plain data.

use serde::{Deserialize, Serialize};

use super::names::fold;
use super::{Dialect, SqlError, ddl};

/// The tables of a database.
///
/// Names are as the database keeps them: PostgreSQL folds what is not quoted to lower case, the others keep
/// what was written and compare without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Whose rules its names and types follow.
    pub dialect: Dialect,
    /// In the order of their creation.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The schema it is in (`sales` of `sales.orders`), where one was named.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// In order.
    pub columns: Vec<Column>,
    /// Names of the columns of the primary key; empty if there is none.
    pub primary_key: Vec<String>,
    /// Columns that point at other tables.
    pub foreign_keys: Vec<ForeignKey>,
    /// Sets of columns that are unique together, the primary key apart.
    pub uniques: Vec<Vec<String>>,
    /// Indexes made by themselves, not those behind keys.
    pub indexes: Vec<Index>,
    /// Conditions of `CHECK` constraints, as SQL.
    pub checks: Vec<String>,
    /// What somebody wrote about it.
    pub comment: Option<String>,
    /// Rows by the database's own estimate.
    pub rows: Option<u64>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the dialect writes it.
    pub type_name: String,
    /// What sort of values the type holds.
    pub kind: Kind,
    /// Whether it may be `NULL`.
    pub nullable: bool,
    /// Its default, as SQL. Keys that count up by themselves have one too.
    pub default: Option<String>,
    /// What somebody wrote about it.
    pub comment: Option<String>,
    /// A few of its values, where showing them is allowed.
    pub samples: Vec<String>,
}

/// What sort of values a type holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Floating-point numbers.
    Real,
    /// Exact decimal numbers, money too.
    Decimal,
    /// Characters, enumerations too.
    Text,
    /// True and false.
    Boolean,
    /// Days.
    Date,
    /// Days with a time.
    Timestamp,
    /// Times of day.
    Time,
    /// JSON.
    Json,
    /// UUIDs.
    Uuid,
    /// Bytes.
    Binary,
    /// Anything else.
    #[default]
    Other,
}

/// Columns that point at another table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The columns that point.
    pub columns: Vec<String>,
    /// The table they point at, for [`Schema::table`]: `name`, or `namespace.name` where two share a name.
    pub table: String,
    /// The columns they point at; never empty where the target's key is known.
    pub references: Vec<String>,
}

/// An index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: Option<String>,
    /// Columns, or expressions as SQL, in order.
    pub columns: Vec<String>,
    /// Whether it holds each value once.
    pub unique: bool,
}

impl Schema {
    /// Reads DDL: `CREATE TABLE`, `ALTER TABLE … ADD`, `CREATE INDEX` and `COMMENT ON`; other statements are
    /// passed over.
    ///
    /// # Errors
    /// Text that is too long, too deep, not of the dialect, or without a table; errors tell the line.
    pub fn from_ddl(ddl: &str, dialect: Dialect) -> Result<Schema, SqlError> {
        ddl::read(ddl, dialect)
    }

    /// The table of this name: `name`, or `namespace.name`. Compared as the dialect compares stored names.
    pub fn table(&self, name: &str) -> Option<&Table> {
        let same = |a: &str, b: &str| self.same(a, b);
        let whole = self.tables.iter().find(|table| same(&table.name, name));
        whole.or_else(|| {
            let (namespace, name) = name.rsplit_once('.')?;
            self.tables.iter().find(|table| {
                let space = table.namespace.as_deref();
                same(&table.name, name) && space.is_some_and(|space| same(space, namespace))
            })
        })
    }

    /// Whether two stored names are one.
    pub fn same(&self, a: &str, b: &str) -> bool {
        match self.dialect {
            Dialect::Postgres => a == b,
            _ => a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase(),
        }
    }

    /// The stored form of an identifier as it stands in a statement.
    pub fn fold(&self, name: &str, quoted: bool) -> String {
        fold(self.dialect, name, quoted)
    }
}

impl Table {
    /// `namespace.name`, or the name alone.
    pub fn full_name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The column of this name, by case if there is one such, else in any case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let exact = self.columns.iter().find(|column| column.name == name);
        exact.or_else(|| {
            let mut columns = self.columns.iter();
            columns.find(|column| column.name.eq_ignore_ascii_case(name))
        })
    }
}

impl Kind {
    /// The kind of a type by its name in any of the dialects.
    pub fn of(type_name: &str) -> Kind {
        let lower = type_name.trim().to_lowercase();
        let is_bracketed = lower.starts_with('[');
        let lower = match is_bracketed {
            true => lower.replace(['[', ']'], ""),
            false => lower,
        };
        if lower.ends_with(']') || lower.starts_with("array") || lower.starts_with("struct") {
            return Kind::Other;
        }
        let base = lower.split(['(', ' ']).next().unwrap_or_default();
        let base = base
            .rsplit('.')
            .next()
            .unwrap_or(base)
            .trim_matches(['"', '[', ']', '`']);
        match base {
            "int" | "int2" | "int4" | "int8" | "int16" | "int32" | "int64" | "int128"
            | "integer" | "bigint" | "smallint" | "tinyint" | "mediumint" | "hugeint"
            | "uinteger" | "ubigint" | "usmallint" | "utinyint" | "uhugeint" | "serial"
            | "bigserial" | "smallserial" | "serial4" | "serial8" | "serial2" | "byteint"
            | "year" | "unsigned" | "signed" | "oid" => Kind::Integer,
            "real" | "float" | "float4" | "float8" | "float32" | "float64" | "double" => Kind::Real,
            "decimal" | "numeric" | "dec" | "money" | "smallmoney" | "bignumeric"
            | "bigdecimal" | "number" => Kind::Decimal,
            "text" | "char" | "character" | "varchar" | "nvarchar" | "nchar" | "ntext"
            | "bpchar" | "tinytext" | "mediumtext" | "longtext" | "string" | "clob" | "citext"
            | "enum" | "set" | "name" | "native" | "national" | "inet" | "cidr" | "xml" => {
                Kind::Text
            }
            "bool" | "boolean" => Kind::Boolean,
            "bit" if matches!(lower.as_str(), "bit" | "bit(1)") => Kind::Boolean,
            "date" => Kind::Date,
            "timestamp" | "timestamptz" | "datetime" | "datetime2" | "datetimeoffset"
            | "smalldatetime" | "timestamp_s" | "timestamp_ms" | "timestamp_ns" => Kind::Timestamp,
            "time" | "timetz" => Kind::Time,
            "json" | "jsonb" => Kind::Json,
            "uuid" | "uniqueidentifier" => Kind::Uuid,
            "bytea" | "blob" | "binary" | "varbinary" | "tinyblob" | "mediumblob" | "longblob"
            | "bytes" | "image" | "rowversion" => Kind::Binary,
            _ => Kind::Other,
        }
    }

    /// Whether it holds numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Kind::Integer | Kind::Real | Kind::Decimal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_every_dialect_have_a_kind() {
        for (name, kind) in [
            ("BIGINT UNSIGNED", Kind::Integer),
            ("bigserial", Kind::Integer),
            ("INT64", Kind::Integer),
            ("double precision", Kind::Real),
            ("NUMERIC(10,2)", Kind::Decimal),
            ("character varying(20)", Kind::Text),
            ("ENUM('a', 'b')", Kind::Text),
            ("timestamp with time zone", Kind::Timestamp),
            ("DATETIME2(7)", Kind::Timestamp),
            ("BIT", Kind::Boolean),
            ("bit varying(8)", Kind::Other),
            ("jsonb", Kind::Json),
            ("UNIQUEIDENTIFIER", Kind::Uuid),
            ("VARBINARY(MAX)", Kind::Binary),
            ("integer[]", Kind::Other),
            ("[nvarchar](50)", Kind::Text),
            ("geometry", Kind::Other),
        ] {
            assert_eq!(Kind::of(name), kind, "{name}");
        }
    }
}
