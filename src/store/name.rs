//! Model names: `[scheme://][host/][namespace/]model[:tag]`, and the source suffixes `:local` and `:cloud`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Registry of a name that states none.
pub const DEFAULT_HOST: &str = "registry.ollama.ai";
/// Namespace of a name that states none.
pub const DEFAULT_NAMESPACE: &str = "library";
/// Tag of a name that states none.
pub const DEFAULT_TAG: &str = "latest";

const MAX_HOST_BYTES: usize = 350;
const MAX_PART_BYTES: usize = 80;

/// Why a text does not name a local model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty or only spaces.
    #[error("model is required")]
    Required,
    /// A part is missing, too long or has a character it may not have.
    #[error("invalid model name")]
    Invalid,
    /// Both source suffixes at once; holds the text as the caller wrote it.
    #[error("use either :local or :cloud, not both: {0:?}")]
    ConflictingSource(String),
    /// The name asks for a model that runs elsewhere, which this server never does.
    #[error("ollama cloud is disabled: remote model is unavailable")]
    CloudDisabled,
}

/// How a registry is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `https`, the default.
    #[default]
    Https,
    /// `http`, allowed only together with `insecure`.
    Http,
}

impl Scheme {
    /// The scheme as it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
        }
    }
}

/// A valid, fully qualified model name. Two names are equal when host, namespace, model and tag are;
/// the scheme says only how to reach the registry.
#[derive(Clone, Debug)]
pub struct ModelName {
    scheme: Scheme,
    host: String,
    namespace: String,
    model: String,
    tag: String,
}

impl ModelName {
    /// Parses a name and fills in the defaults (`https`, `registry.ollama.ai`, `library`, `latest`).
    ///
    /// A colon starts a tag only after the last slash, so that ports of hosts survive. Source
    /// suffixes are not looked at: see [`ModelRef::parse`].
    ///
    /// A file of the Hugging Face Hub may be written as a path, `hf.co/user/repository/file.gguf`;
    /// the file is then the tag.
    pub fn parse(text: &str) -> Result<ModelName, NameError> {
        if let Some(parts) = hub_file(text) {
            return ModelName::from_parts(parts);
        }
        let (rest, tag) = match text.rfind(':') {
            Some(at) if text.rfind('/').is_none_or(|slash| at > slash) => {
                (&text[..at], &text[at + 1..])
            }
            _ => (text, DEFAULT_TAG),
        };
        let (rest, model) = match rest.rsplit_once('/') {
            Some((before, model)) => (Some(before), model),
            None => (None, rest),
        };
        let (authority, namespace) = match rest {
            None => (None, DEFAULT_NAMESPACE),
            Some(rest) => match rest.rsplit_once('/') {
                Some((before, namespace)) => (Some(before), namespace),
                None => (None, rest),
            },
        };
        let (scheme, host) = match authority {
            None => (Scheme::Https, DEFAULT_HOST),
            Some(authority) => match authority.split_once("://") {
                None => (Scheme::Https, authority),
                Some(("https", host)) => (Scheme::Https, host),
                Some(("http", host)) => (Scheme::Http, host),
                Some(_) => return Err(NameError::Invalid),
            },
        };
        ModelName::from_parts(Parts {
            scheme,
            host,
            namespace,
            model,
            tag,
        })
    }

    /// Parses what a client may send: trims it and reads `:local` and `:cloud`.
    /// A name of a remote model is [`NameError::CloudDisabled`].
    pub fn local(text: &str) -> Result<ModelName, NameError> {
        let reference = ModelRef::parse(text)?;
        match reference.source {
            Source::Cloud => Err(NameError::CloudDisabled),
            Source::Unspecified | Source::Local => Ok(reference.name),
        }
    }

    /// The name of the manifest at `path`, relative to the manifests folder: exactly four parts.
    pub fn from_manifest_path(path: &Path) -> Result<ModelName, NameError> {
        let parts: Vec<&str> = path
            .iter()
            .map(|part| part.to_str().ok_or(NameError::Invalid))
            .collect::<Result<_, _>>()?;
        let [host, namespace, model, tag] = parts[..] else {
            return Err(NameError::Invalid);
        };
        ModelName::from_parts(Parts {
            scheme: Scheme::Https,
            host,
            namespace,
            model,
            tag,
        })
    }

