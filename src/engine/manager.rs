//! Which models are in memory, for how long, and who waits for one.

mod load;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{info, warn};
use wick_models::{Gguf, Tokenizer};

use super::constraint::{Grammars, Mask};
use super::embedder::Texts;
use super::memory;
use super::scheduler::Command;
use super::{
    Constraint, EngineConfig, EngineError, Event, Generation, KeepAlive, LoadOptions, LoadRequest,
    Running,
};

pub use load::kernels;
use load::{clamp_context, context_tokens, load, parallel};

/// Events a reader may fall behind before its answer pauses.
const EVENTS: usize = 64;
/// How long it took to have a model that was there already; clients divide by it.
const AT_ONCE: Duration = Duration::from_nanos(1);
/// Keep-alives longer than this never end; the clock could not hold their end.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// All loaded models. Clones share them.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    config: EngineConfig,
    models: Mutex<HashMap<PathBuf, Arc<Loaded>>>,
    /// Held while one model is loaded; waiters get it in the order they came.
    loading: Arc<tokio::sync::Mutex<()>>,
    pending: AtomicUsize,
    /// A model became idle, was loaded or given up.
    changed: Notify,
}

struct Loaded {
    name: String,
    path: PathBuf,
    options: LoadOptions,
    tokenizer: Arc<Tokenizer>,
    grammars: OnceLock<Grammars>,
    context_tokens: usize,
    trained_context_tokens: usize,
    size_bytes: u64,
    worker: Worker,
    thread: Mutex<Option<JoinHandle<()>>>,
    idle: Mutex<Idle>,
}

enum Worker {
    Decoder(mpsc::Sender<Command>),
    Encoder(SyncSender<Texts>),
}

#[derive(Debug)]
struct Idle {
    in_flight: usize,
    keep_alive: KeepAlive,
    since: Instant,
}

/// One request's hold on a loaded model; while it lives the model stays.
pub struct Lease {
    model: Arc<Loaded>,
    shared: Arc<Shared>,
    load_duration: Duration,
}

impl Engine {
    /// Models load on demand. Needs a tokio runtime, which it uses to unload idle ones.
    pub fn new(config: EngineConfig) -> Self {
        let shared = Arc::new(Shared {
            config,
            models: Mutex::default(),
            loading: Arc::default(),
            pending: AtomicUsize::new(0),
            changed: Notify::new(),
        });
        tokio::spawn(unload_idle(Arc::downgrade(&shared)));
        Self(shared)
    }

    /// A hold on the model, loaded first if it is not there or was loaded otherwise. Requests that need a
    /// load wait in line; dropping the future gives the place up. A load that was begun is finished all the same: who
    /// asks next finds the model.
    pub async fn load(&self, request: LoadRequest) -> Result<Lease, EngineError> {
        let started = Instant::now();
        if let Some(model) = self.0.lease(&request) {
            return Ok(self.hold(model, started));
        }
        let place = Place::take(self.0.clone())?;
        let turn = self.0.loading.clone().lock_owned().await;
        // Whoever was in front may have loaded the very model.
        if let Some(model) = self.0.lease(&request) {
            return Ok(self.hold(model, started));
        }
        let engine = self.clone();
        let loaded = tokio::spawn(async move {
            let model = engine.0.load(request).await;
            drop((turn, place));
            model.map(|model| engine.hold(model, started))
        });
        loaded.await.map_err(|_| EngineError::Stopped)?
    }

    /// The loaded models, the one that stays longest first.
    pub fn running(&self) -> Vec<Running> {
        let models: Vec<_> = self.0.models().values().cloned().collect();
        let mut running: Vec<Running> = models.iter().map(|m| m.running()).collect();
        running.sort_by_key(|r| {
            (
                std::cmp::Reverse((r.expires_at.is_none(), r.expires_at)),
                r.name.clone(),
            )
        });
        running
    }

    /// Unloads the model as soon as it is idle; does nothing if it is not loaded.
    pub fn unload(&self, path: &Path) {
        if let Some(model) = self.0.models().get(path) {
            model.idle().keep_alive = KeepAlive::For(Duration::ZERO);
        }
        self.0.changed.notify_waiters();
    }

