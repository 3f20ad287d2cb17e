//! Threads for one forward pass: the work is split once, statically, and joined before the call returns.
//!
//! A decode step makes some hundred short calls one after the other, so a worker that has just finished spins for some
//! tens of microseconds before it parks: the next call usually comes within that time, and a futex wake costs more than
//! the work of a small matrix. Between requests the workers sleep.
#![expect(
    unsafe_code,
    reason = "a job that borrows from the caller's stack is lent to threads that outlive the call"
)]

mod cores;

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use wick_kernels::Parallel;

pub use cores::default_threads;

/// How long a thread that waits spins before it gives its core back.
const SPIN: Duration = Duration::from_micros(60);

/// A job as the workers see it: lent for the length of a call, whatever the type says.
type Job = &'static (dyn Fn(usize) + Sync);

thread_local! {
    /// True while this thread runs a job of some pool: a nested call then runs on this thread alone.
    static IN_JOB: Cell<bool> = const { Cell::new(false) };
}

/// A fixed set of threads that run one job at a time; the calling thread is one of them.
pub struct Pool {
    shared: Arc<Shared>,
    /// Held for the length of a call: callers from several threads take turns.
    turn: Mutex<()>,
    handles: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Number of calls so far; a change tells the workers that their slot holds a new job.
    round: AtomicUsize,
    stop: AtomicBool,
    /// Workers that have not finished the job of this round.
    pending: AtomicUsize,
    caller: Mutex<Option<Thread>>,
    caller_parked: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    slots: Vec<Slot>,
}

/// One worker's mailbox, on cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Slot {
    job: Mutex<Option<Job>>,
    parked: AtomicBool,
}

impl Pool {
    /// A pool of `threads` threads in all (at least one): the caller's and `threads - 1` of its own.
    ///
    /// Where the system refuses to start a thread, the pool is smaller.
    pub fn new(threads: usize) -> Pool {
        let workers = threads.max(1) - 1;
        let shared = Arc::new(Shared {
            round: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
            caller: Mutex::new(None),
            caller_parked: AtomicBool::new(false),
            panic: Mutex::new(None),
            slots: (0..workers).map(|_| Slot::default()).collect(),
        });
        let mut handles = Vec::with_capacity(workers);
        for index in 0..workers {
            let shared = Arc::clone(&shared);
            let spawned = thread::Builder::new()
                .name(format!("wick-compute-{}", index + 1))
                .spawn(move || shared.work(index));
            match spawned {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    tracing::warn!(%error, threads = index + 1, "fewer compute threads than asked for");
                    break;
                }
            }
        }
        Pool {
            shared,
            turn: Mutex::new(()),
            handles,
        }
    }

    fn fork_join(&self, job: &(dyn Fn(usize) + Sync)) {
        let _turn = lock(&self.turn);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. The reference lies in the slots from here until `pending` is zero: a worker
        // takes it out before it counts itself down and does not touch it afterwards, and this function neither returns
        // nor unwinds before `wait` has seen zero (its own share runs inside `catch_unwind`, nothing between can panic).
        let lent = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), Job>(job) };
        let workers = self.handles.len();
        *lock(&shared.caller) = Some(thread::current());
        shared.pending.store(workers, SeqCst);
        for slot in &shared.slots[..workers] {
            *lock(&slot.job) = Some(lent);
        }
        shared.round.fetch_add(1, SeqCst);
        for (slot, handle) in shared.slots.iter().zip(&self.handles) {
            if slot.parked.load(SeqCst) {
                handle.thread().unpark();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(|| in_job(|| job(0))));
        shared.wait();
        let theirs = lock(&shared.panic).take();
        if let Some(payload) = own.err().or(theirs) {
            resume_unwind(payload);
        }
    }
}

impl Parallel for Pool {
    fn threads(&self) -> usize {
        self.handles.len() + 1
    }

    /// Runs `job(0)` on the calling thread and `job(1..threads)` on the workers. A panic in any of them is raised again
    /// here once all have ended. Called from inside a job, all parts run on the calling thread.
    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        if self.handles.is_empty() || IN_JOB.get() {
            (0..self.threads()).for_each(job);
        } else {
            self.fork_join(job);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.shared.round.fetch_add(1, SeqCst);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            // A worker catches what its jobs raise, so that there is nothing to learn from the result.
            let _ = handle.join();
        }
    }
}

impl Shared {
    /// A worker's life: wait for a round, run the job, count down.
    fn work(&self, index: usize) {
        let slot = &self.slots[index];
        let mut seen = 0;
        loop {
            seen = self.next_round(slot, seen);
            if self.stop.load(SeqCst) {
                return;
            }
            let Some(job) = lock(&slot.job).take() else {
                continue;
            };
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| in_job(|| job(index + 1)))) {
                lock(&self.panic).get_or_insert(payload);
            }
            if self.pending.fetch_sub(1, SeqCst) == 1 && self.caller_parked.load(SeqCst) {
                // Out of the lock first: the caller may take it for the next round as soon as it wakes.
                let caller = lock(&self.caller).clone();
                if let Some(caller) = caller {
                    caller.unpark();
                }
            }
        }
    }

    /// Waits until the round differs from `seen`; returns the new one.
    fn next_round(&self, slot: &Slot, seen: usize) -> usize {
        spin_then_park(&slot.parked, || self.round.load(SeqCst) != seen);
        self.round.load(SeqCst)
    }

    /// Waits until every worker has finished.
    fn wait(&self) {
        spin_then_park(&self.caller_parked, || self.pending.load(SeqCst) == 0);
    }
}

/// Returns once `done()` holds. Whoever makes it hold looks at `parked` afterwards and unparks this thread if it is set;
/// sequential consistency on both sides means that one of the two sees the other.
fn spin_then_park(parked: &AtomicBool, done: impl Fn() -> bool) {
    let mut spins = 0u32;
    let mut deadline = None;
    while !done() {
        std::hint::spin_loop();
        spins += 1;
        if !spins.is_multiple_of(64) {
            continue;
        }
        let now = Instant::now();
        if now < *deadline.get_or_insert(now + SPIN) {
            continue;
        }
        // Not a store: qemu's aarch64 on x86-64 lets the load in `done` pass a store-release.
        parked.swap(true, SeqCst);
        while !done() {
            thread::park();
        }
        parked.store(false, SeqCst);
        return;
    }
}

fn in_job(job: impl FnOnce()) {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            IN_JOB.set(false);
        }
    }
    IN_JOB.set(true);
    let _reset = Reset;
    job();
}

/// Nothing here panics while it holds a lock, so that poison carries no news.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `job` once for every item of `items` on the threads of `pool`, each thread taking the next item when it is free.
///
/// Meant for `chunks_mut` and zips of them: disjoint parts of a slice go to different threads.
pub(crate) fn for_each<I>(pool: &dyn Parallel, items: I, job: impl Fn(I::Item) + Sync)
where
    I: Iterator + Send,
{
    let items = Mutex::new(items);
    pool.run(&|_| {
        loop {
            let Some(item) = lock(&items).next() else {
                return;
            };
            job(item);
        }
    });
}

#[cfg(test)]
mod tests;
