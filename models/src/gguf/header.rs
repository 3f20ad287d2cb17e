//! Reads the header of a GGUF file of versions 1 to 3: metadata and the list of tensors.
//!
//! Layout: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Every length is held against
//! the bytes that are left before anything is allocated, and all decoded values together against
//! [`MAX_DECODED_BYTES`], as an array of bytes grows when it becomes an array of [`Value`]s.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use super::ggml_type::GgmlType;
use super::value::{Texts, Value};
use crate::Error;

const MAGIC: [u8; 4] = *b"GGUF";
const DEFAULT_ALIGNMENT: u64 = 32;
/// Longest key and tensor name; the format's own limit for keys.
const MAX_NAME_BYTES: u64 = 65_535;
const MAX_DIMENSIONS: u32 = 4;
const MAX_NESTING: usize = 4;
/// All metadata of one file once decoded; the largest vocabularies in use need about 20 MB.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// What the header of a file says, in the file's order.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: Vec<(String, Value)>,
    pub(super) keys: HashMap<String, usize>,
    pub(super) tensors: Vec<TensorEntry>,
    pub(super) tensor_index: HashMap<String, usize>,
}

/// One tensor of the file; its bytes are known to lie inside the file.
#[derive(Debug)]
pub(super) struct TensorEntry {
    pub(super) name: String,
    /// Outermost dimension first.
    pub(super) shape: Vec<usize>,
    pub(super) elements: u64,
    pub(super) storage: Storage,
}

/// Where a tensor's bytes are; without a known type their number is not known either.
#[derive(Debug)]
pub(super) enum Storage {
    Known {
        kind: GgmlType,
        start: u64,
        bytes: u64,
    },
    Unknown {
        type_id: u32,
    },
}

/// Reads a header from the start of a file of `file_bytes` bytes. `path` is only used in errors.
pub(super) fn read_header(
    reader: impl Read,
    file_bytes: u64,
    path: &Path,
) -> Result<Header, Error> {
    let mut source = Source {
        reader,
        position: 0,
        file_bytes,
        decoded_bytes: 0,
        wide: true,
    };
    let (tensor_count, key_count) = source
        .read_start()
        .map_err(|fault| fault.at(path, "header"))?;

    let (metadata, keys) = read_metadata(&mut source, key_count, path)?;
    let alignment = alignment(&metadata, &keys, path)?;
    let raw = read_tensor_infos(&mut source, tensor_count, path)?;
    let data_start = source.position.next_multiple_of(alignment);

    let mut tensors = Vec::with_capacity(raw.len());
    let mut tensor_index = HashMap::with_capacity(raw.len());
    for info in raw {
        let field = format!("tensor '{}'", info.name);
        if tensor_index
            .insert(info.name.clone(), tensors.len())
            .is_some()
        {
            return Err(Error::malformed(path, field, "is there twice"));
        }
        let entry = place(info, data_start, alignment, file_bytes)
            .map_err(|problem| Error::malformed(path, field, problem))?;
        tensors.push(entry);
    }
    refuse_overlaps(&tensors, path)?;
    Ok(Header {
        metadata,
        keys,
        tensors,
        tensor_index,
    })
}

type Metadata = (Vec<(String, Value)>, HashMap<String, usize>);

fn read_metadata(
    source: &mut Source<impl Read>,
    key_count: u64,
    path: &Path,
) -> Result<Metadata, Error> {
    let mut metadata = Vec::new();
    let mut keys = HashMap::new();
    for index in 0..key_count {
        let key = source
            .read_name()
            .map_err(|fault| fault.at(path, format!("metadata key {index}")))?;
        let value = source
            .read_value()
            .map_err(|fault| fault.at(path, format!("metadata key '{key}'")))?;
        if keys.insert(key.clone(), metadata.len()).is_some() {
            let field = format!("metadata key '{key}'");
            return Err(Error::malformed(path, field, "is there twice"));
        }
        metadata.push((key, value));
    }
    Ok((metadata, keys))
}

