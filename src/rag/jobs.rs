//! Documents on their way into the library: jobs that wait, run, end, and can be cancelled or tried again.
//!
//! A job has a folder with its description (`job.json`) and its files; it is there before the client hears of it,
//! and goes on after a restart. Files are removed once their documents are added or cannot be.

mod disk;
mod incoming;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tracing::warn;

use super::Metadata;

pub use incoming::{Incoming, IncomingFile};
pub use worker::work;

/// Jobs that may wait, all tenants together.
const QUEUE: usize = 256;
/// Jobs of one tenant that may wait.
const QUEUE_OF_TENANT: usize = 64;
/// Ended jobs that are remembered.
const REMEMBERED: usize = 1000;
/// How long ended jobs are remembered.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1000;
/// A job is not begun more often without an end: it may be what ends the process.
const MOST_BEGINNINGS: u32 = 5;

/// How a job or a document of one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Its turn has not come.
    Waiting,
    /// It is being worked on.
    Running,
    /// The documents are there.
    Done,
    /// Some documents could not be added.
    Failed,
    /// Somebody wanted it to end.
    Cancelled,
}

/// Documents that are added together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// `job_` and 32 hexadecimal digits.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// How it is.
    pub state: JobState,
    /// When it was asked for, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// How often it was begun since it last ended.
    #[serde(default)]
    pub beginnings: u32,
    /// What is added, in order.
    pub documents: Vec<JobDocument>,
}

/// One document of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobDocument {
    /// What it will be called; of a duplicate, what is there already.
    pub document_id: String,
    /// The collection it goes into.
    pub collection: String,
    /// The name of its file.
    pub name: String,
    /// What to call it.
    pub title: Option<String>,
    /// Where it came from.
    pub url: Option<String>,
    /// What to label it with.
    pub metadata: Metadata,
    /// Bytes of its file.
    pub size_bytes: u64,
    /// How it is.
    pub state: JobState,
    /// Whether the same bytes were there already.
    #[serde(default)]
    pub is_duplicate: bool,
    /// Bytes that were read.
    #[serde(default)]
    pub bytes_read: u64,
    /// Passages, once it is read.
    #[serde(default)]
    pub passages: Option<usize>,
    /// Passages that have vectors.
    #[serde(default)]
    pub passages_embedded: usize,
    /// Why it was not added.
    #[serde(default)]
    pub error: Option<String>,
    /// Whether trying again could help.
    #[serde(default)]
    pub can_retry: bool,
}

/// Why a job is not as somebody wants it.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The job is not there, or not the tenant's.
    #[error("there is no job '{0}'")]
    Unknown(String),
    /// Too many wait.
    #[error("too many documents wait to be added: try again later")]
    QueueFull,
    /// The job has ended.
    #[error("the job has ended already")]
    Ended,
    /// Nothing in the job could go better another time.
    #[error("nothing in the job can be tried again")]
    NothingToRetry,
    /// A file of a job cannot be written or read.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// All jobs.
pub struct Jobs {
    folder: PathBuf,
    state: Mutex<State>,
    /// Something waits.
    wake: Notify,
    /// Counts changes.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<String, Job>,
    waiting: VecDeque<String>,
    /// Jobs that are being worked on, with what tells them to end.
    running: HashMap<String, Arc<AtomicBool>>,
}

impl JobState {
    /// Whether nothing more will happen by itself.
    pub fn is_end(self) -> bool {
        matches!(
            self,
            JobState::Done | JobState::Failed | JobState::Cancelled
        )
    }
}

impl Job {
    /// Bytes of all its files, and how many of them are read.
    pub fn bytes(&self) -> (u64, u64) {
        let sum = |bytes: fn(&JobDocument) -> u64| self.documents.iter().map(bytes).sum();
        (sum(|d| d.size_bytes), sum(|d| d.bytes_read))
    }

    /// Passages of what is read, and how many of them have vectors.
    pub fn passages(&self) -> (usize, usize) {
        let sum = |n: fn(&JobDocument) -> usize| self.documents.iter().map(n).sum();
        (
            sum(|d| d.passages.unwrap_or(0)),
            sum(|d| d.passages_embedded),
        )
    }

