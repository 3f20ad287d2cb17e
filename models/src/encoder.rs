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
        reserved: Reserved,
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
                reserved: Reserved::default(),
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
    /// A text that is empty or too long, an id outside the vocabulary, a batch that there is no memory for.
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
                Model::Decoder { decoder, reserved } => decoder_states(decoder, reserved, batch)?,
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

/// What a decoder has room for.
#[derive(Default)]
struct Reserved {
    /// Cache blocks of [`BLOCK_TOKENS`] tokens.
    blocks: usize,
    /// Tokens of the widest step.
    batch_tokens: usize,
}

impl Reserved {
    /// Calls `reserve` with blocks and tokens where the batch does not fit into what there is.
    fn grow(
        &mut self,
        blocks: usize,
        batch_tokens: usize,
        reserve: impl FnOnce(usize, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if blocks <= self.blocks && batch_tokens <= self.batch_tokens {
            return Ok(());
        }
        // A refusal may take what there was, so nothing counts as reserved until there is an answer.
        let held = std::mem::take(self);
        let wanted = Reserved {
            blocks: blocks.max(held.blocks).next_power_of_two(),
            batch_tokens: batch_tokens.max(held.batch_tokens).next_power_of_two(),
        };
        reserve(wanted.blocks, wanted.batch_tokens)?;
        *self = wanted;
        Ok(())
    }
}

/// Hidden states of a decoder over texts that each have blocks of their own.
fn decoder_states<'a>(
    decoder: &'a mut NativeDecoder,
    reserved: &mut Reserved,
    texts: &[&[u32]],
) -> Result<&'a [f32], Error> {
    let tokens: usize = texts.iter().map(|text| text.len()).sum();
    let blocks_of = |text: &[u32]| text.len().div_ceil(BLOCK_TOKENS);
    let blocks: usize = texts.iter().map(|text| blocks_of(text)).sum();
    reserved.grow(blocks, tokens, |blocks, batch_tokens| {
        decoder.reserve(blocks, batch_tokens)
    })?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `reserve` was asked for, none where it was not called.
    fn asked(
        reserved: &mut Reserved,
        blocks: usize,
        batch_tokens: usize,
    ) -> Option<(usize, usize)> {
        let mut asked = None;
        let grown = reserved.grow(blocks, batch_tokens, |blocks, batch_tokens| {
            asked = Some((blocks, batch_tokens));
            Ok(())
        });
        grown.unwrap();
        asked
    }

    #[test]
    fn blocks_and_tokens_grow_apart() {
        let mut reserved = Reserved::default();
        assert_eq!(asked(&mut reserved, 5, 130), Some((8, 256)));
        assert_eq!(asked(&mut reserved, 8, 256), None);
        assert_eq!(asked(&mut reserved, 100, 100), Some((128, 256)));
        assert_eq!(asked(&mut reserved, 64, 2048), Some((128, 2048)));
        assert_eq!(asked(&mut reserved, 5, 130), None);
    }

    #[test]
    fn after_a_refusal_nothing_is_reserved() {
        let mut reserved = Reserved::default();
        assert_eq!(asked(&mut reserved, 2, 40), Some((2, 64)));
        let refused = reserved.grow(64, 2048, |blocks, batch_tokens| {
            Err(Error::Reserve {
                blocks,
                batch_tokens,
                problem: "not enough memory",
            })
        });
        assert!(refused.is_err());
        assert_eq!(asked(&mut reserved, 1, 3), Some((1, 4)));
    }
}
