use std::sync::LazyLock;

use proptest::prelude::*;
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Merges, Vocab};

use super::*;
use crate::tokenizer::pre_tokenizer::named;
use crate::tokenizer::tests::fixtures;
use crate::tokenizer::vocabulary::TokenKind;

/// Ours and the library's, of the same tokens and merges.
struct Both {
    vocabulary: Vocabulary,
    ours: Bpe,
    library: BPE,
}

impl Both {
    fn new(tokens: &Texts, merges: &Texts, pre: &'static PreTokenizer) -> Both {
        let kinds = vec![TokenKind::Normal; tokens.len()];
        let vocabulary = Vocabulary::new(tokens.clone(), kinds);
        Both {
            ours: Bpe::new(&vocabulary, merges, pre).unwrap(),
            library: library(tokens, merges, pre.whole_words),
            vocabulary,
        }
    }

    /// The ids of ours, once it is known that the library has the same.
    fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.ours.encode(text, &self.vocabulary, &mut ids);
        let mut expected = Vec::new();
        let Ok(()) = self.ours.splitter.split::<Infallible>(text, &mut |piece| {
            let mut word = String::new();
            byte_level::encode(piece, &mut word);
            let tokens = self.library.tokenize(&word).unwrap();
            expected.extend(tokens.into_iter().map(|token| token.id));
            Ok(())
        });
        assert_eq!(ids, expected, "{text:?}");
        ids
    }
}

/// Merges whose tokens are all known; the library refuses the others.
fn library(tokens: &Texts, merges: &Texts, whole_words: bool) -> BPE {
    let vocab: Vocab = tokens.iter().map(str::to_owned).zip(0..).collect();
    let parts = merges.iter().filter_map(|line| {
        let (at, _) = line.char_indices().skip(1).find(|&(_, char)| char == ' ')?;
        let (left, right) = (line[..at].to_owned(), line[at + 1..].to_owned());
        let all = [&left, &right, &format!("{left}{right}")];
        let known = all.into_iter().all(|text| vocab.contains_key(text));
        known.then_some((left, right))
    });
    let merges: Merges = parts.collect();
    BPE::builder()
        .vocab_and_merges(vocab, merges)
        .ignore_merges(whole_words)
        .cache_capacity(0)
        .build()
        .unwrap()
}

fn texts(texts: &[&str]) -> Texts {
    texts.iter().collect()
}

#[test]
fn ranks_decide_and_the_left_goes_first() {
    let tokens = texts(&["a", "b", "c", "ab", "bc", "aa"]);
    let encode = |merges: &[&str], text| {
        Both::new(&tokens, &texts(merges), named(Some("gpt-2"))).encode(text)
    };
    assert_eq!(encode(&["a b", "b c"], "abc"), [3, 2]);
    assert_eq!(encode(&["b c", "a b"], "abc"), [0, 4]);
    assert_eq!(encode(&["a a"], "aaaaa"), [5, 5, 0]);
    // Of two equal lines the later one says the rank.
    assert_eq!(encode(&["a b", "b c", "a b"], "abc"), [0, 4]);
    // What no token begins with is left out, and its neighbours meet.
    assert_eq!(encode(&["a b"], "adb"), [3]);
}

#[test]
fn whole_words_need_no_merge() {
    let tokens = texts(&["a", "b", "ab"]);
    let encode = |pre| Both::new(&tokens, &texts(&[]), named(Some(pre))).encode("ab");
    assert_eq!(encode("llama3"), [2]);
    assert_eq!(encode("gpt-2"), [0, 1]);
}

#[test]
fn of_equal_tokens_the_last_one_counts() {
    let tokens = texts(&["a", "b", "ab", "a", "ab"]);
    let both = Both::new(&tokens, &texts(&["a b"]), named(Some("gpt-2")));
    assert_eq!(both.encode("abb"), [4, 1]);
    assert_eq!(both.encode("ba"), [1, 3]);
}

#[test]
fn merges_of_real_vocabularies_make_what_the_library_makes() {
    let Some(fixtures) = fixtures() else { return };
    for name in ["llama-bpe", "qwen2"] {
        let path = fixtures.join(format!("tokenizers/ggml-vocab-{name}.gguf"));
        let gguf = Gguf::header_only(&path).unwrap();
        let list = |key| gguf.texts(key).unwrap().unwrap();
        let (tokens, merges) = (list("tokenizer.ggml.tokens"), list("tokenizer.ggml.merges"));
        // One that does not take whole words: these are made of merges too.
        let both = Both::new(tokens, merges, named(Some("gpt-2")));
        let mut joined = 0;
        for token in tokens.iter().step_by(5) {
            let mut bytes = Vec::new();
            byte_level::decode(token, &mut bytes);
            if let Ok(text) = std::str::from_utf8(&bytes) {
                joined += usize::from(both.encode(text).len() == 1);
            }
        }
        assert!(
            joined > 20_000,
            "{name}: {joined} tokens are made by merges"
        );
    }
}

/// A vocabulary that grows by random merges of what it has, in an order of its own, and lines that mean nothing.
fn vocabularies() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let pairs = prop::collection::vec((0..1000_usize, 0..1000_usize), 0..60);
    let noise = prop::collection::vec(("[abĠÃ]{0,3} ?[abĠ©]{0,3}", 0..1000_usize), 0..6);
    (pairs, noise, any::<u64>()).prop_map(|(pairs, noise, order)| {
        let mut tokens: Vec<String> = ["a", "b", "Ġ", "Ã", "©"].map(str::to_owned).to_vec();
        let mut lines = Vec::new();
        for (left, right) in pairs {
            let (left, right) = (&tokens[left % tokens.len()], &tokens[right % tokens.len()]);
            let joined = format!("{left}{right}");
            if joined.chars().count() > 12 {
                continue;
            }
            lines.push(format!("{left} {right}"));
            // Some are there twice, or are made in several ways.
            if !tokens.contains(&joined) || lines.len() % 7 == 0 {
                tokens.push(joined);
            }
        }
        for (line, at) in noise {
            lines.insert(at % (lines.len() + 1), line);
        }
        if !lines.is_empty() && order % 3 == 0 {
            let middle = (order % lines.len() as u64) as usize;
            lines.rotate_left(middle);
        }
        (tokens, lines)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_merges_make_what_the_library_makes(
        (tokens, lines) in vocabularies(),
        parts in prop::collection::vec("[ab é]{0,40}", 1..4),
    ) {
        static PRES: LazyLock<[&PreTokenizer; 2]> =
            LazyLock::new(|| ["llama3", "gpt-2"].map(|name| named(Some(name))));
        for &pre in &*PRES {
            let both = Both::new(&tokens.iter().collect(), &lines.iter().collect(), pre);
            for text in &parts {
                both.encode(text);
            }
        }
    }
}
