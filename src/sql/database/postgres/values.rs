//! Values as PostgreSQL writes them, to JSON.

use serde_json::{Number, Value};
use tokio_postgres::types::Type;

/// Digits that a number of JSON keeps.
const DIGITS: usize = 15;

pub(super) fn value(text: Option<&str>, kind: &Type) -> Value {
    let Some(text) = text else {
        return Value::Null;
    };
    match *kind {
        Type::BOOL => Value::Bool(text == "t"),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => text.into(),
        },
        Type::FLOAT4 | Type::FLOAT8 => decimal(text),
        // What a float cannot hold exactly stays text.
        Type::NUMERIC if text.bytes().filter(u8::is_ascii_digit).count() <= DIGITS => decimal(text),
        Type::JSON | Type::JSONB => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        _ => text.into(),
    }
}

fn decimal(text: &str) -> Value {
    let number = text.parse::<f64>().ok().and_then(Number::from_f64);
    number.map_or_else(|| text.into(), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_have_the_types_of_json() {
        for (text, kind, want) in [
            (Some("t"), Type::BOOL, json!(true)),
            (Some("-7"), Type::INT8, json!(-7)),
            (Some("1.50"), Type::NUMERIC, json!(1.5)),
            (
                Some("12345678901234567890.1"),
                Type::NUMERIC,
                json!("12345678901234567890.1"),
            ),
            (Some("NaN"), Type::FLOAT8, json!("NaN")),
            (Some("{\"a\": 1}"), Type::JSONB, json!({"a": 1})),
            (Some("2024-01-02"), Type::DATE, json!("2024-01-02")),
            (None, Type::TEXT, Value::Null),
        ] {
            assert_eq!(value(text, &kind), want);
        }
    }
}
