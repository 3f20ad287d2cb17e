//! Fields of the coach's requests, as lenient with what sites have in their databases as is safe.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use crate::api::assist::read_object;
use crate::api::error::ApiError;
use crate::coach::library::Level;
use crate::coach::plain::clip;
use crate::coach::plan::RiskTolerance;

use super::wrong;

/// Longest text that a user may send, in bytes; what the model can read may be less.
const MESSAGE_BYTES: usize = 64 << 10;
const ID_BYTES: usize = 256;
const CONVERSATION_BYTES: usize = 128;
const TEXTS: usize = 20;
const TEXT_CHARS: usize = 200;

/// A body that was received already.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    read_object(bytes)
}

/// A text of the user, not too long.
pub(super) fn text(field: &'static str, text: Option<String>) -> Result<String, ApiError> {
    let text = text.unwrap_or_default();
    match text.len() <= MESSAGE_BYTES {
        true => Ok(text),
        false => Err(ApiError::FieldTooLarge {
            field,
            limit_bytes: MESSAGE_BYTES,
        }),
    }
}

/// The name of a user.
pub(super) fn user_id(id: Option<Id>) -> Result<Option<String>, ApiError> {
    match id {
        Some(Id(id)) if id.len() > ID_BYTES => Err(wrong("user_id", "must have 256 bytes at most")),
        id => Ok(id.map(|id| id.0).filter(|id| !id.is_empty())),
    }
}

/// The name of a conversation, which is sent back and so must be harmless in a page.
pub(super) fn conversation_id(id: Option<String>) -> Result<Option<String>, ApiError> {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || "-_.:@~+/=".contains(c);
    match id.filter(|id| !id.is_empty()) {
        Some(id) if id.len() > CONVERSATION_BYTES || !id.chars().all(is_harmless) => Err(wrong(
            "conversation_id",
            "must have 128 letters, digits or -_.:@~+/= at most",
        )),
        id => Ok(id),
    }
}

/// The code of a currency, in capitals.
pub(super) fn currency(field: &str, code: Option<String>) -> Result<Option<String>, ApiError> {
    let code = code
        .map(|code| code.trim().to_ascii_uppercase())
        .filter(|code| !code.is_empty());
    match code {
        Some(code) if code.len() != 3 || !code.chars().all(|c| c.is_ascii_alphabetic()) => {
            Err(wrong(field, "must be a code of three letters, such as EUR"))
        }
        code => Ok(code),
    }
}

/// A text, or a whole number where a database counts its users.
#[derive(Debug)]
pub(super) struct Id(pub(super) String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(i64),
        }
        match Written::deserialize(deserializer) {
            Ok(Written::Text(text)) => Ok(Id(text)),
            Ok(Written::Number(number)) => Ok(Id(number.to_string())),
            Err(_) => Err(D::Error::custom("not a name, expected a string")),
        }
    }
}

/// A level in one of the words that people use for it; empty is none.
pub(super) fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Level>, D::Error> {
    match word(deserializer)?.as_deref() {
        None => Ok(None),
        Some("beginner" | "novice" | "new" | "basic" | "low") => Ok(Some(Level::Beginner)),
        Some("intermediate" | "medium" | "some") => Ok(Some(Level::Intermediate)),
        Some("advanced" | "expert" | "experienced" | "professional" | "pro" | "high") => {
            Ok(Some(Level::Advanced))
        }
        Some(_) => Err(D::Error::custom(
            "unknown, expected beginner, intermediate or advanced",
        )),
    }
}

/// A tolerance in one of the words that people use for it; empty is none.
pub(super) fn risk<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<RiskTolerance>, D::Error> {
    match word(deserializer)?.as_deref() {
        None => Ok(None),
        Some("conservative" | "low" | "cautious") => Ok(Some(RiskTolerance::Conservative)),
        Some("moderate" | "medium" | "balanced") => Ok(Some(RiskTolerance::Moderate)),
        Some("aggressive" | "high" | "bold") => Ok(Some(RiskTolerance::Aggressive)),
        Some(_) => Err(D::Error::custom(
            "unknown, expected conservative, moderate or aggressive",
        )),
    }
}

