//! Durations as Go writes and reads them: `300ms`, `1.5h`, `2h45m`, in nanoseconds.
//!
//! Clients of Ollama send these texts and match its error messages, so grammar, limits and messages
//! follow Go's `time.ParseDuration` and `Duration.String`.

use std::time::Duration;

use crate::engine::KeepAlive;

const NANOS_PER_MICRO: u64 = 1_000;
const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MINUTE: u64 = 60 * NANOS_PER_SECOND;
const NANOS_PER_HOUR: u64 = 60 * NANOS_PER_MINUTE;
/// Magnitude of the smallest duration; the largest is one less.
const LIMIT: u64 = 1 << 63;

/// Why a text is not a duration; holds the text as it came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No number where one belongs, or out of range.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// A number that ends the text, other than a lone zero.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    /// A unit that does not exist.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

/// Nanoseconds of a text such as `-1.5h` or `2h45m10s`; units are `ns us µs ms s m h`, and `0` needs none.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let nanos = unit_nanos(unit).ok_or_else(|| DurationError::UnknownUnit {
            unit: unit.to_owned(),
            text: text.to_owned(),
        })?;
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| invalid())?
        };
        total = whole
            .checked_mul(nanos)
            .and_then(|part| part.checked_add(fraction_nanos(fraction, nanos)))
            .and_then(|part| part.checked_add(total))
            .filter(|total| *total <= LIMIT)
            .ok_or_else(invalid)?;
        rest = after;
    }
    match negative {
        true => Ok((total as i64).wrapping_neg()),
        false => i64::try_from(total).map_err(|_| invalid()),
    }
}

/// What a number of nanoseconds means as an idle time: below zero is forever.
pub fn keep_alive(nanos: i64) -> KeepAlive {
    match u64::try_from(nanos) {
        Ok(nanos) => KeepAlive::For(Duration::from_nanos(nanos)),
        Err(_) => KeepAlive::Forever,
    }
}

/// `1h2m3.5s`, `12.345ms`, `850ns`; zero is `0s`.
pub fn format_duration(duration: Duration) -> String {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    match nanos {
        0 => "0s".to_owned(),
        1..NANOS_PER_MICRO => format!("{nanos}ns"),
        NANOS_PER_MICRO..NANOS_PER_MILLI => format!("{}µs", decimal(nanos, NANOS_PER_MICRO)),
        NANOS_PER_MILLI..NANOS_PER_SECOND => format!("{}ms", decimal(nanos, NANOS_PER_MILLI)),
        _ => {
            let (hours, rest) = (nanos / NANOS_PER_HOUR, nanos % NANOS_PER_HOUR);
            let (minutes, rest) = (rest / NANOS_PER_MINUTE, rest % NANOS_PER_MINUTE);
            let seconds = decimal(rest, NANOS_PER_SECOND);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, _) => format!("{minutes}m{seconds}s"),
                _ => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// `value / unit` in full, without zeros at the end.
fn decimal(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

fn unit_nanos(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(NANOS_PER_MICRO),
        "ms" => Some(NANOS_PER_MILLI),
        "s" => Some(NANOS_PER_SECOND),
        "m" => Some(NANOS_PER_MINUTE),
        "h" => Some(NANOS_PER_HOUR),
        _ => None,
    }
}

/// Digits beyond what a signed integer holds are too small to count.
fn fraction_nanos(digits: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in digits.bytes() {
        let longer = value * 10 + u64::from(digit - b'0');
        if longer > LIMIT {
            break;
        }
        (value, scale) = (longer, scale * 10.0);
        if value > i64::MAX as u64 / 10 {
            break;
        }
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

/// The text in quotes; bytes that are not printable ASCII as `\x..`.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', byte as char]),
            b' '..=b'~' | 0x7f => quoted.push(byte as char),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("-1m", -60_000_000_000),
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("2h45m", 9_900_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1us1µs1μs1ns", 3_001),
            ("0.3333333333333333333h", 1_200_000_000_000),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(parse_duration(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn errors_say_what_go_says() {
        for (text, message) in [
            ("", "time: invalid duration \"\""),
            ("-", "time: invalid duration \"-\""),
            ("abc", "time: invalid duration \"abc\""),
            (".", "time: invalid duration \".\""),
            (".s", "time: invalid duration \".s\""),
            ("10", "time: missing unit in duration \"10\""),
            ("1h30", "time: missing unit in duration \"1h30\""),
            ("3d", "time: unknown unit \"d\" in duration \"3d\""),
            ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
            ("é\"", "time: invalid duration \"\\xc3\\xa9\\\"\""),
            (
                "9223372036854775808ns",
                "time: invalid duration \"9223372036854775808ns\"",
            ),
            (
                "99999999999999999999h",
                "time: invalid duration \"99999999999999999999h\"",
            ),
            ("3000000h", "time: invalid duration \"3000000h\""),
        ] {
            let error = parse_duration(text).expect_err(text);
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_negative_idle_time_is_forever() {
        assert_eq!(keep_alive(-1), KeepAlive::Forever);
        assert_eq!(keep_alive(0), KeepAlive::For(Duration::ZERO));
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (850, "850ns"),
            (1_500, "1.5µs"),
            (12_345_678, "12.345678ms"),
            (1_000_000_000, "1s"),
            (61_500_000_000, "1m1.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in 0..i64::MAX) {
            let text = format_duration(Duration::from_nanos(nanos as u64));
            let read = parse_duration(&text).expect("a written duration is valid");
            // Go adds the fraction as a float, which may lose the last digits of long durations.
            proptest::prop_assert!((read - nanos).abs() <= 1, "{text}");
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = parse_duration(&text);
        }
    }
}
