//! The graph finds what comparing every vector finds.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::rag::Position;
use crate::rag::embed::EmbedderId;
use crate::rag::library::measure::{direction, near};
use crate::rag::tables::{ChunkRow, Chunks, Generation, Nearness, Within, scope_key};

const DIMENSION: usize = 48;
const ROWS: usize = 4000;

/// Around some subjects, the same ones for every seed.
fn vectors(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let subjects: Vec<Vec<f32>> = (0..60).map(|_| direction(&mut random, DIMENSION)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| near(&subjects, &mut random)).collect()
}

async fn filled(folder: &TempDir) -> (Library, Chunks) {
    let library = open(folder).await;
    let generation = Generation {
        number: 1,
        embedder: EmbedderId {
            model: "made-up".to_owned(),
            weights: String::new(),
            dimension: DIMENSION,
        },
    };
    let chunks = library.inner.tables.chunks(&generation).await.unwrap();
    let rows: Vec<ChunkRow> = vectors(ROWS, 1)
        .into_iter()
        .enumerate()
        .map(|(passage, vector)| ChunkRow {
            document_id: "doc_1".to_owned(),
            tenant: if passage % 10 == 0 { "small" } else { "large" }.to_owned(),
            collection: "c".to_owned(),
            labels: Vec::new(),
            text: format!("passage {passage}"),
            lead_bytes: 0,
            position: Position {
                passage,
                ..Position::default()
            },
            vector,
        })
        .collect();
    chunks.add(&rows).await.unwrap();
    (library, chunks)
}

async fn recall(chunks: &Chunks, within: &Within) -> f64 {
    let questions = vectors(100, 2);
    let mut found = 0;
    for question in &questions {
        let places = async |nearness| -> Vec<usize> {
            let rows = chunks
                .nearest(question, within, 10, nearness)
                .await
                .unwrap();
            rows.iter().map(|row| row.position.passage).collect()
        };
        let exact = places(Nearness::Exact).await;
        let near = places(Nearness::Approximate).await;
        assert_eq!((exact.len(), near.len()), (10, 10));
        found += near.iter().filter(|place| exact.contains(place)).count();
    }
    found as f64 / (questions.len() * 10) as f64
}

#[tokio::test]
async fn the_graph_has_nearly_all_of_the_ten_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let (_library, chunks) = filled(&folder).await;
    let all = Within {
        scopes: vec![scope_key("small", "c"), scope_key("large", "c")],
        ..Within::default()
    };
    assert_eq!(chunks.graph_rows().await.unwrap(), None);
    assert_eq!(
        recall(&chunks, &all).await,
        1.0,
        "without a graph both are exact"
    );
    chunks.index().await.unwrap();
    chunks.build_graph().await.unwrap();
    assert_eq!(chunks.graph_rows().await.unwrap(), Some(ROWS));
    let share = recall(&chunks, &all).await;
    assert!(share >= 0.95, "{share}");
    let small = Within {
        scopes: vec![scope_key("small", "c")],
        ..Within::default()
    };
    let share = recall(&chunks, &small).await;
    assert!(
        share >= 0.95,
        "of a tenant with a tenth of the rows: {share}"
    );
}

#[tokio::test]
async fn exact_search_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let (_library, chunks) = filled(&folder).await;
    let within = Within {
        scopes: vec![scope_key("small", "c")],
        ..Within::default()
    };
    let rows = vectors(ROWS, 1);
    for question in vectors(5, 3) {
        let dot = |a: &[f32]| a.iter().zip(&question).map(|(a, b)| a * b).sum::<f32>();
        let mut want: Vec<(usize, f32)> = rows
            .iter()
            .enumerate()
            .filter(|(at, _)| at % 10 == 0)
            .map(|(at, row)| (at, dot(row)))
            .collect();
        want.sort_by(|a, b| b.1.total_cmp(&a.1));
        let found = chunks
            .nearest(&question, &within, 10, Nearness::Exact)
            .await;
        for (row, (at, cosine)) in found.unwrap().iter().zip(&want) {
            assert_eq!(row.position.passage, *at);
            assert!((row.score - cosine).abs() < 1e-4, "{} {cosine}", row.score);
        }
    }
}

#[tokio::test]
async fn the_graph_is_made_where_there_are_enough_passages() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::new("fake", 64));
    let few = LibraryOptions {
        exact_passages: 300,
        ..options(folder.path())
    };
    let library = Library::open(few, &[]).await.unwrap();
    library
        .add(document("t", "a.txt", &long("geese", 500)), &fake)
        .await
        .unwrap();
    library.optimise().await.unwrap();
    assert!(library.passages() < 300);
    assert_eq!(library.chunks()[0].graph_rows().await.unwrap(), None);
    library
        .add(document("t", "b.txt", &long("swans", 1500)), &fake)
        .await
        .unwrap();
    library.optimise().await.unwrap();
    let rows = library.passages();
    assert_eq!(library.chunks()[0].graph_rows().await.unwrap(), Some(rows));
    for (word, title) in [("geese", "a"), ("swans", "b")] {
        for mode in MODES {
            let found = titles(&library, &fake, &query("t", word, mode)).await;
            assert!(
                found.iter().all(|found| found == title),
                "{word} {mode:?}: {found:?}"
            );
        }
    }
    // New passages are found before the graph has them.
    library
        .add(document("t", "c.txt", "Storks stand on one leg."), &fake)
        .await
        .unwrap();
    let found = titles(
        &library,
        &fake,
        &query("t", "storks stand on one leg", Mode::Vector),
    )
    .await;
    assert_eq!(found[0], "c");
}
