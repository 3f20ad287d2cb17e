//! Functions over texts that stand in the place of SQLite's own of the same names.
//!
//! SQLite looks at the clock between the steps of its machine, and a call is one step. Its own `instr`, `replace` and
//! trimming of a set of characters take the product of two lengths, up to minutes a call for texts of a megabyte. These
//! return the same in the sum of the lengths, or look at the clock while they are at it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ffi::c_int;
use std::time::Instant;

use memchr::{memchr, memmem};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Error, ffi};

/// Puts them in place on a connection. From the deadline on they fail as what is interrupted does, and so does a
/// replacement that makes more than `most_bytes`, as what is too big.
///
/// # Errors
/// A connection that takes no functions.
pub(super) fn bound(
    connection: &Connection,
    deadline: Instant,
    most_bytes: usize,
) -> rusqlite::Result<()> {
    // Views and indexes may call them, as they may call SQLite's.
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    let bounds = || Bounds {
        deadline,
        most_bytes,
        writer: OnceCell::new(),
    };
    let own = bounds();
    connection.create_scalar_function("instr", 2, flags, move |args| own.instr(args))?;
    let own = bounds();
    connection.create_scalar_function("replace", 3, flags, move |args| own.replace(args))?;
    for (name, sides) in [
        ("trim", Sides::Both),
        ("ltrim", Sides::Start),
        ("rtrim", Sides::End),
    ] {
        let own = bounds();
        connection.create_scalar_function(name, 2, flags, move |args| own.trim(args, sides))?;
    }
    Ok(())
}

/// What a function is held to.
struct Bounds {
    deadline: Instant,
    most_bytes: usize,
    /// Writes numbers as SQLite does; opened when the first of them comes.
    writer: OnceCell<Connection>,
}

/// Where a text is trimmed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    Both,
    Start,
    End,
}

/// A text made of others. It need not be UTF-8, as theirs need not.
struct Text(Vec<u8>);

impl ToSql for Text {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}

impl Bounds {
    /// Where the second is in the first, from 1; 0 where it is not.
    fn instr(&self, args: &Context<'_>) -> rusqlite::Result<Option<i64>> {
        self.in_time()?;
        let both = (args.get_raw(0), args.get_raw(1));
        let (Some(within), Some(part)) = (self.text(both.0)?, self.text(both.1)?) else {
            return Ok(None);
        };
        let place = match both {
            (ValueRef::Blob(_), ValueRef::Blob(_)) => {
                memmem::find(&within, &part).map_or(0, |at| at + 1)
            }
            _ => place(&within, &part),
        };
        Ok(Some(place as i64))
    }

    /// The first with the third wherever it holds the second.
    fn replace(&self, args: &Context<'_>) -> rusqlite::Result<Option<Text>> {
        self.in_time()?;
        let (Some(text), Some(part)) = (self.text(args.get_raw(0))?, self.text(args.get_raw(1))?)
        else {
            return Ok(None);
        };
        // SQLite takes what begins with a NUL for empty, too.
        if part.first().is_none_or(|byte| *byte == 0) {
            return Ok(Some(Text(text.into_owned())));
        }
        let Some(other) = self.text(args.get_raw(2))? else {
            return Ok(None);
        };
        let mut made = Vec::with_capacity(text.len());
        let mut end = 0;
        for at in memmem::find_iter(&text, &part) {
            made.extend_from_slice(&text[end..at]);
            made.extend_from_slice(&other);
            end = at + part.len();
            if made.len() + text.len() - end > self.most_bytes {
                return Err(failure(ffi::SQLITE_TOOBIG));
            }
        }
        made.extend_from_slice(&text[end..]);
        Ok(Some(Text(made)))
    }

    /// The first without characters of the second at its sides.
    fn trim(&self, args: &Context<'_>, sides: Sides) -> rusqlite::Result<Option<Text>> {
        let (Some(text), Some(set)) = (self.text(args.get_raw(0))?, self.text(args.get_raw(1))?)
        else {
            return Ok(None);
        };
        let set = characters(&set);
        let mut rest = &text[..];
        while sides != Sides::End
            && let Some(length) = self.first(&set, |one| rest.starts_with(one))?
        {
            rest = &rest[length..];
        }
        while sides != Sides::Start
            && let Some(length) = self.first(&set, |one| rest.ends_with(one))?
        {
            rest = &rest[..rest.len() - length];
        }
        Ok(Some(Text(rest.to_vec())))
    }

    /// The length of the first character of a set that is there.
    fn first(
        &self,
        set: &[&[u8]],
        is_there: impl Fn(&[u8]) -> bool,
    ) -> rusqlite::Result<Option<usize>> {
        self.in_time()?;
        let found = set.iter().find(|one| is_there(one));
        Ok(found.map(|one| one.len()))
    }

    fn in_time(&self) -> rusqlite::Result<()> {
        match Instant::now() < self.deadline {
            true => Ok(()),
            false => Err(failure(ffi::SQLITE_INTERRUPT)),
        }
    }

