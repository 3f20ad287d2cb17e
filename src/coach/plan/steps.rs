//! The steps of a plan, by rules: order first, then safety, then debts that cost much, then goals, then growth.

use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use crate::coach::figures::shown::plain;
use crate::coach::plain::plain_name;

use super::RiskTolerance;
use super::situation::{Situation, name};

/// Steps of a plan; more would not be taken.
const MOST: usize = 8;
/// Steps on subjects that were named.
const SUBJECTS: usize = 2;
const GOAL_CHARS: usize = 80;
/// Money that is needed sooner does not belong into shares.
const SHORT_MONTHS: f64 = 60.0;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Step {
    /// In a few words.
    pub title: String,
    /// How and why.
    pub detail: String,
    /// The day by which it can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2027-05-31")]
    pub by: Option<Date>,
}

/// All that the situation asks for, in order.
pub(super) fn steps(s: &Situation<'_>) -> Vec<Step> {
    let first = [
        know_the_month(s),
        close_the_gap(s),
        talk_to_lenders(s),
        first_reserve(s),
        pay_debts(s),
        full_reserve(s),
        reach_the_goal(s),
    ];
    let mut steps: Vec<Step> = first.into_iter().flatten().collect();
    steps.extend(
        SUBJECT_STEPS
            .iter()
            .filter(|(words, ..)| s.says(words))
            .take(SUBJECTS)
            .map(|(_, title, detail)| step(title, detail, None)),
    );
    steps.extend(invest(s));
    if s.surplus().is_none_or(|surplus| surplus > 0.0) {
        steps.push(step(
            "Let it run by itself",
            "Have the money leave your account on the day after payday, so that \
            no month needs a decision.",
            s.after(1.0),
        ));
    }
    steps.truncate(MOST - 1);
    let again = if s.surplus().is_some_and(|surplus| surplus < 0.0) {
        3.0
    } else {
        6.0
    };
    steps.push(step(
        "Look at the plan again",
        "Compare it with what happened, and change it when income, family or \
        goals have changed.",
        s.after(again),
    ));
    steps
}

/// Whether shares may play a part in this plan.
pub(super) fn is_investing(s: &Situation<'_>) -> bool {
    s.profile.risk_tolerance.is_some()
        || s.says(&[
            "invest",
            "stock",
            "share",
            "etf",
            "index fund",
            "wealth",
            "retire",
            "pension",
            "portfolio",
        ])
}

/// Whether the money is wanted so soon that shares could be down just then.
pub(super) fn is_short(s: &Situation<'_>) -> bool {
    s.horizon_months()
        .is_some_and(|months| months < SHORT_MONTHS)
}

fn step(title: &str, detail: &str, by: Option<Date>) -> Step {
    Step {
        title: title.to_owned(),
        detail: detail.to_owned(),
        by,
    }
}

fn know_the_month(s: &Situation<'_>) -> Option<Step> {
    let split = [
        s.shown("budget_needs"),
        s.shown("budget_wants"),
        s.shown("budget_saving"),
    ];
    let yardstick = match split {
        [Some(needs), Some(wants), Some(saving)] => {
            format!(
                " As a yardstick: {needs} for needs, {wants} for wants, {saving} for saving and debts."
            )
        }
        _ => String::new(),
    };
    match (s.surplus(), s.shown("monthly_surplus")) {
        (Some(surplus), Some(shown)) if surplus >= 0.0 => {
            let rate = s
                .shown("savings_rate")
                .map_or(String::new(), |rate| format!(", a savings rate of {rate}"));
            let detail = format!(
                "{shown} are left over each month{rate}. Decide in advance where that goes.{yardstick}"
            );
            Some(step("Give every month a plan", &detail, s.after(1.0)))
        }
        (Some(_), _) => None,
        (None, _) => {
            let detail = format!(
                "Keep a list for one month: all that comes in, all that goes out. Sort the costs into \
                needs, wants and saving. Both sums together show what is left over.{yardstick}"
            );
            Some(step(
                "Write down what comes in and what goes out",
                &detail,
                s.after(1.0),
            ))
        }
    }
}

fn close_the_gap(s: &Situation<'_>) -> Option<Step> {
    let gap = s
        .surplus()
        .filter(|surplus| *surplus < 0.0)
        .and_then(|_| s.shown("monthly_surplus"))?;
    let detail = "More goes out than comes in. Go through the largest costs first: housing, car, food, subscriptions. \
        See whether income can rise and which benefits are open to you. Until the gap is closed, invest nothing.";
    Some(step(
        &format!("Close the gap of {gap} a month"),
        detail,
        s.after(2.0),
    ))
}

