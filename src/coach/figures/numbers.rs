//! The `numbers` of a request, and every figure that they allow.

mod percent;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer};

use super::growth::{self, Saving};
use super::payoff::Debt;
use super::{Figure, FigureError, balance, budget, fees, goal, loan, payoff, real, reserve};

pub use percent::Percent;

/// What somebody tells about their money; all of it may be missing.
/// Rates are percent per year: `7`, `"7 %"` or `"0.5%"` (see [`Percent`]).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Numbers {
    /// Income after tax.
    pub monthly_income: Option<f64>,
    /// All costs, minimum payments on debts included.
    pub monthly_expenses: Option<f64>,
    /// Money that is at hand.
    pub savings: Option<f64>,
    /// What is owned besides savings: funds, pension pots, a home.
    pub other_assets: Option<f64>,
    /// What is owed.
    #[serde(deserialize_with = "or_default")]
    pub debts: Vec<OwedDebt>,
    /// What can go to debts each month, minimum payments included; without it the minimum payments.
    pub monthly_debt_budget: Option<f64>,
    /// A goal in money.
    pub target_amount: Option<f64>,
    /// When the goal should be reached: `2028-06` or `2028-06-30`.
    pub target_date: Option<TargetDate>,
    /// How far to look ahead where there is no target date.
    pub years: Option<f64>,
    /// What is saved each month.
    pub monthly_contribution: Option<f64>,
    /// Growth of savings; 0 if missing.
    pub expected_return: Option<Percent>,
    /// Rise of prices.
    pub inflation: Option<Percent>,
    /// A yearly fee on the balance.
    pub annual_fee: Option<Percent>,
    /// A loan that somebody thinks about.
    pub loan: Option<Loan>,
}

/// A debt in a request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct OwedDebt {
    /// What its owner calls it.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// What is owed.
    pub balance: f64,
    /// The yearly rate.
    pub apr: Percent,
    /// The least that must be paid each month.
    #[serde(default, deserialize_with = "or_default")]
    pub minimum_payment: f64,
}

/// A loan in a request.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Loan {
    /// What is borrowed.
    pub amount: f64,
    /// The yearly rate.
    pub apr: Percent,
    /// The number of monthly payments.
    pub months: u32,
}

/// The day by which a goal should be reached; a month alone means its last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TargetDate(pub Date);

impl TryFrom<String> for TargetDate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let month = || {
            format!("{text}-01")
                .parse::<Date>()
                .map(Date::last_of_month)
        };
        let date = text.parse::<Date>().or_else(|_| month());
        date.map(Self)
            .map_err(|_| "not a date, expected one such as 2028-06 or 2028-06-30".to_owned())
    }
}

/// `null` is as good as absent.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// All figures that could be computed, and why others could not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Computed {
    /// No two have the same id.
    pub figures: Vec<Figure>,
    /// One for each calculator that failed.
    pub problems: Vec<FigureError>,
}

impl Computed {
    /// The same figures with amounts in the currency `code`.
    pub fn in_currency(mut self, code: &str) -> Self {
        let figures = self.figures.into_iter();
        self.figures = figures.map(|figure| figure.in_currency(code)).collect();
        self
    }

    fn add<const N: usize>(&mut self, result: Result<[Figure; N], FigureError>) {
        match result {
            Ok(figures) => self.figures.extend(figures),
            Err(problem) if self.problems.contains(&problem) => {}
            Err(problem) => self.problems.push(problem),
        }
    }

    fn add_one(&mut self, result: Result<Figure, FigureError>) {
        self.add(result.map(|figure| [figure]));
    }
}

impl Numbers {
    /// Runs every calculator whose input is there. `today` is where the way to a target begins.
    pub fn compute(&self, today: Date) -> Computed {
        let mut out = Computed::default();
        self.month(&mut out);
        self.owned_and_owed(&mut out);
        match self.horizon_months(today) {
            Ok(horizon) => self.future(horizon, &mut out),
            Err(problem) => {
                self.future(None, &mut out);
                out.add::<0>(Err(problem));
            }
        }
        if let Some(Loan {
            amount,
            apr,
            months,
        }) = self.loan
        {
            out.add(loan::loan(amount, apr.0, months));
        }
        out
    }

