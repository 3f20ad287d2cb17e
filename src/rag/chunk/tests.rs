//! Chunks of small documents, counted in words.

use proptest::prelude::*;

use super::super::read::{Format, read};
use super::*;

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn chunked(markdown: &str, max_tokens: usize, overlap_tokens: usize) -> Vec<Chunk> {
    let document = read(markdown.as_bytes(), Format::Markdown).unwrap();
    let limits = Limits {
        max_tokens,
        overlap_tokens,
    };
    chunks(&document, limits, words)
}

fn texts(chunks: &[Chunk]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk.text.as_str()).collect()
}

#[test]
fn a_short_document_is_one_chunk_per_heading() {
    let chunks = chunked("# A\n\nOne two.\n\nThree.\n\n## B\n\nFour.\n", 50, 10);
    assert_eq!(texts(&chunks), ["One two.\nThree.", "Four."]);
    assert_eq!(*chunks[0].headings, ["A"]);
    assert_eq!(*chunks[1].headings, ["A", "B"]);
    assert_eq!((chunks[0].offset, chunks[1].offset), (0, 16));
    assert_eq!((chunks[0].tokens, chunks[1].tokens), (3, 1));
}

#[test]
fn cuts_fall_between_sentences_and_repeat_the_last_ones() {
    let text = "One two three. Four five. Six seven eight. Nine ten.";
    let chunks = chunked(text, 6, 2);
    assert_eq!(
        texts(&chunks),
        [
            "One two three. Four five.",
            "Four five. Six seven eight.",
            "Nine ten."
        ]
    );
    let chunks = chunked(text, 6, 0);
    assert_eq!(
        texts(&chunks),
        ["One two three. Four five.", "Six seven eight. Nine ten."]
    );
}

#[test]
fn what_is_too_long_is_cut_within() {
    let chunks = chunked("one two three four five six seven", 3, 0);
    assert_eq!(texts(&chunks), ["one two three", "four five six", "seven"]);
    let letters = |text: &str| text.chars().count();
    let document = read("abcdefgh".as_bytes(), Format::Text).unwrap();
    let limits = Limits {
        max_tokens: 3,
        overlap_tokens: 0,
    };
    assert_eq!(
        texts(&chunks_of(&document, limits, letters)),
        ["abc", "def", "gh"]
    );
}

fn chunks_of(document: &Document, limits: Limits, count: fn(&str) -> usize) -> Vec<Chunk> {
    chunks(document, limits, count)
}

#[test]
fn a_huge_sentence_takes_no_longer_than_its_parts() {
    let text = "word ".repeat(40_000) + &"x".repeat(100_000);
    let document = read(text.as_bytes(), Format::Text).unwrap();
    let limits = Limits {
        max_tokens: 200,
        overlap_tokens: 0,
    };
    let chunks = chunks_of(&document, limits, |text| text.len().div_ceil(4));
    assert!(chunks.len() >= 300_000 / 800, "{}", chunks.len());
    assert!(chunks.iter().all(|chunk| chunk.tokens <= 200));
}

#[test]
fn articles_fit_and_keep_every_word() {
    for article in crate::coach::library::articles() {
        let document = read(article.body.as_bytes(), Format::Markdown).unwrap();
        let limits = Limits {
            max_tokens: 120,
            overlap_tokens: 0,
        };
        let chunks = chunks(&document, limits, words);
        let whole: usize = document.blocks.iter().map(|block| words(&block.text)).sum();
        let parts: usize = chunks.iter().map(|chunk| chunk.tokens).sum();
        assert_eq!(parts, whole, "{}", article.name);
        assert!(chunks.iter().all(|chunk| chunk.tokens <= 120));
    }
}

/// Embedding models mark both ends of every text; the marks count for each text, not each sentence.
#[test]
fn marks_at_the_ends_count_once_per_chunk() {
    let document = read(b"One two. Three four. Five six. Seven.", Format::Text).unwrap();
    let limits = Limits {
        max_tokens: 8,
        overlap_tokens: 4,
    };
    let marked = chunks_of(&document, limits, |text| words(text) + 2);
    assert_eq!(
        texts(&marked),
        ["One two. Three four. Five six.", "Five six. Seven."]
    );
    assert_eq!(marked[0].tokens, 8);
}

#[test]
fn rows_are_counted_a_few_times_each() {
    let csv = format!("name,amount\n{}", "Rent,900\n".repeat(2000));
    let document = read(csv.as_bytes(), Format::Csv).unwrap();
    let counted = std::cell::Cell::new(0);
    let count = |text: &str| {
        counted.set(counted.get() + words(text));
        words(text)
    };
    let limits = Limits {
        max_tokens: 200,
        overlap_tokens: 20,
    };
    let tokens: usize = chunks(&document, limits, count)
        .iter()
        .map(|chunk| chunk.tokens)
        .sum();
    assert!(tokens >= 8000, "{tokens}");
    assert!(counted.get() < 8 * tokens, "{} for {tokens}", counted.get());
}

