//! Pull and push against a registry that may lie, and against a real one.

mod debian;
mod fake;
mod push;

use std::collections::BTreeSet;
use std::fs;

use axum::http::StatusCode;

use super::*;
use crate::store::Digest;
use crate::store::manifest::media_type;
use crate::store::tests::{Scratch, file_names};
use fake::{Fake, Lies};

/// Small parts and short waits.
fn registry() -> Registry {
    registry_with(|_| {})
}

fn registry_with(change: impl FnOnce(&mut RegistryOptions)) -> Registry {
    let mut options = RegistryOptions::new("0.0.0", None);
    options.tuning = Tuning {
        concurrent_parts: 4,
        min_part_bytes: 1000,
        max_part_bytes: 50_000,
        attempts: 5,
        retry_wait: Duration::from_millis(1),
        stall: Duration::from_millis(300),
        answer: Duration::from_secs(60),
        resolve: Duration::from_millis(300),
        tick: Duration::from_millis(1),
        checkpoint: Duration::ZERO,
    };
    change(&mut options);
    Registry::new(options).unwrap()
}

/// Bytes without a pattern that a misplaced part could hide in.
fn weights(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

async fn run_pull(
    store: &Store,
    registry: &Registry,
    name: &ModelName,
) -> (Vec<Progress>, Result<(), StoreError>) {
    let (store, registry, what) = (store.clone(), registry.clone(), insecurely(name));
    watched(|events| async move { pull(&store, &registry, what, events).await }).await
}

fn insecurely(name: &ModelName) -> Pull {
    Pull {
        name: name.clone(),
        insecure: true,
    }
}

/// What a transfer told on its way, and how it ended.
async fn watched<F>(
    transfer: impl FnOnce(mpsc::Sender<Progress>) -> F,
) -> (Vec<Progress>, Result<(), StoreError>)
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let (events, mut lines) = mpsc::channel(16);
    let work = tokio::spawn(transfer(events));
    let mut seen = Vec::new();
    while let Some(line) = lines.recv().await {
        seen.push(line);
    }
    (seen, work.await.unwrap())
}

/// Statuses without repetitions.
fn steps(lines: &[Progress]) -> Vec<&str> {
    let mut steps: Vec<&str> = lines.iter().map(|line| line.status.as_str()).collect();
    steps.dedup();
    steps
}

/// Blobs under their names; partial downloads do not count.
fn whole_blobs(store: &Store) -> BTreeSet<String> {
    file_names(&store.blobs_folder())
        .into_iter()
        .filter(|name| name.len() == 71)
        .collect()
}

#[tokio::test]
async fn a_pull_reports_every_step_and_keeps_the_manifest_as_it_is() {
    let fake = Fake::start(Lies::default()).await;
    let model = weights(30_000);
    let manifest = fake.publish(
        "me/m",
        "t",
        &[(media_type::MODEL, &model), (media_type::SYSTEM, b"hi")],
    );
    let (scratch, registry, name) = (Scratch::new(), registry(), fake.name("me/m:t"));
    let (lines, result) = run_pull(&scratch.store, &registry, &name).await;
    result.unwrap();
    let config = Digest::of(&crate::store::Config::new().to_bytes());
    let pulling = |digest: Digest| format!("pulling {}", digest.short());
    let want = [
        "pulling manifest".to_owned(),
        pulling(Digest::of(&model)),
        pulling(Digest::of(b"hi")),
        pulling(config),
        "verifying sha256 digest".to_owned(),
        "writing manifest".to_owned(),
        "success".to_owned(),
    ];
    assert_eq!(steps(&lines), want);
    let last = lines.iter().rfind(|line| line.status == want[1]).unwrap();
    assert_eq!((last.total, last.completed), (Some(30_000), Some(30_000)));
    assert_eq!(last.digest, Some(Digest::of(&model).to_string()));

    let stored = scratch.store.load(&name).unwrap();
    assert_eq!(stored.digest, Digest::of(&manifest).hex());
    assert_eq!(fs::read(stored.model_path.unwrap()).unwrap(), model);
    assert_eq!(stored.system.as_deref(), Some("hi"));
    assert_eq!(
        file_names(&scratch.store.blobs_folder()),
        whole_blobs(&scratch.store)
    );

    let mut starts = fake.take_range_starts();
    starts.sort();
    assert_eq!(starts, [0, 0, 0, 7500, 15_000, 22_500]);
    let agent = "ollama/0.0.0 (";
    let (lines, result) = run_pull(&scratch.store, &registry, &name).await;
    result.unwrap();
    assert_eq!(
        steps(&lines),
        want,
        "what is there is reported all the same"
    );
    assert!(
        fake.seen()
            .iter()
            .all(|seen| seen.header("user-agent").unwrap().starts_with(agent))
    );
    assert_eq!(
        fake.take_range_starts(),
        [0_u64; 0],
        "and not fetched again"
    );
}

