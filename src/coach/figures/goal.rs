//! Goals: when one is reached, and what it takes to reach one by a date.

use super::growth::{Saving, annuity, compound, monthly_rate};
use super::rules::{MOST_MONTHS, amount, cents_up, figure, months, positive};
use super::{Figure, FigureError, Unit};

/// Whole months until `saving` has become `target` or more; 0 if it is there already.
pub fn months_to_goal(saving: Saving, target: f64) -> Result<u32, FigureError> {
    let saving = saving.checked()?;
    let target = positive("target_amount", target)?;
    // What is within a hundredth of a cent of the goal has reached it.
    let reached = |n: u32| saving.after(n) >= target - 1e-4;
    if reached(0) {
        return Ok(0);
    }
    // The balance moves in one direction only, so that the first month can be found by halving.
    if !reached(MOST_MONTHS) {
        return Err(FigureError::NeverReached { target });
    }
    let (mut below, mut above) = (0, MOST_MONTHS);
    while above - below > 1 {
        let middle = below.midpoint(above);
        if reached(middle) {
            above = middle;
        } else {
            below = middle;
        }
    }
    Ok(above)
}

/// The time to a goal in months and in years.
pub fn time_to_goal(saving: Saving, target: f64) -> Result<[Figure; 2], FigureError> {
    let months = f64::from(months_to_goal(saving, target)?);
    Ok([
        figure(
            "months_to_goal",
            "Months until the goal is reached",
            (months, Unit::Months),
            "smallest n with start × (1 + i)ⁿ + monthly × ((1 + i)ⁿ − 1) ÷ i ≥ target",
        ),
        figure(
            "years_to_goal",
            "Years until the goal is reached",
            (months / 12.0, Unit::Years),
            "months until the goal ÷ 12",
        ),
    ])
}

/// What must be added at the end of each month to have `target` after `horizon_months`, rounded up
/// to the cent; 0 if the start grows to it alone.
pub fn contribution(
    start: f64,
    percent: f64,
    target: f64,
    horizon_months: u32,
) -> Result<Figure, FigureError> {
    let saving = Saving {
        start,
        monthly: 0.0,
        percent,
    }
    .checked()?;
    let target = positive("target_amount", target)?;
    let n = months("horizon", horizon_months)?;
    let i = monthly_rate(saving.percent);
    let missing = target - saving.start * compound(i, n);
    let monthly = cents_up((missing / annuity(i, n)).max(0.0));
    Ok(Figure {
        value: amount("monthly_contribution", monthly)?,
        ..figure(
            "contribution_needed",
            "Needed each month to reach the goal in time",
            (0.0, Unit::Money),
            "(target − start × (1 + i)ⁿ) × i ÷ ((1 + i)ⁿ − 1), rounded up",
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn saving(start: f64, monthly: f64, percent: f64) -> Saving {
        Saving {
            start,
            monthly,
            percent,
        }
    }

    #[test]
    fn the_examples_of_the_library() {
        assert_eq!(contribution(0.0, 0.0, 6000.0, 24).unwrap().value, 250.0);
        assert_eq!(contribution(1500.0, 0.0, 6000.0, 24).unwrap().value, 187.5);
        assert_eq!(months_to_goal(saving(0.0, 180.0, 0.0), 6000.0), Ok(34));
        assert_eq!(
            contribution(0.0, 3.0, 450_000.0, 360).unwrap().value,
            777.59
        );
        assert_eq!(
            contribution(0.0, 4.0, 450_000.0, 360).unwrap().value,
            656.68
        );
    }

    /// Sinking fund factors (A/F) of the printed tables of engineering economy.
    #[test]
    fn contributions_equal_the_printed_table() {
        for (i, n, factor) in [
            (0.01, 12, 0.07885),
            (0.01, 60, 0.01224),
            (0.02, 24, 0.03287),
        ] {
            let yearly = (f64::powi(1.0 + i, 12) - 1.0) * 100.0;
            let monthly = contribution(0.0, yearly, 100_000.0, n).unwrap().value;
            assert!(
                (monthly / 100_000.0 - factor).abs() < 6e-6,
                "{i} {n}: {monthly}"
            );
        }
    }

    #[test]
    fn goals_at_the_edges() {
        assert_eq!(months_to_goal(saving(5000.0, 0.0, 0.0), 5000.0), Ok(0));
        assert_eq!(months_to_goal(saving(100.0, 0.0, 7.2), 200.0), Ok(120));
        assert_eq!(contribution(9000.0, 0.0, 6000.0, 24).unwrap().value, 0.0);
        let never = |plan| matches!(plan, Err(FigureError::NeverReached { .. }));
        assert!(never(months_to_goal(saving(10.0, 0.0, 0.0), 11.0)));
        assert!(never(months_to_goal(saving(0.0, 10.0, -50.0), 1e6)));
        assert!(months_to_goal(saving(0.0, 1.0, 0.0), 0.0).is_err());
        assert!(contribution(0.0, 5.0, 1000.0, 0).is_err());
        assert!(contribution(-1.0, 5.0, 1000.0, 12).is_err());
    }

    proptest! {
        #[test]
        fn a_month_less_is_not_enough(
            start in 0.0..1e4, monthly in 1.0..1e3, percent in -5.0..15.0, target in 1.0..1e5,
        ) {
            let saving = saving(start, monthly, percent);
            if let Ok(n) = months_to_goal(saving, target) {
                prop_assert!(saving.after(n) >= target - 1e-3);
                prop_assert!(n == 0 || saving.after(n - 1) < target);
            }
        }

        #[test]
        fn the_contribution_reaches_the_goal_and_a_cent_less_does_not(
            start in 0.0..1e4, percent in -5.0..15.0, target in 1.0..1e5, n in 1u32..480,
        ) {
            let monthly = contribution(start, percent, target, n).unwrap().value;
            prop_assert!(saving(start, monthly, percent).after(n) >= target - 1e-3);
            if monthly > 0.01 {
                prop_assert!(saving(start, monthly - 0.01, percent).after(n) < target + 1e-3);
            }
        }
    }
}