/// The splitter alone would take hours.
#[test]
fn brackets_and_spaces_without_end_take_linear_time() {
    let limits = Limits {
        max_tokens: 200,
        overlap_tokens: 20,
    };
    let document = read(
        format!("a.{}1", " ".repeat(1_000_000)).as_bytes(),
        Format::Text,
    )
    .unwrap();
    assert_eq!(texts(&chunks_of(&document, limits, words)), ["a. 1"]);

    let text = format!("One. a.{}1", ")".repeat(1_000_000));
    let document = read(text.as_bytes(), Format::Text).unwrap();
    let chunks = chunks_of(&document, limits, words);
    let parts: Vec<&str> = texts(&chunks);
    assert!(parts[0].starts_with("One. a.)"), "{}", &parts[0][..9]);
    assert!(parts[1..].iter().all(|part| part.starts_with(')')));
    assert!(parts.iter().all(|part| part.len() <= 200 * BYTES_PER_TOKEN));
    assert_eq!(parts.concat(), text);
}

#[test]
fn sentences_end_where_they_do_in_the_whole_text() {
    let text =
        "Mr. X paid 3.5 (and more). Nobody knew? \u{201c}Yes.\u{201d} Größe\nzählt. ".repeat(100);
    let whole = text.split_sentence_bound_indices().map(|(at, _)| at);
    let whole: Vec<usize> = whole.chain([text.len()]).collect();
    assert_eq!(sentences(&text), whole);
    let long = format!("{} End. Next.", "word ".repeat(1000));
    assert_eq!(sentences(&long), [0, long.len() - 5, long.len()]);
}

/// Tokenizers of embedding models take a word of more than a hundred letters for one token.
#[test]
fn what_has_few_tokens_is_bounded_in_bytes() {
    let limits = Limits {
        max_tokens: 200,
        overlap_tokens: 20,
    };
    let text = "0123456789abcdef".repeat(1 << 16);
    let document = read(text.as_bytes(), Format::Text).unwrap();
    let chunks = chunks_of(&document, limits, words);
    let parts = texts(&chunks);
    assert_eq!(parts.len(), text.len().div_ceil(200 * BYTES_PER_TOKEN));
    assert_eq!(parts.concat(), text);

    let text = "\u{200b}\u{2029}".repeat(100_000);
    let document = read(text.as_bytes(), Format::Text).unwrap();
    let limits = Limits {
        overlap_tokens: 0,
        ..limits
    };
    let chunks = chunks_of(&document, limits, |_| 0);
    assert_eq!(chunks.len(), 100_000 / 200);
    assert!(chunks.iter().all(|chunk| chunk.text.chars().count() == 399));

    let marked = format!("a{}", "\u{301}".repeat(100_000));
    let document = read(marked.as_bytes(), Format::Text).unwrap();
    let chunks = chunks_of(&document, limits, words);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.text.len() <= 200 * BYTES_PER_TOKEN)
    );
    assert_eq!(texts(&chunks).concat(), marked);
}

proptest! {
    #[test]
    fn chunks_fit_and_begin_where_they_say(
        text in "([a-zéß中]{1,9}[ .!?\n]{1,2}){1,60}", max_tokens in 1usize..20, overlap in 0usize..12,
    ) {
        let document = read(text.as_bytes(), Format::Text).unwrap();
        let plain: String = document.blocks.iter().map(|block| format!("{}\n", block.text)).collect();
        let limits = Limits { max_tokens, overlap_tokens: overlap };
        let mut last = None;
        for chunk in chunks(&document, limits, words) {
            prop_assert!((1..=max_tokens).contains(&chunk.tokens), "{chunk:?}");
            let first = chunk.text.split_whitespace().next().unwrap();
            prop_assert!(plain[chunk.offset..].starts_with(first), "{chunk:?}");
            prop_assert!(last < Some(chunk.offset), "{chunk:?}");
            last = Some(chunk.offset);
        }
    }

    #[test]
    fn without_overlap_every_letter_is_in_one_chunk(text in "\\PC{1,200}", max_tokens in 1usize..9) {
        let Ok(document) = read(text.as_bytes(), Format::Text) else { return Ok(()); };
        let limits = Limits { max_tokens, overlap_tokens: 0 };
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        let whole: usize = document.blocks.iter().map(|block| letters(&block.text)).sum();
        let parts: usize = chunks(&document, limits, letters).iter().map(|chunk| letters(&chunk.text)).sum();
        prop_assert_eq!(parts, whole);
    }
}
