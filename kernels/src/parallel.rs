//! How callers lend threads.

/// How work is spread over threads. The implementor owns the threads; kernels own none.
pub trait Parallel: Sync {
    /// How many threads take part; at least one.
    fn threads(&self) -> usize;
    /// Calls `job` once with each of `0..threads()` and returns when all calls have returned.
    fn run(&self, job: &(dyn Fn(usize) + Sync));
}

/// Everything on the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Parallel for Serial {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        job(0);
    }
}

/// Runs `job` on the pool, or on the calling thread where `work` (in rough nanoseconds) is less than a barrier costs.
pub(crate) fn run_if_worth(pool: &dyn Parallel, work: usize, job: &(dyn Fn(usize) + Sync)) {
    if work < 20_000 || pool.threads() == 1 {
        job(0);
    } else {
        pool.run(job);
    }
}
