//! Tokens with a meaning of their own: where texts start and end, what stops a generation, what
//! surrounds a gap to fill, and which of them a text may spell out.

use aho_corasick::{AhoCorasick, Anchored, Input, MatchKind};

use super::pre_tokenizer::PreTokenizer;
use super::vocabulary::{TokenKind, Vocabulary};
use crate::{Error, Gguf};

/// The tokens around a gap in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FimTokens {
    /// Comes before the text in front of the gap.
    pub prefix: u32,
    /// Comes before the text behind the gap.
    pub suffix: u32,
    /// Comes before what fills the gap.
    pub middle: u32,
}

#[derive(Debug, Default)]
pub(super) struct SpecialTokens {
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) unknown: Option<u32>,
    separator: Option<u32>,
    pub(super) add_bos: bool,
    add_eos: bool,
    add_separator: bool,
    /// Ascending.
    pub(super) end_of_generation: Vec<u32>,
    pub(super) fim: Option<FimTokens>,
}

impl SpecialTokens {
    /// Reads ids and flags, and corrects kinds that converters are known to get wrong.
    pub(super) fn from_gguf(
        gguf: &Gguf,
        kind: &str,
        pre: Option<&PreTokenizer>,
        vocabulary: &mut Vocabulary,
    ) -> Result<SpecialTokens, Error> {
        let defaults = Defaults::of(kind, pre);
        let ids = Ids {
            gguf,
            tokens: vocabulary.len(),
        };
        let flag = |name: &str, default: bool| -> Result<bool, Error> {
            let key = format!("tokenizer.ggml.{name}");
            Ok(gguf.bool(&key)?.unwrap_or(default))
        };
        let named = Named::find(vocabulary);
        let mut special = SpecialTokens {
            bos: ids.first(&["bos_token_id", "cls_token_id"], defaults.bos)?,
            eos: ids.first(&["eos_token_id"], defaults.eos)?,
            unknown: ids.first(&["unknown_token_id"], defaults.unknown)?,
            // The first spelling is the format's own.
            separator: ids.first(
                &["seperator_token_id", "separator_token_id"],
                defaults.separator,
            )?,
            add_bos: flag("add_bos_token", defaults.add_bos)?,
            add_eos: flag("add_eos_token", false)?,
            add_separator: flag("add_sep_token", defaults.add_separator)?,
            end_of_generation: Vec::new(),
            fim: None,
        };
        if kind == "bert" {
            // Texts of these always have both ends, whatever the file says.
            (special.add_bos, special.add_separator) = (true, true);
        }
        let prefix = ids.first(&["fim_pre_token_id", "prefix_token_id"], named.fim_prefix)?;
        let suffix = ids.first(&["fim_suf_token_id", "suffix_token_id"], named.fim_suffix)?;
        let middle = ids.first(&["fim_mid_token_id", "middle_token_id"], named.fim_middle)?;
        if let (Some(prefix), Some(suffix), Some(middle)) = (prefix, suffix, middle) {
            special.fim = Some(FimTokens {
                prefix,
                suffix,
                middle,
            });
        }

        let mut ends = named.ends.clone();
        ends.extend(special.eos);
        for names in [
            "eot_token_id",
            "eom_token_id",
            "fim_pad_token_id",
            "fim_rep_token_id",
            "fim_sep_token_id",
        ] {
            ends.extend(ids.first(&[names], None)?);
        }
        ends.extend(ids.list("eos_token_ids")?);
        ends.sort_unstable();
        ends.dedup();
        for &id in named.ends.iter().chain(&named.controls) {
            vocabulary.set_kind(id, TokenKind::Control);
        }
        // Harmony writes its answers between these; they are text to the reader of the stream.
        for &id in &named.harmony {
            vocabulary.set_kind(id, TokenKind::UserDefined);
        }
        if let Some(end) = named.end_that_does_not_end(vocabulary, &ends) {
            ends.retain(|&id| id != end);
            vocabulary.set_kind(end, TokenKind::UserDefined);
        }
        special.end_of_generation = ends;
        Ok(special)
    }

