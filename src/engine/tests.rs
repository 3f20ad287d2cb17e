//! The scheduler on a decoder whose next token depends on every token and position before it, so that any
//! mix-up of blocks, positions or rows changes the text.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use wick_models::{BLOCK_TOKENS, Decoder, DecoderInfo, Error, Gguf, Output, Segment, Tokenizer};

use super::scheduler::{self, Command, Limits};
use super::sequence::Sequence;
use super::{Event, Generation, Sampling, StopReason, Usage};

const VOCABULARY: usize = 257;
const END: u32 = 256;

/// GPT-2's printable stand-in for a byte.
fn stand_in(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        0..=0x20 => char::from_u32(0x100 + u32::from(byte)).expect("below the surrogates"),
        0x7f..=0xa0 => {
            char::from_u32(0x121 + u32::from(byte) - 0x7f).expect("below the surrogates")
        }
        0xad => '\u{143}',
    }
}

/// A file with nothing but a vocabulary of one token per byte and an end token.
fn vocabulary() -> Arc<Tokenizer> {
    let text = |out: &mut Vec<u8>, s: &str| {
        out.extend((s.len() as u64).to_le_bytes());
        out.extend(s.as_bytes());
    };
    let mut body = Vec::new();
    let mut keys = 0u64;
    let mut string = |key: &str, value: &str| {
        text(&mut body, key);
        body.extend(8u32.to_le_bytes());
        text(&mut body, value);
        keys += 1;
    };
    string("general.architecture", "llama");
    string("tokenizer.ggml.model", "gpt2");
    string("tokenizer.ggml.pre", "default");
    let tokens = (0..=255u8)
        .map(|b| stand_in(b).to_string())
        .chain(["<end>".to_owned()]);
    text(&mut body, "tokenizer.ggml.tokens");
    body.extend(9u32.to_le_bytes());
    body.extend(8u32.to_le_bytes());
    body.extend((VOCABULARY as u64).to_le_bytes());
    tokens.for_each(|t| text(&mut body, &t));
    text(&mut body, "tokenizer.ggml.token_type");
    body.extend(9u32.to_le_bytes());
    body.extend(5u32.to_le_bytes());
    body.extend((VOCABULARY as u64).to_le_bytes());
    (0..VOCABULARY).for_each(|id| body.extend(if id == 256 { 3i32 } else { 1 }.to_le_bytes()));
    text(&mut body, "tokenizer.ggml.merges");
    body.extend(9u32.to_le_bytes());
    body.extend(8u32.to_le_bytes());
    body.extend(0u64.to_le_bytes());
    text(&mut body, "tokenizer.ggml.eos_token_id");
    body.extend(4u32.to_le_bytes());
    body.extend(END.to_le_bytes());
    keys += 4;

    let mut file = b"GGUF".to_vec();
    file.extend(3u32.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.extend(keys.to_le_bytes());
    file.extend(body);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("vocabulary.gguf");
    std::fs::write(&path, file).expect("the file is written");
    let gguf = Gguf::open(&path).expect("a sound file");
    Arc::new(Tokenizer::from_gguf(&gguf).expect("a sound vocabulary"))
}

/// The token after `history`: a lower-case letter, mostly.
fn next(history: &[u32]) -> u32 {
    let hash = history.iter().fold(17u64, |h, &t| {
        (h ^ u64::from(t)).wrapping_mul(0x100000001b3)
    });
    u32::from(b'a') + (hash >> 20) as u32 % 26
}

/// What the model says after `prompt`, by the book.
fn expected(prompt: &str, count: usize) -> String {
    let mut tokens: Vec<u32> = prompt.bytes().map(u32::from).collect();
    for _ in 0..count {
        tokens.push(next(&tokens));
    }
    tokens[prompt.len()..]
        .iter()
        .map(|&t| t as u8 as char)
        .collect()
}

struct Fake {
    info: DecoderInfo,
    cache: Vec<[Option<u32>; BLOCK_TOKENS]>,
    logits: Vec<f32>,
    rows: Arc<AtomicUsize>,
    batches: Arc<Mutex<Vec<Vec<usize>>>>,
    fails: bool,
}

impl Decoder for Fake {
    fn info(&self) -> &DecoderInfo {
        &self.info
    }

    fn reserve(&mut self, blocks: usize, _: usize) -> Result<(), Error> {
        self.cache = vec![[None; BLOCK_TOKENS]; blocks];
        Ok(())
    }

    fn forward(&mut self, segments: &[Segment<'_>]) -> Result<&[f32], Error> {
        if self.fails {
            return Err(Error::Batch {
                segment: 0,
                problem: "failed on purpose".into(),
            });
        }
        self.logits.clear();
        self.batches
            .lock()
            .unwrap()
            .push(segments.iter().map(|s| s.tokens.len()).collect());
        for segment in segments {
            self.rows.fetch_add(segment.tokens.len(), Ordering::Relaxed);
            for (i, &token) in segment.tokens.iter().enumerate() {
                let at = segment.start + i;
                let block = segment.blocks[at / BLOCK_TOKENS] as usize;
                self.cache[block][at % BLOCK_TOKENS] = Some(token);
            }
            if segment.output != Output::Last {
                continue;
            }
            let history: Vec<u32> = (0..segment.start + segment.tokens.len())
                .map(|at| {
                    let block = segment.blocks[at / BLOCK_TOKENS] as usize;
                    self.cache[block][at % BLOCK_TOKENS].expect("every position was written")
                })
                .collect();
            let row = self.logits.len();
            self.logits.resize(row + VOCABULARY, 0.0);
            self.logits[row + next(&history) as usize] = 9.0;
        }
        Ok(&self.logits)
    }

    /// A token's state is its number.
    fn hidden(&mut self, segments: &[Segment<'_>]) -> Result<&[f32], Error> {
        self.logits.clear();
        for segment in segments {
            self.rows.fetch_add(segment.tokens.len(), Ordering::Relaxed);
            let states = segment.tokens.iter().map(|&token| token as f32);
            self.logits.extend(states);
        }
        Ok(&self.logits)
    }

    fn copy_block(&mut self, from: u32, to: u32) {
        self.cache[to as usize] = self.cache[from as usize];
    }

    fn resident_bytes(&self) -> usize {
        0
    }

    fn isa(&self) -> &'static str {
        "fake"
    }
}

struct Setup {
    commands: mpsc::Sender<Command>,
    rows: Arc<AtomicUsize>,
    batches: Arc<Mutex<Vec<Vec<usize>>>>,
}

fn setup(context_tokens: usize, parallel: usize, fails: bool) -> Setup {
    let limits = Limits {
        context_tokens,
        batch_tokens: 100,
        parallel,
        spare: true,
    };
    let (rows, batches) = (Arc::default(), Arc::default());
    let mut fake = Fake {
        info: DecoderInfo {
            architecture: "fake".into(),
            context_tokens,
            vocab_size: VOCABULARY,
            embedding_length: 1,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            head_dim: 1,
            kv_bytes_per_token: 4,
            paged: true,
        },
        cache: Vec::new(),
        logits: Vec::new(),
        rows: Arc::clone(&rows),
        batches: Arc::clone(&batches),
        fails,
    };
    fake.reserve(limits.blocks(), 0).expect("memory");
    let (commands, _) =
        scheduler::start(Box::new(fake), vocabulary(), limits).expect("a thread starts");
    Setup {
        commands,
        rows,
        batches,
    }
}

fn request(prompt: &str, predict: i64) -> Generation {
    Generation {
        prompt: prompt.bytes().map(u32::from).collect(),
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        predict,
        keep: 4,
        shift: true,
        stop: Vec::new(),
        printed: Vec::new(),
        logprobs: None,
        candidates: 1,
        tenant: "t".into(),
        constraint: None,
    }
}

impl Setup {
    async fn send(&self, request: Generation) -> mpsc::Receiver<Event> {
        let (events, receiver) = mpsc::channel(64);
        let masks = (0..request.candidates).map(|_| None).collect();
        let command = Command::Generate(Box::new(request), masks, events);
        assert!(
            self.commands.send(command).await.is_ok(),
            "the thread lives"
        );
        receiver
    }

    async fn answer(&self, request: Generation) -> (String, StopReason, Usage) {
        collect(self.send(request).await).await
    }
}

async fn collect(mut events: mpsc::Receiver<Event>) -> (String, StopReason, Usage) {
    let mut all = String::new();
    loop {
        match events.recv().await.expect("an answer ends with Done") {
            Event::Text { text, .. } => all.push_str(&text),
            Event::Done { reason, usage, .. } => return (all, reason, usage),
            Event::Failed(reason) => panic!("{reason}"),
        }
    }
}

#[tokio::test]
async fn a_long_prompt_is_read_in_chunks_and_answered_rightly() {
    let setup = setup(1024, 1, false);
    let prompt = "x".repeat(333);
    let (text, reason, usage) = setup.answer(request(&prompt, 20)).await;
    assert_eq!(text, expected(&prompt, 20));
    assert_eq!((reason, usage.prompt_tokens), (StopReason::Length, 333));
    assert_eq!((usage.completion_tokens, usage.cached_tokens), (20, 0));
    assert_eq!(
        setup.batches.lock().unwrap()[..4],
        [[100], [100], [100], [33]]
    );
}

#[tokio::test]
async fn answers_in_one_batch_do_not_mix() {
    let setup = setup(512, 4, false);
    let prompts: Vec<String> = (0..9)
        .map(|i| format!("prompt number {i} {}", "y".repeat(i * 20)))
        .collect();
    let mut receivers = Vec::new();
    for prompt in &prompts {
        receivers.push(setup.send(request(prompt, 50)).await);
    }
    for (prompt, receiver) in prompts.iter().zip(receivers) {
        assert_eq!(collect(receiver).await.0, expected(prompt, 50));
    }
    assert!(
        setup.batches.lock().unwrap().iter().any(|b| b.len() == 4),
        "four at a time"
    );
}

#[tokio::test]
async fn a_follow_up_reuses_what_is_cached() {
    let setup = setup(512, 2, false);
    let first = "a question of some length, more than a block of tokens";
    let answer = setup.answer(request(first, 30)).await.0;
    let follow_up = format!("{first}{answer} and more");
    let before = setup.rows.load(Ordering::Relaxed);
    let (text, _, usage) = setup.answer(request(&follow_up, 10)).await;
    assert_eq!(text, expected(&follow_up, 10));
    // The last drawn token was never evaluated; all before it was.
    assert_eq!(usage.cached_tokens, first.len() + 29);
    assert_eq!(
        setup.rows.load(Ordering::Relaxed) - before,
        " and more".len() + 1 + 9
    );
}

#[tokio::test]
async fn another_tenant_finds_nothing_cached() {
    let setup = setup(512, 2, false);
    let prompt = "p".repeat(100);
    setup.answer(request(&prompt, 5)).await;
    let other = Generation {
        tenant: "other".into(),
        ..request(&prompt, 5)
    };
    assert_eq!(setup.answer(other).await.2.cached_tokens, 0);
    assert_eq!(setup.answer(request(&prompt, 5)).await.2.cached_tokens, 99);
}

#[tokio::test]
async fn candidates_share_the_prompt() {
    let setup = setup(512, 4, false);
    let prompt = "q".repeat(128);
    let asked = Generation {
        candidates: 3,
        ..request(&prompt, 8)
    };
    let mut events = setup.send(asked).await;
    let mut texts = vec![String::new(); 3];
    let mut cached = vec![];
    while cached.len() < 3 {
        match events.recv().await.expect("three answers") {
            Event::Text {
                candidate, text, ..
            } => texts[candidate].push_str(&text),
            Event::Done { usage, .. } => cached.push(usage.cached_tokens),
            Event::Failed(reason) => panic!("{reason}"),
        }
    }
    assert_eq!(texts, vec![expected(&prompt, 8); 3]);
    cached.sort_unstable();
    assert_eq!((cached[0], cached[1] >= 96), (0, true), "{cached:?}");
}

#[tokio::test]
async fn a_full_context_moves_on_or_ends() {
    let setup = setup(64, 1, false);
    let prompt = "z".repeat(40);
    let (text, reason, _) = setup.answer(request(&prompt, 200)).await;
    assert_eq!((text.len(), reason), (200, StopReason::Length));
    // Up to the full context the text is as ever; the last token drawn there may stand outside.
    assert_eq!(text[..25], expected(&prompt, 25));

    let still = Generation {
        shift: false,
        ..request(&prompt, 200)
    };
    let (text, reason, _) = setup.answer(still).await;
    assert_eq!((text, reason), (expected(&prompt, 25), StopReason::Length));
}

#[tokio::test]
async fn moving_on_keeps_the_start_and_the_newer_half() {
    let setup = setup(64, 1, false);
    let prompt = "k".repeat(40);
    let text = setup.answer(request(&prompt, 60)).await.0;
    let mut tokens: Vec<u32> = prompt.bytes().map(u32::from).collect();
    let mut want = String::new();
    for _ in 0..60 {
        if tokens.len() > 64 {
            tokens.drain(4..4 + (tokens.len() - 4).div_ceil(2));
        }
        let token = next(&tokens);
        tokens.push(token);
        want.push(token as u8 as char);
    }
    assert_eq!(text, want);
}

#[test]
fn what_was_forced_beyond_the_context_goes_at_once() {
    let (events, _reader) = mpsc::channel(1);
    let mut sequence = Sequence::new(&request("abcd", 10), 0, 64, None, events);
    sequence.tokens = (0..250).collect();
    assert!(sequence.move_on(64));
    let want: Vec<u32> = (0..4).chain(190..250).collect();
    assert_eq!(sequence.tokens, want);
}

#[tokio::test]
async fn a_stop_text_ends_the_answer_and_stays_hidden() {
    let setup = setup(512, 1, false);
    let whole = expected("hello", 40);
    let stop = whole[10..13].to_owned();
    let at = whole.find(&stop).expect("it is a part");
    let asked = Generation {
        stop: vec![stop],
        ..request("hello", 40)
    };
    let (text, reason, _) = setup.answer(asked).await;
    assert_eq!((text.as_str(), reason), (&whole[..at], StopReason::Stop));
}

#[tokio::test]
async fn log_probabilities_come_one_per_token() {
    let setup = setup(512, 1, false);
    let mut events = setup
        .send(Generation {
            logprobs: Some(3),
            ..request("hello", 10)
        })
        .await;
    let mut all = Vec::new();
    while let Some(Event::Text { logprobs, .. }) = events.recv().await {
        all.extend(logprobs);
    }
    assert_eq!(all.len(), 10);
    let total = (9f32.exp() + 256.0).ln();
    for entry in all {
        assert_eq!((entry.top.len(), &entry.top[0]), (3, &entry.token));
        assert!((entry.token.logprob - (9.0 - total)).abs() < 1e-4);
    }
}

#[tokio::test]
async fn a_dropped_reader_frees_its_place() {
    let setup = setup(4096, 1, false);
    let endless = setup.send(request("forever", -1)).await;
    drop(endless);
    let waited = tokio::time::timeout(Duration::from_secs(5), setup.answer(request("next", 5)));
    assert_eq!(
        waited.await.expect("the place is free").0,
        expected("next", 5)
    );
}

#[tokio::test]
async fn readers_who_leave_at_any_moment_leave_their_blocks() {
    let setup = setup(64, 1, false);
    for moment in 0..300 {
        let mut leaving = setup.send(request("leave", -1)).await;
        if moment % 3 > 0 {
            leaving.recv().await;
        }
        tokio::time::sleep(Duration::from_micros(moment % 7 * 30)).await;
    }
    let prompt = "z".repeat(40);
    let text = setup.answer(request(&prompt, 20)).await.0;
    assert_eq!(text, expected(&prompt, 20));
}

#[tokio::test]
async fn texts_are_embedded_between_the_steps_of_answers() {
    let setup = setup(512, 2, false);
    let texts = |count: usize| vec![vec![2u32, 4, 9]; count];
    let (reply, vectors) = oneshot::channel();
    let command = Command::Embed(texts(3), reply);
    assert!(setup.commands.send(command).await.is_ok());
    let vectors = vectors.await.expect("a reply").expect("vectors");
    assert_eq!(vectors, vec![vec![5.0]; 3]);

    let (reply, mut vectors) = oneshot::channel();
    let command = Command::Embed(texts(100_000), reply);
    assert!(setup.commands.send(command).await.is_ok());
    assert_eq!(setup.answer(request("now", 5)).await.0, expected("now", 5));
    assert!(vectors.try_recv().is_err(), "all texts went first");
    drop(vectors);
    setup.answer(request("later", 5)).await;
    let before = setup.rows.load(Ordering::Relaxed);
    setup.answer(request("at last", 5)).await;
    let done = setup.rows.load(Ordering::Relaxed) - before;
    assert!(done < 20, "{done} rows for nobody");
}

#[tokio::test]
async fn a_token_that_the_weights_do_not_know_fails_its_own_answer_only() {
    let setup = setup(512, 2, false);
    let running = setup.send(request("sound", 200)).await;
    let unknown = Generation {
        prompt: vec![1, VOCABULARY as u32],
        ..request("", 5)
    };
    let Some(Event::Failed(reason)) = setup.send(unknown).await.recv().await else {
        panic!("no failure")
    };
    assert!(reason.contains("token 257"), "{reason}");
    assert_eq!(collect(running).await.0, expected("sound", 200));
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody() {
    let setup = setup(4096, 2, false);
    let mut slow = setup.send(request("slow", 500)).await;
    let waited = tokio::time::timeout(Duration::from_secs(5), setup.answer(request("quick", 300)));
    assert_eq!(
        waited.await.expect("it does not wait").0,
        expected("quick", 300)
    );
    let mut text = String::new();
    while let Some(Event::Text { text: more, .. }) = slow.recv().await {
        text.push_str(&more);
    }
    assert_eq!(text, expected("slow", 500));
}

#[tokio::test]
async fn a_failed_step_is_told_and_the_thread_goes_on() {
    let setup = setup(512, 1, true);
    for _ in 0..2 {
        let mut events = setup.send(request("x", 5)).await;
        let Some(Event::Failed(reason)) = events.recv().await else {
            panic!("no failure")
        };
        assert!(reason.contains("on purpose"), "{reason}");
    }
}
