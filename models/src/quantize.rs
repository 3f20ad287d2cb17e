//! GGUF files of plain floats to quantised ones, as `llama-quantize` does it without an importance
//! matrix.

pub(crate) mod blocks;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use wick_kernels::QuantType;

use crate::gguf::ggml_type::quant_id;
use crate::gguf::write::{GgufWriter, PlannedTensor};
use crate::gguf::{TensorInfo, Value};
use crate::{Error, Gguf};
use blocks::{PackError, Rows, is_plain};

/// What a whole file is quantised to; some of its tensors get finer types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// 8.5 bits for each weight.
    Q8_0,
    /// 4.5 bits for each weight.
    Q4_0,
    /// 4-bit K-quants, a few layers with 5 bits.
    Q4KS,
    /// 4-bit K-quants, half of the most sensitive tensors with 6 bits.
    Q4KM,
}

impl FileType {
    /// Every type this can make.
    pub const ALL: [FileType; 4] = [
        FileType::Q8_0,
        FileType::Q4_0,
        FileType::Q4KS,
        FileType::Q4KM,
    ];

    /// The type of a name such as `q4_K_M`, in any case; `Q4_K` is another name of `Q4_K_M`.
    pub fn from_name(name: &str) -> Option<FileType> {
        if name.eq_ignore_ascii_case("Q4_K") {
            return Some(FileType::Q4KM);
        }
        let mut all = FileType::ALL.into_iter();
        all.find(|file_type| file_type.name().eq_ignore_ascii_case(name))
    }

    /// The usual name, such as `Q4_K_M`.
    pub const fn name(self) -> &'static str {
        match self {
            FileType::Q8_0 => "Q8_0",
            FileType::Q4_0 => "Q4_0",
            FileType::Q4KS => "Q4_K_S",
            FileType::Q4KM => "Q4_K_M",
        }
    }

    /// Number in `general.file_type`.
    const fn number(self) -> u32 {
        match self {
            FileType::Q4_0 => 2,
            FileType::Q8_0 => 7,
            FileType::Q4KS => 14,
            FileType::Q4KM => 15,
        }
    }

    const fn base(self) -> QuantType {
        match self {
            FileType::Q8_0 => QuantType::Q8_0,
            FileType::Q4_0 => QuantType::Q4_0,
            FileType::Q4KS | FileType::Q4KM => QuantType::Q4K,
        }
    }
}

/// Writes `gguf`, whose weights are F32, F16 or BF16, to `out` with weights of `file_type`.
///
/// `progress` gets bytes of tensors done and in all, of the file that is read. Memory stays within
/// tens of megabytes. `out` appears once it is complete.
///
/// # Errors
/// When a weight is quantised already or holds a value that is not finite, or a file cannot be read
/// or written.
pub fn quantize(
    gguf: &Gguf,
    out: &Path,
    file_type: FileType,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let mixture = Mixture::of(gguf, file_type)?;
    let mut plan = Vec::new();
    let mut total = 0;
    for info in gguf.tensors() {
        let tensor = gguf.tensor(info.name)?;
        let quant = match mixture.quant(&info) {
            Some(_) if !is_plain(tensor.quant) => {
                let problem = format!(
                    "is {} already, only F32, F16 and BF16 can be quantised",
                    info.type_name
                );
                let field = format!("tensor '{}'", info.name);
                return Err(Error::malformed(gguf.path(), field, problem));
            }
            Some(quant) => quant,
            None => tensor.quant,
        };
        total += tensor.bytes.len() as u64;
        plan.push((info.name, quant));
    }

    let version = Value::U32(2);
    let number = Value::U32(file_type.number());
    let mut metadata: Vec<(&str, &Value)> = gguf
        .metadata()
        .filter(|(key, _)| {
            ![
                "general.alignment",
                "general.file_type",
                "general.quantization_version",
            ]
            .contains(key)
        })
        .collect();
    metadata.push(("general.file_type", &number));
    metadata.push(("general.quantization_version", &version));

    let mut output = Output::create(out)?;
    let tensors = plan
        .iter()
        .map(|&(name, quant)| planned(gguf, name, quant))
        .collect::<Result<Vec<_>, _>>()?;
    let mut writer = output.start(&metadata, &tensors)?;
    let mut done = 0;
    for (name, quant) in plan {
        let tensor = gguf.tensor(name)?;
        if quant == tensor.quant {
            writer.part(tensor.bytes).map_err(Error::io(out))?;
            done += tensor.bytes.len() as u64;
            progress(done, total);
            continue;
        }
        let rows = Rows {
            bytes: tensor.bytes,
            from: tensor.quant,
            to: quant,
            columns: tensor.shape.last().copied().unwrap_or(1),
        };
        let packed: Result<(), Failure> = rows.pack(|blocks, read| {
            writer.part(blocks).map_err(Failure::Write)?;
            done += read;
            progress(done, total);
            Ok(())
        });
        packed.map_err(|failure| failure.at(gguf.path(), out, name))?;
    }
    output.finish(writer)
}

