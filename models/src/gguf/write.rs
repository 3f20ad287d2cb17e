//! Writes GGUF files, version 3: the header first, then the tensors one by one, so that no more than
//! one of them need be in memory.

use std::io::{self, Write};

use super::Value;

const ALIGNMENT: u64 = 32;

/// A tensor to come: its place in the header.
#[derive(Clone, Debug)]
pub(crate) struct PlannedTensor {
    pub(crate) name: String,
    /// Outermost dimension first.
    pub(crate) shape: Vec<usize>,
    /// ggml's number of the storage type.
    pub(crate) type_id: u32,
    pub(crate) bytes: u64,
}

/// A file whose header is written and whose tensors are expected in the order of the plan.
pub(crate) struct GgufWriter<W> {
    sink: W,
    /// Bytes still to come of each tensor, the current one last.
    remaining: Vec<u64>,
    /// Bytes of tensors and padding written so far.
    position: u64,
}

impl<W: Write> GgufWriter<W> {
    /// Writes the header. `metadata` must not hold `general.alignment`.
    pub(crate) fn new(
        mut sink: W,
        metadata: &[(&str, &Value)],
        tensors: &[PlannedTensor],
    ) -> io::Result<GgufWriter<W>> {
        let mut header = Vec::new();
        header.extend_from_slice(b"GGUF");
        header.extend_from_slice(&3_u32.to_le_bytes());
        header.extend_from_slice(&(tensors.len() as u64).to_le_bytes());
        header.extend_from_slice(&(metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata {
            push_text(&mut header, key);
            header.extend_from_slice(&type_number(value).to_le_bytes());
            push_value(&mut header, value)?;
        }
        let mut offset = 0_u64;
        for tensor in tensors {
            push_text(&mut header, &tensor.name);
            header.extend_from_slice(&(tensor.shape.len() as u32).to_le_bytes());
            for &dim in tensor.shape.iter().rev() {
                header.extend_from_slice(&(dim as u64).to_le_bytes());
            }
            header.extend_from_slice(&tensor.type_id.to_le_bytes());
            header.extend_from_slice(&offset.to_le_bytes());
            offset += tensor.bytes.next_multiple_of(ALIGNMENT);
        }
        header.resize(header.len().next_multiple_of(ALIGNMENT as usize), 0);
        sink.write_all(&header)?;
        Ok(GgufWriter {
            sink,
            remaining: tensors.iter().rev().map(|tensor| tensor.bytes).collect(),
            position: 0,
        })
    }

    /// Writes the next bytes of the current tensor; the last of them end it.
    pub(crate) fn part(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.remaining.last().copied().unwrap_or(0);
        let Some(left) = left.checked_sub(bytes.len() as u64) else {
            let problem = format!("{} bytes for a tensor that lacks {left}", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        };
        self.sink.write_all(bytes)?;
        self.position += bytes.len() as u64;
        if left > 0 {
            self.remaining.pop();
            self.remaining.push(left);
            return Ok(());
        }
        self.remaining.pop();
        let padding = self.position.next_multiple_of(ALIGNMENT) - self.position;
        self.position += padding;
        self.sink
            .write_all(&[0; ALIGNMENT as usize][..padding as usize])
    }

    /// Ends the file and gives the sink back; fails if tensors are missing.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if !self.remaining.is_empty() {
            let problem = format!("{} tensors were not written", self.remaining.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        self.sink.flush()?;
        Ok(self.sink)
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn push_value(out: &mut Vec<u8>, value: &Value) -> io::Result<()> {
    match value {
        Value::U8(number) => out.push(*number),
        Value::I8(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::U16(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::I16(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::U32(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::I32(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::U64(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::I64(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::F32(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::F64(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Bool(flag) => out.push(u8::from(*flag)),
        Value::String(text) => push_text(out, text),
        Value::Texts(texts) => {
            out.extend_from_slice(&8_u32.to_le_bytes());
            out.extend_from_slice(&(texts.len() as u64).to_le_bytes());
            texts.iter().for_each(|text| push_text(out, text));
        }
        Value::Array(values) => {
            // The type of no elements does not matter.
            let number = values.first().map_or(8, type_number);
            if values.iter().any(|value| type_number(value) != number) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "an array holds values of several types",
                ));
            }
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&(values.len() as u64).to_le_bytes());
            for value in values {
                push_value(out, value)?;
            }
        }
    }
    Ok(())
}

fn type_number(value: &Value) -> u32 {
    match value {
        Value::U8(_) => 0,
        Value::I8(_) => 1,
        Value::U16(_) => 2,
        Value::I16(_) => 3,
        Value::U32(_) => 4,
        Value::I32(_) => 5,
        Value::F32(_) => 6,
        Value::Bool(_) => 7,
        Value::String(_) => 8,
        Value::Texts(_) | Value::Array(_) => 9,
        Value::U64(_) => 10,
        Value::I64(_) => 11,
        Value::F64(_) => 12,
    }
}
