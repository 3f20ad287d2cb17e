//! Holds text to a form: which tokens may come next, and which are certain, by `llguidance`.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use lru::LruCache;
use serde_json::{Value, json};
use toktrie::{
    InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv,
};
use wick_models::{AddSpecial, Tokenizer};

use super::{Constraint, EngineError};

/// Space between the parts of JSON, as llama.cpp allows it: without a bound a small model can go on indenting
/// until its tokens run out.
const SPACE: &str = r" |\n[ \t]{0,20}";

/// Longest Lark text that is read.
const LARK_BYTES: usize = 512 << 10;

/// Grammars that are kept ready: an answer under one of them finds the words that earlier answers met.
const READY: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");
/// Answers after which a grammar is read anew, so that what it has met does not grow without end.
const MOST_USES: usize = 1000;

/// Makes masks for one vocabulary.
pub(super) struct Grammars {
    factory: ParserFactory,
    /// By tenant and what it is.
    ready: Mutex<LruCache<(String, Constraint), Ready>>,
}

struct Ready {
    matcher: Matcher,
    uses: usize,
    /// Whether an answer under it failed: what the answers share may be what failed.
    failed: Arc<AtomicBool>,
}

/// The state of one constrained answer.
pub(super) struct Mask {
    matcher: Matcher,
    /// What may come next, or why that is unknown; nothing after a token was taken.
    allowed: Option<Result<SimpleVob, String>>,
    failed: Arc<AtomicBool>,
}

impl Grammars {
    /// Sorts the vocabulary into a trie; a tenth of a second for 128k tokens.
    pub(super) fn new(tokenizer: Arc<Tokenizer>) -> Result<Self, EngineError> {
        let vocabulary = Vocabulary::new(tokenizer)?;
        let able = InferenceCapabilities {
            ff_tokens: vocabulary.exact,
            ..InferenceCapabilities::default()
        };
        let env: TokEnv = Arc::new(vocabulary);
        let mut factory = ParserFactory::new(&env, able, &[]).map_err(unreadable)?;
        factory.quiet();
        Ok(Self {
            factory,
            ready: Mutex::new(LruCache::new(READY)),
        })
    }

    /// A fresh mask for `constraint`; what was learnt of it before is shared within the tenant.
    pub(super) fn mask(&self, constraint: &Constraint, tenant: &str) -> Result<Mask, EngineError> {
        let key = (tenant.to_owned(), constraint.clone());
        let known = || self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = known().get_mut(&key) {
            ready.uses += 1;
            if ready.uses < MOST_USES && !ready.failed.load(Ordering::Relaxed) {
                return Ok(Mask::of(ready));
            }
        }
        let ready = Ready {
            matcher: self.matcher(constraint)?,
            uses: 1,
            failed: Arc::default(),
        };
        let mask = Mask::of(&ready);
        known().put(key, ready);
        Ok(mask)
    }

    fn matcher(&self, constraint: &Constraint) -> Result<Matcher, EngineError> {
        let mut schema = match constraint {
            Constraint::Json => json!({"type": "object"}),
            Constraint::Schema(schema) => schema.clone(),
            Constraint::Lark(text) | Constraint::Brief(text) => return self.lark(text),
        };
        if schema.is_object() {
            close(&mut schema);
            let options = JsonCompileOptions {
                whitespace_pattern: Some(SPACE.to_owned()),
                // Clients send what their libraries make of types: what no grammar can hold a text to is left open, and
                // of `oneOf` any will do, as in llama.cpp.
                lenient: true,
                ..JsonCompileOptions::default()
            };
            options.apply_to(&mut schema);
        }
        self.parsed(TopLevelGrammar::from_json_schema(schema))
    }

    fn lark(&self, text: &str) -> Result<Matcher, EngineError> {
        if text.len() > LARK_BYTES {
            return Err(EngineError::Constraint(format!(
                "the grammar has {} bytes, at most {LARK_BYTES} are read",
                text.len()
            )));
        }
        self.parsed(TopLevelGrammar::from_lark(text.to_owned()))
    }

    fn parsed(&self, grammar: TopLevelGrammar) -> Result<Matcher, EngineError> {
        let parser = self.factory.create_parser(grammar).map_err(unreadable)?;
        Ok(Matcher::new(Ok(parser)))
    }
}

