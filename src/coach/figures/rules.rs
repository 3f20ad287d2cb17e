//! What the calculators share: checks of their input and rounding of their output.

use super::{Figure, FigureError, Unit};

/// The largest amount: cents are exact in an `f64` up to here, with room for sums.
pub const MOST: f64 = 1e12;

/// The longest time: a hundred years.
pub const MOST_MONTHS: u32 = 1200;

/// `value` if it is an amount of zero or more.
pub(super) fn amount(name: &'static str, value: f64) -> Result<f64, FigureError> {
    finite(name, value)?;
    match value {
        _ if value < 0.0 => Err(FigureError::Negative { name, value }),
        _ if value > MOST => Err(FigureError::TooLarge {
            name,
            value,
            most: MOST,
        }),
        _ => Ok(value),
    }
}

/// `value` if it is an amount above zero: one that is not rounded to zero cents.
pub(super) fn positive(name: &'static str, value: f64) -> Result<f64, FigureError> {
    match amount(name, value)? {
        value if value < 0.005 => Err(FigureError::Zero { name }),
        value => Ok(value),
    }
}

/// `percent` if it is a rate that can be computed with.
pub(super) fn rate(name: &'static str, percent: f64) -> Result<f64, FigureError> {
    finite(name, percent)?;
    if (-99.0..=1000.0).contains(&percent) {
        Ok(percent)
    } else {
        Err(FigureError::Rate { name, percent })
    }
}

/// `percent` if it is a rate of zero or more.
pub(super) fn cost_rate(name: &'static str, percent: f64) -> Result<f64, FigureError> {
    match rate(name, percent)? {
        value if value < 0.0 => Err(FigureError::Negative { name, value }),
        percent => Ok(percent),
    }
}

/// `months` if it is between one month and the longest time.
pub(super) fn months(name: &'static str, months: u32) -> Result<u32, FigureError> {
    match months {
        0 => Err(FigureError::Zero { name }),
        _ if months > MOST_MONTHS => Err(FigureError::TooLarge {
            name,
            value: f64::from(months),
            most: f64::from(MOST_MONTHS),
        }),
        _ => Ok(months),
    }
}

fn finite(name: &'static str, value: f64) -> Result<(), FigureError> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(FigureError::NotFinite { name })
    }
}

/// Two decimals, halves away from zero; never a negative zero. Half a cent that binary fractions
/// place a hair below itself, as in 1.005, still counts as half a cent.
pub(super) fn cents(value: f64) -> f64 {
    let rounded = (value * 100.0 + 1e-7f64.copysign(value)).round() / 100.0;
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// The next whole cent at or above `value`; what lies a millionth of a cent above one is that one.
pub(super) fn cents_up(value: f64) -> f64 {
    (value * 100.0 - 1e-6).ceil().max(0.0) / 100.0
}

/// A figure of two decimals.
pub(super) fn figure(
    id: &'static str,
    name: &'static str,
    (value, unit): (f64, Unit),
    formula: &'static str,
) -> Figure {
    Figure {
        id,
        name,
        value: cents(value),
        unit,
        formula,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_as_documented() {
        let cases = [
            (0.125, 0.13),
            (-0.125, -0.13),
            (1.005, 1.01),
            (2.344, 2.34),
            (-0.001, 0.0),
        ];
        for (value, want) in cases {
            assert_eq!(cents(value), want, "{value}");
        }
        assert!(cents(-0.001).is_sign_positive());
        for (value, want) in [(187.5, 187.5), (187.501, 187.51), (0.0, 0.0), (-3.0, 0.0)] {
            assert_eq!(cents_up(value), want, "{value}");
        }
    }

    #[test]
    fn bad_input_has_a_name() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(
                amount("income", value),
                Err(FigureError::NotFinite { name: "income" })
            );
            assert_eq!(
                rate("apr", value),
                Err(FigureError::NotFinite { name: "apr" })
            );
        }
        assert!(matches!(
            amount("x", -0.01),
            Err(FigureError::Negative { .. })
        ));
        assert!(matches!(
            amount("x", 2e12),
            Err(FigureError::TooLarge { .. })
        ));
        assert_eq!(positive("x", 0.0), Err(FigureError::Zero { name: "x" }));
        assert!(matches!(rate("x", -99.5), Err(FigureError::Rate { .. })));
        assert!(matches!(
            cost_rate("x", -1.0),
            Err(FigureError::Negative { .. })
        ));
        assert!(matches!(
            months("x", 1201),
            Err(FigureError::TooLarge { .. })
        ));
        assert_eq!(months("x", 0), Err(FigureError::Zero { name: "x" }));
    }
}
