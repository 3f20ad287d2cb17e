use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::rag::fake::Fake;
use crate::rag::{Filter, Label, Metadata, Mode, Query};

mod crashes;
mod recall;

fn options(folder: &Path) -> LibraryOptions {
    LibraryOptions::new(folder.to_owned())
}

async fn open(folder: &TempDir) -> Library {
    Library::open(options(folder.path()), &[]).await.unwrap()
}

fn document(tenant: &str, name: &str, text: &str) -> NewDocument {
    NewDocument {
        id: new_id(),
        tenant: tenant.to_owned(),
        collection: "default".to_owned(),
        title: None,
        url: None,
        name: name.to_owned(),
        metadata: Metadata::new(),
        bytes: text.as_bytes().to_vec(),
    }
}

/// Long enough for many passages; each holds `word`.
fn long(word: &str, sentences: usize) -> String {
    let sentence =
        |n| format!("Sentence number {n} is about {word} and says so in a few words.\n\n");
    (0..sentences).map(sentence).collect()
}

fn query(tenant: &str, text: &str, mode: Mode) -> Query {
    Query {
        tenant: tenant.to_owned(),
        text: text.to_owned(),
        k: 10,
        mode,
        ..Query::default()
    }
}

const MODES: [Mode; 3] = [Mode::Hybrid, Mode::Vector, Mode::Text];

async fn titles(library: &Library, fake: &Fake, query: &Query) -> Vec<String> {
    let found = library.search(query, fake).await.unwrap();
    found.hits.into_iter().map(|hit| hit.title).collect()
}

async fn passages_written(library: &Library, id: &str) -> usize {
    let mut rows = 0;
    for chunks in library.chunks() {
        rows += chunks.rows_of(id).await.unwrap();
    }
    rows
}

#[tokio::test]
async fn documents_are_added_found_listed_and_removed() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    for mode in MODES {
        let nothing = library.search(&query("t", "otters", mode), &fake).await;
        assert!(nothing.unwrap().hits.is_empty());
    }
    let text = "# Otters\n\nOtters hold hands while they sleep.\n\n## Food\n\nThey eat crabs.\n";
    let new = NewDocument {
        url: Some("https://example.org/otters".to_owned()),
        ..document("t", "otters.md", text)
    };
    let id = new.id.clone();
    let added = library.add(new, &fake).await.unwrap();
    let want = Added::New {
        title: "Otters".to_owned(),
        passages: 2,
    };
    assert_eq!(added, want);
    let other = document("t", "moss.txt", "Moss grows on stones that nobody turns.");
    library.add(other, &fake).await.unwrap();
    for mode in MODES {
        let question = query("t", "what do otters eat, crabs?", mode);
        let found = library.search(&question, &fake).await.unwrap();
        assert_eq!(found.mode, mode);
        let hit = &found.hits[0];
        assert_eq!(
            (hit.title.as_str(), hit.text.as_str()),
            ("Otters", "They eat crabs.")
        );
        assert_eq!(*hit.position.headings, ["Otters", "Food"]);
        assert_eq!(hit.url.as_deref(), Some("https://example.org/otters"));
        assert_eq!(
            (hit.document_id.clone(), hit.position.passage),
            (id.clone(), 1)
        );
    }
    let page = library.documents("t", None, None, 1);
    assert_eq!(page.documents[0].title, "moss");
    let next = library.documents("t", None, page.next.as_deref(), 1);
    assert_eq!(
        (next.documents[0].title.as_str(), next.next),
        ("Otters", None)
    );
    let version = library.version("t");
    library.remove("t", &id).await.unwrap();
    assert_ne!(library.version("t"), version);
    assert!(library.document("t", &id).is_none());
    assert_eq!(passages_written(&library, &id).await, 0);
    assert_eq!(
        titles(&library, &fake, &query("t", "otters crabs", Mode::Text)).await,
        [""; 0]
    );
    let again = library.remove("t", &id).await.unwrap_err();
    assert!(matches!(again, LibraryError::UnknownDocument(_)));
}

