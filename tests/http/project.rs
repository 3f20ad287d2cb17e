//! `/ai/code/generate` and its archive.

use std::io::{Cursor, Read};
use std::path::{Component, Path};

use reqwest::Method;
use serde_json::{Value, json};
use zip::ZipArchive;

use crate::gguf::{self, Script};
use crate::server::{Answer, PLAIN, Server};
use crate::signer::{SECRET, Signer, anna, now};

const PATH: &str = "/ai/code/generate";

/// A request that ends with `<|plan|>` is planned like this, and what stands last in a purpose or in a mistaken line
/// decides how it goes on.
const SCRIPTS: [Script; 13] = [
    (
        "<|plan|>",
        &[
            "{\"notes\":▁\"A▁page▁and▁a▁service.\",▁\"files\":▁[",
            "{\"action\":▁\"create\",▁\"path\":▁\"web/index.html\",▁\"purpose\":▁\"<|page|>\"},",
            "▁{\"action\":▁\"create\",▁\"path\":▁\"main.py\",▁\"purpose\":▁\"<|service|>\"}]}",
        ],
        false,
    ),
    (
        "<|page|>",
        &["```html\n<h1>Shop</h1>\n", "<p>Open▁daily.</p>\n", "```"],
        false,
    ),
    (
        "<|service|>",
        &["```python\ndef▁opens():\n", "▁▁▁▁return▁9\n", "```"],
        false,
    ),
    (
        "<|change|>",
        &[
            "{\"notes\":▁\"Later.\",▁\"files\":▁[",
            "{\"action\":▁\"edit\",▁\"path\":▁\"main.py\",▁\"purpose\":▁\"<|later|>\"},",
            "▁{\"action\":▁\"delete\",▁\"path\":▁\"web/index.html\",▁\"purpose\":▁\"gone\"}]}",
        ],
        false,
    ),
    (
        "<|later|>",
        &["```python\ndef▁opens():\n▁▁▁▁return▁10\n", "```"],
        false,
    ),
    (
        "<|mistake|>",
        &[
            "{\"notes\":▁\"With▁a▁mistake.\",▁\"files\":▁[",
            "{\"action\":▁\"create\",▁\"path\":▁\"a.py\",▁\"purpose\":▁\"<|broken|>\"}]}",
        ],
        false,
    ),
    (
        "<|broken|>",
        &["```python\ndef▁f(:▁#▁<|mend|>\n", "▁▁▁▁return▁1\n", "```"],
        false,
    ),
    (
        "<|mend|>",
        &["```python\ndef▁f():\n▁▁▁▁return▁2\n", "```"],
        false,
    ),
    (
        "<|mistakes|>",
        &[
            "{\"notes\":▁\"With▁mistakes.\",▁\"files\":▁[",
            "{\"action\":▁\"create\",▁\"path\":▁\"b.json\",▁\"purpose\":▁\"<|worse|>\"},",
            "{\"action\":▁\"create\",▁\"path\":▁\"c.css\",▁\"purpose\":▁\"<|style|>\"}]}",
        ],
        false,
    ),
    (
        "<|worse|>",
        &["```json\n{\"b\":▁▁\"<|worse|>\n", "```"],
        false,
    ),
    ("<|style|>", &["```css\nb▁{▁}\n", "```"], false),
    // It wants out of the project, and may not.
    (
        "<|escape|>",
        &[
            "{\"notes\":▁\"Out.\",▁\"files\":▁[",
            "{\"action\":▁\"create\",▁\"path\":▁\"",
            "../../",
            "etc/passwd",
            "\",▁\"purpose\":▁\"<|page|>\"}]}",
        ],
        false,
    ),
    // It wants names that are devices and folders of tools.
    (
        "<|reserved|>",
        &[
            "{\"notes\":▁\"Devices.\",▁\"files\":▁[",
            "{\"action\":▁\"create\",▁\"path\":▁\"nul.txt\",▁\"purpose\":▁\"x\"},",
            "{\"action\":▁\"create\",▁\"path\":▁\"d/.git/config\",▁\"purpose\":▁\"x\"}]}",
        ],
        false,
    ),
];

/// How files begin: nothing else may come first, so that only a token that is longer can begin with it.
const OPENINGS: [&str; 4] = ["```html\n", "```python\n", "```json\n", "```css\n"];

