//! The parts of a download and their files: `sha256-<hex>-partial` holds the bytes, pre-sized,
//! `sha256-<hex>-partial-<N>` how far part N has come.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Blob;
use crate::store::error::StoreError;
use crate::store::registry::Tuning;
use crate::store::{Store, blobs};

/// State of one part, as its file holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Part {
    /// Number, from 0.
    pub(super) n: u64,
    /// First byte.
    pub(super) offset: u64,
    /// Number of bytes.
    pub(super) size: u64,
    /// How many of them have come.
    pub(super) completed: u64,
}

impl Part {
    pub(super) fn next_byte(&self) -> u64 {
        self.offset + self.completed
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + self.size
    }

    pub(super) fn is_complete(&self) -> bool {
        self.completed == self.size
    }
}

/// Where the bytes go until they are all there.
pub(super) fn partial_path(store: &Store, blob: Blob) -> PathBuf {
    with_suffix(&store.blob_path(&blob.digest), "-partial")
}

/// Bytes of a blob that an earlier try has brought.
pub(super) fn completed_bytes(store: &Store, blob: Blob) -> u64 {
    load(store, blob)
        .unwrap_or_default()
        .iter()
        .map(|part| part.completed)
        .sum()
}

/// Parts of an earlier try, if they fit together and cover the blob.
pub(super) fn load(store: &Store, blob: Blob) -> Option<Vec<Part>> {
    let partial = partial_path(store, blob);
    if fs::metadata(&partial).ok()?.len() != blob.size_bytes {
        return None;
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut next = 0;
    while next < blob.size_bytes {
        let n = parts.len() as u64;
        let path = state_path(&partial, n);
        // A state is a line of four numbers.
        let text = fs::read(&path).ok().filter(|text| text.len() <= 4096)?;
        let part: Part = serde_json::from_slice(&text).ok()?;
        let fits = part.n == n
            && part.offset == next
            && part.size > 0
            && part.size <= blob.size_bytes - next
            && part.completed <= part.size;
        if !fits {
            return None;
        }
        next += part.size;
        parts.push(part);
    }
    Some(parts)
}

/// Fresh parts of equal size; every one gets its file.
pub(super) fn plan(store: &Store, blob: Blob, tuning: &Tuning) -> Result<Vec<Part>, StoreError> {
    let concurrent = tuning.concurrent_parts.max(1) as u64;
    let size = (blob.size_bytes / concurrent).clamp(tuning.min_part_bytes, tuning.max_part_bytes);
    plan_of(store, blob, size.max(1))
}

/// A single part, for registries that cannot send ranges.
pub(super) fn plan_single(store: &Store, blob: Blob) -> Result<Vec<Part>, StoreError> {
    plan_of(store, blob, blob.size_bytes.max(1))
}

fn plan_of(store: &Store, blob: Blob, part_bytes: u64) -> Result<Vec<Part>, StoreError> {
    remove_states(store, blob)?;
    let partial = partial_path(store, blob);
    let mut parts = Vec::new();
    let mut offset = 0;
    while offset < blob.size_bytes {
        let size = part_bytes.min(blob.size_bytes - offset);
        let part = Part {
            n: parts.len() as u64,
            offset,
            size,
            completed: 0,
        };
        save(store, &partial, &part)?;
        parts.push(part);
        offset += size;
    }
    Ok(parts)
}

/// Writes down how far a part has come, in one step.
pub(super) fn save(store: &Store, partial: &Path, part: &Part) -> Result<(), StoreError> {
    let path = state_path(partial, part.n);
    let text = serde_json::to_vec(part).expect("numbers");
    let mut file = blobs::temporary_file(store)?;
    file.write_all(&text)
        .map_err(|e| StoreError::io("write", &path, e))?;
    file.persist(&path)
        .map_err(|e| StoreError::io("write", &path, e.error))?;
    Ok(())
}

/// Removes the states of all parts.
pub(super) fn remove_states(store: &Store, blob: Blob) -> Result<(), StoreError> {
    let partial = partial_path(store, blob);
    let prefix = with_suffix(&partial, "-");
    let prefix = prefix.file_name().unwrap_or_default().as_encoded_bytes();
    for path in crate::store::entries(&store.blobs_folder())? {
        if path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(prefix))
        {
            fs::remove_file(&path).map_err(|e| StoreError::io("remove", &path, e))?;
        }
    }
    Ok(())
}

fn state_path(partial: &Path, n: u64) -> PathBuf {
    with_suffix(partial, &format!("-{n}"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::digest::Digest;

    #[test]
    fn parts_are_planned_saved_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let blob = Blob {
            digest: Digest::of(b"x"),
            size_bytes: 1050,
        };
        let tuning = Tuning {
            min_part_bytes: 100,
            max_part_bytes: 400,
            ..Tuning::default()
        };
        assert_eq!(load(&store, blob), None);

        let mut parts = plan(&store, blob, &tuning).unwrap();
        let sizes: Vec<u64> = parts.iter().map(|part| part.size).collect();
        assert_eq!(
            sizes,
            [100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 50]
        );
        assert_eq!(
            load(&store, blob),
            None,
            "states without bytes are worth nothing"
        );

        let partial = partial_path(&store, blob);
        fs::File::create(&partial).unwrap().set_len(1050).unwrap();
        parts[3].completed = 42;
        save(&store, &partial, &parts[3]).unwrap();
        assert_eq!(load(&store, blob).unwrap(), parts);
        assert_eq!(completed_bytes(&store, blob), 42);
        let text = fs::read_to_string(state_path(&partial, 3)).unwrap();
        assert_eq!(text, r#"{"N":3,"Offset":300,"Size":100,"Completed":42}"#);

        for bad in [
            "",
            "{}",
            r#"{"N":3,"Offset":300,"Size":100,"Completed":101}"#,
            r#"{"N":3,"Offset":301,"Size":100,"Completed":1}"#,
            r#"{"N":3,"Offset":300,"Size":18446744073709551615,"Completed":1}"#,
        ] {
            fs::write(state_path(&partial, 3), bad).unwrap();
            assert_eq!(load(&store, blob), None, "{bad}");
        }
        assert_eq!(plan_single(&store, blob).unwrap().len(), 1);
        assert_eq!(load(&store, blob).unwrap().len(), 1);
    }
}