#[tokio::test]
async fn a_question_without_words_that_tell_finds_by_meaning_alone() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    let new = document("t", "a.txt", "Who is it that the bell tolls for?");
    library.add(new, &fake).await.unwrap();
    for text in ["who is it?", "the", "?!", "\u{0}"] {
        let words = titles(&library, &fake, &query("t", text, Mode::Text)).await;
        assert!(words.is_empty(), "{text}: {words:?}");
        assert_eq!(
            titles(&library, &fake, &query("t", text, Mode::Hybrid)).await,
            ["a"]
        );
    }
    assert!(
        titles(&library, &fake, &query("t", "  ", Mode::Hybrid))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    let mut new = document("t", "a.txt", &long("herons", 60));
    new.metadata
        .insert("year".to_owned(), Label::Number(2026.0));
    let id = new.id.clone();
    library.add(new, &fake).await.unwrap();
    library
        .add_collection("t", "empty", "For later")
        .await
        .unwrap();
    library.optimise().await.unwrap();
    let stored = library.document("t", &id).unwrap();
    drop(library);
    let library = open(&folder).await;
    assert_eq!(library.document("t", &id).unwrap(), stored);
    assert_eq!(library.passages(), stored.passages);
    let names: Vec<_> = library
        .collections("t")
        .into_iter()
        .map(|collection| (collection.name, collection.documents))
        .collect();
    assert_eq!(names, [("default".to_owned(), 1), ("empty".to_owned(), 0)]);
    for mode in MODES {
        let found = titles(&library, &fake, &query("t", "about herons", mode)).await;
        assert_eq!(found.len(), 10, "{mode:?}");
    }
}

#[tokio::test]
async fn tenants_see_only_their_own() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    let secret = document("a", "secret.txt", "The falcon nests in the old tower.");
    let id = secret.id.clone();
    library.add(secret, &fake).await.unwrap();
    library.add_collection("a", "mine", "").await.unwrap();
    let own = document("b", "own.txt", "A falcon was seen here once.");
    library.add(own, &fake).await.unwrap();
    for mode in MODES {
        assert_eq!(
            titles(&library, &fake, &query("b", "falcon tower", mode)).await,
            ["own"]
        );
        for nobody in ["", "a' OR '1'='1", "A", BUILTIN_TENANT] {
            assert!(
                titles(&library, &fake, &query(nobody, "falcon", mode))
                    .await
                    .is_empty()
            );
        }
    }
    assert!(library.document("b", &id).is_none());
    assert!(library.remove("b", &id).await.is_err());
    assert!(library.remove_collection("b", "mine").await.is_err());
    assert_eq!(library.documents("b", None, None, 9).documents.len(), 1);
    // Going on after somebody else's document begins anew and shows nothing of theirs.
    assert_eq!(
        library.documents("b", None, Some(&id), 9).documents.len(),
        1
    );
    assert_eq!(library.collections("b").len(), 1);
    assert!(library.document("a", &id).is_some());
    let built_in = NewDocument {
        tenant: BUILTIN_TENANT.to_owned(),
        ..document("", "article.txt", "An article about the falcon.")
    };
    library.add(built_in, &fake).await.unwrap();
    let both = Query {
        builtin: true,
        ..query("b", "falcon", Mode::Text)
    };
    let mut found = titles(&library, &fake, &both).await;
    found.sort();
    assert_eq!(found, ["article", "own"]);
    assert_eq!(
        titles(&library, &fake, &query("b", "falcon", Mode::Text)).await,
        ["own"]
    );
}

#[tokio::test]
async fn the_same_bytes_are_one_document() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    let first = document("t", "one.txt", "The same words.");
    let want = Added::Duplicate {
        document_id: first.id.clone(),
    };
    library.add(first, &fake).await.unwrap();
    let again = document("t", "two.txt", "The same words.");
    assert_eq!(library.add(again, &fake).await.unwrap(), want);
    let mut batch = library.batch(&fake).await.unwrap();
    let third = document("t", "three.txt", "Other words.");
    let third_id = third.id.clone();
    batch.add(third, &|_| true).await.unwrap();
    let fourth = batch
        .add(document("t", "four.txt", "Other words."), &|_| true)
        .await;
    let waits = Added::Duplicate {
        document_id: third_id,
    };
    assert_eq!(fourth.unwrap(), waits);
    batch.flush().await.unwrap();
    assert_eq!(library.documents("t", None, None, 9).documents.len(), 2);
    let elsewhere = NewDocument {
        collection: "other".to_owned(),
        ..document("t", "one.txt", "The same words.")
    };
    let elsewhere = library.add(elsewhere, &fake).await.unwrap();
    assert!(matches!(elsewhere, Added::New { .. }));
    let of_another = library
        .add(document("u", "one.txt", "The same words."), &fake)
        .await;
    assert!(matches!(of_another.unwrap(), Added::New { .. }));
}

