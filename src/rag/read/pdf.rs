//! PDF: the text of pages in the order in which it is drawn, as paragraphs and headings.
//!
//! lopdf reads the file's objects; what is drawn where is followed here. Running heads, text that
//! is marked as no content, drawn outside of the page, across it or too small to see is left out.
//! Scripts, forms, attachments and links are not looked at.
//!
//! The format allows loops, nesting and streams that unpack to anything, and libraries that read
//! it fail on files that nobody thought of. So everything runs on a thread of its own, whose
//! panics end there, with a deadline, with limits on what is unpacked, and with a stack that holds
//! the deepest nesting.

mod cmap;
mod font;
mod layout;
mod page;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use lopdf::{DecompressError, LoadOptions, Object};

use self::page::{Budget, Pages};
use super::{Document, Format, ReadError};

/// How long a file may take; a book of a thousand pages takes a tenth of it.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// What a stream of objects may unpack to.
const MOST_OBJECT_BYTES: usize = 64 << 20;

/// Nesting is bounded by the library; this much stack holds it in any build.
const STACK_BYTES: usize = 32 << 20;

pub(super) fn read(bytes: &[u8]) -> Result<Document, ReadError> {
    check(bytes)?;
    let bytes: Arc<[u8]> = bytes.into();
    let deadline = Instant::now() + TIME_LIMIT;
    // The parser looks at the clock itself, but not within the library.
    let limit = TIME_LIMIT + Duration::from_secs(1);
    fenced(limit, move || parse(&bytes, deadline))
}

/// What `work` returns, unless it panics or takes too long; then the thread that it runs on is
/// left alone.
fn fenced(
    limit: Duration,
    work: impl FnOnce() -> Result<Document, ReadError> + Send + 'static,
) -> Result<Document, ReadError> {
    let (send, receive) = sync_channel(1);
    let run = move || {
        let done = catch_unwind(AssertUnwindSafe(work));
        let done = done.unwrap_or_else(|_| Err(broken("its structure is not understood")));
        // Nobody waits any more when the time is over.
        let _ = send.send(done);
    };
    thread::Builder::new()
        .name("pdf".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(run)
        .map_err(|_| broken("there is no thread to read it"))?;
    match receive.recv_timeout(limit) {
        Ok(done) => done,
        Err(RecvTimeoutError::Timeout) => Err(timed_out()),
        Err(RecvTimeoutError::Disconnected) => Err(broken("its structure is not understood")),
    }
}

fn broken(reason: &'static str) -> ReadError {
    ReadError::Broken {
        format: Format::Pdf,
        reason: Cow::Borrowed(reason),
    }
}

fn timed_out() -> ReadError {
    ReadError::TimedOut {
        limit_s: TIME_LIMIT.as_secs(),
    }
}

/// What can be told without reading the file's structure.
fn check(bytes: &[u8]) -> Result<(), ReadError> {
    let start = &bytes[..bytes.len().min(1024)];
    if memchr::memmem::find(start, b"%PDF-").is_none() {
        return Err(broken("it does not begin as one"));
    }
    Ok(())
}

/// Whether the mark that ends a file is near its end.
fn has_end(bytes: &[u8]) -> bool {
    let end = &bytes[bytes.len().saturating_sub(2048)..];
    memchr::memmem::find(end, b"%%EOF").is_some()
}

fn parse(bytes: &[u8], deadline: Instant) -> Result<Document, ReadError> {
    let options = LoadOptions::with_max_decompressed_size(MOST_OBJECT_BYTES);
    let file =
        lopdf::Document::load_mem_with_options(bytes, options).map_err(|error| match error {
            _ if Instant::now() > deadline => timed_out(),
            lopdf::Error::InvalidPassword
            | lopdf::Error::Decryption(_)
            | lopdf::Error::UnsupportedSecurityHandler(_) => ReadError::Encrypted,
            lopdf::Error::Decompress(DecompressError::MemoryLimitExceeded { .. }) => unpacks(),
            _ if !has_end(bytes) => broken("it is cut off"),
            _ => broken("its structure is damaged"),
        })?;
    // A file that opens without a password has been decrypted, and says so no more.
    if file.trailer.has(b"Encrypt") {
        return Err(ReadError::Encrypted);
    }
    // Whatever is left of a file that ends too early would pass for the whole.
    if file.xref_recovery.is_some() && !has_end(bytes) {
        return Err(broken("it is cut off"));
    }
    let pages: Vec<_> = file.page_iter().collect();
    if pages.is_empty() {
        return Err(broken("it has no pages"));
    }
    let mut reader = Pages::new(&file, Budget::new(deadline));
    let mut lines = Vec::with_capacity(pages.len());
    for page in &pages {
        lines.push(reader.lines(*page)?);
    }
    let mut document = layout::document(&lines);
    document.title = title(&file);
    if document.blocks.is_empty() && !document.is_cut {
        if reader.is_damaged {
            return Err(broken("what its pages draw is damaged"));
        }
        return Err(ReadError::OnlyPictures { pages: pages.len() });
    }
    Ok(document)
}

fn unpacks() -> ReadError {
    ReadError::Bomb {
        reason: Cow::Borrowed("a part of it unpacks to far more than its size"),
    }
}

/// What the file says that it is called.
fn title(file: &lopdf::Document) -> Option<String> {
    let info = file.trailer.get_deref(b"Info", file).ok()?;
    let title = info.as_dict().ok()?.get_deref(b"Title", file).ok()?;
    let Object::String(..) = title else {
        return None;
    };
    let title = lopdf::decode_text_string(title).ok()?;
    // What programs write where nobody said anything.
    let is_empty = ["untitled", "(anonymous)", "(unspecified)"].contains(&title.trim());
    (!is_empty).then_some(title)
}

#[cfg(test)]
mod tests;
