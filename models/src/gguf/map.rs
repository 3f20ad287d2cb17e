//! The one place where a file becomes memory.
#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe in every interface there is"
)]

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// Maps a whole file for reading.
pub(crate) fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is read-only and private to this process, and it is only ever seen as
    // `&[u8]`, for which every content is valid. What remains is a file that another program
    // changes or cuts while it is mapped; blobs of a model store are written under a temporary
    // name, renamed once complete and never written again, so that a mapped file stays as it was.
    unsafe { Mmap::map(file) }
}
