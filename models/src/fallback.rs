//! Decoder families that run through candle-transformers: one sequence at a time, with candle's own cache.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use candle_core::quantized::gguf_file::Content;
use candle_core::{DType, Device, Tensor};
use candle_transformers::models::{quantized_glm4, quantized_llama, quantized_phi};

use crate::decoder::{Decoder, DecoderInfo, Output, Segment};
use crate::spec::Keys;
use crate::{Error, Gguf};

/// Positions the models below have angles for, whatever the file declares.
const CANDLE_CONTEXT: usize = 4096;
/// Longest context whose table of angles is worth its memory.
const MAX_CONTEXT: u64 = 1 << 20;

/// A model of candle-transformers behind [`Decoder`].
pub(crate) struct FallbackDecoder {
    info: DecoderInfo,
    path: PathBuf,
    model: Model,
    device: Device,
    /// Tokens in candle's cache.
    len: usize,
    file_bytes: usize,
    logits: Vec<f32>,
}

enum Model {
    Llama(quantized_llama::ModelWeights),
    Phi2(quantized_phi::ModelWeights),
    Glm4(quantized_glm4::ModelWeights),
}

/// Whether a file of a native family is better off here: experts, for which there is no native forward pass, and Llama
/// files on a CUDA device. candle's Llama knows no rope factors, so that Llama 3.1 and later stay on the CPU.
pub(crate) fn wants(gguf: &Gguf) -> Result<bool, Error> {
    if gguf.architecture() != "llama" {
        return Ok(false);
    }
    let experts = Keys(gguf).optional("expert_count", u64::MAX)?.unwrap_or(0) > 1;
    Ok(experts || (!gguf.has_tensor("rope_freqs.weight") && cuda_device().is_some()))
}

#[cfg(feature = "cuda")]
fn cuda_device() -> Option<Device> {
    Device::new_cuda(0).ok()
}

#[cfg(not(feature = "cuda"))]
fn cuda_device() -> Option<Device> {
    None
}

impl FallbackDecoder {
    /// Reads the whole file into candle's structures.
    pub(crate) fn load(gguf: &Gguf) -> Result<FallbackDecoder, Error> {
        let info = info(gguf)?;
        let path = gguf.path().to_owned();
        let device = cuda_device().unwrap_or(Device::Cpu);
        let file = File::open(&path).map_err(Error::io(&path))?;
        let mut reader = BufReader::new(file);
        let model = guarded(&path, "loading with candle-transformers", || {
            let content = Content::read(&mut reader)?;
            Ok(match info.architecture.as_str() {
                "llama" => Model::Llama(quantized_llama::ModelWeights::from_gguf(
                    content,
                    &mut reader,
                    &device,
                )?),
                "phi2" => Model::Phi2(quantized_phi::ModelWeights::from_gguf(
                    content,
                    &mut reader,
                    &device,
                )?),
                _ => Model::Glm4(quantized_glm4::ModelWeights::from_gguf(
                    content,
                    &mut reader,
                    &device,
                    DType::F32,
                )?),
            })
        })?;
        let file_bytes = usize::try_from(gguf.file_bytes()).unwrap_or(usize::MAX);
        Ok(FallbackDecoder {
            info,
            path,
            model,
            device,
            len: 0,
            file_bytes,
            logits: Vec::new(),
        })
    }

    fn check(&self, segments: &[Segment<'_>]) -> Result<(), Error> {
        let fail = |problem| {
            Err(Error::Batch {
                segment: 0,
                problem,
            })
        };
        let [segment] = segments else {
            return fail(format!(
                "this family takes one sequence at a time, not {}",
                segments.len()
            ));
        };
        if segment.start != 0 && segment.start != self.len {
            return fail(format!(
                "position {} does not follow the {} tokens so far",
                segment.start, self.len
            ));
        }
        let end = segment.start.saturating_add(segment.tokens.len());
        if segment.tokens.is_empty() || end > self.info.context_tokens {
            return fail(format!(
                "{end} positions in a context of {}",
                self.info.context_tokens
            ));
        }
        let vocab_size = self.info.vocab_size;
        match segment
            .tokens
            .iter()
            .find(|&&token| token as usize >= vocab_size)
        {
            Some(token) => fail(format!(
                "token {token} is outside the vocabulary of {vocab_size}"
            )),
            None => Ok(()),
        }
    }

    /// Logits of the last of `tokens`, which follow the first `self.len` ones; `keep` appends them to the answer.
    fn advance(&mut self, tokens: &[u32], keep: bool) -> Result<(), Error> {
        let FallbackDecoder {
            model, device, len, ..
        } = self;
        let row = guarded(&self.path, "a step of candle-transformers", || {
            let input = Tensor::new(tokens, device)?.unsqueeze(0)?;
            let logits = match model {
                Model::Llama(model) => model.forward(&input, *len)?,
                Model::Phi2(model) => model.forward(&input, *len)?,
                Model::Glm4(model) => model.forward(&input, *len)?,
            };
            logits.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()
        })?;
        self.len += tokens.len();
        if keep {
            self.logits.extend_from_slice(&row);
        }
        Ok(())
    }
}

impl Decoder for FallbackDecoder {
    fn info(&self) -> &DecoderInfo {
        &self.info
    }