    /// A value as text; nothing for NULL.
    fn text<'a>(&self, value: ValueRef<'a>) -> rusqlite::Result<Option<Cow<'a, [u8]>>> {
        Ok(match value {
            ValueRef::Null => None,
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
            ValueRef::Integer(number) => Some(Cow::Owned(number.to_string().into_bytes())),
            ValueRef::Real(number) => Some(Cow::Owned(self.written(number)?)),
        })
    }

    /// A number as SQLite writes it, which its own code knows best.
    fn written(&self, number: f64) -> rusqlite::Result<Vec<u8>> {
        let writer = match self.writer.get() {
            Some(writer) => writer,
            None => {
                let opened = Connection::open_in_memory()?;
                self.writer.get_or_init(|| opened)
            }
        };
        let mut statement = writer.prepare_cached("SELECT CAST(?1 AS TEXT)")?;
        let text: String = statement.query_row([number], |row| row.get(0))?;
        Ok(text.into_bytes())
    }
}

fn failure(code: c_int) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), None)
}

/// Where `part` is in `within`, in characters from 1; 0 where it is not. As SQLite counts, a character begins with
/// every byte that continues none, and with the very first one whatever that is.
fn place(within: &[u8], part: &[u8]) -> usize {
    let at = match part.first() {
        Some(byte) if continues(*byte) => within.starts_with(part).then_some(0),
        _ => memmem::find(within, part),
    };
    let begins = |(at, byte): &(usize, &u8)| *at == 0 || !continues(**byte);
    at.map_or(0, |at| {
        1 + within[..at].iter().enumerate().filter(begins).count()
    })
}

/// Whether a byte of UTF-8 belongs to the character before it.
fn continues(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// The characters of a text up to a NUL, which ends it for SQLite here.
fn characters(text: &[u8]) -> Vec<&[u8]> {
    let mut rest = &text[..memchr(0, text).unwrap_or(text.len())];
    let mut found = Vec::new();
    while let Some((first, others)) = rest.split_first() {
        let more = match *first >= 0xc0 {
            true => others.iter().take_while(|byte| continues(**byte)).count(),
            false => 0,
        };
        let (character, after) = rest.split_at(1 + more);
        found.push(character);
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::ErrorCode;

    use super::*;

    const VALUES: [&str; 21] = [
        "NULL",
        "''",
        "'a'",
        "'an'",
        "'banana'",
        "'ß'",
        "'Größe ßß'",
        "x''",
        "x'00'",
        "x'61'",
        "x'c39f'",
        "x'9f'",
        "x'9fc39fc3'",
        "zeroblob(2)",
        "char(0)",
        "'a' || char(0) || 'a'",
        "1",
        "-9223372036854775808",
        "-1.5",
        "0.1",
        "1e300",
    ];

    fn bounded(time: Duration, most_bytes: usize) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        bound(&connection, Instant::now() + time, most_bytes).unwrap();
        connection
    }

    /// What a statement returns, with its type.
    fn said(connection: &Connection, sql: &str) -> String {
        let said = connection.query_row(sql, [], |row| Ok(format!("{:?}", row.get_ref(0)?)));
        said.unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn they_say_what_sqlites_own_say() {
        let plain = Connection::open_in_memory().unwrap();
        let own = bounded(Duration::from_secs(600), 1 << 20);
        let same = |sql: String| assert_eq!(said(&own, &sql), said(&plain, &sql), "{sql}");
        for a in VALUES {
            same(format!("SELECT trim({a})"));
            for b in VALUES {
                for name in ["instr", "trim", "ltrim", "rtrim"] {
                    same(format!("SELECT {name}({a}, {b})"));
                }
                for c in VALUES {
                    same(format!("SELECT replace({a}, {b}, {c})"));
                }
            }
        }
    }

    #[test]
    fn what_is_replaced_is_as_long_as_allowed_and_no_longer() {
        let connection = bounded(Duration::from_secs(600), 4);
        assert_eq!(
            said(&connection, "SELECT replace('aa', 'a', 'bb') = 'bbbb'"),
            "Integer(1)"
        );
        let run = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0));
        let error = run("SELECT replace('aa', 'a', 'bbb')").unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::TooBig));
    }

    #[test]
    fn they_stop_when_their_time_is_over() {
        let connection = bounded(Duration::ZERO, 1 << 20);
        for call in [
            "instr('ab', 'b')",
            "replace('ab', 'b', 'c')",
            "trim('ab', 'b')",
            "ltrim('ab', 'b')",
            "rtrim('ab', 'b')",
        ] {
            let sql = format!("SELECT {call}");
            let run = connection.query_row(&sql, [], |row| row.get::<_, String>(0));
            let code = run.unwrap_err().sqlite_error_code();
            assert_eq!(code, Some(ErrorCode::OperationInterrupted), "{call}");
        }
    }
}
