//! Everything the process can be told: flags and the environment, read and checked once.
//!
//! Variables that Ollama knows keep its rules: a value it cannot read is logged and the default taken.
//! Variables of our own (`WICK_*`) and flags stop the start with their name and value.

mod access;
pub mod duration;
mod host;
pub mod sql;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tracing::warn;
use wick_models::KvType;

use crate::access::{AccessConfig, Secret};
pub use crate::engine::KeepAlive;
pub use host::Host;

use duration::{keep_alive, parse_duration};

/// The version of Ollama that this program stands in for. Clients switch features on by it: tools, structured
/// outputs and thinking came by 0.9, the Responses API with 0.13.3; all that is served was there in this release.
pub const API_VERSION: &str = "0.13.5";

const DEFAULT_KEEP_ALIVE: KeepAlive = KeepAlive::For(Duration::from_secs(5 * 60));
const DEFAULT_LOAD_TIMEOUT: Duration = Duration::from_secs(5 * 60);
const DEFAULT_ASSIST_MODEL: &str = "llama3.2:1b";
const DEFAULT_EMBED_MODEL: &str = "all-minilm";
const DEFAULT_ASSIST_TIMEOUT: Duration = Duration::from_secs(300);
const DEFAULT_MAX_LOADED_MODELS: usize = 3;
const DEFAULT_MAX_QUEUE: usize = 512;
/// Names that `WICK_ISA` may have.
const ISAS: [&str; 6] = [
    "scalar",
    "avx2",
    "avx-vnni",
    "avx512",
    "neon",
    "neon-dotprod",
];

/// What the command line says about the process as a whole.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Whether this process will listen; only then must there be an address and a folder.
    pub serving: bool,
    /// `serve --listen`: goes before `OLLAMA_HOST`.
    pub listen: Option<String>,
}