    fn from_parts(parts: Parts<'_>) -> Result<ModelName, NameError> {
        let valid = is_valid_host(parts.host)
            && is_valid_part(parts.namespace, Dots::Forbidden)
            && is_valid_part(parts.model, Dots::Allowed)
            && is_valid_part(parts.tag, Dots::Allowed);
        if !valid {
            return Err(NameError::Invalid);
        }
        Ok(ModelName {
            scheme: parts.scheme,
            host: parts.host.to_owned(),
            namespace: parts.namespace.to_owned(),
            model: parts.model.to_owned(),
            tag: parts.tag.to_owned(),
        })
    }

    /// How the registry is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The registry's host, with its port if one was given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The user or organisation.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The model without namespace and tag.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// `host/namespace/model:tag`.
    pub fn full(&self) -> String {
        format!(
            "{}/{}/{}:{}",
            self.host, self.namespace, self.model, self.tag
        )
    }

    /// `namespace/model`, the repository in registry URLs.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.namespace, self.model)
    }

    /// Where the manifest lies below the manifests folder: `host/namespace/model/tag`.
    pub fn manifest_path(&self) -> PathBuf {
        [&self.host, &self.namespace, &self.model, &self.tag]
            .iter()
            .collect()
    }

    /// The same name with each part spelled as in an existing name that equals it ignoring case.
    ///
    /// A name that exists as it is stays; then a whole name that differs only in case wins; then
    /// single parts, so that a new tag lands beside the tags of the same model.
    pub fn spelled_like(&self, existing: &[ModelName]) -> ModelName {
        if existing.contains(self) {
            return self.clone();
        }
        if let Some(same) = existing.iter().find(|other| self.same_ignoring_case(other)) {
            return ModelName {
                scheme: self.scheme,
                ..same.clone()
            };
        }
        let spelled = |mine: &str, part: fn(&ModelName) -> &str| {
            existing
                .iter()
                .map(part)
                .find(|theirs| theirs.eq_ignore_ascii_case(mine))
                .unwrap_or(mine)
                .to_owned()
        };
        ModelName {
            scheme: self.scheme,
            host: spelled(&self.host, ModelName::host),
            namespace: spelled(&self.namespace, ModelName::namespace),
            model: spelled(&self.model, ModelName::model),
            tag: spelled(&self.tag, ModelName::tag),
        }
    }

    fn same_ignoring_case(&self, other: &ModelName) -> bool {
        self.host.eq_ignore_ascii_case(&other.host)
            && self.namespace.eq_ignore_ascii_case(&other.namespace)
            && self.model.eq_ignore_ascii_case(&other.model)
            && self.tag.eq_ignore_ascii_case(&other.tag)
    }

    fn key(&self) -> (&str, &str, &str, &str) {
        (&self.host, &self.namespace, &self.model, &self.tag)
    }
}

/// The shortest form: no default host, no default namespace, always a tag.
impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.host.eq_ignore_ascii_case(DEFAULT_HOST) {
            write!(f, "{}/{}/", self.host, self.namespace)?;
        } else if !self.namespace.eq_ignore_ascii_case(DEFAULT_NAMESPACE) {
            write!(f, "{}/", self.namespace)?;
        }
        write!(f, "{}:{}", self.model, self.tag)
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<ModelName, NameError> {
        ModelName::parse(text)
    }
}

impl PartialEq for ModelName {
    fn eq(&self, other: &ModelName) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ModelName {}

impl Hash for ModelName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for ModelName {
    fn partial_cmp(&self, other: &ModelName) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ModelName {
    fn cmp(&self, other: &ModelName) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Where a reference says that its model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// No suffix.
    Unspecified,
    /// `x:local`: the local model `x`.
    Local,
    /// `x:cloud` or `x:7b-cloud`: a model that runs on another server.
    Cloud,
}

/// A name together with its source suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRef {
    /// The name without the suffix.
    pub name: ModelName,
    /// What the suffix asked for.
    pub source: Source,
}

impl ModelRef {
    /// Parses a reference: trimmed, one source suffix at most, then a name.
    pub fn parse(text: &str) -> Result<ModelRef, NameError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NameError::Required);
        }
        let (base, source) = split_source(text);
        if source != Source::Unspecified && split_source(&base).1 != Source::Unspecified {
            return Err(NameError::ConflictingSource(text.to_owned()));
        }
        Ok(ModelRef {
            name: ModelName::parse(&base)?,
            source,
        })
    }
}