#[tokio::test]
async fn a_new_version_frees_the_layers_of_the_old() {
    let fake = Fake::start(Lies::default()).await;
    let (scratch, registry, name) = (Scratch::new(), registry(), fake.name("me/m:t"));
    fake.publish(
        "me/m",
        "t",
        &[(media_type::MODEL, b"GGUF"), (media_type::SYSTEM, b"old")],
    );
    run_pull(&scratch.store, &registry, &name).await.1.unwrap();
    fake.publish(
        "me/m",
        "t",
        &[(media_type::MODEL, b"GGUF"), (media_type::SYSTEM, b"new")],
    );
    let (lines, result) = run_pull(&scratch.store, &registry, &name).await;
    result.unwrap();
    assert!(steps(&lines).contains(&"removing unused layers"));
    assert!(!scratch.store.has_blob(&Digest::of(b"old")));
    assert_eq!(
        scratch.store.load(&name).unwrap().system.as_deref(),
        Some("new")
    );
}

#[tokio::test]
async fn an_interrupted_pull_goes_on_where_it_stopped() {
    // Every answer brings 2000 bytes and then nothing more.
    let fake = Fake::start(Lies {
        silent_after: Some(2000),
        ..Lies::default()
    })
    .await;
    let model = weights(40_000);
    fake.publish("me/m", "t", &[(media_type::MODEL, &model)]);
    let (scratch, name) = (Scratch::new(), fake.name("me/m:t"));
    let patient = registry_with(|options| options.tuning.stall = Duration::from_secs(60));
    let (events, mut lines) = mpsc::channel(16);
    let what = Pull {
        name: name.clone(),
        insecure: true,
    };
    let (store, client) = (scratch.store.clone(), patient.clone());
    let work = tokio::spawn(async move { pull(&store, &client, what, events).await });
    while let Some(line) = lines.recv().await {
        if line.completed == Some(8000) {
            break;
        }
    }
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled());
    drop(lines);

    assert_eq!(whole_blobs(&scratch.store), BTreeSet::new());
    assert!(scratch.store.names().unwrap().is_empty());
    fake.take_range_starts();
    fake.lie(Lies::default());
    // As after a restart: nothing is remembered but the files.
    let store = scratch.reopened();
    let (_, result) = run_pull(&store, &registry(), &name).await;
    result.unwrap();
    let mut starts = fake.take_range_starts();
    starts.sort();
    assert_eq!(
        starts,
        [0, 2000, 12_000, 22_000, 32_000],
        "the config, and the rest of each part"
    );
    assert_eq!(
        fs::read(store.blob_path(&Digest::of(&model))).unwrap(),
        model
    );
    assert_eq!(file_names(&store.blobs_folder()).len(), 2);
}

/// Set in the process that this test starts and kills: the store's folder and the model's name.
const PULL_HERE: &str = "WICK_TEST_PULL_HERE";