    /// Ends it where the process has ended each time that it ran. Somebody can try again.
    fn give_up(&mut self) {
        for document in self.documents.iter_mut().filter(|d| !d.state.is_end()) {
            document.state = JobState::Failed;
            document.can_retry = true;
            document.error = Some(format!(
                "the server ended {} times before this was added, and does not begin again by itself",
                self.beginnings
            ));
        }
        self.state = self.outcome();
        self.ended_ms = Some(now_ms());
        self.beginnings = 0;
    }

    /// What became of its documents.
    fn outcome(&self) -> JobState {
        let any = |state| self.documents.iter().any(|d| d.state == state);
        match (any(JobState::Failed), any(JobState::Cancelled)) {
            (_, true) => JobState::Cancelled,
            (true, false) => JobState::Failed,
            (false, false) => JobState::Done,
        }
    }
}

impl Jobs {
    /// Reads the jobs in a folder and makes it if it is not there. Those that had begun wait again, unless they had
    /// begun too often.
    pub fn open(folder: PathBuf) -> Result<Jobs, JobError> {
        let mut state = State::default();
        let mut found = disk::read_all(&folder)?;
        found.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        for mut job in found {
            if !job.state.is_end() && job.beginnings >= MOST_BEGINNINGS {
                job.give_up();
                warn!(job = %job.id, "a job is given up: the process ended each time that it ran");
                disk::write(&folder, &job)?;
            } else if !job.state.is_end() {
                job.state = JobState::Waiting;
                state.waiting.push_back(job.id.clone());
            }
            state.jobs.insert(job.id.clone(), job);
        }
        let jobs = Jobs {
            folder,
            state: Mutex::new(state),
            wake: Notify::new(),
            changes: watch::Sender::new(0),
        };
        jobs.forget_old();
        jobs.wake.notify_one();
        Ok(jobs)
    }

    /// Documents that somebody will go on with.
    pub fn unfinished(&self) -> Vec<String> {
        let state = self.lock();
        let jobs = state.jobs.values();
        let documents = jobs.flat_map(|job| &job.documents);
        documents
            .filter(|document| !document.state.is_end() || document.can_retry)
            .map(|document| document.document_id.clone())
            .collect()
    }

    /// Begins a job: files come first.
    pub fn begin(&self, tenant: &str) -> Result<Incoming, JobError> {
        self.check_room(tenant)?;
        Incoming::new(&self.folder, tenant)
    }

    /// Puts a job whose files are all there into the queue; it stays through a restart.
    pub fn submit(&self, incoming: Incoming) -> Result<Job, JobError> {
        self.check_room(incoming.tenant())?;
        let job = incoming.keep()?;
        {
            let mut state = self.lock();
            state.waiting.push_back(job.id.clone());
            state.jobs.insert(job.id.clone(), job.clone());
        }
        self.changed();
        self.wake.notify_one();
        self.forget_old();
        Ok(job)
    }

    /// A tenant's job as it is now.
    pub fn job(&self, tenant: &str, id: &str) -> Result<Job, JobError> {
        let state = self.lock();
        let job = state.jobs.get(id).filter(|job| job.tenant == tenant);
        job.cloned().ok_or_else(|| JobError::Unknown(id.to_owned()))
    }

    /// A tenant's jobs, latest first.
    pub fn list(&self, tenant: &str) -> Vec<Job> {
        let state = self.lock();
        let mut jobs: Vec<Job> = state
            .jobs
            .values()
            .filter(|job| job.tenant == tenant)
            .cloned()
            .collect();
        jobs.sort_by(|a, b| (b.created_ms, &b.id).cmp(&(a.created_ms, &a.id)));
        jobs
    }

    /// Tells when something about some job has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Ends a job. What it has added stays; one that runs ends within a few passages.
    pub fn cancel(&self, tenant: &str, id: &str) -> Result<Job, JobError> {
        let job = self.job(tenant, id)?;
        if job.state.is_end() {
            return Err(JobError::Ended);
        }
        let flag = self.lock().running.get(id).cloned();
        match flag {
            Some(flag) => flag.store(true, Ordering::Relaxed),
            None => {
                self.lock().waiting.retain(|waiting| waiting != id);
                self.update(id, |job| {
                    for document in &mut job.documents {
                        if !document.state.is_end() {
                            document.state = JobState::Cancelled;
                        }
                    }
                });
                self.end(id)?;
            }
        }
        self.job(tenant, id)
    }

