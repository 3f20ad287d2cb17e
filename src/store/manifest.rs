//! Manifests and the config blob they point to, as registries and the disk hold them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::digest::Digest;

/// Media type of a manifest.
pub const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Media types of layers.
pub mod media_type {
    /// GGUF weights.
    pub const MODEL: &str = "application/vnd.ollama.image.model";
    /// GGUF LoRA.
    pub const ADAPTER: &str = "application/vnd.ollama.image.adapter";
    /// GGUF of a vision or audio tower.
    pub const PROJECTOR: &str = "application/vnd.ollama.image.projector";
    /// GGUF of a draft model for speculation.
    pub const DRAFT: &str = "application/vnd.ollama.image.draft";
    /// Go template.
    pub const TEMPLATE: &str = "application/vnd.ollama.image.template";
    /// Go template, in manifests of old versions.
    pub const PROMPT: &str = "application/vnd.ollama.image.prompt";
    /// System text.
    pub const SYSTEM: &str = "application/vnd.ollama.image.system";
    /// JSON object of options.
    pub const PARAMS: &str = "application/vnd.ollama.image.params";
    /// JSON array of messages.
    pub const MESSAGES: &str = "application/vnd.ollama.image.messages";
    /// License text; may repeat.
    pub const LICENSE: &str = "application/vnd.ollama.image.license";
    /// One tensor of a model kept as safetensors, which this server cannot run.
    pub const TENSOR: &str = "application/vnd.ollama.image.tensor";
    /// The config blob.
    pub const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
}

/// One blob of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// What the blob holds, one of [`media_type`].
    pub media_type: String,
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Model (or file) that the layer came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Name of the tensor in a tensor layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The list of a model's blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    #[serde(default)]
    pub schema_version: u32,
    /// Always [`MANIFEST`].
    #[serde(default)]
    pub media_type: String,
    /// The config blob; absent in manifests that give it an empty digest.
    #[serde(
        default,
        deserialize_with = "read_config",
        serialize_with = "write_config"
    )]
    pub config: Option<Layer>,
    /// The other blobs.
    #[serde(default, deserialize_with = "null_as_default")]
    pub layers: Vec<Layer>,
}

impl Manifest {
    /// A manifest of these blobs.
    pub fn new(config: Layer, layers: Vec<Layer>) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            config: Some(config),
            layers,
        }
    }

    /// Layers first, then the config: the order in which they are pulled and pushed.
    pub fn blobs(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().chain(&self.config)
    }

    /// Sum of the sizes of all blobs, the config included.
    pub fn size_bytes(&self) -> u64 {
        self.blobs()
            .fold(0, |sum, layer| sum.saturating_add(layer.size))
    }

    /// As written to disk: compact, with a newline at the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        go_json(self)
    }
}

/// The config blob. Keys that are not known here are kept in `other`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `gguf`.
    #[serde(deserialize_with = "null_as_default")]
    pub model_format: String,
    /// Architecture of the GGUF file.
    #[serde(deserialize_with = "null_as_default")]
    pub model_family: String,
    /// Architectures of all GGUF files; may be null on the wire.
    pub model_families: Option<Vec<String>>,
    /// Parameter count, such as `3.2B`.
    #[serde(deserialize_with = "null_as_default")]
    pub model_type: String,
    /// Quantisation, such as `Q4_K_M`.
    #[serde(deserialize_with = "null_as_default")]
    pub file_type: String,
    /// Built-in prompt renderer to use instead of a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renderer: Option<String>,
    /// Built-in parser of the model's output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parser: Option<String>,
    /// Least server version the model wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// Server that runs the model, in stubs of remote models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_host: Option<String>,
    /// Name of the model on that server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_model: Option<String>,
    /// Capabilities stated by whoever made the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// Context of a remote model, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    /// Embedding width of a remote model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_length: Option<u64>,
    /// Base model of a remote model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_name: Option<String>,
    /// Facts about the draft model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<Value>,
    /// `amd64`, which the format asks for and nobody reads.
    #[serde(deserialize_with = "null_as_default")]
    pub architecture: String,
    /// `linux`, likewise.
    #[serde(deserialize_with = "null_as_default")]
    pub os: String,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Config {
    /// An empty config with the two fields that the format asks for.
    pub fn new() -> Config {
        Config {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            ..Config::default()
        }
    }

    /// As written to disk: compact, with a newline at the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        go_json(self)
    }
}

