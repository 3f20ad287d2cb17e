//! How often a user may ask: a bucket per user and area that fills evenly over an hour (GCRA).
//!
//! Buckets are in this process, or in a Redis that several servers share and that outlives them. While that one does not
//! answer, each server counts by itself: a user is never locked out, and never without a limit.

mod own;
mod shared;

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::{AccessError, Area, Caller, Secret};
use own::Own;
use shared::Shared;
pub use shared::SharedError;

/// Time in which a whole limit comes back.
pub const WINDOW: Duration = Duration::from_secs(3600);

/// Requests an hour; 0: as many as you like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// `/ai/generate`.
    pub generate: u32,
    /// The coach.
    pub coach: u32,
    /// `/ai/sql`.
    pub sql: u32,
    /// `/ai/code`.
    pub code: u32,
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        LimitsConfig {
            generate: 100,
            coach: 100,
            sql: 200,
            code: 500,
        }
    }
}

impl LimitsConfig {
    fn of(&self, area: Area) -> Option<NonZeroU32> {
        let limit = match area {
            Area::Generate => self.generate,
            Area::Coach => self.coach,
            Area::Sql => self.sql,
            Area::Code => self.code,
            Area::Rag => 0,
        };
        NonZeroU32::new(limit)
    }
}

/// What a user may still ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Requests an hour.
    pub limit: u32,
    /// Requests left now.
    pub remaining: u32,
    /// Seconds until there is one more, if none is left, else until all are back.
    pub wait_seconds: u64,
}

/// Who is counted, in which area, against how many requests an hour.
struct Bucket<'a> {
    area: Area,
    tenant: &'a str,
    user: &'a str,
    limit: NonZeroU32,
}

/// What a bucket says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is counted; so many are left.
    Passed { remaining: u32 },
    /// There is none left for so long.
    Refused { wait: Duration },
}

/// Counts requests. Exact however many come at a time: each is decided by one atomic exchange.
pub struct Limits {
    config: LimitsConfig,
    own: Own,
    shared: Option<Shared>,
}

impl Limits {
    /// All buckets full, or as they are at the address of a Redis (`redis://…`).
    ///
    /// # Errors
    /// Text that is no such address.
    pub fn new(config: &LimitsConfig, redis: Option<&Secret>) -> Result<Limits, SharedError> {
        Ok(Limits {
            config: *config,
            own: Own::new(config),
            shared: redis.map(Shared::new).transpose()?,
        })
    }

    /// Whether the Redis that buckets are kept in answers; nothing where they are in this process.
    pub async fn redis_answers(&self) -> Option<bool> {
        match &self.shared {
            Some(shared) => Some(shared.answers().await),
            None => None,
        }
    }

    /// Counts one request of a user. `None`: there is no limit, or no user to count for.
    pub async fn count(&self, area: Area, caller: &Caller) -> Result<Option<Budget>, AccessError> {
        let (Some(limit), Some(user)) = (self.config.of(area), &caller.user) else {
            return Ok(None);
        };
        let bucket = Bucket {
            area,
            tenant: &caller.tenant,
            user,
            limit,
        };
        let shared = match &self.shared {
            Some(shared) => shared.take(&bucket).await,
            None => None,
        };
        match shared.unwrap_or_else(|| self.own.take(&bucket)) {
            Verdict::Passed { remaining } => Ok(Some(bucket.budget(remaining))),
            Verdict::Refused { wait } => Err(AccessError::Limit {
                area,
                budget: Budget {
                    limit: limit.get(),
                    remaining: 0,
                    // A fraction of a second too early would be refused again.
                    wait_seconds: wait.as_millis().div_ceil(1000).max(1) as u64,
                },
            }),
        }
    }
}

impl Bucket<'_> {
    /// Time in which one request comes back.
    fn interval(&self) -> Duration {
        WINDOW / self.limit.get()
    }

    fn budget(&self, remaining: u32) -> Budget {
        let limit = self.limit.get();
        let missing = match remaining {
            0 => 1,
            some => limit.saturating_sub(some).max(1),
        };
        Budget {
            limit,
            remaining,
            wait_seconds: (self.interval() * missing).as_secs_f64().ceil() as u64,
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("config", &self.config)
            .field("is_shared", &self.shared.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn limits(config: LimitsConfig) -> Limits {
        Limits::new(&config, None).unwrap()
    }

    fn caller(tenant: &str, user: &str) -> Caller {
        Caller {
            tenant: tenant.to_owned(),
            user: Some(user.to_owned()),
            areas: None,
        }
    }

    #[tokio::test]
    async fn the_request_after_the_last_is_refused_and_told_when_to_come_back() {
        let limits = limits(LimitsConfig {
            code: 3,
            ..LimitsConfig::default()
        });
        let anna = caller("a", "anna");
        for left in [2, 1, 0] {
            let budget = limits.count(Area::Code, &anna).await.unwrap().unwrap();
            assert_eq!((budget.limit, budget.remaining), (3, left));
        }
        let Err(AccessError::Limit { area, budget }) = limits.count(Area::Code, &anna).await else {
            panic!("a fourth request");
        };
        assert_eq!((area, budget.remaining), (Area::Code, 0));
        assert!((1199..=1200).contains(&budget.wait_seconds), "{budget:?}");
        // Others, other tenants' users of the same name and other areas are not meant.
        for (area, caller) in [
            (Area::Code, caller("a", "bert")),
            (Area::Code, caller("b", "anna")),
            (Area::Sql, anna),
        ] {
            assert!(limits.count(area, &caller).await.is_ok());
        }
    }

    #[tokio::test]
    async fn zero_is_no_limit_and_nobody_is_not_counted() {
        let limits = limits(LimitsConfig {
            code: 0,
            sql: 1,
            ..LimitsConfig::default()
        });
        for _ in 0..10 {
            let code = limits.count(Area::Code, &caller("a", "b")).await;
            assert_eq!(code.unwrap(), None);
            let nobody = limits.count(Area::Sql, &Caller::local()).await;
            assert_eq!(nobody.unwrap(), None);
        }
    }

    #[test]
    fn threads_together_get_exactly_the_limit() {
        let limits = limits(LimitsConfig::default());
        let granted = AtomicU32::new(0);
        let ask = async || {
            for _ in 0..50 {
                if limits.count(Area::Sql, &caller("t", "u")).await.is_ok() {
                    granted.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.unwrap().block_on(ask());
                });
            }
        });
        assert_eq!(granted.into_inner(), 200);
    }

    #[test]
    fn what_is_no_address_of_redis_is_told_without_it() {
        for text in [
            "127.0.0.1:6379",
            "http://me:hunter2@x",
            "redis://:hunter2@x:port",
        ] {
            let secret = Secret::new(text.to_owned());
            let error = Limits::new(&LimitsConfig::default(), Some(&secret)).unwrap_err();
            assert!(error.to_string().contains("WICK_REDIS"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
