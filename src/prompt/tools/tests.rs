use proptest::prelude::*;
use serde_json::json;

use super::*;

fn tools() -> Vec<Tool> {
    let tool = |name: &str, properties: Value| {
        let function = json!({"name": name, "parameters": {"properties": properties}});
        Tool::new(&json!({"type": "function", "function": function})).unwrap()
    };
    vec![
        tool("get_weather", json!({"city": {"type": "string"}})),
        tool("get_weather_forecast", json!({"city": {"type": "string"}})),
        tool("now", json!({})),
        tool(
            "add",
            json!({"a": {"type": "number"}, "b": {"type": "number"}}),
        ),
    ]
}

type Calls = Vec<(&'static str, Value)>;

/// Content and calls of some output, cut into pieces of at most `size` characters.
fn parse(tag: &str, output: &str, size: usize) -> (String, Vec<(String, Value)>) {
    let mut parser = ToolParser::new(vec![tag.to_owned()], &tools());
    let chars: Vec<char> = output.chars().collect();
    let mut pieces = Vec::new();
    for piece in chars.chunks(size) {
        pieces.extend(parser.push(&piece.iter().collect::<String>()));
    }
    pieces.extend(parser.finish());
    let (mut content, mut calls) = (String::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Content(text) => content.push_str(&text),
            Piece::Call(call) => {
                assert_eq!(call.function.index, calls.len());
                calls.push((call.function.name, Value::Object(call.function.arguments)));
            }
            Piece::Thinking(_) => panic!("tool parsers do not think"),
        }
    }
    (content, calls)
}

#[test]
fn calls_are_found_however_the_output_is_cut() {
    let paris = || json!({"city": "Paris"});
    // Tag, output, and the content and calls in it.
    let cases: Vec<(&str, &str, &str, Calls)> = vec![
        (
            "<tool_call>",
            "Sure.<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>",
            "Sure.",
            vec![("get_weather", paris())],
        ),
        (
            "<tool_call>",
            "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}</tool_call>\n\
             <tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": {\"c\": \"}\"}}}</tool_call>",
            "",
            vec![
                ("get_weather", paris()),
                ("add", json!({"a": 1, "b": {"c": "}"}})),
            ],
        ),
        (
            "{",
            "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}",
            "",
            vec![("get_weather", paris())],
        ),
        (
            "{",
            "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}; \
             {\"name\": \"now\", \"parameters\": {}}",
            "",
            vec![("get_weather", paris()), ("now", json!({}))],
        ),
        (
            "[TOOL_CALLS]",
            "[TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}, \
             {\"name\": \"add\", \"arguments\": {\"a\": 1}}]",
            "",
            vec![("get_weather", paris()), ("add", json!({"a": 1}))],
        ),
        (
            "[TOOL_CALLS]",
            "[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Paris\"}",
            "",
            vec![("get_weather", paris())],
        ),
        (
            "[",
            " [{\"name\": \"get_weather_forecast\", \"arguments\": {\"city\": \"Paris\"}}]",
            "",
            vec![("get_weather_forecast", paris())],
        ),
        (
            "<tool_call>",
            "<tool_call>{\"name\": \"add\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>",
            "",
            vec![("add", json!({"a": 1}))],
        ),
        (
            "<tool_call>",
            "<tool_call>{\"add\": {\"a\": 1}}",
            "",
            vec![("add", json!({"a": 1}))],
        ),
        (
            "<tool_call>",
            "<tool_call>{\"name\": \"now\"}",
            "",
            vec![("now", json!({}))],
        ),
        (
            "<tool_call>",
            "<tool_call>now</tool_call>",
            "",
            vec![("now", json!({}))],
        ),
        (
            "<tool_call>",
            "<tool_call>{\"name\": \"rm\", \"arguments\": {}}",
            "",
            vec![],
        ),
        ("<tool_call>", "a <tool b", "a <tool b", vec![]),
        ("{", "{\"answer\": 42}", "{\"answer\": 42}", vec![]),
        (
            "{",
            "{\"answer\": 42} and more",
            "{\"answer\": 42} and more",
            vec![],
        ),
        ("{", "The set {now}", "The set {now}", vec![]),
        (
            "{",
            "{\"name\": \"add\", \"para",
            "{\"name\": \"add\", \"para",
            vec![],
        ),
        ("[", "[1] is a citation", "[1] is a citation", vec![]),
        ("{", "  plain", "  plain", vec![]),
    ];
    for (tag, output, content, calls) in cases {
        let calls: Vec<_> = calls
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for size in [1, 2, 3, 7, 1000] {
            let (found_content, found_calls) = parse(tag, output, size);
            assert_eq!(found_calls, calls, "{output} cut to {size}");
            assert_eq!(found_content, content, "{output} cut to {size}");
        }
    }
}

#[test]
fn content_before_a_tag_is_not_held_back() {
    let mut parser = ToolParser::new(vec!["<tool_call>".to_owned()], &tools());
    assert_eq!(parser.push("Hello <"), [Piece::Content("Hello ".into())]);
    assert_eq!(parser.push("b> wo"), [Piece::Content("<b> wo".into())]);
}

#[test]
fn several_tags_may_announce_calls() {
    let tags = vec!["<|python_tag|>".to_owned(), "{".to_owned()];
    let mut parser = ToolParser::new(tags, &tools());
    let pieces = parser.push("Text <|python_tag|>{\"name\": \"add\", \"parameters\": {\"a\": 1}}");
    assert!(
        matches!(&pieces[..], [Piece::Content(_), Piece::Call(call)] if call.function.name == "add")
    );
}

proptest! {
    #[test]
    fn what_holds_no_call_behind_a_bracket_is_content(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<tool_call>", "</tool_call>", "{", "}", "[", "]", "\"", "\"name\"", ":", ",", " ",
            "get_weather", "_forecast", "now", "add", "\"arguments\"", "{}", "\\", "é", "1",
        ]), 0..24),
        tag in prop::sample::select(vec!["<tool_call>", "{", "["]),
    ) {
        let output = parts.concat();
        for size in [1, 5, 1000] {
            let (content, calls) = parse(tag, &output, size);
            if calls.is_empty() && is_bracket(tag) {
                prop_assert_eq!(&content, &output);
            } else {
                prop_assert!(content.len() <= output.len());
            }
        }
    }
}
