//! Records: one block for each, its values named.

use serde_json::Value;

use super::{Document, Headings, MOST_BLOCKS, ReadError};

/// Longer names of values are cut, since they are repeated with every value.
const MOST_NAME_CHARS: usize = 100;

/// The same for names within names, of which the end is kept.
const MOST_PATH_BYTES: usize = 400;

/// Fields of a record.
const MOST_COLUMNS: usize = 1 << 14;

/// Values of a JSON file, about; each takes memory of its own while it is read.
const MOST_VALUES: usize = 1 << 22;

/// A block `header: value; header: value` for each record.
pub(super) fn read_csv(text: &str) -> Result<Document, ReadError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(ReadError::Csv)?;
    if headers.len() > MOST_COLUMNS {
        return Err(ReadError::TooMuchText);
    }
    let names: Vec<String> = headers.iter().map(short).collect();
    let mut document = Document::default();
    let headings = Headings::default();
    let mut empty = true;
    for record in reader.records() {
        let record = record.map_err(ReadError::Csv)?;
        if record.len() > MOST_COLUMNS {
            return Err(ReadError::TooMuchText);
        }
        let named = record
            .iter()
            .enumerate()
            .filter(|(_, value)| !value.is_empty());
        let fields: Vec<String> = named
            .map(|(at, value)| match names.get(at) {
                Some(name) if !name.is_empty() => format!("{name}: {value}"),
                _ => value.to_owned(),
            })
            .collect();
        document.push(&fields.join("; "), &headings, None);
        if document.is_cut {
            return Ok(document);
        }
        empty = false;
    }
    if empty {
        // A single line is a record, not a header of nothing.
        let headers = reader.headers().map_err(ReadError::Csv)?;
        let line: Vec<&str> = headers.iter().filter(|name| !name.is_empty()).collect();
        document.push(&line.join("; "), &headings, None);
    }
    Ok(document)
}

fn short(name: &str) -> String {
    name.chars().take(MOST_NAME_CHARS).collect()
}

/// The separator that stands most often in the first line.
fn delimiter(text: &str) -> u8 {
    let line = text.lines().next().unwrap_or("");
    let count = |mark: u8| line.bytes().filter(|byte| *byte == mark).count();
    // The last of equals wins, so the comma comes last.
    let marks = [b'|', b'\t', b';', b','];
    marks
        .into_iter()
        .max_by_key(|mark| count(*mark))
        .unwrap_or(b',')
}

/// A block for each object that holds plain values, `path.key: value` on lines of its own.
pub(super) fn read_json(text: &str) -> Result<Document, ReadError> {
    let count = |marks: &[u8]| text.bytes().filter(|byte| marks.contains(byte)).count();
    if count(b",") > MOST_VALUES || count(b"[{") > MOST_BLOCKS {
        return Err(ReadError::TooMuchText);
    }
    let value: Value = serde_json::from_str(text).map_err(ReadError::Json)?;
    let mut document = Document::default();
    records(&value, "", &mut document);
    Ok(document)
}

/// The parser allows 128 levels, so that recursion ends.
fn records(value: &Value, path: &str, document: &mut Document) {
    let mut lines = String::new();
    let mut inner = Vec::new();
    let room = document.room();
    let mut see = |name: String, value| match plain(value) {
        // The rest would not be kept either.
        Some(_) if lines.len() > room => {}
        None if value.is_null() => {}
        Some(text) if name.is_empty() => lines.extend([&text, "\n"]),
        Some(text) => lines.extend([&name, ": ", &text, "\n"]),
        None => inner.push((name, value)),
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| see(join(path, name), value)),
        Value::Array(values) => values.iter().for_each(|value| see(path.to_owned(), value)),
        value => see(path.to_owned(), value),
    }
    document.push(&lines, &Headings::default(), None);
    drop(lines);
    for (name, value) in inner {
        if document.is_cut {
            return;
        }
        records(value, &name, document);
    }
}

fn join(path: &str, name: &str) -> String {
    let name = short(name);
    if path.is_empty() {
        return name;
    }
    let mut rest = path;
    while rest.len() + name.len() > MOST_PATH_BYTES {
        rest = rest.split_once('.').map_or("", |(_, rest)| rest);
    }
    match rest {
        "" => name,
        rest => format!("{rest}.{name}"),
    }
}

/// The text of a value that says something and holds no others.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
