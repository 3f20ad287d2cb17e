use serde_json::{Value as Json, json};

use super::super::fixtures::{conversations, folder, read};
use super::super::message::{FunctionCall, Level, ToolCall};
use super::super::tools::Piece;
use super::*;

/// One token per word, so that budgets are easy to read.
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn budget(context_tokens: usize) -> Budget<'static> {
    Budget {
        tokens: &words,
        context_tokens,
        truncate: true,
    }
}

fn go(template: &str) -> PromptParts {
    PromptParts {
        template: Some(template.to_owned()),
        ..PromptParts::default()
    }
}

fn jinja(template: &str) -> PromptParts {
    PromptParts {
        jinja: Some(template.to_owned()),
        ..PromptParts::default()
    }
}

fn chat(parts: PromptParts, messages: &[Message]) -> Result<String, PromptError> {
    let chat = ChatPrompt {
        messages,
        tools: &[],
        think: None,
        budget: budget(10_000),
    };
    Ok(ModelPrompt::new(parts)?.render_chat(&chat)?.text)
}

fn generate<'a>(prompt: &'a str) -> GeneratePrompt<'a> {
    GeneratePrompt {
        prompt,
        suffix: "",
        system: "",
        template: "",
        images: &[],
        think: None,
        has_context: false,
        budget: budget(10_000),
    }
}

fn turns(texts: &[(&str, &str)]) -> Vec<Message> {
    texts
        .iter()
        .map(|(role, text)| Message::new(*role, *text))
        .collect()
}

fn tool() -> Tool {
    Tool::new(&json!({"function": {"name": "now", "description": "the time"}})).unwrap()
}

const PLAIN: &str = "{{ range .Messages }}{{ .Role }}: {{ .Content }}\n{{ end }}";
const PLAIN_JINJA: &str = "{% for m in messages %}{{ m.role }}= {{ m.content }}\n{% endfor %}";

#[test]
fn recorded_chats_come_out_of_go_templates() {
    let Some(folder) = folder("go_templates/chat") else {
        return;
    };
    for entry in std::fs::read_dir(&folder).unwrap() {
        let folder = entry.unwrap().path();
        for (name, messages) in conversations() {
            let text = chat(go(&read(&folder, "template.gotmpl")), &messages).unwrap();
            assert_eq!(
                text,
                read(&folder, &format!("{name}.out")),
                "{} {name}",
                folder.display()
            );
        }
    }
}

#[test]
fn recorded_tool_chats_come_out_of_go_templates() {
    let Some(folder) = folder("go_templates/tools") else {
        return;
    };
    let messages: Vec<Message> = serde_json::from_str(&read(&folder, "messages.json")).unwrap();
    let tools: Vec<Tool> = serde_json::from_str(&read(&folder, "tools.json")).unwrap();
    for (name, answer) in [
        (
            "llama3.2",
            "{\"name\": \"get_current_weather\", \"parameters\": {\"location\": \"X\"}}",
        ),
        (
            "mistral",
            "[TOOL_CALLS] [{\"name\": \"get_current_weather\", \"arguments\": {\"location\": \"X\"}}]",
        ),
        (
            "qwen2.5",
            "<tool_call>\n{\"name\": \"get_current_weather\", \"arguments\": {\"location\": \"X\"}}\n</tool_call>",
        ),
    ] {
        let model = ModelPrompt::new(go(&read(&folder, &format!("{name}.gotmpl")))).unwrap();
        assert!(model.can(Capability::Tools), "{name}");
        assert_eq!(model.can(Capability::Insert), name == "qwen2.5");
        let chat = ChatPrompt {
            messages: &messages,
            tools: &tools,
            think: None,
            budget: budget(10_000),
        };
        let mut rendered = model.render_chat(&chat).unwrap();
        assert_eq!(
            rendered.text,
            read(&folder, &format!("{name}.out")),
            "{name}"
        );
        let mut pieces = rendered.parser.push(answer);
        pieces.extend(rendered.parser.finish());
        let [Piece::Call(call)] = &pieces[..] else {
            panic!("{name}: {pieces:?}");
        };
        assert_eq!(call.function.name, "get_current_weather");
        assert_eq!(
            Json::Object(call.function.arguments.clone()),
            json!({"location": "X"})
        );
    }
}

