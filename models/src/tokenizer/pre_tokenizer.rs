//! How byte-level BPE vocabularies split a text into words before merging, by `tokenizer.ggml.pre`.
//!
//! The expressions are those the models were trained with, as their `tokenizer.json` files have them.
//! They are written for backtracking engines: `\s+(?!\S)` leaves the last space of several to the word
//! that follows. Here a step matches `\s+` and [`Splitter`] gives the last character back, so that an
//! engine whose time is linear in the text will do, whatever the text is.

use regex::Regex;

/// One known value of `tokenizer.ggml.pre`, or several that mean the same.
#[derive(Debug)]
pub(super) struct PreTokenizer {
    names: &'static [&'static str],
    /// Applied in turn, each to the pieces the one before made.
    steps: &'static [&'static str],
    /// A piece that is a token as a whole is not built by merging.
    pub(super) whole_words: bool,
    /// BOS is added where the file does not say.
    pub(super) add_bos: bool,
    /// A separator is added at the end where the file does not say.
    pub(super) add_separator: bool,
}

const BASE: PreTokenizer = PreTokenizer {
    names: &[],
    steps: &[],
    whole_words: false,
    add_bos: false,
    add_separator: false,
};

const LLAMA3: &str = concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
);
const QWEN2: &str = concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
);
const QWEN35: &str = concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
    r"|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
);
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";
const GPT4O: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+"
);
const TEKKEN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+"
);
const DEEPSEEK3: &str = concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##,
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+"
);
/// Letters with case, less some the model's authors left out.
const DEEPSEEK_LETTERS: &str = concat!(
    r"\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}",
    r"\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}",
    r"\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}",
    r"\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}",
    r"\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}",
    r"\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}",
    r"\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}",
    r"\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}",
    r"\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}",
    r"\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}",
    r"\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}",
    r"\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}",
    r"\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}",
    r"\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}",
    r"\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}",
    r"\x{1E900}-\x{1E943}]+",
);
const BLOOM: &str = r" ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+";

static KNOWN: &[PreTokenizer] = &[
    PreTokenizer {
        names: &[
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        steps: &[LLAMA3],
        whole_words: true,
        add_bos: true,
        ..BASE
    },
    PreTokenizer {
        names: &["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"],
        steps: &[LLAMA3],
        ..BASE
    },
    PreTokenizer {
        names: &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        steps: &[QWEN2],
        ..BASE
    },
    PreTokenizer {
        names: &["qwen35"],
        steps: &[QWEN35],
        ..BASE
    },
    PreTokenizer {
        names: &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
            "gigachat",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
        ],
        steps: &[GPT2],
        ..BASE
    },
    PreTokenizer {
        names: &["jina-v1-en", "jina-v2-code", "roberta-bpe"],
        steps: &[GPT2],
        add_separator: true,
        ..BASE
    },
    PreTokenizer {
        names: &[
            "starcoder",
            "refact",
            "command-r",
            "smollm",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        steps: &[r"\p{N}", GPT2],
        ..BASE
    },
    PreTokenizer {
        names: &["deepseek-llm"],
        steps: &[
            r"[\r\n]",
            DEEPSEEK_LETTERS,
            r"\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+",
            r"\s+$",
            r"[\x{800}-\x{9FA5}\x{AC00}-\x{D7FF}]+",
            r"\p{N}+",
        ],
        ..BASE
    },
    PreTokenizer {
        names: &["deepseek-coder"],
        steps: &[
            r"[\r\n]",
            r"\s?\p{L}+",
            r"\s?\p{P}+",
            r"[\x{800}-\x{9FA5}\x{AC00}-\x{D7FF}]+",
            r"\p{N}",
        ],
        ..BASE
    },
    PreTokenizer {
        names: &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
        steps: &[
            r"\p{N}{1,3}",
            r"[\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+",
            DEEPSEEK3,
        ],
        ..BASE
    },
    PreTokenizer {
        names: &["tekken"],
        steps: &[TEKKEN],
        whole_words: true,
        add_bos: true,
        ..BASE
    },
    PreTokenizer {
        names: &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
        steps: &[GPT4O],
        ..BASE
    },
    PreTokenizer {
        names: &["falcon"],
        steps: &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
        ..BASE
    },
    PreTokenizer {
        names: &["poro-chat", "bloom", "gpt3-finnish"],
        steps: &[BLOOM],
        ..BASE
    },
    PreTokenizer {
        names: &["viking"],
        steps: &[BLOOM, r"\p{N}"],
        ..BASE
    },
];

static DEFAULT: PreTokenizer = PreTokenizer {
    names: &["default"],
    steps: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
    ..BASE
};

/// The pre-tokenizer of a name; the default one, with a warning, for a name that is not known.
pub(super) fn named(name: Option<&str>) -> &'static PreTokenizer {
    let Some(name) = name else {
        tracing::warn!("the file names no pre-tokenizer, answers may be worse for it");
        return &DEFAULT;
    };
    let known = KNOWN.iter().find(|known| known.names.contains(&name));
    known.unwrap_or_else(|| {
        if !DEFAULT.names.contains(&name) {
            tracing::warn!("pre-tokenizer '{name}' is not known, using 'default' instead");
        }
        &DEFAULT
    })
}

