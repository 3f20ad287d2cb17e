//! From messages to the text a model reads, and from the text it writes back to messages: chat
//! templates (Go and Jinja), tool calls, thinking and fill-in-the-middle.
//!
//! Nothing here knows HTTP, files or weights; everything takes and returns plain data.

pub mod bundled;
mod go_data;
pub mod go_template;
pub mod jinja;
pub mod message;
mod parsed;
mod render;
mod thinking;
mod tools;

pub use message::{FunctionCall, Level, Message, MessageError, Think, Tool, ToolCall};
pub use parsed::Parsed;
pub use render::{
    Capability, ChatPrompt, GeneratePrompt, ModelPrompt, PromptError, PromptSource, Rendered,
    TemplateError,
};
pub use thinking::{ThinkingSplitter, ThinkingTags};
pub use tools::ToolParser;

#[cfg(test)]
mod fixtures;
