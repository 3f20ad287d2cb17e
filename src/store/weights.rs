//! What GGUF files are, and new ones made from other weights.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use wick_models::{FileType, FloatType, Gguf};

use crate::store::error::{RequestError, StoreError};
use crate::store::manifest::Config;
use crate::store::{FinishedBlob, Store, blobs, labels};

/// What a config and a choice of media type need to know about a GGUF file.
pub(crate) struct Facts {
    pub(crate) architecture: String,
    pub(crate) parameters: u64,
    pub(crate) file_type: Option<u64>,
    pub(crate) size_bytes: u64,
    pub(crate) is_adapter: bool,
    pub(crate) is_projector: bool,
    /// Number of files that the weights are split over.
    pub(crate) parts: Option<u64>,
}

impl Facts {
    /// Reads a file's header and checks that every tensor lies inside the file.
    pub(crate) fn read(path: &Path) -> Result<Facts, StoreError> {
        let gguf = Gguf::header_only(path).map_err(model_error)?;
        let kind = gguf
            .str("general.type")
            .map_err(model_error)?
            .unwrap_or_default();
        let number = |key: &str| gguf.u64(key).map_err(model_error);
        let architecture = gguf.architecture();
        let blocks = number(&format!("{architecture}.block_count"))?.unwrap_or(0);
        let vision = number(&format!("{architecture}.vision.block_count"))?.unwrap_or(0);
        let is_projector = matches!(kind, "projector" | "mmproj")
            || (blocks == 0 && (vision > 0 || architecture == "clip"));
        Ok(Facts {
            architecture: architecture.to_owned(),
            parameters: gguf.parameter_count(),
            file_type: number("general.file_type")?,
            size_bytes: gguf.file_bytes(),
            is_adapter: kind == "adapter",
            is_projector,
            parts: number("split.count")?,
        })
    }

    /// The config of a model that is this file alone.
    pub(crate) fn into_config(self) -> Config {
        Config {
            model_format: "gguf".to_owned(),
            model_type: labels::parameter_size(self.parameters),
            file_type: labels::file_type(self.file_type).to_owned(),
            model_families: Some(vec![self.architecture.clone()]),
            model_family: self.architecture,
            ..Config::new()
        }
    }

    /// `F32`, `F16` or `BF16`; nothing for weights that are quantised.
    pub(crate) fn float_label(&self) -> Option<&'static str> {
        match self.file_type {
            None | Some(0) => Some("F32"),
            Some(1 | 32) => Some(labels::file_type(self.file_type)),
            _ => None,
        }
    }
}

/// A quantisation that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    F32,
    F16,
    Bf16,
    Q4Ks,
    Q4Km,
    Q80,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Target, RequestError> {
        match text.to_ascii_uppercase().as_str() {
            "F32" => Ok(Target::F32),
            "F16" => Ok(Target::F16),
            "BF16" => Ok(Target::Bf16),
            "Q4_K_S" => Ok(Target::Q4Ks),
            "Q4_K_M" | "Q4_K" => Ok(Target::Q4Km),
            "Q8_0" => Ok(Target::Q80),
            other => Err(RequestError::Quantization(other.to_owned())),
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Target::F32 => "F32",
            Target::F16 => "F16",
            Target::Bf16 => "BF16",
            Target::Q4Ks => "Q4_K_S",
            Target::Q4Km => "Q4_K_M",
            Target::Q80 => "Q8_0",
        }
    }
}

/// Converts a folder made of `files` (relative path, blob) to one GGUF blob.
pub(crate) fn convert(
    store: &Store,
    files: &[(&str, PathBuf)],
) -> Result<FinishedBlob, StoreError> {
    let folder = tempfile::tempdir()
        .map_err(|e| StoreError::io("create a folder in", &std::env::temp_dir(), e))?;
    for (path, blob) in files {
        let link = folder.path().join(path);
        let parent = link.parent().unwrap_or(folder.path());
        fs::create_dir_all(parent).map_err(|e| StoreError::io("create", parent, e))?;
        let blob = std::path::absolute(blob).map_err(|e| StoreError::io("find", blob, e))?;
        symlink(&blob, &link).map_err(|e| StoreError::io("link", &link, e))?;
    }
    let out = blobs::temporary_file(store)?.into_temp_path();
    wick_models::convert_bert(folder.path(), &out, FloatType::F16).map_err(model_error)?;
    blobs::adopt(store, out)
}

/// Quantises a GGUF file to a new blob. `progress` hears of bytes done and all bytes.
pub(crate) fn quantize(
    store: &Store,
    source: &Path,
    target: Target,
    mut progress: impl FnMut(u64, u64),
) -> Result<FinishedBlob, StoreError> {
    let file_type = FileType::from_name(target.label()).ok_or_else(|| {
        StoreError::Model(format!("weights cannot be rewritten as {}", target.label()))
    })?;
    let gguf = Gguf::open(source).map_err(model_error)?;
    let out = blobs::temporary_file(store)?.into_temp_path();
    wick_models::quantize(&gguf, &out, file_type, &mut progress).map_err(model_error)?;
    blobs::adopt(store, out)
}

/// The causes belong to the text: a client sees nothing else.
fn model_error(error: wick_models::Error) -> StoreError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    StoreError::Model(text)
}