/// Everything the process can be told. Built once in `main`; nothing else reads the environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on (`--listen`, `OLLAMA_HOST`; default `127.0.0.1:11434`). Meant for a
    /// server: a client whose `OLLAMA_HOST` is a name that is no address finds a loopback here.
    pub listen: SocketAddr,
    /// Where clients find the server (`OLLAMA_HOST`).
    pub host: Host,
    /// Root of the store (`OLLAMA_MODELS`, default `$HOME/.ollama/models`).
    pub models_dir: PathBuf,
    /// Folder of the key and the history (`$HOME/.ollama`); `None` if there is no home.
    pub state_dir: Option<PathBuf>,
    /// How long an idle model stays loaded (`OLLAMA_KEEP_ALIVE`, default 5 minutes).
    pub keep_alive: KeepAlive,
    /// Context of models whose request names none (`OLLAMA_CONTEXT_LENGTH`); `None`: the server decides.
    pub context_tokens: Option<usize>,
    /// Sequences one model decodes at a time (`OLLAMA_NUM_PARALLEL`); `None`: as many as the context leaves
    /// memory for. Ollama takes 1; here answers in one batch share the reading of the weights.
    pub num_parallel: Option<usize>,
    /// Models loaded at a time (`OLLAMA_MAX_LOADED_MODELS`, default 3), at least 1.
    pub max_loaded_models: usize,
    /// Requests that may wait for a load (`OLLAMA_MAX_QUEUE`, default 512).
    pub max_queue: usize,
    /// How long a load may make no progress (`OLLAMA_LOAD_TIMEOUT`, default 5 minutes); `None`: any time.
    pub load_timeout: Option<Duration>,
    /// Web origins allowed beside the local ones (`OLLAMA_ORIGINS`).
    pub origins: Vec<String>,
    /// Keep blobs that nothing names (`OLLAMA_NOPRUNE`).
    pub no_prune: bool,
    /// Keep no history of prompts (`OLLAMA_NOHISTORY`).
    pub no_history: bool,
    /// How much is logged (`OLLAMA_DEBUG`).
    pub log_level: LogLevel,
    /// Log bodies of requests (`OLLAMA_DEBUG_LOG_REQUESTS`).
    pub log_requests: bool,
    /// Whether a model's Go template goes before its Jinja template (`OLLAMA_GO_TEMPLATE`);
    /// `None`: whichever can do more.
    pub go_template: Option<bool>,
    /// How caches store keys and values (`OLLAMA_KV_CACHE_TYPE`: `f16` or `q8_0`, default `f16`).
    pub kv_cache_type: KvType,
    /// Whether models that run elsewhere were switched off by name (`OLLAMA_NO_CLOUD`); this server has none either way.
    pub no_cloud: bool,
    /// Command that edits a prompt (`OLLAMA_EDITOR`, `VISUAL`, `EDITOR`).
    pub editor: Option<String>,
    /// Threads of one model's forward pass (`WICK_THREADS`); `None`: the physical cores.
    pub threads: Option<usize>,
    /// Kernel table to use (`WICK_ISA`: `scalar`, `avx2`, `avx-vnni`, `avx512`, `neon` or `neon-dotprod`); `None`: the
    /// fastest.
    pub isa: Option<String>,
    /// Memory that loaded models may take together, in bytes (`WICK_MEMORY_LIMIT`).
    pub memory_limit: Option<u64>,
    /// Folder of what belongs to this program alone, such as API keys (`WICK_DATA`, default `$HOME/.wick`);
    /// `None` if there is no home.
    pub data_dir: Option<PathBuf>,
    /// Credentials and limits (`WICK_JWT_*`, `WICK_LIMIT_*`, `WICK_REDIS`).
    pub access: AccessConfig,
    /// Whether all routes need credentials, not only the assistant's (`WICK_PROTECT_ALL`).
    pub protect_all: bool,
    /// Model of the assistant's routes where a request names none (`WICK_ASSIST_MODEL`, default `llama3.2:1b`).
    pub assist_model: String,
    /// How long an answer of the assistant's routes may take (`WICK_ASSIST_TIMEOUT`, seconds, default 300).
    pub assist_timeout: Duration,
    /// Whether conversations with the coach are kept on disk (`WICK_COACH_HISTORY`: `on` or `off`, default off: in
    /// memory, for an hour).
    pub coach_history: bool,
    /// Model whose vectors documents, and tables of the SQL assistant, are found by (`WICK_EMBED_MODEL`, default
    /// `all-minilm`). Another one embeds all documents anew. Without it in the store, tables are found by words.
    pub embed_model: String,
    /// Where the tables of documents are if not in the data folder (`WICK_RAG_URI`, such as `s3://bucket/folder`).
    pub rag_uri: Option<String>,
    /// Key that commands show the server on its protected routes (`WICK_API_KEY`).
    pub api_key: Option<Secret>,
    /// Address of the PostgreSQL that `eval questions` runs statements on (`WICK_EVAL_DATABASE`).
    pub eval_database: Option<Secret>,
    /// Web origins allowed on the assistant's routes beside those allowed everywhere (`WICK_ORIGINS`).
    pub assist_origins: Vec<String>,
    /// The SQL assistant (`WICK_SECRET_KEY`, `WICK_SQLITE_DIR`, `WICK_DATABASE_HOSTS`).
    pub sql: sql::SqlConfig,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What an operator wants to see.
    #[default]
    Info,
    /// `OLLAMA_DEBUG=1`.
    Debug,
    /// `OLLAMA_DEBUG=2`.
    Trace,
}

impl LogLevel {
    /// The level as `tracing` filters write it.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// A setting that the process will not start with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that cannot be read.
    #[error("invalid value {value:?} for {name}: expected {expected}")]
    Invalid {
        /// Variable or flag.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The name to listen on has no address here.
    #[error("cannot listen on {0:?}: the name has no address")]
    UnknownHost(String),
    /// A secret that can be guessed. The value is not shown.
    #[error(
        "{name} has {bytes} bytes: a secret needs {least} or more, such as from 'openssl rand -hex 32'"
    )]
    ShortSecret {
        /// Variable.
        name: &'static str,
        /// Its length.
        bytes: usize,
        /// The length it needs.
        least: usize,
    },
    /// Neither a home nor a models folder.
    #[error("$HOME is not defined: set OLLAMA_MODELS to the folder for models")]
    NoModelsDir,
}

