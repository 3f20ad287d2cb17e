//! Forward passes against other implementations, against themselves and on files that are wrong.

mod batches;
mod bert;
mod fallback;
mod families;
mod hostile;
mod oracle;
mod reference;
mod starter;
mod stories;
mod tiny;

use std::path::PathBuf;

/// The folder of facts made by other programs; None, with a line that says so, where it is absent.
fn fixtures() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures");
    let folder = std::env::var_os("WICK_FIXTURES").map_or_else(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: no fixtures at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// Cosine of the angle between two vectors.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Index of the largest value.
fn argmax(row: &[f32]) -> u32 {
    let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map(|(index, _)| index as u32).unwrap()
}
