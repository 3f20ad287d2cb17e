//! Messages as people write them.

use super::*;

fn numbers_of(message: &str) -> Numbers {
    told(message).numbers
}

#[test]
fn income_costs_and_savings() {
    let all = numbers_of("I earn 3,000 a month, spend 2500 and have 4,750 saved. Is that enough?");
    let want = Numbers {
        monthly_income: Some(3000.0),
        monthly_expenses: Some(2500.0),
        savings: Some(4750.0),
        ..Numbers::default()
    };
    assert_eq!(all, want);
    assert_eq!(
        numbers_of("My salary is £36k a year").monthly_income,
        Some(3000.0)
    );
    assert_eq!(
        numbers_of("my take-home is $700 per week").monthly_income,
        Some(3033.33)
    );
    assert_eq!(
        numbers_of("My monthly expenses are 1.900 €").monthly_expenses,
        Some(1900.0)
    );
    assert_eq!(numbers_of("I have $5k in the bank").savings, Some(5000.0));
}

#[test]
fn goals_and_growth() {
    let goal = numbers_of("How long does it take to save 10,000 if I put away 250 a month?");
    assert_eq!(
        (goal.target_amount, goal.monthly_contribution),
        (Some(10_000.0), Some(250.0))
    );
    let growth = numbers_of("If I invest 200 a month for 30 years at 7% what will it become?");
    assert_eq!(
        (growth.monthly_contribution, growth.years),
        (Some(200.0), Some(30.0))
    );
    assert_eq!(growth.expected_return, Some(Percent(7.0)));
    let start = numbers_of(
        "I invested 5,000 and it returns 6 % a year, inflation is 2.5 %, the fund charges a fee of 1%",
    );
    assert_eq!(start.savings, Some(5000.0));
    assert_eq!(
        (start.expected_return, start.inflation, start.annual_fee),
        (Some(Percent(6.0)), Some(Percent(2.5)), Some(Percent(1.0)))
    );
    assert_eq!(
        numbers_of("a target of 12000 in 18 months").years,
        Some(1.5)
    );
}

#[test]
fn loans_and_debts() {
    let loan = numbers_of("What is the payment if I borrow 200,000 at 4% over 30 years?").loan;
    assert_eq!(
        loan,
        Some(Loan {
            amount: 200_000.0,
            apr: Percent(4.0),
            months: 360
        })
    );
    let debts = numbers_of("I owe 2,000 on a credit card at 20% and pay 100 a month").debts;
    let card = OwedDebt {
        name: String::new(),
        balance: 2000.0,
        apr: Percent(20.0),
        minimum_payment: 100.0,
    };
    assert_eq!(debts, [card]);
    // Nothing can be said about a debt without its rate.
    assert_eq!(numbers_of("I owe 2,000 on a card").debts, []);
}

#[test]
fn what_is_not_plain_is_left_out() {
    for message in [
        "I am 34 and retire at 65",
        "I'm 34 years old. In 2026 there were 3 of us.",
        "The S&P 500 and my 401(k)",
        "10m",
        "call me on 555 1234",
        "🎉 <b>12</b> 🎉",
        "",
    ] {
        assert_eq!(numbers_of(message), Numbers::default(), "{message}");
    }
}

#[test]
fn who_contradicts_themselves_is_not_believed() {
    let both = told("My income is 3000. My income is 2500. I spend 2000.");
    assert_eq!(both.contradictions, ["income"]);
    assert_eq!(
        (both.numbers.monthly_income, both.numbers.monthly_expenses),
        (None, Some(2000.0))
    );
    let twice = told("I earn 3000 a month. Yes, I earn 3,000.");
    assert_eq!(
        (twice.contradictions.len(), twice.numbers.monthly_income),
        (0, Some(3000.0))
    );
}

#[test]
fn currencies_are_those_of_the_first_amount() {
    for (message, want) in [
        ("I have 5 € and 3 £", Some("EUR")),
        ("I have 3 £ and 5 €", Some("GBP")),
        ("£200 a month", Some("GBP")),
        ("CHF 1'200 rent", Some("CHF")),
        ("I earn 3000 eur", Some("EUR")),
        ("2 lakh rupees", Some("INR")),
        ("$200", None),
        ("200 a month", None),
        ("no euros at all", None),
    ] {
        assert_eq!(told(message).currency.as_deref(), want, "{message}");
    }
}

#[test]
fn earlier_messages_fill_gaps() {
    let first = told("I earn 3000 € and spend 2500.");
    let both = told("I have 5000 saved. I earn 3200 now.").over(first);
    let numbers = both.numbers;
    assert_eq!(
        (
            numbers.monthly_income,
            numbers.monthly_expenses,
            numbers.savings
        ),
        (Some(3200.0), Some(2500.0), Some(5000.0))
    );
    assert_eq!(both.currency.as_deref(), Some("EUR"));
}

fn ids(message: &str) -> Vec<&'static str> {
    let today = Date::constant(2026, 11, 25);
    let now = numbers_of(message);
    let (figures, _) = asked_for(message, &now, compute(&now, today));
    figures.iter().map(|figure| figure.id).collect()
}

#[test]
fn figures_are_those_that_were_asked_for() {
    assert_eq!(
        ids("I earn 3000 and spend 2500. What is my savings rate?"),
        ["monthly_surplus", "savings_rate"]
    );
    assert_eq!(
        ids("I owe 2,000 on a card at 20% and pay 100 a month. When am I done?"),
        ["total_debt", "repayment_months", "repayment_interest"]
    );
    assert_eq!(
        ids("How long to save 10,000 at 250 a month?"),
        ["months_to_goal", "years_to_goal"]
    );
    assert_eq!(
        ids("If I borrow 200,000 at 4% over 30 years?"),
        ["loan_payment", "loan_interest", "loan_total"]
    );
    assert_eq!(ids("Why are index funds cheap?"), [] as [&str; 0]);
}

#[test]
fn long_and_strange_messages_are_read_too() {
    let long = "I earn 3000 € a month 🎉 <script> ".repeat(2000);
    assert_eq!(numbers_of(&long).monthly_income, Some(3000.0));
    let huge = told(&format!("I have {} saved", "9".repeat(400)));
    assert_eq!(huge.numbers.savings, None, "no number at all");
    let computed = compute(
        &numbers_of("I earn 99999999999999 and spend 5"),
        Date::constant(2026, 1, 1),
    );
    assert!(
        computed
            .figures
            .iter()
            .all(|figure| figure.id != "monthly_surplus")
    );
}
