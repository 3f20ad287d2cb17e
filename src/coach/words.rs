//! From all that is known about a question to words that may be said.

use std::time::Instant;

use crate::rag::{Mode, Query, Retriever, SearchError};

use super::answers::{AnswerKey, Answers, Owner};
use super::check::Evidence;
use super::gate::{Gate, Passed};
use super::passages::Cited;
use super::prompt::{Parts, TooLong, again, prompt};
use super::shelf::Shelf;
use super::writer::{Prompt, Say, TokenUsage, Writer};

/// What stands under every answer.
pub const DISCLAIMER: &str = "General information, not personal financial, legal or tax advice. Check figures and \
    rules that apply to you before you decide.";

/// Passages that are looked for; as many are read as find room.
const PASSAGES: usize = 6;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CoachError<E> {
    /// The question leaves no room for an answer.
    #[error("the question is longer than the model can read")]
    TooLong,
    /// The model failed.
    #[error("the model wrote nothing")]
    Writer(E),
}

impl<E> From<TooLong> for CoachError<E> {
    fn from(_: TooLong) -> Self {
        CoachError::TooLong
    }
}

/// Where the coach works: what it looks things up in, who writes, and what was written before.
pub struct Desk<'a, W> {
    /// Documents.
    pub passages: &'a dyn Retriever,
    /// The model.
    pub writer: &'a W,
    /// Earlier answers.
    pub answers: &'a Answers,
}

/// Words that may be said, and the passages that they can name.
#[derive(Default)]
pub(super) struct Written {
    pub(super) passed: Passed,
    pub(super) passages: Cited,
    pub(super) usage: TokenUsage,
    pub(super) is_cached: bool,
}

/// The passages that fit `text` best, found by words alone where there is nothing to find them by meaning. Where no
/// index has anything, as before the articles are in one, they are searched as they are.
pub(super) async fn look_up(
    passages: &dyn Retriever,
    tenant: &str,
    text: &str,
) -> Result<Cited, SearchError> {
    let query = Query {
        tenant: tenant.to_owned(),
        builtin: true,
        text: text.to_owned(),
        k: PASSAGES,
        ..Query::default()
    };
    let mut found = match passages.search(query.clone()).await {
        Err(SearchError::Embedder { .. }) => {
            let mode = Mode::Text;
            passages.search(Query { mode, ..query }).await?
        }
        found => found?,
    };
    if found.is_empty() {
        found = Shelf.find(text, PASSAGES);
    }
    Ok(Cited::new(found))
}

impl<W: Writer> Desk<'_, W> {
    /// Has the model answer, and lets through what figures, passages and the reader's own words support. If that is
    /// nothing, it is asked once more; the result may still be empty.
    pub(super) async fn write(
        &self,
        owner: &Owner,
        parts: &Parts<'_>,
        say: &mut Say<'_>,
    ) -> Result<Written, CoachError<W::Error>> {
        let (prompt, passages) = prompt(self.writer, parts)?;
        let documents = self.passages.version(&owner.tenant);
        let key = AnswerKey::new(&owner.tenant, self.writer.identity(), documents, &prompt);
        if let Some(known) = self.answers.find(&key, Instant::now()) {
            say(&known.text);
            let passed = Passed::clone(&known);
            return Ok(Written {
                passed,
                passages,
                usage: TokenUsage::default(),
                is_cached: true,
            });
        }
        let evidence = evidence(parts, &passages, &prompt);
        let (mut passed, mut usage) = self.attempt(&prompt, &evidence, &passages, say).await?;
        if passed.text.is_empty() {
            let (second, more) = self
                .attempt(&again(&prompt), &evidence, &passages, say)
                .await?;
            passed = second;
            usage += more;
        }
        if !passed.text.is_empty() {
            self.answers
                .keep(key, owner, passed.clone(), Instant::now());
        }
        Ok(Written {
            passed,
            passages,
            usage,
            is_cached: false,
        })
    }

    async fn attempt(
        &self,
        prompt: &Prompt,
        evidence: &Evidence,
        passages: &Cited,
        say: &mut Say<'_>,
    ) -> Result<(Passed, TokenUsage), CoachError<W::Error>> {
        let mut gate = Gate::new(evidence, passages.documents());
        let mut push = |text: &str| {
            let said = gate.push(text);
            if !said.is_empty() {
                say(&said);
            }
        };
        let usage = self
            .writer
            .write(prompt, &mut push)
            .await
            .map_err(CoachError::Writer)?;
        let (rest, passed) = gate.finish(usage.completion_tokens >= prompt.max_tokens);
        if !rest.is_empty() {
            say(&rest);
        }
        Ok((passed, usage))
    }
}

/// The numbers that may stand in an answer.
fn evidence(parts: &Parts<'_>, passages: &Cited, prompt: &Prompt) -> Evidence {
    let mut evidence = Evidence::new()
        .with_figures(parts.figures)
        .with_text(parts.question);
    for text in passages.texts() {
        evidence = evidence.with_text(text);
    }
    for line in parts.given {
        evidence = evidence.with_text(line);
    }
    for turn in &prompt.history {
        evidence = evidence.with_text(&turn.message).with_text(&turn.response);
    }
    evidence
}
