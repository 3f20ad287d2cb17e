//! Asking a model from within the process, without HTTP: the same verbs, one whole text.

use serde_json::{Map, Value, json};

use crate::access::Caller;
use crate::eval::{Ask, Writer};
use crate::prompt::Message;

use super::App;
use super::assist;
use super::error::ApiError;
use super::verbs::text::text;
use super::verbs::{Completion, Outcome, Subject, TextRequest};

/// Tokens of an answer at most; those that are asked for are far shorter.
const ANSWER_TOKENS: i64 = 400;

/// One model of this server's store.
pub(crate) struct Asked {
    /// Engine and store.
    pub app: App,
    /// The model's name.
    pub model: String,
}

impl Writer for Asked {
    type Error = ApiError;

    async fn write(&self, ask: Ask) -> Result<String, ApiError> {
        let subject = match ask {
            Ask::Statement {
                ddl,
                question,
                dialect,
            } => {
                let schema = assist::sql::inline(&ddl, dialect)?;
                return assist::sql::statement(&self.app, &self.model, &schema, &question).await;
            }
            Ask::Message(content) => Subject::Chat(vec![Message::new("user", content)]),
            Ask::Completion(gap) => {
                return assist::complete::first(&self.app, &self.model, gap).await;
            }
            Ask::Middle(gap) => Subject::Completion(Completion {
                prompt: gap.prefix,
                suffix: gap.suffix,
                ..Completion::default()
            }),
        };
        let request = TextRequest {
            model: self.model.clone(),
            subject,
            options: Some(without_chance()),
            ..TextRequest::default()
        };
        match text(&self.app, &Caller::local(), request).await? {
            Outcome::Answer(answer) => Ok(answer.whole().await?.0.content),
            // Nothing was asked: an empty prefix, say.
            Outcome::Loaded | Outcome::Unloaded | Outcome::Rendered { .. } => Ok(String::new()),
        }
    }
}

fn without_chance() -> Map<String, Value> {
    let options = [
        ("temperature", json!(0)),
        ("num_predict", json!(ANSWER_TOKENS)),
    ];
    options
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
