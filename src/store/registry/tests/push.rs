//! Pushes, whole and in parts.

use md5::{Digest as _, Md5};

use super::*;

async fn run_push(
    store: &Store,
    registry: &Registry,
    name: &ModelName,
) -> (Vec<Progress>, Result<(), StoreError>) {
    let (store, registry, what) = (store.clone(), registry.clone(), insecurely(name));
    watched(|events| async move { push(&store, &registry, what, events).await }).await
}

#[tokio::test]
async fn a_pushed_model_can_be_pulled_by_another_store() {
    let fake = Fake::start(Lies::default()).await;
    fake.lie(Lies {
        token: Some(("secret".into(), fake.base())),
        ..Lies::default()
    });
    let model = weights(9500);
    let source = Scratch::new();
    let name = fake.name("me/m:t");
    source.model(
        &name.full(),
        &[(media_type::MODEL, &model), (media_type::SYSTEM, b"hi")],
    );
    let registry = registry_with(|options| options.tuning.max_part_bytes = 4000);
    let registry_small = registry_with(|options| {
        options.tuning.min_part_bytes = 4000;
        options.tuning.max_part_bytes = 4000;
    });
    let (events, mut lines) = mpsc::channel(64);
    let what = Pull {
        name: name.clone(),
        insecure: true,
    };
    let store = source.store.clone();
    let work = tokio::spawn(async move { push(&store, &registry_small, what, events).await });
    let mut seen = Vec::new();
    while let Some(line) = lines.recv().await {
        seen.push(line);
    }
    work.await.unwrap().unwrap();
    let steps = steps(&seen);
    assert_eq!(
        steps[..2],
        [
            "retrieving manifest",
            &format!("pushing {}", Digest::of(&model).short())
        ]
    );
    assert_eq!(steps[steps.len() - 2..], ["pushing manifest", "success"]);
    let ranges: Vec<_> = fake
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "PATCH" && seen.header("authorization").is_some())
        .filter_map(|seen| seen.header("content-range").map(str::to_owned))
        .collect();
    assert!(
        ranges.starts_with(&["0-3999".into(), "4000-7999".into(), "8000-9499".into()]),
        "{ranges:?}"
    );

    let target = Scratch::new();
    run_pull(&target.store, &registry, &name).await.1.unwrap();
    let (a, b) = (
        source.store.load(&name).unwrap(),
        target.store.load(&name).unwrap(),
    );
    assert_eq!(a.digest, b.digest);
    assert_eq!(fs::read(b.model_path.unwrap()).unwrap(), model);

    let (events, mut lines) = mpsc::channel(64);
    let what = Pull {
        name: fake.name("me/none"),
        insecure: true,
    };
    let error = push(&source.store, &registry, what, events)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotFound(_)));
    lines.recv().await.unwrap();
    assert_eq!(
        lines.recv().await.unwrap().status,
        "couldn't retrieve manifest"
    );
}

/// A registry that allows parts of any size.
fn pushing(change: impl FnOnce(&mut Tuning)) -> Registry {
    registry_with(|options| {
        options.tuning.min_part_bytes = 1 << 24;
        options.tuning.max_part_bytes = 1 << 24;
        change(&mut options.tuning);
    })
}

/// How often the registry was asked in this way for something whose path ends so.
fn count(fake: &Fake, method: &str, end: &str) -> usize {
    let seen = fake.seen().into_iter();
    seen.filter(|seen| seen.method == method && seen.path.ends_with(end))
        .count()
}

#[tokio::test]
async fn an_upload_may_take_long_as_long_as_it_moves() {
    // Four seconds for the model, most of which is more than the buffers on the way hold.
    let fake = Fake::start(Lies {
        upload_bytes_per_second: Some(3e6),
        ..Lies::default()
    })
    .await;
    let model = weights(12_000_000);
    let (source, name) = (Scratch::new(), fake.name("me/m:t"));
    source.model(&name.full(), &[(media_type::MODEL, &model)]);
    let registry = pushing(|tuning| tuning.stall = Duration::from_secs(2));
    run_push(&source.store, &registry, &name).await.1.unwrap();
    assert_eq!(count(&fake, "PATCH", "/session"), 2, "one part per blob");
    let blob = format!("/v2/me/m/blobs/{}", Digest::of(&model));
    assert!(fake.file(&blob).unwrap() == model);
}

