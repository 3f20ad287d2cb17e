//! Vectors: one per text.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use wick_models::{AddSpecial, Tokenizer};

use crate::api::App;
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, Route};
use crate::api::fields::KeepAliveField;
use crate::api::options::Options;

/// Lengths below this are not divided by.
const NORM_FLOOR: f32 = 1e-12;

/// A request for vectors.
#[derive(Clone, Debug)]
pub(crate) struct VectorsRequest {
    /// Who asks.
    pub route: Route,
    /// The model as the client wrote it.
    pub model: String,
    /// The texts; none at all only loads the model.
    pub inputs: Vec<String>,
    /// Options as they came.
    pub options: Option<Map<String, Value>>,
    /// How long the model stays afterwards.
    pub keep_alive: Option<KeepAliveField>,
    /// Whether texts that are too long may be cut.
    pub truncate: bool,
    /// Whether vectors have length 1.
    pub normalize: bool,
    /// Leading components to keep.
    pub dimensions: Option<usize>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Vectors {
    /// One per text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all texts, special ones included.
    pub prompt_tokens: usize,
    /// Since the request came.
    pub total_duration: Duration,
    /// Until the model was ready.
    pub load_duration: Duration,
}

/// Resolves, loads, cuts and embeds.
pub(crate) async fn vectors(app: &App, request: VectorsRequest) -> Result<Vectors, ApiError> {
    let started = Instant::now();
    let model = app.model(request.route, &request.model).await?;
    let options = Options::merge(&model.stored.params, request.options.as_ref())?;
    let lease = app.load(&model, &options, request.keep_alive).await?;
    // A context below what models are loaded with still says where to cut.
    let asked = options.context_tokens.map(|tokens| usize::try_from(tokens).unwrap_or(0));
    let loaded = lease.context_tokens().min(lease.trained_context_tokens());
    let context_tokens = asked.map_or(loaded, |asked| asked.min(loaded));
    let (inputs, truncate, tokenizer) = (request.inputs, request.truncate, lease.tokenizer().clone());
    let inputs = blocking(move || {
        let fit = |text: &String| fit(&tokenizer, text, context_tokens, truncate);
        inputs.iter().map(fit).collect::<Result<Vec<_>, _>>()
    })
    .await?;
    let prompt_tokens = inputs.iter().map(Vec::len).sum();
    let mut vectors = match inputs.is_empty() {
        true => Vec::new(),
        false => lease.embed(inputs).await?,
    };
    for vector in &mut vectors {
        if vector.iter().any(|x| !x.is_finite()) {
            return Err(ApiError::BadRequest("embedding contains NaN or Inf values".to_owned()));
        }
        if request.normalize || model.facts.normalizes {
            normalize(vector);
        }
        if let Some(dimensions) = request.dimensions.filter(|&d| d > 0 && d < vector.len()) {
            vector.truncate(dimensions);
            normalize(vector);
        }
    }
    Ok(Vectors {
        vectors,
        prompt_tokens,
        total_duration: started.elapsed(),
        load_duration: lease.load_duration(),
    })
}

/// The tokens of a text, its end cut off where it is too long; special tokens around it stay.
fn fit(
    tokenizer: &Tokenizer,
    text: &str,
    context_tokens: usize,
    truncate: bool,
) -> Result<Vec<u32>, ApiError> {
    let mut whole = tokenizer.encode(text, AddSpecial::Yes)?;
    if whole.is_empty() {
        // There is nothing to pool over; the start token, or the end token, says nothing.
        whole.extend(tokenizer.bos().or(tokenizer.eos()));
    }
    if whole.len() <= context_tokens {
        return Ok(whole);
    }
    if !truncate {
        return Err(ApiError::BadRequest(
            "the input length exceeds the context length".to_owned(),
        ));
    }
    let inner = tokenizer.encode(text, AddSpecial::No)?;
    cut(&whole, &inner, context_tokens).ok_or_else(|| {
        ApiError::BadRequest("input after truncation exceeds maximum context length".to_owned())
    })
}

/// `whole` with only so much of `inner`, which stands in it, that it has `context_tokens` tokens.
fn cut(whole: &[u32], inner: &[u32], context_tokens: usize) -> Option<Vec<u32>> {
    let special = whole.len().checked_sub(inner.len())?;
    let before = (0..=special).find(|&at| whole[at..].starts_with(inner))?;
    let room = context_tokens.checked_sub(special).filter(|&room| room > 0)?;
    let after = &whole[before + inner.len()..];
    Some([&whole[..before], &inner[..room], after].concat())
}

fn normalize(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(NORM_FLOOR);
    for x in vector {
        *x /= norm;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_leaves_the_special_tokens_around_the_text() {
        let whole = [101, 7, 8, 9, 102];
        assert_eq!(cut(&whole, &[7, 8, 9], 4), Some(vec![101, 7, 8, 102]));
        assert_eq!(cut(&whole, &[7, 8, 9], 3), Some(vec![101, 7, 102]));
        assert_eq!(cut(&whole, &[7, 8, 9], 2), None);
        assert_eq!(cut(&whole, &[7, 8, 9], 0), None);
        assert_eq!(cut(&[1, 7, 8], &[7, 8], 2), Some(vec![1, 7]));
    }

    #[test]
    fn vectors_have_length_one_and_zero_stays_zero() {
        let mut vector = vec![3.0, 4.0];
        normalize(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut zero = vec![0.0; 3];
        normalize(&mut zero);
        assert_eq!(zero, [0.0; 3]);
    }
}