fn planned(gguf: &Gguf, name: &str, quant: QuantType) -> Result<PlannedTensor, Error> {
    let tensor = gguf.tensor(name)?;
    Ok(PlannedTensor::new(name, tensor.shape, quant))
}

impl PlannedTensor {
    /// A tensor of `shape`, outermost dimension first, whose rows are whole blocks of `quant`.
    pub(crate) fn new(name: &str, shape: &[usize], quant: QuantType) -> PlannedTensor {
        let values: usize = shape.iter().product();
        PlannedTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            type_id: quant_id(quant),
            bytes: (values / quant.block_len() * quant.block_bytes()) as u64,
        }
    }
}

/// Why packing a tensor into a file stopped.
pub(crate) enum Failure {
    Pack(PackError),
    Write(std::io::Error),
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Failure {
        Failure::Pack(error)
    }
}

impl Failure {
    pub(crate) fn at(self, read: &Path, written: &Path, tensor: &str) -> Error {
        match self {
            Failure::Write(source) => Error::io(written)(source),
            Failure::Pack(error) => {
                Error::malformed(read, format!("tensor '{tensor}'"), error.to_string())
            }
        }
    }
}

/// A file that appears under its name once it is complete, and leaves nothing behind otherwise.
pub(crate) struct Output {
    path: PathBuf,
    part: PathBuf,
    done: bool,
}

