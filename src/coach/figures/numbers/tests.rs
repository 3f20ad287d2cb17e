//! From JSON to figures.

use std::collections::HashSet;

use jiff::civil::{Date, date};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const TODAY: Date = date(2026, 11, 21);

fn compute(numbers: serde_json::Value) -> Computed {
    let numbers: Numbers = serde_json::from_value(numbers).unwrap();
    numbers.compute(TODAY)
}

fn value(computed: &Computed, id: &str) -> Option<f64> {
    let found = computed.figures.iter().find(|figure| figure.id == id);
    found.map(|figure| figure.value)
}

#[test]
fn everything_at_once() {
    let computed = compute(json!({
        "monthly_income": 3200, "monthly_expenses": 2400, "savings": 6000, "other_assets": 10000,
        "debts": [
            {"name": "card", "balance": 4000, "apr": 24, "minimum_payment": 120},
            {"name": "store", "balance": 900, "apr": "18 %", "minimum_payment": 30},
            {"name": "car", "balance": 6000, "apr": 7, "minimum_payment": 150},
        ],
        "monthly_debt_budget": 500,
        "target_amount": 20000, "target_date": "2030-11", "monthly_contribution": 250,
        "expected_return": 5, "inflation": 2, "annual_fee": "0.2 %",
        "loan": {"amount": 5000, "apr": 9, "months": 24},
        "an unknown field": true,
    }));
    assert_eq!(computed.problems, []);
    let expected = [
        ("budget_needs", 1600.0),
        ("monthly_surplus", 800.0),
        ("savings_rate", 25.0),
        ("emergency_fund_months", 2.5),
        ("net_worth", 5100.0),
        ("total_debt", 10_900.0),
        ("debt_to_income", 9.38),
        ("avalanche_months", 25.0),
        ("avalanche_interest", 1429.69),
        ("snowball_interest", 1490.49),
        ("real_return", 2.94),
        ("loan_payment", 228.42),
    ];
    for (id, want) in expected {
        assert_eq!(value(&computed, id), Some(want), "{id}");
    }
    // 48 months are left, and 250 a month is more than is needed for them.
    assert_eq!(value(&computed, "contribution_needed"), Some(240.23));
    assert_eq!(value(&computed, "months_to_goal"), Some(47.0));
    let ids: HashSet<_> = computed.figures.iter().map(|figure| figure.id).collect();
    assert_eq!(ids.len(), computed.figures.len());
}

#[test]
fn nothing_gives_nothing() {
    assert_eq!(compute(json!({})), Computed::default());
}

#[test]
fn impossible_wishes_are_problems_beside_the_other_figures() {
    let computed = compute(json!({
        "monthly_income": 2000, "monthly_expenses": 2100,
        "debts": [{"balance": 5000, "apr": 24, "minimum_payment": 80}],
        "target_amount": 1000, "target_date": "2026-12-01", "monthly_contribution": 0,
    }));
    assert_eq!(value(&computed, "savings_rate"), Some(-5.0));
    assert_eq!(value(&computed, "total_debt"), Some(5000.0));
    let impossible = |problem: &FigureError| !problem.is_bad_input();
    assert!(computed.problems.iter().all(impossible));
    let [payoff, goal, date] = &computed.problems[..] else {
        panic!("{:?}", computed.problems);
    };
    assert!(matches!(payoff, FigureError::PaymentBelowInterest { .. }));
    assert!(matches!(goal, FigureError::NeverReached { .. }));
    assert!(matches!(date, FigureError::TooSoon { .. }));
}

#[test]
fn bad_input_is_named() {
    let computed = compute(json!({"monthly_income": -5, "monthly_expenses": 10}));
    let name = "monthly_income";
    let want = FigureError::Negative { name, value: -5.0 };
    assert_eq!(computed.problems, [want]);
    assert!(computed.problems[0].is_bad_input());
}

#[test]
fn wrong_types_do_not_parse() {
    for wrong in [
        json!({"monthly_income": "a lot"}),
        json!({"debts": [{"balance": 1}]}),
        json!({"debts": {"balance": 1, "apr": 2}}),
        json!({"expected_return": 0.07}),
        json!({"target_date": "soon"}),
        json!({"target_date": "2026-13"}),
        json!({"loan": {"amount": 1, "apr": 2, "months": 1.5}}),
    ] {
        let numbers: Result<Numbers, _> = serde_json::from_value(wrong.clone());
        assert!(numbers.is_err(), "{wrong}");
    }
}

#[test]
fn months_until_a_date() {
    let cases = [
        (date(2026, 11, 21), date(2028, 11, 21), 24),
        (date(2026, 11, 21), date(2028, 11, 20), 23),
        (date(2026, 11, 21), date(2026, 12, 20), 0),
        (date(2026, 1, 31), date(2026, 2, 28), 1),
        (date(2026, 11, 21), date(2026, 10, 1), -2),
    ];
    for (from, to, want) in cases {
        assert_eq!(whole_months(from, to), want, "{from} to {to}");
    }
    let june: TargetDate = serde_json::from_str("\"2028-06\"").unwrap();
    assert_eq!(june.0, date(2028, 6, 30));
}

#[test]
fn figures_on_the_wire() {
    let computed = compute(json!({"monthly_income": 3200})).in_currency("EUR");
    assert_eq!(
        serde_json::to_value(&computed.figures[0]).unwrap(),
        json!({
            "id": "budget_needs", "name": "Needs each month (50 % of income)", "value": 1600.0,
            "unit": "EUR", "formula": "monthly income × 50 %",
        })
    );
    let plain = compute(json!({"savings": 10, "monthly_expenses": 5}));
    assert_eq!(
        serde_json::to_value(&plain.figures[0].unit).unwrap(),
        "months"
    );
    assert_eq!(
        serde_json::to_value(&plain.figures[1].unit).unwrap(),
        "money"
    );
}

fn any_number() -> impl Strategy<Value = Option<f64>> {
    let edge = prop::sample::select(vec![
        0.0,
        -1.0,
        1e12,
        1e300,
        f64::NAN,
        f64::INFINITY,
        1e-300,
    ]);
    prop::option::of(prop_oneof![edge, -1e3..1e6])
}

proptest! {
    /// Whatever is put in, figures are numbers and nothing panics.
    #[test]
    fn figures_are_always_numbers(
        a in [any_number(), any_number(), any_number(), any_number(), any_number()],
        b in [any_number(), any_number(), any_number(), any_number(), any_number()],
        months in any::<u32>(),
    ) {
        let percent = |value: Option<f64>| value.map(Percent);
        let debt = |balance: f64, apr: f64| OwedDebt {
            name: String::new(), balance, apr: Percent(apr), minimum_payment: 50.0,
        };
        let numbers = Numbers {
            monthly_income: a[0], monthly_expenses: a[1], savings: a[2], other_assets: a[3],
            debts: a[4].into_iter().map(|balance| debt(balance, b[0].unwrap_or(5.0))).collect(),
            monthly_debt_budget: b[1], target_amount: b[2], target_date: None, years: b[3],
            monthly_contribution: b[4], expected_return: percent(a[0]), inflation: percent(a[1]),
            annual_fee: percent(a[2]),
            loan: b[0].map(|amount| Loan { amount, apr: Percent(4.0), months }),
        };
        for figure in numbers.compute(TODAY).figures {
            prop_assert!(figure.value.is_finite(), "{figure:?}");
        }
    }
}
