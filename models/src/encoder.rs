//! Embedding models: texts as token ids in, one vector per text out.

mod bert;

use wick_kernels::BLOCK_TOKENS;

use crate::decoder::{Decoder, LoadOptions, Output, Segment};
use crate::native::NativeDecoder;
use crate::spec::{DecoderSpec, Keys, NATIVE_ARCHITECTURES};
use crate::{Error, Gguf};
use bert::Bert;

/// Architectures of models that embed and cannot generate.
const BERT_ARCHITECTURES: [&str; 2] = ["bert", "nomic-bert"];

/// Tokens of one pass: texts are joined up to this many, so that the matrix products are wide enough and the buffers
/// stay in proportion.
const BATCH_TOKENS: usize = 2048;

/// A loaded embedding model.
pub struct Encoder {
    info: EncoderInfo,
    model: Model,
}

enum Model {
    Bert(Box<Bert>),
    /// A decoder trained to embed: the hidden states of its last layer are pooled.
    Decoder {
        decoder: Box<NativeDecoder>,
        batch_tokens: usize,
    },
}

/// Shape of a loaded encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderInfo {
    /// `general.architecture` of the file.
    pub architecture: String,
    /// Longest text in tokens.
    pub context_tokens: usize,
    /// Length of a vector.
    pub embedding_length: usize,
    /// How the tokens' vectors become the text's.
    pub pooling: Pooling,
}

/// How the tokens' vectors become the text's (`<arch>.pooling_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first token.
    Cls,
    /// That of the last token.
    Last,
}

/// Whether the file is an embedding model: a BERT, or a decoder that names a pooling and has no output matrix of its own.
pub fn is_encoder(gguf: &Gguf) -> bool {
    let pooled =
        gguf.value(&gguf.arch_key("pooling_type")).is_some() && !gguf.has_tensor("output.weight");
    BERT_ARCHITECTURES.contains(&gguf.architecture()) || pooled
}

impl Encoder {
    /// Packs the weights of an embedding model.
    ///
    /// # Errors
    /// Keys or tensors that do not fit, naming file and field; an architecture without a forward pass here.
    pub fn load(gguf: &Gguf, options: &LoadOptions) -> Result<Encoder, Error> {
        let architecture = gguf.architecture().to_owned();
        let pooling = pooling(gguf)?;
        if BERT_ARCHITECTURES.contains(&architecture.as_str()) {
            let bert = Bert::load(gguf, options)?;
            let (context_tokens, embedding_length) =
                (bert.context_tokens(), bert.embedding_length());
            let info = EncoderInfo {
                architecture,
                context_tokens,
                embedding_length,
                pooling,
            };
            return Ok(Encoder {
                info,
                model: Model::Bert(Box::new(bert)),
            });
        }
        if !NATIVE_ARCHITECTURES.contains(&architecture.as_str()) {
            return Err(Error::Architecture {
                path: gguf.path().to_owned(),
                architecture,
            });
        }
        let decoder = Box::new(NativeDecoder::load(
            gguf,
            DecoderSpec::from_gguf(gguf)?,
            options,
        )?);
        let (context_tokens, embedding_length) = (
            decoder.info().context_tokens,
            decoder.info().embedding_length,
        );
        let info = EncoderInfo {
            architecture,
            context_tokens,
            embedding_length,
            pooling,
        };
        Ok(Encoder {
            info,
            model: Model::Decoder {
                decoder,
                batch_tokens: 0,
            },
        })
    }

    /// Shape of the model.
    pub fn info(&self) -> &EncoderInfo {
        &self.info
    }