    /// The token that is added at the end of a text.
    pub(super) fn end(&self) -> Option<u32> {
        match (self.add_separator, self.add_eos) {
            (true, _) => self.separator.or(self.eos),
            (false, true) => self.eos,
            (false, false) => None,
        }
    }
}

/// What holds where the file says nothing; after llama.cpp's vocabulary loader.
#[derive(Default)]
struct Defaults {
    bos: Option<u32>,
    eos: Option<u32>,
    unknown: Option<u32>,
    separator: Option<u32>,
    add_bos: bool,
    add_separator: bool,
}

impl Defaults {
    fn of(kind: &str, pre: Option<&PreTokenizer>) -> Defaults {
        match kind {
            "llama" => Defaults {
                bos: Some(1),
                eos: Some(2),
                unknown: Some(0),
                add_bos: true,
                ..Defaults::default()
            },
            "bert" => Defaults {
                bos: Some(101),
                unknown: Some(100),
                separator: Some(102),
                add_bos: true,
                add_separator: true,
                ..Defaults::default()
            },
            _ => Defaults {
                bos: Some(11),
                eos: Some(11),
                add_bos: pre.is_some_and(|pre| pre.add_bos),
                add_separator: pre.is_some_and(|pre| pre.add_separator),
                ..Defaults::default()
            },
        }
    }
}

/// Reads ids; one outside the vocabulary is as good as none.
struct Ids<'a> {
    gguf: &'a Gguf,
    tokens: usize,
}

impl Ids<'_> {
    fn first(&self, names: &[&str], default: Option<u32>) -> Result<Option<u32>, Error> {
        for name in names {
            // Some converters write -1 for none.
            let key = format!("tokenizer.ggml.{name}");
            let id = match self.gguf.value(&key) {
                None => continue,
                Some(value) => crate::gguf::unsigned(value),
            };
            if let Some(id) = id.and_then(|id| self.checked(id)) {
                return Ok(Some(id));
            }
        }
        Ok(default.filter(|&id| (id as usize) < self.tokens))
    }

    fn list(&self, name: &str) -> Result<Vec<u32>, Error> {
        let ids = self.gguf.u64s(&format!("tokenizer.ggml.{name}"))?;
        let ids = ids.unwrap_or_default().into_iter();
        Ok(ids.filter_map(|id| self.checked(id)).collect())
    }

    fn checked(&self, id: u64) -> Option<u32> {
        let id = u32::try_from(id).ok()?;
        ((id as usize) < self.tokens).then_some(id)
    }
}

/// Tokens known by their text, as files rarely say what they are for.
#[derive(Default)]
struct Named {
    ends: Vec<u32>,
    /// Control tokens that files may call normal.
    controls: Vec<u32>,
    harmony: Vec<u32>,
    fim_prefix: Option<u32>,
    fim_suffix: Option<u32>,
    fim_middle: Option<u32>,
}

impl Named {
    fn find(vocabulary: &Vocabulary) -> Named {
        let mut named = Named::default();
        // Few tokens of a large vocabulary begin as all of these do.
        let may_be_named = |text: &str| text.starts_with(['<', '[', '_', '▁']);
        for (id, text) in vocabulary.iter().filter(|(_, text)| may_be_named(text)) {
            match text {
                "<|eot_id|>"
                | "<|eom_id|>"
                | "<|im_end|>"
                | "<|end|>"
                | "<|return|>"
                | "<|call|>"
                | "<|calls|>"
                | "<|flush|>"
                | "<end_of_turn>"
                | "<|endoftext|>"
                | "<|end_of_text|>"
                | "</s>"
                | "<EOT>"
                | "_<EOT>"
                | "▁<EOT>"
                | "[EOT]"
                | "[EOS]"
                | "<end_of_utterance>"
                | "<eos>"
                | "<turn|>"
                | "<|tool_response>"
                | "<｜end▁of▁sentence｜>"
                | "[e~["
                | "<|fim_pad|>"
                | "<fim-pad>"
                | "<fim_pad>"
                | "<|fim_repo|>"
                | "<|repo_name|>"
                | "<fim-repo>"
                | "<reponame>"
                | "<|file_sep|>" => named.ends.push(id),
                "<|channel|>" | "<|message|>" | "<|start|>" | "<|constrain|>" => {
                    named.harmony.push(id);
                }
                "<|fim_prefix|>"
                | "<fim-prefix>"
                | "<fim_prefix>"
                | "<｜fim▁begin｜>"
                | "<PRE>"
                | "▁<PRE>"
                | "<|code_prefix|>"
                | "<|prefix|>" => {
                    named.fim_prefix.get_or_insert(id);
                    named.controls.push(id);
                }
                "<|fim_suffix|>" | "<fim-suffix>" | "<fim_suffix>" | "<｜fim▁hole｜>" | "<SUF>"
                | "▁<SUF>" | "<|code_suffix|>" | "<|suffix|>" => {
                    named.fim_suffix.get_or_insert(id);
                    named.controls.push(id);
                }
                "<|fim_middle|>" | "<fim-middle>" | "<fim_middle>" | "<｜fim▁end｜>" | "<MID>"
                | "▁<MID>" | "<|code_middle|>" | "<|middle|>" => {
                    named.fim_middle.get_or_insert(id);
                    named.controls.push(id);
                }
                _ => {}
            }
        }
        named
    }

