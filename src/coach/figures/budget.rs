//! Splitting an income, and how much of it stays.

use super::rules::{amount, figure, positive};
use super::{Figure, FigureError, Unit};

/// The 50/30/20 split of a month's income after tax: needs, wants, saving and debts.
pub fn split(monthly_income: f64) -> Result<[Figure; 3], FigureError> {
    let income = positive("monthly_income", monthly_income)?;
    let part = |share: f64| (income * share, Unit::Money);
    Ok([
        figure(
            "budget_needs",
            "Needs each month (50 % of income)",
            part(0.5),
            "monthly income × 50 %",
        ),
        figure(
            "budget_wants",
            "Wants each month (30 % of income)",
            part(0.3),
            "monthly income × 30 %",
        ),
        figure(
            "budget_saving",
            "Saving and extra debt payments each month (20 % of income)",
            part(0.2),
            "monthly income × 20 %",
        ),
    ])
}

/// What is left of a month's income; below zero when more is spent than comes in.
pub fn surplus(monthly_income: f64, monthly_expenses: f64) -> Result<Figure, FigureError> {
    let income = amount("monthly_income", monthly_income)?;
    let expenses = amount("monthly_expenses", monthly_expenses)?;
    Ok(figure(
        "monthly_surplus",
        "Left over each month",
        (income - expenses, Unit::Money),
        "monthly income − monthly expenses",
    ))
}

/// The share of income that is not spent; below zero when more is spent than comes in.
pub fn savings_rate(monthly_income: f64, monthly_expenses: f64) -> Result<Figure, FigureError> {
    let income = positive("monthly_income", monthly_income)?;
    let expenses = amount("monthly_expenses", monthly_expenses)?;
    Ok(figure(
        "savings_rate",
        "Savings rate",
        ((income - expenses) / income * 100.0, Unit::Percent),
        "(monthly income − monthly expenses) ÷ monthly income",
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_split_of_the_library_example() {
        let values = split(3200.0).unwrap().map(|figure| figure.value);
        assert_eq!(values, [1600.0, 960.0, 640.0]);
    }

    #[test]
    fn savings_rates() {
        assert_eq!(savings_rate(3000.0, 2550.0).unwrap().value, 15.0);
        assert_eq!(savings_rate(3000.0, 3300.0).unwrap().value, -10.0);
        assert_eq!(savings_rate(3.0, 2.0).unwrap().value, 33.33);
        assert_eq!(surplus(0.0, 10.0).unwrap().value, -10.0);
    }

    #[test]
    fn bad_input_is_refused() {
        let zero = FigureError::Zero {
            name: "monthly_income",
        };
        assert_eq!(split(0.0), Err(zero.clone()));
        assert_eq!(savings_rate(0.0, 1.0), Err(zero));
        assert!(split(-1.0).is_err());
        assert!(savings_rate(1.0, f64::NAN).is_err());
        assert!(surplus(1.0, -1.0).is_err());
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_income(income in 1u32..100_000_000) {
            let income = f64::from(income) / 100.0;
            let sum: f64 = split(income).unwrap().iter().map(|figure| figure.value).sum();
            prop_assert!((sum - income).abs() < 0.011, "{sum} of {income}");
        }

        #[test]
        fn a_rate_is_never_above_a_hundred(income in 0.01..1e9, expenses in 0.0..1e9) {
            prop_assert!(savings_rate(income, expenses).unwrap().value <= 100.0);
        }
    }
}
