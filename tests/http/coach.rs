//! The coach's routes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::gguf;
use crate::server::{Answer, PLAIN, Server};
use crate::signer::{SECRET, Signer, now};
use crate::stories::fixtures;

/// What the model says to everything.
const HELLO: &str = "Hello there!";
const RATE: &str = "I earn 3,000 € a month and spend 2,550 €. What is my savings rate?";

async fn server_with(variables: &[(&str, &str)]) -> Server {
    let server = Server::start_with(&[&[("WICK_ASSIST_MODEL", "filler")], variables].concat());
    let template = json!({"template": PLAIN});
    server.create("filler", &gguf::filler(), template).await;
    server
}

async fn server() -> Server {
    server_with(&[]).await
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().map(String::as_str).collect()
}

async fn ok(server: &Server, path: &str, body: Value) -> Value {
    let answer = server.post(path, body.clone()).await;
    assert_eq!(answer.status, 200, "{body}: {answer:?}");
    answer.json()
}

const CHAT_KEYS: [&str; 8] = [
    "response",
    "sources",
    "conversation_id",
    "model",
    "figures",
    "disclaimer",
    "usage",
    "total_duration_ms",
];

/// Where there is room for one model, the one that finds passages leaves before the one that writes comes, and whoever
/// holds the latter is not kept waiting by those who want it in another way.
#[cfg(feature = "rag")]
#[tokio::test]
async fn room_for_one_model_is_enough() {
    let server = server_with(&[
        ("OLLAMA_MAX_LOADED_MODELS", "1"),
        ("WICK_EMBED_MODEL", "vectors"),
        ("WICK_ASSIST_TIMEOUT", "30"),
    ])
    .await;
    server.create("vectors", &gguf::encoder(), json!({})).await;
    let document = json!({"title": "Sky", "text": "Why is the sky blue?"});
    let begun = server.post("/rag/documents", document).await;
    assert_eq!(crate::rag::end_of(&server, &begun).await["state"], "done");
    let ask = |number: usize| {
        let message = format!("Why is the sky blue {number}?");
        server.post("/coach/chat", json!({"message": message}))
    };
    let disturb = |number: usize| {
        let options = json!({"num_ctx": 1024 + number % 2 * 64, "num_predict": 1});
        let request =
            json!({"model": "filler", "prompt": "x", "stream": false, "options": options});
        server.post("/api/generate", request)
    };
    let (coach, others) = tokio::join!(
        futures_util::future::join_all((0..3).map(ask)),
        futures_util::future::join_all((0..6).map(disturb)),
    );
    for answer in coach.into_iter().chain(others) {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn a_message_is_answered_with_all_its_fields_by_both_names() {
    let server = server().await;
    let body = json!({"message": "How large should an emergency fund be?", "user_id": "7",
        "context": {"user_name": "Anna", "user_level": "beginner", "preferences": {}}});
    for path in ["/coach/chat", "/api/chat"] {
        let mut body = body.clone();
        body["user_id"] = path.into();
        body["context"]["user_name"] = path.into();
        let answer = ok(&server, path, body).await;
        assert_eq!(keys(&answer), CHAT_KEYS);
        assert_eq!(
            (&answer["response"], &answer["model"]),
            (&json!(HELLO), &json!("filler:latest"))
        );
        let source = &answer["sources"][0];
        assert_eq!(keys(source), ["title", "document_id", "snippet", "score"]);
        assert_eq!(source["title"], "How large an emergency fund should be");
        assert_eq!(
            keys(&answer["usage"]),
            ["prompt_tokens", "cached_tokens", "completion_tokens"]
        );
        assert!(answer["usage"]["prompt_tokens"].as_u64().unwrap() > 500);
        assert!(
            answer["conversation_id"]
                .as_str()
                .unwrap()
                .starts_with("conv_")
        );
        assert!(
            answer["disclaimer"]
                .as_str()
                .unwrap()
                .contains("not personal")
        );
        assert_eq!(answer["figures"], json!([]));
    }
}

#[tokio::test]
async fn rules_are_read_once_for_everybody() {
    let server = server().await;
    let cached = async |message: &str| {
        let answer = ok(&server, "/coach/chat", json!({"message": message})).await;
        answer["usage"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached("What is a bond?").await, 0);
    assert!(
        cached("How do I plan a budget?").await > 700,
        "the rules are the same"
    );
}

#[tokio::test]
async fn ollamas_chat_is_what_it_was() {
    let server = server().await;
    let ollamas =
        json!({"model": "filler", "stream": false, "messages": [{"role": "user", "content": "x"}]});
    let answer = ok(&server, "/api/chat", ollamas).await;
    assert_eq!(answer["message"]["content"], HELLO);
    for (body, status, want) in [
        (json!({"model": "filler", "message": "x"}), 200, "load"),
        (
            json!({"messages": [], "message": "x"}),
            400,
            "model is required",
        ),
        (
            json!({"message": {"role": "user"}}),
            400,
            "model is required",
        ),
        (json!({}), 400, "model is required"),
    ] {
        let answer = server.post("/api/chat", body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.text.contains(want), "{body}: {answer:?}");
    }
    let nothing = server.send(Method::POST, "/api/chat", None).await;
    assert_eq!(nothing.error(), (400, "missing request body".to_owned()));
}

#[tokio::test]
async fn answers_stream_and_end_with_the_whole() {
    let server = server().await;
    for (path, body) in [
        ("/coach/chat", json!({"message": RATE, "stream": true})),
        (
            "/api/chat",
            json!({"message": RATE, "stream": true, "context": {"user_level": "advanced"}}),
        ),
        (
            "/api/coach",
            json!({"goal": "a house", "numbers": {"monthly_income": 2000}, "stream": true}),
        ),
        (
            "/coach/chat",
            json!({"message": "Should I buy Tesla shares?", "stream": true}),
        ),
    ] {
        let events = server.events(path, body).await;
        let (last, tokens) = events.split_last().unwrap();
        assert_eq!(last.0, "result", "{events:?}");
        let said: String = tokens
            .iter()
            .map(|(name, data)| {
                assert_eq!((name.as_str(), keys(data)), ("token", vec!["text"]));
                data["text"].as_str().unwrap()
            })
            .collect();
        assert_eq!(said, last.1["response"].as_str().unwrap(), "{path}");
        assert!(!said.is_empty());
    }
    // What goes wrong before the first word has its status.
    let lost = json!({"message": "x", "model": "nobody", "stream": true});
    assert_eq!(server.post("/coach/chat", lost).await.error().0, 404);
}

#[tokio::test]
async fn figures_are_in_the_answer() {
    let server = server().await;
    let answer = ok(&server, "/coach/chat", json!({"message": RATE})).await;
    let figures = answer["figures"].as_array().unwrap();
    assert_eq!(
        keys(&figures[0]),
        ["id", "name", "value", "unit", "formula"]
    );
    assert_eq!(
        (&figures[0]["id"], &figures[0]["value"], &figures[0]["unit"]),
        (&json!("monthly_surplus"), &json!(450.0), &json!("EUR"))
    );
    let text = answer["response"].as_str().unwrap();
    assert!(
        text.starts_with(HELLO) && text.contains("Savings rate: 15 %"),
        "{text}"
    );
}

#[tokio::test]
async fn a_plan_has_all_its_fields() {
    let server = server().await;
    let body = json!({"message": "I want to get in order", "user_id": 7, "profile": {"risk_tolerance": "moderate",
        "investment_goals": ["retire early"], "experience_level": "advanced", "age": 40, "currency": "chf"},
        "numbers": {"monthly_income": 3000, "monthly_expenses": 2500, "savings": 1000, "debts": [
            {"name": "card", "balance": 2000, "apr": 20, "minimum_payment": 60}]}});
    for path in ["/coach/plan", "/api/coach"] {
        let mut body = body.clone();
        body["topic"] = path.into();
        let answer = ok(&server, path, body).await;
        assert_eq!(
            keys(&answer),
            [
                "response",
                "plan",
                "figures",
                "sources",
                "follow_ups",
                "disclaimer",
                "model"
            ]
        );
        let plan = &answer["plan"];
        assert_eq!(keys(plan), ["summary", "steps", "risks"]);
        assert_eq!(plan["summary"], HELLO);
        let steps = plan["steps"].as_array().unwrap();
        assert!((4..=8).contains(&steps.len()), "{plan}");
        assert_eq!(keys(&steps[0]), ["title", "detail", "by"]);
        assert!(
            steps[0]["detail"].as_str().unwrap().contains("500 CHF"),
            "{plan}"
        );
        assert!(
            steps
                .iter()
                .any(|step| step["title"] == "Pay off the expensive debt")
        );
        assert!(plan["risks"].as_array().unwrap().len() >= 2);
        assert!(!answer["follow_ups"].as_array().unwrap().is_empty());
        assert!(!answer["sources"].as_array().unwrap().is_empty());
        let text = answer["response"].as_str().unwrap();
        assert!(
            text.contains("\n1. Give every month a plan (by 20"),
            "{text}"
        );
    }
    let bare = ok(&server, "/api/coach", json!({"user_id": "7"})).await;
    assert!(bare["plan"]["steps"].as_array().unwrap().len() >= 3);
}

#[tokio::test]
async fn plans_are_sound_with_a_model_that_knows_only_stories() {
    let Some(folder) = fixtures() else {
        println!("skipped: there is no folder of fixtures");
        return;
    };
    let server = Server::start_with(&[("WICK_ASSIST_MODEL", "stories")]);
    let weights = std::fs::read(folder.join("stories260K.gguf")).unwrap();
    server.create("stories", &weights, json!({})).await;
    let body = json!({"numbers": {"monthly_income": 3000, "monthly_expenses": 3400}});
    let answer = ok(&server, "/coach/plan", body).await;
    assert_eq!(
        answer["plan"]["steps"][0]["title"],
        "Close the gap of 400 a month"
    );
    assert!(!answer["plan"]["summary"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn bad_requests_are_told_what_to_change() {
    let server = server().await;
    for (path, body, status, want) in [
        ("/coach/chat", json!({}), 400, "field 'message' is required"),
        (
            "/coach/chat",
            json!({"message": "  "}),
            400,
            "field 'message' must not be empty",
        ),
        (
            "/coach/chat",
            json!({"message": 7}),
            400,
            "field 'message' must be a string",
        ),
        (
            "/api/chat",
            json!({"message": ""}),
            400,
            "field 'message' must not be empty",
        ),
        (
            "/api/chat",
            json!({"message": "x", "context": 7}),
            400,
            "field 'context' must be an object",
        ),
        (
            "/coach/chat",
            json!({"message": "x", "context": {"user_level": "wizard"}}),
            400,
            "field 'context.user_level' must be beginner, intermediate or advanced",
        ),
        (
            "/coach/chat",
            json!({"message": "x", "context": {"preferences": []}}),
            400,
            "field 'context.preferences' must be an object",
        ),
        (
            "/coach/chat",
            json!({"message": "x", "user_id": {}}),
            400,
            "field 'user_id' must be a string",
        ),
        (
            "/coach/chat",
            json!({"message": "x", "conversation_id": "<b>"}),
            400,
            "field 'conversation_id' must have",
        ),
        (
            "/coach/chat",
            json!({"message": "x", "stream": "yes"}),
            400,
            "field 'stream' must be true or false",
        ),
        (
            "/coach/chat",
            json!({"message": "x".repeat(70_000)}),
            413,
            "field 'message' is longer than 65536 bytes",
        ),
        (
            "/coach/chat",
            json!({"message": "word ".repeat(12_000)}),
            413,
            "longer than the context",
        ),
        (
            "/coach/chat",
            json!({"message": "x", "model": "nobody:7b"}),
            404,
            "model 'nobody:7b' not found",
        ),
        ("/coach/chat", json!(["x"]), 400, "must be a JSON object"),
        (
            "/coach/plan",
            json!({"goal": 7}),
            400,
            "field 'goal' must be a string",
        ),
        (
            "/coach/plan",
            json!({"profile": {"risk_tolerance": "yolo"}}),
            400,
            "field 'profile.risk_tolerance' must be conservative, moderate or aggressive",
        ),
        (
            "/coach/plan",
            json!({"profile": {"age": -1}}),
            400,
            "field 'profile.age' must be from 0 to 130",
        ),
        (
            "/coach/plan",
            json!({"profile": {"currency": "euros"}}),
            400,
            "field 'profile.currency' must be a code",
        ),
        (
            "/api/coach",
            json!({"numbers": {"monthly_income": -512}}),
            400,
            "field 'numbers.monthly_income' must not be below zero",
        ),
        (
            "/api/coach",
            json!({"numbers": {"savings": 1e300}}),
            400,
            "field 'numbers.savings' must be",
        ),
        (
            "/api/coach",
            json!({"numbers": {"savings": "many"}}),
            400,
            "field 'numbers.savings' must be a number",
        ),
        (
            "/api/coach",
            json!({"numbers": {"expected_return": 0.07}}),
            400,
            "field 'numbers.expected_return' must be a text with a sign",
        ),
        (
            "/api/coach",
            json!({"numbers": {"target_date": "soon"}}),
            400,
            "field 'numbers.target_date' must be one such as 2028-06",
        ),
        (
            "/api/coach",
            json!({"numbers": {"debts": [{"balance": -1, "apr": 5}]}}),
            400,
            "field 'numbers.debts[0].balance' must not be below zero",
        ),
        (
            "/api/coach",
            json!({"numbers": {"debts": {}}}),
            400,
            "field 'numbers.debts' must be a list",
        ),
    ] {
        let (got, text) = server.post(path, body.clone()).await.error();
        assert_eq!(got, status, "{body}: {text}");
        assert!(text.contains(want), "{want}: {text}");
        assert!(!text.contains("512") && !text.contains("wizard"), "{text}");
    }
    assert_eq!(server.get("/coach/chat").await.status, 405);
    assert_eq!(server.get("/coach/users/7").await.status, 405);
}

#[tokio::test]
async fn without_a_model_there_is_a_remedy_and_still_a_kind_word() {
    let server = Server::start();
    for (path, body) in [
        ("/coach/chat", json!({"message": "What is a bond?"})),
        ("/api/chat", json!({"message": "What is a bond?"})),
        ("/api/coach", json!({"goal": "a house"})),
    ] {
        let answer = server
            .http
            .post(format!("{}{path}", server.url))
            .body(body.to_string())
            .send();
        let answer = answer.await.unwrap();
        assert!(answer.headers().contains_key("retry-after"), "{path}");
        let (status, text) = Answer::read(answer).await.error();
        assert_eq!(status, 503);
        assert!(text.contains("wick pull llama3.2:1b"), "{text}");
    }
    let hurt = ok(
        &server,
        "/coach/chat",
        json!({"message": "I want to kill myself"}),
    )
    .await;
    assert_eq!(keys(&hurt), CHAT_KEYS);
    assert!(hurt["response"].as_str().unwrap().contains("988"), "{hurt}");
    let tip = ok(
        &server,
        "/api/coach",
        json!({"goal": "Should I buy Tesla shares?"}),
    )
    .await;
    assert_eq!(
        (&tip["plan"]["steps"], &tip["sources"]),
        (&json!([]), &json!([]))
    );
}

fn token(tenant: &str, user: &str, scope: Option<&str>) -> String {
    let mut claims = json!({"sub": user, "tenant": tenant, "exp": now() + 600});
    if let Some(scope) = scope {
        claims["scope"] = scope.into();
    }
    Signer::secret(SECRET.as_bytes()).sign(&claims)
}

async fn post(server: &Server, path: &str, token: &str, body: &Value) -> reqwest::Response {
    let request = server.with_bearer(Method::POST, path, token);
    request.body(body.to_string()).send().await.unwrap()
}

#[tokio::test]
async fn the_coach_needs_credentials_by_every_name_and_ollama_none() {
    let server = server_with(&[("WICK_JWT_SECRET", SECRET), ("WICK_LIMIT_COACH", "3")]).await;
    let body = json!({"message": "What is a bond?"});
    for path in ["/coach/chat", "/api/chat", "/api/coach", "/coach/plan"] {
        assert_eq!(
            server.post(path, body.clone()).await.error().0,
            401,
            "{path}"
        );
        let other = token("acme", "anna", Some("wick:sql"));
        assert_eq!(
            post(&server, path, &other, &body).await.status(),
            403,
            "{path}"
        );
    }
    let forget = server.send(Method::DELETE, "/coach/users/anna", None).await;
    assert_eq!(forget.error().0, 401);
    let ollamas = json!({"model": "filler", "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(server.post("/api/chat", ollamas).await.status, 200);
    let anna = token("acme", "anna", Some("wick:coach"));
    for (path, left) in [("/api/chat", 2), ("/coach/chat", 1), ("/api/coach", 0)] {
        let answer = post(&server, path, &anna, &body).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["ratelimit-policy"], "\"coach\";q=3;w=3600");
        let state = answer.headers()["ratelimit"].to_str().unwrap();
        assert!(
            state.starts_with(&format!("\"coach\";r={left};")),
            "{path}: {state}"
        );
    }
    for path in ["/api/chat", "/coach/chat"] {
        let answer = post(&server, path, &anna, &body).await;
        assert_eq!(answer.status(), 429, "{path}");
        assert!(answer.headers().contains_key("retry-after"));
    }
    let metrics = server.get("/metrics").await.text;
    assert!(
        metrics.contains("wick_rate_limited_total{limit=\"coach\"} 2"),
        "both are counted"
    );
}

#[tokio::test]
async fn others_than_this_machine_are_refused_while_nothing_is_configured() {
    let server = server().await;
    for path in ["/api/chat", "/coach/chat"] {
        let request = server.http.post(format!("{}{path}", server.url));
        let request = request.header("x-forwarded-for", "203.0.113.9");
        let answer = request
            .body(json!({"message": "x"}).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(Answer::read(answer).await.error().0, 403, "{path}");
    }
}

#[tokio::test]
async fn conversations_go_on_and_are_forgotten() {
    let server = server().await;
    let ask = async |user: &str, conversation: Option<&str>, message: &str| {
        let body = json!({"message": message, "user_id": user, "conversation_id": conversation});
        ok(&server, "/coach/chat", body).await
    };
    let first = ask("anna", None, "I spend 2,000 a month.").await;
    let id = first["conversation_id"].as_str().unwrap().to_owned();
    const NEXT: &str = "I have 5,000 saved. How long would an emergency fund of that last me?";
    let months = |answer: &Value| {
        let figures = answer["figures"].as_array().unwrap();
        let found = figures
            .iter()
            .find(|figure| figure["id"] == "emergency_fund_months");
        found.map(|figure| figure["value"].as_f64().unwrap())
    };
    let second = ask("anna", Some(&id), NEXT).await;
    assert_eq!(second["conversation_id"], id.as_str());
    assert_eq!(
        months(&second),
        Some(2.5),
        "the costs come from the message before"
    );
    assert_eq!(
        months(&ask("bert", Some(&id), NEXT).await),
        None,
        "another user's conversation"
    );
    assert_eq!(
        months(&ask("anna", Some("other"), NEXT).await),
        None,
        "another conversation"
    );
    let forget = async |user: &str| {
        let path = format!("/coach/users/{user}");
        let answer = server.send(Method::DELETE, &path, None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["forgotten"].as_u64().unwrap()
    };
    assert_eq!(forget("anna").await, 3);
    assert_eq!(forget("anna").await, 0);
    assert_eq!(
        months(&ask("anna", Some(&id), NEXT).await),
        None,
        "all is forgotten"
    );
    assert_eq!(forget("nobody%20'%20OR%201=1").await, 0);
    assert!(
        !server.home().join(".wick/coach.db").exists(),
        "nothing is on disk"
    );
}

#[tokio::test]
async fn users_of_a_tenant_cannot_reach_one_another() {
    let server = server_with(&[("WICK_JWT_SECRET", SECRET)]).await;
    let ask = async |token: &str, user: Option<&str>, message: &str| {
        let body = json!({"message": message, "conversation_id": "c", "user_id": user});
        let answer = Answer::read(post(&server, "/coach/chat", token, &body).await).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["figures"].as_array().unwrap().len()
    };
    let (anna, bert) = (token("acme", "anna", None), token("acme", "bert", None));
    ask(&anna, None, "I spend 2,000 a month.").await;
    const NEXT: &str = "How large should my emergency fund be with 5,000 saved?";
    assert_eq!(ask(&bert, None, NEXT).await, 0);
    assert_eq!(
        ask(&bert, Some("anna"), NEXT).await,
        0,
        "a user cannot pass for another"
    );
    assert_eq!(
        ask(&token("rival", "anna", None), None, NEXT).await,
        0,
        "nor can one of another tenant"
    );
    let forget = async |token: &str| {
        let request = server.with_bearer(Method::DELETE, "/coach/users/anna", token);
        let answer = Answer::read(request.send().await.unwrap()).await;
        answer.json()["forgotten"].as_u64().unwrap()
    };
    assert_eq!(
        forget(&bert).await,
        1,
        "what he has asked on behalf of somebody of this name"
    );
    assert_eq!(ask(&anna, None, NEXT).await, 4, "hers is still there");
    assert_eq!(forget(&anna).await, 2);
}

#[tokio::test]
async fn history_on_disk_outlives_the_server_and_is_wiped() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let variables = [("WICK_DATA", folder), ("WICK_COACH_HISTORY", "on")];
    let body =
        |message: &str| json!({"message": message, "user_id": "anna", "conversation_id": "c"});
    let server = server_with(&variables).await;
    ok(
        &server,
        "/coach/chat",
        body("I spend 2,000 a month on zebras."),
    )
    .await;
    drop(server);
    let file = data.path().join("coach.db");
    let holds = || {
        std::fs::read(&file)
            .unwrap()
            .windows(6)
            .any(|bytes| bytes == b"zebras")
    };
    assert!(holds());
    let server = server_with(&variables).await;
    let answer = ok(
        &server,
        "/coach/chat",
        body("I have 5,000 saved. Is my emergency fund large enough?"),
    )
    .await;
    assert_eq!(answer["figures"].as_array().unwrap().len(), 4);
    let gone = server.send(Method::DELETE, "/coach/users/anna", None).await;
    assert_eq!(gone.json()["forgotten"], 2);
    assert!(!holds(), "nothing is left in the file");
}

#[tokio::test]
async fn the_same_question_is_answered_from_memory_within_a_tenant() {
    let server = server_with(&[("WICK_JWT_SECRET", SECRET)]).await;
    let ask = async |tenant: &str, body: &Value| {
        let answer = post(&server, "/coach/chat", &token(tenant, "anna", None), body).await;
        Answer::read(answer).await.json()
    };
    let body = json!({"message": "Why are index funds cheap?"});
    let first = ask("acme", &body).await;
    let second = ask("acme", &body).await;
    assert_eq!(
        (first.get("cached"), second.get("cached")),
        (None, Some(&json!(true)))
    );
    assert_eq!(
        (&first["response"], &first["sources"]),
        (&second["response"], &second["sources"])
    );
    assert_eq!(second["usage"]["completion_tokens"], 0);
    assert_ne!(first["conversation_id"], second["conversation_id"]);
    assert_eq!(ask("rival", &body).await.get("cached"), None);
    let level =
        json!({"message": "Why are index funds cheap?", "context": {"user_level": "advanced"}});
    assert_eq!(ask("acme", &level).await.get("cached"), None);
}

#[tokio::test]
async fn answers_hold_nothing_that_a_page_could_run() {
    let server = server().await;
    for message in [
        "<script>alert(1)</script> What is a \"bond\"?",
        "🎉 <img src=x onerror=alert('budget')> 👩‍👩‍👧 I earn <b>3000</b> & spend 2000",
        "</strong>{{7*7}}<svg/onload=alert(1)>",
    ] {
        let body = json!({"message": message, "context": {"user_name": message, "preferences": {"<b>": "<i>"}}});
        let answer = server.post("/api/chat", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.text.contains(['<', '>']), "{answer:?}");
        let plan = json!({"goal": message, "profile": {"investment_goals": message},
            "numbers": {"debts": [{"name": message, "balance": 100, "apr": 20, "minimum_payment": 10}]}});
        let answer = server.post("/api/coach", plan).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.text.contains(['<', '>']), "{answer:?}");
    }
}

#[tokio::test]
async fn the_routes_are_described() {
    let server = Server::start();
    let document = server.get("/openapi.json").await.json();
    for (path, method) in [
        ("/coach/chat", "post"),
        ("/coach/plan", "post"),
        ("/coach/users/{id}", "delete"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{path}");
    }
    let chat = &document["components"]["schemas"]["ChatResponse"]["properties"];
    assert!(CHAT_KEYS.iter().all(|key| chat[key].is_object()), "{chat}");
}
