//! The model that ships inside the binary: put into the store like a pulled one, without a network.
//!
//! Its weights are what `scripts/starter` leaves in `models/starter/model`. A binary that was built without them has
//! no such model, and the name means nothing special then.

use include_dir::{Dir, include_dir};
use serde_json::json;
use tokio::sync::mpsc;

use super::digest::Digest;
use super::error::StoreError;
use super::manifest::{Layer, Manifest, go_json, media_type};
use super::name::ModelName;
use super::registry::{Blob, finish, say, say_complete};
use super::weights::Facts;
use super::{Pins, Progress, Store};

/// What it is called.
pub const NAME: &str = "starter";

/// Tokens of the longest texts it was trained on.
pub const TRAINED_TOKENS: usize = 1280;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/models/starter/model");

/// Whether the binary was built with the weights.
pub fn is_included() -> bool {
    FILES.get_file("starter.gguf").is_some()
}

/// Whether a model's name, as it was written, means the model inside the binary. That model knows the shapes of its
/// training alone: rules that are written before a question only confuse it.
pub fn is_called(name: &str) -> bool {
    ModelName::parse(name).is_ok_and(|name| is_starter(&name))
}

/// Whether the name means the model inside the binary: `starter`, with nothing but its default tag.
pub fn is_starter(name: &ModelName) -> bool {
    is_included() && is_its_name(name)
}

fn is_its_name(name: &ModelName) -> bool {
    ModelName::parse(NAME).is_ok_and(|own| own.full().eq_ignore_ascii_case(&name.full()))
}

fn file(name: &str) -> Result<&'static [u8], StoreError> {
    let file = FILES.get_file(name).map(|file| file.contents());
    file.ok_or_else(|| StoreError::Model(format!("this binary was built without {name}")))
}

/// Writes its blobs and its manifest, telling `events` what a pull would tell, without the final `success`.
pub(super) async fn pull(
    store: &Store,
    name: &ModelName,
    events: &mpsc::Sender<Progress>,
) -> Result<(), StoreError> {
    say(events, "pulling manifest").await?;
    let writer = store.clone();
    let written = tokio::task::spawn_blocking(move || write_blobs(&writer));
    let (manifest, _pins) = written
        .await
        .map_err(|error| StoreError::Model(format!("writing stopped: {error}")))??;
    for layer in manifest.blobs() {
        let blob = Blob {
            digest: layer.digest,
            size_bytes: layer.size,
        };
        say_complete(events, &blob).await?;
    }
    say(events, "verifying sha256 digest").await?;
    finish(store, name, &manifest.to_bytes(), events).await
}

/// All blobs and the manifest that names them; the pins keep them until it is written.
fn write_blobs(store: &Store) -> Result<(Manifest, [Pins; 2]), StoreError> {
    let params = go_json(&json!({
        // The model copies names: what it has read must not be made less likely.
        "repeat_penalty": 1,
        "stop": ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "temperature": 0,
    }));
    let texts: [(&str, &[u8]); 4] = [
        (media_type::MODEL, file("starter.gguf")?),
        (media_type::TEMPLATE, file("template")?),
        (media_type::PARAMS, &params),
        (media_type::LICENSE, file("LICENSE")?),
    ];
    let pins = store.pin(texts.iter().map(|(_, bytes)| Digest::of(bytes)));
    let mut layers = Vec::new();
    for (media_type, bytes) in texts {
        layers.push(put(store, media_type, bytes)?);
    }
    let facts = Facts::read(&store.blob_path(&layers[0].digest))?;
    let config = facts.into_config();
    let config = config.to_bytes();
    let config_pin = store.pin([Digest::of(&config)]);
    let config = put(store, media_type::CONFIG, &config)?;
    Ok((Manifest::new(config, layers), [pins, config_pin]))
}

fn put(store: &Store, media_type: &str, bytes: &[u8]) -> Result<Layer, StoreError> {
    let blob = store.put_blob(bytes)?;
    Ok(Layer {
        media_type: media_type.to_owned(),
        digest: blob.digest,
        size: blob.size_bytes,
        from: None,
        name: None,
    })
}

#[cfg(test)]
mod tests {
    use wick_models::{AddSpecial, Gguf, Tokenizer};

    use super::*;

    #[test]
    fn only_its_own_name_means_it() {
        let means = |text: &str| is_its_name(&ModelName::parse(text).unwrap());
        assert!(means("starter") && means("starter:latest") && means("Starter"));
        assert!(!means("starter:2") && !means("me/starter") && !means("hf.co/library/starter"));
    }

    #[tokio::test]
    async fn a_pull_makes_a_whole_model() {
        if !is_included() {
            println!("skipped: built without the weights of starter");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name = ModelName::parse(NAME).unwrap();
        let (events, mut lines) = mpsc::channel(64);
        pull(&store, &name, &events).await.unwrap();
        drop(events);
        let mut told = Vec::new();
        while let Some(line) = lines.recv().await {
            told.push(line.status);
        }
        assert_eq!(told.first().map(String::as_str), Some("pulling manifest"));
        assert_eq!(told.last().map(String::as_str), Some("writing manifest"));
        let model = store.load(&name).unwrap();
        assert_eq!(model.config.model_family, "llama");
        assert_eq!(model.config.file_type, "Q8_0");
        assert!(model.template.is_some() && model.licenses.len() == 1);
        assert!(file("starter.gguf").unwrap().len() <= 16 << 20);
    }

    #[test]
    fn names_are_the_same_tokens_wherever_they_stand() {
        if !is_included() {
            println!("skipped: built without the weights of starter");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("starter.gguf");
        std::fs::write(&path, file("starter.gguf").unwrap()).unwrap();
        let tokenizer = Tokenizer::from_gguf(&Gguf::open(&path).unwrap()).unwrap();
        let encode = |text: &str| tokenizer.encode(text, AddSpecial::No).unwrap();
        // They begin with words that are one token together with their space.
        for name in ["issue_date", "invoice", "origin", "doors", "theme"] {
            let apart = [encode(" "), encode(name)].concat();
            assert_eq!(encode(&format!(" {name}")), apart, "{name}");
        }
        assert_eq!(encode(" is").len(), 1);
    }
}
