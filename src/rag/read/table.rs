//! Records: one block for each, its values named.

use serde_json::Value;

use super::{Document, Headings, ReadError};

/// A block `header: value; header: value` for each record.
pub(super) fn read_csv(text: &str) -> Result<Document, ReadError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let names = reader.headers().map_err(ReadError::Csv)?.clone();
    let mut document = Document::default();
    let mut empty = true;
    for record in reader.records() {
        let record = record.map_err(ReadError::Csv)?;
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
        document.push(&fields.join("; "), &Headings::default(), None);
        empty = false;
    }
    if empty {
        // A single line is a record, not a header of nothing.
        let line: Vec<&str> = names.iter().filter(|name| !name.is_empty()).collect();
        document.push(&line.join("; "), &Headings::default(), None);
    }
    Ok(document)
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
    let value: Value = serde_json::from_str(text).map_err(ReadError::Json)?;
    let mut document = Document::default();
    records(&value, "", &mut document);
    Ok(document)
}

/// The parser allows 128 levels, so that recursion ends.
fn records(value: &Value, path: &str, document: &mut Document) {
    let mut lines = String::new();
    let mut inner = Vec::new();
    let mut see = |name: String, value| match plain(value) {
        None if value.is_null() => {}
        Some(text) if name.is_empty() => lines.push_str(&format!("{text}\n")),
        Some(text) => lines.push_str(&format!("{name}: {text}\n")),
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
    for (name, value) in inner {
        records(value, &name, document);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
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