#[test]
fn recorded_chats_come_out_of_jinja_templates() {
    let Some(folder) = folder("chat_templates") else {
        return;
    };
    for name in [
        "Qwen-Qwen2.5-7B-Instruct",
        "Qwen-Qwen3-0.6B",
        "meta-llama-Llama-3.1-8B-Instruct",
        "mistralai-Mistral-Nemo-Instruct-2407",
    ] {
        let parts = PromptParts {
            bos_text: "<s>".to_owned(),
            eos_text: "</s>".to_owned(),
            adds_bos: true,
            ..jinja(&read(&folder, &format!("{name}.jinja")))
        };
        let model = ModelPrompt::new(parts.clone()).unwrap();
        assert!(model.can(Capability::Tools), "{name}");
        assert_eq!(
            model.can(Capability::Thinking),
            name.contains("Qwen3"),
            "{name}"
        );
        for (case, messages) in conversations() {
            let want = read(&folder, &format!("{name}.{case}.out"));
            // The tokenizer adds the token that the text would begin with.
            let want = want.strip_prefix("<s>").unwrap_or(&want);
            assert_eq!(
                chat(parts.clone(), &messages).unwrap(),
                want,
                "{name} {case}"
            );
        }
    }
}

#[test]
fn mistral_accepts_ids_of_any_length_and_missing_ones() {
    let Some(folder) = folder("chat_templates") else {
        return;
    };
    let template = read(&folder, "mistralai-Mistral-Nemo-Instruct-2407.jinja");
    let call = |id: &str| Message {
        tool_calls: vec![ToolCall {
            id: id.to_owned(),
            function: FunctionCall {
                name: "now".to_owned(),
                ..FunctionCall::default()
            },
        }],
        ..Message::new("assistant", "")
    };
    for (id, shown) in [
        ("call_abcd1234", "labcd1234"),
        ("", "call00000"),
        ("x", "00000000x"),
    ] {
        let result = Message {
            tool_call_id: id.to_owned(),
            ..Message::new("tool", "12:00")
        };
        let text = chat(
            jinja(&template),
            &[Message::new("user", "time?"), call(id), result],
        )
        .unwrap();
        assert!(
            text.contains(&format!("\"call_id\": \"{shown}\"")),
            "{id}: {text}"
        );
    }
}

#[test]
fn system_texts_move_where_a_template_has_no_such_role() {
    let template = "{% for m in messages %}{% if m.role == 'system' %}\
                    {{ raise_exception('System role not supported') }}{% endif %}\
                    {{ m.role }}={{ m.content }};{% endfor %}";
    let messages = turns(&[("system", "s"), ("user", "u")]);
    assert_eq!(chat(jinja(template), &messages).unwrap(), "user=s\n\nu;");
    let always = chat(jinja("{{ raise_exception('never') }}"), &messages);
    assert_eq!(
        always,
        Err(PromptError::Jinja(JinjaError::Raised("never".into())))
    );
}

#[test]
fn neighbours_of_one_role_become_one_where_roles_must_alternate() {
    let template = "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
                    {{ raise_exception('Conversation roles must alternate') }}{% endif %}\
                    {{ m.role }}={{ m.content }};{% endfor %}";
    for (messages, want) in [
        (&[("user", "a"), ("user", "b")][..], "user=a\n\nb;"),
        (
            &[("system", "s"), ("user", "a"), ("user", "b")],
            "user=s\n\na\n\nb;",
        ),
        (
            &[("user", "a"), ("assistant", "b"), ("user", "c")],
            "user=a;assistant=b;user=c;",
        ),
    ] {
        assert_eq!(chat(jinja(template), &turns(messages)).unwrap(), want);
    }
    let free = "{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}";
    let apart = turns(&[("user", "a"), ("user", "b")]);
    assert_eq!(chat(jinja(free), &apart).unwrap(), "user=a;user=b;");
}