#[tokio::test]
async fn filters_match_values_and_nothing_more() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    let nasty = "x') OR array_has(labels, 'y') --";
    let labels = [
        (
            "plain",
            vec![
                ("kind", Label::Text("memo".to_owned())),
                ("year", Label::Number(2025.0)),
            ],
        ),
        (
            "nasty",
            vec![
                ("kind", Label::Text(nasty.to_owned())),
                ("open", Label::Bool(true)),
            ],
        ),
        (
            "typed",
            vec![
                ("kind", Label::Text("2025".to_owned())),
                ("open", Label::Text("true".to_owned())),
            ],
        ),
        ("none", vec![]),
    ];
    for (name, labels) in labels {
        let metadata = labels
            .into_iter()
            .map(|(name, label)| (name.to_owned(), label));
        let new = NewDocument {
            metadata: metadata.collect(),
            ..document(
                "t",
                &format!("{name}.txt"),
                &format!("The budget of {name}."),
            )
        };
        library.add(new, &fake).await.unwrap();
    }
    library.optimise().await.unwrap();
    let filter = |fields: &[(&str, &[Label])]| {
        let fields = fields
            .iter()
            .map(|(name, labels)| ((*name).to_owned(), labels.to_vec()));
        Filter(fields.collect())
    };
    let text = |text: &str| Label::Text(text.to_owned());
    for (filter, want) in [
        (filter(&[("kind", &[text("memo")])]), vec!["plain"]),
        (filter(&[("kind", &[text(nasty)])]), vec!["nasty"]),
        (
            filter(&[("kind", &[text("memo"), text(nasty)])]),
            vec!["nasty", "plain"],
        ),
        (filter(&[("open", &[Label::Bool(true)])]), vec!["nasty"]),
        (filter(&[("open", &[text("true")])]), vec!["typed"]),
        (filter(&[("year", &[Label::Number(2025.0)])]), vec!["plain"]),
        (filter(&[("kind", &[Label::Number(2025.0)])]), vec![]),
        (
            filter(&[("kind", &[text("memo")]), ("open", &[Label::Bool(true)])]),
            vec![],
        ),
        (filter(&[("kind", &[])]), vec![]),
        (
            filter(&[("kind", &[text("' OR 1=1; DROP TABLE chunks_1; --")])]),
            vec![],
        ),
        (filter(&[("kind' OR '1'='1", &[text("memo")])]), vec![]),
    ] {
        for mode in MODES {
            let query = Query {
                filter: filter.clone(),
                ..query("t", "budget", mode)
            };
            let mut found = titles(&library, &fake, &query).await;
            found.sort();
            assert_eq!(found, want, "{filter:?} {mode:?}");
        }
    }
    // The words of a question are words, whatever they look like.
    for words in [
        "budget' OR 1=1 --",
        "\"budget",
        "budget AND (",
        "text:budget^9",
        "budget*",
    ] {
        assert_eq!(
            titles(&library, &fake, &query("t", words, Mode::Text))
                .await
                .len(),
            4,
            "{words}"
        );
    }
}

#[tokio::test]
async fn both_orders_are_joined_by_rank() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 256));
    let library = open(&folder).await;
    for (name, text) in [
        ("both", "glacier melt raises rivers"),
        ("words", "glacier glacier glacier"),
        ("noise", "cats sleep on warm stones"),
    ] {
        library
            .add(document("t", &format!("{name}.txt"), text), &fake)
            .await
            .unwrap();
    }
    let found = library
        .search(
            &query("t", "glacier melt raises rivers", Mode::Hybrid),
            &fake,
        )
        .await
        .unwrap();
    assert_eq!(found.hits[0].title, "both");
    assert!((found.hits[0].score - 1.0).abs() < 1e-6);
    let scores: Vec<f32> = found.hits.iter().map(|hit| hit.score).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert_eq!(found.hits.len(), 3);
    assert_eq!(found.hits[1].title, "words");
}

#[tokio::test]
async fn without_the_embedder_words_still_find() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    library
        .add(document("t", "a.txt", "Lanterns by the pier."), &fake)
        .await
        .unwrap();
    fake.fail_after(Some(0));
    let found = library
        .search(&query("t", "lanterns", Mode::Hybrid), &fake)
        .await
        .unwrap();
    assert_eq!((found.hits.len(), found.mode), (1, Mode::Text));
    let error = library
        .search(&query("t", "lanterns", Mode::Vector), &fake)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("wick pull fake"), "{error}");
}

#[tokio::test]
async fn another_embedder_takes_over_once_it_has_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Fake::new("old", 64), Fake::new("new", 32));
    let library = open(&folder).await;
    for n in 0..5 {
        let text = long(&format!("topic{n}"), 30);
        library
            .add(document("t", &format!("{n}.txt"), &text), &old)
            .await
            .unwrap();
    }
    let (passages, embedded) = (library.passages(), old.embedded());
    assert_eq!(passages, embedded);
    // It breaks off in the middle; the old vectors serve on.
    new.fail_after(Some(passages / 2));
    assert!(library.batch(&new).await.is_err());
    assert_eq!(library.embedder().unwrap().model, "old");
    assert!(
        !titles(&library, &old, &query("t", "topic3", Mode::Vector))
            .await
            .is_empty()
    );
    let removed = library.documents("t", None, None, 1).documents[0]
        .id
        .clone();
    library.remove("t", &removed).await.unwrap();
    drop(library);
    let library = open(&folder).await;
    new.fail_after(None);
    library.batch(&new).await.unwrap();
    assert_eq!(library.embedder(), Some(new.id.clone()));
    for mode in MODES {
        assert!(
            !titles(&library, &new, &query("t", "topic3", mode))
                .await
                .is_empty()
        );
    }
    assert_eq!(passages_written(&library, &removed).await, 0);
    let error = library
        .search(&query("t", "topic3", Mode::Vector), &old)
        .await;
    assert!(error.is_err(), "vectors of two embedders are not compared");
    drop(library);
    let library = open(&folder).await;
    assert_eq!(library.embedder(), Some(new.id.clone()));
    let rows = library.chunks()[0].rows().await.unwrap();
    assert_eq!(rows, library.passages());
}

