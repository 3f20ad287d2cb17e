//! Fields that several routes share, with the forms they may have on the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::config::duration::{keep_alive, parse_duration};
use crate::engine::{Constraint, KeepAlive};

use super::error::ApiError;

const NANOS_PER_SECOND: f64 = 1e9;

/// `keep_alive`: seconds as a number, or a duration as text; below zero is forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeepAliveField(pub KeepAlive);

impl KeepAliveField {
    /// Whether the model shall go as soon as it is idle.
    pub(crate) fn is_zero(self) -> bool {
        self.0 == KeepAlive::For(std::time::Duration::ZERO)
    }
}

impl<'de> Deserialize<'de> for KeepAliveField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let nanos = match Value::deserialize(deserializer)? {
            // Beyond what the clock holds the cast stops at its end, about 292 years.
            Value::Number(seconds) => {
                (seconds.as_f64().unwrap_or_default() * NANOS_PER_SECOND) as i64
            }
            Value::String(text) => parse_duration(&text).map_err(D::Error::custom)?,
            other => {
                let kind = match other {
                    Value::Bool(_) => "bool",
                    Value::Array(_) => "[]interface {}",
                    Value::Object(_) => "map[string]interface {}",
                    Value::Null | Value::Number(_) | Value::String(_) => "<nil>",
                };
                return Err(D::Error::custom(format!("Unsupported type: '{kind}'")));
            }
        };
        Ok(Self(keep_alive(nanos)))
    }
}

/// Images in standard base64; prefixes of data URIs are not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Images(pub Vec<Vec<u8>>);

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let images = texts
            .iter()
            .map(|text| decode_base64(text).map_err(D::Error::custom));
        images.collect::<Result<_, _>>().map(Self)
    }
}

/// Bytes of a base64 text; the error says where it ends to be one.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| {
        let at = match error {
            base64::DecodeError::InvalidByte(at, _)
            | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => {
                text.len()
            }
        };
        format!("illegal base64 data at input byte {at}")
    })
}

/// What the `format` of a request holds the answer to: `"json"`, a schema, or nothing.
pub(crate) fn constraint(format: Option<&Value>) -> Result<Option<Constraint>, ApiError> {
    match format {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text == "json" => Ok(Some(Constraint::Json)),
        Some(schema @ Value::Object(_)) => Ok(Some(Constraint::Schema(schema.clone()))),
        Some(other) => Err(ApiError::Format(other.to_string())),
    }
}

/// How many best tokens to report beside each token, or none at all.
pub(crate) fn logprobs(logprobs: bool, top_logprobs: i64) -> Result<Option<usize>, ApiError> {
    match usize::try_from(top_logprobs) {
        Ok(top @ 0..=20) => Ok(logprobs.then_some(top)),
        _ => Err(ApiError::BadRequest(
            "top_logprobs must be between 0 and 20".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn kept(value: Value) -> Result<KeepAlive, String> {
        serde_json::from_value::<KeepAliveField>(value)
            .map(|kept| kept.0)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn keep_alive_is_a_number_of_seconds_or_a_duration() {
        assert_eq!(kept(json!(90)), Ok(KeepAlive::For(Duration::from_secs(90))));
        assert_eq!(
            kept(json!(0.5)),
            Ok(KeepAlive::For(Duration::from_millis(500)))
        );
        assert_eq!(
            kept(json!("1.5h")),
            Ok(KeepAlive::For(Duration::from_secs(5400)))
        );
        assert_eq!(kept(json!(-1)), Ok(KeepAlive::Forever));
        assert_eq!(kept(json!("-1m")), Ok(KeepAlive::Forever));
        assert_eq!(kept(json!("0")), Ok(KeepAlive::For(Duration::ZERO)));
        assert_eq!(
            kept(json!("abc")),
            Err("time: invalid duration \"abc\"".to_owned())
        );
        assert_eq!(
            kept(json!("10")),
            Err("time: missing unit in duration \"10\"".to_owned())
        );
        assert_eq!(
            kept(json!(true)),
            Err("Unsupported type: 'bool'".to_owned())
        );
    }

    #[test]
    fn data_uris_are_no_base64() {
        let read = |text: &str| serde_json::from_value::<Images>(json!([text]));
        assert_eq!(read("aGk=").unwrap().0, [b"hi".to_vec()]);
        let error = read("data:image/png;base64,aGk=").unwrap_err().to_string();
        assert_eq!(error, "illegal base64 data at input byte 4");
    }

    #[test]
    fn formats_are_json_a_schema_or_nothing() {
        let read = |value: Value| constraint(Some(&value)).map_err(|error| error.to_string());
        assert!(matches!(read(json!("json")), Ok(Some(Constraint::Json))));
        assert!(matches!(
            read(json!({"type": "object"})),
            Ok(Some(Constraint::Schema(_)))
        ));
        assert!(matches!(read(json!("")), Ok(None)));
        assert!(matches!(constraint(None), Ok(None)));
        let want = r#"invalid format: "\"xml\""; expected "json" or a valid JSON Schema object"#;
        assert_eq!(read(json!("xml")).unwrap_err(), want);
    }

    #[test]
    fn logprobs_have_a_range_even_when_they_are_off() {
        assert!(logprobs(false, 21).is_err());
        assert!(logprobs(true, -1).is_err());
        assert_eq!(logprobs(true, 20).unwrap(), Some(20));
        assert_eq!(logprobs(false, 5).unwrap(), None);
    }
}