    fn month(&self, out: &mut Computed) {
        if let Some(income) = self.monthly_income {
            out.add(budget::split(income));
            if let Some(expenses) = self.monthly_expenses {
                out.add_one(budget::surplus(income, expenses));
                out.add_one(budget::savings_rate(income, expenses));
            }
        }
        if let (Some(savings), Some(expenses)) = (self.savings, self.monthly_expenses) {
            out.add(reserve::emergency_fund(savings, expenses));
        }
    }

    fn owned_and_owed(&self, out: &mut Computed) {
        let debts: Vec<Debt> = self.debts.iter().map(OwedDebt::plain).collect();
        if self.savings.is_some() || self.other_assets.is_some() {
            let (savings, other) = (
                self.savings.unwrap_or(0.0),
                self.other_assets.unwrap_or(0.0),
            );
            out.add_one(balance::net_worth(savings, other, &debts));
        }
        if debts.is_empty() {
            return;
        }
        out.add_one(balance::total_debt(&debts));
        if let Some(income) = self.monthly_income {
            out.add_one(balance::debt_to_income(&debts, income));
        }
        let budget = self.monthly_debt_budget;
        if payoff::total(&debts) > 0.0 {
            let budget = budget.unwrap_or_else(|| payoff::minimums(&debts));
            out.add(payoff::compare(&debts, budget));
        }
    }

    fn future(&self, horizon_months: Option<u32>, out: &mut Computed) {
        let saving = Saving {
            start: self.savings.unwrap_or(0.0),
            monthly: self.monthly_contribution.unwrap_or(0.0),
            percent: self.expected_return.map_or(0.0, |percent| percent.0),
        };
        if let Some(target) = self.target_amount {
            if let Some(horizon) = horizon_months {
                let Saving { start, percent, .. } = saving;
                out.add_one(goal::contribution(start, percent, target, horizon));
            }
            if self.monthly_contribution.is_some() {
                out.add(goal::time_to_goal(saving, target));
            }
        }
        if let (Some(percent), Some(inflation)) = (self.expected_return, self.inflation) {
            out.add_one(real::real_return(percent.0, inflation.0));
        }
        let grows = self.savings.is_some() || self.monthly_contribution.is_some();
        if let (Some(horizon), true) = (horizon_months, grows) {
            self.at_the_end(saving, horizon, out);
        }
    }

    fn at_the_end(&self, saving: Saving, horizon_months: u32, out: &mut Computed) {
        let grown = growth::growth(saving, horizon_months);
        if let (Ok([value, ..]), Some(inflation)) = (&grown, self.inflation) {
            let years = f64::from(horizon_months) / 12.0;
            out.add_one(real::buying_power(value.value, inflation.0, years));
        }
        out.add(grown);
        if let Some(fee) = self.annual_fee {
            out.add(fees::fee_drag(saving, fee.0, horizon_months));
        }
    }

    /// Whole months until the target date, or the years to look ahead.
    fn horizon_months(&self, today: Date) -> Result<Option<u32>, FigureError> {
        if let Some(TargetDate(date)) = self.target_date {
            let months = whole_months(today, date);
            let too_soon = || FigureError::TooSoon {
                date: date.to_string(),
            };
            let months = u32::try_from(months).map_err(|_| too_soon())?;
            return if months == 0 {
                Err(too_soon())
            } else {
                Ok(Some(months))
            };
        }
        let Some(years) = self.years else {
            return Ok(None);
        };
        let years = super::rules::positive("years", years)?;
        // Casting saturates; the calculators refuse what is too long.
        Ok(Some((years * 12.0).round().max(1.0) as u32))
    }
}

impl OwedDebt {
    fn plain(&self) -> Debt {
        Debt {
            balance: self.balance,
            percent: self.apr.0,
            minimum: self.minimum_payment,
        }
    }
}

/// Months from `from` to `to` that are complete; below zero if `to` lies before.
fn whole_months(from: Date, to: Date) -> i32 {
    let months = |date: Date| i32::from(date.year()) * 12 + i32::from(date.month());
    // The last day of a shorter month completes a month that began on a later day.
    let complete = to.day() >= from.day() || to == to.last_of_month();
    months(to) - months(from) - i32::from(!complete)
}

#[cfg(test)]
mod tests;