    /// Gives up all models and waits until the idle ones have freed their memory.
    pub async fn shutdown(&self) {
        let models: Vec<_> = self.0.models().drain().map(|(_, model)| model).collect();
        for model in models {
            if model.idle().in_flight == 0 {
                free(model).await;
            }
        }
    }

    fn hold(&self, model: Arc<Loaded>, started: Instant) -> Lease {
        let load_duration = started.elapsed().max(AT_ONCE);
        Lease {
            model,
            shared: self.0.clone(),
            load_duration,
        }
    }
}

/// Another hold on the same model, which nobody has to wait for: it is in memory.
impl Clone for Lease {
    fn clone(&self) -> Lease {
        self.model.idle().in_flight += 1;
        Lease {
            model: self.model.clone(),
            shared: self.shared.clone(),
            load_duration: AT_ONCE,
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.model.name).finish()
    }
}

impl Lease {
    /// The name the model was loaded by.
    pub fn name(&self) -> &str {
        &self.model.name
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.model.tokenizer
    }

    /// Tokens one sequence may hold.
    pub fn context_tokens(&self) -> usize {
        self.model.context_tokens
    }

    /// Tokens the model was trained for.
    pub fn trained_context_tokens(&self) -> usize {
        self.model.trained_context_tokens
    }

    /// Whether the model makes vectors only.
    pub fn is_encoder(&self) -> bool {
        matches!(self.model.worker, Worker::Encoder(_))
    }

    /// From the request for the model until it was ready; never zero.
    pub fn load_duration(&self) -> Duration {
        self.load_duration
    }

    /// Starts the answers to one prompt. Dropping the receiver cancels them within one step.
    pub async fn generate(
        &self,
        mut generation: Generation,
    ) -> Result<mpsc::Receiver<Event>, EngineError> {
        let Worker::Decoder(worker) = &self.model.worker else {
            return Err(EngineError::Unsupported("generate"));
        };
        let (prompt_tokens, context_tokens) = (generation.prompt.len(), self.context_tokens());
        if prompt_tokens > context_tokens {
            return Err(EngineError::PromptTooLong {
                prompt_tokens,
                context_tokens,
            });
        }
        if generation.prompt.is_empty() {
            // There is no token to predict from; the start token, or the end token, is the neutral one.
            generation
                .prompt
                .extend(self.tokenizer().bos().or(self.tokenizer().eos()));
        }
        let mask = || match &generation.constraint {
            Some(constraint) => self.mask(constraint, &generation.tenant).map(Some),
            None => Ok(None),
        };
        let candidates = 0..generation.candidates.max(1);
        let masks = candidates.map(|_| mask()).collect::<Result<Vec<_>, _>>()?;
        let (events, receiver) = mpsc::channel(EVENTS);
        let command = Command::Generate(Box::new(generation), masks, events);
        worker.send(command).await.map_err(|_| self.gone())?;
        Ok(receiver)
    }

    /// Reads a form, so that what is wrong with it is known before anything is written.
    ///
    /// # Errors
    /// A form that cannot be read, or a vocabulary that cannot be held to any.
    pub fn check(&self, constraint: &Constraint, tenant: &str) -> Result<(), EngineError> {
        self.mask(constraint, tenant).map(drop)
    }

    fn mask(&self, constraint: &Constraint, tenant: &str) -> Result<Mask, EngineError> {
        self.model.grammars()?.mask(constraint, tenant)
    }