/// Reads and checks all settings. `env` answers for one variable; tests pass a map.
pub fn load(flags: Flags, env: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    let env = Env(env);
    let host = Host::parse(&env.text("OLLAMA_HOST").unwrap_or_default());
    let listen = match &flags.listen {
        Some(text) => Host::parse_strictly(text)?.address()?,
        None if flags.serving => host.address()?,
        None => host.address_if_numeric(),
    };
    let state_dir = env
        .text("HOME")
        .map(|home| PathBuf::from(home).join(".ollama"));
    let data_dir = env.text("WICK_DATA").map(PathBuf::from).or_else(|| {
        let home = env.text("HOME")?;
        Some(PathBuf::from(home).join(".wick"))
    });
    let models_dir = match (env.text("OLLAMA_MODELS"), &state_dir) {
        (Some(dir), _) => PathBuf::from(dir),
        (None, Some(dir)) => dir.join("models"),
        (None, None) if flags.serving => return Err(ConfigError::NoModelsDir),
        (None, None) => PathBuf::from(".ollama/models"),
    };
    let load_timeout = match env.keep_alive("OLLAMA_LOAD_TIMEOUT") {
        None => Some(DEFAULT_LOAD_TIMEOUT),
        Some(KeepAlive::For(time)) if !time.is_zero() => Some(time),
        Some(_) => None,
    };
    let coach_history = env.switch("WICK_COACH_HISTORY")?.unwrap_or(false);
    if coach_history && data_dir.is_none() {
        return Err(ConfigError::Invalid {
            name: "WICK_COACH_HISTORY",
            value: "on".to_owned(),
            expected: "a folder to keep it in: set WICK_DATA or HOME",
        });
    }
    Ok(Config {
        listen,
        host,
        models_dir,
        state_dir,
        keep_alive: env
            .keep_alive("OLLAMA_KEEP_ALIVE")
            .unwrap_or(DEFAULT_KEEP_ALIVE),
        context_tokens: Some(env.number("OLLAMA_CONTEXT_LENGTH", 0)).filter(|tokens| *tokens > 0),
        num_parallel: Some(env.number("OLLAMA_NUM_PARALLEL", 0)).filter(|count| *count > 0),
        max_loaded_models: match env.number("OLLAMA_MAX_LOADED_MODELS", 0) {
            0 => DEFAULT_MAX_LOADED_MODELS,
            models => models,
        },
        max_queue: env.number("OLLAMA_MAX_QUEUE", DEFAULT_MAX_QUEUE),
        load_timeout,
        origins: env.list("OLLAMA_ORIGINS"),
        no_prune: env.flag("OLLAMA_NOPRUNE").unwrap_or(false),
        no_history: env.flag("OLLAMA_NOHISTORY").unwrap_or(false),
        log_level: env.log_level(),
        log_requests: env.flag("OLLAMA_DEBUG_LOG_REQUESTS").unwrap_or(false),
        go_template: env.flag("OLLAMA_GO_TEMPLATE"),
        kv_cache_type: env.known("OLLAMA_KV_CACHE_TYPE").unwrap_or_default(),
        no_cloud: env.flag("OLLAMA_NO_CLOUD").unwrap_or(false),
        editor: ["OLLAMA_EDITOR", "VISUAL", "EDITOR"]
            .iter()
            .find_map(|name| env.text(name)),
        threads: env.own(
            "WICK_THREADS",
            "a number of threads, at least 1",
            |threads| *threads > 0,
        )?,
        isa: env.own(
            "WICK_ISA",
            "scalar, avx2, avx-vnni, avx512, neon or neon-dotprod",
            |isa: &String| ISAS.contains(&isa.as_str()),
        )?,
        memory_limit: env.own("WICK_MEMORY_LIMIT", "a number of bytes, at least 1", |n| {
            *n > 0
        })?,
        access: access::load(&env, data_dir.as_deref())?,
        data_dir,
        protect_all: env.flag("WICK_PROTECT_ALL").unwrap_or(false),
        assist_model: env
            .text("WICK_ASSIST_MODEL")
            .unwrap_or_else(|| DEFAULT_ASSIST_MODEL.to_owned()),
        assist_timeout: env
            .own(
                "WICK_ASSIST_TIMEOUT",
                "a number of seconds, at least 1",
                |s| *s > 0,
            )?
            .map_or(DEFAULT_ASSIST_TIMEOUT, Duration::from_secs),
        coach_history,
        embed_model: env
            .text("WICK_EMBED_MODEL")
            .unwrap_or_else(|| DEFAULT_EMBED_MODEL.to_owned()),
        rag_uri: env.text("WICK_RAG_URI"),
        api_key: env.text("WICK_API_KEY").map(Secret::new),
        eval_database: env.text("WICK_EVAL_DATABASE").map(Secret::new),
        assist_origins: env.list("WICK_ORIGINS"),
        sql: sql::load(&env)?,
    })
}

/// Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

struct Env<F>(F);

impl<F: Fn(&str) -> Option<String>> Env<F> {
    /// The value without spaces and quotes around it; an empty one counts as absent.
    fn text(&self, name: &str) -> Option<String> {
        let value = (self.0)(name)?;
        let value = value.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Any text that is no boolean is true.
    fn flag(&self, name: &str) -> Option<bool> {
        self.text(name)
            .map(|text| parse_bool(&text).unwrap_or(true))
    }

    fn known<T: FromStr>(&self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            warn_ignored(name, &text, "the default");
        }
        value
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.known(name).unwrap_or(default)
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// A duration, or whole seconds; below zero is forever.
    fn keep_alive(&self, name: &str) -> Option<KeepAlive> {
        let text = self.text(name)?;
        if let Ok(nanos) = parse_duration(&text) {
            return Some(keep_alive(nanos));
        }
        match text.parse::<i64>() {
            Ok(seconds) => Some(match u64::try_from(seconds) {
                Ok(seconds) => KeepAlive::For(Duration::from_secs(seconds)),
                Err(_) => KeepAlive::Forever,
            }),
            Err(_) => {
                warn_ignored(name, &text, "the default");
                None
            }
        }
    }

    fn log_level(&self) -> LogLevel {
        let Some(text) = self.text("OLLAMA_DEBUG") else {
            return LogLevel::Info;
        };
        match (parse_bool(&text), text.parse::<i64>()) {
            (Some(true), _) | (None, Ok(1)) => LogLevel::Debug,
            (None, Ok(2..)) => LogLevel::Trace,
            _ => LogLevel::Info,
        }
    }

    /// A variable of our own that is on or off.
    fn switch(&self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        let known = match value.to_ascii_lowercase().as_str() {
            "on" | "yes" => Some(true),
            "off" | "no" => Some(false),
            other => parse_bool(other),
        };
        match known {
            Some(is_on) => Ok(Some(is_on)),
            None => Err(ConfigError::Invalid {
                name,
                value,
                expected: "on or off",
            }),
        }
    }

    /// A variable of our own: absent, or right.
    fn own<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
        valid: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        match value.parse().ok().filter(valid) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(ConfigError::Invalid {
                name,
                value,
                expected,
            }),
        }
    }
}

fn warn_ignored(name: &str, value: &str, default: impl fmt::Display) {
    warn!(
        name,
        value, "{name}={value:?} cannot be read, using {default}"
    );
}

#[cfg(test)]
mod tests;
