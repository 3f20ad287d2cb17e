//! The numbers that a message tells, as far as its words leave no doubt what they are.
//!
//! Works on English phrases. A number whose meaning is not plain is left out: a figure that is missing does less harm
//! than one computed from a misunderstanding.

mod roles;

use jiff::civil::Date;

use super::check::{Kind, Number, numbers};
use super::figures::numbers::{Loan, OwedDebt, Percent};
use super::figures::{Computed, Figure, FigureError, Numbers, loan};

use roles::{Period, Place, Role};

/// Months of a year, and weeks of a month.
const MONTHS: f64 = 12.0;
const WEEKS: f64 = 52.0 / MONTHS;

/// What a message tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Its numbers.
    pub numbers: Numbers,
    /// The currency they are in, if a sign or a code says so.
    pub currency: Option<String>,
    /// Names of numbers that it gives twice and differently; they are left out.
    pub contradictions: Vec<&'static str>,
}

/// Reads a message.
pub fn told(message: &str) -> Told {
    let mut reader = Reader::default();
    let found = numbers(message);
    // Case does not matter, and bytes stay where they are.
    let lower = message.to_ascii_lowercase();
    for (at, number) in found.iter().enumerate() {
        if let Some(value) = value(number) {
            reader.take(value, &Place::new(&lower, &found, at));
        }
    }
    Told {
        numbers: reader.numbers(),
        currency: currency(message),
        contradictions: reader.contradictions,
    }
}

impl Told {
    /// This, and what an earlier message told where this one is silent.
    pub fn over(self, earlier: Told) -> Told {
        Told {
            numbers: over(self.numbers, earlier.numbers),
            currency: self.currency.or(earlier.currency),
            contradictions: self.contradictions,
        }
    }
}

/// `newer`, and what `earlier` has where it is silent.
pub fn over(newer: Numbers, earlier: Numbers) -> Numbers {
    Numbers {
        monthly_income: newer.monthly_income.or(earlier.monthly_income),
        monthly_expenses: newer.monthly_expenses.or(earlier.monthly_expenses),
        savings: newer.savings.or(earlier.savings),
        other_assets: newer.other_assets.or(earlier.other_assets),
        debts: match newer.debts.is_empty() {
            true => earlier.debts,
            false => newer.debts,
        },
        monthly_debt_budget: newer.monthly_debt_budget.or(earlier.monthly_debt_budget),
        target_amount: newer.target_amount.or(earlier.target_amount),
        target_date: newer.target_date.or(earlier.target_date),
        years: newer.years.or(earlier.years),
        monthly_contribution: newer.monthly_contribution.or(earlier.monthly_contribution),
        expected_return: newer.expected_return.or(earlier.expected_return),
        inflation: newer.inflation.or(earlier.inflation),
        annual_fee: newer.annual_fee.or(earlier.annual_fee),
        loan: newer.loan.or(earlier.loan),
    }
}

/// Every figure that the numbers allow. A single debt with a payment is a loan that ends some day, and has no order
/// in which to be paid.
pub fn compute(numbers: &Numbers, today: Date) -> Computed {
    let mut computed = numbers.compute(today);
    let [debt] = numbers.debts.as_slice() else {
        return computed;
    };
    computed.figures.retain(|figure| !is_order(figure));
    let payment = numbers.monthly_debt_budget.unwrap_or(debt.minimum_payment);
    if payment > 0.0 && debt.balance > 0.0 {
        match loan::repayment(debt.balance, debt.apr.0, payment) {
            Ok(figures) => computed.figures.extend(figures),
            Err(problem) if computed.problems.contains(&problem) => {}
            Err(problem) => computed.problems.push(problem),
        }
    }
    computed
}

/// The figures that `message` asks for: those of a subject that it names, or to which it brings a number.
pub fn asked_for(message: &str, now: &Numbers, all: Computed) -> (Vec<Figure>, Vec<FigureError>) {
    let lower = message.to_ascii_lowercase();
    let wanted = |figure: &Figure| roles::is_asked(figure.id, &lower, now);
    let figures = all.figures.into_iter().filter(wanted).collect();
    (figures, all.problems)
}