fn alignment(
    metadata: &[(String, Value)],
    keys: &HashMap<String, usize>,
    path: &Path,
) -> Result<u64, Error> {
    let key = "general.alignment";
    let Some(&index) = keys.get(key) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    match super::unsigned(&metadata[index].1) {
        Some(value) if value.is_power_of_two() && value <= u64::from(u32::MAX) => Ok(value),
        _ => Err(Error::WrongType {
            path: path.to_owned(),
            key: key.to_owned(),
            found: super::describe(&metadata[index].1),
            expected: "a power of two",
        }),
    }
}

struct RawTensor {
    name: String,
    shape: Vec<u64>,
    type_id: u32,
    offset: u64,
}

fn read_tensor_infos(
    source: &mut Source<impl Read>,
    tensor_count: u64,
    path: &Path,
) -> Result<Vec<RawTensor>, Error> {
    let mut raw = Vec::new();
    for index in 0..tensor_count {
        let name = source
            .read_name()
            .map_err(|fault| fault.at(path, format!("name of tensor {index}")))?;
        let info = source
            .read_tensor_info(name.clone())
            .map_err(|fault| fault.at(path, format!("tensor '{name}'")))?;
        raw.push(info);
    }
    Ok(raw)
}

/// Checks one tensor's shape and place; the error says what is wrong.
fn place(
    info: RawTensor,
    data_start: u64,
    alignment: u64,
    file_bytes: u64,
) -> Result<TensorEntry, String> {
    let elements = info
        .shape
        .iter()
        .try_fold(1_u64, |product, &dim| product.checked_mul(dim))
        .filter(|&product| product > 0 && product <= i64::MAX as u64)
        .ok_or_else(|| format!("shape {:?} has no sensible number of elements", info.shape))?;
    let shape = info
        .shape
        .iter()
        .map(|&dim| usize::try_from(dim).map_err(|_| format!("dimension {dim} is too large")))
        .collect::<Result<Vec<_>, _>>()?;
    let storage = match GgmlType::from_id(info.type_id) {
        None => Storage::Unknown {
            type_id: info.type_id,
        },
        Some(kind) => {
            let row = info.shape.last().copied().unwrap_or(1);
            if !row.is_multiple_of(kind.block_len) {
                return Err(format!(
                    "rows of {row} values do not divide into {} blocks of {}",
                    kind.name, kind.block_len
                ));
            }
            if !info.offset.is_multiple_of(alignment) {
                return Err(format!(
                    "offset {} is not a multiple of the alignment {alignment}",
                    info.offset
                ));
            }
            let bytes = (elements / kind.block_len).checked_mul(kind.block_bytes);
            let start = data_start.checked_add(info.offset);
            let inside = |start: u64, bytes: u64| {
                start
                    .checked_add(bytes)
                    .is_some_and(|end| end <= file_bytes)
            };
            match (start, bytes) {
                (Some(start), Some(bytes)) if inside(start, bytes) => {
                    Storage::Known { kind, start, bytes }
                }
                _ => {
                    return Err(format!(
                        "{elements} values of {} at offset {} of the data, which starts at \
                         {data_start}, do not lie inside the file of {file_bytes} bytes",
                        kind.name, info.offset
                    ));
                }
            }
        }
    };
    Ok(TensorEntry {
        name: info.name,
        shape,
        elements,
        storage,
    })
}

fn refuse_overlaps(tensors: &[TensorEntry], path: &Path) -> Result<(), Error> {
    let mut ranges: Vec<(u64, u64, &str)> = tensors
        .iter()
        .filter_map(|tensor| match tensor.storage {
            Storage::Known { start, bytes, .. } => Some((start, bytes, tensor.name.as_str())),
            Storage::Unknown { .. } => None,
        })
        .collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        let [(start, bytes, name), (next_start, _, next_name)] = [pair[0], pair[1]];
        if start + bytes > next_start {
            return Err(Error::malformed(
                path,
                format!("tensor '{next_name}'"),
                format!("starts at byte {next_start}, inside tensor '{name}'"),
            ));
        }
    }
    Ok(())
}

/// What went wrong while reading, before it is known where.
enum Fault {
    Io(io::Error),
    Malformed(String),
}

