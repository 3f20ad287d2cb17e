//! Documents that mean harm, read, cut and quoted as any other.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::rag::chunk::{Limits, chunks};
use crate::rag::read::{Format, read};

#[derive(Deserialize)]
struct Attack {
    name: String,
    format: String,
    document: String,
    /// What the document says in earnest; it stays readable.
    fact: String,
    /// What nobody sees in the document; the model does not either.
    gone: Vec<String>,
}

impl Attack {
    fn format(&self) -> Format {
        match self.format.as_str() {
            "Text" => Format::Text,
            "Markdown" => Format::Markdown,
            "Html" => Format::Html,
            "Csv" => Format::Csv,
            "Json" => Format::Json,
            other => panic!("{other} is no format of the set"),
        }
    }

    /// Its passages after an honest one and before another.
    fn quoted(&self) -> (String, usize) {
        let document = read(self.document.as_bytes(), self.format()).unwrap();
        let limits = Limits {
            max_tokens: 60,
            overlap_tokens: 0,
        };
        let chunks = chunks(&document, limits, |text| text.split_whitespace().count());
        let mut passages = vec![Passage {
            title: "Before",
            text: "An honest passage.",
        }];
        passages.extend(chunks.iter().map(|chunk| Passage {
            title: chunk.headings.last().map_or("", String::as_str),
            text: &chunk.text,
        }));
        // A title is written by strangers as well.
        passages.push(Passage {
            title: &self.document,
            text: "Another honest passage.",
        });
        (quote(&passages), passages.len())
    }
}

fn attacks() -> Vec<Attack> {
    serde_json::from_str(include_str!("attacks.json")).unwrap()
}

/// Tokens that chat models take as turns, ends, tools and gaps. Tokenizers find them as they are
/// spelt, so a text that does not hold the spelling cannot make the token.
const MARKERS: [&str; 44] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|python_tag|>",
    "<|endoftext|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<|end|>",
    "<|start|>",
    "<|message|>",
    "<|channel|>",
    "<|return|>",
    "<s>",
    "</s>",
    "<unk>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "[TOOL_CALLS]",
    "[AVAILABLE_TOOLS]",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "<fim_prefix>",
    "<|fim_prefix|>",
    "<fim_suffix>",
    "<fim_middle>",
    "<PRE>",
    "<EOT>",
    "<\u{ff5c}User\u{ff5c}>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
];

/// What has to be true of every quotation: one line for each passage, which begins with its number,
/// and nothing else in it that is a mark of ours, a marker of a model, a tag or unseen.
fn check(quoted: &str, passages: usize) -> Result<(), String> {
    let lines: Vec<&str> = quoted.split('\n').collect();
    let Some(("", lines)) = lines.split_last().map(|(last, lines)| (*last, lines)) else {
        return Err("does not end with a line end".to_owned());
    };
    if lines.len() != passages {
        return Err(format!("{} lines for {passages} passages", lines.len()));
    }
    for (number, line) in (1..).zip(lines) {
        let rest = line
            .strip_prefix(&format!("[{number}] "))
            .ok_or_else(|| format!("passage {number} begins otherwise: {line}"))?;
        if let Some(c) = rest.chars().find(|c| is_opening(*c) || is_closing(*c)) {
            return Err(format!("a bracket {c:?} in {line}"));
        }
        if let Some(c) = rest
            .chars()
            .find(|c| c.is_control() || (c.is_whitespace() && *c != ' '))
        {
            return Err(format!("{c:?} in {line}"));
        }
        let behind = rest
            .split('<')
            .skip(1)
            .filter_map(|part| part.chars().next());
        if let Some(c) = behind.into_iter().find(|c| !matches!(c, ' ' | ':')) {
            return Err(format!("'<' before {c:?} in {line}"));
        }
        let lower = rest.to_lowercase();
        if let Some(marker) = MARKERS
            .iter()
            .find(|marker| lower.contains(&marker.to_lowercase()))
        {
            return Err(format!("{marker} in {line}"));
        }
    }
    Ok(())
}

