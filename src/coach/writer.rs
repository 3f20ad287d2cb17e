//! Who puts answers into words: a model, seen from here.

use std::future::Future;

use serde::Serialize;
use utoipa::ToSchema;

/// Takes the pieces of an answer as they come.
pub type Say<'a> = dyn FnMut(&str) + Send + 'a;

/// One exchange of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What the user wrote.
    pub message: String,
    /// What was answered.
    pub response: String,
}

/// What a model reads. What is the same for everybody comes first, so that the model need not read it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Rules and style.
    pub system: String,
    /// Earlier exchanges, the oldest first.
    pub history: Vec<Turn>,
    /// Passages, figures and the question.
    pub user: String,
    /// Tokens of the answer at most.
    pub max_tokens: usize,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenUsage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that needed no work.
    pub cached_tokens: usize,
    /// Tokens that were written.
    pub completion_tokens: usize,
}

impl std::ops::AddAssign for TokenUsage {
    fn add_assign(&mut self, other: TokenUsage) {
        self.prompt_tokens += other.prompt_tokens;
        self.cached_tokens += other.cached_tokens;
        self.completion_tokens += other.completion_tokens;
    }
}

/// A model that always chooses its likeliest word.
pub trait Writer: Sync {
    /// Why it wrote nothing.
    type Error: Send;

    /// What tells it from others, for answers that are kept: another text for another model of the same name.
    fn identity(&self) -> &str;

    /// Tokens of prompt and answer together at most.
    fn context_tokens(&self) -> usize;

    /// Tokens of a text.
    fn count(&self, text: &str) -> usize;

    /// Writes an answer and hands out its pieces.
    fn write(
        &self,
        prompt: &Prompt,
        say: &mut Say<'_>,
    ) -> impl Future<Output = Result<TokenUsage, Self::Error>> + Send;
}

/// A writer for tests: says what it was told to, one answer after the other, and remembers what it read.
#[cfg(test)]
pub(crate) mod scripted {
    use std::sync::Mutex;

    use super::*;

    pub(crate) struct Scripted {
        pub(crate) answers: Mutex<Vec<String>>,
        pub(crate) read: Mutex<Vec<Prompt>>,
        pub(crate) context_tokens: usize,
        pub(crate) name: &'static str,
    }

    impl Scripted {
        /// The last answer is given again and again.
        pub(crate) fn new(answers: &[&str]) -> Scripted {
            Scripted {
                answers: Mutex::new(
                    answers
                        .iter()
                        .rev()
                        .map(|text| (*text).to_owned())
                        .collect(),
                ),
                read: Mutex::default(),
                context_tokens: 4096,
                name: "scripted",
            }
        }

        /// Everything that was read.
        pub(crate) fn prompts(&self) -> Vec<Prompt> {
            self.read.lock().unwrap().clone()
        }
    }

    impl Writer for Scripted {
        type Error = &'static str;

        fn identity(&self) -> &str {
            self.name
        }

        fn context_tokens(&self) -> usize {
            self.context_tokens
        }

        /// A token for every four bytes.
        fn count(&self, text: &str) -> usize {
            text.len().div_ceil(4)
        }

        async fn write(
            &self,
            prompt: &Prompt,
            say: &mut Say<'_>,
        ) -> Result<TokenUsage, &'static str> {
            self.read.lock().unwrap().push(prompt.clone());
            let answer = {
                let mut answers = self.answers.lock().unwrap();
                match answers.len() {
                    0 => return Err("out of paper"),
                    1 => answers[0].clone(),
                    _ => answers.pop().unwrap(),
                }
            };
            // In pieces that keep to no border but those of characters.
            let chars: Vec<char> = answer.chars().collect();
            for piece in chars.chunks(3) {
                say(&piece.iter().collect::<String>());
            }
            Ok(TokenUsage {
                prompt_tokens: 100,
                cached_tokens: 40,
                completion_tokens: chars.len() / 3,
            })
        }
    }
}