impl Mask {
    fn of(ready: &Ready) -> Mask {
        Mask {
            matcher: ready.matcher.clone(),
            allowed: None,
            failed: ready.failed.clone(),
        }
    }

    /// Finds out what may come next. It needs no logits, so it can be done while they are computed.
    pub(super) fn prepare(&mut self) -> &Result<SimpleVob, String> {
        let Mask {
            matcher,
            allowed,
            failed,
        } = self;
        allowed.get_or_insert_with(|| {
            let found = matcher.compute_mask_or_eos().map_err(first_line);
            failed.fetch_or(found.is_err(), Ordering::Relaxed);
            found
        })
    }

    /// Sets the logits of tokens that may not come next to negative infinity.
    pub(super) fn apply(&mut self, logits: &mut [f32]) -> Result<(), String> {
        let allowed = self.prepare().as_ref().map_err(String::clone)?;
        // Most words of the mask are all zeros: it is applied by the word.
        for (logits, word) in logits
            .chunks_mut(u32::BITS as usize)
            .zip(allowed.as_slice())
        {
            match *word {
                0 => logits.fill(f32::NEG_INFINITY),
                u32::MAX => {}
                word => {
                    for (bit, logit) in logits.iter_mut().enumerate() {
                        if word >> bit & 1 == 0 {
                            *logit = f32::NEG_INFINITY;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the token drawn and gives those that must follow it.
    pub(super) fn accept(&mut self, token: u32) -> Result<Vec<u32>, String> {
        self.allowed = None;
        let taken = self.matcher.consume_token(token).map_err(first_line);
        self.failed.fetch_or(taken.is_err(), Ordering::Relaxed);
        taken?;
        Ok(if self.matcher.is_stopped() {
            Vec::new()
        } else {
            self.matcher.consume_ff_tokens()
        })
    }
}

/// A tokenizer as `llguidance` sees it.
struct Vocabulary {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
    /// Whether the tokenizer gives back just the bytes it was given; SentencePiece puts a space in front.
    exact: bool,
}

impl Vocabulary {
    fn new(tokenizer: Arc<Tokenizer>) -> Result<Self, EngineError> {
        let size = tokenizer.vocab_size() as u32;
        let end = (0..size).find(|&id| tokenizer.is_end_of_generation(id));
        let Some(end) = tokenizer.eos().or(end) else {
            return Err(EngineError::Unsupported("constraints: it has no end token"));
        };
        let word = |id: u32| match tokenizer.token_bytes(id) {
            [] => [
                &[TokTrie::SPECIAL_TOKEN_MARKER],
                tokenizer.token_text(id).as_bytes(),
            ]
            .concat(),
            bytes => bytes.to_vec(),
        };
        let words: Vec<Vec<u8>> = (0..size).map(word).collect();
        let trie = TokTrie::from(&TokRxInfo::new(size, end), &words);
        let probe = tokenizer.encode("{", AddSpecial::No).unwrap_or_default();
        let exact = probe
            .iter()
            .flat_map(|&id| tokenizer.token_bytes(id))
            .eq(b"{");
        Ok(Self {
            tokenizer,
            trie,
            exact,
        })
    }
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        if !self.exact {
            return self.trie.greedy_tokenize(bytes);
        }
        let tokens = |text: &str| {
            self.tokenizer
                .encode(text, AddSpecial::No)
                .unwrap_or_default()
        };
        self.trie.tokenize_with_greedy_fallback(bytes, tokens)
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.exact
    }
}

/// Objects that tell their properties have no others, as in llama.cpp: a small model would go on to invent some. Nothing
/// is closed where several schemas tell of one object, since each would shut out what the others ask for.
fn close(schema: &mut Value) {
    if !combines(schema) {
        close_each(schema);
    }
}

fn combines(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => {
            let has = |key: &&str| object.contains_key(*key);
            let beside = ["$ref", "anyOf", "oneOf", "if"];
            has(&"allOf")
                || (has(&"properties") && beside.iter().any(has))
                || object.values().any(combines)
        }
        Value::Array(parts) => parts.iter().any(combines),
        _ => false,
    }
}

fn close_each(schema: &mut Value) {
    let Value::Object(object) = schema else {
        return;
    };
    let opening = [
        "additionalProperties",
        "patternProperties",
        "unevaluatedProperties",
    ];
    if object.contains_key("properties") && !opening.iter().any(|key| object.contains_key(*key)) {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for (key, inner) in object {
        match (key.as_str(), inner) {
            ("items" | "additionalProperties", inner) => close_each(inner),
            ("properties" | "$defs" | "definitions", Value::Object(inner)) => {
                inner.values_mut().for_each(close_each);
            }
            ("anyOf" | "oneOf" | "prefixItems", Value::Array(inner)) => {
                inner.iter_mut().for_each(close_each);
            }
            _ => {}
        }
    }
}

fn unreadable(reason: impl std::fmt::Display) -> EngineError {
    EngineError::Constraint(first_line(reason))
}

/// The first line of what `llguidance` says; the rest is the state of its parser.
fn first_line(reason: impl std::fmt::Display) -> String {
    reason
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use toktrie::ApproximateTokEnv;

    use super::*;

    /// For a vocabulary of one token per byte.
    fn grammars() -> Grammars {
        let mut factory = ParserFactory::new_simple(&ApproximateTokEnv::single_byte_env()).unwrap();
        factory.quiet();
        Grammars {
            factory,
            ready: Mutex::new(LruCache::new(READY)),
        }
    }

    /// Whether a text may be written under a schema, whole and with nothing after it.
    fn allows(schema: &Value, text: &str) -> bool {
        let constraint = Constraint::Schema(schema.clone());
        let mut matcher = grammars().matcher(&constraint).unwrap();
        let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
        let taken = matcher.try_consume_tokens(&tokens).unwrap_or(0);
        taken == tokens.len() && matcher.is_accepting().unwrap_or(false)
    }

    #[test]
    fn schemas_of_typed_libraries_are_read() {
        let union = json!({
            "$defs": {
                "Cat": {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}},
                    "required": ["kind", "lives"]},
                "Dog": {"type": "object", "properties": {"kind": {"const": "dog"}}, "required": ["kind"]},
            },
            "type": "object",
            "properties": {
                "pet": {"discriminator": {"propertyName": "kind"},
                    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]},
                "tags": {"type": "array", "uniqueItems": true, "items": {"type": "string"}},
                "secret": {"type": "string", "format": "password"},
            },
            "required": ["pet", "tags", "secret"],
        });
        let rest = r#""tags":["a"],"secret":"x""#;
        for (pet, fits) in [
            (r#"{"kind":"cat","lives":9}"#, true),
            (r#"{"kind":"dog"}"#, true),
            (r#"{"kind":"cow"}"#, false),
            (r#"{"kind":"dog","more":1}"#, false),
        ] {
            let text = format!(r#"{{"pet":{pet},{rest}}}"#);
            assert_eq!(allows(&union, &text), fits, "{text}");
        }
    }

    #[test]
    fn objects_end_with_the_properties_that_are_told() {
        let told = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        assert!(allows(&told, r#"{"a":1}"#) && !allows(&told, r#"{"a":1,"b":2}"#));
        let open = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": true});
        assert!(allows(&open, r#"{"a":1,"b":2}"#));
        assert!(allows(&json!({"type": "object"}), r#"{"b":2}"#));
        let both = json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ]});
        assert!(allows(&both, r#"{"a":1,"b":2}"#));
    }

    #[test]
    fn grammars_are_kept_per_tenant_until_an_answer_fails() {
        let grammars = grammars();
        let uses = |tenant: &str| {
            let key = (tenant.to_owned(), Constraint::Json);
            grammars.ready.lock().unwrap().peek(&key).map(|r| r.uses)
        };
        let mask = |tenant| grammars.mask(&Constraint::Json, tenant).unwrap();
        let mut first = mask("a");
        assert!(mask("a").prepare().is_ok());
        assert_eq!((uses("a"), uses("b")), (Some(2), None));
        mask("b");
        assert_eq!(uses("b"), Some(1));

        // What fails takes down what it shares with others, so the next answer shares nothing with it.
        assert!(first.matcher.test_trigger_lexer_error().is_err());
        assert!(first.prepare().is_err());
        let mut fresh = mask("a");
        assert_eq!(uses("a"), Some(1));
        assert!(fresh.accept(u32::from(b'{')).is_ok() && fresh.prepare().is_ok());
    }
}
