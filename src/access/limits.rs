//! How often a user may ask: a bucket per user and area that fills evenly over an hour (GCRA).

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::{AccessError, Area, Caller};

/// Time in which a whole limit comes back.
pub const WINDOW: Duration = Duration::from_secs(3600);
/// Requests between two looks for users whose buckets are full again and need not be remembered.
const SWEEP_EVERY: usize = 4096;

type User = (String, String);
type Bucket = RateLimiter<User, DashMapStateStore<User>, DefaultClock, StateInformationMiddleware>;

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

/// Counts requests. Exact however many come at a time: each is decided by one atomic exchange.
pub struct Limits {
    buckets: Vec<(Area, Bucket)>,
    requests: AtomicUsize,
}

impl Limits {
    /// All buckets full.
    pub fn new(config: &LimitsConfig) -> Limits {
        let limits = [
            (Area::Generate, config.generate),
            (Area::Coach, config.coach),
            (Area::Sql, config.sql),
            (Area::Code, config.code),
        ];
        let bucket = |(area, limit)| {
            let quota = Quota::per_hour(NonZeroU32::new(limit)?);
            let bucket = RateLimiter::dashmap(quota);
            Some((area, bucket.with_middleware()))
        };
        Limits {
            buckets: limits.into_iter().filter_map(bucket).collect(),
            requests: AtomicUsize::new(0),
        }
    }

    /// Counts one request of a user. `None`: there is no limit, or no user to count for.
    pub fn count(&self, area: Area, caller: &Caller) -> Result<Option<Budget>, AccessError> {
        let bucket = self.buckets.iter().find(|(of, _)| *of == area);
        let (Some((_, bucket)), Some(user)) = (bucket, &caller.user) else {
            return Ok(None);
        };
        if self.requests.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.buckets.iter().for_each(|(_, b)| b.retain_recent());
        }
        match bucket.check_key(&(caller.tenant.clone(), user.clone())) {
            Ok(state) => Ok(Some(budget(
                &state.quota(),
                state.remaining_burst_capacity(),
            ))),
            Err(until) => {
                let wait = until.wait_time_from(bucket.clock().now());
                let budget = Budget {
                    limit: until.quota().burst_size().get(),
                    remaining: 0,
                    // A fraction of a second too early would be refused again.
                    wait_seconds: wait.as_millis().div_ceil(1000).max(1) as u64,
                };
                Err(AccessError::Limit { area, budget })
            }
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let areas = self.buckets.iter().map(|(area, _)| area);
        f.debug_list().entries(areas).finish()
    }
}

fn budget(quota: &Quota, remaining: u32) -> Budget {
    let limit = quota.burst_size().get();
    let missing = limit.saturating_sub(remaining).max(1);
    let wanted = if remaining == 0 { 1 } else { missing };
    Budget {
        limit,
        remaining,
        wait_seconds: (quota.replenish_interval() * wanted).as_secs_f64().ceil() as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn caller(tenant: &str, user: &str) -> Caller {
        Caller {
            tenant: tenant.to_owned(),
            user: Some(user.to_owned()),
            areas: None,
        }
    }

    #[test]
    fn the_request_after_the_last_is_refused_and_told_when_to_come_back() {
        let limits = Limits::new(&LimitsConfig {
            code: 3,
            ..LimitsConfig::default()
        });
        let anna = caller("a", "anna");
        for left in [2, 1, 0] {
            let budget = limits.count(Area::Code, &anna).unwrap().unwrap();
            assert_eq!((budget.limit, budget.remaining), (3, left));
        }
        let Err(AccessError::Limit { area, budget }) = limits.count(Area::Code, &anna) else {
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
            assert!(limits.count(area, &caller).is_ok());
        }
    }

    #[test]
    fn zero_is_no_limit_and_nobody_is_not_counted() {
        let limits = Limits::new(&LimitsConfig {
            code: 0,
            sql: 1,
            ..LimitsConfig::default()
        });
        for _ in 0..10 {
            assert_eq!(limits.count(Area::Code, &caller("a", "b")).unwrap(), None);
            assert_eq!(limits.count(Area::Sql, &Caller::local()).unwrap(), None);
        }
    }

    #[test]
    fn threads_together_get_exactly_the_limit() {
        let limits = Limits::new(&LimitsConfig::default());
        let granted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        if limits.count(Area::Sql, &caller("t", "u")).is_ok() {
                            granted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(granted.into_inner(), 200);
    }
}
