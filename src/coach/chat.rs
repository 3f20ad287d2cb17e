//! A message to an answer.
//!
//! The order is fixed: what is out of scope is refused before anything else; passages are looked up; the figures that
//! the message asks for are computed; the model puts both into words; what nothing supports is left out; figures that
//! the words do not mention are listed under them. With a model that says nothing of use the reader still gets the
//! figures and the beginning of the best passage.

use jiff::civil::Date;

use crate::rag::{Retriever, SearchError};

use super::answers::Owner;
use super::check::Evidence;
use super::figures::Figure;
use super::passages::{Cited, Source};
use super::plain::{clip, plain};
use super::prompt::{Parts, Reader};
use super::scope::{OutOfScope, out_of_scope};
use super::told::{Told, asked_for, compute, told};
use super::words::{self, CoachError, Desk, Written};
use super::writer::{Say, TokenUsage, Turn, Writer};

/// Sources of an answer that names none.
const SOURCES: usize = 3;
/// Figures that are listed under an answer.
const LISTED: usize = 6;
/// A message this short may lean on the one before it.
const SHORT_CHARS: usize = 48;
const EXCERPT_CHARS: usize = 400;

/// A message.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// Who asks.
    pub owner: Owner,
    /// What they are like.
    pub reader: Reader,
    /// What they wrote.
    pub message: String,
    /// The code of their currency, if they have said it.
    pub currency: Option<String>,
    /// What was said before, the oldest first.
    pub history: Vec<Turn>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatAnswer {
    /// Plain text.
    pub response: String,
    /// Where it comes from; the n-th is `[n]` in the text.
    pub sources: Vec<Source>,
    /// What was computed.
    pub figures: Vec<Figure>,
    /// What it took.
    pub usage: TokenUsage,
    /// Whether it was given before.
    pub is_cached: bool,
    /// Why it is a refusal, if it is one.
    pub refused: Option<OutOfScope>,
}

/// The answer to a message that is not to be answered. It needs no model.
pub fn refusal(message: &str) -> Option<ChatAnswer> {
    let reason = out_of_scope(message)?;
    Some(ChatAnswer {
        response: reason.refusal().to_owned(),
        refused: Some(reason),
        ..ChatAnswer::default()
    })
}

/// What the documents tell about a message. It is looked up before a model is had, since there may be memory for one
/// model only: that which finds passages, then that which writes.
pub async fn look_up(
    passages: &dyn Retriever,
    request: &ChatRequest,
) -> Result<Cited, SearchError> {
    words::look_up(passages, &request.owner.tenant, &query(request)).await
}

/// Answers a message from what was found for it; `say` gets the response piece by piece.
pub async fn chat<W: Writer>(
    desk: &Desk<'_, W>,
    request: &ChatRequest,
    passages: &Cited,
    today: Date,
    say: &mut Say<'_>,
) -> Result<ChatAnswer, CoachError<W::Error>> {
    if let Some(refusal) = refusal(&request.message) {
        say(&refusal.response);
        return Ok(refusal);
    }
    let figures = figures(request, today);
    let parts = Parts {
        reader: &request.reader,
        history: &request.history,
        passages,
        given: &[],
        figures: &figures,
        question: &request.message,
    };
    let Written {
        passed,
        passages,
        usage,
        is_cached,
    } = desk.write(&request.owner, &parts, say).await?;
    let (mut response, mut cited) = (passed.text, passed.cited);
    let rest = match response.is_empty() {
        true => instead(&figures, &passages, &mut cited),
        false => unmentioned(&figures, &response),
    };
    if !rest.is_empty() {
        response.push_str(&rest);
        say(&rest);
    }
    Ok(ChatAnswer {
        response,
        sources: passages.sources(&cited, SOURCES),
        figures,
        usage,
        is_cached,
        refused: None,
    })
}

/// What to look for: a short question means what was asked before it, too.
fn query(request: &ChatRequest) -> String {
    let before = request
        .history
        .last()
        .filter(|_| request.message.chars().count() < SHORT_CHARS);
    match before {
        Some(turn) => format!("{} {}", turn.message, request.message),
        None => request.message.clone(),
    }
}

/// The figures that the message asks for, from what it and those before it tell.
fn figures(request: &ChatRequest, today: Date) -> Vec<Figure> {
    let now = told(&request.message);
    let before = request
        .history
        .iter()
        .fold(Told::default(), |before, turn| {
            told(&turn.message).over(before)
        });
    let all = now.clone().over(before);
    let (figures, _) = asked_for(&request.message, &now.numbers, compute(&all.numbers, today));
    match request.currency.clone().or(all.currency) {
        Some(code) => figures
            .into_iter()
            .map(|figure| figure.in_currency(&code))
            .collect(),
        None => figures,
    }
}

/// The figures that an answer does not mention, as lines to put under it.
fn unmentioned(figures: &[Figure], response: &str) -> String {
    let said = Evidence::new().with_text(response);
    let is_missing = |figure: &&Figure| !said.unsupported(&figure.shown()).is_empty();
    let missing: Vec<&Figure> = figures.iter().filter(is_missing).collect();
    match missing.is_empty() {
        true => String::new(),
        false => format!("\n\n{}", listed(&missing)),
    }
}

fn listed(figures: &[&Figure]) -> String {
    let lines = figures.iter().take(LISTED);
    let lines: Vec<String> = lines
        .map(|figure| format!("- {}: {}", figure.name, figure.shown()))
        .collect();
    format!("Worked out from your numbers:\n{}", lines.join("\n"))
}

/// What to say where the model said nothing that holds.
fn instead(figures: &[Figure], passages: &Cited, cited: &mut Vec<usize>) -> String {
    let mut parts = Vec::new();
    if !figures.is_empty() {
        parts.push(listed(&figures.iter().collect::<Vec<_>>()));
    }
    if let Some(best) = passages.best() {
        let words = best.text.split_whitespace().collect::<Vec<_>>().join(" ");
        cited.push(1);
        parts.push(format!(
            "{} [1]",
            clip(&plain(words.trim_start_matches(['#', ' '])), EXCERPT_CHARS)
        ));
    }
    match parts.is_empty() {
        true => NOTHING.to_owned(),
        false => parts.join("\n\n"),
    }
}

const NOTHING: &str = "I found nothing on this in my documents. Please ask about one thing at a time, such as a budget, \
    a debt, a savings goal or investing.";

#[cfg(test)]
mod tests;
