//! What a number in a message is, by the words around it.

use std::sync::LazyLock;

use regex::Regex;

use crate::coach::check::{Kind, Number};
use crate::coach::figures::Numbers;

/// Bytes of a message that belong to a number at most, on each side.
const REACH: usize = 80;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Income,
    Expenses,
    Savings,
    Contribution,
    Target,
    Borrowed,
    Debt,
    Payment,
    Years,
    Months,
    Return,
    Inflation,
    Fee,
    Rate,
}

/// How often an amount comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    Week,
    Month,
    Year,
}

/// A number with the words around it, in lower case.
pub(super) struct Place<'a> {
    kind: Kind,
    value: f64,
    /// From the last joint before the number.
    near_before: &'a str,
    /// From the number before, or the sentence's beginning.
    before: &'a str,
    /// Up to the next joint.
    after: &'a str,
    /// Everything.
    message: &'a str,
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($text).expect("the pattern is fixed"));
    };
}

pattern!(SENTENCE, r"[.;!?](?:\s|$)|\n");
pattern!(
    JOINT,
    r",\s|\b(?:and|but|while|with|then|plus|at|over|for|so|how|what|when|which)\b"
);
pattern!(
    WEEKLY,
    r"^\W{0,3}(?:a|an|per|each|every|/)?\s*(?:week|weekly)\b"
);
pattern!(
    MONTHLY,
    r"^\W{0,3}(?:(?:a|per|each|every|/)?\s*(?:month|mo|mth)|monthly|p\.?m)\b"
);
pattern!(
    YEARLY,
    r"^\W{0,3}(?:(?:a|per|each|every|/)?\s*(?:year|yr|annum)|yearly|annually|p\.?a)\b"
);
pattern!(YEARS, r"^[\s-]*(?:years?|yrs?)\b");
pattern!(MONTHS, r"^[\s-]*(?:months?|mths?)\b");
pattern!(OLD, r"^[\s-]*(?:years?|yrs?)[\s-]old\b");
pattern!(
    UNIT,
    r"^(?:\s?(?:k|m|thousand|million|bn|billion)\b)?\s?(?:[$€£¥₹]|(?:dollars?|euros?|pounds?|francs?|rupees?|yen|usd|eur|gbp|chf|inr|cad|aud|nzd|sek|nok)\b)?"
);
pattern!(MONTH_WORDS, r"\b(?:monthly|(?:a|per|each|every) month)\b");
pattern!(
    INCOME,
    r"\b(?:earn|earning|income|salary|wages?|take[ -]?home|bring home|paychecks?|net pay|get paid|make)\b"
);
pattern!(
    EXPENSES,
    r"\b(?:spend|spending|expenses?|outgoings|living costs|costs? of living|bills|costs are)\b"
);
pattern!(
    SAVINGS,
    r"\b(?:saved|savings|in the bank|in cash|emergency fund|nest egg|lump sum|inherited|inheritance|windfall|put aside so far|invested)\b"
);
pattern!(
    SAVE,
    r"\b(?:sav(?:e|ing)|invest(?:ing)?|put(?:ting)? (?:away|aside|in)|set(?:ting)? aside|contribut(?:e|ing|ions?)|add(?:ing)?|pay(?:ing)? in)\b"
);
pattern!(
    GOAL,
    r"\b(?:goal|target|reach|need|want|save up|saving for|to save|down[ -]?payment|to have|until i have|become)\b"
);
pattern!(
    DEBT,
    r"\b(?:owe|owing|owed|debts?|credit cards?|cards?|overdraft|balance)\b"
);
pattern!(
    LOAN,
    r"\b(?:borrow|borrowing|mortgage|loan|financ(?:e|ing))\b"
);
pattern!(PAY, r"\b(?:pay|paying|payments?|minimum|instal?lments?)\b");
pattern!(
    FEE,
    r"\b(?:fees?|expense ratio|ter|charges?|ongoing charge|commission)\b"
);
pattern!(
    INFLATION,
    r"\b(?:inflation|prices rise|cost of living rises)\b"
);
pattern!(
    RETURN,
    r"\b(?:returns?|grow(?:s|th|ing)?|yields?|earns?|earning|compound(?:s|ed|ing)?)\b"
);
pattern!(RATE, r"\b(?:apr|interest|rate)\b");
pattern!(
    HAVE,
    r"\b(?:have|had|got|start(?:ing)? with|begin with|today)\b"
);
pattern!(
    AGE,
    r"\b(?:i am|i'm|im|aged?|turned|turning|retire at|until)\s*$"
);

