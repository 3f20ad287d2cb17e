//! The emergency fund.

use super::rules::{amount, figure, positive};
use super::{Figure, FigureError, Unit};

/// How long savings last without income, and what three and six months of costs come to.
pub fn emergency_fund(savings: f64, monthly_expenses: f64) -> Result<[Figure; 4], FigureError> {
    let savings = amount("savings", savings)?;
    let expenses = positive("monthly_expenses", monthly_expenses)?;
    Ok([
        figure(
            "emergency_fund_months",
            "Months that savings last without income",
            (savings / expenses, Unit::Months),
            "savings ÷ monthly expenses",
        ),
        figure(
            "emergency_fund_three_months",
            "Emergency fund of 3 months",
            (expenses * 3.0, Unit::Money),
            "monthly expenses × 3",
        ),
        figure(
            "emergency_fund_six_months",
            "Emergency fund of 6 months",
            (expenses * 6.0, Unit::Money),
            "monthly expenses × 6",
        ),
        figure(
            "emergency_fund_missing",
            "Still missing for 3 months",
            ((expenses * 3.0 - savings).max(0.0), Unit::Money),
            "monthly expenses × 3 − savings, not below 0",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_library() {
        let values = emergency_fund(4750.0, 1900.0).unwrap().map(|f| f.value);
        assert_eq!(values, [2.5, 5700.0, 11_400.0, 950.0]);
        assert_eq!(emergency_fund(9000.0, 1900.0).unwrap()[3].value, 0.0);
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(emergency_fund(1.0, 0.0).is_err());
        assert!(emergency_fund(-1.0, 1.0).is_err());
        assert!(emergency_fund(f64::INFINITY, 1.0).is_err());
    }

    proptest! {
        #[test]
        fn more_savings_never_last_shorter(a in 0.0..1e9, b in 0.0..1e9, costs in 1.0..1e6) {
            let months = |savings: f64| emergency_fund(savings, costs).unwrap()[0].value;
            prop_assert!(months(f64::min(a, b)) <= months(f64::max(a, b)));
        }
    }
}