async fn server(more: &[(&str, &str)]) -> Server {
    let server = Server::start_with(&[&[("WICK_ASSIST_MODEL", "actor")], more].concat());
    let actor = gguf::actor(&SCRIPTS, &OPENINGS);
    server
        .create("actor", &actor, json!({"template": PLAIN}))
        .await;
    server
}

async fn ask(server: &Server, request: Value) -> Value {
    let answer = server.post(PATH, request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Names and contents of an archive.
async fn archive(server: &Server, answer: &Value) -> Vec<(String, String)> {
    let id = answer["conversation_id"].as_str().unwrap();
    let url = format!("{}{PATH}/{id}/archive", server.url);
    let response = server.http.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/zip");
    assert_eq!(
        response.headers()["content-disposition"],
        "attachment; filename=\"project.zip\""
    );
    let bytes = response.bytes().await.unwrap();
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = Vec::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        assert!(file.is_file() && !file.is_symlink());
        let name = file.name().unwrap().into_owned();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        files.push((name, text));
    }
    files
}

fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
    let files = files.iter();
    files
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}

#[tokio::test]
async fn words_become_files_and_an_archive() {
    let server = server(&[]).await;
    let answer = ask(
        &server,
        json!({"prompt": "A shop, please <|plan|>", "stack": "FastAPI"}),
    )
    .await;
    let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["files", "notes", "model", "conversation_id"]);
    let page = "<h1>Shop</h1>\n<p>Open daily.</p>\n";
    let service = "def opens():\n    return 9\n";
    assert_eq!(
        answer["files"],
        json!([
            {"path": "web/index.html", "content": page, "language": "html", "action": "create"},
            {"path": "main.py", "content": service, "language": "python", "action": "create"},
        ])
    );
    assert_eq!(answer["notes"], "A page and a service.");
    assert_eq!(answer["model"], "actor:latest");
    let want = pairs(&[("main.py", service), ("web/index.html", page)]);
    assert_eq!(archive(&server, &answer).await, want);

    // The next request goes on with these files, and with one that came from elsewhere.
    let request = json!({"prompt": "An hour later <|change|>", "conversation_id": answer["conversation_id"],
        "files": [{"path": "notes/é.md", "content": "ünï\r\n"}]});
    let changed = ask(&server, request).await;
    assert_eq!(changed["conversation_id"], answer["conversation_id"]);
    let later = "def opens():\n    return 10\n";
    assert_eq!(
        changed["files"],
        json!([
            {"path": "main.py", "content": later, "language": "python", "action": "edit"},
            {"path": "web/index.html", "content": "", "language": "html", "action": "delete"},
        ])
    );
    let want = pairs(&[("main.py", later), ("notes/é.md", "ünï\r\n")]);
    assert_eq!(archive(&server, &changed).await, want);
}

/// The data of events of one name.
fn named<'e>(events: &'e [(String, Value)], wanted: &str) -> Vec<&'e Value> {
    let events = events.iter().filter(|(name, _)| name == wanted);
    events.map(|(_, data)| data).collect()
}

#[tokio::test]
async fn a_stream_tells_the_plan_the_files_and_the_whole() {
    let server = server(&[]).await;
    let mut request = json!({"prompt": "A shop <|plan|>"});
    let mut whole = ask(&server, request.clone()).await;
    request["stream"] = true.into();
    let events = server.events(PATH, request).await;
    let (name, mut result) = events.last().unwrap().clone();
    assert_eq!(name, "result");
    for answer in [&mut whole, &mut result] {
        let id = answer
            .as_object_mut()
            .unwrap()
            .remove("conversation_id")
            .unwrap();
        assert!(id.as_str().unwrap().starts_with("code_"), "{id}");
    }
    assert_eq!(result, whole);
    assert_eq!(events[0].0, "plan");
    let planned = json!({"path": "web/index.html", "action": "create", "purpose": "<|page|>"});
    assert_eq!(events[0].1["files"][0], planned);
    assert_eq!(json!(named(&events, "file")), whole["files"]);
    let tokens = named(&events, "token");
    for file in whole["files"].as_array().unwrap() {
        let pieces = tokens.iter().filter(|token| token["path"] == file["path"]);
        let text: String = pieces
            .map(|token| token["text"].as_str().unwrap())
            .collect();
        assert_eq!(file["content"], text);
    }
}

