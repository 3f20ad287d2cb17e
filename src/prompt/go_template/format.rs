//! `print`, `println` and `printf` as Go's `fmt` has them.

use std::fmt::Write as _;

use super::exec::MAX_TEXT_BYTES;
use super::value::{Value, go_float};

/// Widths and precisions beyond this are refused, as in Go.
const MAX_WIDTH: usize = 1_000_000;

/// All values; a space between two that are no texts. Stops at [`MAX_TEXT_BYTES`].
pub(super) fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (at, arg) in args.iter().enumerate() {
        if out.len() > MAX_TEXT_BYTES {
            break;
        }
        let is_text = |value: &Value| matches!(value, Value::Str(_));
        if at > 0 && !is_text(arg) && !is_text(&args[at - 1]) {
            out.push(' ');
        }
        plain(arg, &mut out);
    }
    out
}

/// All values with spaces between them, and a line end.
pub(super) fn println(args: &[Value]) -> String {
    let mut out = String::new();
    for (at, arg) in args.iter().enumerate() {
        if out.len() > MAX_TEXT_BYTES {
            break;
        }
        if at > 0 {
            out.push(' ');
        }
        plain(arg, &mut out);
    }
    out.push('\n');
    out
}

fn plain(value: &Value, out: &mut String) {
    match value {
        Value::Nil => out.push_str("<nil>"),
        other => other.print(out),
    }
}

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats `args` after `format`. A wrong verb or argument shows in the text, as in Go. Stops at
/// [`MAX_TEXT_BYTES`].
pub(super) fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    let mut args = args.iter();
    while let Some(at) = rest.find('%') {
        if out.len() > MAX_TEXT_BYTES {
            return out;
        }
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut spec = Spec::default();
        rest = flags(rest, &mut spec);
        (spec.width, rest) = number(rest, &mut args, &mut out);
        if let Some(after) = rest.strip_prefix('.') {
            (spec.precision, rest) = number(after, &mut args, &mut out);
            spec.precision = spec.precision.or(Some(0));
        }
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        match args.next() {
            None => push(&mut out, format_args!("%!{verb}(MISSING)")),
            Some(value) => pad(&one(verb, &spec, value), &spec, value, &mut out),
        }
    }
    out.push_str(rest);
    let mut before = "%!(EXTRA ";
    for value in args.as_slice() {
        if out.len() > MAX_TEXT_BYTES {
            return out;
        }
        push(&mut out, format_args!("{before}{}=", value.type_name()));
        plain(value, &mut out);
        before = ", ";
    }
    if !args.as_slice().is_empty() {
        out.push(')');
    }
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

fn flags<'s>(text: &'s str, spec: &mut Spec) -> &'s str {
    let end = text
        .find(|c| !matches!(c, '-' | '+' | ' ' | '0' | '#'))
        .unwrap_or(text.len());
    for flag in text[..end].chars() {
        match flag {
            '-' => spec.left = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            '0' => spec.zero = true,
            _ => spec.sharp = true,
        }
    }
    &text[end..]
}

