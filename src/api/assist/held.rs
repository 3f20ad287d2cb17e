//! A model that several answers are written with.

use wick_models::AddSpecial;

use crate::access::Caller;
use crate::api::App;
use crate::api::catalog::Model;
use crate::api::error::ApiError;
use crate::api::options::Options;
use crate::api::verbs::{Answer, TextRequest};
use crate::engine::Lease;

use super::generate::write;

/// A model that is in memory and stays there until this is dropped, asked for one caller.
pub(crate) struct HeldModel {
    app: App,
    caller: Caller,
    name: String,
    lease: Lease,
}

impl HeldModel {
    /// Loads the model, with its own options.
    pub(crate) async fn open(
        app: &App,
        caller: &Caller,
        model: &Model,
    ) -> Result<HeldModel, ApiError> {
        let options = Options::merge(&model.stored.params, None)?;
        Ok(HeldModel {
            lease: app.load(model, &options, None).await?,
            app: app.clone(),
            caller: caller.clone(),
            name: model.stored.name.to_string(),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Tokens of prompt and answer together at most.
    pub(crate) fn context_tokens(&self) -> usize {
        self.lease.context_tokens()
    }

    /// Tokens of a text.
    pub(crate) fn count(&self, text: &str) -> usize {
        let tokens = self.lease.tokenizer().encode(text, AddSpecial::No);
        // What has no tokens fits nowhere; sums of such counts are still numbers.
        tokens.map_or(usize::MAX / 1024, |tokens| tokens.len())
    }

    /// The beginning of an answer.
    pub(crate) async fn write(&self, request: TextRequest) -> Result<Box<Answer>, ApiError> {
        let request = TextRequest {
            lease: Some(self.lease.clone()),
            ..request
        };
        write(&self.app, &self.caller, request).await
    }
}
