//! GGUF files: metadata, and tensors as slices of the mapped file.

pub(crate) mod ggml_type;
mod header;
pub(crate) mod map;
#[cfg(test)]
mod tests;
mod value;
pub(crate) mod write;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use wick_kernels::QuantType;

use crate::Error;
use header::{Header, Storage, TensorEntry};
pub use value::{Texts, Value};

/// A GGUF file whose header was read and checked: every tensor of a known type lies inside the file
/// and overlaps no other.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    architecture: String,
    header: Header,
    file_bytes: u64,
    data: Option<Mmap>,
}

/// One line of the list of tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorInfo<'a> {
    /// Name, such as `blk.0.attn_q.weight`.
    pub name: &'a str,
    /// Outermost dimension first: `rows x columns` for a matrix.
    pub shape: &'a [usize],
    /// Storage type, or `None` for one that nothing here computes with.
    pub quant: Option<QuantType>,
    /// ggml's name of the storage type, such as `Q4_K`; `unknown` for a number ggml does not know.
    pub type_name: &'static str,
}

/// A tensor's bytes inside the mapped file.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Outermost dimension first: `rows x columns` for a matrix; a row is a whole number of blocks.
    pub shape: &'a [usize],
    /// Storage type of the blocks.
    pub quant: QuantType,
    /// Blocks in row order, exactly as many as the shape needs; not aligned to anything.
    pub bytes: &'a [u8],
}

impl Gguf {
    /// Reads the header of `path`, checks every tensor's place and maps the file.
    ///
    /// # Errors
    /// When the file cannot be read, or a length, type, offset or count in it is not possible.
    pub fn open(path: &Path) -> Result<Gguf, Error> {
        let (mut gguf, file) = Gguf::read(path)?;
        let data = map::map_file(&file).map_err(Error::io(path))?;
        if data.len() as u64 != gguf.file_bytes {
            return Err(Error::malformed(
                path,
                "size",
                format!(
                    "changed from {} to {} bytes while it was opened",
                    gguf.file_bytes,
                    data.len()
                ),
            ));
        }
        gguf.data = Some(data);
        Ok(gguf)
    }

    /// As [`Gguf::open`], but without the tensors' bytes: [`Gguf::tensor`] fails.
    ///
    /// # Errors
    /// As [`Gguf::open`].
    pub fn header_only(path: &Path) -> Result<Gguf, Error> {
        Gguf::read(path).map(|(gguf, _)| gguf)
    }

    fn read(path: &Path) -> Result<(Gguf, File), Error> {
        let file = File::open(path).map_err(Error::io(path))?;
        let attributes = file.metadata().map_err(Error::io(path))?;
        if !attributes.is_file() {
            return Err(Error::malformed(path, "file", "is not a regular file"));
        }
        let file_bytes = attributes.len();
        let reader = BufReader::with_capacity(1 << 18, &file);
        let header = header::read_header(reader, file_bytes, path)?;
        let mut gguf = Gguf {
            path: path.to_owned(),
            architecture: String::new(),
            header,
            file_bytes,
            data: None,
        };
        gguf.architecture = gguf.require_str("general.architecture")?.to_owned();
        Ok((gguf, file))
    }

