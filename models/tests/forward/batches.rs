//! However tokens are cut into steps and steps into segments, the answer is the same.

use candle_core::quantized::GgmlDType;
use wick_kernels::{BLOCK_TOKENS, Kernels};
use wick_models::{Decoder, LoadOptions, Output, Segment};

use super::tiny::{LLAMA, Sequence, Shape, Tiny, tokens};
use super::{argmax, cosine};

const TYPES: [GgmlDType; 4] = [
    GgmlDType::F32,
    GgmlDType::Q8_0,
    GgmlDType::Q4K,
    GgmlDType::Q6K,
];

fn decoder(quant: GgmlDType, kernels: &'static Kernels) -> Box<dyn Decoder> {
    let tiny = Tiny::decoder(&Shape { quant, ..LLAMA });
    let mut decoder = tiny
        .load(&LoadOptions {
            threads: 3,
            kernels: Some(kernels),
            ..LoadOptions::default()
        })
        .unwrap();
    decoder.reserve(32, 128).unwrap();
    decoder
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3)
}

/// Prompt and greedy continuation of one sequence alone.
fn alone(decoder: &mut dyn Decoder, prompt: &[u32], count: usize) -> (Vec<u32>, Vec<Vec<f32>>) {
    let mut sequence = Sequence::new(0, 8);
    let mut rows = vec![sequence.feed(decoder, prompt, Output::Last)];
    let mut ids = vec![argmax(&rows[0])];
    while ids.len() < count {
        rows.push(sequence.feed(decoder, &ids[ids.len() - 1..], Output::Last));
        ids.push(argmax(&rows[rows.len() - 1]));
    }
    (ids, rows)
}

#[test]
fn a_prompt_in_chunks_is_the_prompt() {
    for kernels in Kernels::available() {
        for quant in TYPES {
            let mut decoder = decoder(quant, kernels);
            let prompt = tokens(100, LLAMA.vocab, 3);
            let whole = Sequence::new(0, 4).feed(&mut *decoder, &prompt, Output::All);
            let vocab = LLAMA.vocab;
            assert_eq!(whole.len(), 100 * vocab);
            for chunk in [1, 7, 31, 32, 33, 64] {
                let mut sequence = Sequence::new(4, 4);
                for (index, tokens) in prompt.chunks(chunk).enumerate() {
                    let rows = sequence.feed(&mut *decoder, tokens, Output::All);
                    let at = index * chunk * vocab;
                    assert!(
                        close(&rows, &whole[at..at + rows.len()]),
                        "{quant:?} {} {chunk}",
                        kernels.isa.name()
                    );
                }
            }
            let mut sequence = Sequence::new(8, 4);
            assert!(
                sequence
                    .feed(&mut *decoder, &prompt[..60], Output::None)
                    .is_empty()
            );
            let last = sequence.feed(&mut *decoder, &prompt[60..], Output::Last);
            assert!(close(&last, &whole[99 * vocab..]));
        }
    }
}

#[test]
fn sequences_in_one_batch_answer_as_alone() {
    for kernels in Kernels::available() {
        for quant in TYPES {
            let mut decoder = decoder(quant, kernels);
            let prompts = [
                tokens(5, LLAMA.vocab, 1),
                tokens(40, LLAMA.vocab, 2),
                tokens(33, LLAMA.vocab, 3),
            ];
            let want: Vec<_> = prompts
                .iter()
                .map(|prompt| alone(&mut *decoder, prompt, 12))
                .collect();

            // All prompts in one step, then all sequences token by token, in blocks that lie criss-cross.
            let blocks: [Vec<u32>; 3] =
                [0u32, 1, 2].map(|first| (0..4).map(|index| 31 - first - 3 * index).collect());
            let mut inputs: Vec<Vec<u32>> = prompts.to_vec();
            let mut starts = [0; 3];
            for step in 0..12 {
                let segments: Vec<Segment<'_>> = (0..3)
                    .map(|index| Segment {
                        tokens: &inputs[index],
                        start: starts[index],
                        blocks: &blocks[index],
                        output: Output::Last,
                    })
                    .collect();
                let rows = decoder.forward(&segments).unwrap().to_vec();
                for index in 0..3 {
                    let row = &rows[index * LLAMA.vocab..(index + 1) * LLAMA.vocab];
                    assert!(
                        close(row, &want[index].1[step]),
                        "{quant:?} {} step {step}",
                        kernels.isa.name()
                    );
                    assert_eq!(argmax(row), want[index].0[step]);
                    starts[index] += inputs[index].len();
                    inputs[index] = vec![argmax(row)];
                }
            }
        }
    }
}

