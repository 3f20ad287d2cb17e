//! From messages to the text a model reads, and from the text it writes back to messages: chat
//! templates (Go and Jinja), tool calls, thinking and fill-in-the-middle.
//!
//! Nothing here knows HTTP, files or weights; everything takes and returns plain data.

pub mod bundled;
mod go_data;
pub mod go_template;
pub mod jinja;
pub mod message;
pub mod output;
pub mod render;
pub mod thinking;
pub mod tools;

pub use message::{FunctionCall, Level, Message, MessageError, Think, Tool, ToolCall};

#[cfg(test)]
mod fixtures;
