//! Whether the numbers of a request can be meant.

use crate::coach::figures::numbers::{Loan, OwedDebt, Percent};
use crate::coach::figures::{MOST, MOST_MONTHS, Numbers};

const DEBTS: usize = 50;
const LEAST_RATE: f64 = -99.0;
const MOST_RATE: f64 = 1000.0;

/// A number that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNumber {
    /// Its path in the request.
    pub field: String,
    /// What it must be; does not hold the number.
    pub problem: String,
}

/// Finds the first number that no calculator takes, whatever else is given.
pub fn check(numbers: &Numbers) -> Result<(), BadNumber> {
    for (name, value) in [
        ("monthly_income", numbers.monthly_income),
        ("monthly_expenses", numbers.monthly_expenses),
        ("savings", numbers.savings),
        ("other_assets", numbers.other_assets),
        ("monthly_debt_budget", numbers.monthly_debt_budget),
        ("target_amount", numbers.target_amount),
        ("monthly_contribution", numbers.monthly_contribution),
    ] {
        amount(name, value.unwrap_or_default())?;
    }
    rate("expected_return", numbers.expected_return, LEAST_RATE)?;
    rate("inflation", numbers.inflation, LEAST_RATE)?;
    rate("annual_fee", numbers.annual_fee, 0.0)?;
    let most_years = f64::from(MOST_MONTHS / 12);
    if numbers
        .years
        .is_some_and(|years| !(0.0..=most_years).contains(&years))
    {
        return bad("years", &format!("must be from 0 to {most_years}"));
    }
    if numbers.debts.len() > DEBTS {
        return bad("debts", &format!("must have {DEBTS} entries at most"));
    }
    for (at, debt) in numbers.debts.iter().enumerate() {
        let OwedDebt {
            balance,
            apr,
            minimum_payment,
            ..
        } = debt;
        amount(&format!("debts[{at}].balance"), *balance)?;
        rate(&format!("debts[{at}].apr"), Some(*apr), 0.0)?;
        amount(&format!("debts[{at}].minimum_payment"), *minimum_payment)?;
    }
    match numbers.loan {
        Some(Loan {
            amount: borrowed,
            apr,
            months,
        }) => {
            amount("loan.amount", borrowed)?;
            rate("loan.apr", Some(apr), 0.0)?;
            match (1..=MOST_MONTHS).contains(&months) {
                true => Ok(()),
                false => bad("loan.months", &format!("must be from 1 to {MOST_MONTHS}")),
            }
        }
        None => Ok(()),
    }
}

fn amount(name: &str, value: f64) -> Result<(), BadNumber> {
    match value {
        _ if (0.0..=MOST).contains(&value) => Ok(()),
        _ if value < 0.0 => bad(name, "must not be below zero"),
        _ => bad(name, &format!("must be {MOST} at most")),
    }
}

fn rate(name: &str, percent: Option<Percent>, least: f64) -> Result<(), BadNumber> {
    match percent {
        Some(Percent(percent)) if !(least..=MOST_RATE).contains(&percent) => bad(
            name,
            &format!("must be from {least} to {MOST_RATE} percent"),
        ),
        _ => Ok(()),
    }
}

fn bad(name: &str, problem: &str) -> Result<(), BadNumber> {
    Err(BadNumber {
        field: format!("numbers.{name}"),
        problem: problem.to_owned(),
    })
}