/// One message of a model's built-in conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    #[serde(default, deserialize_with = "null_as_default")]
    pub content: String,
}

/// JSON as Go's encoder writes it, so that equal contents give equal digests: compact, `<`, `>` and
/// `&` escaped, whole numbers without a fraction, a newline at the end.
pub(crate) fn go_json(value: &impl Serialize) -> Vec<u8> {
    let mut value = serde_json::to_value(value).expect("only text keys");
    drop_fractions(&mut value);
    let mut text = value.to_string();
    // Outside of strings, JSON has none of these.
    for (plain, escaped) in [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ] {
        text = text.replace(plain, escaped);
    }
    text.push('\n');
    text.into_bytes()
}

fn drop_fractions(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(drop_fractions),
        Value::Object(map) => map.values_mut().for_each(drop_fractions),
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64())
                && float.fract() == 0.0
                && float.abs() < 1e15
            {
                *number = (float as i64).into();
            }
        }
        _ => {}
    }
}

fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

// A config without a blob is written as a layer with an empty digest.
fn read_config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Layer>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let digest = value
        .get("digest")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if digest.is_empty() {
        return Ok(None);
    }
    serde_json::from_value(value)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

fn write_config<S: Serializer>(config: &Option<Layer>, serializer: S) -> Result<S::Ok, S::Error> {
    match config {
        Some(layer) => layer.serialize(serializer),
        None => serde_json::json!({"mediaType": "", "digest": "", "size": 0}).serialize(serializer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = concat!(
        r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","#,
        r#""config":{"mediaType":"application/vnd.docker.container.image.v1+json","#,
        r#""digest":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","size":3},"#,
        r#""layers":[{"mediaType":"application/vnd.ollama.image.model","#,
        r#""digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":7,"from":"base"}]}"#,
        "\n"
    );

    #[test]
    fn manifests_are_written_compactly_in_the_known_order() {
        let layer = |media_type: &str, bytes: &[u8], size, from: Option<&str>| Layer {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size,
            from: from.map(str::to_owned),
            name: None,
        };
        let manifest = Manifest::new(
            layer(media_type::CONFIG, b"abc", 3, None),
            vec![layer(media_type::MODEL, b"", 7, Some("base"))],
        );
        assert_eq!(String::from_utf8(manifest.to_bytes()).unwrap(), WRITTEN);
        assert_eq!(serde_json::from_str::<Manifest>(WRITTEN).unwrap(), manifest);
        assert_eq!(manifest.size_bytes(), 10);
    }

    #[test]
    fn empty_configs_and_unknown_keys_are_tolerated_but_bad_digests_are_not() {
        let manifest: Manifest = serde_json::from_str(
            r#"{"schemaVersion":2,"config":{"mediaType":"","digest":"","size":0},"layers":null,"annotations":{}}"#,
        )
        .unwrap();
        assert_eq!((manifest.config, manifest.layers.len()), (None, 0));
        let bad = r#"{"layers":[{"mediaType":"x","digest":"sha256:../../etc/passwd","size":1}]}"#;
        let error = serde_json::from_str::<Manifest>(bad)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("invalid digest format"), "{error}");
        let bad = r#"{"layers":[{"mediaType":"x","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":-1}]}"#;
        assert!(serde_json::from_str::<Manifest>(bad).is_err());
    }

    #[test]
    fn json_is_written_as_go_does() {
        let value = serde_json::json!({"stop": ["<|a|> & b"], "top_p": 0.9, "num_ctx": 4096.0});
        assert_eq!(
            String::from_utf8(go_json(&value)).unwrap(),
            "{\"stop\":[\"\\u003c|a|\\u003e \\u0026 b\"],\"top_p\":0.9,\"num_ctx\":4096}\n"
        );
    }

    #[test]
    fn configs_keep_what_they_do_not_know() {
        let text = r#"{"model_format":"gguf","model_family":"llama","model_families":["llama"],"model_type":"3.2B","file_type":"Q4_K_M","renderer":"r","architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.renderer.as_deref(), Some("r"));
        assert_eq!(config.to_bytes(), format!("{text}\n").into_bytes());
        let stub: Config =
            serde_json::from_str(r#"{"model_families":null,"file_type":null}"#).unwrap();
        assert_eq!(stub, Config::default());
    }
}
