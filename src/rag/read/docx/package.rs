//! The zip archive that a Word document is, read with care for archives that mean harm.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{Part, attribute, broken, events};
use crate::rag::read::{Format, ReadError, decode};

/// Parts of an archive; documents have some tens, and one for each picture.
const MOST_PARTS: usize = 4096;

/// All parts that are read, unpacked.
const MOST_UNPACKED_BYTES: u64 = 64 << 20;

/// Up to here any ratio is fine.
const FREE_BYTES: u64 = 4 << 20;

/// Unpacked to packed bytes. Text of documents is packed to a tenth or a fiftieth; deflate ends
/// at 1,032.
const MOST_RATIO: u64 = 250;

pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    unpacked_bytes: u64,
}

impl<'a> Package<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ReadError> {
        if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            // Word puts a document with a password into such a container.
            return Err(ReadError::Encrypted);
        }
        // Counted before the list of parts is read, since that takes memory for each.
        if memchr::memmem::find_iter(bytes, b"PK\x01\x02").count() > MOST_PARTS {
            return Err(ReadError::Bomb {
                reason: Cow::Borrowed("it has too many parts"),
            });
        }
        let archive = ZipArchive::new(Cursor::new(bytes))
            .map_err(|_| broken("its archive is cut off or damaged"))?;
        Ok(Self {
            archive,
            unpacked_bytes: 0,
        })
    }

    /// The name of the part that holds the text.
    pub(super) fn main_part(&mut self) -> Result<String, ReadError> {
        let mut found = None;
        if let Some(xml) = self.part("_rels/.rels")? {
            events(&xml, |event| {
                if let Part::Start(element) = event
                    && attribute(element, "Type")
                        .is_some_and(|kind| kind.ends_with("/officeDocument"))
                    && attribute(element, "TargetMode").is_none_or(|mode| mode != "External")
                {
                    found = attribute(element, "Target");
                }
                Ok(())
            })?;
        }
        let name = found.unwrap_or_else(|| "word/document.xml".to_owned());
        Ok(name.trim_start_matches('/').to_owned())
    }

    /// The text of a part, if the archive has it.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<String>, ReadError> {
        let file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => {
                return Err(ReadError::Encrypted);
            }
            Err(_) => return Err(broken("its archive is damaged")),
        };
        // Neither is what it is until it has been unpacked: what a file declares may be a lie.
        let (declared, packed) = (file.size(), file.compressed_size());
        let room = MOST_UNPACKED_BYTES - self.unpacked_bytes;
        let most = room.min(FREE_BYTES.max(packed.saturating_mul(MOST_RATIO)));
        let bomb = || ReadError::Bomb {
            reason: Cow::Borrowed("a part of it unpacks to far more than its size"),
        };
        if declared > most {
            return Err(bomb());
        }
        let mut bytes = Vec::new();
        file.take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(|_| broken("a part of it cannot be unpacked"))?;
        if bytes.len() as u64 > most {
            return Err(bomb());
        }
        self.unpacked_bytes += bytes.len() as u64;
        let text = decode::text(&bytes).map_err(|_| ReadError::Broken {
            format: Format::Docx,
            reason: Cow::Borrowed("a part of it is not text"),
        })?;
        Ok(Some(text.into_owned()))
    }
}
