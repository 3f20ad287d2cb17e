//! The functions a template may call.

use std::cmp::Ordering;

use super::format;
use super::value::Value;

/// A function known to the parser by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Call,
    CurrentDate,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Js,
    Json,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Slice,
    ToTypeScriptType,
    UrlQuery,
    YesterdayDate,
}

/// Dates are parameters so that a rendering can be repeated.
#[derive(Clone, Debug)]
pub(super) struct Dates {
    pub(super) today: String,
    pub(super) yesterday: String,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "call" => Self::Call,
            "currentDate" => Self::CurrentDate,
            "eq" => Self::Eq,
            "ge" => Self::Ge,
            "gt" => Self::Gt,
            "html" => Self::Html,
            "index" => Self::Index,
            "js" => Self::Js,
            "json" => Self::Json,
            "le" => Self::Le,
            "len" => Self::Len,
            "lt" => Self::Lt,
            "ne" => Self::Ne,
            "not" => Self::Not,
            "or" => Self::Or,
            "print" => Self::Print,
            "printf" => Self::Printf,
            "println" => Self::Println,
            "slice" => Self::Slice,
            "toTypeScriptType" => Self::ToTypeScriptType,
            "urlquery" => Self::UrlQuery,
            "yesterdayDate" => Self::YesterdayDate,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Call => "call",
            Self::CurrentDate => "currentDate",
            Self::Eq => "eq",
            Self::Ge => "ge",
            Self::Gt => "gt",
            Self::Html => "html",
            Self::Index => "index",
            Self::Js => "js",
            Self::Json => "json",
            Self::Le => "le",
            Self::Len => "len",
            Self::Lt => "lt",
            Self::Ne => "ne",
            Self::Not => "not",
            Self::Or => "or",
            Self::Print => "print",
            Self::Printf => "printf",
            Self::Println => "println",
            Self::Slice => "slice",
            Self::ToTypeScriptType => "toTypeScriptType",
            Self::UrlQuery => "urlquery",
            Self::YesterdayDate => "yesterdayDate",
        }
    }

    /// How many arguments it takes: at least, and at most where there is a limit.
    fn arity(self) -> (usize, Option<usize>) {
        match self {
            Self::And | Self::Or | Self::Call | Self::Index | Self::Slice | Self::Printf => {
                (1, None)
            }
            Self::Eq => (1, None),
            Self::Ge | Self::Gt | Self::Le | Self::Lt | Self::Ne => (2, Some(2)),
            Self::Json | Self::Len | Self::Not | Self::ToTypeScriptType => (1, Some(1)),
            // The dates take a format, and ignore it.
            Self::CurrentDate
            | Self::YesterdayDate
            | Self::Html
            | Self::Js
            | Self::UrlQuery
            | Self::Print
            | Self::Println => (0, None),
        }
    }

    /// Checks the number of arguments.
    pub(super) fn check_count(self, count: usize) -> Result<(), String> {
        let (least, most) = self.arity();
        if count < least || most.is_some_and(|most| count > most) {
            let at_least = if most.is_none() { "at least " } else { "" };
            return Err(format!(
                "wrong number of args for {}: want {at_least}{least} got {count}",
                self.name()
            ));
        }
        Ok(())
    }

    /// Calls it. `and` and `or` get here only with all arguments evaluated.
    pub(super) fn call(self, args: &[Value], dates: &Dates) -> Result<Value, String> {
        self.check_count(args.len())?;
        let result = match self {
            Self::And => Ok(pick(args, false)),
            Self::Or => Ok(pick(args, true)),
            Self::Not => Ok(Value::Bool(!args[0].truth())),
            Self::Call => Err(format!("non-function of type {}", args[0].type_name())),
            Self::CurrentDate => Ok(Value::text(dates.today.as_str())),
            Self::YesterdayDate => Ok(Value::text(dates.yesterday.as_str())),
            Self::Eq => equal_any(args),
            Self::Ne => equal(&args[0], &args[1]).map(|same| Value::Bool(!same)),
            Self::Lt => order(args).map(|order| Value::Bool(order == Some(Ordering::Less))),
            Self::Gt => order(args).map(|order| Value::Bool(order == Some(Ordering::Greater))),
            Self::Le => order(args).map(|order| Value::Bool(order.is_some_and(Ordering::is_le))),
            Self::Ge => order(args).map(|order| Value::Bool(order.is_some_and(Ordering::is_ge))),
            Self::Len => length(&args[0]),
            Self::Index => index(args),
            Self::Slice => slice(args),
            Self::Json => {
                let mut out = String::new();
                args[0].json(&mut out);
                Ok(Value::text(out))
            }
            Self::Print => Ok(Value::text(format::print(args))),
            Self::Println => Ok(Value::text(format::println(args))),
            Self::Printf => match &args[0] {
                Value::Str(text) => Ok(Value::text(format::printf(text, &args[1..]))),
                other => Err(format!(
                    "wrong type for value; expected string; got {}",
                    other.type_name()
                )),
            },
            Self::Html => Ok(Value::text(html(&format::print(args)))),
            Self::Js => Ok(Value::text(js(&format::print(args)))),
            Self::UrlQuery => Ok(Value::text(url_query(&format::print(args)))),
            Self::ToTypeScriptType => Ok(Value::text(type_script_type(&args[0]))),
        };
        result.map_err(|message| format!("error calling {}: {message}", self.name()))
    }
}

