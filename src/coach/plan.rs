//! A situation to a plan.
//!
//! Steps, dates, risks and next questions follow from the figures and the profile by rules, so that a plan is sound
//! whatever the model is; the model only words the summary, under the same checks as every answer. Where it words
//! nothing that holds, the summary is made of the steps.

mod input;
mod risks;
mod situation;
mod steps;

use std::fmt::Write as _;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rag::{Retriever, SearchError};

use super::answers::Owner;
use super::figures::{Figure, Numbers};
use super::library::Level;
use super::passages::{Cited, Source};
use super::plain::plain;
use super::prompt::{Parts, Reader};
use super::scope::{OutOfScope, out_of_scope};
use super::words::{self, CoachError, Desk, Written};
use super::writer::{Say, TokenUsage, Writer};

pub use input::{BadNumber, check};
pub use steps::Step;

use situation::Situation;

const SOURCES: usize = 3;
/// What somebody wrote is not to blame for a prompt that is too long if it is shorter than this.
const SHORT_BYTES: usize = 2000;
/// Risks that are repeated in the text.
const TOLD_RISKS: usize = 3;

/// How much somebody can bear to lose for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RiskTolerance {
    /// Little.
    Conservative,
    /// Some.
    Moderate,
    /// Much.
    Aggressive,
}

/// What somebody is like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// How much they can bear to lose for a while.
    pub risk_tolerance: Option<RiskTolerance>,
    /// What they invest for, in their words.
    pub investment_goals: Vec<String>,
    /// How much they know.
    pub level: Level,
    /// What they want to hear about.
    pub preferred_topics: Vec<String>,
    /// In years.
    pub age: Option<f64>,
    /// Where they live.
    pub country: Option<String>,
    /// The code of their currency.
    pub currency: Option<String>,
}

/// Somebody wants a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanRequest {
    /// Who.
    pub owner: Owner,
    /// What they wrote, if anything.
    pub message: String,
    /// What they want to reach, if they said so.
    pub goal: String,
    /// What it should be about.
    pub topic: String,
    /// What they are like.
    pub profile: Profile,
    /// Their numbers.
    pub numbers: Numbers,
}

/// What to do, and what to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Plan {
    /// In a few sentences.
    pub summary: String,
    /// In order.
    pub steps: Vec<Step>,
    /// What can go wrong.
    pub risks: Vec<String>,
}

/// A plan with what it rests on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanAnswer {
    /// The plan as plain text.
    pub response: String,
    /// The same in parts.
    pub plan: Plan,
    /// What was computed.
    pub figures: Vec<Figure>,
    /// Where more can be read.
    pub sources: Vec<Source>,
    /// What can be asked next.
    pub follow_ups: Vec<String>,
    /// What the words took.
    pub usage: TokenUsage,
    /// Whether the summary was written before.
    pub is_cached: bool,
    /// Why it is a refusal, if it is one.
    pub refused: Option<OutOfScope>,
}

impl PlanRequest {
    /// All that was said in words.
    fn said(&self) -> String {
        let texts = [&self.message, &self.goal, &self.topic].into_iter();
        let texts = texts
            .chain(&self.profile.investment_goals)
            .chain(&self.profile.preferred_topics);
        let texts: Vec<&str> = texts
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        texts.join(".\n")
    }

    fn reader(&self) -> Reader {
        let profile = &self.profile;
        let mut preferences = Vec::new();
        let mut add = |key: &str, value: Option<String>| {
            preferences.extend(
                value
                    .filter(|value| !value.is_empty())
                    .map(|value| (key.to_owned(), value)),
            );
        };
        add(
            "Risk",
            profile
                .risk_tolerance
                .map(|risk| format!("{risk:?}").to_lowercase()),
        );
        add("Goals", Some(profile.investment_goals.join(", ")));
        add("Age", profile.age.map(|age| age.to_string()));
        add("Country", profile.country.clone());
        Reader {
            name: None,
            level: profile.level,
            preferences,
        }
    }
}

/// The answer to a request that is not to be answered. It needs no model.
pub fn refusal(request: &PlanRequest) -> Option<PlanAnswer> {
    let reason = out_of_scope(&request.said())?;
    let response = reason.refusal().to_owned();
    Some(PlanAnswer {
        plan: Plan {
            summary: response.clone(),
            ..Plan::default()
        },
        response,
        refused: Some(reason),
        ..PlanAnswer::default()
    })
}

