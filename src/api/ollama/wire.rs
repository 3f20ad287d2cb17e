//! Parts of answers that generate and chat share.

use serde::Serialize;

use crate::api::times;
use crate::api::verbs::Finish;
use crate::engine::{LogprobItem, StopReason, TokenLogprob};

/// Times and counts at the end of an answer; zeros are left out.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Metrics {
    #[serde(skip_serializing_if = "is_zero")]
    pub total_duration: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub load_duration: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub prompt_eval_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub prompt_eval_duration: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub eval_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub eval_duration: u64,
}

impl From<&Finish> for Metrics {
    fn from(finish: &Finish) -> Self {
        Metrics {
            total_duration: times::nanos(finish.total_duration),
            load_duration: times::nanos(finish.load_duration),
            prompt_eval_count: finish.usage.prompt_tokens as u64,
            prompt_eval_duration: times::nanos(finish.usage.prompt_duration),
            eval_count: finish.usage.completion_tokens as u64,
            eval_duration: times::nanos(finish.usage.completion_duration),
        }
    }
}

/// A token with its log-probability.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Logprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_logprobs: Vec<Logprob>,
}

impl From<TokenLogprob> for Logprob {
    fn from(token: TokenLogprob) -> Self {
        let top_logprobs = token.top.into_iter().map(Logprob::from).collect();
        Logprob {
            top_logprobs,
            ..Logprob::from(token.token)
        }
    }
}

impl From<LogprobItem> for Logprob {
    fn from(item: LogprobItem) -> Self {
        // JSON knows no infinity; a token that cannot be is as unlikely as a number can say.
        let logprob = item.logprob.max(f32::MIN);
        Logprob {
            token: item.text,
            logprob,
            bytes: item.bytes,
            top_logprobs: Vec::new(),
        }
    }
}

/// Prompt and number of images of a request that asked for no more than its prompt.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DebugInfo {
    pub rendered_template: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub image_count: u64,
}

/// `done_reason` of an answer.
pub(crate) fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Stop => "stop",
        StopReason::Length => "length",
    }
}

pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}
