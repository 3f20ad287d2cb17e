//! What can go wrong with a plan, and what to ask next.

use crate::coach::figures::FigureError;
use crate::coach::figures::shown::plain;

use super::RiskTolerance;
use super::situation::Situation;
use super::steps::{is_investing, is_short};

const RISKS: usize = 7;
const FOLLOW_UPS: usize = 3;
/// Lenders take more than this share of income, in percent, for too much.
const HEAVY_DEBT_PERCENT: f64 = 36.0;
/// Few markets have given more over long times, in percent a year.
const HIGH_RETURN_PERCENT: f64 = 8.0;
const LONG_MONTHS: f64 = 24.0;

/// Sentences, the gravest first; never empty.
pub(super) fn risks(s: &Situation<'_>) -> Vec<String> {
    let mut risks: Vec<String> = s.contradictions.iter().map(|what| {
        format!("What was said about {what} differs from place to place; the plan goes by the fields, or leaves it out.")
    }).collect();
    let mut add = |is_so: bool, text: &str| {
        if is_so {
            risks.push(text.to_owned());
        }
    };
    add(
        s.surplus().is_some_and(|surplus| surplus < 0.0),
        "Costs above income mean new debt every month; until that \
        changes, every other step stands still.",
    );
    add(
        s.is_sinking(),
        "The debts grow or do not end with the payments that were named.",
    );
    add(
        s.problems
            .iter()
            .any(|problem| matches!(problem, FigureError::TooSoon { .. })),
        "The date of the goal is past or \
        too near to plan for.",
    );
    add(
        s.problems
            .iter()
            .any(|problem| matches!(problem, FigureError::NeverReached { .. })),
        "At this pace the goal is \
        not reached.",
    );
    add(
        wants_too_much(s),
        "More is to be put aside each month than is left over.",
    );
    add(
        s.value("emergency_fund_months")
            .is_none_or(|months| months < 1.0),
        "Without a reserve the next surprise becomes \
        a debt.",
    );
    if let (Some(share), Some(shown)) = (s.value("debt_to_income"), s.shown("debt_to_income")) {
        add(
            share > HEAVY_DEBT_PERCENT,
            &format!("Debt payments take {shown} of your income; less income would hurt at once."),
        );
    }
    add(
        s.numbers.target_amount.is_some() && s.numbers.savings.is_some_and(|savings| savings > 0.0),
        "The same savings count \
        for the reserve and for the goal here; money that is spent on one is missing for the other.",
    );
    let is_bold = s.profile.risk_tolerance == Some(RiskTolerance::Aggressive);
    add(
        is_bold && is_short(s),
        "You can bear risk, but money that is wanted soon cannot: shares may be down just then.",
    );
    add(
        is_investing(s) && s.is_late(),
        "Near retirement a fall of the market has little time to heal.",
    );
    if let Some(percent) = s.numbers.expected_return {
        let shown = plain(percent.0);
        add(
            percent.0 > HIGH_RETURN_PERCENT,
            &format!(
                "A return of {shown} % a year is more than most markets have given over \
            long times; plan with less."
            ),
        );
        add(
            true,
            "Returns are not promised: in bad years values fall, sometimes for long.",
        );
    }
    let is_long = s
        .horizon_months()
        .is_some_and(|months| months > LONG_MONTHS);
    add(
        is_long && s.numbers.inflation.is_none(),
        "Prices rise: what the goal costs today it will not cost at the end.",
    );
    risks.truncate(RISKS - 2);
    risks.push("Illness or the loss of a job can stop a plan; check what insurance and benefits would carry you.".to_owned());
    risks.push("Income, costs and rules change: a plan is the best guess of today.".to_owned());
    risks
}

fn wants_too_much(s: &Situation<'_>) -> bool {
    let wanted = s
        .numbers
        .monthly_contribution
        .or(s.value("contribution_needed"));
    matches!((wanted, s.surplus()), (Some(wanted), Some(surplus)) if wanted > surplus)
}

/// Questions that can be put to the coach next, in the reader's voice.
pub(super) fn follow_ups(s: &Situation<'_>) -> Vec<String> {
    let all = [
        (
            s.surplus().is_none(),
            "How do I find out what I spend in a month?",
        ),
        (
            s.surplus().is_some_and(|surplus| surplus < 0.0),
            "Where can I cut costs without missing much?",
        ),
        (
            s.is_sinking(),
            "What can I do when I can no longer make the payments?",
        ),
        (
            s.numbers.debts.len() > 1,
            "Should I use the avalanche or the snowball for my debts?",
        ),
        (
            !s.expensive().is_empty(),
            "Is it worth combining my debts into one loan?",
        ),
        (
            s.fund()
                .is_none_or(|(fund, _)| s.numbers.savings.unwrap_or(0.0) < fund.value),
            "Where should I keep my emergency fund?",
        ),
        (
            s.says(&["retire", "pension"]),
            "How much money does retirement take?",
        ),
        (
            s.says(&["house", "home", "mortgage"]),
            "Should I rent or buy a home?",
        ),
        (s.says(&["insur"]), "Which risks are worth insuring?"),
        (is_investing(s), "What do fund fees cost me over the years?"),
        (is_investing(s), "What should I do when the market falls?"),
        (true, "How can I save without thinking about it?"),
        (true, "What does inflation do to my savings?"),
        (true, "How do I make my first budget?"),
    ];
    let fitting = all.iter().filter(|(fits, _)| *fits).take(FOLLOW_UPS);
    fitting
        .map(|(_, question)| (*question).to_owned())
        .collect()
}
