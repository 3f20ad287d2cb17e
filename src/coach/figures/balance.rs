//! What somebody owns and owes.

use super::payoff::{Debt, minimums, total};
use super::rules::{amount, figure, positive};
use super::{Figure, FigureError, Unit};

/// What is owned minus what is owed; below zero when debts are larger.
pub fn net_worth(savings: f64, other_assets: f64, debts: &[Debt]) -> Result<Figure, FigureError> {
    let assets = amount("savings", savings)? + amount("other_assets", other_assets)?;
    let owed = total_debt(debts)?.value;
    Ok(figure(
        "net_worth",
        "Net worth, from what was given",
        (assets - owed, Unit::Money),
        "savings + other assets − all debts",
    ))
}

/// All debts together.
pub fn total_debt(debts: &[Debt]) -> Result<Figure, FigureError> {
    for debt in debts {
        amount("balance", debt.balance)?;
    }
    Ok(figure(
        "total_debt",
        "All debts together",
        (total(debts), Unit::Money),
        "sum of the balances",
    ))
}

/// The share of a month's income that minimum payments take.
pub fn debt_to_income(debts: &[Debt], monthly_income: f64) -> Result<Figure, FigureError> {
    let income = positive("monthly_income", monthly_income)?;
    for debt in debts {
        amount("minimum_payment", debt.minimum)?;
    }
    Ok(figure(
        "debt_to_income",
        "Debt payments as a share of income",
        (minimums(debts) / income * 100.0, Unit::Percent),
        "sum of the minimum payments ÷ monthly income",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBTS: [Debt; 3] = [
        Debt {
            balance: 168_000.0,
            percent: 3.5,
            minimum: 900.0,
        },
        Debt {
            balance: 4200.0,
            percent: 6.0,
            minimum: 140.0,
        },
        Debt {
            balance: 800.0,
            percent: 21.0,
            minimum: 40.0,
        },
    ];

    #[test]
    fn the_balance_sheet_of_the_library() {
        assert_eq!(
            net_worth(11_500.0, 262_500.0, &DEBTS).unwrap().value,
            101_000.0
        );
        assert_eq!(net_worth(0.0, 0.0, &DEBTS).unwrap().value, -173_000.0);
        assert_eq!(total_debt(&DEBTS).unwrap().value, 173_000.0);
        assert_eq!(debt_to_income(&DEBTS, 3000.0).unwrap().value, 36.0);
    }

    #[test]
    fn paid_debts_ask_for_nothing() {
        let paid = [Debt {
            balance: 0.0,
            ..DEBTS[0]
        }];
        assert_eq!(debt_to_income(&paid, 3000.0).unwrap().value, 0.0);
    }

    #[test]
    fn bad_input_is_refused() {
        let bad = [Debt {
            balance: -5.0,
            percent: 1.0,
            minimum: f64::NAN,
        }];
        assert!(total_debt(&bad).is_err());
        assert!(net_worth(1.0, 0.0, &bad).is_err());
        assert!(debt_to_income(&bad, 1.0).is_err());
        assert!(debt_to_income(&DEBTS, 0.0).is_err());
    }
}