    fn reserve(&mut self, _blocks: usize, _batch_tokens: usize) -> Result<(), Error> {
        self.len = 0;
        Ok(())
    }

    fn forward(&mut self, segments: &[Segment<'_>]) -> Result<&[f32], Error> {
        self.check(segments)?;
        let segment = segments[0];
        self.len = segment.start;
        self.logits.clear();
        // candle gives the last row only.
        let step = if segment.output == Output::All {
            1
        } else {
            segment.tokens.len()
        };
        for tokens in segment.tokens.chunks(step) {
            self.advance(tokens, segment.output != Output::None)?;
        }
        Ok(&self.logits)
    }

    fn hidden(&mut self, _segments: &[Segment<'_>]) -> Result<&[f32], Error> {
        let problem = format!("'{}' gives no hidden states", self.info.architecture);
        Err(Error::Batch {
            segment: 0,
            problem,
        })
    }

    fn copy_block(&mut self, _from: u32, _to: u32) {}

    /// An estimate: candle keeps the file's blocks, a packed copy beside them and the embedding in f32.
    fn resident_bytes(&self) -> usize {
        let embedding = self.info.vocab_size * self.info.embedding_length * size_of::<f32>();
        self.file_bytes
            .saturating_mul(2)
            .saturating_add(embedding + self.len * self.info.kv_bytes_per_token)
    }

    fn isa(&self) -> &'static str {
        if self.device.is_cuda() {
            "candle-cuda"
        } else {
            "candle"
        }
    }
}

/// The shape as the keys tell it, checked as far as candle does not.
fn info(gguf: &Gguf) -> Result<DecoderInfo, Error> {
    let architecture = gguf.architecture().to_owned();
    if !["llama", "phi2", "glm4"].contains(&architecture.as_str()) {
        return Err(Error::Architecture {
            path: gguf.path().to_owned(),
            architecture,
        });
    }
    let keys = Keys(gguf);
    let size = |key| keys.size(key, MAX_CONTEXT);
    let (embedding_length, heads, layers) = (
        size("embedding_length")?,
        size("attention.head_count")?,
        size("block_count")?,
    );
    let kv_heads = keys.size_or("attention.head_count_kv", MAX_CONTEXT, heads)?;
    let head_dim = keys.size_or(
        "attention.key_length",
        MAX_CONTEXT,
        (embedding_length / heads).max(1),
    )?;
    let declared = size("context_length")?;
    Ok(DecoderInfo {
        context_tokens: if architecture == "glm4" {
            declared
        } else {
            declared.min(CANDLE_CONTEXT)
        },
        vocab_size: crate::spec::vocab_size(gguf)?,
        embedding_length,
        layers,
        heads,
        kv_heads,
        head_dim,
        kv_bytes_per_token: layers
            .saturating_mul(kv_heads)
            .saturating_mul(head_dim)
            .saturating_mul(2 * size_of::<f32>()),
        paged: false,
        architecture,
    })
}

/// Runs `work` of a library that panics on some files and shapes; either way of failing becomes an error.
fn guarded<T>(
    path: &std::path::Path,
    step: &str,
    work: impl FnOnce() -> candle_core::Result<T>,
) -> Result<T, Error> {
    let failed = |source| Error::Compute {
        path: path.to_owned(),
        step: step.to_owned(),
        source,
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(|error| failed(error.into())),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| {
                payload
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
            });
            Err(failed(
                text.unwrap_or_else(|| "it panicked".to_owned()).into(),
            ))
        }
    }
}