fn hub_file(text: &str) -> Option<Parts<'_>> {
    let path = text.strip_prefix("https://").unwrap_or(text);
    let parts: Vec<&str> = path.split('/').collect();
    let [host, namespace, model, tag] = parts[..] else {
        return None;
    };
    let is_hub = ["hf.co", "huggingface.co"]
        .iter()
        .any(|hub| host.eq_ignore_ascii_case(hub));
    (is_hub && tag.to_ascii_lowercase().ends_with(".gguf")).then_some(Parts {
        scheme: Scheme::Https,
        host,
        namespace,
        model,
        tag,
    })
}

fn split_source(text: &str) -> (String, Source) {
    let Some((before, suffix)) = text.rsplit_once(':') else {
        return (text.to_owned(), Source::Unspecified);
    };
    let suffix = suffix.trim();
    if suffix.eq_ignore_ascii_case("cloud") {
        return (before.to_owned(), Source::Cloud);
    }
    if suffix.eq_ignore_ascii_case("local") {
        return (before.to_owned(), Source::Local);
    }
    let tag = suffix
        .len()
        .checked_sub("-cloud".len())
        .filter(|&at| suffix.is_char_boundary(at) && suffix[at..].eq_ignore_ascii_case("-cloud"));
    match tag {
        Some(at) if !suffix.contains('/') => (format!("{before}:{}", &suffix[..at]), Source::Cloud),
        _ => (text.to_owned(), Source::Unspecified),
    }
}

struct Parts<'a> {
    scheme: Scheme,
    host: &'a str,
    namespace: &'a str,
    model: &'a str,
    tag: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dots {
    Allowed,
    Forbidden,
}

fn is_valid_host(host: &str) -> bool {
    host.len() <= MAX_HOST_BYTES
        && starts_like_a_part(host)
        && host
            .bytes()
            .all(|b| is_word(b) || matches!(b, b'-' | b'.' | b':'))
}

fn is_valid_part(part: &str, dots: Dots) -> bool {
    part.len() <= MAX_PART_BYTES
        && starts_like_a_part(part)
        && part
            .bytes()
            .all(|b| is_word(b) || b == b'-' || (b == b'.' && dots == Dots::Allowed))
}