fn talk_to_lenders(s: &Situation<'_>) -> Option<Step> {
    let detail = "The payments that you named do not end these debts. Ask each lender for a lower rate or another \
        term before a payment is missed; a free debt advice service can speak for you.";
    s.is_sinking()
        .then(|| step("Talk to your lenders", detail, s.after(1.0)))
}

fn first_reserve(s: &Situation<'_>) -> Option<Step> {
    let Some(costs) = s.numbers.monthly_expenses.filter(|costs| *costs > 0.0) else {
        let has_enough = s.numbers.savings.is_some_and(|savings| savings > 0.0);
        let detail = "Begin with a small sum in an account that you can reach at once. It keeps a surprise from \
            becoming a debt.";
        return (!has_enough).then(|| step("Put a first reserve aside", detail, s.after(3.0)));
    };
    if s.numbers.savings.unwrap_or(0.0) >= costs {
        return None;
    }
    let takes = s
        .shown("months_to_first_reserve")
        .map_or(String::new(), |months| {
            format!(" With what is left over this takes {months}.")
        });
    let detail = format!(
        "Keep {} where you can reach it at once. It keeps a surprise from becoming a debt.{takes}",
        s.money(costs)
    );
    let by = s
        .value("months_to_first_reserve")
        .and_then(|months| s.after(months));
    Some(step("Put one month of costs aside", &detail, by))
}

fn pay_debts(s: &Situation<'_>) -> Option<Step> {
    if !s.owes() {
        return None;
    }
    let dear = s.expensive();
    if dear.is_empty() {
        let detail = "Their rates are low: keep the payments going, and use what is left over for your reserve and \
            your goals.";
        return Some(step(
            "Pay your debts as agreed",
            detail,
            s.debt_months().and_then(|months| s.after(months)),
        ));
    }
    let label = |debt: &crate::coach::figures::numbers::OwedDebt| {
        let at = s
            .numbers
            .debts
            .iter()
            .position(|known| std::ptr::eq(known, debt))
            .unwrap_or_default();
        format!("{} ({} %)", name(debt, at), plain(debt.apr.0))
    };
    let order: Vec<String> = dear.iter().map(|debt| label(debt)).collect();
    let mut detail = match order.as_slice() {
        [only] => format!(
            "Nothing safe earns what {only} costs. Pay the minimum on everything else and put the rest into it."
        ),
        _ => format!(
            "Pay the minimum on all of them and put the rest into the dearest: {}.",
            order.join(", then ")
        ),
    };
    detail.push_str(&outlook(s));
    let wait = s.value("months_to_first_reserve").unwrap_or(0.0);
    let by = s
        .debt_months()
        .filter(|_| !s.is_sinking())
        .and_then(|months| s.after(wait + months));
    let title = if order.len() == 1 {
        "Pay off the expensive debt"
    } else {
        "Pay the debts, the highest rate first"
    };
    Some(step(title, &detail, by))
}

/// When the debts are gone, and what that costs.
fn outlook(s: &Situation<'_>) -> String {
    let months = s.shown("avalanche_months").or(s.shown("repayment_months"));
    let interest = s
        .shown("avalanche_interest")
        .or(s.shown("repayment_interest"));
    let (Some(budget), Some(months), Some(interest)) = (s.shown("debt_budget"), months, interest)
    else {
        return String::new();
    };
    let mut out = format!(
        " With {budget} a month the debts are gone in {months}, at {interest} of interest."
    );
    if s.value("avalanche_saves").is_some_and(|saves| saves > 0.0) {
        let saves = s.shown("avalanche_saves").unwrap_or_default();
        out.push_str(&format!(
            " The smallest balance first would cost {saves} more."
        ));
    }
    out
}

fn full_reserve(s: &Situation<'_>) -> Option<Step> {
    let (fund, size) = s.fund()?;
    let target = fund.shown();
    let lasts = s
        .shown("emergency_fund_months")
        .map_or(String::new(), |months| {
            format!(" What you have lasts {months}.")
        });
    if s.numbers.savings.unwrap_or(0.0) >= fund.value {
        let detail = format!(
            "You have the {target} that cover {size} months of costs.{lasts} Keep them apart from other savings."
        );
        return Some(step("Leave the emergency fund alone", &detail, None));
    }
    let detail = format!("Bring it to {target}, {size} months of costs.{lasts}");
    let before = match s.expensive().is_empty() {
        true => 0.0,
        false => s.debt_months().unwrap_or(f64::INFINITY),
    };
    let by = s
        .value("months_to_emergency_fund")
        .and_then(|months| s.after(before + months));
    Some(step("Fill the emergency fund", &detail, by))
}

