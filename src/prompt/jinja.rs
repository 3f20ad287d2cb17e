//! Chat templates in Jinja, as they ship inside GGUF files.
//!
//! The environment is the one these templates are written for: blocks eat the line end after
//! them, Python's string and dictionary methods, `tojson` with Python's spacing,
//! `raise_exception` and `strftime_now`. Templates come from strangers, so their work is limited.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde_json::{Map, Value as Json};

/// Instructions one rendering may execute; the longest conversations need some thousand.
const FUEL: u64 = 20_000_000;
/// Macros and includes inside one another.
const MAX_RECURSION: usize = 100;
/// Templates longer than this are refused; the longest known ones have some 30 thousand bytes.
const MAX_TEMPLATE_BYTES: usize = 1 << 20;
/// Longest text a template may write.
const MAX_TEXT_BYTES: usize = 64 << 20;
/// Nested lists and objects that `tojson` writes.
const MAX_JSON_DEPTH: usize = 128;
const NAME: &str = "chat";

/// Why a template cannot be read or rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JinjaError {
    /// The text is no template.
    #[error("chat template, line {line}: {message}")]
    Parse {
        /// Line counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The template itself refuses the conversation.
    #[error("chat template: {0}")]
    Raised(String),
    /// The template does not fit the data, or does too much.
    #[error("chat template, line {line}: {message}")]
    Render {
        /// Line counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The template is too long.
    #[error("chat template has {bytes} bytes, at most {MAX_TEMPLATE_BYTES} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// A compiled template, to be rendered any number of times.
#[derive(Clone, Debug)]
pub struct JinjaTemplate {
    environment: Environment<'static>,
    source: String,
}

impl JinjaTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    /// [`JinjaError::Parse`] or [`JinjaError::TooLong`].
    pub fn parse(source: &str) -> Result<Self, JinjaError> {
        let bytes = source.len();
        if bytes > MAX_TEMPLATE_BYTES {
            return Err(JinjaError::TooLong { bytes });
        }
        let mut environment = environment();
        environment
            .add_template_owned(NAME, without_generation_tags(source))
            .map_err(|error| JinjaError::Parse {
                line: error.line().unwrap_or(1),
                message: message(&error),
            })?;
        Ok(Self {
            environment,
            source: source.to_owned(),
        })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders the template with these variables.
    ///
    /// # Errors
    /// [`JinjaError::Raised`] when the template calls `raise_exception`, otherwise
    /// [`JinjaError::Render`].
    pub fn render(&self, variables: &Map<String, Json>) -> Result<String, JinjaError> {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.as_str(), from_json(value)));
        let mut out = Limited(Vec::new());
        let rendered = self.environment.get_template(NAME).and_then(|template| {
            template.render_captured_to(Value::from_pairs(variables), &mut out)?;
            Ok(())
        });
        match rendered {
            // The engine writes characters only.
            Ok(()) => Ok(String::from_utf8_lossy(&out.0).into_owned()),
            Err(error) => Err(match raised(&error) {
                Some(message) => JinjaError::Raised(message),
                None => JinjaError::Render {
                    line: error.line().unwrap_or(1),
                    message: message(&error),
                },
            }),
        }
    }
}

/// A text that may not grow without end.
struct Limited(Vec<u8>);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT_BYTES {
            let message = format!("more than {MAX_TEXT_BYTES} bytes of text");
            return Err(std::io::Error::other(message));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .expect("the default delimiters are valid");
    environment.set_syntax(syntax);
    environment.set_debug(false);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_RECURSION);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_filter("tojson", to_json);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<Value, Error> {
            Err(Error::new(
                ErrorKind::InvalidOperation,
                "the template raised an exception",
            )
            .with_source(Raised(message)))
        },
    );
    environment.add_function("strftime_now", |format: String| {
        jiff::fmt::strtime::format(&format, &jiff::Zoned::now())
            .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
    });
    environment
}

fn message(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

fn raised(error: &Error) -> Option<String> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(Raised(message)) = error.downcast_ref() {
            return Some(message.clone());
        }
        cause = error.source();
    }
    None
}