#[test]
fn a_turn_of_several_calls_is_taken_apart_where_a_turn_has_one_only() {
    let template = "{% for m in messages %}{% if m.tool_calls and m.tool_calls|length != 1 %}\
                    {{ raise_exception('single tool-calls only') }}{% endif %}{{ m.role }}={{ m.content }}\
                    {% for call in m.tool_calls or [] %}<{{ call.function.name }}>{% endfor %};{% endfor %}";
    let call = |id: &str, name: &str| ToolCall {
        id: id.to_owned(),
        function: FunctionCall {
            name: name.to_owned(),
            ..FunctionCall::default()
        },
    };
    let result = |id: &str, content: &str| Message {
        tool_call_id: id.to_owned(),
        ..Message::new("tool", content)
    };
    for ids in [["1", "2"], ["", ""]] {
        let turn = Message {
            tool_calls: vec![call(ids[0], "a"), call(ids[1], "b")],
            ..Message::new("assistant", "t")
        };
        let mut results = vec![result(ids[0], "of a"), result(ids[1], "of b")];
        if !ids[0].is_empty() {
            results.reverse();
        }
        let messages = [vec![Message::new("user", "u"), turn], results].concat();
        assert_eq!(
            chat(jinja(template), &messages).unwrap(),
            "user=u;assistant=t<a>;tool=of a;assistant=<b>;tool=of b;"
        );
    }
}