#[test]
fn rows_come_for_the_segments_that_ask() {
    let mut decoder = decoder(GgmlDType::F32, Kernels::best());
    let texts = [
        tokens(4, LLAMA.vocab, 1),
        tokens(6, LLAMA.vocab, 2),
        tokens(3, LLAMA.vocab, 3),
    ];
    let all: Vec<_> = texts
        .iter()
        .map(|text| Sequence::new(0, 1).feed(&mut *decoder, text, Output::All))
        .collect();
    let segment = |index: usize, output| Segment {
        tokens: &texts[index],
        start: 0,
        blocks: [&[4u32], &[5], &[6]][index],
        output,
    };
    let steps = [
        segment(0, Output::Last),
        segment(1, Output::None),
        segment(2, Output::All),
    ];
    let rows = decoder.forward(&steps).unwrap();
    let vocab = LLAMA.vocab;
    let want: Vec<f32> = all[0][3 * vocab..].iter().chain(&all[2]).copied().collect();
    assert!(close(rows, &want));
}

#[test]
fn a_shared_prefix_and_a_copied_block_continue_like_the_original() {
    let mut decoder = decoder(GgmlDType::Q8_0, Kernels::best());
    let text = tokens(BLOCK_TOKENS + 10, LLAMA.vocab, 8);
    let want = Sequence::new(0, 2).feed(&mut *decoder, &text, Output::Last);
    // Block 0 is full and shared; block 1 is partly filled and copied, its last position then written anew.
    decoder.copy_block(1, 9);
    let start = text.len() - 1;
    let segment = Segment {
        tokens: &text[start..],
        start,
        blocks: &[0, 9],
        output: Output::Last,
    };
    assert!(close(decoder.forward(&[segment]).unwrap(), &want));
}

#[test]
fn hidden_states_are_one_row_per_token_and_project_to_the_logits() {
    let shape = LLAMA;
    let tiny = Tiny::decoder(&shape);
    let mut decoder = tiny.load(&LoadOptions::default()).unwrap();
    decoder.reserve(4, 64).unwrap();
    let text = tokens(9, shape.vocab, 4);
    let segment = Segment {
        tokens: &text,
        start: 0,
        blocks: &[2],
        output: Output::All,
    };
    let logits = decoder.forward(&[segment]).unwrap().to_vec();
    let hidden = decoder.hidden(&[segment]).unwrap().to_vec();
    assert_eq!(hidden.len(), 9 * shape.width);
    let output = tiny.values("output.weight");
    for (state, logits) in hidden.chunks(shape.width).zip(logits.chunks(shape.vocab)) {
        let products: Vec<f32> = output
            .chunks(shape.width)
            .map(|row| row.iter().zip(state).map(|(a, b)| a * b).sum())
            .collect();
        assert!(cosine(&products, logits) > 0.999_999);
    }
}

#[test]
fn a_new_reservation_forgets_and_counts_its_memory() {
    let mut decoder = decoder(GgmlDType::F32, Kernels::best());
    let before = decoder.resident_bytes();
    decoder.reserve(64, 128).unwrap();
    let per_block = decoder.info().kv_bytes_per_token * BLOCK_TOKENS;
    assert_eq!(decoder.resident_bytes() - before, 32 * per_block);
    assert_eq!(
        decoder.info().kv_bytes_per_token,
        LLAMA.layers * LLAMA.kv_heads * LLAMA.head_dim * 4
    );
}
