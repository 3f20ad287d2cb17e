//! Small models made for these tests.
//!
//! The decoder is a parrot: attention and feed-forward add nothing, every token has a direction of
//! its own, and the output matrix maps each token's direction to the token that follows it in a
//! script. The last token of a prompt therefore decides, word by word, what the model says. The
//! encoder has seeded random weights.

/// GGUF's number of a value's type.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const ALIGNMENT: usize = 32;

/// Token types of a vocabulary.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const BYTE: i32 = 6;

/// A trigger, what is said after it, and whether that goes round: the last word is followed by the end of the turn, or
/// by the first word.
pub(crate) type Script = (&'static str, &'static [&'static str], bool);

/// What the parrot says after each trigger.
const SCRIPTS: [Script; 13] = [
    ("<|hello|>", &["Hello", "▁there", "!"], false),
    ("<|story|>", &["Once", "▁upon", "▁a", "▁time", "▁and"], true),
    (
        "<|think|>",
        &[
            "<think>",
            "Capital▁of",
            "▁Japan",
            "</think>",
            "\n\n",
            "Tokyo",
        ],
        false,
    ),
    (
        "<|tool|>",
        &[
            "{\"name\":▁\"weather\",",
            "▁\"parameters\":",
            "▁{\"location\":▁\"Paris\"}}",
        ],
        false,
    ),
    (
        "<|braces|>",
        &["{\"name\":▁\"nobody\",", "▁\"parameters\":▁{}}"],
        false,
    ),
    (
        "<|emoji|>",
        &["<0xF0>", "<0x9F>", "<0x8E>", "<0x89>", "▁done"],
        false,
    ),
    ("<|json|>", &["{\"a\":", "▁1}"], false),
    (
        "<|wisdom|>",
        &["<think>▁", "a▁form", "</think>▁", "{\"b\":", "▁2}"],
        false,
    ),
    ("<|musing|>", &["▁<think>", "no▁end"], false),
    ("<|middle|>", &["return", "▁x"], false),
    (
        "<|page|>",
        &[
            "Save▁more.",
            "▁<img▁src=x▁onerror=\"window.hacked=true\">",
            "▁<script>window.hacked=true</script>",
            "▁[more](javascript:window.hacked=true)",
            "▁\"quoted\"▁&▁done.",
        ],
        false,
    ),
    ("<|inside|>", &["only", "▁thoughts"], false),
    (
        "<|sql|>",
        &["SELECT▁name", "▁FROM▁users", "▁WHERE▁status", "▁=▁'active'"],
        false,
    ),
];

/// Says these words to whoever has no script: after an ordinary token comes this one.
const FALLBACK: &str = "Hello";

/// A file under construction.
struct File {
    metadata: Vec<u8>,
    metadata_count: u64,
    tensors: Vec<(String, Vec<u64>, Vec<f32>)>,
}

impl File {
    fn new(architecture: &str) -> File {
        let mut file = File {
            metadata: Vec::new(),
            metadata_count: 0,
            tensors: Vec::new(),
        };
        file.text("general.architecture", architecture);
        file.text("general.name", "made for a test");
        file.number("general.file_type", 0);
        file
    }

    fn key(&mut self, key: &str, kind: u32) {
        self.metadata_count += 1;
        push_text(&mut self.metadata, key);
        self.metadata.extend(kind.to_le_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key, STRING);
        push_text(&mut self.metadata, value);
    }

    fn number(&mut self, key: &str, value: u32) {
        self.key(key, U32);
        self.metadata.extend(value.to_le_bytes());
    }

    fn float(&mut self, key: &str, value: f32) {
        self.key(key, F32);
        self.metadata.extend(value.to_le_bytes());
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.key(key, BOOL);
        self.metadata.push(value.into());
    }

    fn list(&mut self, key: &str, kind: u32, count: usize, bytes: &[u8]) {
        self.key(key, ARRAY);
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend((count as u64).to_le_bytes());
        self.metadata.extend(bytes);
    }

    fn texts(&mut self, key: &str, values: &[String]) {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| push_text(&mut bytes, value));
        self.list(key, STRING, values.len(), &bytes);
    }

    /// `shape` is written innermost dimension first, as the format has it.
    fn tensor(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        let shape = shape.iter().map(|&n| n as u64).collect();
        self.tensors.push((name.to_owned(), shape, values));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend(self.metadata_count.to_le_bytes());
        out.extend(&self.metadata);
        let mut offset = 0;
        for (name, shape, values) in &self.tensors {
            push_text(&mut out, name);
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|n| out.extend(n.to_le_bytes()));
            out.extend(0_u32.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset += (values.len() * 4).next_multiple_of(ALIGNMENT);
        }
        for (_, _, values) in &self.tensors {
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
            values
                .iter()
                .for_each(|value| out.extend(value.to_le_bytes()));
        }
        out
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Marks around a gap, as the metadata names them; after the last one `<|middle|>`'s script is said.
const MARKS: [(&str, &str); 3] = [
    ("fim_pre", "<|before|>"),
    ("fim_suf", "<|after|>"),
    ("fim_mid", "<|middle|>"),
];

/// Tokens the parrot was trained on.
const CONTEXT_TOKENS: u32 = 256;
/// A filler reads code, a token per letter.
const LONG_CONTEXT_TOKENS: u32 = 4096;

/// A Llama that says what its prompt's last token tells it to; trained on 256 tokens.
pub(crate) fn parrot(chat_template: Option<&str>) -> Vec<u8> {
    bird(chat_template, false, CONTEXT_TOKENS)
}

/// A parrot that listens to long prompts.
pub(crate) fn listener() -> Vec<u8> {
    bird(None, false, LONG_CONTEXT_TOKENS)
}

/// A listener with a script of its own. What a word is followed by does not depend on what was before it. Texts that are
/// `whole` are one token wherever they stand.
pub(crate) fn actor(scripts: &[Script], whole: &[&str]) -> Vec<u8> {
    hatch(scripts, whole, None, false, LONG_CONTEXT_TOKENS)
}

/// A parrot that was told where prefix, suffix and gap are.
pub(crate) fn filler() -> Vec<u8> {
    bird(None, true, LONG_CONTEXT_TOKENS)
}

fn bird(chat_template: Option<&str>, knows_gaps: bool, context_tokens: u32) -> Vec<u8> {
    hatch(&SCRIPTS, &[], chat_template, knows_gaps, context_tokens)
}

fn hatch(
    scripts: &[Script],
    whole: &[&str],
    chat_template: Option<&str>,
    knows_gaps: bool,
    context_tokens: u32,
) -> Vec<u8> {
    let mut tokens: Vec<(String, i32)> = vec![
        ("<unk>".into(), UNKNOWN),
        ("<s>".into(), CONTROL),
        ("</s>".into(), CONTROL),
    ];
    tokens.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), BYTE)));
    let id_of = |tokens: &mut Vec<(String, i32)>, text: &str, kind: i32| {
        tokens
            .iter()
            .position(|(known, _)| known == text)
            .unwrap_or_else(|| {
                tokens.push((text.to_owned(), kind));
                tokens.len() - 1
            })
    };
    for text in whole {
        id_of(&mut tokens, text, USER_DEFINED);
    }
    let mut next = Vec::new();
    for &(trigger, words, goes_round) in scripts {
        let trigger = id_of(&mut tokens, trigger, CONTROL);
        let words: Vec<usize> = words
            .iter()
            .map(|word| id_of(&mut tokens, word, NORMAL))
            .collect();
        let last = if goes_round { words[0] } else { 2 };
        next.extend(
            [trigger]
                .iter()
                .chain(&words)
                .copied()
                .zip(words.iter().copied().chain([last])),
        );
    }
    // A space on its own leads to an object: where an answer has a form, this is how it begins.
    let space = id_of(&mut tokens, "▁", NORMAL);
    next.push((space, id_of(&mut tokens, "{\"b\":", NORMAL)));
    let fallback = id_of(&mut tokens, FALLBACK, NORMAL);
    let marks = MARKS.map(|(name, text)| (name, id_of(&mut tokens, text, CONTROL)));
    // A direction per token; a multiple of what kernels take at a time.
    let width = tokens.len().next_multiple_of(64);
    let vocab = tokens.len();
    let mut follows = vec![fallback; vocab];
    next.iter().for_each(|&(from, to)| follows[from] = to);
    let mut embeddings = vec![0.0; vocab * width];
    let mut output = vec![0.0; vocab * width];
    for (token, &then) in follows.iter().enumerate() {
        embeddings[token * width + token] = 1.0;
        output[then * width + token] = 1.0;
    }
    let mut file = File::new("llama");
    for (key, value) in [
        ("block_count", 1),
        ("context_length", context_tokens),
        ("embedding_length", width as u32),
        ("feed_forward_length", 64),
        ("attention.head_count", (width / 64) as u32),
        ("attention.head_count_kv", 1),
        ("rope.dimension_count", 64),
    ] {
        file.number(&format!("llama.{key}"), value);
    }
    file.float("llama.attention.layer_norm_rms_epsilon", 1e-5);
    file.text("tokenizer.ggml.model", "llama");
    let scores = vec![0; vocab * 4];
    file.texts(
        "tokenizer.ggml.tokens",
        &tokens.iter().map(|(t, _)| t.clone()).collect::<Vec<_>>(),
    );
    file.list("tokenizer.ggml.scores", F32, vocab, &scores);
    let kinds: Vec<u8> = tokens
        .iter()
        .flat_map(|(_, kind)| kind.to_le_bytes())
        .collect();
    file.list("tokenizer.ggml.token_type", I32, vocab, &kinds);
    file.number("tokenizer.ggml.bos_token_id", 1);
    file.number("tokenizer.ggml.eos_token_id", 2);
    file.number("tokenizer.ggml.unknown_token_id", 0);
    file.flag("tokenizer.ggml.add_bos_token", true);
    file.flag("tokenizer.ggml.add_space_prefix", false);
    if knows_gaps {
        for (name, id) in marks {
            file.number(&format!("tokenizer.ggml.{name}_token_id"), id as u32);
        }
    }
    if let Some(template) = chat_template {
        file.text("tokenizer.chat_template", template);
    }
    file.tensor("token_embd.weight", &[width, vocab], embeddings);
    file.tensor("output.weight", &[width, vocab], output);
    file.tensor("output_norm.weight", &[width], vec![1.0; width]);
    for name in ["attn_norm", "ffn_norm"] {
        file.tensor(&format!("blk.0.{name}.weight"), &[width], vec![1.0; width]);
    }
    for (name, shape) in [
        ("attn_q", [width, width]),
        ("attn_k", [width, 64]),
        ("attn_v", [width, 64]),
        ("attn_output", [width, width]),
        ("ffn_gate", [width, 64]),
        ("ffn_up", [width, 64]),
        ("ffn_down", [64, width]),
    ] {
        let nothing = vec![0.0; shape[0] * shape[1]];
        file.tensor(&format!("blk.0.{name}.weight"), &shape, nothing);
    }
    file.bytes()
}

