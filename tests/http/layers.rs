//! Dependencies point down only.

use std::fs;
use std::path::{Path, PathBuf};

/// Paths below `folder` and what the files hold.
fn files_under(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

/// A file without the tests at its end, which may use whatever they like.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

#[test]
fn layers_only_look_down() {
    let files = files_under("src");
    assert!(files.len() > 30, "{}", files.len());
    for (path, text) in files {
        let text = without_tests(&text);
        let inside = |layer: &str| {
            path.starts_with(&format!("src/{layer}/")) || path == format!("src/{layer}.rs")
        };
        let is_top = inside("api") || inside("cli") || inside("lib") || inside("main");
        // Tests of clients and of the registry client speak to servers of their own.
        let is_test = path.contains("test");
        assert!(
            inside("api") || is_test || !text.contains("axum::"),
            "{path}: HTTP types belong in src/api"
        );
        assert!(
            !text.contains("candle_"),
            "{path}: tensors stay inside models"
        );
        assert!(
            is_top || !text.contains("crate::api"),
            "{path}: looks up to src/api"
        );
        assert!(
            is_top || !text.contains("crate::cli"),
            "{path}: looks up to src/cli"
        );
        let is_engine = inside("engine") || inside("prompt");
        assert!(
            !is_engine || !text.contains("crate::store"),
            "{path}: looks sideways to src/store"
        );
        assert!(
            !inside("prompt") || !text.contains("crate::engine"),
            "{path}: looks up to src/engine"
        );
        for above in ["crate::engine", "crate::store", "crate::code", "crate::ops"] {
            assert!(
                !inside("access") || !text.contains(above),
                "{path}: who may ask does not depend on {above}"
            );
        }
        for beside in ["crate::engine", "crate::store", "crate::access"] {
            assert!(
                !inside("coach") || !text.contains(beside),
                "{path}: the coach asks through its own traits, not {beside}"
            );
        }
        assert!(
            !inside("code") || !text.contains("crate::store"),
            "{path}: looks sideways to src/store"
        );
        for table in ["lancedb::", "arrow_array", "arrow_schema"] {
            assert!(
                inside("rag") || !text.contains(table),
                "{path}: {table} stays inside src/rag"
            );
        }
        for above in [
            "crate::engine",
            "crate::store",
            "crate::coach",
            "wick_models",
        ] {
            assert!(
                !inside("rag") || is_test || !text.contains(above),
                "{path}: documents do not depend on {above}"
            );
        }
        assert!(
            !inside("api") || !text.contains("clap::"),
            "{path}: flags belong in src/cli"
        );
    }
    for (path, text) in files_under("models/src")
        .into_iter()
        .chain(files_under("kernels/src"))
    {
        for above in ["tokio::", "axum::", "reqwest::", "wick::"] {
            assert!(!text.contains(above), "{path}: {above} stands above it");
        }
    }
    for (path, text) in files_under("kernels/src") {
        assert!(
            !text.contains("candle_") && !text.contains("wick_models"),
            "{path}: looks up to models"
        );
    }
}

#[test]
fn only_the_configuration_reads_the_environment() {
    for (path, text) in files_under("src") {
        let text = without_tests(&text);
        let reads = text.contains("env::var") || text.contains("env::vars");
        let may = path.starts_with("src/config")
            || path.starts_with("src/cli")
            || path.contains("test")
            || path.ends_with("fixtures.rs");
        assert!(!reads || may, "{path}: settings are read in src/config.rs");
    }
}