    /// Tries again what could go better now.
    pub fn retry(&self, tenant: &str, id: &str) -> Result<Job, JobError> {
        let job = self.job(tenant, id)?;
        let again = |document: &JobDocument| document.can_retry;
        if !job.state.is_end() || !job.documents.iter().any(again) {
            return Err(JobError::NothingToRetry);
        }
        self.check_room(tenant)?;
        self.update(id, |job| {
            job.state = JobState::Waiting;
            job.ended_ms = None;
            for document in job.documents.iter_mut().filter(|d| again(d)) {
                document.state = JobState::Waiting;
                document.error = None;
                document.can_retry = false;
            }
        });
        self.save(id)?;
        self.lock().waiting.push_back(id.to_owned());
        self.wake.notify_one();
        self.job(tenant, id)
    }

    /// The next job's turn; waits for one.
    async fn next(&self) -> (Job, Arc<AtomicBool>) {
        loop {
            {
                let mut state = self.lock();
                let next = state.waiting.pop_front();
                if let Some(job) = next.and_then(|id| state.jobs.get_mut(&id)) {
                    job.state = JobState::Running;
                    job.beginnings += 1;
                    let job = job.clone();
                    let flag = Arc::new(AtomicBool::new(false));
                    state.running.insert(job.id.clone(), Arc::clone(&flag));
                    drop(state);
                    // On disk before the work begins, which the process may not outlive.
                    if let Err(error) = self.save(&job.id) {
                        warn!(job = %job.id, "the beginning of a job cannot be written down: {error}");
                    }
                    self.changed();
                    return (job, flag);
                }
            }
            self.wake.notified().await;
        }
    }

    /// Changes a job in memory; the numbers of its progress need not be on disk.
    fn update(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.lock().jobs.get_mut(id) {
            change(job);
        }
        self.changed();
    }

    fn update_document(&self, id: &str, at: usize, change: impl FnOnce(&mut JobDocument)) {
        self.update(id, |job| {
            if let Some(document) = job.documents.get_mut(at) {
                change(document);
            }
        });
    }

    fn save(&self, id: &str) -> Result<(), JobError> {
        let job = self.lock().jobs.get(id).cloned();
        match job {
            Some(job) => disk::write(&self.folder, &job),
            None => Ok(()),
        }
    }

    /// Nothing more happens to the job: files that are of no more use go.
    fn end(&self, id: &str) -> Result<(), JobError> {
        self.lock().running.remove(id);
        self.update(id, |job| {
            job.state = job.outcome();
            job.ended_ms = Some(now_ms());
            job.beginnings = 0;
        });
        self.save(id)?;
        let job = self.lock().jobs.get(id).cloned();
        for (at, document) in job.iter().flat_map(|job| job.documents.iter().enumerate()) {
            if document.state.is_end() && !document.can_retry {
                disk::remove_file(&self.folder, id, at)?;
            }
        }
        Ok(())
    }

    fn check_room(&self, tenant: &str) -> Result<(), JobError> {
        let state = self.lock();
        let waiting = state.waiting.iter().filter_map(|id| state.jobs.get(id));
        let own = waiting.filter(|job| job.tenant == tenant).count();
        match own < QUEUE_OF_TENANT && state.waiting.len() < QUEUE {
            true => Ok(()),
            false => Err(JobError::QueueFull),
        }
    }

    fn forget_old(&self) {
        let mut state = self.lock();
        let mut ended: Vec<(i64, String)> = state
            .jobs
            .values()
            .filter_map(|job| Some((job.ended_ms?, job.id.clone())))
            .collect();
        ended.sort_by(|a, b| b.cmp(a));
        let oldest = now_ms() - REMEMBERED_MS;
        let old = ended
            .into_iter()
            .enumerate()
            .filter(|(at, (ended, _))| *at >= REMEMBERED || *ended < oldest);
        for (_, (_, id)) in old {
            state.jobs.remove(&id);
            disk::forget(&self.folder, &id);
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a text can be a job's id.
pub fn is_job_id(text: &str) -> bool {
    let digits = text.strip_prefix("job_");
    digits.is_some_and(|digits| {
        digits.len() == 32
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