/// What changes a Llama a little; there is nothing in it.
pub(crate) fn adapter() -> Vec<u8> {
    let mut file = File::new("llama");
    file.text("general.type", "adapter");
    file.tensor("blk.0.attn_q.weight.lora_a", &[32, 1], vec![0.0; 32]);
    file.bytes()
}

/// A BERT with random weights that takes 16 tokens and makes vectors of 64 numbers.
pub(crate) fn encoder() -> Vec<u8> {
    const WIDTH: usize = 64;
    const WIDE: usize = 128;
    const POSITIONS: usize = 16;
    let words = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁why", "▁is", "▁the", "▁sky", "▁blue", "▁?",
    ];
    let tokens: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let mut file = File::new("bert");
    for (key, value) in [
        ("block_count", 1),
        ("context_length", POSITIONS),
        ("embedding_length", WIDTH),
        ("feed_forward_length", WIDE),
        ("attention.head_count", 2),
        ("pooling_type", 1),
    ] {
        file.number(&format!("bert.{key}"), value as u32);
    }
    file.float("bert.attention.layer_norm_epsilon", 1e-12);
    file.flag("bert.attention.causal", false);
    file.number("tokenizer.ggml.token_type_count", 2);
    file.text("tokenizer.ggml.model", "bert");
    file.texts("tokenizer.ggml.tokens", &tokens);
    let kinds = [CONTROL, UNKNOWN, CONTROL, CONTROL].into_iter();
    let kinds = kinds.chain(std::iter::repeat_n(NORMAL, tokens.len() - 4));
    let kinds: Vec<u8> = kinds.flat_map(i32::to_le_bytes).collect();
    file.list("tokenizer.ggml.token_type", I32, tokens.len(), &kinds);
    let ids = [
        ("padding_token_id", 0),
        ("unknown_token_id", 1),
        ("cls_token_id", 2),
        ("bos_token_id", 2),
        ("eos_token_id", 3),
        ("seperator_token_id", 3),
    ];
    ids.iter()
        .for_each(|(key, id)| file.number(&format!("tokenizer.ggml.{key}"), *id));
    let mut random = Random(7);
    file.tensor(
        "token_embd.weight",
        &[WIDTH, tokens.len()],
        random.list(WIDTH * tokens.len()),
    );
    file.tensor(
        "position_embd.weight",
        &[WIDTH, POSITIONS],
        random.list(WIDTH * POSITIONS),
    );
    file.tensor("token_types.weight", &[WIDTH, 2], random.list(WIDTH * 2));
    for name in [
        "token_embd_norm",
        "blk.0.attn_output_norm",
        "blk.0.layer_output_norm",
    ] {
        file.tensor(&format!("{name}.weight"), &[WIDTH], vec![1.0; WIDTH]);
        file.tensor(&format!("{name}.bias"), &[WIDTH], vec![0.1; WIDTH]);
    }
    for (name, columns, rows) in [
        ("attn_q", WIDTH, WIDTH),
        ("attn_k", WIDTH, WIDTH),
        ("attn_v", WIDTH, WIDTH),
        ("attn_output", WIDTH, WIDTH),
        ("ffn_up", WIDTH, WIDE),
        ("ffn_down", WIDE, WIDTH),
    ] {
        let weights = random.list(columns * rows);
        file.tensor(&format!("blk.0.{name}.weight"), &[columns, rows], weights);
        file.tensor(&format!("blk.0.{name}.bias"), &[rows], random.list(rows));
    }
    file.bytes()
}

/// Numbers that are the same on every run.
struct Random(u64);

impl Random {
    fn list(&mut self, count: usize) -> Vec<f32> {
        let next = |_| {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((self.0 >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.5
        };
        (0..count).map(next).collect()
    }
}
