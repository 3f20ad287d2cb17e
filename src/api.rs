//! The HTTP server: Ollama's routes, OpenAI's and Anthropic's over the same verbs, the assistant's own.
//!
//! Handlers parse, call and answer. What a request means is in its type; what models are asked is in
//! `verbs`; which status an error has is in [`error`]; who may ask is in `hosts` and `admission`.

mod admission;
mod anthropic;
pub(crate) mod ask;
mod assist;
mod body;
mod catalog;
mod coach;
pub mod error;
mod fallback;
mod fields;
mod hosts;
mod ids;
mod ollama;
mod openai;
mod ops;
mod options;
#[cfg(feature = "rag")]
pub(crate) mod rag;
mod stream;
mod times;
mod verbs;

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;
use tracing::{info, warn};

use crate::access::{Access, AccessSetupError};
use crate::coach::history::HistoryError;
use crate::code::{CompletionCache, generate};
use crate::config::Config;
use crate::engine::{Engine, EngineConfig};
use crate::ops::metrics;
use crate::sql::database::Reach;
use crate::sql::registry::{RegistrySettings, Schemas};
use crate::sql::vault::Vault;
use crate::store::{Registry, RegistryOptions, Store, StoreError};

use catalog::Catalog;
use hosts::Hosts;

/// Context of models whose request names none, where the configuration does not either: what Ollama
/// takes on machines without a large GPU.
const CONTEXT_TOKENS: usize = 4096;
/// How long models may take to free their memory before the process ends anyway.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Measured times are folded together this often, fetched or not.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// What all routes share. Clones are cheap.
#[derive(Clone)]
pub struct App {
    store: Store,
    engine: Engine,
    registry: Registry,
    config: Arc<Config>,
    catalog: Arc<Catalog>,
    hosts: Arc<Hosts>,
    access: Arc<Access>,
    completions: Arc<CompletionCache>,
    projects: Arc<generate::Memory>,
    schemas: Arc<Schemas>,
    meanings: Arc<assist::sql::meaning::Meanings>,
    coach: Arc<coach::CoachState>,
    #[cfg(feature = "rag")]
    documents: Arc<rag::Documents>,
    /// Where the server is.
    url: Arc<str>,
}

/// Why the server did not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not of this machine.
    #[error("listen on {address}: {source}")]
    Listen {
        /// Where it should listen.
        address: SocketAddr,
        /// Why it does not.
        source: io::Error,
    },
    /// The folder of the models cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Credentials cannot be checked.
    #[error(transparent)]
    Access(#[from] AccessSetupError),
    /// The coach's history cannot be kept.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The server broke.
    #[error("the server stopped: {0}")]
    Io(#[from] io::Error),
}

impl App {
    /// Opens the store and starts the engine; `listen` is where the server can be reached. Needs a
    /// tokio runtime.
    pub fn new(config: Config, listen: SocketAddr) -> Result<App, ServeError> {
        let store = Store::open_with(&config.models_dir, config.no_prune)?;
        if let Err(error) = store.clean_up() {
            warn!("cannot remove unused blobs: {error}");
        }
        let engine = Engine::new(EngineConfig {
            keep_alive: config.keep_alive,
            parallel: config.num_parallel,
            max_loaded_models: config.max_loaded_models,
            max_queue: config.max_queue,
            context_tokens: config.context_tokens.unwrap_or(CONTEXT_TOKENS),
            threads: config.threads,
            isa: config.isa.clone(),
            kv_type: config.kv_cache_type,
            memory_limit_bytes: config.memory_limit,
        });
        let key = config.state_dir.as_ref().map(|dir| dir.join("id_ed25519"));
        Ok(App {
            store,
            engine,
            registry: Registry::new(RegistryOptions::new(ollama::VERSION, key))?,
            hosts: Arc::new(Hosts::new(&config, listen)),
            access: Arc::new(Access::new(&config.access)?),
            completions: Arc::default(),
            projects: Arc::default(),
            schemas: Arc::new(schemas(&config)),
            meanings: Arc::default(),
            coach: Arc::new(coach::CoachState::new(&config)?),
            #[cfg(feature = "rag")]
            documents: Arc::default(),
            url: format!("http://{listen}").into(),
            config: Arc::new(config),
            catalog: Arc::default(),
        })
    }

    /// Where databases may be that callers name. As long as only this machine may ask, its users do not get further
    /// than they would by themselves.
    fn reach(&self) -> Reach {
        match &self.config.sql.database_hosts {
            Some(listed) => listed.clone(),
            None if self.access.is_configured() => Reach::public(),
            None => Reach::ordinary(),
        }
    }
}

fn schemas(config: &Config) -> Schemas {
    let key = config.sql.secret_key.as_ref();
    Schemas::new(RegistrySettings {
        folder: config.data_dir.as_ref().map(|dir| dir.join("sql")),
        vault: key.map(|key| Vault::new(key.reveal())),
        sqlite_dir: config.sql.sqlite_dir.clone(),
        variable: Some(crate::config::sql::variable),
    })
}

/// All routes.
pub fn router(app: App) -> Router {
    // Clients of these two send large prompts compressed; how large is checked behind this layer.
    let compressed = openai::router()
        .merge(anthropic::router())
        .layer(RequestDecompressionLayer::new())
        .layer(from_fn(body::note_compression));
    let all = ollama::router().merge(compressed);
    #[cfg(feature = "rag")]
    let all = all.merge(rag::router());
    all.merge(assist::router())
        .merge(coach::router())
        .merge(ops::router())
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), admission::admit))
        .layer(from_fn_with_state(app.clone(), hosts::guard))
        .layer(CatchPanicLayer::custom(|_| {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }))
        .layer(from_fn(ops::observe))
        .with_state(app)
}

/// Serves until SIGTERM or SIGINT. Connections are then closed, which ends what they asked for, and
/// models are unloaded.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let address = config.listen;
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let stop = stop_signal()?;
    metrics::install();
    tokio::spawn(keep_metrics_small());
    let app = App::new(config, address)?;
    let engine = app.engine.clone();
    #[cfg(feature = "rag")]
    app.start_rag();
    say_address(address);
    // Pieces of an answer are small and must not wait for each other.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            warn!("cannot send small packets at once: {error}");
        }
    });
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        result = axum::serve(listener, service).into_future() => result?,
        () = stop => info!("stopping"),
    }
    if tokio::time::timeout(SHUTDOWN, engine.shutdown())
        .await
        .is_err()
    {
        warn!("a model is still at work");
    }
    Ok(())
}

async fn keep_metrics_small() {
    let mut tick = tokio::time::interval(METRICS_UPKEEP);
    loop {
        tick.tick().await;
        metrics::upkeep();
    }
}

/// The first line on stdout tells where the server is, also if the system chose the port.
fn say_address(address: SocketAddr) {
    let mut stdout = io::stdout().lock();
    // Nobody may be reading; the server is there all the same.
    let _ = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
    info!(%address, "listening on {address}");
}

fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
