//! PARAMETER values: text to the type that the option has.

use serde_json::{Number, Value};

use super::ModelfileError;

const DEPRECATED: [&str; 9] = [
    "penalize_newline",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "use_mlock",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
];

/// What a PARAMETER line sets.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// One value; a later line replaces it.
    Single(Value),
    /// One more entry of a list.
    Listed(String),
    /// Once an option, now ignored.
    Deprecated,
}

/// The typed value of an option given as text, as in `PARAMETER name value`.
pub fn parse_parameter(name: &str, value: &str) -> Result<Parameter, ModelfileError> {
    let wrong = |kind| ModelfileError::ParameterValue {
        kind,
        value: value.to_owned(),
    };
    let parsed = match name {
        "num_ctx" | "num_batch" | "num_gpu" | "main_gpu" | "num_thread" | "draft_num_predict"
        | "num_keep" | "seed" | "num_predict" | "top_k" | "repeat_last_n" => {
            value.parse::<i64>().map_err(|_| wrong("int"))?.into()
        }
        "temperature" | "top_p" | "min_p" | "typical_p" | "repeat_penalty" | "presence_penalty"
        | "frequency_penalty" => {
            let float = value
                .parse::<f32>()
                .ok()
                .and_then(shortest)
                .ok_or(wrong("float"))?;
            Value::Number(float)
        }
        "use_mmap" => parse_bool(value).ok_or(wrong("bool"))?.into(),
        "stop" => return Ok(Parameter::Listed(value.to_owned())),
        _ if DEPRECATED.contains(&name) => return Ok(Parameter::Deprecated),
        _ => return Err(ModelfileError::UnknownParameter(name.to_owned())),
    };
    Ok(Parameter::Single(parsed))
}

/// The number with the fewest digits that reads back as this float: 0.7, not 0.699999988.
/// Whole numbers are written without a fraction. Nothing for infinities and NaN.
fn shortest(value: f32) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Some(Number::from(value as i64));
    }
    let digits: f64 = value.to_string().parse().ok()?;
    Number::from_f64(digits)
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_take_the_type_of_their_option() {
        for (name, text, want) in [
            ("num_ctx", "4096", json!(4096)),
            ("seed", "-1", json!(-1)),
            ("temperature", "0.7", json!(0.7)),
            ("temperature", "1", json!(1)),
            ("top_p", "0.95", json!(0.95)),
            ("use_mmap", "T", json!(true)),
        ] {
            assert_eq!(
                parse_parameter(name, text).unwrap(),
                Parameter::Single(want)
            );
        }
        assert_eq!(
            parse_parameter("stop", "x").unwrap(),
            Parameter::Listed("x".into())
        );
        assert_eq!(
            parse_parameter("mirostat", "2").unwrap(),
            Parameter::Deprecated
        );
        for (name, text, want) in [
            ("num_ctx", "4k", "invalid int value [4k]"),
            ("temperature", "hot", "invalid float value [hot]"),
            ("temperature", "inf", "invalid float value [inf]"),
            ("use_mmap", "yes", "invalid bool value [yes]"),
            ("nope", "1", "unknown parameter 'nope'"),
        ] {
            assert_eq!(parse_parameter(name, text).unwrap_err().to_string(), want);
        }
    }
}
