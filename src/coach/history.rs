//! What was said before, so that a question can lean on the last one.
//!
//! Kept in memory for an hour, or on disk where the operator wants it so; always in a table of SQLite, which bounds it
//! and lets it be forgotten in one statement. Texts are cut: they are for the model to lean on, not an archive.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};

use super::answers::Owner;
use super::plain::clip;
use super::writer::Turn;

/// How long a conversation in memory is remembered after its last exchange.
pub const LIFE_SECONDS: i64 = 3600;
/// Exchanges of a conversation.
const TURNS: i64 = 12;
/// Conversations of a user.
const CONVERSATIONS: i64 = 50;
/// Exchanges in memory, of everybody.
const ALL_TURNS: i64 = 20_000;
/// Characters of a message or an answer.
const TEXT_CHARS: usize = 2000;
const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS turns (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL, caller TEXT NOT NULL, user TEXT NOT NULL, conversation TEXT NOT NULL,
        at INTEGER NOT NULL, message TEXT NOT NULL, response TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS turns_by_owner ON turns (tenant, caller, user, conversation, id);
    CREATE INDEX IF NOT EXISTS turns_by_time ON turns (at);";

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file or the table.
    #[error("the coach's history cannot be used")]
    Sqlite(#[from] rusqlite::Error),
    /// The folder of the file.
    #[error("cannot make {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file was written by a later version of this program.
    #[error("{path} is of version {found}; this program knows {SCHEMA_VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

/// Conversations of all users.
pub struct History {
    connection: Mutex<Connection>,
    /// Whether conversations are forgotten by themselves.
    expires: bool,
}

impl History {
    /// In memory; nothing of it reaches a disk.
    pub fn in_memory() -> Result<History, HistoryError> {
        let connection = Connection::open_in_memory()?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.execute_batch(SCHEMA)?;
        Ok(History {
            connection: Mutex::new(connection),
            expires: true,
        })
    }

    /// In a file, which only its owner may read. What is forgotten is overwritten there.
    pub fn on_disk(path: &Path) -> Result<History, HistoryError> {
        prepare(path)?;
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > SCHEMA_VERSION {
            return Err(HistoryError::Version {
                path: path.to_owned(),
                found,
            });
        }
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        Ok(History {
            connection: Mutex::new(connection),
            expires: false,
        })
    }

    /// The exchanges of a conversation, the oldest first. `now` in seconds.
    pub fn recall(
        &self,
        owner: &Owner,
        conversation: &str,
        now: i64,
    ) -> Result<Vec<Turn>, HistoryError> {
        let connection = self.lock();
        self.expire(&connection, now)?;
        let mut select = connection.prepare_cached(
            "SELECT message, response FROM turns
             WHERE tenant = ?1 AND caller = ?2 AND user = ?3 AND conversation = ?4 ORDER BY id",
        )?;
        let of = params![owner.tenant, owner.caller, owner.user, conversation];
        let turns = select.query_map(of, |row| {
            Ok(Turn {
                message: row.get(0)?,
                response: row.get(1)?,
            })
        })?;
        Ok(turns.collect::<Result<_, _>>()?)
    }

    /// Adds an exchange, and forgets the oldest ones of the conversation and of the user.
    pub fn add(
        &self,
        owner: &Owner,
        conversation: &str,
        turn: &Turn,
        now: i64,
    ) -> Result<(), HistoryError> {
        let mut connection = self.lock();
        self.expire(&connection, now)?;
        let change = connection.transaction()?;
        let (message, response) = (
            clip(&turn.message, TEXT_CHARS),
            clip(&turn.response, TEXT_CHARS),
        );
        change.execute(
            "INSERT INTO turns (tenant, caller, user, conversation, at, message, response)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                owner.tenant,
                owner.caller,
                owner.user,
                conversation,
                now,
                message,
                response
            ],
        )?;
        change.execute(
            "DELETE FROM turns WHERE id IN (
                 SELECT id FROM turns WHERE tenant = ?1 AND caller = ?2 AND user = ?3 AND conversation = ?4
                 ORDER BY id DESC LIMIT -1 OFFSET ?5)",
            params![owner.tenant, owner.caller, owner.user, conversation, TURNS],
        )?;
        change.execute(
            "DELETE FROM turns WHERE tenant = ?1 AND caller = ?2 AND user = ?3 AND conversation IN (
                 SELECT conversation FROM turns WHERE tenant = ?1 AND caller = ?2 AND user = ?3
                 GROUP BY conversation ORDER BY max(id) DESC LIMIT -1 OFFSET ?4)",
            params![owner.tenant, owner.caller, owner.user, CONVERSATIONS],
        )?;
        if self.expires {
            change.execute(
                "DELETE FROM turns WHERE id <= (SELECT max(id) FROM turns) - ?1",
                [ALL_TURNS],
            )?;
        }
        Ok(change.commit()?)
    }

    /// Forgets everything about the user `id`, as a caller of `tenant` means it (see [`Owner::is`]); gives the number
    /// of exchanges.
    pub fn forget(&self, tenant: &str, caller: &str, id: &str) -> Result<usize, HistoryError> {
        Ok(self.lock().execute(
            "DELETE FROM turns WHERE tenant = ?1 AND (
                 (caller = ?2 AND (user = ?3 OR caller = ?3)) OR (?2 = '' AND (user = ?3 OR caller = ?3)))",
            params![tenant, caller, id],
        )?)
    }

    fn expire(&self, connection: &Connection, now: i64) -> Result<(), HistoryError> {
        if self.expires {
            connection
                .prepare_cached(
                    "DELETE FROM turns WHERE (tenant, caller, user, conversation) IN (
                         SELECT tenant, caller, user, conversation FROM turns
                         GROUP BY tenant, caller, user, conversation HAVING max(at) <= ?1)",
                )?
                .execute([now - LIFE_SECONDS])?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the folder, and an empty file with narrow permissions before anything is written to it.
fn prepare(path: &Path) -> Result<(), HistoryError> {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = path.parent().unwrap_or(Path::new("."));
    let failed = |source| HistoryError::Folder {
        path: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path);
    file.map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn owner(tenant: &str, caller: &str, user: &str) -> Owner {
        Owner {
            tenant: tenant.to_owned(),
            caller: caller.to_owned(),
            user: user.to_owned(),
        }
    }

    fn turn(text: &str) -> Turn {
        Turn {
            message: text.to_owned(),
            response: format!("re {text}"),
        }
    }

    fn recalled(history: &History, owner: &Owner, conversation: &str, now: i64) -> Vec<String> {
        let turns = history
            .recall(owner, conversation, now)
            .unwrap()
            .into_iter();
        turns.map(|turn| turn.message).collect()
    }

    #[test]
    fn conversations_are_apart() {
        let history = History::in_memory().unwrap();
        let anna = owner("t", "", "anna");
        for text in ["one", "two"] {
            history.add(&anna, "c", &turn(text), 100).unwrap();
        }
        assert_eq!(recalled(&history, &anna, "c", 100), ["one", "two"]);
        for (owner, conversation) in [
            (anna.clone(), "d"),
            (owner("t", "", "bert"), "c"),
            (owner("u", "", "anna"), "c"),
            (owner("t", "key", "anna"), "c"),
        ] {
            assert_eq!(
                recalled(&history, &owner, conversation, 100),
                [] as [&str; 0]
            );
        }
    }

    #[test]
    fn memory_lasts_an_hour_after_the_last_exchange() {
        let history = History::in_memory().unwrap();
        let anna = owner("t", "", "anna");
        history.add(&anna, "c", &turn("one"), 0).unwrap();
        history.add(&anna, "c", &turn("two"), 3000).unwrap();
        assert_eq!(
            recalled(&history, &anna, "c", 3000 + LIFE_SECONDS - 1).len(),
            2
        );
        assert_eq!(recalled(&history, &anna, "c", 3000 + LIFE_SECONDS).len(), 0);
    }

    #[test]
    fn conversations_and_texts_are_bounded() {
        let history = History::in_memory().unwrap();
        let anna = owner("t", "", "anna");
        for at in 0..TURNS + 3 {
            history.add(&anna, "c", &turn(&at.to_string()), at).unwrap();
        }
        let left = recalled(&history, &anna, "c", 20);
        assert_eq!((left.len() as i64, left[0].as_str()), (TURNS, "3"));
        for at in 0..CONVERSATIONS {
            history
                .add(&anna, &format!("c{at}"), &turn("x"), 30)
                .unwrap();
        }
        assert_eq!(
            recalled(&history, &anna, "c", 30).len(),
            0,
            "the oldest conversation went"
        );
        assert_eq!(recalled(&history, &anna, "c0", 30).len(), 1);
        history
            .add(&anna, "long", &turn(&"🎉".repeat(64 << 10)), 31)
            .unwrap();
        let long = history.recall(&anna, "long", 31).unwrap();
        assert!(long[0].message.chars().count() <= TEXT_CHARS + 1);
    }

    #[test]
    fn a_user_is_forgotten_as_a_whole_and_nobody_else_is() {
        let history = History::in_memory().unwrap();
        let all = [
            owner("t", "", "anna"),
            owner("t", "", "bert"),
            owner("t", "anna", ""),
            owner("u", "", "anna"),
        ];
        for owner in &all {
            history.add(owner, "c", &turn("x"), 0).unwrap();
            history.add(owner, "d", &turn("x"), 0).unwrap();
        }
        assert_eq!(
            history.forget("t", "key:x", "anna").unwrap(),
            0,
            "not this caller's"
        );
        assert_eq!(history.forget("t", "", "anna").unwrap(), 4);
        let left: Vec<usize> = all
            .iter()
            .map(|owner| recalled(&history, owner, "c", 0).len())
            .collect();
        assert_eq!(left, [0, 1, 0, 1]);
        assert_eq!(history.forget("t", "", "' OR '1'='1").unwrap(), 0);
    }

    #[test]
    fn a_file_keeps_it_beyond_the_hour_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/coach.db");
        let anna = owner("t", "", "anna");
        History::on_disk(&path)
            .unwrap()
            .add(&anna, "c", &turn("zebra crossing"), 0)
            .unwrap();
        let again = History::on_disk(&path).unwrap();
        assert_eq!(
            recalled(&again, &anna, "c", 10 * LIFE_SECONDS),
            ["zebra crossing"]
        );
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        again.forget("t", "", "anna").unwrap();
        drop(again);
        let bytes = std::fs::read(&path).unwrap();
        assert!(
            !bytes.windows(5).any(|window| window == b"zebra"),
            "what was forgotten is overwritten"
        );
        Connection::open(&path)
            .unwrap()
            .pragma_update(None, "user_version", 9)
            .unwrap();
        assert!(matches!(
            History::on_disk(&path),
            Err(HistoryError::Version { found: 9, .. })
        ));
    }
}