// A part never starts with a dot or a dash, so no part can climb out of its folder.
fn starts_like_a_part(part: &str) -> bool {
    part.bytes().next().is_some_and(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ModelName {
        ModelName::parse(text).unwrap()
    }

    #[test]
    fn defaults_fill_what_a_name_leaves_out() {
        for (text, full, shortest) in [
            (
                "llama3.2",
                "registry.ollama.ai/library/llama3.2:latest",
                "llama3.2:latest",
            ),
            (
                "llama3.2:1b",
                "registry.ollama.ai/library/llama3.2:1b",
                "llama3.2:1b",
            ),
            ("me/m", "registry.ollama.ai/me/m:latest", "me/m:latest"),
            (
                "hf.co/u/r.gguf:Q4_K_M",
                "hf.co/u/r.gguf:Q4_K_M",
                "hf.co/u/r.gguf:Q4_K_M",
            ),
            (
                "hf.co/u/r/f.Q8_0.gguf",
                "hf.co/u/r:f.Q8_0.gguf",
                "hf.co/u/r:f.Q8_0.gguf",
            ),
            (
                "localhost:5000/a/b",
                "localhost:5000/a/b:latest",
                "localhost:5000/a/b:latest",
            ),
            ("http://h:1/a/b:c", "h:1/a/b:c", "h:1/a/b:c"),
            (
                "Registry.Ollama.AI/Library/x:y",
                "Registry.Ollama.AI/Library/x:y",
                "x:y",
            ),
        ] {
            assert_eq!(name(text).full(), full, "{text}");
            assert_eq!(name(text).to_string(), shortest, "{text}");
        }
        assert_eq!(name("http://h/a/b").scheme(), Scheme::Http);
        assert_eq!(name("https://h/a/b").scheme(), Scheme::Https);
    }

    #[test]
    fn names_outside_the_grammar_are_invalid() {
        let long = "a".repeat(81);
        let long_host = format!("{}/a/b", "h".repeat(351));
        for text in [
            "",
            " ",
            "a:",
            "/a",
            "a/",
            ":t",
            "a//b",
            "a/b/",
            "a@sha256:0",
            "a b",
            "-a",
            ".a",
            "..",
            "a/..",
            "../a",
            "h/../a:b",
            "n.s/m",
            "a:b:c",
            "a:-t",
            "ü",
            "ftp://h/a/b",
            "a/b/c/d/e",
            "http://a/b",
            "http:///a/b",
            "a\0",
            "a:t\n",
            &long,
            &long_host,
        ] {
            assert_eq!(ModelName::parse(text), Err(NameError::Invalid), "{text:?}");
        }
        assert_eq!(name(&"a".repeat(80)).model().len(), 80);
        assert_eq!(name(&format!("{}/a/b", "h".repeat(350))).host().len(), 350);
    }

    #[test]
    fn source_suffixes_are_read_and_removed() {
        for (text, base, source) in [
            (" x:local ", "x:latest", Source::Local),
            ("x:LOCAL", "x:latest", Source::Local),
            ("x:7b:local", "x:7b", Source::Local),
            ("x:cloud", "x:latest", Source::Cloud),
            ("x:7b-Cloud", "x:7b", Source::Cloud),
            ("x:7b", "x:7b", Source::Unspecified),
            ("x-cloud", "x-cloud:latest", Source::Unspecified),
            ("h:1/a/b-cloud", "h:1/a/b-cloud:latest", Source::Unspecified),
        ] {
            let reference = ModelRef::parse(text).unwrap();
            assert_eq!(
                (reference.name.to_string().as_str(), reference.source),
                (base, source)
            );
        }
        assert_eq!(
            ModelRef::parse("x:cloud:local").unwrap_err().to_string(),
            r#"use either :local or :cloud, not both: "x:cloud:local""#
        );
        assert_eq!(ModelRef::parse("  "), Err(NameError::Required));
        assert_eq!(ModelName::local("x:cloud"), Err(NameError::CloudDisabled));
        assert_eq!(ModelName::local("x:local").unwrap(), name("x"));
        assert_eq!(
            NameError::CloudDisabled.to_string(),
            "ollama cloud is disabled: remote model is unavailable"
        );
    }

    #[test]
    fn spelling_follows_existing_names() {
        let existing = [name("Me/Llama:7B"), name("other/llama:7b")];
        for (text, want) in [
            ("me/llama:7b", "Me/Llama:7B"),
            ("OTHER/llama:7b", "other/llama:7b"),
            ("other/llama:7b", "other/llama:7b"),
            ("ME/x", "Me/x:latest"),
            ("me/lLama:q4", "Me/Llama:q4"),
        ] {
            assert_eq!(name(text).spelled_like(&existing).to_string(), want);
        }
    }

    #[test]
    fn manifest_paths_name_models() {
        let parsed = |text: &str| ModelName::from_manifest_path(Path::new(text));
        assert_eq!(parsed("hf.co/u/r/Q8_0").unwrap(), name("hf.co/u/r:Q8_0"));
        for text in ["a/b/c", "a/b/c/d/e", "a/b/c/.tmp", "a/b/../d", "a/n.s/c/d"] {
            assert_eq!(parsed(text), Err(NameError::Invalid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_form_of_a_name_parses_back(
            host in "[A-Za-z0-9_][A-Za-z0-9_.:-]{0,20}",
            namespace in "[A-Za-z0-9_][A-Za-z0-9_-]{0,79}",
            model in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}",
            tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}",
        ) {
            let name = ModelName::parse(&format!("{host}/{namespace}/{model}:{tag}")).unwrap();
            prop_assert_eq!(name.host(), host);
            prop_assert_eq!(&ModelName::parse(&name.full()).unwrap(), &name);
            prop_assert_eq!(&ModelName::from_manifest_path(&name.manifest_path()).unwrap(), &name);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,100}") {
            if let Ok(name) = ModelName::parse(&text) {
                prop_assert_eq!(name.manifest_path().iter().count(), 4);
                prop_assert_eq!(&ModelName::parse(&name.to_string()).unwrap().full().to_lowercase(), &name.full().to_lowercase());
            }
            let _ = ModelRef::parse(&text);
        }
    }
}
