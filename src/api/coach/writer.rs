//! The model, as the coach sees it.

use serde_json::Map;

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::HeldModel;
use crate::api::catalog::Model;
use crate::api::error::ApiError;
use crate::api::verbs::{Step, Subject, TextRequest};
use crate::coach::writer::{Prompt, Say, TokenUsage, Writer};
use crate::prompt::{Message, Think};
use crate::store::starter;

/// A model that is in memory.
pub(super) struct ModelWriter {
    model: HeldModel,
    identity: String,
}

impl ModelWriter {
    /// Loads the model, with its own options.
    pub(super) async fn open(
        app: &App,
        caller: &Caller,
        model: &Model,
    ) -> Result<ModelWriter, ApiError> {
        Ok(ModelWriter {
            model: HeldModel::open(app, caller, model).await?,
            // A file's name is its digest; a name can be given to another.
            identity: format!("{} {}", model.stored.name, model.path.display()),
        })
    }

    /// The model's name.
    pub(super) fn name(&self) -> &str {
        self.model.name()
    }
}

impl Writer for ModelWriter {
    type Error = ApiError;

    fn identity(&self) -> &str {
        &self.identity
    }

    fn context_tokens(&self) -> usize {
        match starter::is_called(self.name()) {
            true => self.model.context_tokens().min(starter::TRAINED_TOKENS),
            false => self.model.context_tokens(),
        }
    }

    fn count(&self, text: &str) -> usize {
        self.model.count(text)
    }

    async fn write(&self, prompt: &Prompt, say: &mut Say<'_>) -> Result<TokenUsage, ApiError> {
        let mut answer = self.model.write(translate(self.name(), prompt)).await?;
        let mut usage = TokenUsage::default();
        while let Some(step) = answer.next().await {
            match step? {
                Step::Piece(piece) => say(&piece.content),
                Step::Finish(finish) => {
                    usage = TokenUsage {
                        prompt_tokens: finish.usage.prompt_tokens,
                        cached_tokens: finish.usage.cached_tokens,
                        completion_tokens: finish.usage.completion_tokens,
                    };
                }
            }
        }
        Ok(usage)
    }
}

/// The likeliest answer, so that the same question has the same one.
fn translate(model: &str, prompt: &Prompt) -> TextRequest {
    let mut options = Map::new();
    options.insert("temperature".to_owned(), 0.into());
    options.insert("num_predict".to_owned(), prompt.max_tokens.into());
    let mut messages = Vec::new();
    if !starter::is_called(model) {
        messages.push(Message::new("system", prompt.system.clone()));
    }
    for turn in &prompt.history {
        messages.push(Message::new("user", turn.message.clone()));
        messages.push(Message::new("assistant", turn.response.clone()));
    }
    messages.push(Message::new("user", prompt.user.clone()));
    TextRequest {
        model: model.to_owned(),
        subject: Subject::Chat(messages),
        options: Some(options),
        think: Some(Think::Off),
        think_if_possible: true,
        // A prompt that lost its middle in silence would be answered wrongly.
        truncate: Some(false),
        ..TextRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coach::writer::Turn;

    fn said(request: &TextRequest) -> Vec<(&str, &str)> {
        let Subject::Chat(messages) = &request.subject else {
            panic!("no messages");
        };
        messages
            .iter()
            .map(|m| (m.role.as_str(), m.content.as_str()))
            .collect()
    }

    #[test]
    fn rules_come_first_and_the_question_last() {
        let turn = Turn {
            message: "m".to_owned(),
            response: "r".to_owned(),
        };
        let prompt = Prompt {
            system: "s".to_owned(),
            history: vec![turn],
            user: "u".to_owned(),
            max_tokens: 7,
        };
        let request = translate("model", &prompt);
        let rest = [("user", "m"), ("assistant", "r"), ("user", "u")];
        assert_eq!(said(&request), [&[("system", "s")], &rest[..]].concat());
        if starter::is_included() {
            assert_eq!(said(&translate("starter:latest", &prompt)), rest);
        }
        let options = request.options.unwrap();
        assert_eq!(
            (&options["temperature"], &options["num_predict"]),
            (&0.into(), &7.into())
        );
    }
}
