//! Buckets in this process; they are gone when it ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::access::Area;

use super::{Bucket, LimitsConfig, Verdict};

/// Requests between two looks for users whose buckets are full again and need not be remembered.
const SWEEP_EVERY: usize = 4096;

type User = (String, String);
type Buckets = RateLimiter<User, DashMapStateStore<User>, DefaultClock, StateInformationMiddleware>;

/// The users' buckets, by area.
pub(super) struct Own {
    areas: Vec<(Area, Buckets)>,
    requests: AtomicUsize,
}

impl Own {
    /// All full.
    pub(super) fn new(config: &LimitsConfig) -> Own {
        let buckets = |area| {
            let quota = Quota::per_hour(config.of(area)?);
            Some((area, RateLimiter::dashmap(quota).with_middleware()))
        };
        Own {
            areas: Area::ALL.into_iter().filter_map(buckets).collect(),
            requests: AtomicUsize::new(0),
        }
    }

    pub(super) fn take(&self, bucket: &Bucket<'_>) -> Verdict {
        if self.requests.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.areas.iter().for_each(|(_, all)| all.retain_recent());
        }
        let found = self.areas.iter().find(|(area, _)| *area == bucket.area);
        let Some((_, buckets)) = found else {
            return Verdict::Passed {
                remaining: bucket.limit.get(),
            };
        };
        match buckets.check_key(&(bucket.tenant.to_owned(), bucket.user.to_owned())) {
            Ok(state) => Verdict::Passed {
                remaining: state.remaining_burst_capacity(),
            },
            Err(until) => Verdict::Refused {
                wait: until.wait_time_from(buckets.clock().now()),
            },
        }
    }
}
