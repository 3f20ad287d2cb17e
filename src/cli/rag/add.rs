//! `rag add`: files to the server, with bars for sending and for embedding.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::{CliError, Session};
use crate::rag::read::Format;

/// Files sent together, unless they are large.
const TOGETHER: usize = 50;
const TOGETHER_BYTES: u64 = 16 << 20;
/// How often a job is looked at.
const LOOK: Duration = Duration::from_millis(150);
const BAR: &str = "{msg} ▕{wide_bar}▏ {pos}/{len} passages {eta:>4}";

/// Adds files.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Arguments {
    /// Files, or folders of files.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The collection they go into; made if it is not there.
    #[arg(long)]
    collection: Option<String>,
    /// What to call the document; only with one file.
    #[arg(long)]
    title: Option<String>,
    /// Where it came from; only with one file.
    #[arg(long)]
    url: Option<String>,
    /// What to label the documents with: `name=value`; repeat for more.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, Value)>,
}

#[derive(Deserialize)]
struct Begun {
    job_id: String,
}

#[derive(Deserialize)]
struct Job {
    state: String,
    passages: u64,
    passages_embedded: u64,
    documents: Vec<Document>,
}

#[derive(Deserialize)]
struct Document {
    document_id: Option<String>,
    name: String,
    #[serde(default)]
    duplicate: bool,
    error: Option<String>,
}

pub(super) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let files = files(&args.paths)?;
    if files.is_empty() {
        return Err(CliError::Usage(
            "there are no files that can be read".to_owned(),
        ));
    }
    if files.len() > 1 && (args.title.is_some() || args.url.is_some()) {
        let text = "--title and --url can only be given with one file";
        return Err(CliError::Usage(text.to_owned()));
    }
    let mut failed = 0;
    for group in groups(files) {
        let job = send(&args, &group, session).await?;
        for document in job.documents {
            match (document.document_id, document.error) {
                (Some(id), _) if document.duplicate => {
                    writeln!(session.out, "{id}  {} (was there)", document.name)?;
                }
                (Some(id), _) => writeln!(session.out, "{id}  {}", document.name)?,
                (None, error) => {
                    failed += 1;
                    let error = error.unwrap_or_else(|| "cancelled".to_owned());
                    eprintln!("{}: {error}", document.name);
                }
            }
        }
    }
    match failed {
        0 => Ok(()),
        1 => Err(CliError::Usage("one file was not added".to_owned())),
        many => Err(CliError::Usage(format!("{many} files were not added"))),
    }
}