    /// The file this was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `general.architecture`, such as `llama`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// All metadata in the file's order.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        let pairs = self.header.metadata.iter();
        pairs.map(|(key, value)| (key.as_str(), value))
    }

    /// The value of `key`, if the file has it.
    pub fn value(&self, key: &str) -> Option<&Value> {
        let index = *self.header.keys.get(key)?;
        Some(&self.header.metadata[index].1)
    }

    /// A text, or `None` where the key is not there.
    ///
    /// # Errors
    /// When the value has another type.
    pub fn str(&self, key: &str) -> Result<Option<&str>, Error> {
        self.typed(key, "a text", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A whole number of any width, or `None` where the key is not there.
    ///
    /// # Errors
    /// When the value has another type or is negative.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, Error> {
        self.typed(key, "a whole number", unsigned)
    }

    /// A whole number of any width below 2^32, or `None` where the key is not there.
    ///
    /// # Errors
    /// When the value has another type or does not fit.
    pub fn u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.typed(key, "a whole number below 2^32", |value| {
            unsigned(value).and_then(|number| u32::try_from(number).ok())
        })
    }

    /// A number of any type, or `None` where the key is not there.
    ///
    /// # Errors
    /// When the value has another type.
    pub fn f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.typed(key, "a number", float)
    }

    /// A truth value, or `None` where the key is not there.
    ///
    /// # Errors
    /// When the value has another type.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.typed(key, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// An array of texts, or `None` where the key is not there.
    ///
    /// # Errors
    /// When the value or one of its elements has another type.
    pub fn texts(&self, key: &str) -> Result<Option<&Texts>, Error> {
        static NONE: Texts = Texts::new();
        match self.value(key) {
            None => Ok(None),
            Some(Value::Texts(texts)) => Ok(Some(texts)),
            Some(Value::Array(values)) => match values.first() {
                None => Ok(Some(&NONE)),
                Some(first) => {
                    Err(self.wrong_element(key, 0, describe(first), "an array of texts"))
                }
            },
            Some(other) => Err(self.wrong_type(key, describe(other), "an array of texts")),
        }
    }

    /// An array of numbers, or `None` where the key is not there.
    ///
    /// # Errors
    /// When the value or one of its elements has another type.
    pub fn f32s(&self, key: &str) -> Result<Option<Vec<f32>>, Error> {
        self.elements(key, "an array of numbers", float)
    }

    /// An array of whole numbers, or `None` where the key is not there.
    ///
    /// # Errors
    /// When the value or one of its elements has another type or is negative.
    pub fn u64s(&self, key: &str) -> Result<Option<Vec<u64>>, Error> {
        self.elements(key, "an array of whole numbers", unsigned)
    }

    /// As [`Gguf::str`], for a key that must be there.
    ///
    /// # Errors
    /// When the key is missing or has another type.
    pub fn require_str(&self, key: &str) -> Result<&str, Error> {
        self.str(key)?.ok_or_else(|| self.missing(key))
    }

    /// As [`Gguf::u64`], for a key that must be there.
    ///
    /// # Errors
    /// When the key is missing, has another type or is negative.
    pub fn require_u64(&self, key: &str) -> Result<u64, Error> {
        self.u64(key)?.ok_or_else(|| self.missing(key))
    }

    /// As [`Gguf::f32`], for a key that must be there.
    ///
    /// # Errors
    /// When the key is missing or has another type.
    pub fn require_f32(&self, key: &str) -> Result<f32, Error> {
        self.f32(key)?.ok_or_else(|| self.missing(key))
    }

    /// The full key of a setting of this architecture: `context_length` -> `llama.context_length`.
    pub fn arch_key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture())
    }

    /// As [`Gguf::u64`] for `<architecture>.<name>`.
    ///
    /// # Errors
    /// As [`Gguf::u64`].
    pub fn arch_u64(&self, name: &str) -> Result<Option<u64>, Error> {
        self.u64(&self.arch_key(name))
    }

    /// As [`Gguf::f32`] for `<architecture>.<name>`.
    ///
    /// # Errors
    /// As [`Gguf::f32`].
    pub fn arch_f32(&self, name: &str) -> Result<Option<f32>, Error> {
        self.f32(&self.arch_key(name))
    }

    /// As [`Gguf::bool`] for `<architecture>.<name>`.
    ///
    /// # Errors
    /// As [`Gguf::bool`].
    pub fn arch_bool(&self, name: &str) -> Result<Option<bool>, Error> {
        self.bool(&self.arch_key(name))
    }

    /// As [`Gguf::str`] for `<architecture>.<name>`.
    ///
    /// # Errors
    /// As [`Gguf::str`].
    pub fn arch_str(&self, name: &str) -> Result<Option<&str>, Error> {
        self.str(&self.arch_key(name))
    }

    /// As [`Gguf::require_u64`] for `<architecture>.<name>`.
    ///
    /// # Errors
    /// As [`Gguf::require_u64`].
    pub fn require_arch_u64(&self, name: &str) -> Result<u64, Error> {
        self.require_u64(&self.arch_key(name))
    }

    /// As [`Gguf::require_f32`] for `<architecture>.<name>`.
    ///
    /// # Errors
    /// As [`Gguf::require_f32`].
    pub fn require_arch_f32(&self, name: &str) -> Result<f32, Error> {
        self.require_f32(&self.arch_key(name))
    }

    /// All tensors in the file's order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo<'_>> {
        self.header.tensors.iter().map(|entry| {
            let (quant, type_name) = match entry.storage {
                Storage::Known { kind, .. } => (kind.quant(), kind.name),
                Storage::Unknown { .. } => (None, "unknown"),
            };
            TensorInfo {
                name: &entry.name,
                shape: &entry.shape,
                quant,
                type_name,
            }
        })
    }

    /// Whether the file lists a tensor of this name.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.header.tensor_index.contains_key(name)
    }

    /// The shape and bytes of one tensor.
    ///
    /// # Errors
    /// When it is not there, its type has no kernel, or only the header was read.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, Error> {
        let entry = self.entry(name)?;
        let (quant, start, bytes) = self.located(entry)?;
        let data = self.data.as_ref().ok_or_else(|| {
            let field = format!("tensor '{name}'");
            Error::malformed(&self.path, field, "only the header of the file was opened")
        })?;
        Ok(Tensor {
            shape: &entry.shape,
            quant,
            // Header and mapping agree on the file's size, and the header's ranges lie inside it.
            bytes: &data[start as usize..(start + bytes) as usize],
        })
    }

    /// Takes a tensor's bytes, or a part of them, out of memory once they are not needed any more; they can be read
    /// again.
    pub(crate) fn release(&self, bytes: &[u8]) {
        if let Some(data) = &self.data {
            map::release(data, bytes);
        }
    }

    fn entry(&self, name: &str) -> Result<&TensorEntry, Error> {
        match self.header.tensor_index.get(name) {
            Some(&index) => Ok(&self.header.tensors[index]),
            None => Err(Error::MissingTensor {
                path: self.path.clone(),
                name: name.to_owned(),
            }),
        }
    }

    fn located(&self, entry: &TensorEntry) -> Result<(QuantType, u64, u64), Error> {
        let type_name = match entry.storage {
            Storage::Known { kind, start, bytes } => match kind.quant() {
                Some(quant) => return Ok((quant, start, bytes)),
                None => kind.name.to_owned(),
            },
            Storage::Unknown { type_id } => format!("number {type_id}"),
        };
        Err(Error::TensorType {
            path: self.path.clone(),
            name: entry.name.clone(),
            type_name,
        })
    }

    /// Values in all tensors together.
    pub fn parameter_count(&self) -> u64 {
        let elements = self.header.tensors.iter().map(|tensor| tensor.elements);
        elements.fold(0, u64::saturating_add)
    }

    /// Size of the file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match convert(value) {
            Some(converted) => Ok(Some(converted)),
            None => Err(self.wrong_type(key, describe(value), expected)),
        }
    }

    fn elements<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let values = match self.value(key) {
            None => return Ok(None),
            Some(Value::Array(values)) => values.as_slice(),
            Some(Value::Texts(texts)) => match texts.get(0) {
                None => &[],
                Some(text) => {
                    return Err(self.wrong_element(key, 0, describe_text(text), expected));
                }
            },
            Some(other) => return Err(self.wrong_type(key, describe(other), "an array")),
        };
        let convert_at = |(index, value)| {
            convert(value).ok_or_else(|| self.wrong_element(key, index, describe(value), expected))
        };
        let converted = values.iter().enumerate().map(convert_at);
        converted.collect::<Result<Vec<_>, _>>().map(Some)
    }

    fn missing(&self, key: &str) -> Error {
        Error::MissingKey {
            path: self.path.clone(),
            key: key.to_owned(),
        }
    }

    fn wrong_element(
        &self,
        key: &str,
        index: usize,
        found: String,
        expected: &'static str,
    ) -> Error {
        let found = format!("an array whose element {index} is {found}");
        self.wrong_type(key, found, expected)
    }

    fn wrong_type(&self, key: &str, found: String, expected: &'static str) -> Error {
        Error::WrongType {
            path: self.path.clone(),
            key: key.to_owned(),
            found,
            expected,
        }
    }
}