/// Texts as a list, as one text, or as a text that holds a list in JSON, which is how some databases keep them.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Many(Vec<String>),
        One(String),
    }
    let written = Option::<Written>::deserialize(deserializer)
        .map_err(|_| D::Error::custom("not texts, expected a list of strings or a string"))?;
    let texts = match written {
        None => Vec::new(),
        Some(Written::Many(texts)) => texts,
        Some(Written::One(text)) => serde_json::from_str(&text).unwrap_or_else(|_| vec![text]),
    };
    let texts = texts
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .take(TEXTS);
    Ok(texts.map(|text| clip(text.trim(), TEXT_CHARS)).collect())
}

fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let word: Option<String> = Option::deserialize(deserializer)?;
    Ok(word
        .map(|word| word.trim().to_lowercase())
        .filter(|word| !word.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Wanted {
        id: Option<Id>,
        #[serde(default, deserialize_with = "level")]
        level: Option<Level>,
        #[serde(default, deserialize_with = "risk")]
        risk: Option<RiskTolerance>,
        #[serde(default, deserialize_with = "texts")]
        goals: Vec<String>,
    }

    fn wanted(value: &Value) -> Wanted {
        read(value.to_string().as_bytes()).unwrap()
    }

    fn error(value: &Value) -> String {
        read::<Wanted>(value.to_string().as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_sites_have_in_their_databases_is_understood() {
        let one = wanted(
            &json!({"id": 42, "level": " Expert ", "risk": "LOW", "goals": "[\"a house\", \"\"]"}),
        );
        assert_eq!(one.id.map(|id| id.0).as_deref(), Some("42"));
        assert_eq!(
            (one.level, one.risk),
            (Some(Level::Advanced), Some(RiskTolerance::Conservative))
        );
        assert_eq!(one.goals, ["a house"]);
        assert_eq!(
            wanted(&json!({"goals": "retire early"})).goals,
            ["retire early"]
        );
        assert_eq!(wanted(&json!({"goals": ["a", "b"]})).goals, ["a", "b"]);
        let none = wanted(&json!({"id": null, "level": null, "risk": "", "goals": null}));
        assert!(
            none.id.is_none()
                && none.level.is_none()
                && none.risk.is_none()
                && none.goals.is_empty()
        );
    }

    #[test]
    fn what_is_wrong_has_a_name() {
        for (value, want) in [
            (json!({"id": [1]}), "field 'id' must be a string"),
            (
                json!({"level": "wizard"}),
                "field 'level' must be beginner, intermediate or advanced",
            ),
            (json!({"level": 3}), "field 'level' must be a string"),
            (
                json!({"risk": "yolo"}),
                "field 'risk' must be conservative, moderate or aggressive",
            ),
            (
                json!({"goals": {"a": 1}}),
                "field 'goals' must be a list of strings or a string",
            ),
        ] {
            assert_eq!(error(&value), want);
        }
        assert!(conversation_id(Some("<img src=x>".to_owned())).is_err());
        assert!(conversation_id(Some("x".repeat(129))).is_err());
        assert_eq!(
            conversation_id(Some("a-1".to_owned())).unwrap().as_deref(),
            Some("a-1")
        );
        assert_eq!(conversation_id(Some(String::new())).unwrap(), None);
        assert_eq!(
            currency("c", Some(" eur ".to_owned())).unwrap().as_deref(),
            Some("EUR")
        );
        assert!(currency("c", Some("€".to_owned())).is_err());
        assert!(text("m", Some("x".repeat(MESSAGE_BYTES + 1))).is_err());
        assert!(user_id(Some(Id("x".repeat(257)))).is_err());
    }
}
