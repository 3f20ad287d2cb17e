//! Answers that were given before: the same prompt of the same tenant need not be thought about again.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use sha2::{Digest, Sha256};

use super::gate::Passed;
use super::writer::Prompt;

/// Answers kept, of all tenants together; each holds some kilobytes.
const ANSWERS: NonZeroUsize = NonZeroUsize::new(512).expect("not zero");
/// How long an answer is given again.
pub const ANSWER_LIFE: Duration = Duration::from_secs(3600);

/// Whose question it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Nothing is shared between tenants.
    pub tenant: String,
    /// The user that a credential names; empty: none.
    pub caller: String,
    /// The user that a request names on the caller's behalf; empty: none.
    pub user: String,
}

impl Owner {
    /// Whether this is what a caller of `tenant` means by the user `id`: one of those on whose behalf it asks, or
    /// itself. A caller without a name is the operator on this machine, and means everybody of that name.
    pub fn is(&self, tenant: &str, caller: &str, id: &str) -> bool {
        let is_own = self.caller == caller && (self.user == id || caller == id);
        let is_anybodys = caller.is_empty() && (self.user == id || self.caller == id);
        self.tenant == tenant && (is_own || is_anybodys)
    }
}

/// A hash of everything that decides what is answered, tenant included; the question itself is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AnswerKey([u8; 32]);

impl AnswerKey {
    pub(super) fn new(tenant: &str, model: &str, documents: u64, prompt: &Prompt) -> AnswerKey {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            // With its length before it no part can pass for the end of another.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        };
        [
            tenant,
            model,
            &documents.to_string(),
            &prompt.system,
            &prompt.user,
        ]
        .into_iter()
        .for_each(&mut add);
        for turn in &prompt.history {
            add(&turn.message);
            add(&turn.response);
        }
        add(&prompt.max_tokens.to_string());
        AnswerKey(hash.finalize().into())
    }
}

struct Kept {
    at: Instant,
    owner: Owner,
    answer: Arc<Passed>,
}

/// The last answers.
pub struct Answers(Mutex<LruCache<AnswerKey, Kept>>);

impl Default for Answers {
    fn default() -> Answers {
        Answers(Mutex::new(LruCache::new(ANSWERS)))
    }
}

impl Answers {
    /// What was answered to this.
    pub(super) fn find(&self, key: &AnswerKey, now: Instant) -> Option<Arc<Passed>> {
        let mut answers = self.lock();
        let kept = answers.get(key)?;
        if now.saturating_duration_since(kept.at) < ANSWER_LIFE {
            return Some(kept.answer.clone());
        }
        answers.pop(key);
        None
    }

    /// Remembers an answer, and forgets the one that was not asked for the longest.
    pub(super) fn keep(&self, key: AnswerKey, owner: &Owner, answer: Passed, now: Instant) {
        let kept = Kept {
            at: now,
            owner: owner.clone(),
            answer: Arc::new(answer),
        };
        self.lock().put(key, kept);
    }

    /// Forgets the answers to a user.
    pub fn forget(&self, tenant: &str, caller: &str, id: &str) {
        let mut answers = self.lock();
        let of_user = answers
            .iter()
            .filter(|(_, kept)| kept.owner.is(tenant, caller, id));
        let keys: Vec<AnswerKey> = of_user.map(|(key, _)| *key).collect();
        for key in keys {
            answers.pop(&key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<AnswerKey, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coach::writer::Turn;

    fn prompt() -> Prompt {
        Prompt {
            system: "s".to_owned(),
            history: vec![Turn {
                message: "m".to_owned(),
                response: "r".to_owned(),
            }],
            user: "u".to_owned(),
            max_tokens: 9,
        }
    }

    fn passed(text: &str) -> Passed {
        Passed {
            text: text.to_owned(),
            cited: vec![1],
        }
    }

    #[test]
    fn everything_that_matters_makes_a_difference() {
        let same = AnswerKey::new("t", "m", 1, &prompt());
        assert_eq!(same, AnswerKey::new("t", "m", 1, &prompt()));
        for (tenant, model, documents) in
            [("x", "m", 1), ("t", "n", 1), ("t", "m", 2), ("tm", "", 1)]
        {
            assert_ne!(AnswerKey::new(tenant, model, documents, &prompt()), same);
        }
        let changes: [fn(&mut Prompt); 5] = [
            |p| p.system.push('x'),
            |p| p.user.push('x'),
            |p| p.history.clear(),
            |p| p.history[0].response.push('x'),
            |p| p.max_tokens = 1,
        ];
        for change in changes {
            let mut other = prompt();
            change(&mut other);
            assert_ne!(AnswerKey::new("t", "m", 1, &other), same);
        }
    }

    #[test]
    fn answers_grow_old_and_the_oldest_go() {
        let answers = Answers::default();
        let (start, owner) = (Instant::now(), Owner::default());
        let key = |at: usize| AnswerKey::new(&at.to_string(), "m", 1, &prompt());
        answers.keep(key(0), &owner, passed("a"), start);
        assert_eq!(*answers.find(&key(0), start).unwrap(), passed("a"));
        assert!(answers.find(&key(0), start + ANSWER_LIFE).is_none());
        for at in 0..=ANSWERS.get() {
            answers.keep(key(at), &owner, passed("a"), start);
        }
        assert!(answers.find(&key(0), start).is_none() && answers.find(&key(1), start).is_some());
    }

    #[test]
    fn a_user_can_be_forgotten_by_those_who_may() {
        let owner = |caller: &str, user: &str| Owner {
            tenant: "t".to_owned(),
            caller: caller.to_owned(),
            user: user.to_owned(),
        };
        // Who asks to forget whom: the own users, oneself, and the operator anybody.
        assert!(owner("key:site", "7").is("t", "key:site", "7"));
        assert!(
            owner("anna", "").is("t", "anna", "anna") && owner("anna", "7").is("t", "anna", "anna")
        );
        assert!(owner("anna", "").is("t", "", "anna") && owner("", "7").is("t", "", "7"));
        assert!(
            !owner("key:site", "7").is("t", "bert", "7"),
            "another caller's user"
        );
        assert!(!owner("anna", "").is("t", "bert", "anna"), "another user");
        assert!(
            !owner("key:site", "7").is("other", "key:site", "7"),
            "another tenant"
        );
        let answers = Answers::default();
        let now = Instant::now();
        for user in ["7", "8"] {
            let key = AnswerKey::new(user, "m", 1, &prompt());
            answers.keep(key, &owner("", user), passed(user), now);
        }
        answers.forget("t", "", "7");
        let is_there = |user: &str| {
            answers
                .find(&AnswerKey::new(user, "m", 1, &prompt()), now)
                .is_some()
        };
        assert!(!is_there("7") && is_there("8"));
    }
}
