//! What inflation leaves of a return and of an amount.

use super::rules::{amount, cost_rate, figure, rate};
use super::{Figure, FigureError, Unit};

/// The growth in buying power: (1 + return) ÷ (1 + inflation) − 1, after Irving Fisher.
pub fn real_return(percent: f64, inflation_percent: f64) -> Result<Figure, FigureError> {
    let nominal = rate("expected_return", percent)?;
    let inflation = rate("inflation", inflation_percent)?;
    let real = (1.0 + nominal / 100.0) / (1.0 + inflation / 100.0) - 1.0;
    Ok(figure(
        "real_return",
        "Return after inflation, per year",
        (real * 100.0, Unit::Percent),
        "(1 + yearly return) ÷ (1 + inflation) − 1",
    ))
}

/// What `value` in the future buys, in today's prices.
pub fn buying_power(value: f64, inflation_percent: f64, years: f64) -> Result<Figure, FigureError> {
    let value = amount("value", value)?;
    let inflation = cost_rate("inflation", inflation_percent)?;
    let years = amount("years", years)?;
    let today = value / (1.0 + inflation / 100.0).powf(years);
    Ok(figure(
        "buying_power",
        "The value at the end in today's prices",
        (today, Unit::Money),
        "value at the end ÷ (1 + inflation)^years",
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_library() {
        assert_eq!(real_return(5.0, 3.0).unwrap().value, 1.94);
        assert_eq!(real_return(50.0, 40.0).unwrap().value, 7.14);
        assert_eq!(real_return(3.2, 4.0).unwrap().value, -0.77);
        for (years, want) in [(10.0, 744.09), (20.0, 553.68), (30.0, 411.99)] {
            assert_eq!(buying_power(1000.0, 3.0, years).unwrap().value, want);
        }
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(real_return(5.0, -100.0).is_err());
        assert!(real_return(f64::NAN, 1.0).is_err());
        assert!(buying_power(-1.0, 1.0, 1.0).is_err());
        assert!(buying_power(1.0, 1.0, f64::INFINITY).is_err());
    }

    proptest! {
        #[test]
        fn real_and_inflation_make_nominal(nominal in -20.0..50.0, inflation in -5.0..50.0) {
            let real = real_return(nominal, inflation).unwrap().value;
            let back = (1.0 + real / 100.0) * (1.0 + inflation / 100.0) - 1.0;
            prop_assert!((back * 100.0 - nominal).abs() < 0.0076, "{back}");
        }
    }
}