#[tokio::test]
async fn a_killed_pull_goes_on_where_it_stopped() {
    if let Ok(job) = std::env::var(PULL_HERE) {
        let (root, name) = job.split_once('|').unwrap();
        let patient = registry_with(|options| options.tuning.stall = Duration::from_secs(60));
        run_pull(
            &Store::open(root).unwrap(),
            &patient,
            &name.parse().unwrap(),
        )
        .await
        .1
        .unwrap();
        return;
    }
    let fake = Fake::start(Lies {
        silent_after: Some(2000),
        ..Lies::default()
    })
    .await;
    let model = weights(40_000);
    fake.publish("me/m", "t", &[(media_type::MODEL, &model)]);
    let (scratch, name) = (Scratch::new(), fake.name("me/m:t"));
    let this = format!("{}::a_killed_pull_goes_on_where_it_stopped", module_path!());
    let mut puller = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this.split_once("::").unwrap().1])
        .env(
            PULL_HERE,
            format!("{}|http://{}", scratch.store.root().display(), name.full()),
        )
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while completed_on_disk(&scratch.store) < 8000 {
        assert!(
            puller.try_wait().unwrap().is_none(),
            "the pull ended by itself"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    puller.kill().unwrap();
    puller.wait().unwrap();

    assert_eq!(whole_blobs(&scratch.store), BTreeSet::new());
    assert!(scratch.store.names().unwrap().is_empty());
    fake.take_range_starts();
    fake.lie(Lies::default());
    run_pull(&scratch.store, &registry(), &name)
        .await
        .1
        .unwrap();
    let mut starts = fake.take_range_starts();
    starts.sort();
    assert_eq!(starts, [0, 2000, 12_000, 22_000, 32_000]);
    assert_eq!(
        fs::read(scratch.store.blob_path(&Digest::of(&model))).unwrap(),
        model
    );
}

/// What the states of parts vouch for.
fn completed_on_disk(store: &Store) -> u64 {
    let names = file_names(&store.blobs_folder());
    let states = names.iter().filter(|name| name.contains("-partial-"));
    let completed = |name: &String| -> Option<u64> {
        let text = fs::read(store.blobs_folder().join(name)).ok()?;
        serde_json::from_slice::<serde_json::Value>(&text).ok()?["Completed"].as_u64()
    };
    states.filter_map(completed).sum()
}

#[tokio::test]
async fn broken_and_silent_connections_are_tried_again() {
    let model = weights(20_000);
    for lies in [
        Lies {
            cut_after: Some(1500),
            faulty_answers: Some(6),
            ..Lies::default()
        },
        Lies {
            silent_after: Some(1500),
            faulty_answers: Some(4),
            ..Lies::default()
        },
        Lies {
            silent_after: Some(0),
            faulty_answers: Some(4),
            ..Lies::default()
        },
    ] {
        let fake = Fake::start(lies).await;
        fake.publish("me/m", "t", &[(media_type::MODEL, &model)]);
        let scratch = Scratch::new();
        let (_, result) = run_pull(&scratch.store, &registry(), &fake.name("me/m:t")).await;
        result.unwrap();
        assert_eq!(
            fs::read(scratch.store.blob_path(&Digest::of(&model))).unwrap(),
            model
        );
    }
}

#[tokio::test]
async fn a_registry_that_cannot_send_ranges_sends_the_whole() {
    let fake = Fake::start(Lies {
        no_ranges: true,
        ..Lies::default()
    })
    .await;
    let model = weights(20_000);
    fake.publish("me/m", "t", &[(media_type::MODEL, &model)]);
    let scratch = Scratch::new();
    let (_, result) = run_pull(&scratch.store, &registry(), &fake.name("me/m:t")).await;
    result.unwrap();
    assert_eq!(
        fs::read(scratch.store.blob_path(&Digest::of(&model))).unwrap(),
        model
    );
}

#[tokio::test]
async fn blobs_may_lie_on_another_host_which_sees_no_token() {
    let other = Fake::start(Lies::default()).await;
    let fake = Fake::start(Lies::default()).await;
    let model = weights(5000);
    fake.lie(Lies {
        redirect_blobs: Some(other.base()),
        token: Some(("secret".into(), fake.base())),
        ..Lies::default()
    });
    for fake in [&fake, &other] {
        fake.publish("me/m", "t", &[(media_type::MODEL, &model)]);
    }
    let scratch = Scratch::new();
    let (_, result) = run_pull(&scratch.store, &registry(), &fake.name("me/m:t")).await;
    result.unwrap();
    assert!(!other.seen().is_empty());
    assert!(
        other
            .seen()
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
    assert!(
        fake.seen()
            .iter()
            .any(|seen| seen.header("authorization") == Some("Bearer secret"))
    );
}

/// Whatever the registry does, the model that was there stays and no blob appears.
#[tokio::test]
async fn lies_leave_the_store_as_it_was() {
    let other = Fake::start(Lies::default()).await;
    let model = weights(9000);
    let digest = Digest::of(&model);
    let flipped: Vec<u8> = model.iter().map(|byte| !byte).collect();
    let mismatch = format!(
        "digest mismatch, file must be downloaded again: want {digest}, got {}",
        Digest::of(&flipped)
    );
    let cases = [
        (
            Lies {
                extra_bytes: 7,
                ..Lies::default()
            },
            format!("the registry says that {digest} has 9007 bytes, the manifest 9000"),
        ),
        (
            Lies {
                wrong_bytes: true,
                ..Lies::default()
            },
            mismatch.clone(),
        ),
        (
            Lies {
                endless_manifest: true,
                ..Lies::default()
            },
            "pull model manifest: the registry's answer is longer than 16777216 bytes".to_owned(),
        ),
        (
            Lies {
                endless_blobs: true,
                wrong_bytes: true,
                ..Lies::default()
            },
            mismatch.clone(),
        ),
        (
            Lies {
                redirect_manifests: Some(other.base()),
                ..Lies::default()
            },
            format!(
                "pull model manifest: the registry sent a bad URL: {}/v2/me/m/manifests/t",
                other.base()
            ),
        ),
        (
            Lies {
                redirect_blobs: Some("ftp://127.0.0.1".into()),
                ..Lies::default()
            },
            format!("the registry sent a bad URL: ftp://127.0.0.1/v2/me/m/blobs/{digest}"),
        ),
        (
            Lies {
                redirect_blobs: Some(other.base()),
                ..Lies::default()
            },
            "file does not exist".to_owned(),
        ),
        (
            Lies {
                token: Some(("t".into(), other.base())),
                ..Lies::default()
            },
            String::new(),
        ),
        (
            Lies {
                status: Some(StatusCode::NOT_FOUND),
                ..Lies::default()
            },
            "pull model manifest: file does not exist".to_owned(),
        ),
        (
            Lies {
                status: Some(StatusCode::IM_A_TEAPOT),
                ..Lies::default()
            },
            "pull model manifest: 418: out of order".to_owned(),
        ),
        (
            Lies {
                status: Some(StatusCode::UNAUTHORIZED),
                ..Lies::default()
            },
            "pull model manifest: unauthorized: access denied".to_owned(),
        ),
        (
            Lies {
                silent_after: Some(0),
                ..Lies::default()
            },
            "max retries exceeded: no data for 0 seconds".to_owned(),
        ),
    ];
    for (lies, want) in cases {
        let fake = Fake::start(Lies::default()).await;
        let (scratch, name) = (Scratch::new(), fake.name("me/m:t"));
        let quick = registry_with(|options| options.tuning.stall = Duration::from_millis(50));
        fake.publish("me/m", "t", &[(media_type::MODEL, b"GGUF")]);
        run_pull(&scratch.store, &quick, &name).await.1.unwrap();
        let before = (
            whole_blobs(&scratch.store),
            scratch.store.load(&name).unwrap().digest,
        );

        fake.publish("me/m", "t", &[(media_type::MODEL, &model)]);
        fake.lie(lies.clone());
        let (_, result) = run_pull(&scratch.store, &quick, &name).await;
        let error = result.unwrap_err().to_string();
        if want.is_empty() {
            assert!(
                error.starts_with("pull model manifest: realm host "),
                "{error}"
            );
        } else {
            assert_eq!(error, want, "{lies:?}");
        }
        let after = (
            whole_blobs(&scratch.store),
            scratch.store.load(&name).unwrap().digest,
        );
        assert_eq!(after, before, "{lies:?}");

        // Honest again, the next pull succeeds.
        fake.lie(Lies::default());
        run_pull(&scratch.store, &quick, &name).await.1.unwrap();
        assert!(scratch.store.has_blob(&digest));
    }
    assert!(
        other.seen().iter().all(|seen| seen.path != "/token"),
        "no signature for another host"
    );
}

#[tokio::test]
async fn more_bytes_than_promised_are_not_taken() {
    let fake = Fake::start(Lies {
        endless_blobs: true,
        ..Lies::default()
    })
    .await;
    let model = weights(9000);
    fake.publish("me/m", "t", &[(media_type::MODEL, &model)]);
    let scratch = Scratch::new();
    run_pull(&scratch.store, &registry(), &fake.name("me/m:t"))
        .await
        .1
        .unwrap();
    assert_eq!(
        fs::read(scratch.store.blob_path(&Digest::of(&model))).unwrap(),
        model
    );
}

#[tokio::test]
async fn answers_to_other_ranges_are_not_taken() {
    let fake = Fake::start(Lies {
        shifted_ranges: true,
        ..Lies::default()
    })
    .await;
    fake.publish("me/m", "t", &[(media_type::MODEL, &weights(9000))]);
    let scratch = Scratch::new();
    let (_, result) = run_pull(&scratch.store, &registry(), &fake.name("me/m:t")).await;
    assert_eq!(
        result.unwrap_err().to_string(),
        "asked for bytes 0-8999, got bytes 1-8999/9000"
    );
    assert_eq!(whole_blobs(&scratch.store), BTreeSet::new());
}

#[tokio::test]
async fn a_disk_that_is_too_small_is_noticed_before_the_first_byte() {
    let fake = Fake::start(Lies::default()).await;
    fake.publish("me/m", "t", &[(media_type::MODEL, b"GGUF")]);
    let path = "/v2/me/m/manifests/t";
    let manifest = String::from_utf8(fake.file(path).unwrap().to_vec()).unwrap();
    fake.put(
        path,
        manifest
            .replace("\"size\": 4", "\"size\": 9000000000000000000")
            .as_bytes(),
    );
    let scratch = Scratch::new();
    let (_, result) = run_pull(&scratch.store, &registry(), &fake.name("me/m:t")).await;
    let Err(StoreError::NoSpace {
        needed_bytes,
        free_bytes,
        ..
    }) = result
    else {
        panic!("{result:?}");
    };
    assert!(needed_bytes > 9_000_000_000_000_000_000 && free_bytes < needed_bytes);
    assert_eq!(file_names(&scratch.store.blobs_folder()), BTreeSet::new());
}

#[tokio::test]
async fn manifests_that_make_no_sense_are_refused() {
    let fake = Fake::start(Lies::default()).await;
    let digest = Digest::of(b"x");
    let layer = |kind: &str, size: u64| serde_json::json!({"mediaType": kind, "digest": digest, "size": size});
    for (manifest, want) in [
        (
            "<html>".to_owned(),
            "pull model manifest: the registry sent a bad manifest: expected value at line 1 column 1",
        ),
        (
            "{}".to_owned(),
            "pull model manifest: the registry sent a bad manifest: it names no layers",
        ),
        (
            serde_json::json!({"layers": [layer(media_type::TENSOR, 1)]}).to_string(),
            "pull model manifest: this model is stored as separate tensors, which this server cannot run",
        ),
    ] {
        fake.put("/v2/me/m/manifests/t", manifest.as_bytes());
        let scratch = Scratch::new();
        let (_, result) = run_pull(&scratch.store, &registry(), &fake.name("me/m:t")).await;
        assert_eq!(result.unwrap_err().to_string(), want);
    }
    let twice = serde_json::json!({"layers": [layer("a", 1), layer("b", 2)]}).to_string();
    fake.put("/v2/me/m/manifests/t", twice.as_bytes());
    let (_, result) = run_pull(&Scratch::new().store, &registry(), &fake.name("me/m:t")).await;
    assert!(
        result
            .unwrap_err()
            .to_string()
            .ends_with(" has 1 and 2 bytes")
    );
}

#[tokio::test]
async fn plain_http_has_to_be_asked_for() {
    let scratch = Scratch::new();
    let name = ModelName::parse("http://127.0.0.1:1/me/m").unwrap();
    let (events, _lines) = mpsc::channel(16);
    let what = Pull {
        name,
        insecure: false,
    };
    let error = pull(&scratch.store, &registry(), what, events)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "insecure protocol http");
}

#[tokio::test]
async fn requests_for_tokens_are_signed() {
    let fake = Fake::start(Lies::default()).await;
    fake.publish("me/m", "t", &[(media_type::MODEL, b"GGUF")]);
    fake.lie(Lies {
        token: Some(("secret".into(), fake.base())),
        ..Lies::default()
    });
    let scratch = Scratch::new();
    let key = scratch.store.root().join("home/id_ed25519");
    let registry = registry_with(|options| options.key_path = Some(key.clone()));
    run_pull(&scratch.store, &registry, &fake.name("me/m:t"))
        .await
        .1
        .unwrap();
    let asked = fake
        .seen()
        .into_iter()
        .filter(|seen| seen.path == "/token")
        .collect::<Vec<_>>();
    assert_eq!(asked.len(), 1, "one token serves the whole pull");
    assert!(
        asked[0]
            .query
            .starts_with("service=fake&scope=repository%3Aa%2Fb%3Apull&ts=")
    );
    let url = format!("{}/token?{}", fake.base(), asked[0].query);
    let text = super::challenge::text_to_sign(&reqwest::Url::parse(&url).unwrap());
    let want = key::authorization(&key, &text).unwrap();
    assert_eq!(asked[0].header("authorization"), Some(want.as_str()));
}

#[tokio::test]
async fn pulls_of_one_blob_share_its_download_and_one_may_leave() {
    let fake = Fake::start(Lies {
        silent_after: Some(1000),
        ..Lies::default()
    })
    .await;
    let model = weights(8000);
    fake.publish("me/m", "t", &[(media_type::MODEL, &model)]);
    fake.publish("me/other", "t", &[(media_type::MODEL, &model)]);
    let scratch = Scratch::new();
    let patient = registry_with(|options| options.tuning.stall = Duration::from_millis(500));
    let start = |name: ModelName| {
        let (events, mut lines) = mpsc::channel(16);
        let (store, client) = (scratch.store.clone(), patient.clone());
        let what = Pull {
            name,
            insecure: true,
        };
        let work = tokio::spawn(async move { pull(&store, &client, what, events).await });
        let waiting = async move {
            while let Some(line) = lines.recv().await {
                if line.completed.is_some() {
                    break;
                }
            }
            lines
        };
        (work, waiting)
    };
    let (first, waiting) = start(fake.name("me/m:t"));
    let first_lines = waiting.await;
    let (second, waiting) = start(fake.name("me/other:t"));
    let mut second_lines = waiting.await;
    assert!(
        fake.seen()
            .iter()
            .all(|seen| !seen.path.starts_with("/v2/me/other/blobs"))
    );
    drop(first_lines);
    assert!(matches!(first.await.unwrap(), Err(StoreError::Canceled)));
    fake.lie(Lies::default());
    while second_lines.recv().await.is_some() {}
    second.await.unwrap().unwrap();
    let blobs = fake.seen().into_iter().filter(|seen| {
        seen.path.starts_with("/v2/me/other/blobs")
            && seen.path.ends_with(&Digest::of(&model).hex())
    });
    assert_eq!(
        blobs.count(),
        0,
        "the second pull fetched nothing of its own"
    );
    assert_eq!(
        fs::read(scratch.store.blob_path(&Digest::of(&model))).unwrap(),
        model
    );
}

#[tokio::test]
async fn a_damaged_blob_of_the_wrong_size_is_fetched_again() {
    let fake = Fake::start(Lies::default()).await;
    let model = weights(3000);
    fake.publish("me/m", "t", &[(media_type::MODEL, &model)]);
    let scratch = Scratch::new();
    let path = scratch.store.blob_path(&Digest::of(&model));
    fs::write(&path, &model[..100]).unwrap();
    run_pull(&scratch.store, &registry(), &fake.name("me/m:t"))
        .await
        .1
        .unwrap();
    assert_eq!(fs::read(path).unwrap(), model);
}