    /// One pooled vector per input, not normalised, in input order.
    pub async fn embed(&self, inputs: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>, EngineError> {
        let context_tokens = self.context_tokens().min(self.trained_context_tokens());
        if let Some(long) = inputs.iter().find(|i| i.len() > context_tokens) {
            return Err(EngineError::PromptTooLong {
                prompt_tokens: long.len(),
                context_tokens,
            });
        }
        let (reply, vectors) = oneshot::channel();
        match &self.model.worker {
            Worker::Decoder(worker) => {
                worker
                    .send(Command::Embed(inputs, reply))
                    .await
                    .map_err(|_| self.gone())?;
            }
            Worker::Encoder(worker) => {
                let texts = Texts { inputs, reply };
                worker.try_send(texts).map_err(|reason| match reason {
                    std::sync::mpsc::TrySendError::Full(_) => EngineError::Busy,
                    std::sync::mpsc::TrySendError::Disconnected(_) => self.gone(),
                })?;
            }
        }
        vectors.await.map_err(|_| self.gone())?
    }

    /// The model's thread has died: the next request loads it anew.
    fn gone(&self) -> EngineError {
        warn!(
            model = self.model.name,
            "the thread of {} is gone", self.model.name
        );
        let mut models = self.shared.models();
        if models
            .get(&self.model.path)
            .is_some_and(|m| Arc::ptr_eq(m, &self.model))
        {
            models.remove(&self.model.path);
        }
        EngineError::Stopped
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut idle = self.model.idle();
        idle.in_flight -= 1;
        idle.since = Instant::now();
        drop(idle);
        self.shared.changed.notify_waiters();
    }
}

impl Shared {
    fn models(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<Loaded>>> {
        self.models
            .lock()
            .expect("no code panics while it holds the list of models")
    }

    /// Counts a request in on the model if it is loaded in a way the request accepts.
    fn lease(&self, request: &LoadRequest) -> Option<Arc<Loaded>> {
        let models = self.models();
        let model = models
            .get(&request.path)
            .filter(|m| m.serves(request.options))?;
        let mut idle = model.idle();
        idle.in_flight += 1;
        idle.keep_alive = request.keep_alive.unwrap_or(idle.keep_alive);
        Some(model.clone())
    }

    /// Loads with one request already counted in.
    async fn load(&self, request: LoadRequest) -> Result<Arc<Loaded>, EngineError> {
        let other = self.models().remove(&request.path);
        if let Some(other) = other {
            self.retire(other).await;
        }
        let path = request.path.clone();
        let gguf = tokio::task::spawn_blocking(move || Gguf::open(&path));
        let gguf = gguf.await.map_err(|_| EngineError::Stopped)??;
        self.make_room(&gguf, &request).await?;
        let started = Instant::now();
        let config = self.config.clone();
        let load = tokio::task::spawn_blocking(move || load(&config, request, gguf));
        let model = Arc::new(load.await.map_err(|_| EngineError::Stopped)??);
        let load_ms = started.elapsed().as_millis() as u64;
        info!(model = model.name, load_ms, "loaded {}", model.name);
        self.models().insert(model.path.clone(), model.clone());
        self.changed.notify_waiters();
        Ok(model)
    }

    /// Unloads others until the model fits by count and by memory.
    async fn make_room(&self, gguf: &Gguf, request: &LoadRequest) -> Result<(), EngineError> {
        let context = context_tokens(&self.config, gguf, request.options);
        let tokens = context.saturating_mul(parallel(&self.config, context));
        let needed = memory::needed_bytes(gguf, self.config.kv_type, tokens);
        loop {
            let (count, taken) = {
                let models = self.models();
                (
                    models.len(),
                    models.values().map(|m| m.size_bytes).sum::<u64>(),
                )
            };
            let limit = self
                .config
                .memory_limit_bytes
                .map(|limit| limit.saturating_sub(taken));
            let free = [limit, memory::available_bytes()]
                .into_iter()
                .flatten()
                .min();
            let fits = free.is_none_or(|free| needed <= free);
            if fits && count < self.config.max_loaded_models {
                return Ok(());
            }
            let Some(victim) = self.take_victim() else {
                return match fits {
                    true => Ok(()),
                    false => Err(EngineError::OutOfMemory {
                        needed: memory::human(needed),
                        available: memory::human(free.unwrap_or(0)),
                    }),
                };
            };
            self.retire(victim).await;
        }
    }

    /// Takes the model to unload next off the list: idle before busy, shortest keep-alive first.
    fn take_victim(&self) -> Option<Arc<Loaded>> {
        let mut models = self.models();
        let order = |model: &Arc<Loaded>| {
            let idle = model.idle();
            let keep = match idle.keep_alive {
                KeepAlive::For(duration) => duration,
                KeepAlive::Forever => Duration::MAX,
            };
            (idle.in_flight > 0, keep, model.path.clone())
        };
        let path = models.values().min_by_key(|m| order(m))?.path.clone();
        models.remove(&path)
    }

    /// Waits for the requests of a model that is off the list, then frees it.
    async fn retire(&self, model: Arc<Loaded>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if model.idle().in_flight == 0 {
                break;
            }
            changed.await;
        }
        free(model).await;
    }

