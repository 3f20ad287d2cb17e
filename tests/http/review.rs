//! `/ai/code/review`.

use serde_json::{Value, json};

use crate::gguf;
use crate::server::{PLAIN, Server};

const PATH: &str = "/ai/code/review";
const DIFF: &str = "\
diff --git a/src/sum.js b/src/sum.js
--- a/src/sum.js
+++ b/src/sum.js
@@ -7,2 +7,3 @@
 let sum = 0;
-let x = 1;
+let x = 1 / 0;
+eval(x);
";

async fn server() -> Server {
    let server = Server::start_with(&[("WICK_ASSIST_MODEL", "filler")]);
    let filler = gguf::filler();
    server
        .create("filler", &filler, json!({"template": PLAIN}))
        .await;
    server
}

fn check(review: &Value) {
    let keys: Vec<_> = review.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["comments", "summary"]);
    assert!(!review["summary"].as_str().unwrap().is_empty());
    let comments = review["comments"].as_array().unwrap();
    assert!(comments.len() <= 2, "{review}");
    for comment in comments {
        let keys: Vec<_> = comment.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["path", "line", "severity", "comment"]);
        assert_eq!(comment["path"], "src/sum.js");
        assert!(
            [8, 9].contains(&comment["line"].as_u64().unwrap()),
            "{comment}"
        );
        let severity = comment["severity"].as_str().unwrap();
        assert!(
            ["info", "warning", "error"].contains(&severity),
            "{severity}"
        );
    }
}

#[tokio::test]
async fn remarks_are_about_lines_that_were_added() {
    // Whatever the parrot babbles, its form holds.
    let server = server().await;
    let request = json!({"diff": DIFF, "language": "javascript", "max_comments": 2});
    let answer = server.post(PATH, request.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    check(&answer.json());
    let mut streamed = request;
    streamed["stream"] = true.into();
    let events = server.events(PATH, streamed).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, "result");
    check(&events[0].1);
}

#[tokio::test]
async fn only_diffs_are_reviewed() {
    let server = server().await;
    let long = format!("--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+{}\n", "x".repeat(5000));
    for (request, status, want) in [
        (json!({}), 400, "field 'diff' is required"),
        (json!({"diff": "hello"}), 400, "must be a unified diff"),
        (
            json!({"diff": "--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n x\n"}),
            400,
            "is broken at line 4",
        ),
        (
            json!({"diff": DIFF, "max_comments": 0}),
            400,
            "field 'max_comments' must be from 1",
        ),
        (json!({"diff": long}), 413, "longer than the context"),
    ] {
        let (got, text) = server.post(PATH, request).await.error();
        assert_eq!(got, status, "{text}");
        assert!(text.contains(want), "{want}: {text}");
    }
}