#[tokio::test]
async fn mistakes_are_mended_or_told() {
    let server = server(&[]).await;
    let mended = ask(&server, json!({"prompt": "<|mistake|>"})).await;
    assert_eq!(mended["files"][0]["content"], "def f():\n    return 2\n");
    let notes = mended["notes"].as_str().unwrap();
    assert!(
        notes.contains("a.py was written twice, as the first time line 1"),
        "{notes}"
    );
    let told = ask(&server, json!({"prompt": "<|mistakes|>"})).await;
    assert_eq!(told["files"].as_array().unwrap().len(), 2);
    let notes = told["notes"].as_str().unwrap();
    assert!(notes.contains("b.json is not sound: line 1"), "{notes}");
    assert!(notes.contains("Syntax not checked: c.css"), "{notes}");
}

#[tokio::test]
async fn no_path_leaves_the_project_whatever_the_model_wants() {
    let server = server(&[]).await;
    // Its dots are not let through; what comes in their place lies inside.
    let answer = ask(&server, json!({"prompt": "<|escape|>"})).await;
    let files = answer["files"].as_array().unwrap();
    assert!(!files.is_empty());
    for file in files {
        let path = Path::new(file["path"].as_str().unwrap());
        let is_inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        assert!(is_inside, "{path:?}");
    }
    let notes = answer["notes"].as_str().unwrap();
    assert!(notes.contains("it broke off before its end"), "{notes}");
    let (status, text) = server
        .post(PATH, json!({"prompt": "<|reserved|>"}))
        .await
        .error();
    assert_eq!(status, 422);
    assert!(text.contains("reserved name"), "{text}");
}

#[tokio::test]
async fn unsound_files_are_refused_with_the_reason() {
    let server = server(&[]).await;
    let long = "a/".repeat(100) + "b";
    for (path, want) in [
        ("../x", "files[0].path' must stay inside the project"),
        ("a/../../x", "must stay inside the project"),
        ("/etc/passwd", "must be relative"),
        ("C:\\x", "must have '/' between its parts"),
        ("C:/x", "must be relative"),
        ("a\\..\\x", "must have '/'"),
        ("a\u{0}b", "a character that is not safe"),
        ("%2e%2e/x", "a character that is not safe"),
        ("", "must not be empty"),
        ("a//b", "must name a file"),
        ("con.txt", "reserved name"),
        (".git/config", "reserved name"),
        (long.as_str(), "is too long"),
    ] {
        let files = json!([{"path": path, "content": "x"}]);
        let (status, text) = server
            .post(PATH, json!({"prompt": "<|plan|>", "files": files}))
            .await
            .error();
        assert_eq!(status, 400, "{path}: {text}");
        assert!(text.contains(want), "{path}: {text}");
    }
    let file = |path: &str, content: &str| json!({"path": path, "content": content});
    let many: Vec<Value> = (0..65).map(|at| file(&format!("f{at}"), "")).collect();
    let long = "x".repeat((256 << 10) + 1);
    let large: Vec<Value> = (0..5)
        .map(|at| file(&format!("f{at}"), &long[1..]))
        .collect();
    for (more, status, want) in [
        (
            json!({"files": [file("a", ""), file("A", "")]}),
            400,
            "the path of files[0] as well",
        ),
        (
            json!({"files": [file("a", ""), file("a/b", "")]}),
            400,
            "a file and a folder at once",
        ),
        (json!({"files": [file("a", "x\u{0}")]}), 400, "must be text"),
        (json!({"files": many}), 413, "more than 64 files"),
        (
            json!({"files": [file("a", &long)]}),
            413,
            "files[0].content' is longer than 262144 bytes",
        ),
        (
            json!({"files": large}),
            413,
            "longer than 1048576 bytes together",
        ),
        (json!({"files": [{"path": "a"}]}), 400, "is required"),
        (json!({"files": "a"}), 400, "field 'files' must be a list"),
        (
            json!({"stack": "cobol"}),
            400,
            "field 'stack' must be one of html, react",
        ),
        (
            json!({"prompt": " "}),
            400,
            "field 'prompt' must not be empty",
        ),
        (
            json!({"prompt": "x".repeat(70_000)}),
            413,
            "field 'prompt' is longer",
        ),
        (
            json!({"prompt": "x".repeat(5_000)}),
            413,
            "longer than the context",
        ),
        (
            json!({"conversation_id": "code_nobody"}),
            404,
            "conversation 'code_nobody' not found",
        ),
        (
            json!({"conversation_id": "<x>"}),
            400,
            "field 'conversation_id'",
        ),
        (json!({"model": "nobody"}), 404, "model 'nobody' not found"),
    ] {
        let mut request = json!({"prompt": "<|plan|>"});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (got, text) = server.post(PATH, request).await.error();
        assert_eq!(got, status, "{text}");
        assert!(text.contains(want), "{want}: {text}");
    }
    let bytes = b"{\"prompt\": \"p\", \"files\": [{\"path\": \"a\", \"content\": \"\xff\xfe\"}]}";
    let request = server
        .http
        .post(format!("{}{PATH}", server.url))
        .body(bytes.to_vec());
    let (status, text) = Answer::read(request.send().await.unwrap()).await.error();
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("not JSON"), "{text}");
}

