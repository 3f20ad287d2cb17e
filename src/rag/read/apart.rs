//! Reading in a process of its own.
//!
//! A PDF of a few megabytes can be written so that any reader takes gigabytes for it, or overflows
//! its stack, and neither can be caught. So the program starts itself once more for each such
//! file, with bounds on memory and time that the system keeps, and takes from it what was read.
//! Whatever happens there, the server goes on.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::{Block, Document, Format, MOST_BYTES, MOST_TEXT_BYTES, ReadError, read};

/// The command that the program is started with.
pub const COMMAND: &str = "read-file";

/// All that the process may map, its own code included.
const MEMORY_BYTES: u64 = 1 << 30;

/// Of one core.
const CPU_S: u64 = 60;

/// Until its answer has to be there.
const WAIT: Duration = Duration::from_secs(90);

/// The longest answer: text with every line end and quote escaped, and what goes with blocks.
const MOST_ANSWER_BYTES: u64 = 3 * MOST_TEXT_BYTES as u64;

/// Reads files; such of a format that bounds can only be kept for from outside, in a process.
#[derive(Clone, Debug)]
pub struct Reader {
    program: PathBuf,
}

/// What the process says.
#[derive(Serialize, Deserialize)]
enum Answer {
    Document {
        title: Option<String>,
        blocks: Vec<Said>,
    },
    TooMuchText,
    Empty,
    OnlyPictures(usize),
    Encrypted,
    Broken(Cow<'static, str>),
    Bomb(Cow<'static, str>),
    TimedOut(u64),
}

/// A block; where it begins follows from those before it.
#[derive(Serialize, Deserialize)]
struct Said {
    text: String,
    page: Option<u32>,
    /// Unless they are those of the block before.
    headings: Option<Vec<String>>,
}

impl Reader {
    /// `program`: the running one, which calls [`serve`] for [`COMMAND`].
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// The text of a file. Takes as long as the file does: not for async code.
    ///
    /// # Errors
    /// When the file is not one of the format, or means harm.
    pub fn read(&self, bytes: &[u8], format: Format) -> Result<Document, ReadError> {
        match format {
            Format::Pdf if bytes.len() <= MOST_BYTES => self.apart(bytes),
            _ => read(bytes, format),
        }
    }

    fn apart(&self, bytes: &[u8]) -> Result<Document, ReadError> {
        let no_process = |_| broken("no process could be started for it");
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(no_process)?;
        let (mut input, output) = (child.stdin.take(), child.stdout.take());
        let bytes = bytes.to_vec();
        let (send, receive) = sync_channel(1);
        let talk = move || {
            // It may have ended already; then it says nothing.
            if let Some(input) = &mut input {
                let _ = input.write_all(&bytes);
            }
            drop(input);
            let mut answer = Vec::new();
            if let Some(output) = output {
                let _ = output.take(MOST_ANSWER_BYTES).read_to_end(&mut answer);
            }
            let _ = send.send(answer);
        };
        let talks = thread::Builder::new()
            .name("read-file".to_owned())
            .spawn(talk);
        let answer = talks.ok().and_then(|_| receive.recv_timeout(WAIT).ok());
        // Ends it where it has not ended, and the thread with it.
        let _ = child.kill();
        let _ = child.wait();
        let answer = answer.ok_or(ReadError::TimedOut {
            limit_s: WAIT.as_secs(),
        })?;
        match serde_json::from_slice(&answer) {
            Ok(answer) => Answer::result(answer),
            Err(_) => Err(ReadError::Bomb {
                reason: Cow::Borrowed("it takes more memory or time to read than a file may"),
            }),
        }
    }
}

/// What the process does: reads a PDF from `input` and writes what it holds to `output`.
///
/// # Errors
/// When the other side has gone.
pub fn serve(input: impl Read, mut output: impl Write) -> io::Result<()> {
    for (resource, limit) in [
        (Resource::As, MEMORY_BYTES),
        (Resource::Cpu, CPU_S),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        // Systems without such a bound have the others.
        let _ = setrlimit(resource, limit);
    }
    let mut bytes = Vec::new();
    input.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let answer = Answer::of(read(&bytes, Format::Pdf));
    serde_json::to_writer(&mut output, &answer)?;
    output.flush()
}

impl Answer {
    fn of(read: Result<Document, ReadError>) -> Self {
        match read {
            Ok(document) => Self::document(document),
            Err(ReadError::TooMuchText | ReadError::TooLarge { .. }) => Self::TooMuchText,
            Err(ReadError::Empty | ReadError::NotText) => Self::Empty,
            Err(ReadError::OnlyPictures { pages }) => Self::OnlyPictures(pages),
            Err(ReadError::Encrypted) => Self::Encrypted,
            Err(ReadError::Broken { reason, .. }) => Self::Broken(reason),
            Err(ReadError::Bomb { reason }) => Self::Bomb(reason),
            Err(ReadError::TimedOut { limit_s }) => Self::TimedOut(limit_s),
            Err(
                ReadError::WrongType { .. }
                | ReadError::UnknownType { .. }
                | ReadError::Csv(_)
                | ReadError::Json(_),
            ) => Self::Broken(Cow::Borrowed("it is of another kind")),
        }
    }

    fn document(document: Document) -> Self {
        let mut last: Arc<[String]> = Arc::default();
        let blocks = document.blocks.into_iter().map(|block| {
            let is_new = block.headings != last;
            last = block.headings;
            Said {
                text: block.text,
                page: block.page,
                headings: is_new.then(|| last.to_vec()),
            }
        });
        Self::Document {
            title: document.title,
            blocks: blocks.collect(),
        }
    }

    fn result(self) -> Result<Document, ReadError> {
        match self {
            Self::Document { title, blocks } => Ok(document(title, blocks)),
            Self::TooMuchText => Err(ReadError::TooMuchText),
            Self::Empty => Err(ReadError::Empty),
            Self::OnlyPictures(pages) => Err(ReadError::OnlyPictures { pages }),
            Self::Encrypted => Err(ReadError::Encrypted),
            Self::Broken(reason) => Err(ReadError::Broken {
                format: Format::Pdf,
                reason,
            }),
            Self::Bomb(reason) => Err(ReadError::Bomb { reason }),
            Self::TimedOut(limit_s) => Err(ReadError::TimedOut { limit_s }),
        }
    }
}

fn document(title: Option<String>, said: Vec<Said>) -> Document {
    let mut document = Document {
        title,
        ..Document::default()
    };
    let mut headings: Arc<[String]> = Arc::default();
    for said in said {
        if let Some(new) = said.headings {
            headings = new.into();
        }
        let offset = document.text_bytes;
        document.text_bytes += said.text.len() + 1;
        document.blocks.push(Block {
            text: said.text,
            headings: Arc::clone(&headings),
            page: said.page,
            offset,
        });
    }
    document
}

fn broken(reason: &'static str) -> ReadError {
    ReadError::Broken {
        format: Format::Pdf,
        reason: Cow::Borrowed(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_what_reading_says() {
        let text = read(
            b"Before.\n\n# A\n\nText.\n\nMore.\n\n# B\n\nEnd.\n",
            Format::Markdown,
        )
        .unwrap();
        let reads = [
            Ok(text),
            Err(ReadError::Encrypted),
            Err(ReadError::OnlyPictures { pages: 3 }),
            Err(broken("it is cut off")),
            Err(ReadError::TimedOut { limit_s: 30 }),
            Err(ReadError::TooMuchText),
        ];
        for read in reads {
            let want = format!("{read:?}");
            let bytes = serde_json::to_vec(&Answer::of(read)).unwrap();
            let answer: Answer = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(format!("{:?}", answer.result()), want);
        }
    }

    #[test]
    fn a_program_that_says_nothing_or_is_not_there_reads_nothing() {
        let silent = Reader::new(PathBuf::from("/bin/true"));
        assert!(matches!(
            silent.read(b"%PDF-1.7", Format::Pdf),
            Err(ReadError::Bomb { .. })
        ));
        let absent = Reader::new(PathBuf::from("/nowhere/wick"));
        assert!(matches!(
            absent.read(b"%PDF-1.7", Format::Pdf),
            Err(ReadError::Broken { .. })
        ));
        assert_eq!(absent.read(b"text", Format::Text).unwrap().blocks.len(), 1);
    }
}
