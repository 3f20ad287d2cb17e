use std::collections::VecDeque;

use super::editor::{Line, Lines};
use super::*;
use crate::cli::test_server::{Answer, TestServer};

const SHOW: &str = r#"{"details":{"parent_model":""},"capabilities":["completion"],"system":"S",
    "parameters":"seed                           1","license":"MIT","template":"{{ .Prompt }}"}"#;
const GENERATED: &str =
    "{\"response\":\"Hel\"}\n{\"response\":\"lo\"}\n{\"response\":\"\",\"done\":true}\n";
const NOT_FOUND: &str = "{\"error\":\"model 'm' not found\"}";

fn arguments(prompt: &[&str]) -> Arguments {
    let prompt = prompt.iter().map(|word| (*word).to_owned()).collect();
    Arguments {
        model: "m".into(),
        prompt,
        ..Arguments::default()
    }
}

async fn run_piped(
    server: &TestServer,
    args: Arguments,
    piped: Option<&str>,
) -> Result<String, CliError> {
    let around = Surroundings {
        piped: piped.map(str::to_owned),
        terminal: false,
    };
    server
        .output(async |session| run_in(args, around, session).await)
        .await
}

#[tokio::test]
async fn one_prompt_gives_one_answer() {
    let server = TestServer::start([
        ("POST /api/show", Answer::ok(SHOW)),
        ("POST /api/generate", Answer::ok(GENERATED)),
    ])
    .await;
    let args = Arguments {
        keepalive: Some("10m".into()),
        format: Some("json".into()),
        think: Some("high".into()),
        ..arguments(&["two", "words"])
    };
    let out = run_piped(&server, args, Some("piped")).await.unwrap();
    assert_eq!(out, "Hello\n\n");
    let want = json!({"model": "m", "prompt": "piped two words", "keep_alive": "10m",
        "format": "json", "think": "high"});
    assert_eq!(server.bodies("POST /api/generate"), [want]);
}

#[tokio::test]
async fn an_unknown_model_is_pulled_first() {
    let server = TestServer::start([
        ("POST /api/show", Answer::new(404, NOT_FOUND)),
        ("POST /api/show", Answer::ok(SHOW)),
        ("POST /api/pull", Answer::ok("{\"status\":\"success\"}\n")),
        ("POST /api/generate", Answer::ok(GENERATED)),
    ])
    .await;
    run_piped(&server, arguments(&["hi"]), None).await.unwrap();
    let want = [
        "POST /api/show",
        "POST /api/pull",
        "POST /api/show",
        "POST /api/generate",
    ];
    assert_eq!(server.seen(), want);
}

#[tokio::test]
async fn an_embedding_model_answers_with_numbers() {
    let show = "{\"capabilities\":[\"embedding\"]}";
    let server = TestServer::start([
        ("POST /api/show", Answer::ok(show)),
        (
            "POST /api/embed",
            Answer::ok("{\"embeddings\":[[0.5,-1,2e-3]]}"),
        ),
    ])
    .await;
    let args = Arguments {
        truncate: Some(false),
        dimensions: Some(3),
        ..arguments(&["text"])
    };
    assert_eq!(
        run_piped(&server, args, None).await.unwrap(),
        "[0.5,-1.0,0.002]\n"
    );
    let want = json!({"model": "m", "input": "text", "truncate": false, "dimensions": 3});
    assert_eq!(server.bodies("POST /api/embed"), [want]);
    let error = run_piped(&server, arguments(&[]), None)
        .await
        .unwrap_err()
        .to_string();
    let want = "embedding models require input text. Usage: wick run m \"your text here\"";
    assert_eq!(error, want);
}

#[tokio::test]
async fn bad_flags_are_named_before_anything_is_asked() {
    let server = TestServer::start([]).await;
    for (args, want) in [
        (
            Arguments {
                think: Some("hard".into()),
                ..arguments(&["x"])
            },
            "invalid value for --think: \"hard\" (must be true, false, high, medium, low, or max)",
        ),
        (
            Arguments {
                keepalive: Some("10".into()),
                ..arguments(&["x"])
            },
            "time: missing unit in duration \"10\"",
        ),
        (
            Arguments {
                format: Some("xml".into()),
                ..arguments(&["x"])
            },
            "invalid format: \"xml\"; expected \"json\" or a valid JSON Schema object",
        ),
    ] {
        assert_eq!(
            run_piped(&server, args, None)
                .await
                .unwrap_err()
                .to_string(),
            want
        );
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_error_in_the_answer_fails_the_command() {
    let server = TestServer::start([
        ("POST /api/show", Answer::ok(SHOW)),
        (
            "POST /api/generate",
            Answer::ok("{\"response\":\"He\"}\n{\"error\":\"broken\"}\n"),
        ),
    ])
    .await;
    let error = run_piped(&server, arguments(&["x"]), None)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "broken");
}

/// Lines that were typed beforehand.
struct Script(VecDeque<Line>, Vec<bool>);

impl Lines for Script {
    fn read(&mut self, _: &str) -> Result<Line, CliError> {
        Ok(self.0.pop_front().unwrap_or(Line::End))
    }

    fn keep_history(&mut self, keep: bool) {
        self.1.push(keep);
    }
}

async fn talk(server: &TestServer, lines: &[&str]) -> String {
    let lines = lines
        .iter()
        .map(|line| Line::Text((*line).to_owned()))
        .collect();
    let mut script = Script(lines, Vec::new());
    let mut conversation = Conversation::new("m".into());
    conversation.stored = vec![
        super::super::wire::Message::new("user", "old question"),
        super::super::wire::Message::new("assistant", "old answer"),
    ];
    let talk = async |session: &mut Session<'_>| {
        repl::talk(conversation, Display::default(), &mut script, session).await
    };
    server.output(talk).await.unwrap()
}

