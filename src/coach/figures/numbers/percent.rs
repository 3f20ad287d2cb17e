//! Rates as people write them.

use serde::{Deserialize, Deserializer, de::Error};

/// A rate in percent: a number (`7` is 7 %) or a text with or without a sign (`"7 %"`, `"0,5%"`).
/// A bare number between 0 and 1 is refused: `0.07` could be 7 % or 0.07 %, and guessing wrongly
/// would make every figure wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer).map_err(|_| {
            D::Error::custom("not a rate, expected a number such as 7 or a text such as \"7 %\"")
        })?;
        match written {
            Written::Number(value) if value != 0.0 && value.abs() < 1.0 => {
                let fraction = value * 100.0;
                Err(D::Error::custom(format!(
                    "the rate {value} could mean {value} % or {fraction} %, expected a text with a sign, such as \"0.5 %\""
                )))
            }
            Written::Number(value) => Ok(Self(value)),
            Written::Text(text) => parse(&text).map(Self).ok_or_else(|| {
                D::Error::custom(
                    "not a rate, expected a number such as 7 or a text such as \"7 %\"",
                )
            }),
        }
    }
}

fn parse(text: &str) -> Option<f64> {
    let number = text.trim();
    let number = number.strip_suffix('%').unwrap_or(number).trim_end();
    let plain = number.replace(',', ".");
    // Letters would let "inf" and "nan" through.
    let digits = plain
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    plain.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<f64, String> {
        let rate: Result<Percent, _> = serde_json::from_str(json);
        rate.map(|percent| percent.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn rates_as_people_write_them() {
        let cases = [
            ("7", 7.0),
            ("19.9", 19.9),
            ("0", 0.0),
            ("1", 1.0),
            ("-3", -3.0),
            ("\"7\"", 7.0),
            ("\"7%\"", 7.0),
            ("\" 0.5 % \"", 0.5),
            ("\"0,5 %\"", 0.5),
        ];
        for (json, want) in cases {
            assert_eq!(read(json), Ok(want), "{json}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let error = read("0.07").unwrap_err();
        assert!(error.contains("0.07 % or 7"), "{error}");
        for json in [
            "\"seven\"",
            "\"nan\"",
            "\"inf %\"",
            "\"1e3\"",
            "true",
            "null",
            "\"\"",
            "\"%\"",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
