//! Calculators: pure functions from amounts, rates and times to figures that an answer may use.
//!
//! # Conventions
//! - Rates are percent per year: `7.0` is 7 %.
//! - Loans and cards charge a twelfth of their yearly rate each month, as contracts do.
//!   Savings and investments grow by the monthly rate that compounds to the yearly one, so that
//!   7 % a year makes 107 out of 100 in twelve months.
//! - Contributions and payments fall at the end of a month.
//! - Functions that return `f64` do not round, unless they follow a contract's own cents
//!   ([`loan`], [`payoff`]). A [`Figure`] is rounded: amounts and percentages to two decimals,
//!   years and ratios too, halves away from zero; months needed are whole and rounded up.
//!   Amounts that somebody must pay in to reach a goal are rounded up to the cent.
//! - Amounts are finite and at most [`MOST`], rates lie between -99 % and 1000 %, times are at most
//!   [`MOST_MONTHS`]. Anything else is a [`FigureError`], never a NaN.

pub mod balance;
pub mod budget;
pub mod fees;
pub mod goal;
pub mod growth;
pub mod loan;
pub mod numbers;
pub mod payoff;
pub mod real;
pub mod reserve;
mod rules;
pub mod shown;

use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

pub use numbers::{Computed, Numbers};
pub use rules::{MOST, MOST_MONTHS};

/// One computed number with what is needed to show and to check it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Figure {
    /// Stable name for programs, such as `emergency_fund_months`; unique within one answer.
    pub id: &'static str,
    /// What it is, in words.
    pub name: &'static str,
    /// Rounded as the module says.
    pub value: f64,
    /// What `value` counts.
    #[schema(value_type = String, example = "EUR")]
    pub unit: Unit,
    /// How it came about, in words and operators.
    pub formula: &'static str,
}

/// What a figure counts; a plain word on the wire, or the currency's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// An amount in the reader's currency, whose code is not known.
    Money,
    /// An amount in the currency with this code, such as `EUR`.
    Currency(String),
    /// Percent; of what, the name says.
    Percent,
    /// Months.
    Months,
    /// Years.
    Years,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Money => "money",
            Unit::Currency(code) => code,
            Unit::Percent => "percent",
            Unit::Months => "months",
            Unit::Years => "years",
        })
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Figure {
    /// The same figure in the currency `code`, if it is an amount.
    pub fn in_currency(mut self, code: &str) -> Self {
        if self.unit == Unit::Money {
            self.unit = Unit::Currency(code.to_owned());
        }
        self
    }
}

/// Why a figure cannot be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FigureError {
    /// NaN or infinite.
    #[error("{name} is not a number")]
    NotFinite {
        /// The input's name.
        name: &'static str,
    },
    /// Below zero where that has no meaning.
    #[error("{name} is {value}; it cannot be below zero")]
    Negative {
        /// The input's name.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// Zero where something is divided by it, or where there is nothing to compute.
    #[error("{name} must be above zero")]
    Zero {
        /// The input's name.
        name: &'static str,
    },
    /// Larger than the calculators are exact for.
    #[error("{name} is {value}; the calculators go up to {most}")]
    TooLarge {
        /// The input's name.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The most that is allowed.
        most: f64,
    },
    /// A rate outside -99 % to 1000 %.
    #[error("{name} is {percent} %; rates lie between -99 % and 1000 %")]
    Rate {
        /// The input's name.
        name: &'static str,
        /// What was given.
        percent: f64,
    },
    /// The payments do not cover the interest, so the debt never ends.
    #[error(
        "a payment of {payment:.2} a month does not cover the interest of {interest:.2} a month"
    )]
    PaymentBelowInterest {
        /// What is paid each month.
        payment: f64,
        /// What is charged in the first month.
        interest: f64,
    },
    /// Less is available than the minimum payments ask for.
    #[error("{budget:.2} a month is less than the minimum payments of {minimums:.2}")]
    BelowMinimums {
        /// What is available each month.
        budget: f64,
        /// The sum of the minimum payments.
        minimums: f64,
    },
    /// The goal is not reached within [`MOST_MONTHS`].
    #[error("{target:.2} is not reached within {} years", MOST_MONTHS / 12)]
    NeverReached {
        /// The goal.
        target: f64,
    },
    /// The debts are not paid within [`MOST_MONTHS`].
    #[error("the debts are not paid within {} years", MOST_MONTHS / 12)]
    NeverPaid,
    /// The date of a goal is not at least a month away.
    #[error("the target date {date} is less than a month away")]
    TooSoon {
        /// The date, as given.
        date: String,
    },
}

impl FigureError {
    /// True where the input itself is wrong; false where it is understood but leads nowhere.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::NotFinite { .. }
            | Self::Negative { .. }
            | Self::Zero { .. }
            | Self::TooLarge { .. }
            | Self::Rate { .. } => true,
            Self::PaymentBelowInterest { .. }
            | Self::BelowMinimums { .. }
            | Self::NeverReached { .. }
            | Self::NeverPaid
            | Self::TooSoon { .. } => false,
        }
    }
}
