//! Loans with equal payments: the payment, the plan of payments, and how long a payment takes.
//!
//! Contracts reckon in cents, and so do these plans: each month's interest is rounded, halves away
//! from zero, and the last payment takes what is left.

use super::rules::{MOST_MONTHS, amount, cents, cost_rate, figure, months, positive};
use super::{Figure, FigureError, Unit};

/// One month of a plan of payments; amounts in whole cents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Payment {
    /// What is paid in this month.
    pub paid: f64,
    /// The part of it that is interest.
    pub interest: f64,
    /// The part of it that reduces the debt.
    pub repaid: f64,
    /// What is owed afterwards.
    pub balance: f64,
}

/// The payment that ends a loan of `principal` after `term_months`, not rounded.
/// P × i ÷ (1 − (1 + i)⁻ⁿ), with i a twelfth of the yearly rate.
pub fn payment(principal: f64, percent: f64, term_months: u32) -> Result<f64, FigureError> {
    let principal = positive("principal", principal)?;
    let i = cost_rate("apr", percent)? / 1200.0;
    let n = f64::from(months("term", term_months)?);
    if i < 1e-12 {
        return Ok(principal / n);
    }
    Ok(principal * i / -(-n * i.ln_1p()).exp_m1())
}

/// The plan of a loan over a fixed term, with the payment rounded to the cent.
pub fn plan(principal: f64, percent: f64, term_months: u32) -> Result<Vec<Payment>, FigureError> {
    let monthly = cents(payment(principal, percent, term_months)?);
    Ok(payments(principal, percent, monthly, term_months))
}

/// The plan of a debt that is paid with `monthly` until nothing is left.
pub fn plan_by_payment(
    balance: f64,
    percent: f64,
    monthly: f64,
) -> Result<Vec<Payment>, FigureError> {
    let balance = positive("balance", balance)?;
    let interest = cents(balance * cost_rate("apr", percent)? / 1200.0);
    let monthly = positive("payment", monthly)?;
    if monthly <= interest {
        return Err(FigureError::PaymentBelowInterest {
            payment: monthly,
            interest,
        });
    }
    let plan = payments(balance, percent, monthly, MOST_MONTHS);
    match plan.last() {
        // The last month the plan may have was made to take all that was left.
        Some(last) if last.paid > cents(monthly) => Err(FigureError::NeverPaid),
        _ => Ok(plan),
    }
}

/// Months of `monthly` until nothing is owed; the payment of month `last_month` takes the rest.
fn payments(principal: f64, percent: f64, monthly: f64, last_month: u32) -> Vec<Payment> {
    let mut balance = cents(principal);
    let mut plan = Vec::new();
    for month in 1..=last_month {
        if balance <= 0.0 {
            break;
        }
        let interest = cents(balance * percent / 1200.0);
        let owed = cents(balance + interest);
        let paid = if month == last_month {
            owed
        } else {
            owed.min(cents(monthly))
        };
        balance = cents(owed - paid);
        plan.push(Payment {
            paid,
            interest,
            repaid: cents(paid - interest),
            balance,
        });
    }
    plan
}

/// The payment of a loan over a fixed term, its interest and the sum of all payments.
pub fn loan(principal: f64, percent: f64, term_months: u32) -> Result<[Figure; 3], FigureError> {
    let monthly = payment(principal, percent, term_months)?;
    let plan = plan(principal, percent, term_months)?;
    let interest = plan.iter().map(|payment| payment.interest).sum();
    let paid = plan.iter().map(|payment| payment.paid).sum();
    Ok([
        figure(
            "loan_payment",
            "Loan payment each month",
            (monthly, Unit::Money),
            "amount × i ÷ (1 − (1 + i)⁻ⁿ), with i = yearly rate ÷ 12 and n months",
        ),
        figure(
            "loan_interest",
            "Interest over the whole term",
            (interest, Unit::Money),
            "sum of each month's interest, rounded to cents",
        ),
        figure(
            "loan_total",
            "All payments together",
            (paid, Unit::Money),
            "amount + interest over the whole term",
        ),
    ])
}

