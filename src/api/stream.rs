//! Answers that come in pieces: JSON lines for Ollama's routes, server-sent events for the others.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::Serialize;

/// How pieces are told apart on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One JSON object per line.
    Lines,
    /// Server-sent events.
    Events,
}

/// One piece, ready for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame(String);

impl Frame {
    /// A JSON line.
    pub(crate) fn line(value: &impl Serialize) -> Frame {
        let mut text = json(value);
        text.push('\n');
        Frame(text)
    }

    /// An event without a name.
    pub(crate) fn data(value: &impl Serialize) -> Frame {
        Frame(format!("data: {}\n\n", json(value)))
    }

    /// An event with a name.
    pub(crate) fn event(name: &str, value: &impl Serialize) -> Frame {
        Frame(format!("event: {name}\ndata: {}\n\n", json(value)))
    }

    /// What ends a stream of OpenAI's.
    pub(crate) fn done() -> Frame {
        Frame("data: [DONE]\n\n".to_owned())
    }
}

/// An answer with status 200 whose frames are sent as they come; the stream is dropped, and with it
/// whatever makes the frames, when the client goes away.
pub(crate) fn streamed(
    framing: Framing,
    frames: impl Stream<Item = Frame> + Send + 'static,
) -> Response {
    let body = Body::from_stream(frames.map(|frame| Ok::<_, Infallible>(frame.0)));
    match framing {
        Framing::Lines => ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response(),
        Framing::Events => {
            let headers = [
                (header::CONTENT_TYPE, "text/event-stream"),
                (header::CACHE_CONTROL, "no-cache"),
            ];
            (headers, body).into_response()
        }
    }
}

/// One line, also for readers who take a line to end where Unicode says so: httpx is one.
fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("wire types have only text keys");
    if !text.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
        return text;
    }
    // They can only stand inside of strings.
    text.replace('\u{85}', "\\u0085")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn frames_end_where_their_readers_expect_it() {
        let value = json!({"a": "x\ny"});
        assert_eq!(Frame::line(&value).0, "{\"a\":\"x\\ny\"}\n");
        assert_eq!(Frame::data(&value).0, "data: {\"a\":\"x\\ny\"}\n\n");
        assert_eq!(
            Frame::event("e", &value).0,
            "event: e\ndata: {\"a\":\"x\\ny\"}\n\n"
        );
        let line = Frame::line(&json!({"a": "ö\u{85}\u{2028}\u{2029}."})).0;
        assert_eq!(line, "{\"a\":\"ö\\u0085\\u2028\\u2029.\"}\n");
    }
}
