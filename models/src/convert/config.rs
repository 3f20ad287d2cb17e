//! `config.json` and the pooling module of a sentence-transformers folder.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// What a BERT model's `config.json` has to say.
#[derive(Debug, Deserialize)]
pub(super) struct BertConfig {
    model_type: String,
    #[serde(default, rename = "_name_or_path")]
    name_or_path: String,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) vocab_size: usize,
    pub(super) layer_norm_eps: f32,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl BertConfig {
    pub(super) fn read(dir: &Path) -> Result<BertConfig, Error> {
        let path = dir.join("config.json");
        let config: BertConfig = read_json(&path)?;
        let fixed = [
            ("model_type", &config.model_type, "bert"),
            ("hidden_act", &config.hidden_act, "gelu"),
            (
                "position_embedding_type",
                &config.position_embedding_type,
                "absolute",
            ),
        ];
        for (field, found, supported) in fixed {
            if found != supported {
                let problem = format!("'{found}' cannot be converted, only '{supported}' can");
                return Err(Error::malformed(&path, field, problem));
            }
        }
        let sizes = [
            ("hidden_size", config.hidden_size),
            ("intermediate_size", config.intermediate_size),
            ("num_hidden_layers", config.num_hidden_layers),
            ("num_attention_heads", config.num_attention_heads),
            ("max_position_embeddings", config.max_position_embeddings),
            ("type_vocab_size", config.type_vocab_size),
            ("vocab_size", config.vocab_size),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(Error::malformed(&path, field, "0 is not a size"));
        }
        let heads = config.num_attention_heads;
        if !config.hidden_size.is_multiple_of(heads) {
            let problem = format!(
                "{} values do not divide between {heads} heads",
                config.hidden_size
            );
            return Err(Error::malformed(&path, "hidden_size", problem));
        }
        Ok(config)
    }

    /// The model's own name, or the folder's.
    pub(super) fn name(&self, dir: &Path) -> String {
        let own = self.name_or_path.trim_end_matches('/').rsplit('/').next();
        match own {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => dir
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        }
    }
}

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    Mean,
    Class,
    Last,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
}

impl Pooling {
    /// The mean where the folder does not say.
    pub(super) fn read(dir: &Path) -> Result<Pooling, Error> {
        let modules = dir.join("modules.json");
        if !modules.is_file() {
            return Ok(Pooling::Mean);
        }
        let list: Vec<Module> = read_json(&modules)?;
        let Some(module) = list
            .iter()
            .find(|module| module.r#type.ends_with("Pooling"))
        else {
            return Ok(Pooling::Mean);
        };
        if Path::new(&module.path).components().count() != 1 || module.path.contains("..") {
            let problem = format!("'{}' is not a folder of the model", module.path);
            return Err(Error::malformed(&modules, "path", problem));
        }
        let path = dir.join(&module.path).join("config.json");
        let config: PoolingConfig = read_json(&path)?;
        let modes = [
            (config.pooling_mode_mean_tokens, Pooling::Mean),
            (config.pooling_mode_cls_token, Pooling::Class),
            (config.pooling_mode_lasttoken, Pooling::Last),
        ];
        let mut chosen = modes.into_iter().filter(|(chosen, _)| *chosen);
        match (chosen.next(), chosen.next()) {
            (Some((_, pooling)), None) => Ok(pooling),
            _ => Err(Error::malformed(
                &path,
                "pooling mode",
                "is not exactly one of mean, cls and last token",
            )),
        }
    }

    /// Number in `bert.pooling_type`.
    pub(super) const fn number(self) -> u32 {
        match self {
            Pooling::Mean => 1,
            Pooling::Class => 2,
            Pooling::Last => 3,
        }
    }
}

/// Reads a whole JSON file; the error names file, field, line and column.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::malformed(path, "JSON", error.to_string()))
}