/// How long a debt lasts with a fixed payment, and what it costs.
pub fn repayment(balance: f64, percent: f64, monthly: f64) -> Result<[Figure; 2], FigureError> {
    amount("payment", monthly)?;
    let plan = plan_by_payment(balance, percent, monthly)?;
    let interest = plan.iter().map(|payment| payment.interest).sum();
    Ok([
        figure(
            "repayment_months",
            "Months until the debt is paid",
            (plan.len() as f64, Unit::Months),
            "months of: interest = balance × yearly rate ÷ 12; balance = balance + interest − payment",
        ),
        figure(
            "repayment_interest",
            "Interest until the debt is paid",
            (interest, Unit::Money),
            "sum of each month's interest, rounded to cents",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Monthly payments for 1,000 as printed in lenders' payment tables (for instance the
    /// "Comprehensive Mortgage Payment Tables"): rate, years, payment.
    const TABLE: [(f64, u32, f64); 7] = [
        (4.0, 30, 4.77),
        (5.0, 15, 7.91),
        (5.0, 30, 5.37),
        (6.0, 30, 6.00),
        (7.0, 30, 6.65),
        (8.0, 20, 8.36),
        (12.0, 5, 22.24),
    ];

    #[test]
    fn payments_equal_the_printed_tables() {
        for (percent, years, want) in TABLE {
            let got = cents(payment(1000.0, percent, years * 12).unwrap());
            assert_eq!(got, want, "{percent} % over {years} years");
        }
    }

    #[test]
    fn the_examples_of_the_library() {
        let values = |principal, percent, months| {
            loan(principal, percent, months)
                .unwrap()
                .map(|figure| figure.value)
        };
        let [monthly, interest, total] = values(200_000.0, 4.0, 360);
        assert_eq!(monthly, 954.83);
        assert!((interest - 143_739.01).abs() < 0.5, "{interest}");
        assert!((total - interest - 200_000.0).abs() < 0.005);
        assert_eq!(values(5000.0, 9.0, 24)[0], 228.42);
        assert_eq!(values(1200.0, 0.0, 12), [100.0, 0.0, 1200.0]);

        let plan = plan(200_000.0, 4.0, 360).unwrap();
        assert_eq!((plan[0].interest, plan[0].repaid), (666.67, 288.16));
        assert_eq!(plan[0].balance, 199_711.84);
        assert_eq!(plan.len(), 360);

        let fixed = |monthly| repayment(3000.0, 22.0, monthly).unwrap().map(|f| f.value);
        assert_eq!(fixed(90.0), [52.0, 1678.78]);
        assert_eq!(fixed(150.0), [26.0, 771.44]);
    }

    #[test]
    fn payments_that_never_end_are_refused() {
        let error = repayment(2000.0, 24.0, 40.0).unwrap_err();
        let want = FigureError::PaymentBelowInterest {
            payment: 40.0,
            interest: 40.0,
        };
        assert_eq!(error, want);
        assert!(!error.is_bad_input());
        assert!(repayment(2000.0, 24.0, 40.01).is_ok(), "slow, but it ends");
        assert_eq!(repayment(2e6, 1.0, 1700.0), Err(FigureError::NeverPaid));
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(payment(0.0, 4.0, 12).is_err());
        assert!(payment(1.0, -4.0, 12).is_err());
        assert!(payment(1.0, 4.0, 0).is_err());
        assert!(repayment(100.0, 4.0, 0.0).is_err());
        assert!(repayment(100.0, 4.0, f64::NAN).is_err());
        assert!(repayment(f64::NAN, 4.0, 10.0).is_err());
    }

    proptest! {
        #[test]
        fn a_plan_pays_the_debt_and_its_interest(
            principal in 100u32..100_000_000, percent in 0.0..40.0, n in 1u32..480,
        ) {
            let principal = f64::from(principal) / 100.0;
            let plan = plan(principal, percent, n).unwrap();
            let repaid: f64 = plan.iter().map(|payment| payment.repaid).sum();
            prop_assert!((repaid - principal).abs() < 1e-4, "{repaid} of {principal}");
            prop_assert_eq!(plan.last().unwrap().balance, 0.0);
            for payment in &plan {
                prop_assert!((payment.paid - payment.interest - payment.repaid).abs() < 1e-6);
            }
        }

        #[test]
        fn paying_more_never_takes_longer(
            balance in 100.0..20_000.0, percent in 0.0..30.0, a in 1.02..4.0, more in 1.0..2.0,
        ) {
            let least = balance * percent / 1200.0 + balance / 600.0;
            let months = |monthly| repayment(balance, percent, monthly).unwrap()[0].value;
            prop_assert!(months(least * a * more) <= months(least * a));
        }
    }
}
