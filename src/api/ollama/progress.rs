//! Answers of Ollama's routes that come line by line: texts and the progress of long work.

use std::future::Future;
use std::pin::Pin;

use axum::Json;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::api::error::{ApiError, Dialect};
use crate::api::stream::{Frame, Framing, streamed};
use crate::api::verbs::{Answer, Step};
use crate::store::{Progress, StoreError};

/// Lines of progress that may wait for a slow reader.
const LINES: usize = 64;

type Work = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// A line of JSON.
pub(super) fn line(value: &impl Serialize) -> Frame {
    Frame::line(value)
}

/// Streams an answer whose first step is at hand; if that is an error, it keeps its status.
pub(super) fn answer(
    first: Option<Result<Step, ApiError>>,
    rest: Box<Answer>,
    frame: impl Fn(Step) -> Frame + Send + 'static,
) -> Result<Response, ApiError> {
    let first = first.transpose()?;
    let frames = stream::unfold(
        (first, rest, frame),
        |(first, mut rest, frame)| async move {
            let step = match first {
                Some(step) => Ok(step),
                None => rest.next().await?,
            };
            let line = match step {
                Ok(step) => frame(step),
                Err(error) => Frame::line(&error.body(Dialect::Ollama)),
            };
            Some((line, (None, rest, frame)))
        },
    );
    Ok(streamed(Framing::Lines, frames))
}

/// Runs work of the store and tells how it goes, line by line, or only how it ended. The work goes
/// on only as long as its client listens.
pub(super) async fn run<W>(
    stream: bool,
    work: impl FnOnce(Sender<Progress>) -> W,
) -> Result<Response, ApiError>
where
    W: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let (sender, lines) = mpsc::channel(LINES);
    let work: Work = Box::pin(work(sender));
    if stream {
        return Ok(streamed(Framing::Lines, frames(work, lines)));
    }
    let (result, ()) = tokio::join!(work, drain(lines));
    result?;
    Ok(Json(json!({"status": "success"})).into_response())
}

async fn drain(mut lines: Receiver<Progress>) {
    while lines.recv().await.is_some() {}
}

/// Every line that the work says, and the error it ends with, if it does.
fn frames(work: Work, lines: Receiver<Progress>) -> impl stream::Stream<Item = Frame> {
    let begin = (Some(work), lines, None);
    stream::unfold(begin, |(mut work, mut lines, mut error)| async move {
        while let Some(running) = &mut work {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => {
                    return Some((Frame::line(&line), (work, lines, error)));
                }
                result = running => {
                    work = None;
                    error = result.err().map(ApiError::from);
                }
            }
        }
        // What was said before the end comes before the end.
        if let Ok(line) = lines.try_recv() {
            return Some((Frame::line(&line), (work, lines, error)));
        }
        let error = error.take()?;
        tracing::warn!("{error}");
        let last = Frame::line(&error.body(Dialect::Ollama));
        Some((last, (work, lines, None)))
    })
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::store::NameError;

    #[tokio::test]
    async fn an_error_comes_after_all_that_was_said() {
        let (sender, lines) = mpsc::channel(LINES);
        let work: Work = Box::pin(async move {
            for status in ["a", "b"] {
                sender
                    .send(Progress::status(status))
                    .await
                    .expect("somebody listens");
            }
            Err(StoreError::Name(NameError::Invalid))
        });
        let frames: Vec<Frame> = frames(work, lines).collect().await;
        let want = [
            json!({"status": "a"}),
            json!({"status": "b"}),
            json!({"error": "invalid model name"}),
        ];
        assert_eq!(frames, want.iter().map(Frame::line).collect::<Vec<_>>());
    }
}