/// The first argument that decides, else the last.
fn pick(args: &[Value], decides: bool) -> Value {
    let found = args.iter().find(|arg| arg.truth() == decides);
    found.or(args.last()).cloned().unwrap_or(Value::Nil)
}

fn equal_any(args: &[Value]) -> Result<Value, String> {
    if args.len() < 2 {
        return Err("missing argument for comparison".to_owned());
    }
    for other in &args[1..] {
        if equal(&args[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Str(a), Value::Str(b)) => Ok(a == b),
        (Value::List(_) | Value::Map(_) | Value::Struct(_), _)
        | (_, Value::List(_) | Value::Map(_) | Value::Struct(_)) => {
            Err("non-comparable type".to_owned())
        }
        _ => Ok(compare_numbers(a, b)? == Some(Ordering::Equal)),
    }
}

fn order(args: &[Value]) -> Result<Option<Ordering>, String> {
    match (&args[0], &args[1]) {
        (Value::Str(a), Value::Str(b)) => Ok(Some(a.cmp(b))),
        (Value::Int(_) | Value::Float(_), _) => compare_numbers(&args[0], &args[1]),
        (Value::Str(_), _) => Err("incompatible types for comparison".to_owned()),
        _ => Err("invalid type for comparison".to_owned()),
    }
}

fn compare_numbers(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        // Numbers of JSON have one kind only, so 1 and 1.0 are the same here.
        (Value::Int(a), Value::Float(b)) => Ok((*a as f64).partial_cmp(b)),
        (Value::Float(a), Value::Int(b)) => Ok(a.partial_cmp(&(*b as f64))),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Str(text) => text.len(),
        Value::List(list) => list.as_slice().len(),
        Value::Map(map) => map.entries().len(),
        Value::Nil => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(args: &[Value]) -> Result<Value, String> {
    let mut value = args[0].clone();
    for at in &args[1..] {
        value = match (&value, at) {
            (Value::Nil, _) => return Err("index of untyped nil".to_owned()),
            (Value::Map(map), Value::Str(name)) => {
                map.entries().get(&**name).cloned().unwrap_or(Value::Nil)
            }
            (Value::List(list), _) => {
                let items = list.as_slice();
                let at = position(at, items.len().saturating_sub(1))?;
                items
                    .get(at)
                    .cloned()
                    .ok_or_else(|| format!("index out of range: {at}"))?
            }
            (Value::Str(text), _) => {
                let at = position(at, text.len().saturating_sub(1))?;
                let byte = text.as_bytes().get(at);
                let byte = byte.ok_or_else(|| format!("index out of range: {at}"))?;
                Value::Int(i64::from(*byte))
            }
            (Value::Map(_), other) => {
                return Err(format!(
                    "value has type {}; should be string",
                    other.type_name()
                ));
            }
            (other, _) => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(value)
}

fn position(value: &Value, most: usize) -> Result<usize, String> {
    let at = match value {
        Value::Int(at) => *at,
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        other => {
            return Err(format!(
                "cannot index slice/array with type {}",
                other.type_name()
            ));
        }
    };
    usize::try_from(at)
        .ok()
        .filter(|at| *at <= most)
        .ok_or_else(|| format!("index out of range: {at}"))
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let length = match &args[0] {
        Value::Str(text) => text.len(),
        Value::List(list) => list.as_slice().len(),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    if args.len() > 4 {
        return Err(format!("too many slice indexes: {}", args.len() - 1));
    }
    let mut bounds = [0, length, length];
    for (bound, arg) in bounds.iter_mut().zip(&args[1..]) {
        *bound = position(arg, length)?;
    }
    let [start, end, capacity] = bounds;
    if start > end || end > capacity {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match &args[0] {
        Value::List(list) => list.slice(start, end).map(Value::List),
        Value::Str(_) if args.len() == 4 => return Err("cannot 3-index slice a string".to_owned()),
        Value::Str(text) => {
            // A cut inside a character leaves the replacement character, never bad UTF-8.
            let bytes = &text.as_bytes()[start..end];
            Some(Value::text(String::from_utf8_lossy(bytes).into_owned()))
        }
        _ => None,
    }
    .ok_or_else(|| format!("invalid slice index: {start} > {end}"))
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out
}

fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The TypeScript type of a tool's property: its choices or types joined with ` | `.
pub(super) fn type_script_type(property: &Value) -> String {
    let Value::Struct(record) = property else {
        return "any".to_owned();
    };
    let items = |name| match record.field(name) {
        Some(Value::List(list)) => list.as_slice(),
        _ => &[],
    };
    let choices: Vec<_> = items("AnyOf").iter().map(type_script_type).collect();
    if !choices.is_empty() {
        return choices.join(" | ");
    }
    let types: Vec<_> = items("Type")
        .iter()
        .map(|kind| match kind {
            Value::Str(kind) => match &**kind {
                "string" => "string",
                "number" | "integer" => "number",
                "boolean" => "boolean",
                "array" => "any[]",
                "object" => "Record<string, any>",
                "null" => "null",
                _ => "any",
            },
            _ => "any",
        })
        .collect();
    match types.is_empty() {
        true => "any".to_owned(),
        false => types.join(" | "),
    }
}