/// What the documents tell about a situation; before a model is had, as for a chat.
pub async fn look_up(
    passages: &dyn Retriever,
    request: &PlanRequest,
    today: Date,
) -> Result<Cited, SearchError> {
    let text = query(&Situation::new(request, today));
    words::look_up(passages, &request.owner.tenant, &text).await
}

/// Makes a plan, with what was found for it; `say` gets the response piece by piece.
pub async fn plan<W: Writer>(
    desk: &Desk<'_, W>,
    request: &PlanRequest,
    passages: &Cited,
    today: Date,
    say: &mut Say<'_>,
) -> Result<PlanAnswer, CoachError<W::Error>> {
    if let Some(refusal) = refusal(request) {
        say(&refusal.response);
        return Ok(refusal);
    }
    let situation = Situation::new(request, today);
    let (steps, risks) = (steps::steps(&situation), risks::risks(&situation));
    let parts = Parts {
        reader: &request.reader(),
        history: &[],
        passages,
        given: &situation.given(),
        // Those that matter stand in the steps.
        figures: &[],
        question: &question(request, &steps),
    };
    let written = match desk.write(&request.owner, &parts, say).await {
        // The plan itself is too long for a small model; it needs no words to be one.
        Err(CoachError::TooLong) if request.said().len() <= SHORT_BYTES => Written::default(),
        written => written?,
    };
    let mut response = written.passed.text;
    let mut rest = String::new();
    if response.is_empty() {
        rest = summary(&steps);
    }
    let summary = format!("{response}{rest}");
    rest.push_str(&listed(&steps, &risks));
    say(&rest);
    response.push_str(&rest);
    Ok(PlanAnswer {
        response,
        plan: Plan {
            summary,
            steps,
            risks,
        },
        // What was found is worth reading, even if the model had no room for it.
        sources: passages.sources(&written.passed.cited, SOURCES),
        follow_ups: risks::follow_ups(&situation),
        figures: situation.figures,
        usage: written.usage,
        is_cached: written.is_cached,
        refused: None,
    })
}

/// What to look for: what was said, and what the situation is about.
fn query(s: &Situation<'_>) -> String {
    let subjects = [
        (s.words.is_empty(), "make a first budget"),
        (s.owes(), "paying off debts"),
        (s.fund().is_some(), "emergency fund"),
        (s.numbers.target_amount.is_some(), "saving for a goal"),
    ];
    let subjects = subjects
        .iter()
        .filter(|(fits, _)| *fits)
        .map(|(_, words)| *words);
    std::iter::once(s.words.as_str())
        .chain(subjects)
        .collect::<Vec<_>>()
        .join(" ")
}

fn question(request: &PlanRequest, steps: &[Step]) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|step| format!("- {}. {}", step.title, step.detail))
        .collect();
    let mut out = format!(
        "Sum this plan up for the reader in two to four sentences: what comes first, why, and where it leads.\n{}\n",
        steps.join("\n")
    );
    let said = request.said();
    if !said.is_empty() {
        let _ = write!(out, "The reader wrote: {said}");
    }
    out
}

/// A summary made of the steps alone.
fn summary(steps: &[Step]) -> String {
    let titles: Vec<&str> = steps.iter().map(|step| step.title.as_str()).collect();
    match titles.as_slice() {
        [first, second, .., last] => format!("First: {first}. Next: {second}. In the end: {last}."),
        few => format!("{}.", few.join(". ")),
    }
}

fn listed(steps: &[Step], risks: &[String]) -> String {
    let mut out = String::from("\n");
    for (at, step) in steps.iter().enumerate() {
        let by = step.by.map_or(String::new(), |by| format!(" (by {by})"));
        let _ = write!(out, "\n{}. {}{by}: {}", at + 1, step.title, step.detail);
    }
    out.push_str("\n\nKeep in mind:");
    for risk in risks.iter().take(TOLD_RISKS) {
        let _ = write!(out, "\n- {risk}");
    }
    plain(&out)
}

#[cfg(test)]
mod tests;
