//! The layers of a new model and its manifest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tracing::warn;

use super::base::Base;
use super::request::{CreateRequest, present};

use crate::store::digest::Digest;
use crate::store::error::{RequestError, StoreError};
use crate::store::labels;
use crate::store::manifest::{Config, Layer, Manifest, go_json, media_type};
use crate::store::name::ModelName;
use crate::store::weights::{self, Facts, Target};
use crate::store::{FinishedBlob, Pins, Progress, Store};

/// Puts a model together, on a thread that may block.
pub(super) struct Builder<'a> {
    store: &'a Store,
    events: mpsc::Sender<Progress>,
    request: &'a CreateRequest,
    config: Config,
    layers: Vec<NewLayer>,
    pins: Vec<Pins>,
}

/// A layer and the line that says where it comes from.
struct NewLayer {
    layer: Layer,
    status: Option<String>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        store: &'a Store,
        events: mpsc::Sender<Progress>,
        request: &'a CreateRequest,
    ) -> Builder<'a> {
        let config = Config {
            renderer: present(&request.renderer).map(str::to_owned),
            parser: present(&request.parser).map(str::to_owned),
            requires: present(&request.requires).map(str::to_owned),
            ..Config::new()
        };
        Builder {
            store,
            events,
            request,
            config,
            layers: Vec::new(),
            pins: Vec::new(),
        }
    }

    pub(super) fn build(mut self, name: &ModelName, base: Option<Base>) -> Result<(), StoreError> {
        match &base {
            Some(base) => self.inherit(base)?,
            None => self.import_files(self.request.files.as_ref(), Role::Model)?,
        }
        if self
            .request
            .adapters
            .as_ref()
            .is_some_and(|files| files.len() > 1)
        {
            return Err(RequestError::OneAdapter.into());
        }
        self.import_files(self.request.adapters.as_ref(), Role::Adapter)?;
        self.import_files(self.request.draft_files.as_ref(), Role::Draft)?;
        self.request.apply_info(&mut self.config)?;
        self.describe_weights()?;
        self.set_texts()?;
        self.set_parameters()?;
        self.set_messages()?;
        let config = self.put(media_type::CONFIG, &self.config.to_bytes())?.layer;
        for status in self.layers.iter().filter_map(|new| new.status.clone()) {
            self.say(status)?;
        }
        self.say("writing manifest")?;
        let layers = self.layers.iter().map(|new| new.layer.clone()).collect();
        let manifest = Manifest::new(config, layers);
        let replaced = self.store.put_manifest(name, &manifest.to_bytes())?;
        drop(base);
        self.pins.clear();
        // The model is there; what is left of the old one is at worst a waste of space.
        if let Err(error) = self.store.free_replaced(replaced) {
            warn!(model = %name, "cannot remove the old model's blobs: {error}");
        }
        self.say("success")
    }

    /// Takes over the base model's layers and those parts of its config that are not stated anew.
    fn inherit(&mut self, base: &Base) -> Result<(), StoreError> {
        let from = &base.model.config;
        self.config.renderer = self.config.renderer.take().or(from.renderer.clone());
        self.config.parser = self.config.parser.take().or(from.parser.clone());
        self.config.requires = self.config.requires.take().or(from.requires.clone());
        self.config.model_format.clone_from(&from.model_format);
        self.config.capabilities.clone_from(&from.capabilities);
        for layer in &base.model.manifest.layers {
            let layer = Layer {
                from: Some(base.model.name.to_string()),
                ..layer.clone()
            };
            self.reuse(layer)?;
        }
        Ok(())
    }

    fn import_files(
        &mut self,
        files: Option<&BTreeMap<String, String>>,
        role: Role,
    ) -> Result<(), StoreError> {
        let Some(files) = files else {
            return Ok(());
        };
        let files = files
            .iter()
            .map(|(path, digest)| Ok((path.as_str(), digest.parse()?)))
            .collect::<Result<Vec<(&str, Digest)>, StoreError>>()?;
        for (_, digest) in &files {
            self.pins.push(self.store.pin([*digest]));
            if !self.store.has_blob(digest) {
                return Err(StoreError::BlobNotFound(*digest));
            }
        }
        match self.kind_of(&files)? {
            Kind::Gguf => files
                .iter()
                .try_for_each(|(path, digest)| self.import_gguf(path, digest, role)),
            Kind::Safetensors => self.convert(&files, role),
        }
    }

    fn kind_of(&self, files: &[(&str, Digest)]) -> Result<Kind, StoreError> {
        if files.is_empty() {
            return Err(RequestError::UnknownType.into());
        }
        if files.iter().any(|(path, _)| path.ends_with(".safetensors")) {
            return Ok(Kind::Safetensors);
        }
        for (path, digest) in files {
            if path.ends_with(".gguf") || is_gguf(&self.store.blob_path(digest))? {
                return Ok(Kind::Gguf);
            }
        }
        Err(RequestError::UnknownType.into())
    }

    fn import_gguf(&mut self, path: &str, digest: &Digest, role: Role) -> Result<(), StoreError> {
        self.say("parsing GGUF")?;
        let blob = self.store.blob_path(digest);
        if !is_gguf(&blob)? {
            return Err(RequestError::NotGguf.into());
        }
        let facts = Facts::read(&blob)?;
        if let Some(parts) = facts.parts.filter(|&parts| parts > 1) {
            return Err(StoreError::Model(format!(
                "{path} is one of {parts} parts of a split GGUF file; merge them first"
            )));
        }
        let media_type = match role {
            Role::Draft => media_type::DRAFT,
            Role::Model | Role::Adapter if facts.is_adapter => media_type::ADAPTER,
            Role::Model | Role::Adapter if facts.is_projector => media_type::PROJECTOR,
            Role::Model | Role::Adapter => media_type::MODEL,
        };
        if media_type == media_type::MODEL {
            // Reading the header has checked that every tensor lies inside the file.
            self.say_bytes("validating GGUF model", facts.size_bytes, facts.size_bytes)?;
        }
        let size = facts.size_bytes;
        let media_type = media_type.to_owned();
        self.reuse(Layer {
            media_type,
            digest: *digest,
            size,
            from: None,
            name: None,
        })
    }

    /// Converts a folder of safetensors into one GGUF blob.
    fn convert(&mut self, files: &[(&str, Digest)], role: Role) -> Result<(), StoreError> {
        let media_type = match role {
            Role::Model => media_type::MODEL,
            Role::Draft => media_type::DRAFT,
            Role::Adapter => {
                let reason = "adapters can only be read from GGUF files";
                return Err(StoreError::Model(reason.to_owned()));
            }
        };
        self.say("converting model")?;
        let paths: Vec<_> = files
            .iter()
            .map(|(path, digest)| (*path, self.store.blob_path(digest)))
            .collect();
        let blob = weights::convert(self.store, &paths)?;
        self.say("verifying conversion")?;
        self.add(media_type, blob);
        Ok(())
    }

    /// Reads what the weights are, quantises them if asked to, and fills in the config.
    fn describe_weights(&mut self) -> Result<(), StoreError> {
        let mut families = Vec::new();
        for at in 0..self.layers.len() {
            let (quantize, is_draft) = match self.layers[at].layer.media_type.as_str() {
                media_type::MODEL => (&self.request.quantize, false),
                media_type::DRAFT => (&self.request.draft_quantize, true),
                media_type::TENSOR => {
                    let reason = "models stored as separate tensors cannot be used";
                    return Err(StoreError::Model(reason.to_owned()));
                }
                _ => continue,
            };
            let mut facts = Facts::read(&self.store.blob_path(&self.layers[at].layer.digest))?;
            if let Some(target) = present(quantize).map(Target::parse).transpose()? {
                facts = self.quantize(at, facts, target)?;
            }
            if is_draft {
                let architecture = facts.architecture;
                let draft = json!({"model_format": "gguf", "architecture": architecture});
                self.config.draft = Some(draft);
                continue;
            }
            let config = &mut self.config;
            fill(&mut config.model_format, "gguf");
            fill(&mut config.model_family, &facts.architecture);
            fill(
                &mut config.model_type,
                &labels::parameter_size(facts.parameters),
            );
            fill(&mut config.file_type, labels::file_type(facts.file_type));
            families.push(facts.architecture);
        }
        if !families.is_empty() {
            self.config
                .model_families
                .get_or_insert_default()
                .extend(families);
        }
        Ok(())
    }

    fn quantize(&mut self, at: usize, facts: Facts, to: Target) -> Result<Facts, StoreError> {
        let from = facts.float_label().ok_or(RequestError::AlreadyQuantized)?;
        if from == to.label() {
            return Ok(facts);
        }
        let layer = &self.layers[at].layer;
        let (size, media_type) = (layer.size, layer.media_type.clone());
        let status = format!("quantizing {from} model to {}", to.label());
        self.say_bytes(&status, size, 0)?;
        let source = self.store.blob_path(&layer.digest);
        let blob = weights::quantize(self.store, &source, to, |done, total| {
            let share = u128::from(size) * u128::from(done) / u128::from(total.max(1));
            // A client that has gone is noticed at the next step.
            let _ = self.say_bytes(&status, size, share as u64);
        })?;
        self.say("verifying conversion")?;
        self.layers[at] = self.new_layer(&media_type, blob);
        Facts::read(&self.store.blob_path(&blob.digest))
    }

    fn set_texts(&mut self) -> Result<(), StoreError> {
        if let Some(template) = present(&self.request.template) {
            self.remove(&[media_type::TEMPLATE, media_type::PROMPT]);
            self.put_layer(media_type::TEMPLATE, template.as_bytes())?;
        }
        if let Some(system) = present(&self.request.system) {
            self.remove(&[media_type::SYSTEM]);
            self.put_layer(media_type::SYSTEM, system.as_bytes())?;
        }
        for license in self
            .request
            .licenses
            .iter()
            .filter(|license| !license.is_empty())
        {
            self.put_layer(media_type::LICENSE, license.as_bytes())?;
        }
        Ok(())
    }

    /// Merges the options over those of the base model.
    fn set_parameters(&mut self) -> Result<(), StoreError> {
        let mut merged: BTreeMap<String, Value> = BTreeMap::new();
        for layer in self
            .layers
            .iter()
            .filter(|new| new.layer.media_type == media_type::PARAMS)
        {
            let params: Option<Map<String, Value>> =
                self.store.read_json(&self.request.name, &layer.layer)?;
            merged.extend(params.unwrap_or_default());
        }
        merged.extend(self.request.parameters.clone());
        if merged.is_empty() {
            return Ok(());
        }
        self.remove(&[media_type::PARAMS]);
        self.put_layer(media_type::PARAMS, &go_json(&merged))
    }

    fn set_messages(&mut self) -> Result<(), StoreError> {
        if self.request.messages.is_empty() {
            return Ok(());
        }
        self.remove(&[media_type::MESSAGES]);
        self.put_layer(media_type::MESSAGES, &go_json(&self.request.messages))
    }

    fn remove(&mut self, media_types: &[&str]) {
        self.layers
            .retain(|new| !media_types.contains(&new.layer.media_type.as_str()));
    }

    /// Adds a layer whose blob is there already.
    fn reuse(&mut self, layer: Layer) -> Result<(), StoreError> {
        self.pins.push(self.store.pin([layer.digest]));
        if !self.store.has_blob(&layer.digest) {
            return Err(StoreError::BlobNotFound(layer.digest));
        }
        self.store.touch_blob(&layer.digest)?;
        let status = Some(format!("using existing layer {}", layer.digest));
        self.layers.push(NewLayer { layer, status });
        Ok(())
    }

    fn put_layer(&mut self, media_type: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let new = self.put(media_type, bytes)?;
        self.layers.push(new);
        Ok(())
    }

    fn put(&mut self, media_type: &str, bytes: &[u8]) -> Result<NewLayer, StoreError> {
        self.pins.push(self.store.pin([Digest::of(bytes)]));
        let blob = self.store.put_blob(bytes)?;
        Ok(self.new_layer(media_type, blob))
    }

    fn add(&mut self, media_type: &str, blob: FinishedBlob) {
        let new = self.new_layer(media_type, blob);
        self.layers.push(new);
    }

    fn new_layer(&mut self, media_type: &str, blob: FinishedBlob) -> NewLayer {
        self.pins.push(self.store.pin([blob.digest]));
        let origin = if blob.existed {
            "using existing layer"
        } else {
            "creating new layer"
        };
        let layer = Layer {
            media_type: media_type.to_owned(),
            digest: blob.digest,
            size: blob.size_bytes,
            from: None,
            name: None,
        };
        NewLayer {
            layer,
            status: Some(format!("{origin} {}", blob.digest)),
        }
    }

    fn say(&self, status: impl Into<String>) -> Result<(), StoreError> {
        self.send(Progress::status(status))
    }

    /// Work on weights that have no digest yet shows zeros in its place.
    fn say_bytes(&self, status: &str, total: u64, completed: u64) -> Result<(), StoreError> {
        self.send(Progress::bytes(
            status.to_owned(),
            "0".repeat(19),
            total,
            completed,
        ))
    }

    fn send(&self, progress: Progress) -> Result<(), StoreError> {
        self.events
            .blocking_send(progress)
            .map_err(|_| StoreError::Canceled)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Model,
    Adapter,
    Draft,
}

enum Kind {
    Gguf,
    Safetensors,
}

fn is_gguf(path: &Path) -> Result<bool, StoreError> {
    let mut magic = Vec::with_capacity(4);
    File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut magic))
        .map_err(|e| StoreError::io("read", path, e))?;
    Ok(magic == b"GGUF")
}

fn fill(field: &mut String, value: &str) {
    if field.is_empty() {
        value.clone_into(field);
    }
}