const CHAT: &str = "{\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"}}\n{\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true}\n";

#[tokio::test]
async fn a_conversation_remembers_what_was_said() {
    let server = TestServer::start([
        (
            "POST /api/generate",
            Answer::ok("{\"done\":true,\"done_reason\":\"load\"}"),
        ),
        ("POST /api/chat", Answer::ok(CHAT)),
        (
            "POST /api/chat",
            Answer::new(500, "{\"error\":\"no memory\"}"),
        ),
        ("POST /api/chat", Answer::ok(CHAT)),
    ])
    .await;
    let lines = [
        "/set system Be brief.",
        "/set parameter seed 7",
        "one",
        "fails",
        "\"\"\"two",
        "lines\"\"\"",
    ];
    let out = talk(&server, &lines).await;
    let want = ">>> old question\nold answer\n\nSet system message.\nSet parameter 'seed' to '7'\n\
                Hello\n\nHello\n\n";
    assert_eq!(out, want);
    let bodies = server.bodies("POST /api/chat");
    let system = json!({"role": "system", "content": "Be brief."});
    let user = |text: &str| json!({"role": "user", "content": text});
    let first = json!({"model": "m", "options": {"seed": 7}, "messages": [system, user("one")]});
    assert_eq!(bodies[0], first);
    let hello = json!({"role": "assistant", "content": "Hello"});
    let last = json!([system, user("one"), hello, user("two\nlines")]);
    assert_eq!(
        bodies[2]["messages"], last,
        "the failed message is not repeated"
    );
}

#[tokio::test]
async fn commands_answer_in_the_conversation() {
    let server = TestServer::start([
        ("POST /api/generate", Answer::ok("{\"done\":true}")),
        ("POST /api/show", Answer::ok(SHOW)),
        ("POST /api/show", Answer::new(404, NOT_FOUND)),
        ("POST /api/create", Answer::ok("{\"status\":\"success\"}\n")),
        (
            "POST /api/create",
            Answer::new(400, "{\"error\":\"invalid model name\"}"),
        ),
    ])
    .await;
    let lines = [
        "/set parameter seed x",
        "/set parameter stop a b",
        "/set format xml",
        "/set think high",
        "/show parameters",
        "/load other",
        "/save mine",
        "/save ?",
        "/clear",
        "/nope",
        "/bye",
        "never read",
    ];
    let out = talk(&server, &lines).await;
    let want = "\
>>> old question\nold answer\n
Couldn't set parameter: \"invalid int value [x]\"
Set parameter 'stop' to 'a, b'
Invalid or missing format. For 'json' mode use '/set format json'
Set 'think' mode to 'high'.
Model defined parameters:
  seed                           1

User defined parameters:
  stop                           [\"a\",\"b\"]

Loading model 'other'
Couldn't find model 'other'
Created new model 'mine'
error: The model name '?' is invalid
Cleared session context
Unknown command '/nope'. Type /? for help
";
    assert_eq!(out, want);
    let created = &server.bodies("POST /api/create")[0];
    assert_eq!(created["from"], "m");
    assert_eq!(created["parameters"], json!({"stop": ["a", "b"]}));
}

#[tokio::test]
async fn loading_another_model_starts_anew_and_keeps_the_options() {
    let server = TestServer::start([
        ("POST /api/generate", Answer::ok("{\"done\":true}")),
        ("POST /api/show", Answer::ok(SHOW)),
        ("POST /api/chat", Answer::ok(CHAT)),
    ])
    .await;
    talk(
        &server,
        &["one", "/set parameter seed 7", "/load other", "two"],
    )
    .await;
    let want = json!({"model": "other", "options": {"seed": 7},
        "messages": [{"role": "user", "content": "two"}]});
    assert_eq!(server.bodies("POST /api/chat")[1], want);
}
