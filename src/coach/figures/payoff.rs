//! Several debts paid off in an order: avalanche (dearest first) or snowball (smallest first).
//!
//! Each month every debt is charged a twelfth of its rate, rounded to the cent. Then each gets its
//! minimum payment, and what is left of the budget goes to one debt after the other in the order.
//! The budget stays the same until the end: a debt that is gone frees its payment for the next.

use super::rules::{MOST_MONTHS, amount, cents, cost_rate, figure, positive};
use super::{Figure, FigureError, Unit};

/// A debt as its statement shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Debt {
    /// What is owed.
    pub balance: f64,
    /// The yearly rate in percent.
    pub percent: f64,
    /// The least that must be paid each month.
    pub minimum: f64,
}

/// Which debt gets the extra money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The highest rate first.
    Avalanche,
    /// The smallest balance first.
    Snowball,
}

/// What becomes of the debts.
#[derive(Clone, Debug, PartialEq)]
pub struct Payoff {
    /// Months until nothing is owed.
    pub months: u32,
    /// The interest of all those months.
    pub interest: f64,
    /// For each debt, in the order given, the month in which it is paid; 0 if nothing was owed.
    pub paid_in_month: Vec<u32>,
}

/// Pays the `debts` with `budget` a month.
pub fn payoff(debts: &[Debt], budget: f64, order: Order) -> Result<Payoff, FigureError> {
    check(debts, budget)?;
    let mut balances: Vec<f64> = debts.iter().map(|debt| cents(debt.balance)).collect();
    let mut payoff = Payoff {
        months: 0,
        interest: 0.0,
        paid_in_month: vec![0; debts.len()],
    };
    while balances.iter().any(|balance| *balance > 0.0) {
        if payoff.months == MOST_MONTHS || balances.iter().sum::<f64>() > super::MOST {
            return Err(FigureError::NeverPaid);
        }
        payoff.months += 1;
        payoff.interest += charge(debts, &mut balances);
        let owing: Vec<bool> = balances.iter().map(|balance| *balance > 0.0).collect();
        pay(debts, &mut balances, budget, order);
        for at in 0..debts.len() {
            if owing[at] && balances[at] <= 0.0 {
                payoff.paid_in_month[at] = payoff.months;
            }
        }
    }
    payoff.interest = cents(payoff.interest);
    Ok(payoff)
}

fn check(debts: &[Debt], budget: f64) -> Result<(), FigureError> {
    for debt in debts {
        amount("balance", debt.balance)?;
        cost_rate("apr", debt.percent)?;
        amount("minimum_payment", debt.minimum)?;
    }
    let budget = amount("debt_budget", budget)?;
    positive("balance", total(debts))?;
    let minimums = minimums(debts);
    if budget < minimums {
        return Err(FigureError::BelowMinimums { budget, minimums });
    }
    let interest: f64 = debts.iter().map(month_of_interest).sum();
    if budget <= interest {
        return Err(FigureError::PaymentBelowInterest {
            payment: budget,
            interest,
        });
    }
    Ok(())
}

fn month_of_interest(debt: &Debt) -> f64 {
    cents(debt.balance * debt.percent / 1200.0)
}

/// Adds a month's interest to each balance and returns the sum of it.
fn charge(debts: &[Debt], balances: &mut [f64]) -> f64 {
    let mut sum = 0.0;
    for (debt, balance) in debts.iter().zip(balances) {
        let interest = cents(*balance * debt.percent / 1200.0);
        *balance = cents(*balance + interest);
        sum += interest;
    }
    sum
}

/// Spends a month's budget: minimum payments first, the rest in order.
fn pay(debts: &[Debt], balances: &mut [f64], budget: f64, order: Order) {
    let mut left = budget;
    for (debt, balance) in debts.iter().zip(balances.iter_mut()) {
        let paid = debt.minimum.min(*balance).min(left);
        *balance = cents(*balance - paid);
        left -= paid;
    }
    let mut queue: Vec<usize> = (0..debts.len()).filter(|at| balances[*at] > 0.0).collect();
    // Sorting is stable: what is equal stays in the order given.
    match order {
        Order::Avalanche => queue.sort_by(|a, b| debts[*b].percent.total_cmp(&debts[*a].percent)),
        Order::Snowball => queue.sort_by(|a, b| balances[*a].total_cmp(&balances[*b])),
    }
    for at in queue {
        let paid = balances[at].min(left);
        balances[at] = cents(balances[at] - paid);
        left -= paid;
    }
}

/// The sum of all balances.
pub fn total(debts: &[Debt]) -> f64 {
    debts.iter().map(|debt| debt.balance).sum()
}

/// The sum of the minimum payments of debts that are not paid yet.
pub fn minimums(debts: &[Debt]) -> f64 {
    let owed = debts.iter().filter(|debt| debt.balance > 0.0);
    owed.map(|debt| debt.minimum).sum()
}