    /// Takes the models whose time is over off the list; also says when the next one's is.
    fn take_expired(&self) -> (Vec<Arc<Loaded>>, Option<Instant>) {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        let mut models = self.models();
        let expired = models.extract_if(|_, model| match model.expires() {
            Some(at) if at <= now => true,
            Some(at) => {
                next = Some(next.map_or(at, |n| n.min(at)));
                false
            }
            None => false,
        });
        let expired = expired.map(|(_, model)| model).collect();
        (expired, next)
    }
}

impl Loaded {
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle
            .lock()
            .expect("no code panics while it holds a model's idle state")
    }

    fn serves(&self, asked: LoadOptions) -> bool {
        let same = |asked: Option<usize>, have: Option<usize>| asked.is_none() || asked == have;
        let context = asked
            .context_tokens
            .map(|n| clamp_context(n, self.trained_context_tokens));
        same(context, Some(self.context_tokens))
            && same(asked.batch_tokens, self.options.batch_tokens)
            && same(asked.threads, self.options.threads)
    }

    /// When an idle model's time is over; `None`: it is busy or stays.
    fn expires(&self) -> Option<Instant> {
        let idle = self.idle();
        match idle.keep_alive {
            KeepAlive::For(duration) if idle.in_flight == 0 && duration < FOREVER => {
                Some(idle.since + duration)
            }
            _ => None,
        }
    }

    fn running(&self) -> Running {
        let idle = self.idle();
        let expires_at = match idle.keep_alive {
            KeepAlive::For(duration) if duration < FOREVER => {
                let since = if idle.in_flight > 0 {
                    Instant::now()
                } else {
                    idle.since
                };
                Some(SystemTime::now() + duration.saturating_sub(since.elapsed()))
            }
            _ => None,
        };
        Running {
            name: self.name.clone(),
            path: self.path.clone(),
            size_bytes: self.size_bytes,
            expires_at,
            context_tokens: self.context_tokens,
        }
    }

    fn grammars(&self) -> Result<&Grammars, EngineError> {
        if let Some(grammars) = self.grammars.get() {
            return Ok(grammars);
        }
        let grammars = Grammars::new(self.tokenizer.clone())?;
        Ok(self.grammars.get_or_init(|| grammars))
    }
}

/// A place in the line for a load, given up when dropped.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: Arc<Shared>) -> Result<Self, EngineError> {
        let waiting = shared.pending.fetch_add(1, Ordering::Relaxed);
        let place = Self(shared);
        if waiting < place.0.config.max_queue {
            Ok(place)
        } else {
            Err(EngineError::Busy)
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Drops the last hold on a model and waits until its thread has freed the memory.
async fn free(model: Arc<Loaded>) {
    let name = model.name.clone();
    let thread = model
        .thread
        .lock()
        .ok()
        .and_then(|mut thread| thread.take());
    drop(model);
    if let Some(thread) = thread {
        let ended = tokio::task::spawn_blocking(move || thread.join());
        if !matches!(ended.await, Ok(Ok(()))) {
            warn!(model = name, "the thread of {name} panicked");
        }
    }
    info!(model = name, "unloaded {name}");
}

/// Unloads models when their time is over, until the engine is gone.
async fn unload_idle(shared: std::sync::Weak<Shared>) {
    while let Some(strong) = shared.upgrade() {
        let (expired, next) = strong.take_expired();
        for model in expired {
            free(model).await;
        }
        let changed = strong.changed.notified();
        let pause = next.map_or(Duration::from_secs(1), |at| at - Instant::now());
        // A change between the look and the wait is caught by the next second at the latest.
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(pause.min(Duration::from_secs(1))) => {}
        }
    }
}
