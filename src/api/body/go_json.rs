//! A serde deserializer over JSON values with the manners of Go's `encoding/json`.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

/// Reads the first JSON value of `bytes`; the error is what Go would say.
pub(super) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let value = Value::deserialize(&mut reader).map_err(|error| syntax_error(&text, &error))?;
    T::deserialize(Go(value)).map_err(|error| error.to_string())
}

/// Says in Go's words why `text` is no JSON.
fn syntax_error(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected EOF".to_owned();
    }
    let message = error.to_string();
    let line = text
        .split('\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    // Columns count bytes from 1; the character named is the one read last.
    let mut column = error.column().saturating_sub(1).min(line.len());
    while !line.is_char_boundary(column) {
        column -= 1;
    }
    let Some(found) = line[column..].chars().next() else {
        return "unexpected end of JSON input".to_owned();
    };
    let place = [
        ("expected value", "looking for beginning of value"),
        (
            "key must be a string",
            "looking for beginning of object key string",
        ),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("trailing comma", "looking for beginning of value"),
        ("control character", "in string literal"),
        ("escape", "in string escape code"),
        ("invalid number", "in numeric literal"),
        ("expected ident", "in literal"),
    ];
    match place
        .iter()
        .find(|(here, _)| message.starts_with(here) || message.contains(here))
    {
        Some((_, place)) => format!("invalid character {found:?} {place}"),
        None => message,
    }
}

/// A value on its way into a Rust type.
struct Go(Value);

/// What went wrong, and in which field.
#[derive(Debug)]
enum Error {
    /// A value of another type than the field's.
    Type {
        found: String,
        wanted: String,
        holder: Option<&'static str>,
        path: String,
    },
    /// Whatever a type's own reader has to say, untouched.
    Custom(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Custom(text) => f.write_str(text),
            Error::Type {
                found,
                wanted,
                holder: Some(holder),
                path,
            } => write!(
                f,
                "json: cannot unmarshal {found} into Go struct field {holder}.{path} of type {wanted}"
            ),
            Error::Type {
                found,
                wanted,
                holder: None,
                ..
            } => {
                write!(
                    f,
                    "json: cannot unmarshal {found} into Go value of type {wanted}"
                )
            }
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Error::Custom(text.to_string())
    }
}

impl Error {
    fn of_type(value: &Value, wanted: impl Into<String>) -> Error {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(number) => format!("number {number}"),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        Error::Type {
            found,
            wanted: wanted.into(),
            holder: None,
            path: String::new(),
        }
    }

    /// The same error, seen from the struct that has the field.
    fn inside(self, name: &'static str, field: &str) -> Error {
        match self {
            Error::Type {
                found,
                wanted,
                holder,
                path,
            } => Error::Type {
                // Numbers are named by their kind only, once it is known where they stand.
                found: if found.starts_with("number") && !wanted.starts_with("int") {
                    "number".to_owned()
                } else {
                    found
                },
                wanted,
                holder: holder.or(Some(name)),
                path: if path.is_empty() {
                    field.to_owned()
                } else {
                    format!("{field}.{path}")
                },
            },
            custom => custom,
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match &self.0 {
                Value::Null => visitor.visit_u64(0),
                Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                    (Some(number), _) => visitor.visit_u64(number),
                    (None, Some(number)) => visitor.visit_i64(number),
                    (None, None) => Err(Error::of_type(&self.0, "int")),
                },
                other => Err(Error::of_type(other, "int")),
            }
        }
    )*};
}