/// `{% generation %}` marks the assistant's words for training. An empty comment trims the same
/// spaces around it and shows nothing.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let tag = rest.find("%}").map_or(rest, |end| &rest[..end + 2]);
        let inner = tag[2..].strip_suffix("%}").unwrap_or_default();
        let mark = |c: Option<char>| c.filter(|c| matches!(c, '-' | '+'));
        let (start, end) = (mark(inner.chars().next()), mark(inner.chars().last()));
        let word = inner.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '+'));
        if matches!(word, "generation" | "endgeneration") {
            out.push_str("{#");
            out.extend(start);
            out.push(' ');
            out.extend(end);
            out.push_str("#}");
            rest = &rest[tag.len()..];
        } else {
            out.push_str("{%");
            rest = &rest[2..];
        }
    }
    out.push_str(rest);
    out
}

fn from_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => Value::from(value),
            (None, Some(value), _) => Value::from(value),
            (None, None, value) => Value::from(value.unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(from_json).collect(),
        Json::Object(object) => Value::from_pairs(
            object
                .iter()
                .map(|(name, value)| (name.as_str(), from_json(value))),
        ),
    }
}

/// Python's `json.dumps(value, ensure_ascii=False)`, with its `indent` and `separators`.
fn to_json(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<String, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get("indent")?,
    };
    let indent = indent.filter(|indent| !indent.is_none());
    let indent = match indent {
        // Python also takes the text of one level.
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(indent)?.min(64)),
        }),
        None => None,
    };
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    let sorted: Option<bool> = options.get("sort_keys")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    options.assert_all_used()?;
    let mut writer = JsonWriter {
        out: String::new(),
        item: if indent.is_some() { "," } else { ", " }.to_owned(),
        key: ": ".to_owned(),
        indent,
        ascii: ascii.unwrap_or(false),
        sorted: sorted.unwrap_or(false),
        depth: 0,
    };
    if let Some([item, key]) = separators.as_deref() {
        writer.item.clone_from(item);
        writer.key.clone_from(key);
    }
    writer.write(value)?;
    Ok(writer.out)
}

struct JsonWriter {
    out: String,
    indent: Option<String>,
    item: String,
    key: String,
    ascii: bool,
    sorted: bool,
    depth: usize,
}

impl JsonWriter {
    fn write(&mut self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::Undefined => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "an undefined value cannot be written as JSON",
                ));
            }
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self
                .out
                .push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => self.out.push_str(&value.to_string()),
            ValueKind::Number => self
                .out
                .push_str(&python_float(f64::try_from(value.clone())?)),
            ValueKind::Seq | ValueKind::Iterable => self.list(value)?,
            ValueKind::Map => self.object(value)?,
            _ => match value.as_str() {
                Some(text) => self.text(text),
                None => self.text(&value.to_string()),
            },
        }
        Ok(())
    }

    fn open(&mut self, bracket: char) -> Result<(), Error> {
        self.out.push(bracket);
        self.depth += 1;
        if self.depth > MAX_JSON_DEPTH {
            let detail = format!("JSON nested deeper than {MAX_JSON_DEPTH} levels");
            return Err(Error::new(ErrorKind::InvalidOperation, detail));
        }
        Ok(())
    }

    fn next(&mut self, first: bool) {
        if !first {
            self.out.push_str(&self.item);
        }
        self.line();
    }

    fn line(&mut self) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(self.depth));
        }
    }

    fn close(&mut self, bracket: char, empty: bool) {
        self.depth -= 1;
        if !empty {
            self.line();
        }
        self.out.push(bracket);
    }

    fn list(&mut self, value: &Value) -> Result<(), Error> {
        self.open('[')?;
        let mut empty = true;
        for item in value.try_iter()? {
            self.next(empty);
            self.write(&item)?;
            empty = false;
        }
        self.close(']', empty);
        Ok(())
    }

    fn object(&mut self, value: &Value) -> Result<(), Error> {
        self.open('{')?;
        let mut names: Vec<Value> = value.try_iter()?.collect();
        if self.sorted {
            names.sort();
        }
        for (at, name) in names.iter().enumerate() {
            self.next(at == 0);
            match (name.as_str(), name.kind()) {
                (Some(text), _) => self.text(text),
                (None, ValueKind::Bool | ValueKind::None | ValueKind::Number) => {
                    self.out.push('"');
                    self.write(name)?;
                    self.out.push('"');
                }
                (None, _) => {
                    let detail = "keys of JSON objects are texts";
                    return Err(Error::new(ErrorKind::InvalidOperation, detail));
                }
            }
            self.out.push_str(&self.key);
            self.write(&value.get_item(name)?)?;
        }
        self.close('}', names.is_empty());
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\0'..='\u{1f}' => self.unicode(u32::from(c)),
                _ if self.ascii && !c.is_ascii() => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        self.unicode(u32::from(*unit));
                    }
                }
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn unicode(&mut self, code: u32) {
        self.out.push_str(&format!("\\u{code:04x}"));
    }
}