/// A width or precision: digits, or `*` for the next argument.
fn number<'s>(
    text: &'s str,
    args: &mut std::slice::Iter<'_, Value>,
    out: &mut String,
) -> (Option<usize>, &'s str) {
    if let Some(rest) = text.strip_prefix('*') {
        let value = match args.next() {
            Some(Value::Int(value)) => usize::try_from(*value).ok(),
            _ => None,
        };
        let value = value.filter(|value| *value <= MAX_WIDTH);
        if value.is_none() {
            out.push_str("%!(BADWIDTH)");
        }
        return (value, rest);
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let value = text[..end].parse().ok();
    (value.filter(|value| *value <= MAX_WIDTH), &text[end..])
}

fn one(verb: char, spec: &Spec, value: &Value) -> String {
    match (verb, value) {
        ('T', _) => value.type_name().to_owned(),
        ('v', Value::Str(text)) if spec.sharp => quote(text),
        ('s' | 'v', Value::Str(text)) => cut(text, spec).to_owned(),
        ('q', Value::Str(text)) => quote(cut(text, spec)),
        ('x', Value::Str(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('X', Value::Str(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ('d' | 'v', Value::Int(number)) => {
            signed(*number < 0, &format!("{}", number.unsigned_abs()), spec)
        }
        ('x', Value::Int(number)) => {
            signed(*number < 0, &format!("{:x}", number.unsigned_abs()), spec)
        }
        ('X', Value::Int(number)) => {
            signed(*number < 0, &format!("{:X}", number.unsigned_abs()), spec)
        }
        ('o', Value::Int(number)) => {
            signed(*number < 0, &format!("{:o}", number.unsigned_abs()), spec)
        }
        ('b', Value::Int(number)) => {
            signed(*number < 0, &format!("{:b}", number.unsigned_abs()), spec)
        }
        ('c', Value::Int(number)) => character(*number).to_string(),
        ('q', Value::Int(number)) => format!("'{}'", character(*number).escape_default()),
        ('U', Value::Int(number)) => format!("U+{:04X}", number),
        ('t' | 'v', Value::Bool(value)) => value.to_string(),
        ('f' | 'F', Value::Float(number)) => {
            let digits = spec.precision.unwrap_or(6);
            signed(
                number.is_sign_negative(),
                &format!("{:.digits$}", number.abs()),
                spec,
            )
        }
        ('e', Value::Float(number)) => {
            let text = exponent(number.abs(), spec.precision.unwrap_or(6));
            signed(number.is_sign_negative(), &text, spec)
        }
        ('g' | 'v', Value::Float(number)) => {
            signed(number.is_sign_negative(), &go_float(number.abs()), spec)
        }
        ('v', Value::Nil) => "<nil>".to_owned(),
        ('s' | 'v', Value::List(_) | Value::Map(_) | Value::Struct(_)) => {
            print(std::slice::from_ref(value))
        }
        ('q', Value::List(list)) => {
            let items: Vec<_> = list
                .as_slice()
                .iter()
                .map(|item| one('q', spec, item))
                .collect();
            format!("[{}]", items.join(" "))
        }
        (_, Value::Nil) => format!("%!{verb}(<nil>)"),
        _ => format!(
            "%!{verb}({}={})",
            value.type_name(),
            print(std::slice::from_ref(value))
        ),
    }
}

fn character(code: i64) -> char {
    let code = u32::try_from(code).ok();
    code.and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The sign goes before the zeros that fill a width.
fn signed(negative: bool, digits: &str, spec: &Spec) -> String {
    let sign = match () {
        () if negative => "-",
        () if spec.plus => "+",
        () if spec.space => " ",
        () => "",
    };
    let mut zeros = 0;
    if spec.zero && !spec.left {
        let width = spec.width.unwrap_or(0);
        zeros = width.saturating_sub(digits.len() + sign.len());
    }
    format!("{sign}{}{digits}", "0".repeat(zeros))
}

fn exponent(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    match text.split_once('e') {
        Some((mantissa, power)) => {
            let (sign, power) = match power.strip_prefix('-') {
                Some(power) => ('-', power),
                None => ('+', power),
            };
            format!("{mantissa}e{sign}{power:0>2}")
        }
        None => text,
    }
}

fn cut<'t>(text: &'t str, spec: &Spec) -> &'t str {
    let most = spec.precision.unwrap_or(usize::MAX);
    let end = text
        .char_indices()
        .nth(most)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}

fn pad(text: &str, spec: &Spec, value: &Value, out: &mut String) {
    let fill = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    let zeros = spec.zero && matches!(value, Value::Str(_)) && !spec.left;
    let fill = if zeros { "0" } else { " " }.repeat(fill);
    if spec.left {
        out.push_str(text);
        out.push_str(&fill);
    } else {
        out.push_str(&fill);
        out.push_str(text);
    }
}

/// A Go string literal.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\0'..='\u{1f}' | '\u{7f}' => push(&mut out, format_args!("\\x{:02x}", u32::from(c))),
            '\u{80}'..='\u{9f}' => push(&mut out, format_args!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_flags_and_mistakes() {
        let cases: [(&str, Vec<Value>, &str); 12] = [
            ("%s|%v", vec![Value::text("a"), Value::Int(3)], "a|3"),
            (
                "%5s|%-5s|",
                vec![Value::text("ab"), Value::text("ab")],
                "   ab|ab   |",
            ),
            (
                "%05d|%+d|%x",
                vec![Value::Int(-42), Value::Int(7), Value::Int(255)],
                "-0042|+7|ff",
            ),
            (
                "%.2f|%e",
                vec![Value::Float(2.71), Value::Float(1500.0)],
                "2.71|1.500000e+03",
            ),
            ("%q", vec![Value::text("a\"\n")], r#""a\"\n""#),
            ("%t %%", vec![Value::Bool(true)], "true %"),
            ("%.3s", vec![Value::text("héllo")], "hél"),
            ("%d", vec![Value::text("x")], "%!d(string=x)"),
            ("%d", vec![], "%!d(MISSING)"),
            ("a", vec![Value::Int(1)], "a%!(EXTRA int=1)"),
            ("%", vec![], "%!(NOVERB)"),
            ("%*d", vec![Value::Int(4), Value::Int(1)], "   1"),
        ];
        for (format, args, want) in cases {
            assert_eq!(printf(format, &args), want, "{format}");
        }
    }

    #[test]
    fn print_spaces_only_between_values_that_are_no_texts() {
        let args = [
            Value::Int(1),
            Value::Int(2),
            Value::text("a"),
            Value::Int(3),
        ];
        assert_eq!(print(&args), "1 2a3");
        assert_eq!(println(&args), "1 2 a 3\n");
    }
}
