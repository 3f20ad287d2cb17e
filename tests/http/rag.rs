//! `/rag/`: documents, jobs, search, collections.

use reqwest::Method;
use serde_json::{Value, json};

use crate::files;
use crate::gguf;
use crate::server::{Answer, Server};
use crate::signer::{SECRET, Signer, anna};

const BOUNDARY: &str = "a-boundary-of-parts";

async fn with_embedder(variables: &[(&str, &str)]) -> Server {
    let variables = [&[("WICK_EMBED_MODEL", "vectors")], variables].concat();
    let server = Server::start_with(&variables);
    server.create("vectors", &gguf::encoder(), json!({})).await;
    server
}

/// The end of a job.
pub(crate) async fn end_of(server: &Server, begun: &Answer) -> Value {
    assert_eq!(begun.status, 202, "{begun:?}");
    let path = format!("/rag/jobs/{}", begun.json()["job_id"].as_str().unwrap());
    loop {
        let job = server.get(&path).await.json();
        if ["done", "failed", "cancelled"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn part(name: &str, file: Option<&str>, text: &[u8]) -> Vec<u8> {
    let file = file
        .map(|file| format!("; filename=\"{file}\""))
        .unwrap_or_default();
    let head =
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
    [head.as_bytes(), text, b"\r\n"].concat()
}

async fn send_form(server: &Server, parts: &[Vec<u8>]) -> Answer {
    let end = format!("--{BOUNDARY}--\r\n").into_bytes();
    let request = server.http.post(format!("{}/rag/documents", server.url));
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = request.header("content-type", kind);
    let body = [parts.concat(), end].concat();
    Answer::read(request.body(body).send().await.unwrap()).await
}

pub(crate) async fn search(server: &Server, body: Value) -> Value {
    let answer = server.post("/rag/search", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_text_becomes_a_document_that_is_found() {
    let server = with_embedder(&[]).await;
    let new = json!({"title": "House rules", "text": "Why is the sky blue?\n\nThe sky is blue.",
        "url": "https://example.org/rules", "metadata": {"floor": 3, "open": true}});
    let begun = server.post("/rag/documents", new).await;
    let job = end_of(&server, &begun).await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["passages"], job["passages_embedded"]);
    let id = job["documents"][0]["document_id"].as_str().unwrap();
    let one = server.get(&format!("/rag/documents/{id}")).await.json();
    assert_eq!(
        (&one["title"], &one["collection"]),
        (&json!("House rules"), &json!("default"))
    );
    assert_eq!(one["metadata"], json!({"floor": 3.0, "open": true}));
    for mode in ["hybrid", "vector", "text"] {
        let found = search(
            &server,
            json!({"query": "the blue sky", "mode": mode, "k": 3}),
        )
        .await;
        assert_eq!(found["mode"], mode);
        let hit = &found["hits"][0];
        assert_eq!(
            (&hit["document_id"], &hit["title"]),
            (&json!(id), &json!("House rules"))
        );
        assert_eq!(hit["url"], "https://example.org/rules");
        assert!(hit["text"].as_str().unwrap().contains("sky"));
        assert!(hit["position"]["offset"].is_u64() && hit["score"].is_number());
    }
    let filtered = |filter: Value| search(&server, json!({"query": "sky", "filter": filter}));
    assert_ne!(filtered(json!({"floor": 3})).await["hits"], json!([]));
    assert_ne!(
        filtered(json!({"floor": [1, 3], "open": true})).await["hits"],
        json!([])
    );
    assert_eq!(filtered(json!({"floor": 4})).await["hits"], json!([]));
    assert_eq!(
        filtered(json!({"floor": "3' OR '1'='1"})).await["hits"],
        json!([])
    );
    let listed = server.get("/rag/documents").await.json();
    assert_eq!(listed["documents"].as_array().unwrap().len(), 1);
    let gone = server
        .send(Method::DELETE, &format!("/rag/documents/{id}"), None)
        .await;
    assert_eq!(gone.status, 204);
    let gone = server.get(&format!("/rag/documents/{id}")).await;
    assert_eq!(gone.error(), (404, format!("there is no document '{id}'")));
    assert_eq!(
        search(&server, json!({"query": "sky"})).await["hits"],
        json!([])
    );
}

#[tokio::test]
async fn files_come_in_a_form_and_the_same_bytes_once() {
    let server = with_embedder(&[]).await;
    let begun = send_form(
        &server,
        &[
            part(
                "file",
                Some("../secret/a.md"),
                b"# Sky\n\nwhy is the sky blue?",
            ),
            part("file", Some("b.json"), b"{"),
            part("file", Some("c.csv"), b"day,colour\nmonday,blue\n"),
            part("collection", None, b"papers"),
            part("metadata", None, b"{\"year\": 2026}"),
        ],
    )
    .await;
    let location = format!("/rag/jobs/{}", begun.json()["job_id"].as_str().unwrap());
    let job = end_of(&server, &begun).await;
    assert_eq!(job["state"], "failed", "{job}");
    let documents = &job["documents"];
    assert_eq!(
        (&documents[0]["name"], &documents[0]["title"]),
        (&json!("a.md"), &json!("Sky"))
    );
    assert_eq!(documents[1]["error"], "the file is not JSON");
    assert_eq!(documents[2]["state"], "done");
    let again = send_form(
        &server,
        &[
            part("collection", None, b"papers"),
            part("file", Some("other.md"), b"# Sky\n\nwhy is the sky blue?"),
        ],
    )
    .await;
    let again = end_of(&server, &again).await;
    assert_eq!(again["documents"][0]["duplicate"], true);
    assert_eq!(
        again["documents"][0]["document_id"],
        documents[0]["document_id"]
    );
    let papers = server.get("/rag/documents?collection=papers").await.json();
    assert_eq!(papers["documents"].as_array().unwrap().len(), 2);
    let first = server.get("/rag/documents?limit=1").await.json();
    let next = format!(
        "/rag/documents?limit=1&after={}",
        first["next"].as_str().unwrap()
    );
    let second = server.get(&next).await.json();
    assert_ne!(first["documents"][0]["id"], second["documents"][0]["id"]);
    assert_eq!(second["next"], Value::Null);
    let events = server.http.get(format!("{}{location}", server.url));
    let events = events
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    let events = Answer::read(events).await;
    assert_eq!(events.kind, "text/event-stream");
    let result = events.text.split("event: result\ndata: ").nth(1).unwrap();
    let result: Value = serde_json::from_str(result.trim()).unwrap();
    assert_eq!(result, job);
    let ended = server.send(Method::DELETE, &location, None).await;
    assert_eq!(ended.error(), (422, "the job has ended already".to_owned()));
    let retry = server.post(&format!("{location}/retry"), json!({})).await;
    assert_eq!(retry.status, 422);
    assert_eq!(
        server.get("/rag/jobs").await.json()["jobs"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn pdfs_are_found_with_their_page_and_bad_ones_leave_nothing() {
    let server = with_embedder(&[]).await;
    let files = [
        part("file", Some("reserve.pdf"), &files::page("null".to_owned())),
        part("file", Some("bomb.pdf"), &files::bomb()),
        part("file", Some("broken.pdf"), b"%PDF-1.7\n1 0 obj"),
    ];
    let job = end_of(&server, &send_form(&server, &files).await).await;
    assert_eq!(job["state"], "failed", "{job}");
    assert_eq!(job["documents"][0]["state"], "done", "{job}");
    for bad in [1, 2] {
        let told = job["documents"][bad]["error"].as_str().unwrap();
        assert!(told.starts_with("the file "), "{told}");
    }
    let hits = search(&server, json!({"query": "months of costs"})).await;
    assert_eq!(hits["hits"].as_array().unwrap().len(), 1, "{hits}");
    assert_eq!(hits["hits"][0]["position"]["page"], 1, "{hits}");
    let listed = server.get("/rag/documents").await.json();
    assert_eq!(listed["documents"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn collections_are_made_listed_and_removed() {
    let server = with_embedder(&[]).await;
    let new = json!({"name": "papers", "description": "Signed ones"});
    let made = server.post("/rag/collections", new).await;
    assert_eq!(made.status, 200);
    let begun = server
        .post(
            "/rag/documents",
            json!({"text": "the sky", "collection": "papers"}),
        )
        .await;
    end_of(&server, &begun).await;
    let listed = server.get("/rag/collections").await.json();
    let want = json!({"collections": [{"name": "papers", "description": "Signed ones", "documents": 1, "passages": 1}]});
    assert_eq!(listed, want);
    let other = server
        .post(
            "/rag/search",
            json!({"query": "sky", "collection": "letters"}),
        )
        .await;
    assert_eq!(
        other.error(),
        (404, "there is no collection 'letters'".to_owned())
    );
    let removed = server
        .send(Method::DELETE, "/rag/collections?name=papers", None)
        .await;
    assert_eq!(
        (removed.status.as_u16(), removed.json()),
        (200, json!({"documents": 1}))
    );
    assert_eq!(
        server.get("/rag/documents").await.json(),
        json!({"documents": []})
    );
    let again = server
        .send(Method::DELETE, "/rag/collections?name=papers", None)
        .await;
    assert_eq!(again.status, 404);
    let nameless = server.send(Method::DELETE, "/rag/collections", None).await;
    assert_eq!(
        nameless.error(),
        (400, "field 'name' is required, in the query".to_owned())
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_stores_nothing() {
    let server = with_embedder(&[]).await;
    for (body, want) in [
        (json!({}), "field 'text' is required"),
        (json!({"text": " "}), "field 'text' must not be empty"),
        (json!({"text": 1}), "field 'text' must be a string"),
        (
            json!({"text": "x", "collection": "a b"}),
            "field 'collection' is wrong: ",
        ),
        (
            json!({"text": "x", "collection": "x'; DROP TABLE documents; --"}),
            "field 'collection' is wrong: ",
        ),
        (
            json!({"text": "x", "url": "javascript:alert(1)"}),
            "field 'url' must be an http",
        ),
        (
            json!({"text": "x", "metadata": {"a": [1]}}),
            "field 'metadata' must have texts",
        ),
        (
            json!({"text": "x", "format": "exe"}),
            "field 'format' is wrong: ",
        ),
    ] {
        let (status, text) = server.post("/rag/documents", body.clone()).await.error();
        assert_eq!(status, 400, "{body}: {text}");
        assert!(text.starts_with(want), "{body}: {text}");
    }
    for (parts, status) in [
        (vec![], 400),
        (vec![part("collection", None, b"c")], 400),
        (vec![part("file", Some("a.exe"), b"MZ")], 400),
        (vec![part("file", Some("a.txt"), b"")], 400),
        (
            vec![
                part("file", Some("a.txt"), b"x"),
                part("metadata", None, b"[1]"),
            ],
            400,
        ),
        (
            vec![
                part("file", Some("a.txt"), b"x"),
                part("collection", None, b"../x"),
            ],
            400,
        ),
        (
            vec![part("file", Some("a.txt"), &vec![b'x'; (32 << 20) + 1])],
            413,
        ),
    ] {
        let answer = send_form(&server, &parts).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    for (body, want) in [
        (json!({}), "field 'query' is required"),
        (json!({"query": ""}), "field 'query' must not be empty"),
        (
            json!({"query": "x", "k": 0}),
            "field 'k' must be from 1 to 100",
        ),
        (
            json!({"query": "x", "k": 101}),
            "field 'k' must be from 1 to 100",
        ),
        (json!({"query": "x", "mode": "guess"}), "field 'mode' "),
        (
            json!({"query": "x", "filter": {"a": {"b": 1}}}),
            "field 'filter' must have texts",
        ),
    ] {
        let (status, text) = server.post("/rag/search", body.clone()).await.error();
        assert_eq!(status, 400, "{body}: {text}");
        assert!(text.starts_with(want), "{body}: {text}");
    }
    for path in [
        "/rag/documents/x",
        "/rag/documents/doc_00",
        "/rag/jobs/job_1",
        "/rag/documents/..%2f..%2fetc",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    assert_eq!(server.get("/rag/documents?limit=0").await.status, 400);
    assert_eq!(server.get("/rag/documents?limit=x").await.status, 400);
    assert_eq!(
        server.get("/rag/documents").await.json(),
        json!({"documents": []})
    );
    assert_eq!(server.get("/rag/jobs").await.json(), json!({"jobs": []}));
}

#[tokio::test]
async fn without_the_model_nothing_is_taken() {
    let server = Server::start_with(&[("WICK_EMBED_MODEL", "absent")]);
    let answer = server.post("/rag/documents", json!({"text": "x"})).await;
    let (status, text) = answer.error();
    assert_eq!(status, 503);
    assert!(text.contains("wick pull absent"), "{text}");
    assert_eq!(server.get("/rag/jobs").await.json(), json!({"jobs": []}));
    assert_eq!(
        search(&server, json!({"query": "x"})).await["hits"],
        json!([])
    );
}

#[tokio::test]
async fn tenants_do_not_meet() {
    let server = with_embedder(&[("WICK_JWT_SECRET", SECRET)]).await;
    let signer = Signer::secret(SECRET.as_bytes());
    let (acme, other) = (signer.sign(&anna("acme")), signer.sign(&anna("other")));
    let call = async |method: Method, path: &str, token: &str, body: Value| {
        let request = server.with_bearer(method, path, token);
        Answer::read(request.body(body.to_string()).send().await.unwrap()).await
    };
    assert_eq!(server.get("/rag/documents").await.status, 401);
    let begun = call(
        Method::POST,
        "/rag/documents",
        &acme,
        json!({"text": "the sky is blue"}),
    )
    .await;
    let path = format!("/rag/jobs/{}", begun.json()["job_id"].as_str().unwrap());
    assert_eq!(
        call(Method::GET, &path, &other, json!({})).await.status,
        404
    );
    assert_eq!(
        call(Method::DELETE, &path, &other, json!({})).await.status,
        404
    );
    let id = loop {
        let job = call(Method::GET, &path, &acme, json!({})).await.json();
        if job["state"] == "done" {
            break job["documents"][0]["document_id"]
                .as_str()
                .unwrap()
                .to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let document = format!("/rag/documents/{id}");
    let question = json!({"query": "sky"});
    let own = call(Method::POST, "/rag/search", &acme, question.clone())
        .await
        .json();
    assert_eq!(own["hits"][0]["document_id"], json!(id));
    let theirs = call(Method::POST, "/rag/search", &other, question)
        .await
        .json();
    assert_eq!(theirs["hits"], json!([]));
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(call(method, &document, &other, json!({})).await.status, 404);
    }
    assert_eq!(
        call(Method::GET, "/rag/collections", &other, json!({}))
            .await
            .json(),
        json!({"collections": []})
    );
    assert_eq!(
        call(
            Method::DELETE,
            "/rag/collections?name=default",
            &other,
            json!({})
        )
        .await
        .status,
        404
    );
    assert_eq!(
        call(Method::GET, &document, &acme, json!({})).await.status,
        200
    );
}

#[tokio::test]
async fn the_articles_are_found_where_they_are_asked_for() {
    let server = with_embedder(&[]).await;
    let question = json!({"query": "emergency fund", "mode": "text", "builtin": true});
    let hit = loop {
        let found = search(&server, question.clone()).await;
        if found["hits"] != json!([]) {
            break found["hits"][0].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert!(hit["metadata"]["article"].is_string(), "{hit}");
    let own = search(&server, json!({"query": "emergency fund", "mode": "text"})).await;
    assert_eq!(own["hits"], json!([]), "not without being asked for");
    assert_eq!(
        server.get("/rag/documents").await.json(),
        json!({"documents": []})
    );
    let path = format!("/rag/documents/{}", hit["document_id"].as_str().unwrap());
    let remove = server.send(Method::DELETE, &path, None);
    assert_eq!(remove.await.status, 404, "nobody's to remove");
}

#[tokio::test]
async fn documents_outlive_a_killed_server() {
    let server = with_embedder(&[]).await;
    let begun = server
        .post(
            "/rag/documents",
            json!({"text": "the sky is blue", "title": "Kept"}),
        )
        .await;
    end_of(&server, &begun).await;
    let text = "why is the sky blue? ".repeat(40_000);
    let begun = server
        .post("/rag/documents", json!({"text": text, "title": "Large"}))
        .await;
    let path = format!("/rag/jobs/{}", begun.json()["job_id"].as_str().unwrap());
    loop {
        let job = server.get(&path).await.json();
        if job["passages_embedded"].as_u64().unwrap() > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let folder = server.kill();
    let server = Server::start_in(folder, &[("WICK_EMBED_MODEL", "vectors")]);
    let listed = server.get("/rag/documents").await.json();
    let titles: Vec<&Value> = listed["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["title"])
        .collect();
    assert!(titles.contains(&&json!("Kept")));
    let job = server.get(&path).await.json();
    if titles.len() == 1 {
        assert!(
            ["waiting", "running"].contains(&job["state"].as_str().unwrap()),
            "{job}"
        );
        let cancelled = server.send(Method::DELETE, &path, None).await;
        assert_eq!(cancelled.status, 200, "{cancelled:?}");
    }
}

#[tokio::test]
async fn copies_are_made_while_the_server_runs_and_put_back_while_it_does_not() {
    let server = with_embedder(&[]).await;
    for title in ["Kept", "Kept too"] {
        let new = json!({"text": format!("{title}: the sky is blue"), "title": title});
        let begun = server.post("/rag/documents", new).await;
        end_of(&server, &begun).await;
    }
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().to_str().unwrap();
    server.command(&["rag", "backup", path]);
    let begun = server
        .post("/rag/documents", json!({"text": "it came later"}))
        .await;
    end_of(&server, &begun).await;
    let restore = |home: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wick"));
        command.args(["rag", "restore", path, "--replace"]);
        command.env_clear().env("HOME", home).output().unwrap()
    };
    let refused = restore(server.home());
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("stop the server first"), "{text}");
    let folder = server.kill();
    let restored = restore(folder.path());
    assert!(restored.status.success(), "{restored:?}");
    let server = Server::start_in(folder, &[("WICK_EMBED_MODEL", "vectors")]);
    let listed = server.get("/rag/documents").await.json();
    let titles: Vec<&Value> = listed["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| &document["title"])
        .collect();
    assert_eq!(titles, ["Kept too", "Kept"]);
    let found = search(&server, json!({"query": "the blue sky"})).await;
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
}