/// Sends files and waits for the end of their job.
async fn send(args: &Arguments, group: &[PathBuf], session: &Session<'_>) -> Result<Job, CliError> {
    let name = match group {
        [one] => name_of(one),
        many => format!("{} files", many.len()),
    };
    let bar = ProgressBar::new(0).with_style(style());
    bar.set_message(format!("sending {name}"));
    let form = Form::new();
    let begun: Begun = session
        .client
        .form("/rag/documents", &form.kind(), form.body(args, group)?)
        .await?;
    bar.set_message(format!("adding {name}"));
    loop {
        let path = format!("/rag/jobs/{}", begun.job_id);
        let job: Job = session.client.get(&path).await?;
        bar.set_length(job.passages);
        bar.set_position(job.passages_embedded);
        if matches!(job.state.as_str(), "done" | "failed" | "cancelled") {
            bar.finish_and_clear();
            return Ok(job);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// `multipart/form-data` (RFC 7578).
struct Form {
    boundary: String,
}

impl Form {
    fn new() -> Form {
        let boundary = hex::encode(rand::random::<[u8; 16]>());
        Form { boundary }
    }

    fn kind(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    fn body(&self, args: &Arguments, files: &[PathBuf]) -> Result<Vec<u8>, CliError> {
        let mut body = Vec::new();
        let labels: Map<String, Value> = args.labels.iter().cloned().collect();
        let labels = (!labels.is_empty()).then(|| Value::Object(labels).to_string());
        for (name, text) in [
            ("collection", &args.collection),
            ("title", &args.title),
            ("url", &args.url),
            ("metadata", &labels),
        ] {
            if let Some(text) = text {
                self.part(&mut body, &format!("name=\"{name}\""), text.as_bytes());
            }
        }
        for path in files {
            let bytes = std::fs::read(path).map_err(|source| CliError::File {
                path: path.display().to_string(),
                source,
            })?;
            // As browsers write names.
            let name = name_of(path).replace('"', "%22").replace(['\r', '\n'], " ");
            self.part(
                &mut body,
                &format!("name=\"file\"; filename=\"{name}\""),
                &bytes,
            );
        }
        body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        Ok(body)
    }

    fn part(&self, body: &mut Vec<u8>, disposition: &str, bytes: &[u8]) {
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n",
            self.boundary
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
}

/// Files as they were named, and of folders those whose kind is read.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        let failed = |source| CliError::File {
            path: path.display().to_string(),
            source,
        };
        if std::fs::metadata(path).map_err(failed)?.is_file() {
            found.push(path.clone());
            continue;
        }
        let mut below = Vec::new();
        let mut folders = vec![path.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() && Format::of_name(&name_of(&entry.path())).is_some() {
                    below.push(entry.path());
                }
            }
        }
        below.sort();
        found.extend(below);
    }
    Ok(found)
}

fn groups(files: Vec<PathBuf>) -> Vec<Vec<PathBuf>> {
    let mut groups: Vec<Vec<PathBuf>> = Vec::new();
    let mut bytes = u64::MAX;
    for file in files {
        let size = std::fs::metadata(&file).map_or(0, |facts| facts.len());
        let is_full = groups.last().is_none_or(|group| group.len() >= TOGETHER);
        if is_full || bytes.saturating_add(size) > TOGETHER_BYTES {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        groups
            .last_mut()
            .expect("a group was just begun")
            .push(file);
    }
    groups
}

fn name_of(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_default()
}

/// `name=value`; what reads as a number, `true` or `false` is that.
fn label(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let read = serde_json::from_str(value).ok();
    let value = read.filter(|value: &Value| value.is_number() || value.is_boolean());
    let text = || text.split_once('=').map(|(_, value)| value.into());
    let value = value.or_else(text).unwrap_or_default();
    Ok((name.to_owned(), value))
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template(BAR).expect("the template is fixed");
    style.progress_chars("█ ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::test_server::{Answer, TestServer};

    #[test]
    fn labels_have_types() {
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), json!("b=c"))));
        assert_eq!(label("year=2026"), Ok(("year".to_owned(), json!(2026))));
        assert_eq!(label("open=true"), Ok(("open".to_owned(), json!(true))));
        assert_eq!(label("x=null"), Ok(("x".to_owned(), json!("null"))));
        assert!(label("x").is_err());
    }

    #[tokio::test]
    async fn files_are_sent_and_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        for (name, text) in [
            ("in/a.txt", "alpha"),
            ("in/b.md", "# B"),
            ("in/c.exe", "no"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let running =
            json!({"state": "running", "passages": 2, "passages_embedded": 1, "documents": []});
        let done = json!({"state": "done", "passages": 2, "passages_embedded": 2, "documents": [
            {"document_id": "doc_1", "name": "a.txt"},
            {"document_id": "doc_2", "name": "b.md", "duplicate": true}]});
        let server = TestServer::start([
            (
                "POST /rag/documents",
                Answer::new(202, "{\"job_id\":\"job_1\"}"),
            ),
            ("GET /rag/jobs/job_1", Answer::ok(running.to_string())),
            ("GET /rag/jobs/job_1", Answer::ok(done.to_string())),
        ])
        .await;
        let args = Arguments {
            paths: vec![folder.path().to_owned()],
            collection: Some("home".to_owned()),
            ..Arguments::default()
        };
        let out = server
            .output(async |session| run(args, session).await)
            .await
            .unwrap();
        assert_eq!(out, "doc_1  a.txt\ndoc_2  b.md (was there)\n");
        let sent = server.bytes("POST /rag/documents");
        let sent = String::from_utf8_lossy(&sent[0]);
        for part in [
            "name=\"collection\"",
            "home",
            "filename=\"a.txt\"",
            "alpha",
            "# B",
        ] {
            assert!(sent.contains(part), "{part}: {sent}");
        }
        assert!(!sent.contains("c.exe"));
    }
}