/// Any whole number that is not negative; converters do not agree on widths and signs.
pub(crate) fn unsigned(value: &Value) -> Option<u64> {
    match *value {
        Value::U8(number) => Some(number.into()),
        Value::U16(number) => Some(number.into()),
        Value::U32(number) => Some(number.into()),
        Value::U64(number) => Some(number),
        Value::I8(number) => u64::try_from(number).ok(),
        Value::I16(number) => u64::try_from(number).ok(),
        Value::I32(number) => u64::try_from(number).ok(),
        Value::I64(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f32> {
    match *value {
        Value::F32(number) => Some(number),
        Value::F64(number) => Some(number as f32),
        _ => unsigned(value).map(|number| number as f32),
    }
}

fn describe_text(text: &str) -> String {
    match text.chars().nth(40) {
        Some(_) => "a long text".to_owned(),
        None => format!("'{text}'"),
    }
}

/// A value for an error message: short, whatever it is.
fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => describe_text(text),
        Value::Texts(texts) => format!("an array of {} elements", texts.len()),
        Value::Array(values) => format!("an array of {} elements", values.len()),
        Value::Bool(flag) => flag.to_string(),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::I32(number) => number.to_string(),
        Value::U16(number) => number.to_string(),
        Value::I16(number) => number.to_string(),
        Value::U8(number) => number.to_string(),
        Value::I8(number) => number.to_string(),
    }
}
