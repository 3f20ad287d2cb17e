//! The whole way with a model that says what it was told to.

use std::sync::Mutex;

use serde_json::json;

use super::*;

/// Answers one after the other, with as little context as is wanted.
struct Script {
    answers: Mutex<Vec<String>>,
    asked: Mutex<Vec<Ask>>,
    context_tokens: usize,
}

impl Script {
    fn new(answers: &[&str]) -> Script {
        Script {
            answers: Mutex::new(
                answers
                    .iter()
                    .rev()
                    .map(|text| (*text).to_owned())
                    .collect(),
            ),
            asked: Mutex::default(),
            context_tokens: 4096,
        }
    }

    /// The last thing said to the model in each call.
    fn tasks(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|ask| ask.turns.last().unwrap().text.clone())
            .collect()
    }
}

impl Writer for Script {
    type Error = &'static str;

    fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    fn count(&self, text: &str) -> usize {
        text.len().div_ceil(4)
    }

    async fn write(&self, ask: Ask, say: &mut Say<'_>) -> Result<(), &'static str> {
        let room = self.context_tokens - ask.max_tokens;
        let prompt: usize = ask.turns.iter().map(|turn| self.count(&turn.text)).sum();
        assert!(
            prompt <= room,
            "{prompt} tokens do not leave room for the answer"
        );
        self.asked.lock().unwrap().push(ask);
        let answer = self
            .answers
            .lock()
            .unwrap()
            .pop()
            .ok_or("nothing left to say")?;
        // In pieces of a few bytes each.
        let mut rest = answer.as_str();
        while !rest.is_empty() {
            let at = rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at);
            say(&rest[..at]);
            rest = &rest[at..];
        }
        Ok(())
    }
}

fn plan(files: &[(&str, &str)]) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|(action, path)| json!({"action": action, "path": path, "purpose": format!("for {path}")}))
        .collect();
    json!({"notes": "As asked.", "files": files}).to_string()
}

fn request(files: &[(&str, &str)]) -> CodeRequest {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    CodeRequest {
        prompt: "Make a shop".to_owned(),
        stack: stack("flask"),
        project: Project::new(files.collect()).unwrap(),
        earlier: Vec::new(),
        until: Instant::now() + Duration::from_secs(600),
    }
}

/// What came of it, and what was told on the way.
async fn made(
    request: &CodeRequest,
    script: &Script,
) -> (Result<Generated, GenerateError<&'static str>>, Vec<String>) {
    let mut told = Vec::new();
    let mut tell = |progress: Progress<'_>| match progress {
        Progress::Plan(files) => told.push(format!("plan of {}", files.len())),
        Progress::Text { path, text } => match told.last_mut() {
            Some(last) if last.starts_with(&format!("{path}: ")) => last.push_str(text),
            _ => told.push(format!("{path}: {text}")),
        },
        Progress::File(file) => told.push(format!("done {}", file.path)),
    };
    let result = generate(request, script, &mut tell).await;
    (result, told)
}

#[tokio::test]
async fn files_are_planned_then_written_one_by_one() {
    let page = "```html\n<h1>Shop</h1>\n```";
    let app = "```python\nprint(1)\n```";
    let script = Script::new(&[
        &plan(&[("create", "index.html"), ("create", "app.py")]),
        page,
        app,
    ]);
    let (result, told) = made(&request(&[]), &script).await;
    let done = result.unwrap();
    let files: Vec<_> = done
        .files
        .iter()
        .map(|file| {
            (
                file.path.as_str(),
                file.content.as_str(),
                file.language,
                file.action,
            )
        })
        .collect();
    let want = [
        ("index.html", "<h1>Shop</h1>\n", "html", Action::Create),
        ("app.py", "print(1)\n", "python", Action::Create),
    ];
    assert_eq!(files, want);
    assert_eq!(done.notes, "As asked.");
    assert_eq!(done.project.files().len(), 2);
    let want = [
        "plan of 2",
        "index.html: <h1>Shop</h1>\n",
        "done index.html",
        "app.py: print(1)\n",
        "done app.py",
    ];
    assert_eq!(told, want);
    // Each call goes on with the one before, so that its beginning is read once.
    let asked = script.asked.lock().unwrap();
    assert_eq!(asked[1].turns[..2], asked[0].turns[..]);
    assert_eq!(asked[2].turns[..4], asked[1].turns[..]);
    assert_eq!(asked[2].turns[4].text, page);
    assert!(
        asked[0].turns[0].text.contains("Flask"),
        "{}",
        asked[0].turns[0].text
    );
    assert!(asked[0].turns[1].text.ends_with("Make a shop"));
}

