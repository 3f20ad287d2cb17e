//! What a template computes with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Number};

/// A value inside a template. Cloning is cheap: everything large is shared.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing; prints as nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// Values in order.
    List(List),
    /// Values by name; a missing name is [`Value::Nil`].
    Map(Dict),
    /// Named fields; a missing name is an error.
    Struct(Struct),
}

/// A shared run of values.
#[derive(Clone, Debug)]
pub struct List {
    items: Arc<[Value]>,
    start: usize,
    end: usize,
    print: Print,
}

/// Values by name, in the order of the names.
#[derive(Clone, Debug)]
pub struct Dict {
    entries: Arc<BTreeMap<String, Value>>,
    print: Print,
}

/// A record whose fields have one name in templates and another in JSON.
#[derive(Clone, Debug)]
pub struct Struct {
    name: &'static str,
    fields: Arc<[Field]>,
    print: Print,
}

/// One field of a [`Struct`].
#[derive(Clone, Debug)]
pub struct Field {
    /// Name after the dot.
    pub name: &'static str,
    /// Name in JSON.
    pub json: &'static str,
    /// Left out of the JSON while it is empty.
    pub omit_empty: bool,
    /// Its value.
    pub value: Value,
}

/// How a composite value looks when it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Print {
    /// As Go prints it: `[a b]`, `map[k:v]`, `{a b}`.
    Go,
    /// As compact JSON with sorted keys.
    Json,
    /// A list of one is its element, in text and in JSON.
    OneOrMany,
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
    }

    /// A list that prints as `print` says.
    pub fn list(items: Vec<Value>, print: Print) -> Self {
        Self::List(List {
            start: 0,
            end: items.len(),
            items: items.into(),
            print,
        })
    }

    /// A map that prints as `print` says.
    pub fn map(entries: impl IntoIterator<Item = (String, Value)>, print: Print) -> Self {
        Self::Map(Dict {
            entries: Arc::new(entries.into_iter().collect()),
            print,
        })
    }

    /// A record called `name` in error messages.
    pub fn record(name: &'static str, fields: Vec<Field>, print: Print) -> Self {
        Self::Struct(Struct {
            name,
            fields: fields.into(),
            print,
        })
    }

    /// An object of JSON as a map that prints as JSON.
    pub fn json_object(object: &Map<String, serde_json::Value>) -> Self {
        let entries = object
            .iter()
            .map(|(name, value)| (name.clone(), Self::from(value)));
        Self::map(entries, Print::Json)
    }

    /// Whether `if` takes its first branch: not nothing, not zero and not empty.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(list) => !list.as_slice().is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Struct(_) => true,
        }
    }

    /// The Go type it stands for, as error messages name it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Struct(record) => record.name,
        }
    }

    /// Appends what printing the value writes.
    pub(super) fn print(&self, out: &mut String) {
        match self {
            Self::Nil => {}
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => push(out, format_args!("{value}")),
            Self::Float(value) => out.push_str(&go_float(*value)),
            Self::Str(text) => out.push_str(text),
            Self::List(list) => match (list.print, list.as_slice()) {
                (Print::Json, _) => self.json(out),
                (Print::OneOrMany, [one]) => one.print(out),
                (Print::OneOrMany, []) => {}
                (_, items) => print_joined(out, "[", items.iter(), "]"),
            },
            Self::Map(map) if map.print == Print::Json => self.json(out),
            Self::Map(map) => {
                out.push_str("map[");
                for (at, (name, value)) in map.entries.iter().enumerate() {
                    if at > 0 {
                        out.push(' ');
                    }
                    push(out, format_args!("{name}:"));
                    value.print_nested(out);
                }
                out.push(']');
            }
            Self::Struct(record) if record.print == Print::Json => self.json(out),
            Self::Struct(record) => {
                print_joined(
                    out,
                    "{",
                    record.fields.iter().map(|field| &field.value),
                    "}",
                );
            }
        }
    }

    fn print_nested(&self, out: &mut String) {
        match self {
            Self::Nil => out.push_str("<nil>"),
            other => other.print(out),
        }
    }

    /// Appends compact JSON as Go writes it, with `<`, `>` and `&` escaped.
    pub(super) fn json(&self, out: &mut String) {
        match self {
            Self::Nil => out.push_str("null"),
            Self::Bool(_) | Self::Int(_) => self.print(out),
            Self::Float(value) => out.push_str(&json_float(*value)),
            Self::Str(text) => json_text(text, out),
            Self::List(list) => match (list.print, list.as_slice()) {
                (Print::OneOrMany, [one]) => one.json(out),
                (_, items) => {
                    out.push('[');
                    for (at, item) in items.iter().enumerate() {
                        if at > 0 {
                            out.push(',');
                        }
                        item.json(out);
                    }
                    out.push(']');
                }
            },
            Self::Map(map) => json_object(
                map.entries
                    .iter()
                    .map(|(name, value)| (name.as_str(), value)),
                out,
            ),
            Self::Struct(record) => json_object(
                record
                    .fields
                    .iter()
                    .filter(|field| !field.omit_empty || field.value.truth())
                    .map(|field| (field.json, &field.value)),
                out,
            ),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => from_number(number),
            Json::String(text) => Self::text(text.as_str()),
            Json::Array(items) => Self::list(items.iter().map(Self::from).collect(), Print::Go),
            Json::Object(object) => Self::map(
                object
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::from(value))),
                Print::Go,
            ),
        }
    }
}

