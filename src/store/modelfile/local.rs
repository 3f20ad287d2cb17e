//! From a Modelfile to a request: files beside it are found and hashed, names of models stay names.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Command, Modelfile, ModelfileError, Parameter, is_semver, parse_parameter};
use crate::store::digest::Digest;
use crate::store::manifest::Message;

/// Where relative paths and `~` lead.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The Modelfile's folder.
    pub folder: &'a Path,
    /// The user's home, if known.
    pub home: Option<&'a Path>,
}

/// A file that has to be uploaded before the model can be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// Its name in the request: relative to the model's folder, with `/`.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its digest.
    pub digest: Digest,
}

/// What a Modelfile asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalRequest {
    /// Base model, if FROM is no file.
    pub from: Option<String>,
    /// Files of FROM.
    pub files: Vec<LocalFile>,
    /// Files of ADAPTER.
    pub adapters: Vec<LocalFile>,
    /// Files of DRAFT.
    pub draft_files: Vec<LocalFile>,
    /// Go template.
    pub template: Option<String>,
    /// System text.
    pub system: Option<String>,
    /// Licences.
    pub licenses: Vec<String>,
    /// Options.
    pub parameters: Map<String, Value>,
    /// Messages.
    pub messages: Vec<Message>,
    /// Built-in renderer.
    pub renderer: Option<String>,
    /// Built-in parser.
    pub parser: Option<String>,
    /// Least server version, without a leading `v`.
    pub requires: Option<String>,
    /// Lines for the user about what is ignored.
    pub warnings: Vec<String>,
}

impl Modelfile {
    /// Finds and hashes the files that the Modelfile names and types its parameters.
    pub fn resolve(&self, places: Places<'_>) -> Result<LocalRequest, ModelfileError> {
        let mut request = LocalRequest::default();
        let (mut models, mut drafts) = (Vec::new(), Vec::new());
        for command in &self.commands {
            match command {
                Command::From(value) => {
                    let path = expand(value, places)?;
                    if !exists(&path)? {
                        request.from = Some(value.clone());
                        continue;
                    }
                    request.files.extend(local_files(&path)?);
                    models.push(path);
                }
                Command::Adapter(value) => request.adapters = local_files(&expand(value, places)?)?,
                Command::Draft(value) => {
                    let path = expand(value, places)?;
                    request.draft_files.extend(local_files(&path)?);
                    drafts.push(path);
                }
                Command::Template(text) => request.template = Some(text.clone()),
                Command::System(text) => request.system = Some(text.clone()),
                Command::License(text) => request.licenses.push(text.clone()),
                Command::Renderer(name) => request.renderer = Some(name.clone()),
                Command::Parser(name) => request.parser = Some(name.clone()),
                Command::Requires(version) => {
                    let version = version.strip_prefix('v').unwrap_or(version);
                    if !is_semver(version) {
                        return Err(ModelfileError::Requires);
                    }
                    request.requires = Some(version.to_owned());
                }
                Command::Message(role, content) => request.messages.push(Message {
                    role: role.clone(),
                    content: content.clone(),
                }),
                Command::Parameter(name, value) => request.set_parameter(name, value)?,
            }
        }
        for draft in drafts {
            let draft = canonical(&draft)?;
            for model in &models {
                if canonical(model)? == draft {
                    return Err(ModelfileError::DraftIsModel(draft.display().to_string()));
                }
            }
        }
        Ok(request)
    }
}

impl LocalRequest {
    fn set_parameter(&mut self, name: &str, value: &str) -> Result<(), ModelfileError> {
        match parse_parameter(name, value)? {
            Parameter::Single(value) => {
                self.parameters.insert(name.to_owned(), value);
            }
            Parameter::Listed(entry) => {
                let list = self
                    .parameters
                    .entry(name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.push(Value::String(entry));
                }
            }
            Parameter::Deprecated => {
                self.warnings
                    .push(format!("warning: parameter {name} is deprecated"));
            }
        }
        Ok(())
    }
}

