//! The one place where a file becomes memory.
#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe in every interface there is"
)]

use std::fs::File;
use std::io;

use memmap2::{Mmap, UncheckedAdvice};

/// Maps a whole file for reading.
pub(crate) fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is read-only and private to this process, and it is only ever seen as
    // `&[u8]`, for which every content is valid. What remains is a file that another program
    // changes or cuts while it is mapped; blobs of a model store are written under a temporary
    // name, renamed once complete and never written again, so that a mapped file stays as it was.
    unsafe { Mmap::map(file) }
}

/// Takes the pages of `bytes`, which lie in `map`, out of this process's memory; whoever looks at them again gets them
/// from the file again. A wish only, and none where `bytes` lie elsewhere.
pub(crate) fn release(map: &Mmap, bytes: &[u8]) {
    let offset = bytes.as_ptr().addr().checked_sub(map.as_ptr().addr());
    let inside = |offset: &usize| map.len().checked_sub(*offset) >= Some(bytes.len());
    let Some(offset) = offset.filter(inside) else {
        return;
    };
    // SAFETY: the range lies in the map. The map is a file's and is never written to, so that what is dropped is what
    // comes back: no reference into it sees another content.
    let status =
        unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, bytes.len()) };
    // Where it is refused the pages stay until the file is closed.
    let _ = status;
}
