//! What a client may ask for, and the checks that need no disk.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::store::digest::Digest;
use crate::store::error::{RequestError, StoreError};
use crate::store::manifest::{Config, Message};
use crate::store::name::ModelName;

/// A request to create a model. Texts that are empty count as absent.
#[derive(Clone, Debug)]
pub struct CreateRequest {
    /// Name of the new model.
    pub name: ModelName,
    /// Name of the base model.
    pub from: Option<String>,
    /// Weights: relative path to digest of an uploaded blob. Used if there is no base model.
    pub files: Option<BTreeMap<String, String>>,
    /// LoRA: relative path to digest.
    pub adapters: Option<BTreeMap<String, String>>,
    /// Draft model: relative path to digest.
    pub draft_files: Option<BTreeMap<String, String>>,
    /// Go template; whoever calls has checked that it parses.
    pub template: Option<String>,
    /// System text.
    pub system: Option<String>,
    /// Licences to add.
    pub licenses: Vec<String>,
    /// Options; they win over those of the base model.
    pub parameters: Map<String, Value>,
    /// Messages; if there are any, they replace those of the base model.
    pub messages: Vec<Message>,
    /// Quantisation of the weights.
    pub quantize: Option<String>,
    /// Quantisation of the draft model.
    pub draft_quantize: Option<String>,
    /// Built-in renderer.
    pub renderer: Option<String>,
    /// Built-in parser.
    pub parser: Option<String>,
    /// Least server version.
    pub requires: Option<String>,
    /// Facts that override those of the weights.
    pub info: Map<String, Value>,
    /// Server that is to run the model: not supported.
    pub remote_host: Option<String>,
}

impl CreateRequest {
    /// A request that asks for nothing yet.
    pub fn new(name: ModelName) -> CreateRequest {
        CreateRequest {
            name,
            from: None,
            files: None,
            adapters: None,
            draft_files: None,
            template: None,
            system: None,
            licenses: Vec::new(),
            parameters: Map::new(),
            messages: Vec::new(),
            quantize: None,
            draft_quantize: None,
            renderer: None,
            parser: None,
            requires: None,
            info: Map::new(),
            remote_host: None,
        }
    }

    /// Refuses what is wrong in itself, so that a server can answer before it starts a stream.
    ///
    /// # Errors
    /// [`StoreError::Request`], or [`StoreError::Digest`] for a digest that is none.
    pub fn check(&self) -> Result<(), StoreError> {
        let lists = [&self.files, &self.draft_files, &self.adapters];
        for (path, digest) in lists.into_iter().flatten().flatten() {
            if !is_relative(path) {
                return Err(RequestError::FilePath.into());
            }
            digest.parse::<Digest>()?;
        }
        if present(&self.draft_quantize).is_some() && self.draft_files.is_none() {
            return Err(RequestError::DraftQuantize.into());
        }
        if present(&self.remote_host).is_some() {
            return Err(RequestError::BadRemote.into());
        }
        match (present(&self.from), &self.files) {
            (None, None) => return Err(RequestError::NeitherFromNorFiles.into()),
            (None, Some(files)) if files.is_empty() => return Err(RequestError::NoFiles.into()),
            _ => {}
        }
        for quantize in [&self.quantize, &self.draft_quantize] {
            if let Some(quantize) = present(quantize) {
                crate::store::weights::Target::parse(quantize)?;
            }
        }
        self.apply_info(&mut Config::new())?;
        Ok(())
    }

    /// Overrides of the config by `info`.
    pub(super) fn apply_info(&self, config: &mut Config) -> Result<(), RequestError> {
        if let Some(Value::Array(capabilities)) = self.info.get("capabilities") {
            let texts = capabilities
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned);
            config.capabilities.get_or_insert_default().extend(texts);
        }
        if let Some(family) = self.text_info("model_family")? {
            config.model_families = Some(vec![family.clone()]);
            config.model_family = family;
        }
        config.base_name = self.text_info("base_name")?;
        if let Some(level) = self.text_info("quantization_level")? {
            config.file_type = level;
        }
        if let Some(size) = self.text_info("parameter_size")? {
            config.model_type = size;
        }
        config.context_length = self.count_info("context_length")?;
        config.embedding_length = self.count_info("embedding_length")?;
        Ok(())
    }

    fn text_info(&self, field: &str) -> Result<Option<String>, RequestError> {
        match self.info.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(RequestError::Info {
                field: field.to_owned(),
                kind: "string",
            }),
        }
    }

    fn count_info(&self, field: &str) -> Result<Option<u64>, RequestError> {
        let wrong = |kind| RequestError::Info {
            field: field.to_owned(),
            kind,
        };
        let Some(value) = self.info.get(field) else {
            return Ok(None);
        };
        let number = value.as_f64().ok_or_else(|| wrong("number"))?;
        if number < 0.0 || number.fract() != 0.0 || number > i64::MAX as f64 {
            return Err(wrong("non-negative integer"));
        }
        Ok(Some(number as u64).filter(|&number| number > 0))
    }
}

/// The text, unless it is empty.
pub(super) fn present(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn is_relative(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\0', '\\'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