fn reach_the_goal(s: &Situation<'_>) -> Option<Step> {
    let Some(target) = s.numbers.target_amount.filter(|target| *target > 0.0) else {
        let goal = s
            .profile
            .investment_goals
            .iter()
            .find(|goal| !goal.trim().is_empty())?;
        let title = format!(
            "Put a number and a date on your goal: {}",
            plain_name(goal, GOAL_CHARS)
        );
        return Some(step(
            &title,
            "A goal becomes a monthly sum once you know what it costs and when you want it.",
            s.after(1.0),
        ));
    };
    if s.numbers.savings.is_some_and(|savings| savings >= target) {
        let detail = format!(
            "Your savings cover {} already, if nothing else needs them.",
            s.money(target)
        );
        return Some(step("Set the goal's money apart", &detail, s.after(1.0)));
    }
    if let Some(needed) = s.shown("contribution_needed") {
        let date = s.numbers.target_date.map(|date| date.0);
        let mut detail = format!("{needed} each month make {} in time.", s.money(target));
        if s.value("contribution_needed") > s.surplus() && s.surplus().is_some() {
            detail.push_str(" That is more than is left over now: give it more time, aim lower, or free more each month.");
        }
        return Some(step(
            "Save for your goal",
            &detail,
            date.or(s.horizon_months().and_then(|months| s.after(months))),
        ));
    }
    let Some(months) = s.shown("months_to_goal") else {
        return Some(step(
            "Give your goal a monthly sum",
            "Choose what you can put aside each month; then it is plain \
            when you are there.",
            s.after(1.0),
        ));
    };
    let from = match s.numbers.monthly_contribution {
        Some(contribution) => s.money(contribution),
        None => format!(
            "All that is left over, {},",
            s.shown("monthly_surplus").unwrap_or_default()
        ),
    };
    let detail = format!("{from} each month makes {} in {months}.", s.money(target));
    Some(step(
        "Save for your goal",
        &detail,
        s.value("months_to_goal").and_then(|months| s.after(months)),
    ))
}

fn invest(s: &Situation<'_>) -> Option<Step> {
    if !is_investing(s) || s.surplus().is_some_and(|surplus| surplus < 0.0) {
        return None;
    }
    let detail = match s.profile.risk_tolerance {
        _ if is_short(s) => {
            "This money is wanted soon: keep it in savings accounts or short bonds, since shares may be down just then."
        }
        Some(RiskTolerance::Conservative) => {
            "Keep most of it in deposits and good bonds, and a small part in a broad, cheap share index fund."
        }
        Some(RiskTolerance::Aggressive) => {
            "Put most of it into a broad, cheap share index fund. Write down today what you will do when it falls \
             hard, which it will at times."
        }
        Some(RiskTolerance::Moderate) | None => {
            "Split it between a broad, cheap share index fund and bonds, so that you can sleep when shares fall."
        }
    };
    Some(step(
        "Invest what is not needed soon",
        &format!("Once the steps before this are done. {detail}"),
        None,
    ))
}

/// Words that name a subject, and the step that belongs to it.
const SUBJECT_STEPS: [(&[&str], &str, &str); 8] = [
    (
        &["retire", "pension"],
        "Take what your employer adds",
        "If your employer adds to what you pay into a pension, pay in \
        enough to get all of it: nothing else is as sure. Then look at what the state promises you.",
    ),
    (
        &["house", "home", "mortgage", "flat", "apartment"],
        "Work out what a home may cost",
        "Count the payment, taxes, insurance \
        and repairs together, and compare them with rent. Keep the reserve out of the deposit.",
    ),
    (
        &["insur"],
        "Check what needs insuring",
        "Insure what you could not pay yourself: liability, illness, the loss of your \
        income. Leave small things uninsured.",
    ),
    (
        &["tax"],
        "Use the allowances that are yours",
        "List the allowances and sheltered accounts of your country, and use \
        those that fit before you invest elsewhere. A tax adviser can check the list.",
    ),
    (
        &["child", "kids", "education", "school", "university"],
        "Save for the children in their own pot",
        "Give it a sum and a \
        year. Your own reserve and pension come first; nobody lends for those.",
    ),
    (
        &["crypto", "bitcoin", "scam", "fraud"],
        "Look twice at promises",
        "Whoever promises high gains without risk, or hurry, \
        wants your money. Check every seller in your regulator's register.",
    ),
    (
        &["freelance", "self-employed", "self employed", "irregular"],
        "Pay yourself a steady wage",
        "Let income gather in one \
        account and move the same sum each month to another, with tax put aside first.",
    ),
    (
        &["car", "vehicle"],
        "Count what the car costs in all",
        "Add loss of value, insurance, tax, fuel and repairs to the price \
        before you choose.",
    ),
];
