//! What is known about somebody who wants a plan, and what follows from it by calculation.

use jiff::civil::Date;
use jiff::{Span, ToSpan};

use crate::coach::figures::growth::Saving;
use crate::coach::figures::numbers::OwedDebt;
use crate::coach::figures::shown::{amount, plain};
use crate::coach::figures::{Figure, FigureError, Numbers, Unit, goal};
use crate::coach::told::{self, Told, told};

use super::{PlanRequest, Profile, RiskTolerance};

/// Debts at this rate or more go before saving: nothing safe earns as much.
const EXPENSIVE_PERCENT: f64 = 8.0;
/// From this age on a fall of the market has little time to heal.
const LATE_AGE: f64 = 55.0;
/// Steps beyond this have no date.
const FORESEEABLE_MONTHS: f64 = 600.0;

pub(super) struct Situation<'a> {
    pub(super) profile: &'a Profile,
    pub(super) numbers: Numbers,
    pub(super) figures: Vec<Figure>,
    pub(super) problems: Vec<FigureError>,
    /// What was given twice and differently, in words.
    pub(super) contradictions: Vec<&'static str>,
    /// All that was said, in lower case.
    pub(super) words: String,
    pub(super) currency: Option<String>,
    pub(super) today: Date,
}

impl<'a> Situation<'a> {
    pub(super) fn new(request: &'a PlanRequest, today: Date) -> Situation<'a> {
        let said = request.said();
        let Told {
            numbers: told,
            currency,
            mut contradictions,
        } = told(&said);
        contradictions.extend(differences(&request.numbers, &told));
        let mut numbers = told::over(request.numbers.clone(), told);
        let surplus = surplus(&numbers);
        if numbers.monthly_debt_budget.is_none() && !numbers.debts.is_empty() {
            let minimums: f64 = numbers.debts.iter().map(|debt| debt.minimum_payment).sum();
            numbers.monthly_debt_budget = Some(minimums + surplus.unwrap_or(0.0).max(0.0));
        }
        let computed = told::compute(&numbers, today);
        let mut situation = Situation {
            profile: &request.profile,
            numbers,
            figures: computed.figures,
            problems: computed.problems,
            contradictions,
            words: said.to_lowercase(),
            currency: request.profile.currency.clone().or(currency),
            today,
        };
        situation.add_own_figures();
        if let Some(code) = situation.currency.clone() {
            let figures = std::mem::take(&mut situation.figures).into_iter();
            situation.figures = figures.map(|figure| figure.in_currency(&code)).collect();
        }
        situation
    }

    /// How long it takes to fill the reserve from what is left over, and what goes to debts.
    fn add_own_figures(&mut self) {
        if let (Some(budget), true) = (self.numbers.monthly_debt_budget, self.owes()) {
            self.add(
                "debt_budget",
                "Goes to debts each month",
                ((budget * 100.0).round() / 100.0, Unit::Money),
                "minimum payments + what is left over each month, unless a budget was given",
            );
        }
        let Some(surplus) = surplus(&self.numbers).filter(|surplus| *surplus >= 0.01) else {
            return;
        };
        let saving = Saving {
            start: self.numbers.savings.unwrap_or(0.0),
            monthly: surplus,
            percent: 0.0,
        };
        let months = |target: f64| {
            goal::months_to_goal(saving, target)
                .ok()
                .filter(|months| *months > 0)
        };
        let costs = self.numbers.monthly_expenses.unwrap_or(0.0);
        if let Some(months) = months(costs) {
            self.add(
                "months_to_first_reserve",
                "Months until one month of costs is put aside",
                (months.into(), Unit::Months),
                "(monthly expenses − savings) ÷ left over each month, rounded up",
            );
        }
        if let Some(months) = self.fund().and_then(|(fund, _)| months(fund.value)) {
            self.add(
                "months_to_emergency_fund",
                "Months until the emergency fund is full",
                (months.into(), Unit::Months),
                "(emergency fund − savings) ÷ left over each month, rounded up",
            );
        }
        let is_open =
            self.numbers.monthly_contribution.is_none() && self.numbers.target_date.is_none();
        if let (Some(target), true) = (self.numbers.target_amount, is_open) {
            let percent = self
                .numbers
                .expected_return
                .map_or(0.0, |percent| percent.0);
            match goal::time_to_goal(Saving { percent, ..saving }, target) {
                Ok(figures) => self.figures.extend(figures),
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    fn add(
        &mut self,
        id: &'static str,
        name: &'static str,
        (value, unit): (f64, Unit),
        formula: &'static str,
    ) {
        self.figures.push(Figure {
            id,
            name,
            value,
            unit,
            formula,
        });
    }

    pub(super) fn figure(&self, id: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.id == id)
    }

    pub(super) fn value(&self, id: &str) -> Option<f64> {
        self.figure(id).map(|figure| figure.value)
    }

    /// A figure as it stands in a text, without its sign.
    pub(super) fn shown(&self, id: &str) -> Option<String> {
        let figure = self.figure(id)?;
        Some(
            Figure {
                value: figure.value.abs(),
                ..figure.clone()
            }
            .shown(),
        )
    }

    /// An amount that was given.
    pub(super) fn money(&self, value: f64) -> String {
        match &self.currency {
            Some(code) => format!("{} {code}", amount(value)),
            None => amount(value),
        }
    }

    pub(super) fn surplus(&self) -> Option<f64> {
        self.value("monthly_surplus")
    }

    pub(super) fn owes(&self) -> bool {
        self.numbers.debts.iter().any(|debt| debt.balance > 0.0)
    }

    /// Debts that go before saving, the dearest first.
    pub(super) fn expensive(&self) -> Vec<&OwedDebt> {
        let debts = self.numbers.debts.iter();
        let mut debts: Vec<&OwedDebt> = debts
            .filter(|debt| debt.balance > 0.0 && debt.apr.0 >= EXPENSIVE_PERCENT)
            .collect();
        debts.sort_by(|a, b| b.apr.0.total_cmp(&a.apr.0));
        debts
    }

    /// Whether the payments that were named end the debts at all.
    pub(super) fn is_sinking(&self) -> bool {
        self.problems.iter().any(|problem| {
            matches!(
                problem,
                FigureError::PaymentBelowInterest { .. }
                    | FigureError::BelowMinimums { .. }
                    | FigureError::NeverPaid
            )
        })
    }

    /// Months until the debts are paid.
    pub(super) fn debt_months(&self) -> Option<f64> {
        self.value("avalanche_months")
            .or(self.value("repayment_months"))
    }

    /// The reserve that fits, with its size in words.
    pub(super) fn fund(&self) -> Option<(&Figure, &'static str)> {
        let needs_more = self.profile.risk_tolerance == Some(RiskTolerance::Conservative)
            || self.is_late()
            || self.says(&[
                "self-employed",
                "self employed",
                "freelance",
                "irregular",
                "child",
                "kids",
                "baby",
                "only income",
            ]);
        match needs_more {
            true => self
                .figure("emergency_fund_six_months")
                .map(|figure| (figure, "six")),
            false => self
                .figure("emergency_fund_three_months")
                .map(|figure| (figure, "three")),
        }
    }

    pub(super) fn is_late(&self) -> bool {
        self.profile.age.is_some_and(|age| age >= LATE_AGE)
    }

    pub(super) fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.words.contains(word))
    }

    /// Months until the money is wanted, as far as that was said.
    pub(super) fn horizon_months(&self) -> Option<f64> {
        let date = self.numbers.target_date.map(|date| date.0);
        let until = date.and_then(|date| self.today.until((jiff::Unit::Month, date)).ok());
        until
            .map(|span: Span| f64::from(span.get_months()))
            .or(self.numbers.years.map(|years| years * 12.0))
    }

    /// The day after so many months.
    pub(super) fn after(&self, months: f64) -> Option<Date> {
        let months = (0.0..=FORESEEABLE_MONTHS)
            .contains(&months)
            .then_some(months.ceil() as i32)?;
        self.today.checked_add(months.months()).ok()
    }

    /// What was given, a line each, for whoever puts the plan into words.
    pub(super) fn given(&self) -> Vec<String> {
        let numbers = &self.numbers;
        let amounts = [
            ("Monthly income", numbers.monthly_income),
            ("Monthly expenses", numbers.monthly_expenses),
            ("Savings", numbers.savings),
            ("Goal", numbers.target_amount),
            ("Put aside each month", numbers.monthly_contribution),
        ];
        let amounts = amounts
            .iter()
            .filter_map(|(name, value)| Some(format!("{name}: {}", self.money((*value)?))));
        let rates = [
            ("Expected return", numbers.expected_return),
            ("Inflation", numbers.inflation),
            ("Yearly fee", numbers.annual_fee),
        ];
        let rates = rates
            .iter()
            .filter_map(|(name, rate)| Some(format!("{name}: {} %", plain((*rate)?.0))));
        let debt = |(at, debt): (usize, &OwedDebt)| {
            format!(
                "{}: {} at {} %",
                name(debt, at),
                self.money(debt.balance),
                plain(debt.apr.0)
            )
        };
        amounts
            .chain(rates)
            .chain(numbers.debts.iter().enumerate().map(debt))
            .collect()
    }
}

/// What its owner calls a debt.
pub(super) fn name(debt: &OwedDebt, at: usize) -> String {
    match debt.name.trim() {
        "" => format!("debt {}", at + 1),
        name => crate::coach::plain::plain_name(name, 60),
    }
}

fn surplus(numbers: &Numbers) -> Option<f64> {
    Some(numbers.monthly_income? - numbers.monthly_expenses?)
}

/// What the fields of a request and its words say differently.
fn differences(fields: &Numbers, words: &Numbers) -> Vec<&'static str> {
    let differ = |a: Option<f64>, b: Option<f64>| matches!((a, b), (Some(a), Some(b)) if a != b);
    let all = [
        ("income", fields.monthly_income, words.monthly_income),
        ("expenses", fields.monthly_expenses, words.monthly_expenses),
        ("savings", fields.savings, words.savings),
        ("target", fields.target_amount, words.target_amount),
        (
            "monthly saving",
            fields.monthly_contribution,
            words.monthly_contribution,
        ),
    ];
    all.into_iter()
        .filter(|(_, a, b)| differ(*a, *b))
        .map(|(name, _, _)| name)
        .collect()
}
