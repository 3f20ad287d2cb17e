//! Projects of conversations, kept for a while so that the next request can go on with them. Nothing reaches a disk.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use super::project::Project;

/// How long a conversation is remembered after it was last used.
pub(super) const LIFE: Duration = Duration::from_secs(3600);
/// Conversations of everybody.
const ALL: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
/// Conversations of one user.
const OWN: usize = 32;
/// Projects of everybody, in bytes.
const ALL_BYTES: usize = 128 << 20;

/// Whose conversation it is; nobody else finds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// The tenant.
    pub tenant: String,
    /// The user within it, if there is one.
    pub user: Option<String>,
    /// The name it was given.
    pub id: String,
}

/// What a conversation has come to.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The files.
    pub project: Arc<Project>,
    /// What was asked for, the oldest first.
    pub requests: Vec<String>,
}

/// The last projects, whoever asked for them.
pub struct Memory(Mutex<LruCache<Conversation, (Kept, Instant)>>);

impl Default for Memory {
    fn default() -> Memory {
        Memory(Mutex::new(LruCache::new(ALL)))
    }
}

impl Memory {
    /// What is kept of a conversation; it is then remembered for another hour.
    pub fn find(&self, conversation: &Conversation, now: Instant) -> Option<Kept> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        expire(&mut all, now);
        let (kept, used) = all.get_mut(conversation)?;
        *used = now;
        Some(kept.clone())
    }

    /// Keeps it, and forgets what was not used the longest where there is too much: first of the same user.
    pub fn keep(&self, conversation: Conversation, kept: Kept, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        expire(&mut all, now);
        let is_same_user = |other: &Conversation| {
            other.tenant == conversation.tenant && other.user == conversation.user
        };
        // The latest come first.
        let own = all
            .iter()
            .map(|(key, _)| key)
            .filter(|key| is_same_user(key) && **key != conversation);
        let surplus: Vec<Conversation> = own.skip(OWN - 1).cloned().collect();
        for key in surplus {
            all.pop(&key);
        }
        all.put(conversation, (kept, now));
        while bytes(&all) > ALL_BYTES && all.len() > 1 {
            all.pop_lru();
        }
    }
}

fn bytes(all: &LruCache<Conversation, (Kept, Instant)>) -> usize {
    all.iter().map(|(_, (kept, _))| kept.project.bytes()).sum()
}

/// Those used last are at the front, so the oldest ones are together.
fn expire(all: &mut LruCache<Conversation, (Kept, Instant)>, now: Instant) {
    while let Some((_, (_, used))) = all.peek_lru()
        && now.saturating_duration_since(*used) >= LIFE
    {
        all.pop_lru();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tenant: &str, user: Option<&str>, id: &str) -> Conversation {
        Conversation {
            tenant: tenant.to_owned(),
            user: user.map(str::to_owned),
            id: id.to_owned(),
        }
    }

    fn kept(bytes: usize) -> Kept {
        let files =
            (0..bytes.div_ceil(256 << 10)).map(|at| (at.to_string(), "x".repeat(256 << 10)));
        Kept {
            project: Arc::new(Project::new(files.collect()).unwrap()),
            requests: Vec::new(),
        }
    }

    #[test]
    fn conversations_are_apart() {
        let memory = Memory::default();
        let now = Instant::now();
        memory.keep(of("acme", Some("anna"), "c"), kept(1), now);
        assert!(memory.find(&of("acme", Some("anna"), "c"), now).is_some());
        for other in [
            of("acme", Some("anna"), "d"),
            of("acme", Some("bert"), "c"),
            of("acme", None, "c"),
            of("rival", Some("anna"), "c"),
        ] {
            assert!(memory.find(&other, now).is_none(), "{other:?}");
        }
    }

    #[test]
    fn what_is_not_used_is_forgotten_after_its_time() {
        let memory = Memory::default();
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        memory.keep(of("t", None, "a"), kept(0), start);
        memory.keep(of("t", None, "b"), kept(0), later(10));
        assert!(memory.find(&of("t", None, "a"), later(3599)).is_some());
        assert!(memory.find(&of("t", None, "b"), later(3610)).is_none());
        assert!(
            memory.find(&of("t", None, "a"), later(3611)).is_some(),
            "it was used since"
        );
        assert!(
            memory
                .find(&of("t", None, "a"), later(3611 + 3600))
                .is_none()
        );
    }

    #[test]
    fn one_user_cannot_push_out_the_others() {
        let memory = Memory::default();
        let now = Instant::now();
        memory.keep(of("t", Some("bert"), "x"), kept(0), now);
        for at in 0..OWN * 2 {
            memory.keep(of("t", Some("anna"), &at.to_string()), kept(0), now);
        }
        assert!(memory.find(&of("t", Some("bert"), "x"), now).is_some());
        let own = (0..OWN * 2).filter(|at| {
            memory
                .find(&of("t", Some("anna"), &at.to_string()), now)
                .is_some()
        });
        assert_eq!(own.collect::<Vec<_>>(), (OWN..OWN * 2).collect::<Vec<_>>());
    }

    #[test]
    fn memory_is_bounded() {
        let memory = Memory::default();
        let now = Instant::now();
        let large = kept(1 << 20);
        for at in 0..(ALL_BYTES >> 20) + 2 {
            memory.keep(of("t", Some(&at.to_string()), "c"), large.clone(), now);
        }
        assert!(memory.find(&of("t", Some("0"), "c"), now).is_none());
        assert!(memory.find(&of("t", Some("1"), "c"), now).is_none());
        assert!(memory.find(&of("t", Some("2"), "c"), now).is_some());
    }
}