#[test]
fn arguments_are_text_only_where_a_template_wants_text() {
    let call = Message {
        tool_calls: vec![ToolCall {
            id: "i".to_owned(),
            function: FunctionCall {
                name: "f".to_owned(),
                arguments: json!({"a": 1}).as_object().unwrap().clone(),
                ..FunctionCall::default()
            },
        }],
        ..Message::new("assistant", "")
    };
    let messages = [Message::new("user", "u"), call];
    let template = |arguments: &str| {
        format!(
            "{{% for m in messages %}}{{% if m.role == 'tool' %}}{{{{ m.content }}}}{{% endif %}}\
             {{% for c in m.tool_calls or [] %}}{{{{ {arguments} }}}}{{% endfor %}}{{% endfor %}}"
        )
    };
    let text = chat(jinja(&template("c.function.arguments")), &messages).unwrap();
    assert_eq!(text, r#"{"a":1}"#);
    let text = chat(jinja(&template("c.function.arguments | tojson")), &messages).unwrap();
    assert_eq!(text, r#"{"a": 1}"#);
}

#[test]
fn system_and_history_come_first() {
    let parts = PromptParts {
        system: "S".to_owned(),
        messages: turns(&[("user", "h"), ("assistant", "i")]),
        ..go(PLAIN)
    };
    let user = turns(&[("user", "u")]);
    let want = "system: S\nuser: h\nassistant: i\nuser: u\n";
    assert_eq!(chat(parts.clone(), &user).unwrap(), want);
    let own = turns(&[("system", "T"), ("user", "u")]);
    assert_eq!(
        chat(parts.clone(), &own).unwrap(),
        "user: h\nassistant: i\nsystem: T\nuser: u\n"
    );
    let model = ModelPrompt::new(parts).unwrap();
    assert_eq!(model.render_generate(&generate("u")).unwrap().text, want);
    let request = GeneratePrompt {
        system: "R",
        has_context: true,
        ..generate("u")
    };
    assert_eq!(
        model.render_generate(&request).unwrap().text,
        "system: R\nuser: u\n"
    );
    let none = chat(go(PLAIN), &[]);
    assert_eq!(none, Err(PromptError::NoMessages));
}

#[test]
fn neighbours_of_one_role_are_joined_for_go_templates() {
    let messages = turns(&[
        ("system", "a"),
        ("system", "b"),
        ("user", "c"),
        ("user", "d"),
        ("tool", "e"),
        ("tool", "f"),
        ("system", "g"),
    ]);
    let text = chat(
        go("[{{ .System }}]{{ range .Messages }}{{ .Role }}={{ .Content }};{{ end }}"),
        &messages,
    );
    assert_eq!(
        text.unwrap(),
        "[a\n\nb\n\ng]system=a\n\nb;user=c\n\nd;tool=e;tool=f;system=g;"
    );
}

#[test]
fn templates_without_messages_run_turn_by_turn() {
    let template = "{{ if .System }}<{{ .System }}>{{ end }}{{ if .Prompt }}[{{ .Prompt }}]{{ end }}\
                    {{ .Response }}!";
    let messages = turns(&[
        ("system", "s"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("system", "t"),
        ("user", "d"),
    ]);
    assert_eq!(chat(go(template), &messages).unwrap(), "<s>[a]b![c]!<t>[d]");
    let prefill = turns(&[("user", "a"), ("assistant", "b")]);
    assert_eq!(chat(go(template), &prefill).unwrap(), "[a]b");
    assert_eq!(chat(go("{{ .Prompt }}"), &messages[1..4]).unwrap(), "abc");
}

#[test]
fn models_without_templates() {
    let messages = turns(&[("user", "a"), ("assistant", "b"), ("user", "c")]);
    assert_eq!(
        chat(PromptParts::default(), &messages).unwrap(),
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n\
         <|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
    );
    let model = ModelPrompt::new(PromptParts {
        system: "S".to_owned(),
        ..PromptParts::default()
    })
    .unwrap();
    assert_eq!(model.render_generate(&generate("a")).unwrap().text, "a");
    assert_eq!(model.capabilities(), []);
}

#[test]
fn a_suffix_goes_around_everything_else() {
    let fim = "{{- if .Suffix }}<PRE> {{ .Prompt }} <SUF>{{ .Suffix }} <MID>\
               {{- else }}{{ .Prompt }}{{- end }}";
    let parts = PromptParts {
        system: "S".to_owned(),
        jinja: Some(PLAIN_JINJA.to_owned()),
        ..go(fim)
    };
    let model = ModelPrompt::new(parts).unwrap();
    assert_eq!(model.capabilities(), [Capability::Insert]);
    let request = GeneratePrompt {
        suffix: "    return c",
        ..generate("def add(")
    };
    let text = model.render_generate(&request).unwrap().text;
    assert_eq!(text, "<PRE> def add( <SUF>    return c <MID>");
    let plain = ModelPrompt::new(go(PLAIN)).unwrap();
    assert_eq!(
        plain.render_generate(&request).err(),
        Some(PromptError::NoSuffix)
    );
}

#[test]
fn a_requests_template_replaces_the_models() {
    let model = ModelPrompt::new(jinja(PLAIN_JINJA)).unwrap();
    let request = GeneratePrompt {
        template: "<{{ .System }}|{{ .Prompt }}>",
        system: "s",
        ..generate("p")
    };
    assert_eq!(model.render_generate(&request).unwrap().text, "<s|p>");
    let broken = GeneratePrompt {
        template: "{{ nothing }}",
        ..generate("p")
    };
    let error = model.render_generate(&broken).unwrap_err();
    assert_eq!(
        error.to_string(),
        "template: :1: function \"nothing\" not defined"
    );
}

#[test]
fn the_template_with_more_abilities_is_used() {
    let go_plain = PLAIN;
    let go_tools = "{{ .Tools }}{{ range .Messages }}{{ if .ToolCalls }}c{{ end }}\
                    {{ if eq .Role \"tool\" }}r{{ end }}{{ .Content }}{{ end }}";
    let go_declares = "{{ .Tools }}{{ range .Messages }}{{ .Content }}{{ end }}";
    let jinja_tools = "{{ tools }}{% for m in messages %}{{ m.tool_calls }}\
                       {% if m.role == 'tool' %}{% endif %}{% endfor %}";
    let jinja_declares = "{{ tools }}";
    let cases = [
        (go_plain, PLAIN_JINJA, None, Way::Go),
        (go_plain, PLAIN_JINJA, Some(false), Way::Jinja),
        (go_plain, jinja_tools, None, Way::Jinja),
        (go_plain, jinja_tools, Some(true), Way::Go),
        (go_plain, jinja_declares, None, Way::Jinja),
        (go_tools, jinja_declares, None, Way::Go),
        (go_tools, jinja_tools, None, Way::Go),
        (go_declares, jinja_tools, None, Way::Jinja),
        (go_declares, jinja_declares, None, Way::Go),
    ];
    for (go, jinja, preferred, way) in cases {
        let parts = PromptParts {
            template: Some(go.to_owned()),
            jinja: Some(jinja.to_owned()),
            go_template: preferred,
            ..PromptParts::default()
        };
        let model = ModelPrompt::new(parts).unwrap();
        assert_eq!(model.uses_jinja(), way == Way::Jinja);
        assert_eq!(model.way, way, "{go} against {jinja}, {preferred:?}");
    }
    let off = PromptParts {
        go_template: Some(false),
        ..go(PLAIN)
    };
    assert_eq!(ModelPrompt::new(off).unwrap().way, Way::ChatMl);
}

#[test]
fn a_broken_template_gives_way_to_the_other() {
    let parts = PromptParts {
        template: Some("{{ nothing }}".to_owned()),
        ..jinja(PLAIN_JINJA)
    };
    let user = turns(&[("user", "u")]);
    assert_eq!(chat(parts, &user).unwrap(), "user= u\n");
    let parts = PromptParts {
        jinja: Some("{% if".to_owned()),
        ..go(PLAIN)
    };
    assert_eq!(chat(parts, &user).unwrap(), "user: u\n");
    assert!(matches!(
        chat(jinja("{% if"), &user),
        Err(PromptError::Jinja(_))
    ));
    assert!(matches!(
        chat(go("{{ if"), &user),
        Err(PromptError::GoTemplate(_))
    ));
}

#[test]
fn the_oldest_messages_go_when_the_context_is_short() {
    let messages = turns(&[
        ("system", "s"),
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
        ("assistant", "four"),
        ("user", "five"),
    ]);
    let model = ModelPrompt::new(go(PLAIN)).unwrap();
    let with = |context_tokens, truncate| {
        let chat = ChatPrompt {
            messages: &messages,
            tools: &[],
            think: None,
            budget: Budget {
                truncate,
                ..budget(context_tokens)
            },
        };
        model.render_chat(&chat).unwrap().text
    };
    let all = "system: s\nuser: one\nassistant: two\nuser: three\nassistant: four\nuser: five\n";
    assert_eq!(with(12, true), all);
    assert_eq!(with(1, false), all);
    assert_eq!(
        with(11, true),
        "system: s\nassistant: two\nuser: three\nassistant: four\nuser: five\n"
    );
    assert_eq!(
        with(8, true),
        "system: s\nuser: three\nassistant: four\nuser: five\n"
    );
    assert_eq!(with(7, true), "system: s\nassistant: four\nuser: five\n");
    assert_eq!(with(4, true), "system: s\nuser: five\n");
    assert_eq!(with(1, true), "system: s\nuser: five\n");
}

#[test]
fn shortening_passes_over_starts_that_a_template_refuses() {
    let template = "{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}\
                    {% for m in messages %}{{ m.content }} {% endfor %}";
    let messages = turns(&[
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
        ("user", "e"),
    ]);
    let model = ModelPrompt::new(jinja(template)).unwrap();
    for (context_tokens, want) in [(5, "a b c d e "), (4, "c d e "), (3, "c d e "), (2, "e ")] {
        let chat = ChatPrompt {
            messages: &messages,
            tools: &[],
            think: None,
            budget: budget(context_tokens),
        };
        assert_eq!(
            model.render_chat(&chat).unwrap().text,
            want,
            "{context_tokens}"
        );
    }
}

#[test]
fn images_are_marked_and_counted() {
    let message = |text: &str, images: usize| Message {
        images: vec![vec![0]; images],
        ..Message::new("user", text)
    };
    let messages = [
        message("old", 1),
        Message::new("assistant", "ok"),
        message("a [img] b", 2),
    ];
    let model = ModelPrompt::new(go("{{ range .Messages }}{{ .Content }};{{ end }}")).unwrap();
    let with = |context_tokens| {
        let chat = ChatPrompt {
            messages: &messages,
            tools: &[],
            think: None,
            budget: budget(context_tokens),
        };
        let rendered = model.render_chat(&chat).unwrap();
        (rendered.text, rendered.images.len())
    };
    assert_eq!(
        with(5000),
        ("[img-0]old;ok;[img-2]a [img-1] b;".to_owned(), 3)
    );
    assert_eq!(with(2000), ("ok;[img-1]a [img-0] b;".to_owned(), 2));
}

#[test]
fn thinking_is_on_by_default_and_read_from_the_answer() {
    let template = "{{ range .Messages }}{{ if .Thinking }}<t>{{ .Thinking }}</t>{{ end }}{{ .Content }}\
                    {{ end }}|{{ .Think }} {{ .ThinkLevel }} {{ .IsThinkSet }}|{{ if .Think }}<t>{{ end }}";
    let model = ModelPrompt::new(go(template)).unwrap();
    assert_eq!(model.capabilities(), [Capability::Thinking]);
    let user = turns(&[("user", "u")]);
    let cases = [
        (None, "u|true medium true|<t>", true),
        (Some(Think::On), "u|true medium true|<t>", true),
        (Some(Think::Off), "u|false  true|", false),
        (
            Some(Think::Level(Level::High)),
            "u|true high true|<t>",
            true,
        ),
    ];
    for (think, want, splits) in cases {
        let chat = ChatPrompt {
            messages: &user,
            tools: &[],
            think,
            budget: budget(100),
        };
        let mut rendered = model.render_chat(&chat).unwrap();
        assert_eq!(rendered.text, want);
        let first = rendered.parser.push("x</t>y").remove(0);
        let thought = Piece::Thinking("x".to_owned());
        assert_eq!(first == thought, splits, "{think:?}");
    }
    let plain = go("{{ range .Messages }}{{ .Content }}{{ end }}{{ .Think }}{{ .IsThinkSet }}");
    assert_eq!(chat(plain, &user).unwrap(), "ufalsefalse");
}

#[test]
fn earlier_thoughts_are_dropped_for_some_families() {
    let messages = turns(&[
        ("user", "a"),
        ("assistant", "<think>t</think>b"),
        ("user", "c"),
        ("assistant", "<think>t</think>d"),
    ]);
    let parts = |family: &str, model: &str| PromptParts {
        family: family.to_owned(),
        model: model.to_owned(),
        ..go("{{ range .Messages }}{{ .Content }};{{ end }}")
    };
    for (family, model) in [("qwen3", ""), ("qwen2", "deepseek-r1")] {
        let text = chat(parts(family, model), &messages).unwrap();
        assert_eq!(text, "a;b;c;<think>t</think>d;");
    }
    let text = chat(parts("llama", "x"), &messages).unwrap();
    assert_eq!(text, "a;<think>t</think>b;c;<think>t</think>d;");
}

#[test]
fn thinking_reaches_jinja_templates() {
    let template = "{{ messages[0].content }}{% if enable_thinking is false %}<think></think>{% endif %}\
                    {{ reasoning_effort }}";
    let model = ModelPrompt::new(jinja(template)).unwrap();
    let user = turns(&[("user", "u")]);
    for (think, want) in [
        (None, "u"),
        (Some(Think::Off), "u<think></think>"),
        (Some(Think::Level(Level::Low)), "ulow"),
    ] {
        let chat = ChatPrompt {
            messages: &user,
            tools: &[],
            think,
            budget: budget(100),
        };
        assert_eq!(model.render_chat(&chat).unwrap().text, want);
    }
}

#[test]
fn a_last_assistant_message_is_continued() {
    let template = "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}\
                    {% if add_generation_prompt %}assistant:{% endif %}";
    let messages = turns(&[("user", "u"), ("assistant", "It is")]);
    assert_eq!(
        chat(jinja(template), &messages).unwrap(),
        "user:u\nassistant:It is"
    );
}

#[test]
fn one_bos_is_enough() {
    let parts = |adds_bos| PromptParts {
        bos_text: "<s>".to_owned(),
        adds_bos,
        ..jinja("{{ bos_token }}{{ messages[0].content }}")
    };
    let user = turns(&[("user", "<s>u")]);
    assert_eq!(chat(parts(true), &user).unwrap(), "<s>u");
    assert_eq!(chat(parts(false), &user).unwrap(), "<s><s>u");
}

#[test]
fn tools_are_read_from_answers_only_when_there_are_any() {
    let model = ModelPrompt::new(go(PLAIN)).unwrap();
    let user = turns(&[("user", "u")]);
    let tools = [tool()];
    let answer = "{\"name\": \"now\", \"parameters\": {}}";
    for tools in [&tools[..], &[]] {
        let chat = ChatPrompt {
            messages: &user,
            tools,
            think: None,
            budget: budget(100),
        };
        let mut parser = model.render_chat(&chat).unwrap().parser;
        let pieces = parser.push(answer);
        assert_eq!(
            matches!(pieces[..], [Piece::Call(_)]),
            !tools.is_empty(),
            "{pieces:?}"
        );
    }
}
