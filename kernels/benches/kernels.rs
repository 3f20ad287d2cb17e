//! Products and attention beside what the machine can do at most: `cargo bench -p wick-kernels`.
//!
//! Criterion's throughput is bytes of weights (or of keys and values) per second in `decode`, and multiply-adds per
//! second ("elements") in `prompt`. `limits` measures the same units: reading memory, and int8 products in registers.
#![expect(
    unsafe_code,
    reason = "the int8 limit is measured with the instruction itself"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use wick_kernels::{
    AttentionBatch, AttentionSegment, BLOCK_TOKENS, Kernels, KvArenas, KvBatch, KvType, Parallel,
    Projection, QuantType, Scratch, Weight,
};

/// All threads of rayon's pool.
struct Pool;

impl Parallel for Pool {
    fn threads(&self) -> usize {
        rayon::current_num_threads()
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        rayon::broadcast(|context| job(context.index()));
    }
}

/// More than the caches hold.
const FAR_BYTES: usize = 256 << 20;

fn inputs(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| (i * 7919 % 1000) as f32 / 500.0 - 1.0)
        .collect()
}

fn weight(kernels: &Kernels, quant: QuantType, rows: usize, cols: usize) -> Weight {
    let bytes = vec![0x35; rows * quant.row_bytes(cols)];
    kernels
        .pack(quant, rows, cols, &bytes, &Pool)
        .expect("sizes fit")
}

fn project(kernels: &Kernels, weight: &Weight, x: &[f32], out: &mut [f32], scratch: &mut Scratch) {
    let rows = x.len() / weight.cols();
    let mut projections = [Projection {
        weight,
        out,
        accumulate: false,
    }];
    kernels.project(x, rows, &mut projections, scratch, &Pool);
}

fn limits(criterion: &mut Criterion) {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find(|line| line.starts_with("model name"))
        .unwrap_or("unknown processor");
    println!(
        "{model}, {}, {} threads",
        Kernels::best().isa.name(),
        Pool.threads()
    );
    let mut group = criterion.benchmark_group("limits");
    let memory = vec![1u64; FAR_BYTES / 8];
    let share = memory.len() / Pool.threads();
    group.throughput(Throughput::Bytes(FAR_BYTES as u64));
    group.bench_function("read", |bencher| {
        bencher.iter(|| {
            Pool.run(&|thread| {
                let part = &memory[thread * share..][..share];
                black_box(part.iter().fold(0, |sum, x| sum ^ x));
            });
        });
    });
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512vnni") {
        const ROUNDS: usize = 100_000;
        group.throughput(Throughput::Elements(
            (ROUNDS * 12 * 64 * Pool.threads()) as u64,
        ));
        group.bench_function("int8", |bencher| {
            // SAFETY: the instructions were found just above.
            bencher.iter(|| Pool.run(&|_| unsafe { vnni(ROUNDS) }));
        });
    }
    group.finish();
}

/// Twelve independent chains of `vpdpbusd`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni(rounds: usize) {
    use std::arch::x86_64::*;
    let (a, b) = (
        black_box(_mm512_set1_epi8(3)),
        black_box(_mm512_set1_epi8(5)),
    );
    let mut sums = [_mm512_setzero_si512(); 12];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, a, b);
        }
    }
    black_box(sums);
}

/// One token and a few: weights come from memory.
fn decode(criterion: &mut Criterion) {
    let mut scratch = Scratch::default();
    for kernels in Kernels::available() {
        let mut group = criterion.benchmark_group(format!("decode/{}", kernels.isa.name()));
        for quant in QuantType::ALL {
            let (rows, cols) = (8192, 2048);
            let size = rows * quant.row_bytes(cols);
            let weights: Vec<Weight> = (0..FAR_BYTES.div_ceil(size))
                .map(|_| weight(kernels, quant, rows, cols))
                .collect();
            for m in [1, 2, 4, 8] {
                let (x, mut out) = (inputs(m * cols), vec![0.0; m * rows]);
                let mut turn = weights.iter().cycle();
                group.throughput(Throughput::Bytes(size as u64));
                group.bench_function(BenchmarkId::new(format!("{quant:?}"), m), |bencher| {
                    bencher.iter(|| {
                        let weight = turn.next().expect("a cycle does not end");
                        project(kernels, weight, &x, &mut out, &mut scratch);
                    });
                });
            }
        }
        group.finish();
    }
}

/// 512 tokens: the processor is the limit.
fn prompt(criterion: &mut Criterion) {
    let mut scratch = Scratch::default();
    for kernels in Kernels::available() {
        let mut group = criterion.benchmark_group(format!("prompt/{}", kernels.isa.name()));
        for quant in QuantType::ALL {
            let (rows, cols, m) = (2048, 2048, 512);
            let weight = weight(kernels, quant, rows, cols);
            let (x, mut out) = (inputs(m * cols), vec![0.0; m * rows]);
            group.throughput(Throughput::Elements((m * rows * cols) as u64));
            group.bench_function(format!("{quant:?}"), |bencher| {
                bencher.iter(|| project(kernels, &weight, &x, &mut out, &mut scratch));
            });
        }
        group.finish();
    }
}

/// Heads of Llama-3.2-1B: one token at depth 2048 (bytes of keys and values), and prompts of 512 (multiply-adds).
fn attention(criterion: &mut Criterion) {
    let (heads, kv_heads, head_dim, tokens) = (32, 8, 64, 2560);
    let mut scratch = Scratch::default();
    let blocks: Vec<u32> = (0..(tokens / BLOCK_TOKENS) as u32).collect();
    let fresh = inputs(tokens * kv_heads * head_dim);
    let segment = |rows, start| AttentionSegment {
        rows,
        start,
        blocks: &blocks,
    };
    for (kernels, kv_type) in Kernels::available()
        .into_iter()
        .flat_map(|kernels| [KvType::F16, KvType::Q8_0].map(|kv_type| (kernels, kv_type)))
    {
        let place = format!("attention/{}/{}", kernels.isa.name(), kv_type.name());
        let mut group = criterion.benchmark_group(place);
        let mut cache = KvArenas::new(kv_type, blocks.len(), kv_heads, head_dim);
        let batch = KvBatch {
            keys: &fresh,
            values: &fresh,
            segments: &[segment(tokens, 0)],
        };
        group.throughput(Throughput::Elements(2 * fresh.len() as u64));
        group.bench_function(format!("store {tokens}"), |bencher| {
            bencher.iter(|| kernels.store_kv(&batch, &mut cache, &Pool));
        });
        for (rows, start) in [(1, 2047), (512, 0), (512, 2048)] {
            let q = inputs(rows * heads * head_dim);
            let mut out = vec![0.0; q.len()];
            let batch = AttentionBatch {
                q: &q,
                cache: &cache,
                heads,
                scale: 0.125,
                window: None,
                segments: &[segment(rows, start)],
            };
            let seen = rows * start + rows * (rows + 1) / 2;
            group.throughput(match rows {
                1 => Throughput::Bytes((seen * kv_type.token_bytes(kv_heads, head_dim)) as u64),
                _ => Throughput::Elements((seen * heads * head_dim * 2) as u64),
            });
            group.bench_function(format!("{rows} at {start}"), |bencher| {
                bencher.iter(|| kernels.attention(&batch, &mut out, &mut scratch, &Pool));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = limits, decode, prompt, attention
}
criterion_main!(benches);
