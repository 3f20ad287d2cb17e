//! Compound growth of a sum and of regular contributions.

use super::rules::{amount, cents, figure, months, rate};
use super::{Figure, FigureError, Unit};

/// A sum that grows, and what is added to it at the end of every month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saving {
    /// What is there at the beginning.
    pub start: f64,
    /// Added at the end of each month.
    pub monthly: f64,
    /// Growth per year in percent; below zero for losses.
    pub percent: f64,
}

impl Saving {
    /// The same, if its amounts and its rate can be computed with.
    pub(super) fn checked(self) -> Result<Self, FigureError> {
        amount("savings", self.start)?;
        amount("monthly_contribution", self.monthly)?;
        rate("expected_return", self.percent)?;
        Ok(self)
    }

    /// What has become of it after `months`, not rounded.
    pub fn after(&self, months: u32) -> f64 {
        let i = monthly_rate(self.percent);
        self.start * compound(i, months) + self.monthly * annuity(i, months)
    }
}

/// The monthly rate, as a fraction, that compounds to `percent` a year.
pub fn monthly_rate(percent: f64) -> f64 {
    ((percent / 100.0).ln_1p() / 12.0).exp_m1()
}

/// What 1 becomes in `months` at the monthly rate `i`: (1 + i)ⁿ.
pub fn compound(i: f64, months: u32) -> f64 {
    (f64::from(months) * i.ln_1p()).exp()
}

/// What 1 at the end of each of `months` becomes at the monthly rate `i`: ((1 + i)ⁿ − 1) ÷ i.
pub fn annuity(i: f64, months: u32) -> f64 {
    let n = f64::from(months);
    // Below this the quotient of two tiny numbers is less exact than its limit.
    if i.abs() < 1e-12 {
        n
    } else {
        (n * i.ln_1p()).exp_m1() / i
    }
}

/// The value after `horizon_months`, what was paid in for it, and the growth.
pub fn growth(saving: Saving, horizon_months: u32) -> Result<[Figure; 3], FigureError> {
    let saving = saving.checked()?;
    let horizon = months("horizon", horizon_months)?;
    let value = cents(saving.after(horizon));
    let paid = cents(saving.start + saving.monthly * f64::from(horizon));
    Ok([
        figure(
            "future_value",
            "Value at the end",
            (value, Unit::Money),
            "start × (1 + i)ⁿ + monthly × ((1 + i)ⁿ − 1) ÷ i, with n months and i = (1 + yearly rate)^(1/12) − 1",
        ),
        figure(
            "paid_in",
            "Paid in by then",
            (paid, Unit::Money),
            "start + monthly × n",
        ),
        figure(
            "growth",
            "Growth by then",
            (value - paid, Unit::Money),
            "value at the end − paid in",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Compound interest factors as printed in the tables at the end of textbooks on engineering
    /// economy (for instance Blank and Tarquin): rate per period, periods, F/P, F/A.
    const TABLE: [(f64, u32, f64, f64); 8] = [
        (0.01, 12, 1.1268, 12.6825),
        (0.01, 60, 1.8167, 81.6697),
        (0.01, 360, 35.9496, 3494.96),
        (0.02, 20, 1.4859, 24.2974),
        (0.05, 10, 1.6289, 12.5779),
        (0.06, 30, 5.7435, 79.0582),
        (0.08, 25, 6.8485, 73.1059),
        (0.10, 50, 117.3909, 1163.91),
    ];

    #[test]
    fn factors_equal_the_printed_tables() {
        for (i, n, compounded, series) in TABLE {
            let digits = |value: f64| if value > 1000.0 { 0.006 } else { 0.00006 };
            assert!(
                (compound(i, n) - compounded).abs() < digits(compounded),
                "{i} {n}"
            );
            assert!((annuity(i, n) - series).abs() < digits(series), "{i} {n}");
        }
    }

    #[test]
    fn the_examples_of_the_library() {
        let value = |start, monthly, percent, years: u32| {
            let saving = Saving {
                start,
                monthly,
                percent,
            };
            growth(saving, years * 12).unwrap()[0].value
        };
        assert_eq!(value(10_000.0, 0.0, 5.0, 30), 43_219.42);
        assert_eq!(value(0.0, 200.0, 6.0, 10), 32_494.69);
        assert_eq!(value(0.0, 200.0, 6.0, 40), 381_535.55);
        assert_eq!(value(0.0, 50.0, 5.0, 18), 17_262.84);
        assert_eq!(value(500.0, 100.0, 0.0, 1), 1700.0);
        assert_eq!(value(100.0, 0.0, -50.0, 1), 50.0);
    }

    #[test]
    fn bad_input_is_refused() {
        let good = Saving {
            start: 1.0,
            monthly: 1.0,
            percent: 5.0,
        };
        assert!(growth(good, 12).is_ok());
        assert!(growth(good, 0).is_err());
        assert!(growth(good, 1201).is_err());
        for bad in [
            Saving {
                start: -1.0,
                ..good
            },
            Saving {
                monthly: f64::NAN,
                ..good
            },
            Saving {
                percent: -100.0,
                ..good
            },
        ] {
            assert!(growth(bad, 12).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn closed_form_equals_month_by_month(
            start in 0.0..1e6, monthly in 0.0..1e4, percent in -20.0..40.0, n in 1u32..600,
        ) {
            let saving = Saving { start, monthly, percent };
            let i = monthly_rate(percent);
            let stepped = (0..n).fold(start, |value, _| value * (1.0 + i) + monthly);
            let closed = saving.after(n);
            prop_assert!((closed - stepped).abs() <= 1e-9 * (1.0 + stepped.abs()), "{closed} {stepped}");
        }

        #[test]
        fn value_is_paid_in_plus_growth(start in 0.0..1e6, monthly in 0.0..1e4, n in 1u32..600) {
            let [value, paid, grown] = growth(Saving { start, monthly, percent: 4.0 }, n).unwrap();
            prop_assert!((value.value - paid.value - grown.value).abs() < 1e-4);
        }
    }
}