fn expand(value: &str, places: Places<'_>) -> Result<PathBuf, ModelfileError> {
    let unknown = |user: &str| ModelfileError::UnknownHome(user.to_owned());
    match value.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = places.home.ok_or_else(|| unknown("~"))?;
            Ok(home.join(rest.trim_start_matches('/')))
        }
        Some(rest) => Err(unknown(rest.split('/').next().unwrap_or_default())),
        None => Ok(places.folder.join(value)),
    }
}

fn exists(path: &Path) -> Result<bool, ModelfileError> {
    // A model name may be no path at all: too long a name or a file as a folder is "not there".
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(io(path, error)),
        Err(_) => Ok(false),
    }
}

fn local_files(path: &Path) -> Result<Vec<LocalFile>, ModelfileError> {
    let meta = fs::metadata(path).map_err(|e| io(path, e))?;
    if !meta.is_dir() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        return Ok(vec![LocalFile {
            name,
            path: path.to_owned(),
            digest: hash(path)?,
        }]);
    }
    let folder = canonical(path)?;
    let mut files = Vec::new();
    for file in files_of_model(&folder)? {
        let target = canonical(&file)?;
        if !target.starts_with(&folder) {
            let shown = relative_to(&folder, &target);
            let hint = if shown.contains(".cache") {
                "\n\nUse --local-dir <dir> when downloading model to disable caching"
            } else {
                ""
            };
            return Err(ModelfileError::InsecurePath(format!("{shown}{hint}")));
        }
        let name = relative_to(&folder, &file);
        files.push(LocalFile {
            name,
            digest: hash(&target)?,
            path: target,
        });
    }
    Ok(files)
}