impl Fault {
    fn at(self, path: &Path, field: impl Into<String>) -> Error {
        match self {
            Fault::Io(source) => Error::Io {
                path: path.to_owned(),
                source,
            },
            Fault::Malformed(problem) => Error::malformed(path, field, problem),
        }
    }
}

/// Reads forward only, and knows how much of the file is left.
struct Source<R> {
    reader: R,
    position: u64,
    file_bytes: u64,
    decoded_bytes: u64,
    /// Lengths take 8 bytes (versions 2 and 3), not 4 (version 1).
    wide: bool,
}

impl<R: Read> Source<R> {
    /// Magic and version; returns the numbers of tensors and of metadata keys.
    fn read_start(&mut self) -> Result<(u64, u64), Fault> {
        let magic: [u8; 4] = self.read_bytes()?;
        if magic != MAGIC {
            let text = magic.escape_ascii();
            return Err(Fault::Malformed(format!(
                "starts with '{text}', a GGUF file starts with 'GGUF'"
            )));
        }
        match self.read_u32()? {
            1 => self.wide = false,
            2 | 3 => {}
            version if version.swap_bytes() <= 3 => {
                return Err(Fault::Malformed(format!(
                    "version {} in big-endian order is not supported",
                    version.swap_bytes()
                )));
            }
            version => {
                return Err(Fault::Malformed(format!(
                    "version {version} is not supported"
                )));
            }
        }
        let tensor_count = self.read_length()?;
        let key_count = self.read_length()?;
        let length_bytes = if self.wide { 8 } else { 4 };
        // Name, number of dimensions, type, offset; and key, type, one byte of value.
        self.expect_room(tensor_count, length_bytes + 16, "tensors")?;
        self.expect_room(key_count, length_bytes + 5, "metadata keys")?;
        Ok((tensor_count, key_count))
    }

    fn read_value(&mut self) -> Result<Value, Fault> {
        let type_id = self.read_u32()?;
        let value = self.read_value_of(type_id, 0)?;
        Ok(match value {
            // Some writers count the terminating zero of a C string.
            Value::String(text) if text.ends_with('\0') => {
                Value::String(text.trim_end_matches('\0').to_owned())
            }
            value => value,
        })
    }

