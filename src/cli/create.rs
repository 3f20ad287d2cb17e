//! `create`: a model from a Modelfile and the files that it names.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use tokio_util::io::ReaderStream;

use super::progress::Progress;
use super::{CliError, Session};
use crate::store::modelfile::{LocalFile, LocalRequest, Modelfile, Places};

const DEFAULT_FILE: &str = "Modelfile";

/// Creates a model.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// The new model's name.
    model: String,
    /// The Modelfile; `-` is standard input.
    #[arg(short, long, default_value = DEFAULT_FILE, hide_default_value = true)]
    file: String,
    /// Quantise the weights to this level, such as q4_K_M.
    #[arg(short, long)]
    quantize: Option<String>,
    /// Quantise the draft model to this level.
    #[arg(long)]
    draft_quantize: Option<String>,
    /// Accepted and without effect.
    #[arg(long, hide = true)]
    experimental: bool,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let mut progress = Progress::new();
    progress.status("gathering model components");
    let home = session
        .config
        .state_dir
        .as_deref()
        .and_then(Path::parent)
        .map(Path::to_owned);
    let file = args.file.clone();
    // Files of many gigabytes are hashed here.
    let request = tokio::task::spawn_blocking(move || read_request(&file, home.as_deref()))
        .await
        .map_err(|error| CliError::Terminal(io::Error::other(error)))??;
    for warning in &request.warnings {
        eprintln!("{warning}");
    }
    for file in request
        .files
        .iter()
        .chain(&request.adapters)
        .chain(&request.draft_files)
    {
        upload(session, file, &mut progress).await?;
    }
    let lines = session
        .client
        .stream("/api/create", &body(&args, &request))
        .await?;
    progress.follow(lines).await
}

/// Parses the Modelfile and hashes the files it names.
fn read_request(file: &str, home: Option<&Path>) -> Result<LocalRequest, CliError> {
    let path = PathBuf::from(file);
    let bytes = match file {
        "-" => {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes)?;
            bytes
        }
        _ => std::fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                CliError::Usage("specified Modelfile wasn't found".to_owned())
            }
            _ => CliError::File {
                path: file.to_owned(),
                source,
            },
        })?,
    };
    // The parent of a bare file name is empty, which is the current folder.
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(Modelfile::parse(&bytes)?.resolve(Places { folder, home })?)
}

/// Sends a file unless the server has it.
async fn upload(
    session: &Session<'_>,
    file: &LocalFile,
    progress: &mut Progress,
) -> Result<(), CliError> {
    let digest = file.digest.to_string();
    let path = format!("/api/blobs/{digest}");
    if session.client.exists(&path).await? {
        return Ok(());
    }
    let failed = |source| CliError::File {
        path: file.path.display().to_string(),
        source,
    };
    let reader = tokio::fs::File::open(&file.path).await.map_err(failed)?;
    let total = reader.metadata().await.map_err(failed)?.len();
    let bar = progress.copying(&digest, total);
    let pieces = ReaderStream::with_capacity(reader, 1 << 20).inspect(move |piece| {
        if let Ok(piece) = piece {
            bar.inc(piece.len() as u64);
        }
    });
    session
        .client
        .upload(&path, reqwest::Body::wrap_stream(pieces))
        .await
}

/// The request; what the Modelfile does not say is left out.
fn body(args: &Arguments, request: &LocalRequest) -> Value {
    let digests = |files: &[LocalFile]| {
        let entry = |file: &LocalFile| (file.name.clone(), json!(file.digest.to_string()));
        Value::Object(files.iter().map(entry).collect())
    };
    let fields = [
        ("model", json!(args.model)),
        ("from", json!(request.from)),
        ("files", digests(&request.files)),
        ("adapters", digests(&request.adapters)),
        ("draft_files", digests(&request.draft_files)),
        ("template", json!(request.template)),
        ("system", json!(request.system)),
        ("license", json!(request.licenses)),
        ("parameters", json!(request.parameters)),
        ("messages", json!(request.messages)),
        ("quantize", json!(args.quantize)),
        ("draft_quantize", json!(args.draft_quantize)),
        ("renderer", json!(request.renderer)),
        ("parser", json!(request.parser)),
        ("requires", json!(request.requires)),
    ];
    let present = |value: &Value| match value {
        Value::Null => false,
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    let fields = fields.into_iter().filter(|(_, value)| present(value));
    Value::Object(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test_server::{Answer, TestServer};
    use crate::store::Digest;

    #[tokio::test]
    async fn missing_blobs_are_sent_before_the_request() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m.gguf"), b"GGUF weights").unwrap();
        let modelfile = folder.path().join("Modelfile");
        let text = "FROM ./m.gguf\nPARAMETER temperature 0.5\nPARAMETER stop a\nSYSTEM hi\n";
        std::fs::write(&modelfile, text).unwrap();
        let digest = Digest::of(b"GGUF weights").to_string();
        let (head, post) = (
            format!("HEAD /api/blobs/{digest}"),
            format!("POST /api/blobs/{digest}"),
        );
        let server = TestServer::start([
            (&head, Answer::new(404, "")),
            (&head, Answer::ok("")),
            (&post, Answer::new(201, "")),
            ("POST /api/create", Answer::ok("{\"status\":\"success\"}\n")),
        ])
        .await;
        let create = async |session: &mut Session<'_>| {
            let args = Arguments {
                model: "new".into(),
                file: modelfile.display().to_string(),
                quantize: Some("q8_0".into()),
                ..Arguments::default()
            };
            run(args, session).await
        };
        server.output(create).await.unwrap();
        assert_eq!(
            server.seen(),
            [head.as_str(), post.as_str(), "POST /api/create"]
        );
        assert_eq!(server.bytes(&post), [&b"GGUF weights"[..]]);
        let want = json!({
            "model": "new",
            "files": {"m.gguf": digest},
            "system": "hi",
            "parameters": {"temperature": 0.5, "stop": ["a"]},
            "quantize": "q8_0",
        });
        assert_eq!(server.bodies("POST /api/create"), [want]);

        server.output(create).await.unwrap();
        let after = server.seen().split_off(3);
        assert_eq!(
            after,
            [head.as_str(), "POST /api/create"],
            "the blob is there by now"
        );
    }

    #[tokio::test]
    async fn a_missing_modelfile_and_a_bad_one_are_named() {
        let server = TestServer::start([]).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Modelfile");
        let create = async |session: &mut Session<'_>| {
            let file = path.display().to_string();
            run(
                Arguments {
                    model: "m".into(),
                    file,
                    ..Arguments::default()
                },
                session,
            )
            .await
        };
        let error = server.output(create).await.unwrap_err();
        assert_eq!(error.to_string(), "specified Modelfile wasn't found");
        std::fs::write(&path, "SYSTEM hi\n").unwrap();
        let error = server.output(create).await.unwrap_err();
        assert_eq!(error.to_string(), "no FROM line");
        assert!(server.seen().is_empty());
    }
}