/// `path` as seen from `folder`, with `..` where it lies outside.
fn relative_to(folder: &Path, path: &Path) -> String {
    let shared = folder
        .components()
        .zip(path.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder.components().skip(shared).map(|_| "..".to_owned());
    let down = path.components().skip(shared).map(|part| match part {
        Component::Normal(name) => name.to_string_lossy().into_owned(),
        other => other.as_os_str().to_string_lossy().into_owned(),
    });
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// The weights of the first kind that is there, then what describes them.
fn files_of_model(folder: &Path) -> Result<Vec<PathBuf>, ModelfileError> {
    let top = files_in(folder)?;
    let mut nested = Vec::new();
    for entry in listed(folder)? {
        if entry.is_dir() {
            nested.extend(files_in(&entry)?);
        }
    }
    let pick = |from: &[PathBuf], start: &str, end: &str| -> Vec<PathBuf> {
        let fits = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        };
        from.iter().filter(fits).cloned().collect()
    };
    const KINDS: [(&str, &str); 6] = [
        ("model", ".safetensors"),
        ("consolidated", ".safetensors"),
        ("pytorch_model", ".bin"),
        ("consolidated", ".pth"),
        ("", ".gguf"),
        ("", ".bin"),
    ];
    let mut files = KINDS
        .iter()
        .map(|(start, end)| pick(&top, start, end))
        .find(|found| !found.is_empty())
        .ok_or(ModelfileError::NoModelFiles)?;
    if !pick(&top, "model", ".safetensors").is_empty() {
        files.extend(pick(&nested, "model", ".safetensors"));
    }
    files.extend(pick(&top, "", ".json"));
    files.extend(pick(&nested, "", ".json"));
    files.extend(pick(&top, "chat_template.jinja", ""));
    files.extend(pick(&top, "vocab.txt", ""));
    let tokenizer = pick(&top, "tokenizer.model", "");
    files.extend(if tokenizer.is_empty() {
        pick(&nested, "tokenizer.model", "")
    } else {
        tokenizer
    });
    Ok(files)
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, ModelfileError> {
    Ok(listed(folder)?
        .into_iter()
        .filter(|path| path.is_file())
        .collect())
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, ModelfileError> {
    let entries = fs::read_dir(folder).map_err(|e| io(folder, e))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| io(folder, e))?;
    paths.sort();
    Ok(paths)
}

fn hash(path: &Path) -> Result<Digest, ModelfileError> {
    let mut file = File::open(path).map_err(|e| io(path, e))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(|e| io(path, e))?;
        if read == 0 {
            return Ok(Digest::finish(hasher));
        }
        hasher.update(&buffer[..read]);
    }
}

fn canonical(path: &Path) -> Result<PathBuf, ModelfileError> {
    fs::canonicalize(path).map_err(|e| io(path, e))
}

fn io(path: &Path, source: std::io::Error) -> ModelfileError {
    ModelfileError::Io {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;

    fn resolve(folder: &Path, text: &str) -> Result<LocalRequest, String> {
        let places = Places {
            folder,
            home: Some(Path::new("/nowhere")),
        };
        let file = Modelfile::parse(text.as_bytes()).map_err(|e| e.to_string())?;
        file.resolve(places).map_err(|e| e.to_string())
    }

    #[test]
    fn files_become_digests_and_names_stay_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("m.gguf"), b"abc").unwrap();
        let request = resolve(
            folder.path(),
            "FROM ./m.gguf\nPARAMETER stop a\nPARAMETER stop b\nPARAMETER num_ctx 1\n\
             PARAMETER num_ctx 2\nPARAMETER mirostat 1\nREQUIRES v0.14.0\nMESSAGE user hi",
        )
        .unwrap();
        let path = folder.path().join("./m.gguf");
        let digest = Digest::of(b"abc");
        assert_eq!(
            request.files,
            vec![LocalFile {
                name: "m.gguf".into(),
                path,
                digest
            }]
        );
        assert_eq!(
            Value::Object(request.parameters),
            json!({"stop": ["a", "b"], "num_ctx": 2})
        );
        assert_eq!(
            request.warnings,
            ["warning: parameter mirostat is deprecated"]
        );
        assert_eq!(request.requires.as_deref(), Some("0.14.0"));
        assert_eq!(
            request.messages,
            [Message {
                role: "user".into(),
                content: "hi".into()
            }]
        );
        assert_eq!(
            resolve(folder.path(), "FROM llama3:8b")
                .unwrap()
                .from
                .as_deref(),
            Some("llama3:8b")
        );
        assert_eq!(
            resolve(folder.path(), "FROM x\nREQUIRES new").unwrap_err(),
            "requires must be a valid semver (e.g. 0.14.0)"
        );
        let error = resolve(folder.path(), "FROM m.gguf\nDRAFT ./m.gguf").unwrap_err();
        assert!(
            error.starts_with("DRAFT must not reference the same local path as FROM: "),
            "{error}"
        );
    }

    #[test]
    fn folders_give_their_best_weights_and_what_describes_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("1_Pooling")).unwrap();
        for name in [
            "model.safetensors",
            "pytorch_model.bin",
            "x.gguf",
            "config.json",
            "tokenizer.json",
            "1_Pooling/config.json",
            "README.md",
            "vocab.txt",
        ] {
            fs::write(at(name), name).unwrap();
        }
        let request = resolve(folder.path(), "FROM .").unwrap();
        let names: Vec<_> = request
            .files
            .iter()
            .map(|file| file.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "model.safetensors",
                "config.json",
                "tokenizer.json",
                "1_Pooling/config.json",
                "vocab.txt"
            ]
        );
        fs::create_dir(at("empty")).unwrap();
        assert_eq!(
            resolve(folder.path(), "FROM ./empty").unwrap_err(),
            "no Modelfile or safetensors files found"
        );
    }

    #[test]
    fn links_out_of_the_folder_are_refused() {
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("w"), b"x").unwrap();
        symlink(
            outside.path().join("w"),
            folder.path().join("model.safetensors"),
        )
        .unwrap();
        let error = resolve(folder.path(), "FROM .").unwrap_err();
        assert!(error.starts_with("insecure path: ../"), "{error}");
    }
}