/// Both orders side by side, and what the avalanche saves.
pub fn compare(debts: &[Debt], budget: f64) -> Result<[Figure; 5], FigureError> {
    let avalanche = payoff(debts, budget, Order::Avalanche)?;
    let snowball = payoff(debts, budget, Order::Snowball)?;
    let months = |payoff: &Payoff| (f64::from(payoff.months), Unit::Months);
    Ok([
        figure(
            "avalanche_months",
            "Months until free of debt, highest rate first",
            months(&avalanche),
            "months of: interest at yearly rate ÷ 12, minimum payments, the rest to the highest rate",
        ),
        figure(
            "avalanche_interest",
            "Interest on the way, highest rate first",
            (avalanche.interest, Unit::Money),
            "sum of all months' interest",
        ),
        figure(
            "snowball_months",
            "Months until free of debt, smallest balance first",
            months(&snowball),
            "months of: interest at yearly rate ÷ 12, minimum payments, the rest to the smallest balance",
        ),
        figure(
            "snowball_interest",
            "Interest on the way, smallest balance first",
            (snowball.interest, Unit::Money),
            "sum of all months' interest",
        ),
        figure(
            "avalanche_saves",
            "Interest saved by paying the highest rate first",
            (snowball.interest - avalanche.interest, Unit::Money),
            "interest smallest balance first − interest highest rate first",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::loan::repayment;
    use super::*;

    fn debt(balance: f64, percent: f64, minimum: f64) -> Debt {
        Debt {
            balance,
            percent,
            minimum,
        }
    }

    #[test]
    fn the_example_of_the_library() {
        let debts = [
            debt(4000.0, 24.0, 120.0),
            debt(900.0, 18.0, 30.0),
            debt(6000.0, 7.0, 150.0),
        ];
        let avalanche = payoff(&debts, 500.0, Order::Avalanche).unwrap();
        assert_eq!(avalanche.paid_in_month, [15, 17, 25]);
        assert_eq!((avalanche.months, avalanche.interest), (25, 1429.69));
        let snowball = payoff(&debts, 500.0, Order::Snowball).unwrap();
        assert_eq!(snowball.paid_in_month, [17, 5, 25]);
        assert_eq!((snowball.months, snowball.interest), (25, 1490.49));
        assert_eq!(compare(&debts, 500.0).unwrap()[4].value, 60.8);
    }

    #[test]
    fn one_debt_is_a_loan() {
        let alone = payoff(&[debt(3000.0, 22.0, 90.0)], 150.0, Order::Snowball).unwrap();
        let [months, interest] = repayment(3000.0, 22.0, 150.0).unwrap();
        assert_eq!(f64::from(alone.months), months.value);
        assert_eq!(alone.interest, interest.value);
    }

    #[test]
    fn debts_that_never_end_are_refused() {
        let debts = [debt(1000.0, 24.0, 50.0), debt(500.0, 12.0, 25.0)];
        let below = FigureError::BelowMinimums {
            budget: 70.0,
            minimums: 75.0,
        };
        assert_eq!(payoff(&debts, 70.0, Order::Avalanche), Err(below));
        let heavy = [debt(100_000.0, 24.0, 0.0)];
        let error = payoff(&heavy, 2000.0, Order::Avalanche).unwrap_err();
        assert!(matches!(error, FigureError::PaymentBelowInterest { .. }));
        // The small loan is paid first while the dear one outgrows the budget.
        let diverging = [debt(90_000.0, 24.0, 0.0), debt(80_000.0, 0.0, 0.0)];
        let error = payoff(&diverging, 1801.0, Order::Snowball).unwrap_err();
        assert_eq!(error, FigureError::NeverPaid);
    }

    #[test]
    fn bad_input_is_refused() {
        let zero = FigureError::Zero { name: "balance" };
        assert_eq!(payoff(&[], 100.0, Order::Snowball), Err(zero.clone()));
        assert_eq!(
            payoff(&[debt(0.0, 5.0, 9.0)], 1.0, Order::Snowball),
            Err(zero)
        );
        for bad in [
            debt(-1.0, 5.0, 1.0),
            debt(1.0, f64::NAN, 1.0),
            debt(1.0, -5.0, 1.0),
            debt(1.0, 5.0, f64::INFINITY),
        ] {
            assert!(payoff(&[bad], 100.0, Order::Avalanche).is_err(), "{bad:?}");
        }
    }

    fn debts() -> impl Strategy<Value = Vec<Debt>> {
        let one = (10u32..2_000_000, 0.0..30.0).prop_map(|(cents, percent)| {
            let balance = f64::from(cents) / 100.0;
            debt(balance, percent, (balance * 3.0).round() / 100.0)
        });
        prop::collection::vec(one, 1..6)
    }

    proptest! {
        #[test]
        fn the_avalanche_never_costs_more(debts in debts(), extra in 1.0..500.0) {
            let budget = minimums(&debts) + extra;
            let avalanche = payoff(&debts, budget, Order::Avalanche).unwrap();
            let snowball = payoff(&debts, budget, Order::Snowball).unwrap();
            // Rounding moves each month's interest by half a cent per debt at most.
            let slack = 0.005 * f64::from(snowball.months) * debts.len() as f64;
            prop_assert!(avalanche.interest <= snowball.interest + slack);
            prop_assert!(avalanche.months <= snowball.months);
        }

        #[test]
        fn the_last_debt_ends_with_the_last_month(debts in debts(), extra in 1.0..500.0) {
            let payoff = payoff(&debts, minimums(&debts) + extra, Order::Snowball).unwrap();
            prop_assert_eq!(payoff.paid_in_month.iter().max(), Some(&payoff.months));
            prop_assert!(payoff.paid_in_month.iter().all(|month| *month > 0));
        }
    }
}