#[tokio::test]
async fn conversations_belong_to_one_user_of_one_tenant() {
    let server = server(&[("WICK_JWT_SECRET", SECRET)]).await;
    let sign = |claims: Value| Signer::secret(SECRET.as_bytes()).sign(&claims);
    let token = sign(anna("acme"));
    let post = async |token: &str, body: Value| {
        let request = server
            .with_bearer(Method::POST, PATH, token)
            .body(body.to_string());
        Answer::read(request.send().await.unwrap()).await
    };
    let answer = post(&token, json!({"prompt": "<|plan|>"})).await.json();
    let id = answer["conversation_id"].as_str().unwrap();
    let path = format!("{PATH}/{id}/archive");
    let get = async |token: &str| {
        let request = server.with_bearer(Method::GET, &path, token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(get(&token).await, 200);
    let bert = json!({"sub": "bert", "tenant": "acme", "exp": now() + 600});
    let unknown = format!("{PATH}/code_0/archive");
    let request = server.with_bearer(Method::GET, &unknown, &token);
    let nowhere = Answer::read(request.send().await.unwrap()).await.error();
    for other in [sign(anna("rival")), sign(bert)] {
        assert_eq!(get(&other).await, 404);
        let request = server.with_bearer(Method::GET, &path, &other);
        let refused = Answer::read(request.send().await.unwrap()).await.error();
        assert_eq!(
            refused.1.replace(id, "code_0"),
            nowhere.1,
            "as if it had never been"
        );
        let stolen = post(
            &other,
            json!({"prompt": "<|change|>", "conversation_id": id}),
        )
        .await;
        assert_eq!(stolen.status, 404, "{stolen:?}");
    }
    let scoped = json!({"sub": "anna", "tenant": "acme", "exp": now() + 600, "scope": "wick:sql"});
    assert_eq!(get(&sign(scoped)).await, 403);
    assert_eq!(server.get(&path).await.status, 401);
}

#[tokio::test]
async fn nothing_of_a_project_is_logged() {
    let server = server(&[("OLLAMA_DEBUG", "2")]).await;
    let private = "zebra7crossing";
    let files = json!([{"path": format!("{private}.py"), "content": format!("{private} = 1\n")}]);
    let request = json!({"prompt": format!("{private} <|plan|>"), "files": files});
    let answer = ask(&server, request).await;
    assert_eq!(archive(&server, &answer).await.len(), 3);
    for request in [
        json!({"prompt": private, "stack": private}),
        json!({"prompt": private, "files": [{"path": format!("../{private}"), "content": private}]}),
        json!({"prompt": private, "files": [{"path": {"x": private}, "content": private}]}),
        json!({"prompt": format!("{private} <|reserved|>"), "files": files}),
    ] {
        let answer = server.post(PATH, request).await;
        assert!(answer.status == 400 || answer.status == 422, "{answer:?}");
        assert!(!answer.text.contains(private), "{answer:?}");
    }
    let log = server.log();
    assert!(log.contains("listening on"), "the log is there");
    for private in [private, "Open daily", "opens()"] {
        assert!(!log.contains(private), "{private} is in the log");
    }
}

#[tokio::test]
async fn a_model_that_is_not_here_is_a_fault_of_the_service() {
    let server = Server::start_with(&[("WICK_ASSIST_MODEL", "absent")]);
    let answer = server.post(PATH, json!({"prompt": "x"})).await;
    assert_eq!(answer.error().0, 503);
}
