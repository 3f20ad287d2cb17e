//! A PostgreSQL of this test's own: a folder, a Unix socket, no network.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Where Debian puts the programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// Who runs them where the tests run as root, which PostgreSQL refuses to.
const USER: &str = "postgres";

/// A running database server; dropping it ends the process.
pub(crate) struct Postgres {
    child: Child,
    folder: TempDir,
}

impl Postgres {
    /// Makes and starts one; `None`, and a word about it, where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Postgres> {
        if !Path::new(PROGRAMS).join("initdb").exists() {
            println!("skipped: postgresql-15 is not installed");
            return None;
        }
        // Sockets have short paths only.
        let folder = tempfile::Builder::new()
            .prefix("pg")
            .tempdir_in("/tmp")
            .unwrap();
        let data = folder.path().join("data");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(user) = other_user() {
            chown(folder.path(), Some(user), None).unwrap();
        }
        let made = program("initdb", folder.path())
            .args([
                "-A",
                "trust",
                "-U",
                USER,
                "-E",
                "UTF8",
                "--locale=C",
                "-N",
                "-D",
            ])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb: {made}");
        let child = program("postgres", folder.path())
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=30",
            ])
            .args(["-c", "shared_buffers=16MB"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Postgres { child, folder };
        for _ in 0..300 {
            if server.psql("SELECT 1").is_some() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("PostgreSQL does not start");
    }

    /// Runs statements as the owner; gives what they return, `None` if they fail.
    pub(crate) fn psql(&self, sql: &str) -> Option<String> {
        let output = Command::new(program_path("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                USER,
                "-h",
            ])
            .arg(self.folder.path())
            .args(["-d", "postgres", "-c", sql])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| text.trim().to_owned())
    }

    /// The address for a user.
    pub(crate) fn address(&self, user: &str) -> String {
        let folder = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://{user}:hunter2@{folder}/postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // PostgreSQL takes this as a wish to end at once, its own children included.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.child.wait();
    }
}

fn program_path(name: &str) -> PathBuf {
    Path::new(PROGRAMS).join(name)
}

/// A program of PostgreSQL's, as a user that may run it.
fn program(name: &str, folder: &Path) -> Command {
    let mut command = match other_user() {
        Some(user) => {
            let mut command = Command::new("setpriv");
            let user = user.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]);
            command.arg(program_path(name));
            command
        }
        None => Command::new(program_path(name)),
    };
    command.current_dir(folder);
    command
}

/// The number of the user to run as, where this is root.
fn other_user() -> Option<u32> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout)
            .ok()?
            .trim()
            .parse::<u32>()
            .ok()
    };
    match id(&["-u"]) {
        Some(0) => id(&["-u", USER]),
        _ => None,
    }
}