#[tokio::test]
async fn a_mistake_is_mended_once_with_its_line_told() {
    let broken = "```python\nx = 1\ndef f(:\n    return x\n```";
    let sound = "```python\nx = 1\ndef f():\n    return x\n```";
    let script = Script::new(&[&plan(&[("create", "a.py")]), broken, sound]);
    let (result, told) = made(&request(&[]), &script).await;
    let done = result.unwrap();
    assert_eq!(done.files[0].content, "x = 1\ndef f():\n    return x\n");
    assert!(
        done.notes
            .contains("a.py was written twice, as the first time line 2"),
        "{}",
        done.notes
    );
    let task = script.tasks().pop().unwrap();
    assert!(
        task.starts_with("Line 2 of a.py is wrong") && task.ends_with("def f(:"),
        "{task}"
    );
    assert_eq!(
        told.iter()
            .filter(|line| line.starts_with("a.py: "))
            .count(),
        1,
        "{told:?}"
    );
}

#[tokio::test]
async fn what_stays_wrong_is_told() {
    let broken = "```json\n{\"a\": }\n```";
    let other = "```json\n{\"b\": 1,}\n```";
    let script = Script::new(&[&plan(&[("create", "a.json")]), broken, other]);
    let done = made(&request(&[]), &script).await.0.unwrap();
    assert_eq!(done.files[0].content, "{\"b\": 1,}\n");
    assert!(
        done.notes.contains("a.json is not sound: line 1"),
        "{}",
        done.notes
    );
    assert_eq!(
        script.asked.lock().unwrap().len(),
        3,
        "once and not more often"
    );
    // Half a file is no better than a broken one.
    let script = Script::new(&[&plan(&[("create", "a.json")]), broken, "```json\n{"]);
    let done = made(&request(&[]), &script).await.0.unwrap();
    assert_eq!(done.files[0].content, "{\"a\": }\n");
}

#[tokio::test]
async fn a_file_that_breaks_off_is_told_and_replaces_nothing() {
    let script = Script::new(&[
        &plan(&[("create", "a.css")]),
        "```css\na {",
        "```css\na { color",
    ]);
    let done = made(&request(&[]), &script).await.0.unwrap();
    assert!(
        done.notes
            .contains("a.css is not sound: it broke off before its end"),
        "{}",
        done.notes
    );
    assert!(
        done.notes.ends_with("Syntax not checked: a.css"),
        "{}",
        done.notes
    );
    assert!(script.tasks()[2].contains("write a shorter a.css"));
    let script = Script::new(&[
        &plan(&[("edit", "a.css"), ("create", "b.py")]),
        "```css\nb {",
        "```css\nb {",
        "```python\n1\n```",
    ]);
    let done = made(&request(&[("a.css", "a {}\n")]), &script)
        .await
        .0
        .unwrap();
    assert_eq!(done.files.len(), 1);
    assert!(
        done.notes
            .contains("a.css was not written: it broke off, so it stays"),
        "{}",
        done.notes
    );
    let path = ProjectPath::new("a.css").unwrap();
    assert_eq!(done.project.content(&path), Some("a {}\n"));
}