/// A pre-tokenizer ready to split.
#[derive(Debug)]
pub(super) struct Splitter {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    pattern: Regex,
    /// The pattern ends in `\s+`, which stands for `\s+(?!\S)|\s+`.
    gives_back: bool,
    /// The pattern has `\s*[\r\n]+`, whose matches are never shortened.
    keeps_newlines: bool,
}

impl Splitter {
    pub(super) fn new(pre: &PreTokenizer) -> Result<Splitter, regex::Error> {
        let steps = pre.steps.iter().map(|pattern| {
            Ok(Step {
                pattern: Regex::new(pattern)?,
                gives_back: pattern.ends_with(r"|\s+"),
                keeps_newlines: pattern.contains(r"|\s*[\r\n]+"),
            })
        });
        Ok(Splitter {
            steps: steps.collect::<Result<_, regex::Error>>()?,
        })
    }

    /// Calls `visit` with every piece in order; together they are the text.
    pub(super) fn split<E>(
        &self,
        text: &str,
        visit: &mut dyn FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        split_with(&self.steps, text, visit)
    }
}

fn split_with<E>(
    steps: &[Step],
    text: &str,
    visit: &mut dyn FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let Some((step, rest)) = steps.split_first() else {
        return if text.is_empty() { Ok(()) } else { visit(text) };
    };
    let mut start = 0;
    while let Some(found) = step.pattern.find_at(text, start) {
        let end = step.end(text, found.start(), found.end());
        // What lies between two matches is a piece too.
        split_with(rest, &text[start..found.start()], visit)?;
        split_with(rest, &text[found.start()..end], visit)?;
        start = end;
    }
    split_with(rest, &text[start..], visit)
}

impl Step {
    /// Where a match really ends: before its last character, if it is white space in front of
    /// something else.
    fn end(&self, text: &str, start: usize, end: usize) -> usize {
        let matched = &text[start..end];
        let Some(last) = matched.chars().next_back().filter(|_| self.gives_back) else {
            return end;
        };
        let shortened = end - last.len_utf8();
        let at_newline = self.keeps_newlines && matches!(last, '\r' | '\n');
        let keep = shortened == start
            || end == text.len()
            || at_newline
            || !matched.chars().all(char::is_whitespace);
        if keep { end } else { shortened }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn pieces(name: &str, text: &str) -> Vec<String> {
        let splitter = Splitter::new(named(Some(name))).unwrap();
        let mut pieces = Vec::new();
        let result: Result<(), ()> = splitter.split(text, &mut |piece| {
            pieces.push(piece.to_owned());
            Ok(())
        });
        result.unwrap();
        pieces
    }

    #[test]
    fn every_known_pattern_compiles() {
        for known in KNOWN.iter().chain([&DEFAULT]) {
            let splitter = Splitter::new(known).unwrap();
            assert_eq!(splitter.steps.len(), known.steps.len());
        }
    }

    #[test]
    fn names_are_unique() {
        let names: Vec<_> = KNOWN.iter().flat_map(|known| known.names).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name} is there twice");
        }
    }

    #[test]
    fn the_last_space_belongs_to_the_word() {
        assert_eq!(pieces("llama3", "a   b"), ["a", "  ", " b"]);
        assert_eq!(pieces("llama3", "a   "), ["a", "   "]);
        assert_eq!(pieces("llama3", "  \n\n  x"), ["  \n\n", " ", " x"]);
        assert_eq!(pieces("gpt-2", "a\n\nb"), ["a", "\n", "\n", "b"]);
        assert_eq!(pieces("gpt-2", "a\n b"), ["a", "\n", " b"]);
    }

    #[test]
    fn digits_differ() {
        assert_eq!(pieces("llama3", "12345"), ["123", "45"]);
        assert_eq!(pieces("qwen2", "12345"), ["1", "2", "3", "4", "5"]);
        assert_eq!(pieces("gpt-2", "12345"), ["12345"]);
        assert_eq!(pieces("starcoder", "a 12"), ["a", " ", "1", "2"]);
        assert_eq!(pieces("default", "12345"), ["123", "45"]);
    }

    #[test]
    fn contractions_and_case() {
        assert_eq!(pieces("llama3", "we'll WE'LL"), ["we", "'ll", " WE", "'LL"]);
        assert_eq!(pieces("tekken", "fooBar"), ["foo", "Bar"]);
        assert_eq!(pieces("gpt-4o", "it's"), ["it's"]);
        assert_eq!(pieces("deepseek-coder", "a b\nc"), ["a", " b", "\n", "c"]);
    }

    static SPLITTERS: LazyLock<Vec<Splitter>> = LazyLock::new(|| {
        let known = KNOWN.iter().chain([&DEFAULT]);
        known.map(|known| Splitter::new(known).unwrap()).collect()
    });

    proptest::proptest! {
        #[test]
        fn pieces_are_the_text(text: String) {
            for splitter in &*SPLITTERS {
                let mut got = String::new();
                let result: Result<(), ()> = splitter.split(&text, &mut |piece| {
                    got.push_str(piece);
                    Ok(())
                });
                proptest::prop_assert_eq!(result, Ok(()));
                proptest::prop_assert_eq!(&got, &text);
            }
        }
    }
}