/// Python's `repr` of a float.
fn python_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let text = value.to_string();
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn variables() -> Map<String, Json> {
        let Json::Object(map) = json!({
            "x": {"b": [1, 2.0, "é<\n"], "a": {}, "c": null}, "name": "n",
            "messages": [{"role": "user", "content": "hi"}],
        }) else {
            unreachable!("an object was written")
        };
        map
    }

    fn run(source: &str) -> Result<String, JinjaError> {
        JinjaTemplate::parse(source)?.render(&variables())
    }

    #[test]
    fn to_json_is_pythons() {
        assert_eq!(
            run("{{ x | tojson }}").unwrap(),
            "{\"b\": [1, 2.0, \"é<\\n\"], \"a\": {}, \"c\": null}"
        );
        assert_eq!(
            run("{{ x | tojson(indent=2) }}").unwrap(),
            "{\n  \"b\": [\n    1,\n    2.0,\n    \"é<\\n\"\n  ],\n  \"a\": {},\n  \"c\": null\n}"
        );
        assert_eq!(
            run("{{ x | tojson(separators=(',', ':'), sort_keys=true, ensure_ascii=true) }}")
                .unwrap(),
            "{\"a\":{},\"b\":[1,2.0,\"\\u00e9<\\n\"],\"c\":null}"
        );
        assert_eq!(python_float(1e16), "1e+16");
        assert_eq!(python_float(0.00001), "1e-05");
    }

    #[test]
    fn values_print_as_in_python() {
        assert_eq!(
            run("{{ true }} {{ none }} {{ [1, 'a'] }}").unwrap(),
            "True None [1, 'a']"
        );
        assert_eq!(
            run("{{ 'a-b'.split('-')[-1].strip() }}{{ x.get('q', 3) }}").unwrap(),
            "b3"
        );
    }

    #[test]
    fn blocks_eat_their_line() {
        assert_eq!(
            run("a\n  {% if true %}\nb\n  {% endif %}\nc\n").unwrap(),
            "a\nb\nc"
        );
        assert_eq!(
            run("a\n{%- generation -%}\n b\n{% endgeneration %}\nc").unwrap(),
            "ab\nc"
        );
    }

    #[test]
    fn exceptions_carry_the_templates_words() {
        assert_eq!(
            run("{{ raise_exception('no ' + name) }}"),
            Err(JinjaError::Raised("no n".to_owned()))
        );
        assert!(matches!(
            run("\n{% if %}"),
            Err(JinjaError::Parse { line: 2, .. })
        ));
        assert!(matches!(
            run("{{ missing.x }}"),
            Err(JinjaError::Render { .. })
        ));
    }

    #[test]
    fn dates_come_from_the_clock() {
        let year = run("{{ strftime_now('%Y') }}").unwrap();
        assert!(year.parse::<i32>().unwrap() >= 2024);
        assert!(run("{{ strftime_now('%') }}").is_err());
    }

    #[test]
    fn endless_templates_stop() {
        assert!(
            run("{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}")
                .is_err()
        );
        assert!(run("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").is_err());
        assert!(run("{% for a in range(10000) %}{{ 'a' * 1000000 }}{% endfor %}").is_err());
        assert!(run(&"{% if true %}".repeat(5000)).is_err());
        assert!(
            run(&format!(
                "{{{{ {}1{} }}}}",
                "(".repeat(5000),
                ")".repeat(5000)
            ))
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn random_text_never_panics(source in ".{0,60}") {
            let _ = run(&source);
        }

        #[test]
        fn random_blocks_never_panic(parts in prop::collection::vec(prop::sample::select(vec![
            "{{", "}}", "{%", "%}", "{%-", "-%}", " ", "if", "else", "endif", "for", "in", "endfor",
            "set", "macro", "endmacro", "x", "messages", "name", ".", "[", "]", "(", ")", "|",
            "tojson", "trim", "length", "items", "loop", "'a'", "1", "-", "+", "~", "==", "not",
            "is", "defined", "{#", "#}", "\n", "generation", "endgeneration", "strftime_now", "[::-1]",
        ]), 0..40)) {
            let _ = run(&parts.concat());
        }
    }
}