#[tokio::test]
async fn an_upload_that_stops_moving_or_is_not_answered_is_given_up() {
    for (size, answer) in [
        (1000, Duration::from_millis(50)),
        (16_000_000, Duration::from_secs(60)),
    ] {
        let fake = Fake::start(Lies {
            silent_uploads: true,
            ..Lies::default()
        })
        .await;
        let (source, name) = (Scratch::new(), fake.name("me/m:t"));
        source.model(&name.full(), &[(media_type::MODEL, &weights(size))]);
        let registry = pushing(|tuning| {
            tuning.answer = answer;
            tuning.attempts = 2;
        });
        let (_, result) = run_push(&source.store, &registry, &name).await;
        assert_eq!(
            result.unwrap_err().to_string(),
            "max retries exceeded: no data for 0 seconds"
        );
        assert_eq!(count(&fake, "PATCH", "/session"), 2, "{size} bytes");
    }
}

#[tokio::test]
async fn a_registry_may_take_long_to_check_what_it_was_sent() {
    let fake = Fake::start(Lies {
        put_pause: Duration::from_millis(400),
        ..Lies::default()
    })
    .await;
    let (source, name) = (Scratch::new(), fake.name("me/m:t"));
    source.model(&name.full(), &[(media_type::MODEL, b"GGUF")]);
    let registry = pushing(|_| {});
    run_push(&source.store, &registry, &name).await.1.unwrap();
    assert_eq!(count(&fake, "PUT", "/session"), 2, "once per blob");
}

#[tokio::test]
async fn the_end_of_an_upload_is_tried_again() {
    for lies in [
        Lies {
            refused_commits: 2,
            ..Lies::default()
        },
        Lies {
            lost_commits: 1,
            ..Lies::default()
        },
    ] {
        let faults = lies.refused_commits + lies.lost_commits;
        let fake = Fake::start(lies).await;
        let (source, name) = (Scratch::new(), fake.name("me/m:t"));
        source.model(&name.full(), &[(media_type::MODEL, b"GGUF")]);
        let registry = pushing(|_| {});
        run_push(&source.store, &registry, &name).await.1.unwrap();
        assert_eq!(count(&fake, "PUT", "/session"), 2 + faults);
        assert_eq!(
            count(&fake, "PATCH", "/session"),
            2,
            "nothing is sent twice"
        );
    }
}

#[tokio::test]
async fn bytes_that_go_elsewhere_count_once_and_vouch_for_the_upload() {
    let fake = Fake::start(Lies {
        redirect_uploads: true,
        ..Lies::default()
    })
    .await;
    let model = weights(10_000_000);
    let (source, name) = (Scratch::new(), fake.name("me/m:t"));
    source.model(&name.full(), &[(media_type::MODEL, &model)]);
    let registry = pushing(|tuning| {
        tuning.min_part_bytes = 5_000_000;
        tuning.max_part_bytes = 5_000_000;
    });
    let (lines, result) = run_push(&source.store, &registry, &name).await;
    result.unwrap();
    assert!(lines.iter().all(|line| line.completed <= line.total));
    let digest = Digest::of(&model);
    let blob = format!("/v2/me/m/blobs/{digest}");
    assert!(fake.file(&blob).unwrap() == model);

    let mut checksums = Md5::new();
    for part in model.chunks(5_000_000) {
        checksums.update(Md5::digest(part));
    }
    let want = format!("etag={}-2", hex::encode(checksums.finalize()));
    let ends: Vec<String> = fake
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "PUT" && seen.query.contains(&digest.hex()))
        .map(|seen| seen.query)
        .collect();
    assert_eq!(ends.len(), 1);
    assert!(ends[0].ends_with(&want), "{} is not {want}", ends[0]);
}

#[tokio::test]
async fn files_of_the_hub_become_models() {
    let hub = Fake::start(Lies::default()).await;
    let model = crate::store::create::tests::llama();
    let cases = [
        ("hf.co/u/r:m.Q8_0.gguf", "/u/r/resolve/main/m.Q8_0.gguf"),
        (
            "huggingface.co/u/r/m.Q8_0.gguf",
            "/u/r/resolve/main/m.Q8_0.gguf",
        ),
    ];
    for (text, path) in cases {
        hub.put(path, &model);
        let registry = registry_with(|options| options.hub_endpoint = hub.base());
        let name = ModelName::parse(text).unwrap();
        let scratch = Scratch::new();
        let (lines, result) = run_pull(&scratch.store, &registry, &name).await;
        result.unwrap();
        assert_eq!(steps(&lines).last(), Some(&"success"));
        let stored = scratch.store.load(&name).unwrap();
        assert_eq!(stored.name.tag(), "m.Q8_0.gguf");
        assert_eq!(stored.config.model_family, "llama");
        assert_eq!(fs::read(stored.model_path.unwrap()).unwrap(), model);
    }
}