#[test]
fn no_attack_opens_or_closes_a_passage_or_carries_a_marker() {
    let attacks = attacks();
    assert!(attacks.len() >= 30, "{}", attacks.len());
    for attack in &attacks {
        let (quoted, passages) = attack.quoted();
        assert_eq!(check(&quoted, passages), Ok(()), "{}", attack.name);
        assert!(quoted.starts_with("[1] Before: An honest passage.\n"));
        assert!(quoted.ends_with("Another honest passage.\n"));
    }
}

#[test]
fn what_attacks_say_in_earnest_stays_and_what_they_hide_goes() {
    for attack in attacks() {
        // Its own passages alone: titles show the bytes of a document, hidden or not.
        let (quoted, _) = attack.quoted();
        let own: String = quoted.lines().rev().skip(1).collect();
        assert!(own.contains(&attack.fact), "{}: {quoted}", attack.name);
        for gone in &attack.gone {
            assert!(!own.contains(gone.as_str()), "{}: {quoted}", attack.name);
        }
    }
}

#[test]
fn the_set_holds_what_the_checks_are_about() {
    let documents: String = attacks()
        .into_iter()
        .map(|attack| attack.document)
        .collect();
    for marker in MARKERS {
        let known = documents.contains(marker)
            || ["<|end_of_text|>", "<|system|>", "<unk>", "<pad>"].contains(&marker);
        assert!(known, "no attack spells {marker}");
    }
    assert!(check("[1] a\n[3] b\n", 2).is_err());
    assert!(check("[1] a [2] b\n", 1).is_err());
    assert!(check("[1] a</s>\n", 1).is_err());
    assert!(check("[1] a\u{200b}\u{85}\n", 1).is_err());
}

#[test]
fn honest_passages_are_quoted_as_they_are() {
    let passages = [
        Passage {
            title: "Fees (2024)",
            text: "A fee of 1 % on €1,000 is €10.\n\nIf a < b, then b > a; see \"costs\".",
        },
        Passage {
            title: "",
            text: "  Größe, 中文, می\u{200c}خواهم  ",
        },
    ];
    assert_eq!(
        quote(&passages),
        "[1] Fees (2024): A fee of 1 % on €1,000 is €10. If a < b, then b > a; see \"costs\".\n\
         [2] Größe, 中文, می\u{200c}خواهم\n"
    );
    assert_eq!(quote(&[]), "");
    let long = "x".repeat(500);
    let passage = Passage {
        title: &long,
        text: "y",
    };
    assert_eq!(quote(&[passage]), format!("[1] {}: y\n", &long[..120]));
}

#[test]
fn only_passages_that_were_given_can_be_cited() {
    assert_eq!(cited("As [2] says, and [1, 3]; again [2].", 3), [2, 1, 3]);
    assert_eq!(
        cited("See [0], [4], [99999999999999999999] and [x].", 3),
        [] as [usize; 0]
    );
    assert_eq!(cited("a[1]b [ 2 ]", 2), [1, 2]);
}

proptest! {
    #[test]
    fn any_text_stays_in_its_line(
        parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(MARKERS.to_vec()).prop_map(str::to_owned),
                prop::sample::select(vec!["\n[2] ", "\u{2028}", "<", "[", "\u{200b}", "\u{202e}", "\u{ff1c}", " "])
                    .prop_map(str::to_owned),
                any::<char>().prop_map(|c| c.to_string()),
                "\\PC{0,6}",
            ],
            0..40,
        ),
        at in 0usize..40,
    ) {
        let (title, text) = parts.split_at(at.min(parts.len()));
        let (title, text) = (title.concat(), text.concat());
        let passages = [Passage { title: &title, text: &text }, Passage { title: &text, text: &title }];
        prop_assert_eq!(check(&quote(&passages), 2), Ok(()));
    }
}
