//! How figures are written in a text.

use super::{Figure, Unit};

impl Figure {
    /// Value and unit, such as `1,234.50 EUR`, `12.5 %` or `1 month`.
    pub fn shown(&self) -> String {
        match &self.unit {
            Unit::Money => amount(self.value),
            Unit::Currency(code) => format!("{} {code}", amount(self.value)),
            Unit::Percent => format!("{} %", plain(self.value)),
            Unit::Months => counted(self.value, "month"),
            Unit::Years => counted(self.value, "year"),
        }
    }
}

/// An amount with thousands apart, and with cents where there are any: `5,700`, `-12.50`.
pub fn amount(value: f64) -> String {
    let cents = format!("{:.2}", value.abs());
    let (whole, fraction) = cents.split_once('.').unwrap_or((&cents, "00"));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if fraction != "00" {
        out.push('.');
        out.push_str(fraction);
    }
    let is_zero = out.chars().all(|c| !c.is_ascii_digit() || c == '0');
    match value < 0.0 && !is_zero {
        true => format!("-{out}"),
        false => out,
    }
}

/// A number as short as two decimals allow: `2.5`, `12`.
pub fn plain(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" | "" => "0".to_owned(),
        text => text.to_owned(),
    }
}

fn counted(value: f64, word: &str) -> String {
    let plural = if value == 1.0 { "" } else { "s" };
    format!("{} {word}{plural}", plain(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coach::check::Evidence;

    #[test]
    fn amounts_are_written_as_people_do() {
        for (value, want) in [
            (0.0, "0"),
            (5700.0, "5,700"),
            (1_234_567.5, "1,234,567.50"),
            (-12.5, "-12.50"),
            (-0.001, "0"),
            (999.0, "999"),
            (1e12, "1,000,000,000,000"),
        ] {
            assert_eq!(amount(value), want);
        }
    }

    #[test]
    fn what_is_written_is_what_was_computed() {
        let figure = |value, unit| Figure {
            id: "x",
            name: "X",
            value,
            unit,
            formula: "x",
        };
        for (figure, want) in [
            (
                figure(1234.5, Unit::Currency("EUR".to_owned())),
                "1,234.50 EUR",
            ),
            (figure(1234.5, Unit::Money), "1,234.50"),
            (figure(16.666_666, Unit::Percent), "16.67 %"),
            (figure(1.0, Unit::Months), "1 month"),
            (figure(2.5, Unit::Years), "2.5 years"),
        ] {
            assert_eq!(figure.shown(), want);
            let evidence = Evidence::new().with_figures([&figure]);
            assert_eq!(evidence.unsupported(&figure.shown()), [], "{want}");
        }
    }
}