#[tokio::test]
async fn collections_are_made_emptied_and_bounded_by_name() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    library
        .add_collection("t", "kept", "A shelf")
        .await
        .unwrap();
    library
        .add_collection("t", "kept", "Another text")
        .await
        .unwrap();
    for name in ["kept", "other"] {
        let new = NewDocument {
            collection: name.to_owned(),
            ..document("t", "a.txt", "Words on a shelf.")
        };
        library.add(new, &fake).await.unwrap();
    }
    let only = Query {
        collections: vec!["other".to_owned()],
        ..query("t", "shelf", Mode::Text)
    };
    assert_eq!(titles(&library, &fake, &only).await.len(), 1);
    assert_eq!(
        titles(&library, &fake, &query("t", "shelf", Mode::Text))
            .await
            .len(),
        2
    );
    assert_eq!(library.remove_collection("t", "other").await.unwrap(), 1);
    assert_eq!(library.remove_collection("t", "kept").await.unwrap(), 1);
    assert!(library.collections("t").is_empty());
    assert_eq!(library.passages(), 0);
    let unknown = library.remove_collection("t", "kept").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no collection 'kept'");
    for bad in ["", "a/b", "x'; --", "ä"] {
        assert!(library.add_collection("t", bad, "").await.is_err(), "{bad}");
    }
}

#[tokio::test]
async fn one_process_at_a_time_and_no_later_schema() {
    let folder = tempfile::tempdir().unwrap();
    let library = open(&folder).await;
    let second = Library::open(options(folder.path()), &[]).await.err();
    let in_use = matches!(second, Some(LibraryError::Folder(FolderError::InUse(_))));
    assert!(in_use, "{second:?}");
    let later = Layout {
        schema: SCHEMA + 1,
        ..Layout::default()
    };
    library.inner.tables.set_layout(&later).await.unwrap();
    drop(library);
    let newer = Library::open(options(folder.path()), &[]).await.err();
    assert!(
        matches!(newer, Some(LibraryError::Newer { .. })),
        "{newer:?}"
    );
}

#[tokio::test]
async fn copies_hold_what_was_there() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let copy = tempfile::tempdir().unwrap();
    let library = open(&folder).await;
    library
        .add(document("t", "a.txt", "Kept in the copy."), &fake)
        .await
        .unwrap();
    let copied = backup(folder.path(), copy.path(), &|_, _| {}).unwrap();
    assert!(copied.files > 0 && copied.bytes > 0);
    library
        .add(document("t", "b.txt", "Came after the copy."), &fake)
        .await
        .unwrap();
    let again = backup(folder.path(), copy.path(), &|_, _| {}).unwrap_err();
    assert!(matches!(again, FolderError::NotEmpty(_)));
    let running = restore(copy.path(), folder.path(), true, &|_, _| {}).unwrap_err();
    assert!(matches!(running, FolderError::InUse(_)));
    drop(library);
    let there = restore(copy.path(), folder.path(), false, &|_, _| {}).unwrap_err();
    assert!(matches!(there, FolderError::NotEmpty(_)));
    let no_backup = restore(folder.path(), copy.path(), true, &|_, _| {}).unwrap_err();
    assert!(matches!(no_backup, FolderError::NoBackup(_)));
    assert_eq!(
        restore(copy.path(), folder.path(), true, &|_, _| {}).unwrap(),
        copied
    );
    let library = open(&folder).await;
    let titles: Vec<String> = library
        .documents("t", None, None, 9)
        .documents
        .iter()
        .map(|document| document.title.clone())
        .collect();
    assert_eq!(titles, ["a"]);
    drop(library);
    // It was cut off between moving the old tables away and the new ones in.
    let tables = folder.path().join("tables");
    std::fs::rename(&tables, folder.path().join("tables.old")).unwrap();
    let library = open(&folder).await;
    assert_eq!(library.documents("t", None, None, 9).documents.len(), 1);
}