impl Output {
    pub(crate) fn create(path: &Path) -> Result<Output, Error> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        Ok(Output {
            path: path.to_owned(),
            part: path.with_file_name(name),
            done: false,
        })
    }

    pub(crate) fn start(
        &mut self,
        metadata: &[(&str, &Value)],
        tensors: &[PlannedTensor],
    ) -> Result<GgufWriter<BufWriter<File>>, Error> {
        let file = File::create(&self.part).map_err(Error::io(&self.part))?;
        GgufWriter::new(BufWriter::new(file), metadata, tensors).map_err(Error::io(&self.part))
    }

    pub(crate) fn finish(mut self, writer: GgufWriter<BufWriter<File>>) -> Result<(), Error> {
        let file = writer.finish().map_err(Error::io(&self.part))?;
        drop(file);
        std::fs::rename(&self.part, &self.path).map_err(Error::io(&self.path))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.done {
            // Nothing is lost if it was never created.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

/// Which type each tensor of a file gets; the rules of llama.cpp's `llama_tensor_get_type` for
/// models of the llama family.
struct Mixture {
    file_type: FileType,
    layers: usize,
    eight_experts: bool,
    /// The embedding also serves as the output matrix.
    tied: bool,
}

impl Mixture {
    fn of(gguf: &Gguf, file_type: FileType) -> Result<Mixture, Error> {
        let layers = gguf.require_arch_u64("block_count")?;
        Ok(Mixture {
            file_type,
            layers: usize::try_from(layers).unwrap_or(usize::MAX),
            eight_experts: gguf.arch_u64("expert_count")? == Some(8),
            tied: !gguf.has_tensor("output.weight"),
        })
    }

    /// The type a tensor is quantised to, or `None` for one that stays as it is.
    fn quant(&self, info: &TensorInfo<'_>) -> Option<QuantType> {
        if !is_quantised(info) {
            return None;
        }
        let columns = info.shape.last().copied().unwrap_or(1);
        Some(fitting(self.wanted(info.name, columns), columns))
    }

    fn wanted(&self, name: &str, columns: usize) -> QuantType {
        let base = self.file_type.base();
        if name == "output.weight" || (self.tied && name == "token_embd.weight") {
            return match (base, columns % 256) {
                (QuantType::Q8_0, _) => base,
                (_, 0) => QuantType::Q6K,
                _ => QuantType::Q8_0,
            };
        }
        let (layer, kind) = layer_and_kind(name);
        match kind {
            "attn_v.weight" => self.attn_v(layer),
            "attn_k.weight" if self.eight_experts => QuantType::Q8_0,
            "attn_output.weight" if self.eight_experts && base == QuantType::Q4K => QuantType::Q5K,
            "attn_qkv.weight" if self.file_type == FileType::Q4KM => QuantType::Q5K,
            "ffn_down.weight" | "ffn_down_exps.weight" => match self.file_type {
                FileType::Q4KM if self.more_bits(layer) => QuantType::Q6K,
                FileType::Q4KS if layer < self.layers / 8 => QuantType::Q5K,
                _ => base,
            },
            _ => base,
        }
    }

    fn attn_v(&self, layer: usize) -> QuantType {
        if self.eight_experts {
            return QuantType::Q8_0;
        }
        let quant = match self.file_type {
            FileType::Q4KM if self.more_bits(layer) => QuantType::Q6K,
            FileType::Q4KS if layer < 4 => QuantType::Q5K,
            _ => self.file_type.base(),
        };
        // The 70B models share it between eight heads, so that it is small and matters more.
        if self.layers == 80 && quant == QuantType::Q4K {
            return QuantType::Q5K;
        }
        quant
    }

    /// The first and last eighth of the layers, and every third between.
    fn more_bits(&self, layer: usize) -> bool {
        let eighth = self.layers / 8;
        layer < eighth || layer >= self.layers.saturating_mul(7) / 8 || (layer - eighth) % 3 == 2
    }
}

/// Matrices are, but not those that are looked up by position or decide between experts.
fn is_quantised(info: &TensorInfo<'_>) -> bool {
    const KEPT: [&str; 4] = [
        "position_embd.weight",
        "token_types.weight",
        "ffn_gate_inp.weight",
        "rope_freqs.weight",
    ];
    info.shape.len() >= 2
        && info.name.ends_with(".weight")
        && !info.name.ends_with("_norm.weight")
        && !KEPT.iter().any(|kept| info.name.ends_with(kept))
}

/// `blk.7.attn_v.weight` -> `(7, "attn_v.weight")`; layer 0 for other names.
fn layer_and_kind(name: &str) -> (usize, &str) {
    let parts = name.strip_prefix("blk.").and_then(|rest| {
        let (layer, kind) = rest.split_once('.')?;
        Some((layer.parse().ok()?, kind))
    });
    parts.unwrap_or((0, name))
}

/// The nearest type whose blocks fit rows of `columns` values.
fn fitting(quant: QuantType, columns: usize) -> QuantType {
    if columns.is_multiple_of(quant.block_len()) {
        return quant;
    }
    let smaller = match quant {
        QuantType::Q4K => QuantType::Q5_0,
        QuantType::Q5K => QuantType::Q5_1,
        _ => QuantType::Q8_0,
    };
    if columns.is_multiple_of(smaller.block_len()) {
        smaller
    } else {
        QuantType::F16
    }
}