    fn read_value_of(&mut self, type_id: u32, depth: usize) -> Result<Value, Fault> {
        self.charge(size_of::<Value>() as u64)?;
        Ok(match type_id {
            0 => Value::U8(u8::from_le_bytes(self.read_bytes()?)),
            1 => Value::I8(i8::from_le_bytes(self.read_bytes()?)),
            2 => Value::U16(u16::from_le_bytes(self.read_bytes()?)),
            3 => Value::I16(i16::from_le_bytes(self.read_bytes()?)),
            4 => Value::U32(self.read_u32()?),
            5 => Value::I32(i32::from_le_bytes(self.read_bytes()?)),
            6 => Value::F32(f32::from_le_bytes(self.read_bytes()?)),
            7 => match self.read_bytes()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => {
                    return Err(Fault::Malformed(format!("boolean {other} is not 0 or 1")));
                }
            },
            8 => Value::String(self.read_string()?),
            9 => self.read_array(depth)?,
            10 => Value::U64(self.read_u64()?),
            11 => Value::I64(i64::from_le_bytes(self.read_bytes()?)),
            12 => Value::F64(f64::from_le_bytes(self.read_bytes()?)),
            other => return Err(Fault::Malformed(format!("value type {other} is unknown"))),
        })
    }

    fn read_array(&mut self, depth: usize) -> Result<Value, Fault> {
        if depth == MAX_NESTING {
            return Err(Fault::Malformed(format!(
                "arrays are nested deeper than {MAX_NESTING}"
            )));
        }
        let type_id = self.read_u32()?;
        let len = self.read_length()?;
        let length_bytes = if self.wide { 8 } else { 4 };
        let least_bytes = match type_id {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 => length_bytes,
            9 => 4 + length_bytes,
            _ => 8,
        };
        self.expect_room(len, least_bytes, "array elements")?;
        if type_id == 8 {
            return self.read_texts(len).map(Value::Texts);
        }
        let decoded = len.saturating_mul(size_of::<Value>() as u64);
        if self.decoded_bytes.saturating_add(decoded) > MAX_DECODED_BYTES {
            return Err(Fault::Malformed(format!(
                "array of {len} elements takes the metadata over {MAX_DECODED_BYTES} bytes"
            )));
        }
        let values = (0..len).map(|_| self.read_value_of(type_id, depth + 1));
        values.collect::<Result<_, _>>().map(Value::Array)
    }

    fn read_texts(&mut self, count: u64) -> Result<Texts, Fault> {
        self.charge(count.saturating_mul(size_of::<u32>() as u64))?;
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let len = self.read_length()?;
            self.expect_room(len, 1, "bytes of text")?;
            self.charge(len)?;
            let start = bytes.len();
            bytes.resize(start + len as usize, 0);
            self.fill(&mut bytes[start..])?;
            // All texts of a file together are held below 2^32 bytes by what they are charged.
            ends.push(bytes.len() as u32);
        }
        Ok(Texts::from_bytes(bytes, ends))
    }

    fn read_tensor_info(&mut self, name: String) -> Result<RawTensor, Fault> {
        let dimensions = self.read_u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(Fault::Malformed(format!(
                "{dimensions} dimensions, at most {MAX_DIMENSIONS} are possible"
            )));
        }
        let mut shape = (0..dimensions)
            .map(|_| self.read_length())
            .collect::<Result<Vec<_>, _>>()?;
        shape.reverse(); // The file has the innermost dimension first.
        Ok(RawTensor {
            name,
            shape,
            type_id: self.read_u32()?,
            offset: self.read_u64()?,
        })
    }

    fn read_name(&mut self) -> Result<String, Fault> {
        let len = self.read_length()?;
        if len > MAX_NAME_BYTES {
            return Err(Fault::Malformed(format!(
                "name of {len} bytes, at most {MAX_NAME_BYTES} are possible"
            )));
        }
        self.read_text(len)
    }

    fn read_string(&mut self) -> Result<String, Fault> {
        let len = self.read_length()?;
        self.read_text(len)
    }

    fn read_text(&mut self, len: u64) -> Result<String, Fault> {
        self.expect_room(len, 1, "bytes of text")?;
        self.charge(len)?;
        let len = usize::try_from(len)
            .map_err(|_| Fault::Malformed(format!("text of {len} bytes is too long")))?;
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        // Text is UTF-8 by the format; what is not must not make the whole file unreadable.
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn read_length(&mut self) -> Result<u64, Fault> {
        if self.wide {
            self.read_u64()
        } else {
            self.read_u32().map(u64::from)
        }
    }

    fn read_u64(&mut self) -> Result<u64, Fault> {
        self.read_bytes().map(u64::from_le_bytes)
    }

    fn read_u32(&mut self) -> Result<u32, Fault> {
        self.read_bytes().map(u32::from_le_bytes)
    }

    fn read_bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.reader.read_exact(bytes).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                Fault::Malformed(format!(
                    "the file ends after {} bytes, inside this field",
                    self.file_bytes
                ))
            } else {
                Fault::Io(error)
            }
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Fails if `count` things of at least `least_bytes` each cannot follow.
    fn expect_room(&self, count: u64, least_bytes: u64, what: &str) -> Result<(), Fault> {
        let left = self.file_bytes.saturating_sub(self.position);
        if count.saturating_mul(least_bytes) > left {
            return Err(Fault::Malformed(format!(
                "{count} {what} are declared, but only {left} bytes of the file are left"
            )));
        }
        Ok(())
    }

    fn charge(&mut self, bytes: u64) -> Result<(), Fault> {
        self.decoded_bytes = self.decoded_bytes.saturating_add(bytes);
        if self.decoded_bytes > MAX_DECODED_BYTES {
            return Err(Fault::Malformed(format!(
                "metadata takes more than {MAX_DECODED_BYTES} bytes"
            )));
        }
        Ok(())
    }
}
