//! The thread that owns one encoder and turns texts into vectors, in batches of like length.

use std::sync::mpsc;

use tokio::sync::oneshot;
use wick_models::Encoder;

use super::EngineError;

/// Tokens in one batch; more fill the caches without gaining speed.
const BATCH_TOKENS: usize = 2048;
/// Requests that may wait for the thread.
const QUEUE: usize = 1024;

/// Texts to turn into vectors, and where the vectors go.
pub(super) struct Texts {
    /// Token ids of each text, special tokens included.
    pub(super) inputs: Vec<Vec<u32>>,
    /// Vectors in input order.
    pub(super) reply: oneshot::Sender<Result<Vec<Vec<f32>>, EngineError>>,
}

/// Starts the thread; it ends, and frees the model, when all senders are gone.
pub(super) fn start(
    encoder: Encoder,
) -> std::io::Result<(mpsc::SyncSender<Texts>, std::thread::JoinHandle<()>)> {
    let (sender, requests) = mpsc::sync_channel(QUEUE);
    let thread = std::thread::Builder::new()
        .name("wick-embedder".into())
        .spawn(move || run(encoder, &requests))?;
    Ok((sender, thread))
}

fn run(mut encoder: Encoder, requests: &mpsc::Receiver<Texts>) {
    for Texts { inputs, reply } in requests {
        let vectors = embed(&mut encoder, &inputs, || reply.is_closed());
        if let Some(vectors) = vectors.transpose() {
            // The caller may have gone meanwhile; then nobody misses the vectors.
            let _ = reply.send(vectors);
        }
    }
}

/// One vector per input; `None` once nobody waits for them any more.
fn embed(
    encoder: &mut Encoder,
    inputs: &[Vec<u32>],
    is_over: impl Fn() -> bool,
) -> Result<Option<Vec<Vec<f32>>>, EngineError> {
    let mut vectors = vec![Vec::new(); inputs.len()];
    for batch in batches(inputs) {
        if is_over() {
            return Ok(None);
        }
        let texts: Vec<&[u32]> = batch.iter().map(|&i| inputs[i].as_slice()).collect();
        for (&index, vector) in batch.iter().zip(encoder.embed(&texts)?) {
            vectors[index] = vector;
        }
    }
    Ok(Some(vectors))
}

/// Indices of `inputs`, shortest first, cut where a batch reaches [`BATCH_TOKENS`].
fn batches(inputs: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|&i| inputs[i].len());
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = usize::MAX;
    for index in order {
        let length = inputs[index].len();
        tokens = tokens.saturating_add(length);
        if tokens > BATCH_TOKENS {
            batches.push(Vec::new());
            tokens = length;
        }
        batches
            .last_mut()
            .expect("a batch was just begun")
            .push(index);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_like_lengths_and_every_text_once() {
        let lengths = [2000usize, 3, 1, 4000, 2, 1500];
        let inputs: Vec<Vec<u32>> = lengths.iter().map(|&n| vec![0; n]).collect();
        assert_eq!(batches(&inputs), [vec![2, 4, 1, 5], vec![0], vec![3]]);
        assert!(batches(&[]).is_empty());
    }
}
