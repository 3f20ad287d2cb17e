//! Times of searches over made-up passages: where comparing every vector stops being the faster way.

use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Library, LibraryError};
use crate::rag::Position;
use crate::rag::embed::EmbedderId;
use crate::rag::tables::{ChunkRow, Chunks, Generation, Nearness, ROWS_AT_ONCE, Within, scope_key};

/// Passages asked for.
const WANTED: usize = 10;
/// Searches of each kind.
const SEARCHES: usize = 200;
/// Subjects that passages are about, and words there are.
const SUBJECTS: usize = 200;
const WORDS: usize = 5000;
/// Words of a passage.
const PASSAGE_WORDS: usize = 120;
const TENANT: &str = "measured";

/// What came out, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct SearchTimes {
    /// Passages searched.
    pub passages: usize,
    /// Numbers of a vector.
    pub dimension: usize,
    /// Writing them.
    pub writing_ms: f64,
    /// Making the graph.
    pub graph_ms: f64,
    /// Comparing every vector: median and 95th percentile.
    pub exact_ms: [f64; 2],
    /// By the graph.
    pub approximate_ms: [f64; 2],
    /// By words.
    pub words_ms: [f64; 2],
    /// Share of the ten nearest that the graph finds.
    pub recall_at_10: f64,
    /// Resident memory of the process in MiB: before anything, once everything is written, before the graph is made, with
    /// the graph, and after its searches.
    pub resident_mib: [u64; 5],
}

/// Fills an empty library and searches it.
pub async fn measure(
    library: &Library,
    passages: usize,
    dimension: usize,
) -> Result<SearchTimes, LibraryError> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let subjects: Vec<Vec<f32>> = (0..SUBJECTS)
        .map(|_| direction(&mut random, dimension))
        .collect();
    let generation = Generation {
        number: 1,
        embedder: EmbedderId {
            model: "made-up".to_owned(),
            weights: String::new(),
            dimension,
        },
    };
    let chunks = library.inner.tables.chunks(&generation).await?;
    let mut resident_mib = [resident(); 5];
    let started = Instant::now();
    for first in (0..passages).step_by(ROWS_AT_ONCE) {
        let some = first..passages.min(first + ROWS_AT_ONCE);
        let rows: Vec<ChunkRow> = some
            .map(|passage| row(passage, &subjects, &mut random))
            .collect();
        chunks.add(&rows).await?;
    }
    chunks.index().await?;
    chunks.tidy().await?;
    let writing_ms = milliseconds(started);
    resident_mib[1] = resident();
    let questions: Vec<(Vec<f32>, String)> = (0..SEARCHES)
        .map(|_| (near(&subjects, &mut random), words(&mut random, 6)))
        .collect();
    let within = Within {
        scopes: vec![scope_key(TENANT, TENANT)],
        ..Within::default()
    };
    let (exact_ms, exact) = nearest(&chunks, &within, &questions, Nearness::Exact).await?;
    let mut times = Vec::new();
    for (_, text) in &questions {
        let started = Instant::now();
        chunks.with_words(text, &within, WANTED).await?;
        times.push(milliseconds(started));
    }
    resident_mib[2] = resident();
    let started = Instant::now();
    chunks.build_graph().await?;
    let graph_ms = milliseconds(started);
    // As a server does when it has tended its tables.
    wick_kernels::return_freed_memory();
    resident_mib[3] = resident();
    let (approximate_ms, found) =
        nearest(&chunks, &within, &questions, Nearness::Approximate).await?;
    resident_mib[4] = resident();
    let same = exact.iter().zip(&found);
    let same = same.map(|(exact, found)| found.iter().filter(|at| exact.contains(at)).count());
    let wanted: usize = exact.iter().map(Vec::len).sum();
    Ok(SearchTimes {
        passages,
        dimension,
        writing_ms,
        graph_ms,
        exact_ms,
        approximate_ms,
        words_ms: middle_and_slow(times),
        recall_at_10: same.sum::<usize>() as f64 / wanted.max(1) as f64,
        resident_mib,
    })
}

/// Times, and the places that were found.
async fn nearest(
    chunks: &Chunks,
    within: &Within,
    questions: &[(Vec<f32>, String)],
    nearness: Nearness,
) -> Result<([f64; 2], Vec<Vec<usize>>), LibraryError> {
    let (mut times, mut places) = (Vec::new(), Vec::new());
    for (question, _) in questions {
        let started = Instant::now();
        let found = chunks.nearest(question, within, WANTED, nearness).await?;
        times.push(milliseconds(started));
        places.push(found.iter().map(|row| row.position.passage).collect());
    }
    Ok((middle_and_slow(times), places))
}

fn row(passage: usize, subjects: &[Vec<f32>], random: &mut ChaCha8Rng) -> ChunkRow {
    ChunkRow {
        document_id: format!("doc_{:032x}", passage / 20),
        tenant: TENANT.to_owned(),
        collection: TENANT.to_owned(),
        labels: Vec::new(),
        text: words(random, PASSAGE_WORDS),
        lead_bytes: 0,
        position: Position {
            passage,
            ..Position::default()
        },
        vector: near(subjects, random),
    }
}

/// Common words come more often than rare ones.
fn words(random: &mut ChaCha8Rng, count: usize) -> String {
    let word = |random: &mut ChaCha8Rng| {
        let share: f64 = random.random();
        format!("w{} ", (WORDS as f64 * share * share * share) as usize)
    };
    (0..count).map(|_| word(random)).collect()
}

/// A direction not far from one of some.
pub(super) fn near(subjects: &[Vec<f32>], random: &mut ChaCha8Rng) -> Vec<f32> {
    let subject = &subjects[random.random_range(0..subjects.len())];
    let noise = direction(random, subject.len());
    normal(
        subject
            .iter()
            .zip(noise)
            .map(|(s, n)| s + 0.8 * n)
            .collect(),
    )
}

/// A vector of length 1.
pub(super) fn direction(random: &mut ChaCha8Rng, dimension: usize) -> Vec<f32> {
    normal(
        (0..dimension)
            .map(|_| random.random_range(-1.0..1.0))
            .collect(),
    )
}

fn normal(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.into_iter().map(|x| x / length).collect()
}

fn middle_and_slow(mut times: Vec<f64>) -> [f64; 2] {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place).copied().unwrap_or(0.0)
    };
    [at(0.5), at(0.95)]
}

fn resident() -> u64 {
    crate::bench::resident_bytes() >> 20
}

fn milliseconds(started: Instant) -> f64 {
    (started.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