fn is_order(figure: &Figure) -> bool {
    figure.id.starts_with("avalanche_") || figure.id.starts_with("snowball_")
}

/// What a number says, if that is plain: "10m" is millions to one and months to another.
fn value(number: &Number) -> Option<f64> {
    let value = number.readings.first()?.value;
    let is_unclear = number.kind == Kind::Plain && number.readings.len() > 1 && value >= 1e6;
    (value.is_finite() && !is_unclear).then_some(value)
}

/// The currency of the first amount that has one. `$` is that of many countries.
fn currency(message: &str) -> Option<String> {
    const SIGNS: [(&str, &str); 4] = [("€", "EUR"), ("£", "GBP"), ("¥", "JPY"), ("₹", "INR")];
    const CODES: [&str; 11] = [
        "USD", "EUR", "GBP", "CHF", "JPY", "INR", "CAD", "AUD", "NZD", "SEK", "NOK",
    ];
    const WORDS: [(&str, &str); 5] = [
        ("euro", "EUR"),
        ("euros", "EUR"),
        ("francs", "CHF"),
        ("rupees", "INR"),
        ("yen", "JPY"),
    ];
    let money: Vec<Number> = numbers(message)
        .into_iter()
        .filter(|number| number.kind == Kind::Money)
        .collect();
    let first = money.first()?;
    let start = message[..first.span.start]
        .char_indices()
        .rev()
        .nth(4)
        .map_or(0, |(at, _)| at);
    let tail = &message[first.span.end..];
    let end = tail.char_indices().nth(16).map_or(tail.len(), |(at, _)| at);
    let tail = &tail[..end];
    // What comes after is about the next number.
    let end = tail
        .find(|c: char| c.is_ascii_digit() || c == ',')
        .unwrap_or(tail.len());
    let tail = tail[..end].split(" and ").next().unwrap_or_default();
    let around = [&message[start..first.span.start], tail];
    let signs = SIGNS
        .iter()
        .find(|(sign, _)| around.iter().any(|text| text.contains(sign)));
    if let Some((_, code)) = signs {
        return Some((*code).to_owned());
    }
    let words = || {
        around
            .iter()
            .flat_map(|text| text.split(|c: char| !c.is_alphabetic()))
    };
    let code = words().find(|word| CODES.contains(&word.to_ascii_uppercase().as_str()));
    if let Some(code) = code {
        return Some(code.to_ascii_uppercase());
    }
    let word =
        |(name, code): &(&str, &'static str)| words().any(|word| word == *name).then_some(*code);
    WORDS.iter().find_map(word).map(str::to_owned)
}

/// What was understood so far.
#[derive(Default)]
struct Reader {
    income: Option<f64>,
    expenses: Option<f64>,
    savings: Option<f64>,
    contribution: Option<f64>,
    target: Option<f64>,
    borrowed: Option<f64>,
    years: Option<f64>,
    months: Option<f64>,
    payment: Option<f64>,
    growth: Option<f64>,
    inflation: Option<f64>,
    fee: Option<f64>,
    /// A rate of which only the rest of the message tells what it belongs to.
    rate: Option<f64>,
    /// Balances with their rates and payments.
    debts: Vec<(f64, Option<f64>, Option<f64>)>,
    contradictions: Vec<&'static str>,
}

impl Reader {
    fn take(&mut self, value: f64, place: &Place<'_>) {
        match place.role(!self.debts.is_empty()) {
            Some(Role::Income) => set(
                &mut self.income,
                monthly(value, place),
                "income",
                &mut self.contradictions,
            ),
            Some(Role::Expenses) => {
                set(
                    &mut self.expenses,
                    monthly(value, place),
                    "expenses",
                    &mut self.contradictions,
                );
            }
            Some(Role::Savings) => set(
                &mut self.savings,
                value,
                "savings",
                &mut self.contradictions,
            ),
            Some(Role::Contribution) => {
                let monthly = monthly(value, place);
                set(
                    &mut self.contribution,
                    monthly,
                    "monthly saving",
                    &mut self.contradictions,
                );
            }
            Some(Role::Target) => set(&mut self.target, value, "target", &mut self.contradictions),
            Some(Role::Borrowed) => {
                set(&mut self.borrowed, value, "loan", &mut self.contradictions)
            }
            Some(Role::Debt) => self.debts.push((value, None, None)),
            Some(Role::Payment) => match self.debts.last_mut() {
                Some((_, _, payment @ None)) => *payment = Some(monthly(value, place)),
                _ => set(
                    &mut self.payment,
                    monthly(value, place),
                    "payment",
                    &mut self.contradictions,
                ),
            },
            Some(Role::Years) => set(&mut self.years, value, "years", &mut self.contradictions),
            Some(Role::Months) => set(&mut self.months, value, "months", &mut self.contradictions),
            Some(Role::Return) => set(&mut self.growth, value, "return", &mut self.contradictions),
            Some(Role::Inflation) => set(
                &mut self.inflation,
                value,
                "inflation",
                &mut self.contradictions,
            ),
            Some(Role::Fee) => set(&mut self.fee, value, "fee", &mut self.contradictions),
            Some(Role::Rate) => match self.debts.last_mut() {
                Some((_, rate @ None, _)) => *rate = Some(value),
                _ => set(&mut self.rate, value, "rate", &mut self.contradictions),
            },
            None => {}
        }
    }

    fn numbers(&self) -> Numbers {
        let is_known = |name| !self.contradictions.contains(&name);
        let known = |name, value: Option<f64>| value.filter(|_| is_known(name));
        let term_months = known("months", self.months)
            .or(known("years", self.years).map(|years| (years * MONTHS).round()));
        let years = known("years", self.years)
            .or(known("months", self.months).map(|months| months / MONTHS));
        let loan = match (
            known("loan", self.borrowed),
            known("rate", self.rate.or(self.growth)),
            term_months,
        ) {
            (Some(amount), Some(rate), Some(months)) => Some(Loan {
                amount,
                apr: Percent(rate),
                // Casting saturates; the calculators refuse what is too long.
                months: months as u32,
            }),
            _ => None,
        };
        let mut debts: Vec<OwedDebt> = Vec::new();
        for (balance, rate, payment) in &self.debts {
            // Without its rate nothing can be said about a debt, nor about the others as a whole.
            let Some(rate) = rate.or(known("rate", self.rate)) else {
                debts.clear();
                break;
            };
            debts.push(OwedDebt {
                name: String::new(),
                balance: *balance,
                apr: Percent(rate),
                minimum_payment: payment.unwrap_or(0.0),
            });
        }
        let is_rate_used = loan.is_some() || !debts.is_empty();
        let growth =
            known("return", self.growth).or(known("rate", self.rate).filter(|_| !is_rate_used));
        Numbers {
            monthly_income: known("income", self.income),
            monthly_expenses: known("expenses", self.expenses),
            savings: known("savings", self.savings),
            monthly_debt_budget: known("payment", self.payment).filter(|_| !debts.is_empty()),
            target_amount: known("target", self.target),
            years: years.filter(|_| loan.is_none()),
            monthly_contribution: known("monthly saving", self.contribution),
            expected_return: growth.filter(|_| loan.is_none()).map(Percent),
            inflation: known("inflation", self.inflation).map(Percent),
            annual_fee: known("fee", self.fee).map(Percent),
            debts,
            loan,
            ..Numbers::default()
        }
    }
}

fn set(
    slot: &mut Option<f64>,
    value: f64,
    name: &'static str,
    contradictions: &mut Vec<&'static str>,
) {
    match slot {
        Some(known) if *known != value => {
            if !contradictions.contains(&name) {
                contradictions.push(name);
            }
        }
        slot => *slot = Some(value),
    }
}

/// The amount of a month.
fn monthly(value: f64, place: &Place<'_>) -> f64 {
    let value = match place.period() {
        Some(Period::Year) => value / MONTHS,
        Some(Period::Week) => value * WEEKS,
        Some(Period::Month) | None => return value,
    };
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