macro_rules! floats {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match &self.0 {
                Value::Null => visitor.visit_f64(0.0),
                Value::Number(number) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
                other => Err(Error::of_type(other, "float64")),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Go {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(Items(items.into_iter())),
            Value::Object(map) => visitor.visit_map(Entries::of(map)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_bool(false),
            Value::Bool(value) => visitor.visit_bool(value),
            other => Err(Error::of_type(&other, "bool")),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64
    }

    floats! { deserialize_f32 deserialize_f64 }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_string(String::new()),
            Value::String(text) => visitor.visit_string(text),
            other => Err(Error::of_type(&other, "string")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            value => visitor.visit_some(Go(value)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_seq(Items(Vec::new().into_iter())),
            Value::Array(items) => visitor.visit_seq(Items(items.into_iter())),
            other => Err(Error::of_type(&other, "slice")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_map(Entries::of(Map::new())),
            Value::Object(map) => visitor.visit_map(Entries::of(map)),
            other => Err(Error::of_type(&other, "map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let map = match self.0 {
            Value::Null => Map::new(),
            Value::Object(map) => map,
            other => return Err(Error::of_type(&other, name)),
        };
        // An exact key wins over one of another case, as in Go.
        let mut known = Map::new();
        for (key, value) in map {
            let exact = fields.contains(&key.as_str());
            let field = fields.iter().find(|field| field.eq_ignore_ascii_case(&key));
            match field {
                _ if exact => _ = known.insert(key, value),
                Some(field) if !known.contains_key(*field) => {
                    known.insert((*field).to_owned(), value);
                }
                _ => {}
            }
        }
        // `null` is as good as absent: fields fall back to their defaults.
        known.retain(|_, value| !value.is_null());
        let mut entries = Entries::of(known);
        entries.holder = Some(name);
        visitor.visit_map(entries)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier ignored_any
    }
}

struct Items(std::vec::IntoIter<Value>);

impl<'de> de::SeqAccess<'de> for Items {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0
            .next()
            .map(|value| seed.deserialize(Go(value)))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries {
    entries: serde_json::map::IntoIter,
    next: Option<(String, Value)>,
    holder: Option<&'static str>,
}

impl Entries {
    fn of(map: Map<String, Value>) -> Entries {
        Entries {
            entries: map.into_iter(),
            next: None,
            holder: None,
        }
    }
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.next = self.entries.next();
        let Some((key, _)) = &self.next else {
            return Ok(None);
        };
        let key: StringDeserializer<Error> = key.clone().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, value) = self.next.take().expect("serde asks for the key first");
        let result = seed.deserialize(Go(value));
        match self.holder {
            Some(name) => result.map_err(|error| error.inside(name, &key)),
            None => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct ChatRequest {
        model: String,
        messages: Vec<Message>,
        stream: Option<bool>,
        top_logprobs: i64,
        options: Option<Map<String, Value>>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Message {
        role: String,
        content: String,
    }

    fn read(text: &str) -> Result<ChatRequest, String> {
        from_slice(text.as_bytes())
    }

    #[test]
    fn keys_match_in_any_case_and_an_exact_one_wins() {
        let request =
            read(r#"{"MODEL":"a","model":"b","Model":"c","Stream":false,"x":1}"#).unwrap();
        assert_eq!((request.model.as_str(), request.stream), ("b", Some(false)));
        let request = read(r#"{"Messages":[{"Role":"user","CONTENT":"hi"}]}"#).unwrap();
        assert_eq!(request.messages[0].content, "hi");
    }

    #[test]
    fn null_is_absent_everywhere_and_what_follows_the_value_is_ignored() {
        let request =
            read(r#"{"model":null,"messages":[null],"stream":null,"options":null} trash"#);
        let request = request.unwrap();
        assert_eq!(
            request,
            ChatRequest {
                messages: vec![Message::default()],
                ..Default::default()
            }
        );
        assert_eq!(read("null").unwrap(), ChatRequest::default());
    }

    #[test]
    fn free_form_maps_keep_their_keys_and_nulls() {
        let request = read(r#"{"options":{"Seed":1,"stop":null}}"#).unwrap();
        assert_eq!(
            Value::Object(request.options.unwrap()),
            serde_json::json!({"Seed": 1, "stop": null})
        );
    }

    #[test]
    fn wrong_types_are_told_in_the_words_of_go() {
        for (text, want) in [
            (
                r#"{"model":1}"#,
                "json: cannot unmarshal number into Go struct field ChatRequest.model of type string",
            ),
            (
                r#"{"messages":[{"content":["x"]}]}"#,
                "json: cannot unmarshal array into Go struct field Message.messages.content of type string",
            ),
            (
                r#"{"top_logprobs":1.5}"#,
                "json: cannot unmarshal number 1.5 into Go struct field ChatRequest.top_logprobs of type int",
            ),
            (
                r#"{"stream":"yes"}"#,
                "json: cannot unmarshal string into Go struct field ChatRequest.stream of type bool",
            ),
            (
                "[]",
                "json: cannot unmarshal array into Go value of type ChatRequest",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), want);
        }
    }

    #[test]
    fn broken_json_is_told_in_the_words_of_go() {
        for (text, want) in [
            ("x", "invalid character 'x' looking for beginning of value"),
            ("{", "unexpected EOF"),
            (r#"{"model":"a"#, "unexpected EOF"),
            (
                "{model}",
                "invalid character 'm' looking for beginning of object key string",
            ),
            (
                r#"{"model" "a"}"#,
                "invalid character '\"' after object key",
            ),
            (
                r#"{"model":"a" "b"}"#,
                "invalid character '\"' after object key:value pair",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), want, "{text}");
        }
    }
}