    /// `<|end|>` closes one message of several where `<|call|>` and `<|return|>` (or their like)
    /// close the answer.
    fn end_that_does_not_end(&self, vocabulary: &Vocabulary, ends: &[u32]) -> Option<u32> {
        let find = |text: &str| {
            let mut ids = ends.iter().copied();
            ids.find(|&id| vocabulary.text(id) == text)
        };
        let call = find("<|call|>").or(find("<|calls|>"));
        let close = find("<|return|>").or(find("<|flush|>"));
        find("<|end|>").filter(|_| call.is_some() && close.is_some())
    }
}

/// Finds special tokens that a text spells out.
#[derive(Debug)]
pub(super) struct SpecialMatcher {
    anywhere: Option<AhoCorasick>,
    ids: Vec<u32>,
    /// `(text, id)` of tokens written with a space in front, which may be missing at the start.
    at_start: Vec<(String, u32)>,
}

/// One special token in a text, in bytes.
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) id: u32,
}

impl SpecialMatcher {
    pub(super) fn new(gguf: &Gguf, vocabulary: &Vocabulary) -> Result<SpecialMatcher, Error> {
        let (mut patterns, mut ids) = (Vec::new(), Vec::new());
        let mut at_start = Vec::new();
        for (id, text) in vocabulary.iter() {
            let special = matches!(
                vocabulary.kind(id),
                Some(TokenKind::Control | TokenKind::UserDefined | TokenKind::Unknown)
            );
            if !special || text.is_empty() {
                continue;
            }
            patterns.push(text.to_owned());
            ids.push(id);
            // CodeLlama's "▁<PRE>" is written " <PRE>" in prompts, or "<PRE>" where they start.
            if let (Some(bare), Some(TokenKind::Control)) =
                (text.strip_prefix('▁'), vocabulary.kind(id))
                && !bare.is_empty()
            {
                patterns.push(format!(" {bare}"));
                ids.push(id);
                at_start.push((bare.to_owned(), id));
            }
        }
        let anywhere = if patterns.is_empty() {
            None
        } else {
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&patterns)
                .map_err(|source| Error::Compute {
                    path: gguf.path().to_owned(),
                    step: "building the search for special tokens".to_owned(),
                    source: Box::new(source),
                })?;
            Some(automaton)
        };
        Ok(SpecialMatcher {
            anywhere,
            ids,
            at_start,
        })
    }

    /// The first special token of `text`; `whole` if nothing came before `text`.
    pub(super) fn find(&self, text: &str, whole: bool) -> Option<Found> {
        if whole {
            let mut starts = self.at_start.iter();
            if let Some((bare, id)) = starts.find(|(bare, _)| text.starts_with(bare.as_str())) {
                return Some(Found {
                    start: 0,
                    end: bare.len(),
                    id: *id,
                });
            }
        }
        let found = self
            .anywhere
            .as_ref()?
            .find(Input::new(text).anchored(Anchored::No))?;
        Some(Found {
            start: found.start(),
            end: found.end(),
            id: self.ids[found.pattern().as_usize()],
        })
    }
}
