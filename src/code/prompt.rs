//! What the model reads: the code around the cursor, between the marks it was trained with, or without any.

use wick_models::{FimTokens, Tokenizer};

use crate::engine::EngineError;

use super::CompletionRequest;

/// Where code is longer than the context, its start is left out in steps of this many tokens: in steps, so
/// that between two of them the prompt begins alike from one keystroke to the next and stays cached.
const STEP_TOKENS: usize = 256;
/// No token is longer on average in any code; more text than this per token of room need not be split.
const BYTES_PER_TOKEN: usize = 8;
/// What prompts without marks say before the parts of the code.
const SUFFIX_FOLLOWS: &str = "The file after the cursor:\n";
const CODE_FOLLOWS: &str = "The file up to the cursor:\n";

/// Tokens there are for a prompt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) context_tokens: usize,
    pub(super) max_tokens: usize,
}

impl Room {
    /// Tokens for the code, less a few for marks.
    fn code(self) -> usize {
        let marks = 8;
        self.context_tokens.saturating_sub(self.max_tokens + marks)
    }
}

/// The prompt: as much of the code as there is room for, a quarter of it for what follows the cursor.
pub(super) fn tokens(
    tokenizer: &Tokenizer,
    request: &CompletionRequest,
    room: Room,
) -> Result<Vec<u32>, EngineError> {
    let code = room.code();
    if code < 2 {
        return Err(EngineError::PromptTooLong {
            prompt_tokens: request.max_tokens,
            context_tokens: room.context_tokens,
        });
    }
    let suffix = head(&request.suffix, code / 4 * BYTES_PER_TOKEN);
    let mut suffix = tokenizer.encode_literal(suffix, false)?;
    suffix.truncate(code / 4);
    match tokenizer.fim() {
        Some(marks) => between_marks(tokenizer, marks, request, suffix, code),
        None => in_words(tokenizer, request, suffix, code),
    }
}

/// Texts that end a completion beside those of the model.
pub(super) fn stops(request: &CompletionRequest) -> Vec<String> {
    // A model without marks likes to explain itself, and begins so.
    let fence = "```";
    let is_prose = request.prefix.contains(fence) || request.suffix.contains(fence);
    if is_prose {
        Vec::new()
    } else {
        vec![fence.to_owned()]
    }
}

/// Prefix first: what was typed last stands late, and all before it is cached.
fn between_marks(
    tokenizer: &Tokenizer,
    marks: FimTokens,
    request: &CompletionRequest,
    suffix: Vec<u32>,
    code: usize,
) -> Result<Vec<u32>, EngineError> {
    let room = code - suffix.len();
    let prefix = tokenizer.encode_literal(tail(&request.prefix, room * BYTES_PER_TOKEN), true)?;
    let mut prompt = start(tokenizer);
    prompt.push(marks.prefix);
    prompt.extend(last(&prefix, room));
    prompt.push(marks.suffix);
    prompt.extend(suffix);
    prompt.push(marks.middle);
    Ok(prompt)
}

/// For models without marks: what follows the cursor is told first, so that the model goes on with the rest.
fn in_words(
    tokenizer: &Tokenizer,
    request: &CompletionRequest,
    suffix: Vec<u32>,
    code: usize,
) -> Result<Vec<u32>, EngineError> {
    let mut prompt = start(tokenizer);
    let language = match request.language.trim() {
        "" => String::new(),
        language => format!("Language: {}\n", head(language, 64)),
    };
    prompt.extend(tokenizer.encode_literal(&language, true)?);
    if !suffix.is_empty() {
        prompt.extend(tokenizer.encode_literal(SUFFIX_FOLLOWS, false)?);
        prompt.extend(suffix);
        prompt.extend(tokenizer.encode_literal("\n\n", false)?);
    }
    prompt.extend(tokenizer.encode_literal(CODE_FOLLOWS, false)?);
    let room = code.saturating_sub(prompt.len()).max(1);
    let prefix = tokenizer.encode_literal(tail(&request.prefix, room * BYTES_PER_TOKEN), false)?;
    prompt.extend(last(&prefix, room));
    Ok(prompt)
}

fn start(tokenizer: &Tokenizer) -> Vec<u32> {
    let bos = tokenizer.bos().filter(|_| tokenizer.adds_bos());
    bos.into_iter().collect()
}

/// The end of the tokens, `room` at most.
fn last(tokens: &[u32], room: usize) -> &[u32] {
    let excess = tokens.len().saturating_sub(room);
    let step = STEP_TOKENS.min(room / 4).max(1);
    let dropped = excess.next_multiple_of(step).min(tokens.len());
    &tokens[if excess == 0 { 0 } else { dropped }..]
}

/// The start of a text, `bytes` at most.
fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The end of a text, cut in steps as well.
fn tail(text: &str, bytes: usize) -> &str {
    let excess = text.len().saturating_sub(bytes);
    if excess == 0 {
        return text;
    }
    let step = (STEP_TOKENS * BYTES_PER_TOKEN).min(bytes / 4).max(1);
    let mut start = excess.next_multiple_of(step).min(text.len());
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_code_is_cut_in_steps() {
        let tokens: Vec<u32> = (0..2000).collect();
        assert_eq!(last(&tokens, 2000).len(), 2000);
        assert_eq!(last(&tokens[..1001], 1000).first(), Some(&250));
        // From one keystroke to the next the start stays where it is.
        assert_eq!(last(&tokens[..1100], 1000).first(), Some(&250));
        assert_eq!(last(&tokens[..1251], 1000).first(), Some(&500));
        assert_eq!(last(&tokens[..3], 1), [2]);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(head("aé", 2), "a");
        assert_eq!(head("aé", 9), "aé");
        assert_eq!(tail("éa", 1), "a");
        assert_eq!(tail("éa", 9), "éa");
        let code = "x".repeat(100_000);
        assert_eq!(
            tail(&code, 80_000).len(),
            tail(&code[..99_000], 80_000).len() + 1_000
        );
    }
}