    /// One vector of `embedding_length` per text, pooled and not normalised. Each text has at least one and at most
    /// `context_tokens` ids, special tokens included.
    ///
    /// # Errors
    /// A text that is empty or too long, an id outside the vocabulary.
    pub fn embed(&mut self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, Error> {
        for (segment, text) in texts.iter().enumerate() {
            if text.is_empty() || text.len() > self.info.context_tokens {
                let problem = format!(
                    "{} tokens, the model takes 1 to {}",
                    text.len(),
                    self.info.context_tokens
                );
                return Err(Error::Batch { segment, problem });
            }
        }
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_len(rest));
            let states = match &mut self.model {
                Model::Bert(bert) => bert.states(batch)?,
                Model::Decoder {
                    decoder,
                    batch_tokens,
                } => decoder_states(decoder, batch_tokens, batch)?,
            };
            let mut first = 0;
            for text in batch {
                let width = self.info.embedding_length;
                let rows = &states[first * width..(first + text.len()) * width];
                vectors.push(self.info.pooling.pool(rows, width));
                first += text.len();
            }
            rest = after;
        }
        Ok(vectors)
    }

    /// Bytes held for weights and scratch.
    pub fn resident_bytes(&self) -> usize {
        match &self.model {
            Model::Bert(bert) => bert.resident_bytes(),
            Model::Decoder { decoder, .. } => decoder.resident_bytes(),
        }
    }
}

impl Pooling {
    /// The vector of a text from the vectors of its tokens, one row of `width` each, at least one.
    fn pool(self, rows: &[f32], width: usize) -> Vec<f32> {
        match self {
            Pooling::Cls => rows[..width].to_vec(),
            Pooling::Last => rows[rows.len() - width..].to_vec(),
            Pooling::Mean => {
                let mut sum = vec![0f64; width];
                for row in rows.chunks_exact(width) {
                    sum.iter_mut()
                        .zip(row)
                        .for_each(|(sum, value)| *sum += f64::from(*value));
                }
                let count = (rows.len() / width) as f64;
                sum.into_iter().map(|sum| (sum / count) as f32).collect()
            }
        }
    }
}

/// Numbers as in llama.cpp's `llama_pooling_type`; none or absent reads as mean, which is what such BERTs were made for.
fn pooling(gguf: &Gguf) -> Result<Pooling, Error> {
    match gguf.arch_u64("pooling_type")? {
        None | Some(0 | 1) => Ok(Pooling::Mean),
        Some(2) => Ok(Pooling::Cls),
        Some(3) => Ok(Pooling::Last),
        Some(other) => Err(Keys(gguf).bad("pooling_type", format!("{other} is not supported"))),
    }
}

/// Number of texts from the front that make one batch: at least one.
fn batch_len(texts: &[&[u32]]) -> usize {
    let mut tokens = 0;
    let fits = texts.iter().take_while(|text| {
        tokens += text.len();
        tokens <= BATCH_TOKENS
    });
    fits.count().max(1)
}

/// Hidden states of a decoder over texts that each have blocks of their own.
fn decoder_states<'a>(
    decoder: &'a mut NativeDecoder,
    reserved: &mut usize,
    texts: &[&[u32]],
) -> Result<&'a [f32], Error> {
    let tokens: usize = texts.iter().map(|text| text.len()).sum();
    let blocks_of = |text: &[u32]| text.len().div_ceil(BLOCK_TOKENS);
    let blocks: usize = texts.iter().map(|text| blocks_of(text)).sum();
    if tokens.max(blocks) > *reserved {
        // As many blocks as tokens: enough for a batch of one-token texts.
        let size = tokens.max(blocks).next_power_of_two();
        decoder.reserve(size, size)?;
        *reserved = size;
    }
    let ids: Vec<u32> = (0..blocks as u32).collect();
    let mut rest = &ids[..];
    let segments: Vec<Segment<'_>> = texts
        .iter()
        .map(|text| {
            let (own, after) = rest.split_at(blocks_of(text));
            rest = after;
            Segment {
                tokens: text,
                start: 0,
                blocks: own,
                output: Output::None,
            }
        })
        .collect();
    decoder.hidden(&segments)
}
