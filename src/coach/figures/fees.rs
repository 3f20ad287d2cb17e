//! What a yearly fee on the balance costs over time.

use super::growth::Saving;
use super::rules::{cents, cost_rate, figure, months};
use super::{Figure, FigureError, Unit};

/// The value with a fee of `fee_percent` of the balance per year, and how much less that is than
/// without. The fee lowers the yearly growth: (1 + return) × (1 − fee) − 1.
pub fn fee_drag(
    saving: Saving,
    fee_percent: f64,
    horizon_months: u32,
) -> Result<[Figure; 2], FigureError> {
    let saving = saving.checked()?;
    let fee = cost_rate("annual_fee", fee_percent)?;
    let horizon = months("horizon", horizon_months)?;
    let net = (1.0 + saving.percent / 100.0) * (1.0 - fee / 100.0) - 1.0;
    let net = Saving {
        percent: net * 100.0,
        ..saving
    };
    let with = cents(net.checked()?.after(horizon));
    Ok([
        figure(
            "value_after_fees",
            "Value at the end after fees",
            (with, Unit::Money),
            "value at the end with a yearly growth of (1 + return) × (1 − fee) − 1",
        ),
        figure(
            "fee_cost",
            "What the fees cost by then",
            (cents(saving.after(horizon)) - with, Unit::Money),
            "value at the end without fees − value at the end after fees",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(start: f64, monthly: f64, fee: f64) -> [f64; 2] {
        let saving = Saving {
            start,
            monthly,
            percent: 6.0,
        };
        fee_drag(saving, fee, 360)
            .unwrap()
            .map(|figure| figure.value)
    }

    #[test]
    fn the_examples_of_the_library() {
        assert_eq!(values(10_000.0, 0.0, 0.2), [54_086.91, 3348.0]);
        assert_eq!(values(10_000.0, 0.0, 1.5), [36_497.48, 20_937.43]);
        assert_eq!(values(0.0, 300.0, 0.2)[0], 281_410.68);
        assert_eq!(values(10_000.0, 0.0, 0.0)[1], 0.0);
    }

    #[test]
    fn bad_input_is_refused() {
        let saving = Saving {
            start: 1.0,
            monthly: 0.0,
            percent: 6.0,
        };
        assert!(fee_drag(saving, -1.0, 12).is_err());
        assert!(fee_drag(saving, 100.0, 12).is_err());
        assert!(fee_drag(saving, 1.0, 0).is_err());
    }

    proptest! {
        #[test]
        fn a_higher_fee_costs_more(a in 0.0..5.0, b in 0.0..5.0, n in 1u32..600) {
            let saving = Saving { start: 1000.0, monthly: 50.0, percent: 5.0 };
            let cost = |fee: f64| fee_drag(saving, fee, n).unwrap()[1].value;
            prop_assert!(cost(f64::min(a, b)) <= cost(f64::max(a, b)) + 0.011);
        }
    }
}
