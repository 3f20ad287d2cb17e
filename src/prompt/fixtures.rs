//! Both engines against texts that other programs rendered.

use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use super::go_data;
use super::go_template::{GoTemplate, Print, Value};
use super::jinja::{JinjaError, JinjaTemplate};
use super::message::{Message, Tool};

/// The folder of fixtures, or `None` (and a line that says so) where it is absent.
pub(super) fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WICK_FIXTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"),
        PathBuf::from,
    );
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there", folder.display());
    None
}

pub(super) fn read(folder: &std::path::Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The three conversations of the `chat` fixtures.
pub(super) fn conversations() -> [(&'static str, Vec<Message>); 3] {
    let turns = vec![
        Message::new("user", "Hello, how are you?"),
        Message::new("assistant", "I'm doing great. How can I help you today?"),
        Message::new("user", "I'd like to show off how chat templating works!"),
    ];
    let mut behind_system = turns.clone();
    behind_system.insert(0, Message::new("system", "You are a helpful assistant."));
    [
        ("user", turns[..1].to_vec()),
        ("user-assistant-user", turns),
        ("system-user-assistant-user", behind_system),
    ]
}

fn go_values(messages: &[Message], tools: &[Tool]) -> Value {
    let system = messages.iter().find(|message| message.role == "system");
    let system = system.map_or("", |message| message.content.as_str());
    Value::map(
        [
            ("System".to_owned(), Value::text(system)),
            ("Messages".to_owned(), go_data::messages(messages)),
            ("Tools".to_owned(), go_data::tools(tools)),
            ("Response".to_owned(), Value::text("")),
        ],
        Print::Go,
    )
}

#[test]
fn go_chat_templates_render_as_recorded() {
    let Some(folder) = folder("go_templates/chat") else {
        return;
    };
    let mut checked = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let folder = entry.unwrap().path();
        let template = GoTemplate::parse(&read(&folder, "template.gotmpl")).unwrap();
        for (name, messages) in conversations() {
            let text = template.execute(&go_values(&messages, &[])).unwrap();
            let want = read(&folder, &format!("{name}.out"));
            assert_eq!(text, want, "{} {name}", folder.display());
            checked += 1;
        }
    }
    assert!(checked >= 18, "{checked} texts were checked");
}

#[test]
fn go_tool_templates_render_as_recorded() {
    let Some(folder) = folder("go_templates/tools") else {
        return;
    };
    let messages: Vec<Message> = serde_json::from_str(&read(&folder, "messages.json")).unwrap();
    let tools: Vec<Tool> = serde_json::from_str(&read(&folder, "tools.json")).unwrap();
    let tags = [
        ("llama3.2", None),
        ("mistral", Some("[TOOL_CALLS] [")),
        ("qwen2.5", Some("<tool_call>")),
    ];
    for (name, tag) in tags {
        let template = GoTemplate::parse(&read(&folder, &format!("{name}.gotmpl"))).unwrap();
        let text = template.execute(&go_values(&messages, &tools)).unwrap();
        assert_eq!(text, read(&folder, &format!("{name}.out")), "{name}");
        assert_eq!(template.tool_call_tag().as_deref(), tag, "{name}");
        assert!(
            template.mentions("tools") && template.has_tool_round_trip(),
            "{name}"
        );
        assert_eq!(template.mentions("suffix"), name == "qwen2.5");
    }
}

#[test]
fn jinja_templates_render_as_recorded() {
    let Some(folder) = folder("chat_templates") else {
        return;
    };
    let inputs: Json = serde_json::from_str(&read(&folder, "inputs.json")).unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some((name, case, kind)) = file.rsplit_once('.').and_then(|(stem, kind)| {
            let (name, case) = stem.rsplit_once('.')?;
            matches!(kind, "out" | "err").then_some((name, case, kind))
        }) else {
            continue;
        };
        let template = JinjaTemplate::parse(&read(&folder, &format!("{name}.jinja"))).unwrap();
        let mut variables: Map<String, Json> = inputs["kwargs"].as_object().unwrap().clone();
        variables.insert("messages".into(), inputs["messages"][case].clone());
        if case == "tools" {
            variables.insert("tools".into(), inputs["tools"].clone());
        }
        let text = template.render(&variables);
        let want = read(&folder, &file);
        if kind == "out" {
            assert_eq!(text.as_deref(), Ok(want.as_str()), "{file}");
        } else {
            let message = want.trim().split_once(": ").unwrap().1.to_owned();
            assert_eq!(text, Err(JinjaError::Raised(message)), "{file}");
        }
        checked += 1;
    }
    assert!(checked >= 21, "{checked} texts were checked");
}