fn from_number(number: &Number) -> Value {
    match (number.as_i64(), number.as_f64()) {
        (Some(value), _) => Value::Int(value),
        (None, Some(value)) => Value::Float(value),
        (None, None) => Value::Nil,
    }
}

impl List {
    /// The values.
    pub fn as_slice(&self) -> &[Value] {
        &self.items[self.start..self.end]
    }

    /// The values from `start` up to `end`; `None` when they are out of range.
    pub(super) fn slice(&self, start: usize, end: usize) -> Option<Self> {
        let length = self.end - self.start;
        (start <= end && end <= length).then(|| Self {
            start: self.start + start,
            end: self.start + end,
            ..self.clone()
        })
    }
}

impl Dict {
    /// The entries in the order of their names.
    pub fn entries(&self) -> &BTreeMap<String, Value> {
        &self.entries
    }
}

impl Struct {
    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(&field.value)
    }
}

/// Writing to a string cannot fail.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn print_joined<'a>(
    out: &mut String,
    open: &str,
    items: impl Iterator<Item = &'a Value>,
    close: &str,
) {
    out.push_str(open);
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(' ');
        }
        item.print_nested(out);
    }
    out.push_str(close);
}

fn json_object<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>, out: &mut String) {
    out.push('{');
    for (at, (name, value)) in entries.enumerate() {
        if at > 0 {
            out.push(',');
        }
        json_text(name, out);
        out.push(':');
        value.json(out);
    }
    out.push('}');
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                push(out, format_args!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// The shortest text that reads back as `value`, in decimal or with an exponent as `%v` chooses:
/// with one below -4 or from 6 on.
pub(super) fn go_float(value: f64) -> String {
    float(value, -4, 6)
}

fn json_float(value: f64) -> String {
    float(value, -6, 21)
}

fn float(value: f64, lowest: i32, limit: i32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (lowest..limit).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn printed(value: &Value) -> String {
        let mut out = String::new();
        value.print(&mut out);
        out
    }

    #[test]
    fn composites_print_as_go_does() {
        let value = Value::from(&json!({"b": [1, "x", null], "a": {"c": true}}));
        assert_eq!(printed(&value), "map[a:map[c:true] b:[1 x <nil>]]");
    }

    #[test]
    fn objects_of_json_print_sorted_and_escaped() {
        let value = json!({"b": "<&>\n\u{2028}\u{1}é\"", "a": 1.5});
        let value = Value::json_object(value.as_object().unwrap());
        assert_eq!(
            printed(&value),
            r#"{"a":1.5,"b":"\u003c\u0026\u003e\n\u2028\u0001é\""}"#
        );
    }

    #[test]
    fn a_list_of_one_type_is_that_type() {
        let one = Value::list(vec![Value::text("string")], Print::OneOrMany);
        let two = Value::list(vec![Value::text("a"), Value::text("b")], Print::OneOrMany);
        let mut json = String::new();
        one.json(&mut json);
        two.json(&mut json);
        assert_eq!(
            (printed(&one), printed(&two)),
            ("string".into(), "[a b]".into())
        );
        assert_eq!(json, r#""string"["a","b"]"#);
    }

    #[test]
    fn floats_use_exponents_only_where_they_must() {
        assert_eq!(go_float(1.5), "1.5");
        assert_eq!(go_float(1_250_000.0), "1.25e+06");
        assert_eq!(json_float(1_250_000.0), "1250000");
        assert_eq!(json_float(1e21), "1e+21");
        assert_eq!(go_float(0.00001), "1e-05");
        assert_eq!(json_float(0.00001), "0.00001");
    }
}
