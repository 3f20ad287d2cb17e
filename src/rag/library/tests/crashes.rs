//! The process may end between any two steps: a document is then whole or absent.

use super::*;

/// What a new process finds: nothing of the document, in lists, searches or tables.
async fn assert_absent(folder: &TempDir, fake: &Fake, id: &str, words: &str) {
    let library = open(folder).await;
    assert!(library.document("t", id).is_none());
    assert_eq!(passages_written(&library, id).await, 0);
    for mode in MODES {
        assert!(
            titles(&library, fake, &query("t", words, mode))
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn passages_alone_are_no_document() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let new = document("t", "a.txt", &long("puffins", 40));
    let id = new.id.clone();
    let library = open(&folder).await;
    let mut batch = library.batch(&fake).await.unwrap();
    batch.add(new, &|_| true).await.unwrap();
    // The first half of `flush`, and then the end.
    batch.write_passages().await.unwrap();
    drop(batch);
    assert!(passages_written(&library, &id).await > 1);
    for mode in MODES {
        assert!(
            titles(&library, &fake, &query("t", "puffins", mode))
                .await
                .is_empty()
        );
    }
    drop(library);
    assert_absent(&folder, &fake, &id, "puffins").await;
}

#[tokio::test]
async fn a_document_is_there_with_its_row() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let new = document("t", "a.txt", &long("puffins", 40));
    let id = new.id.clone();
    let library = open(&folder).await;
    library.add(new, &fake).await.unwrap();
    drop(library);
    let library = open(&folder).await;
    let stored = library.document("t", &id).unwrap();
    assert_eq!(passages_written(&library, &id).await, stored.passages);
}

#[tokio::test]
async fn what_was_embedded_before_the_end_is_not_embedded_again() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let new = document("t", "a.txt", &long("puffins", 4000));
    let id = new.id.clone();
    let library = open(&folder).await;
    fake.fail_after(Some(1500));
    let mut batch = library.batch(&fake).await.unwrap();
    assert!(batch.add(new.clone(), &|_| true).await.is_err());
    drop(library);
    let unfinished = [id.clone()];
    let library = Library::open(options(folder.path()), &unfinished)
        .await
        .unwrap();
    let written = passages_written(&library, &id).await;
    assert!(written >= 1000, "{written}");
    for mode in MODES {
        assert!(
            titles(&library, &fake, &query("t", "puffins", mode))
                .await
                .is_empty()
        );
    }
    fake.fail_after(None);
    let before = fake.embedded();
    let mut batch = library.batch(&fake).await.unwrap();
    let Added::New { passages, .. } = batch.add(new, &|_| true).await.unwrap() else {
        panic!("it is no duplicate");
    };
    batch.flush().await.unwrap();
    assert_eq!(fake.embedded() - before, passages - written);
    assert_eq!(passages_written(&library, &id).await, passages);
    assert_eq!(
        titles(&library, &fake, &query("t", "puffins", Mode::Text))
            .await
            .len(),
        10
    );
    // Passages are numbered without gaps, each once.
    let rows = library.chunks()[0].texts_of(&[id]).await.unwrap();
    let places: Vec<usize> = rows.iter().map(|row| row.position.passage).collect();
    assert_eq!(places, (0..passages).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_removed_document_stays_removed() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let new = document("t", "a.txt", &long("puffins", 40));
    let id = new.id.clone();
    let library = open(&folder).await;
    library.add(new, &fake).await.unwrap();
    library
        .remove_rows(std::slice::from_ref(&id))
        .await
        .unwrap();
    assert!(passages_written(&library, &id).await > 0);
    for mode in MODES {
        assert!(
            titles(&library, &fake, &query("t", "puffins", mode))
                .await
                .is_empty()
        );
    }
    drop(library);
    assert_absent(&folder, &fake, &id, "puffins").await;
}

#[tokio::test]
async fn a_cancelled_document_leaves_nothing() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    let other = document("t", "b.txt", "It stays.");
    let new = document("t", "a.txt", &long("puffins", 4000));
    let id = new.id.clone();
    let mut batch = library.batch(&fake).await.unwrap();
    batch.add(other, &|_| true).await.unwrap();
    let until = |progress| !matches!(progress, Progress::Embedded { passages } if passages > 1200);
    let error = batch.add(new, &until).await.unwrap_err();
    assert!(matches!(error, LibraryError::Cancelled));
    batch.flush().await.unwrap();
    library.abandon(std::slice::from_ref(&id)).await.unwrap();
    assert_eq!(passages_written(&library, &id).await, 0);
    assert_eq!(library.passages(), 1);
    assert_eq!(library.chunks()[0].rows().await.unwrap(), 1);
}

#[tokio::test]
async fn files_that_cannot_be_read_leave_nothing() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let library = open(&folder).await;
    for (name, text) in [
        ("a.txt", "  \n "),
        ("a.json", "{"),
        ("a.pdf", "x"),
        ("a", "%PDF-1.4\n"),
    ] {
        let error = library
            .add(document("t", name, text), &fake)
            .await
            .unwrap_err();
        assert!(matches!(error, LibraryError::Read(_)), "{name}: {error}");
    }
    assert_eq!((library.passages(), fake.embedded()), (0, 0));
}

#[tokio::test]
async fn a_change_of_embedder_ends_and_begins_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Fake::new("old", 64), Fake::new("new", 32));
    let library = open(&folder).await;
    for n in 0..3 {
        let text = long(&format!("topic{n}"), 1600);
        library
            .add(document("t", &format!("{n}.txt"), &text), &old)
            .await
            .unwrap();
    }
    let passages = library.passages();
    drop(library);
    // With each attempt it gets a little further.
    let mut attempts = 0;
    loop {
        let library = open(&folder).await;
        assert_eq!(library.passages(), passages);
        new.fail_after(Some(passages / 2));
        if library.batch(&new).await.is_ok() {
            break;
        }
        assert_eq!(library.embedder().unwrap().model, "old");
        attempts += 1;
        assert!(attempts < 6, "what was embedded is kept");
    }
    assert!(attempts > 0);
    let library = open(&folder).await;
    assert_eq!(library.embedder().unwrap().model, "new");
    assert_eq!(library.chunks()[0].rows().await.unwrap(), passages);
}
