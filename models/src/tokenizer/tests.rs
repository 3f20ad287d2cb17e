use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::gguf::Value;
use crate::gguf::write::GgufWriter;

/// The folder of facts made by other programs, or `None` (said on stdout) where it is not there.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let folder = std::env::var_os("WICK_FIXTURES").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../shared/fixtures"
            ))
        },
        PathBuf::from,
    );
    // A checkout may lie one folder deeper.
    let deeper = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/fixtures"
    ));
    let found = [folder, deeper].into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no fixtures, set WICK_FIXTURES");
    }
    found
}

fn vocabulary(name: &str) -> Option<Tokenizer> {
    let path = fixtures()?.join(format!("tokenizers/ggml-vocab-{name}.gguf"));
    let gguf = Gguf::header_only(&path).unwrap();
    Some(Tokenizer::from_gguf(&gguf).unwrap())
}

fn lines_are_equal(name: &str) {
    let Some(tokenizer) = vocabulary(name) else {
        return;
    };
    let base = fixtures().unwrap().join("tokenizers");
    let inputs = std::fs::read_to_string(base.join(format!("ggml-vocab-{name}.gguf.inp"))).unwrap();
    let outputs =
        std::fs::read_to_string(base.join(format!("ggml-vocab-{name}.gguf.out"))).unwrap();
    // A separator follows the last text too.
    let mut inputs: Vec<_> = inputs.split("\n__ggml_vocab_test__\n").collect();
    assert_eq!(inputs.pop(), Some(""));
    let mut outputs = outputs.lines();
    let mut wrong = Vec::new();
    for input in &inputs {
        let line = outputs.next().expect("a line for every text");
        let want: Vec<u32> = line
            .split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect();
        let got = tokenizer.encode(input, AddSpecial::No).unwrap();
        if got != want {
            wrong.push(format!("{input:?}\n  want {want:?}\n  got  {got:?}"));
        }
    }
    assert!(inputs.len() > 40, "only {} texts", inputs.len());
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

#[test]
fn llama_bpe_equals_llama_cpp() {
    lines_are_equal("llama-bpe");
}

#[test]
fn llama_spm_equals_llama_cpp() {
    lines_are_equal("llama-spm");
}

#[test]
fn bert_bge_equals_llama_cpp() {
    lines_are_equal("bert-bge");
}

#[test]
fn qwen2_equals_llama_cpp() {
    lines_are_equal("qwen2");
}

#[test]
fn prompts_of_a_real_model_start_with_bos() {
    let Some(fixtures) = fixtures() else { return };
    let gguf = Gguf::header_only(&fixtures.join("stories260K/stories260K.gguf")).unwrap();
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let facts = std::fs::read(fixtures.join("stories260K/greedy.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap();
    for case in facts["cases"].as_array().unwrap() {
        let prompt = case["prompt"].as_str().unwrap();
        let want: Vec<u32> = serde_json::from_value(case["prompt_tokens"].clone()).unwrap();
        assert_eq!(tokenizer.encode(prompt, AddSpecial::Yes).unwrap(), want);
        let answer: Vec<u32> = serde_json::from_value(case["tokens"].clone()).unwrap();
        let mut stream = tokenizer.stream();
        let mut text: String = answer
            .iter()
            .filter_map(|&id| stream.push(&tokenizer, id))
            .collect();
        text.extend(stream.finish());
        assert_eq!(text, case["text"].as_str().unwrap());
    }
}

const TEXTS: [&str; 12] = [
    "",
    " ",
    "Hello, world!",
    "  two  spaces   and more ",
    "line\nline\r\n\r\n\tindented\n",
    "naïve café 你好 世界 🦀🚀 ½",
    "it's WE'LL they've 12345 3.14",
    "def f(x):\n    return x  # underline",
    "\u{0}\u{1}\u{7f}\u{feff}",
    "e\u{301}\u{200d}\u{fffd}",
    "ЖЖЖ עברית ไทย हिन्दी",
    "<s> is no <|eot_id|> but <|unknown|> <0x0A>",
];

#[test]
fn decoding_what_was_encoded_gives_the_text() {
    for name in ["llama-bpe", "llama-spm", "qwen2"] {
        let Some(tokenizer) = vocabulary(name) else {
            return;
        };
        for text in TEXTS {
            let plain = tokenizer.encode(text, AddSpecial::No).unwrap();
            assert_eq!(tokenizer.decode(&plain, Specials::Keep), text, "{name}");
            // With BOS written out it is the same sequence again.
            let ids = tokenizer.encode(text, AddSpecial::Yes).unwrap();
            let written = tokenizer.decode(&ids, Specials::Keep);
            assert_eq!(
                tokenizer.encode(&written, AddSpecial::No).unwrap(),
                ids,
                "{name}"
            );
        }
    }
}

#[test]
fn special_tokens_in_a_text_are_found() {
    let Some(tokenizer) = vocabulary("llama-bpe") else {
        return;
    };
    let text = "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>";
    let ids = tokenizer.encode(text, AddSpecial::Yes).unwrap();
    assert_eq!(ids, [128000, 128006, 882, 128007, 271, 13347, 128009]);
    assert!(tokenizer.is_special(128009) && tokenizer.is_end_of_generation(128009));
    assert!(tokenizer.is_end_of_generation(128001) && !tokenizer.is_end_of_generation(128006));
    assert_eq!(tokenizer.token_bytes(128009), b"");
    assert_eq!(tokenizer.token_text(128009), "<|eot_id|>");
    assert_eq!(tokenizer.token_id("<|eot_id|>"), Some(128009));
    assert_eq!(tokenizer.decode(&ids[1..], Specials::Keep), text);
    assert_eq!(tokenizer.decode(&ids, Specials::Skip), "user\n\nHi");
    // The file does not say so, its kind of vocabulary does.
    assert!(tokenizer.adds_bos() && !tokenizer.adds_eos());
    let doubled = tokenizer
        .encode("<|begin_of_text|>Hi", AddSpecial::Yes)
        .unwrap();
    assert_eq!(doubled, [128000, 13347]);
    let literal = tokenizer.encode_literal(text, true).unwrap();
    assert!(
        literal.iter().all(|&id| !tokenizer.is_special(id)),
        "{literal:?}"
    );
    assert_eq!(tokenizer.decode(&literal, Specials::Skip), text);
}

#[test]
fn qwen_stops_at_its_message_end() {
    let Some(tokenizer) = vocabulary("qwen2") else {
        return;
    };
    let ids = tokenizer
        .encode("<|im_start|>user\nHi<|im_end|>", AddSpecial::Yes)
        .unwrap();
    assert_eq!((ids[0], ids[ids.len() - 1]), (151644, 151645));
    assert!(tokenizer.is_end_of_generation(151645) && tokenizer.is_end_of_generation(151643));
    assert!(!tokenizer.adds_bos());
    assert!(tokenizer.chat_template().unwrap().contains("<|im_start|>"));
}

#[test]
fn ids_outside_the_vocabulary_print_nothing() {
    let Some(tokenizer) = vocabulary("llama-spm") else {
        return;
    };
    assert_eq!(tokenizer.token_bytes(u32::MAX), b"");
    assert_eq!(tokenizer.token_text(32_000), "");
    assert_eq!(
        tokenizer.decode(&[15043, u32::MAX], Specials::Keep),
        "Hello"
    );
    assert!(!tokenizer.is_special(u32::MAX) && !tokenizer.is_end_of_generation(u32::MAX));
}

/// A text of 100 kB without a place to split takes no longer than others: it would be minutes if
/// joining were quadratic.
#[test]
fn long_texts_without_words_are_encoded() {
    for name in ["llama-spm", "llama-bpe", "bert-bge"] {
        let Some(tokenizer) = vocabulary(name) else {
            return;
        };
        for text in [
            "a".repeat(100_000),
            " ".repeat(100_000),
            "ab \n".repeat(25_000),
        ] {
            let ids = tokenizer.encode(&text, AddSpecial::No).unwrap();
            if name != "bert-bge" {
                assert_eq!(tokenizer.decode(&ids, Specials::Keep), text, "{name}");
            }
        }
    }
}

/// A vocabulary written by the test.
struct Handmade {
    metadata: Vec<(&'static str, Value)>,
}

impl Handmade {
    fn new(model: &str, tokens: &[&str]) -> Handmade {
        Handmade {
            metadata: vec![
                ("general.architecture", Value::String("llama".into())),
                ("tokenizer.ggml.model", Value::String(model.into())),
                ("tokenizer.ggml.tokens", texts(tokens)),
            ],
        }
    }

    fn with(mut self, key: &'static str, value: Value) -> Handmade {
        self.metadata.retain(|(existing, _)| *existing != key);
        self.metadata.push((key, value));
        self
    }

    fn build(&self) -> Result<Tokenizer, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocab.gguf");
        let metadata: Vec<_> = self
            .metadata
            .iter()
            .map(|(key, value)| (*key, value))
            .collect();
        let file = std::fs::File::create(&path).unwrap();
        GgufWriter::new(file, &metadata, &[])
            .unwrap()
            .finish()
            .unwrap();
        Tokenizer::from_gguf(&Gguf::header_only(&path)?)
    }
}

fn texts(texts: &[&str]) -> Value {
    Value::Texts(texts.iter().collect())
}

fn numbers(numbers: &[i32]) -> Value {
    Value::Array(numbers.iter().map(|&number| Value::I32(number)).collect())
}

fn scores(scores: &[f32]) -> Value {
    Value::Array(scores.iter().map(|&score| Value::F32(score)).collect())
}

#[test]
fn equal_scores_are_joined_from_the_left() {
    let tokenizer = Handmade::new("llama", &["<unk>", "a", "aa", "aaa", "▁"])
        .with(
            "tokenizer.ggml.scores",
            scores(&[0.0, 0.0, -1.0, -1.0, 0.0]),
        )
        .with("tokenizer.ggml.token_type", numbers(&[2, 1, 1, 1, 1]))
        .with("tokenizer.ggml.add_space_prefix", Value::Bool(false))
        .build()
        .unwrap();
    let encode = |text| tokenizer.encode(text, AddSpecial::No).unwrap();
    // The leftmost pair first, then it grows to the right before another pair forms.
    assert_eq!(encode("aaaaa"), [3, 2]);
    assert_eq!(encode("aaaa"), [3, 1]);
    // No byte tokens here, so what is not known is unknown, once for each byte.
    assert_eq!(encode("aé"), [1, 0, 0]);
}

#[test]
fn bytes_stand_in_for_unknown_characters() {
    let tokenizer = Handmade::new("llama", &["<unk>", "<0xC3>", "<0xA9>", "▁"])
        .with("tokenizer.ggml.token_type", numbers(&[2, 6, 6, 1]))
        .build()
        .unwrap();
    let ids = tokenizer.encode("é", AddSpecial::No).unwrap();
    assert_eq!(ids, [3, 1, 2]);
    assert_eq!(tokenizer.token_bytes(1), [0xC3]);
    assert_eq!(tokenizer.decode(&ids, Specials::Keep), "é");
}

#[test]
fn fill_in_the_middle_as_codellama_writes_it() {
    let tokens = [
        "<unk>", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁", "a", "▁a", "▁<EOT>",
    ];
    let tokenizer = Handmade::new("llama", &tokens)
        .with(
            "tokenizer.ggml.token_type",
            numbers(&[2, 3, 3, 3, 1, 1, 1, 3]),
        )
        .with(
            "tokenizer.ggml.scores",
            scores(&[0.0, 0.0, 0.0, 0.0, -9.0, -9.0, -1.0, 0.0]),
        )
        .build()
        .unwrap();
    let want = FimTokens {
        prefix: 1,
        suffix: 2,
        middle: 3,
    };
    assert_eq!(tokenizer.fim(), Some(want));
    assert!(tokenizer.is_end_of_generation(7));
    let ids = tokenizer
        .encode("<PRE> a <SUF>a <MID>", AddSpecial::No)
        .unwrap();
    assert_eq!(ids, [1, 6, 2, 6, 3]);
    let literal = |text: &str, starts: bool| tokenizer.encode_literal(text, starts).unwrap();
    assert_eq!(
        (literal("a", true), literal("a", false)),
        (vec![6], vec![5])
    );
    assert!(literal("", true).is_empty());
    assert!(!literal("<PRE> a", true).contains(&1));
}

#[test]
fn fim_keys_win_over_names() {
    let tokens = [
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "other",
    ];
    let vocabulary = || Handmade::new("gpt2", &tokens).with("tokenizer.ggml.merges", texts(&[]));
    let named = vocabulary().build().unwrap().fim().unwrap();
    assert_eq!((named.prefix, named.suffix, named.middle), (0, 1, 2));
    let keyed = vocabulary()
        .with("tokenizer.ggml.fim_mid_token_id", Value::U32(3))
        .with("tokenizer.ggml.prefix_token_id", Value::I32(-1))
        .build()
        .unwrap();
    assert_eq!(keyed.fim().unwrap().middle, 3);
    assert_eq!(keyed.fim().unwrap().prefix, 0);
}

#[test]
fn harmony_ends_at_return_and_call_only() {
    let tokens = ["<|return|>", "<|call|>", "<|end|>", "<|channel|>"];
    let tokenizer = Handmade::new("gpt2", &tokens)
        .with("tokenizer.ggml.merges", texts(&[]))
        .with("tokenizer.ggml.token_type", numbers(&[3, 3, 3, 3]))
        .build()
        .unwrap();
    assert_eq!(tokenizer.end_of_generation(), [0, 1]);
    assert_eq!(tokenizer.token_bytes(3), b"<|channel|>");
}

#[test]
fn byte_level_merges_follow_their_rank() {
    let tokens = ["a", "b", "c", "ab", "bc", "Ġ", "Ġa"];
    let tokenizer = |merges: &[&str]| {
        Handmade::new("gpt2", &tokens)
            .with("tokenizer.ggml.pre", Value::String("gpt-2".into()))
            .with("tokenizer.ggml.merges", texts(merges))
            .build()
            .unwrap()
    };
    let encode = |merges: &[&str]| tokenizer(merges).encode("abc", AddSpecial::No).unwrap();
    assert_eq!(encode(&["a b", "b c"]), [3, 2]);
    assert_eq!(encode(&["b c", "a b"]), [0, 4]);
    // Merges that make nothing, or of nothing, do no harm.
    assert_eq!(
        encode(&["c c", "", " ", "x", "a b", "zz zz zz", "ab c"]),
        [3, 2]
    );
}

#[test]
fn an_unknown_pre_tokenizer_still_loads() {
    let tokenizer = Handmade::new("gpt2", &["1", "2", "12"])
        .with("tokenizer.ggml.pre", Value::String("of-tomorrow".into()))
        .with("tokenizer.ggml.merges", texts(&["1 2"]))
        .build()
        .unwrap();
    assert_eq!(
        tokenizer.encode("1212", AddSpecial::No).unwrap(),
        [2, 1 - 1, 1]
    );
}

#[test]
fn bad_vocabularies_are_refused_by_name() {
    let bert = || Handmade::new("bert", &["a"]);
    let spm = || Handmade::new("llama", &["a", "b"]);
    let bad = [
        (
            Handmade::new("of-tomorrow", &["a"]),
            "'of-tomorrow' are not supported",
        ),
        (
            Handmade::new("gpt2", &["a"]),
            "'tokenizer.ggml.merges' is missing",
        ),
        (Handmade::new("llama", &[]), "0 tokens make no vocabulary"),
        (bert(), "'tokenizer.ggml.unknown_token_id' is missing"),
        (
            spm().with("tokenizer.ggml.tokens", numbers(&[1])),
            "element 0 is 1",
        ),
        (
            spm().with("tokenizer.ggml.scores", scores(&[1.0])),
            "1 scores for 2 tokens",
        ),
        (
            spm().with("tokenizer.ggml.token_type", numbers(&[1])),
            "1 types for 2 tokens",
        ),
        (
            spm().with("tokenizer.ggml.token_type", numbers(&[-1, 1])),
            "element 0 is -1",
        ),
        (
            spm().with("tokenizer.ggml.add_bos_token", Value::U8(1)),
            "'tokenizer.ggml.add_bos_token' is 1",
        ),
        (
            spm().with("tokenizer.ggml.eos_token_ids", texts(&["a"])),
            "eos_token_ids",
        ),
        (
            spm().with("tokenizer.chat_template", Value::Bool(true)),
            "chat_template",
        ),
    ];
    for (vocabulary, words) in bad {
        let message = vocabulary.build().expect_err(words).to_string();
        assert!(message.contains(words), "'{message}' lacks '{words}'");
        assert!(message.contains("vocab.gguf"), "{message}");
    }
}

#[test]
fn ids_outside_the_vocabulary_count_as_none() {
    let tokenizer = Handmade::new("llama", &["a"])
        .with("tokenizer.ggml.bos_token_id", Value::U32(7))
        .with("tokenizer.ggml.eos_token_id", Value::U32(u32::MAX))
        .with("tokenizer.ggml.add_eos_token", Value::Bool(true))
        .build()
        .unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (None, None));
    assert_eq!(
        tokenizer.encode("", AddSpecial::Yes).unwrap(),
        [] as [u32; 0]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Vocabularies of any texts, kinds, scores and merges give a tokenizer or an error.
    #[test]
    fn handmade_vocabularies_never_panic(
        model in prop::sample::select(vec!["gpt2", "llama", "bert"]),
        pre in prop::sample::select(vec!["llama-bpe", "tekken", "default"]),
        tokens in prop::collection::vec("(▁|##|<0x0|Ġ|)[ab▁ <>\\[\\]]{0,3}", 1..12),
        kinds in prop::collection::vec(0..8_i32, 12),
        score in prop::collection::vec(prop::num::f32::ANY, 12),
        merges in prop::collection::vec("[abĠ▁]{0,3} ?[abĠ▁]{0,3}", 0..8),
        text in "(\\PC|[ab ▁<>\\[\\]\n]){0,40}",
    ) {
        let tokens: Vec<_> = tokens.iter().map(String::as_str).collect();
        let merges: Vec<_> = merges.iter().map(String::as_str).collect();
        let vocabulary = Handmade::new(model, &tokens)
            .with("tokenizer.ggml.pre", Value::String(pre.into()))
            .with("tokenizer.ggml.token_type", numbers(&kinds))
            .with("tokenizer.ggml.scores", scores(&score))
            .with("tokenizer.ggml.merges", texts(&merges))
            .with("tokenizer.ggml.unknown_token_id", Value::U32(0));
        let tokenizer = vocabulary.build().unwrap();
        let ids = tokenizer.encode(&text, AddSpecial::Yes).unwrap();
        for &id in &ids {
            prop_assert!((id as usize) < tokenizer.vocab_size());
        }
        tokenizer.decode(&ids, Specials::Keep);
    }

    #[test]
    fn any_text_comes_back(text in "(\\PC|\n| ){0,60}") {
        static LLAMA: LazyLock<Option<Tokenizer>> = LazyLock::new(|| vocabulary("llama-bpe"));
        static SPM: LazyLock<Option<Tokenizer>> = LazyLock::new(|| vocabulary("llama-spm"));
        for tokenizer in [&*LLAMA, &*SPM].into_iter().flatten() {
            let ids = tokenizer.encode(&text, AddSpecial::No).unwrap();
            // A vocabulary that writes spaces as U+2581 cannot tell the two apart.
            if !text.contains('▁') {
                prop_assert_eq!(tokenizer.decode(&ids, Specials::Keep), text.clone());
            }
        }
    }
}
