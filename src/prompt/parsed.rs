//! The parts of what a model writes.

use super::message::ToolCall;

/// One part of a model's output, as the streaming parsers find it.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// Part of the answer.
    Content(String),
    /// Part of the thoughts before it.
    Thinking(String),
    /// A complete call; its id is empty until someone sets one.
    Call(ToolCall),
}
