//! Buckets in a Redis. One script, which Redis runs whole, takes a request; its clock is everybody's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::access::Secret;

use super::{Bucket, Verdict};

/// How long a request waits for Redis before it is counted here.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long Redis is left alone after it did not answer, so that not every request waits for it.
const PAUSE: Duration = Duration::from_secs(1);

/// A text that is no address of a Redis. Does not repeat it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid value for WICK_REDIS: expected redis://user:password@host:port/number, rediss:// for TLS, or unix:///path?pass=password"
)]
pub struct SharedError;

/// The buckets.
pub(super) struct Shared {
    redis: ConnectionManager,
    take: Script,
    is_down: AtomicBool,
    /// When it last did not answer.
    failed: Mutex<Option<Instant>>,
}

impl Shared {
    /// Connects when it is first needed.
    pub(super) fn new(address: &Secret) -> Result<Shared, SharedError> {
        // A second installation is refused, and the first one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::open(address.reveal()).map_err(|_| SharedError)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let redis = ConnectionManager::new_lazy_with_config(client, config);
        Ok(Shared {
            redis: redis.map_err(|_| SharedError)?,
            take: Script::new(include_str!("take.lua")),
            is_down: AtomicBool::new(false),
            failed: Mutex::default(),
        })
    }

    /// Takes one request out of the bucket; nothing if Redis does not answer.
    pub(super) async fn take(&self, bucket: &Bucket<'_>) -> Option<Verdict> {
        if self.failed().is_some_and(|at| at.elapsed() < PAUSE) {
            return None;
        }
        let answer = timeout(PATIENCE, self.ask(bucket)).await;
        match answer {
            Ok(Ok((passes, remaining, wait_us))) => {
                *self.failed() = None;
                if self.is_down.swap(false, Ordering::Relaxed) {
                    info!("limits are shared again");
                }
                Some(match passes {
                    0 => Verdict::Refused {
                        wait: Duration::from_micros(wait_us),
                    },
                    _ => Verdict::Passed { remaining },
                })
            }
            failed => {
                *self.failed() = Some(Instant::now());
                if !self.is_down.swap(true, Ordering::Relaxed) {
                    // The error itself could name the address.
                    let kind = failed.ok().and_then(Result::err).map(|error| error.kind());
                    warn!(
                        ?kind,
                        "Redis does not answer: this server counts limits by itself"
                    );
                }
                None
            }
        }
    }

    /// Whether Redis answers.
    pub(super) async fn answers(&self) -> bool {
        let mut redis = self.redis.clone();
        let ping = async move { redis::cmd("PING").exec_async(&mut redis).await };
        matches!(timeout(PATIENCE, ping).await, Ok(Ok(())))
    }

    async fn ask(&self, bucket: &Bucket<'_>) -> Result<(u8, u32, u64), RedisError> {
        let interval_us = bucket.interval().as_micros().max(1) as u64;
        let mut redis = self.redis.clone();
        self.take
            .key(key(bucket))
            .arg(bucket.limit.get())
            .arg(interval_us)
            .invoke_async(&mut redis)
            .await
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a bucket. Users are hashed: others may read what is in a Redis.
fn key(bucket: &Bucket<'_>) -> String {
    let user = Sha256::new()
        .chain_update(bucket.tenant.as_bytes())
        .chain_update(b"\0")
        .chain_update(bucket.user.as_bytes())
        .finalize();
    format!("wick:limit:{}:{}", bucket.area, hex::encode(&user[..16]))
}