impl<'a> Place<'a> {
    /// The place of the number at `at` among all of `message`.
    pub(super) fn new(message: &'a str, numbers: &[Number], at: usize) -> Place<'a> {
        let number = &numbers[at];
        let from = at.checked_sub(1).map_or(0, |last| numbers[last].span.end);
        let to = numbers
            .get(at + 1)
            .map_or(message.len(), |next| next.span.start);
        let before = tail(&message[from..number.span.start]);
        let before = SENTENCE
            .find_iter(before)
            .last()
            .map_or(before, |end| &before[end.end()..]);
        let after = head(&message[number.span.end..to]);
        let after = &after[UNIT.find(after).map_or(0, |unit| unit.end())..];
        let after = SENTENCE
            .find(after)
            .map_or(after, |end| &after[..end.start()]);
        let near_before = JOINT
            .find_iter(before)
            .last()
            .map_or(before, |joint| &before[joint.end()..]);
        Place {
            kind: number.kind,
            value: number.readings.first().map_or(0.0, |reading| reading.value),
            near_before,
            before,
            after: JOINT
                .find(after)
                .map_or(after, |joint| &after[..joint.start()]),
            message,
        }
    }

    /// How often an amount comes, if that is said right behind it or before it.
    pub(super) fn period(&self) -> Option<Period> {
        let behind = [
            (&WEEKLY, Period::Week),
            (&MONTHLY, Period::Month),
            (&YEARLY, Period::Year),
        ];
        let behind = behind
            .iter()
            .find(|(pattern, _)| pattern.is_match(self.after));
        let before = || {
            MONTH_WORDS
                .is_match(self.near_before)
                .then_some(Period::Month)
        };
        behind.map(|(_, period)| *period).or_else(before)
    }

    /// What the number is; `owes`: a debt was named before it.
    pub(super) fn role(&self, owes: bool) -> Option<Role> {
        if self.kind == Kind::Percent {
            return Some(self.percent());
        }
        if self.kind == Kind::Plain {
            if OLD.is_match(self.after) {
                return None;
            }
            let times = [(&YEARS, Role::Years), (&MONTHS, Role::Months)];
            if let Some((_, role)) = times
                .iter()
                .find(|(pattern, _)| pattern.is_match(self.after))
            {
                return Some(*role);
            }
            let is_age = self.value < 110.0 && AGE.is_match(self.before);
            let is_calendar = (1900.0..2200.0).contains(&self.value)
                && [" in ", " since ", " by ", " until "]
                    .iter()
                    .any(|word| self.before.ends_with(word));
            if is_age || is_calendar {
                return None;
            }
        }
        let mut words = [self.near_before, self.after, self.before].into_iter();
        let by_words = words.find_map(|words| self.amount(words, owes));
        // "To save 10,000 at 250 a month"
        let is_bare = self.near_before.trim().is_empty() && self.period().is_some();
        by_words.or((is_bare && SAVE.is_match(self.message)).then_some(Role::Contribution))
    }

    fn percent(&self) -> Role {
        let words = [self.near_before, self.after, self.before];
        let by = [
            (&INFLATION, Role::Inflation),
            (&FEE, Role::Fee),
            (&RETURN, Role::Return),
            (&RATE, Role::Rate),
        ];
        let find = |words: &&str| by.iter().find(|(pattern, _)| pattern.is_match(words));
        words
            .iter()
            .find_map(find)
            .map_or(Role::Rate, |(_, role)| *role)
    }

    fn amount(&self, words: &str, owes: bool) -> Option<Role> {
        let period = self.period();
        if period.is_none() && LOAN.is_match(words) && !DEBT.is_match(words) {
            return Some(Role::Borrowed);
        }
        if period.is_none() && DEBT.is_match(words) {
            return Some(Role::Debt);
        }
        if PAY.is_match(words) && owes && !INCOME.is_match(words) {
            return Some(Role::Payment);
        }
        if EXPENSES.is_match(words) {
            return Some(Role::Expenses);
        }
        if SAVINGS.is_match(words) && period.is_none() {
            return Some(Role::Savings);
        }
        if SAVE.is_match(words) {
            return match period {
                Some(_) => Some(Role::Contribution),
                None if GOAL.is_match(words) || self.message.contains("how long") => {
                    Some(Role::Target)
                }
                None => Some(Role::Savings),
            };
        }
        if INCOME.is_match(words) {
            return Some(Role::Income);
        }
        if GOAL.is_match(words) && period.is_none() {
            return Some(Role::Target);
        }
        (HAVE.is_match(words) && period.is_none()).then_some(Role::Savings)
    }
}

/// The end of a text, cut where a character begins.
fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(REACH);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

fn head(text: &str) -> &str {
    let mut end = text.len().min(REACH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

pattern!(
    ASKS_BUDGET,
    r"\b(?:budget|split|50[/-]30|needs and wants|afford|divide)\b"
);
pattern!(
    ASKS_SURPLUS,
    r"\b(?:left over|surplus|savings rate|can i save|afford|budget|rate of saving)\b"
);
pattern!(
    ASKS_RESERVE,
    r"\b(?:emergency|rainy|lose my job|lost my job|job loss|would .*last|last me|cushion|buffer|reserve)\b"
);
pattern!(
    ASKS_DEBT,
    r"\b(?:debts?|owe|cards?|pay (?:it |them )?off|avalanche|snowball|free of debt|interest)\b"
);
pattern!(
    ASKS_GOAL,
    r"\b(?:goal|reach|how long|when|target|each month|a month)\b"
);
pattern!(
    ASKS_GROWTH,
    r"\b(?:grow|growth|become|worth|compound|inflation|fees?|turn into|real return|end up)\b"
);
pattern!(ASKS_WORTH, r"\bnet worth\b");

/// Whether a message asks for a figure, in words or by a number that it brings.
pub(super) fn is_asked(id: &str, message: &str, now: &Numbers) -> bool {
    let has = |value: Option<f64>| value.is_some();
    match id {
        "budget_needs" | "budget_wants" | "budget_saving" => {
            ASKS_BUDGET.is_match(message) || has(now.monthly_income) && !has(now.monthly_expenses)
        }
        "monthly_surplus" | "savings_rate" => {
            ASKS_SURPLUS.is_match(message) || has(now.monthly_income) || has(now.monthly_expenses)
        }
        "emergency_fund_months"
        | "emergency_fund_three_months"
        | "emergency_fund_six_months"
        | "emergency_fund_missing" => {
            ASKS_RESERVE.is_match(message) || has(now.savings) && has(now.monthly_expenses)
        }
        "net_worth" => ASKS_WORTH.is_match(message),
        "months_to_goal" | "years_to_goal" | "contribution_needed" => {
            ASKS_GOAL.is_match(message) || has(now.target_amount)
        }
        "future_value" | "paid_in" | "growth" | "value_after_fees" | "fee_cost" | "real_return"
        | "buying_power" => {
            let brings = now.expected_return.is_some()
                || now.inflation.is_some()
                || now.annual_fee.is_some();
            brings
                || has(now.monthly_contribution) && has(now.years)
                || ASKS_GROWTH.is_match(message)
        }
        "loan_payment" | "loan_interest" | "loan_total" => {
            now.loan.is_some() || LOAN.is_match(message)
        }
        _ => !now.debts.is_empty() || ASKS_DEBT.is_match(message),
    }
}