#[tokio::test]
async fn given_files_are_edited_and_deleted() {
    let request = request(&[
        ("a.py", "x = 1\r\n"),
        ("b.md", "````\nx\n````\n"),
        ("c.py", "y = 1\n"),
    ]);
    let script = Script::new(&[
        &plan(&[("edit", "a.py"), ("edit", "b.md"), ("delete", "c.py")]),
        "```python\nx = 2\n```",
        "`````markdown\n````\ny\n````\n`````",
    ]);
    let done = made(&request, &script).await.0.unwrap();
    let files: Vec<_> = done
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.content.as_str(), file.action))
        .collect();
    let want = [
        ("a.py", "x = 2\r\n", Action::Edit),
        ("b.md", "````\ny\n````\n", Action::Edit),
        ("c.py", "", Action::Delete),
    ];
    assert_eq!(files, want);
    let left: Vec<_> = done
        .project
        .files()
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(left, ["a.py", "b.md"]);
    let beginning = script.asked.lock().unwrap()[0].turns[1].text.clone();
    assert!(
        beginning.contains("- a.py, 1 lines\n") && beginning.contains("x = 1"),
        "{beginning}"
    );
    assert!(script.tasks()[1].contains("a.py is now:\n```python\nx = 1\n```"));
}

#[tokio::test]
async fn plans_without_anything_to_do_are_errors() {
    let answers = [
        (
            "{\"notes\": \"x\", \"files\": [",
            "the plan did not come to an end",
        ),
        (&*plan(&[]), "nothing came of the plan"),
        (
            &*plan(&[("create", "nul"), ("create", "a/.git/b")]),
            "reserved name",
        ),
    ];
    for (answer, want) in answers {
        let error = made(&request(&[]), &Script::new(&[answer]))
            .await
            .0
            .unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
    }
    let script = Script::new(&[&plan(&[("edit", "secret.py")]), "```python\n1\n```"]);
    let error = made(&request(&[("secret.py", "1\n")]), &script)
        .await
        .0
        .unwrap_err();
    assert!(
        error.to_string().contains("it came out as it was"),
        "{error}"
    );
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = made(&request(&[]), &Script::new(&[])).await.0.unwrap_err();
    assert!(matches!(
        error,
        GenerateError::Writer("nothing left to say")
    ));
}

#[tokio::test]
async fn long_projects_fit_into_short_contexts() {
    let long = "x = 1\n".repeat(100);
    let huge = "y = 1\n".repeat(2000);
    let mut request = request(&[("a.py", &long), ("b.py", &long), ("huge.py", &huge)]);
    request.prompt = "Change a.py".to_owned();
    let files = [
        ("edit", "a.py"),
        ("create", "c.py"),
        ("create", "d.py"),
        ("edit", "huge.py"),
    ];
    let file = format!("```python\n{}```", "z = 1\n".repeat(110));
    let mut script = Script::new(&[&plan(&files), &file, &file, &file]);
    script.context_tokens = 1400;
    // The writer checks that every prompt leaves room for its answer.
    let done = made(&request, &script).await.0.unwrap();
    assert_eq!(done.files.len(), 3);
    assert!(
        done.notes
            .contains("huge.py was not written: it is too long"),
        "{}",
        done.notes
    );
    let asked = script.asked.lock().unwrap();
    assert!(
        asked[0].turns[1].text.contains("x = 1"),
        "the file that is named is shown"
    );
    let Constraint::Schema(form) = &asked[0].form else {
        panic!("no schema");
    };
    let offered = &form["properties"]["files"]["items"]["anyOf"][1]["properties"]["path"]["enum"];
    assert_eq!(
        offered,
        &json!(["a.py", "b.py"]),
        "what is too long is not offered"
    );
}

#[tokio::test]
async fn nothing_is_begun_once_the_time_is_over() {
    let mut request = request(&[]);
    request.until = Instant::now();
    let script = Script::new(&[
        &plan(&[("create", "a.py"), ("create", "b.py")]),
        "```python\n1\n```",
    ]);
    let done = made(&request, &script).await.0.unwrap();
    assert_eq!(done.files.len(), 1);
    assert!(
        done.notes
            .contains("b.py was not written: there is no time left"),
        "{}",
        done.notes
    );
}

#[test]
fn a_conversation_remembers_its_last_requests() {
    let mut requests = Vec::new();
    for at in 0..6 {
        requests = remembered(requests, &format!("request\n{at} {}", "x".repeat(1000)));
    }
    assert_eq!(requests.len(), REQUESTS);
    assert!(requests[0].starts_with("request 2 "));
    assert!(
        requests
            .iter()
            .all(|request| request.chars().count() <= REQUEST_CHARS)
    );
}
