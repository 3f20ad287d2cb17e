//! What is said to the server about a conversation.

use serde_json::{Map, Value, json};

use super::super::wire::Message;
use crate::store::ModelName;

/// The model, how it is asked, and what was said.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    pub model: String,
    /// The model that this one was made from; empty if it was not.
    pub parent_model: String,
    /// Text before all messages: the model's own until it is replaced.
    pub system: String,
    /// Messages that the model brings along; the server puts them in front itself.
    pub stored: Vec<Message>,
    /// Messages said here, in their order.
    pub messages: Vec<Message>,
    /// Options set by the user.
    pub options: Map<String, Value>,
    /// `"json"` or a schema.
    pub format: Option<Value>,
    /// A duration.
    pub keep_alive: Option<String>,
    /// Whether or how hard to think; `None` leaves it to the server.
    pub think: Option<Value>,
    /// Whether the system text was set here.
    pub system_set: bool,
}

impl Conversation {
    pub(super) fn new(model: String) -> Conversation {
        Conversation {
            model,
            ..Conversation::default()
        }
    }

    /// Replaces the system text from here on.
    pub(super) fn set_system(&mut self, text: &str) {
        self.system = text.to_owned();
        self.system_set = true;
        if self
            .messages
            .last()
            .is_some_and(|message| message.role == "system")
        {
            self.messages.pop();
        }
        self.messages.push(Message::new("system", text));
    }

    /// Forgets what was said, but not a system text that was set.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
        if self.system_set {
            self.messages
                .push(Message::new("system", self.system.clone()));
        }
    }

    /// `POST /api/chat`.
    pub(super) fn chat_body(&self) -> Value {
        let mut body = self.common();
        body.insert("messages".into(), json!(self.messages));
        Value::Object(body)
    }

    /// `POST /api/generate`.
    pub(super) fn generate_body(&self, prompt: &str) -> Value {
        let mut body = self.common();
        body.insert("prompt".into(), json!(prompt));
        Value::Object(body)
    }

    /// `POST /api/generate` that only loads the model.
    pub(super) fn load_body(&self) -> Value {
        let mut body = Map::from_iter([("model".to_owned(), json!(self.model))]);
        let optional = [
            ("keep_alive", json!(self.keep_alive)),
            ("think", json!(self.think)),
        ];
        let given = optional.into_iter().filter(|(_, value)| !value.is_null());
        body.extend(given.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(body)
    }

    /// `POST /api/create` for this conversation as a model.
    pub(super) fn save_body(&self, name: &str) -> Value {
        // The parent may also be the path of a file on the server.
        let from = match ModelName::parse(&self.parent_model) {
            Ok(_) => &self.parent_model,
            Err(_) => &self.model,
        };
        let messages: Vec<&Message> = self.stored.iter().chain(&self.messages).collect();
        let mut body = Map::new();
        body.insert("model".into(), json!(name));
        body.insert("from".into(), json!(from));
        if !self.system.is_empty() {
            body.insert("system".into(), json!(self.system));
        }
        if !self.options.is_empty() {
            body.insert("parameters".into(), json!(self.options));
        }
        if !messages.is_empty() {
            body.insert("messages".into(), json!(messages));
        }
        Value::Object(body)
    }

    fn common(&self) -> Map<String, Value> {
        let mut body = Map::from_iter([("model".to_owned(), json!(self.model))]);
        let options = (!self.options.is_empty()).then_some(&self.options);
        let optional = [
            ("format", json!(self.format)),
            ("options", json!(options)),
            ("keep_alive", json!(self.keep_alive)),
            ("think", json!(self.think)),
        ];
        let given = optional.into_iter().filter(|(_, value)| !value.is_null());
        body.extend(given.map(|(name, value)| (name.to_owned(), value)));
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_set_is_sent() {
        let mut conversation = Conversation::new("m".into());
        assert_eq!(
            conversation.generate_body("hi"),
            json!({"model": "m", "prompt": "hi"})
        );
        assert_eq!(conversation.load_body(), json!({"model": "m"}));
        conversation.think = Some(json!(false));
        conversation.keep_alive = Some("5m".into());
        conversation.options.insert("seed".into(), json!(1));
        conversation.messages.push(Message::new("user", "hi"));
        let want = json!({"model": "m", "options": {"seed": 1}, "keep_alive": "5m", "think": false,
            "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(conversation.chat_body(), want);
    }

    #[test]
    fn a_system_text_replaces_one_that_nothing_followed() {
        let mut conversation = Conversation::new("m".into());
        conversation.set_system("a");
        conversation.set_system("b");
        conversation.messages.push(Message::new("user", "hi"));
        conversation.set_system("c");
        let texts: Vec<&str> = conversation
            .messages
            .iter()
            .map(|m| m.content.as_str())
            .collect();
        assert_eq!(texts, ["b", "hi", "c"]);
        conversation.clear();
        assert_eq!(conversation.messages, [Message::new("system", "c")]);
    }

    #[test]
    fn a_saved_model_holds_everything_said() {
        let mut conversation = Conversation::new("m".into());
        conversation.stored.push(Message::new("user", "old"));
        conversation.messages.push(Message::new("user", "new"));
        conversation.options.insert("seed".into(), json!(1));
        conversation.system = "s".into();
        let want = json!({"model": "n", "from": "m", "system": "s", "parameters": {"seed": 1},
            "messages": [{"role": "user", "content": "old"}, {"role": "user", "content": "new"}]});
        assert_eq!(conversation.save_body("n"), want);
        conversation.parent_model = "base:1b".into();
        assert_eq!(conversation.save_body("n")["from"], "base:1b");
        conversation.parent_model = "/srv/blobs/sha256-12".into();
        assert_eq!(conversation.save_body("n")["from"], "m");
    }
}
