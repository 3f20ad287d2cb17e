//! Go templates for the common chat formats, for models that are created from a bare GGUF file.
//!
//! A format is recognised by what the file's own template makes of two conversations, not by how
//! that template is written: spaces aside, both must come out the same.

use super::message::Message;
use super::render::{Budget, ChatPrompt, ModelPrompt, PromptParts};

/// A chat format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundled {
    /// What it is called.
    pub name: &'static str,
    /// Its Go template.
    pub template: &'static str,
    /// Texts that end an answer.
    pub stop: &'static [&'static str],
}

/// The formats known, the most common first.
pub const BUNDLED: [Bundled; 6] = [
    Bundled {
        name: "chatml",
        template: r"{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
",
        stop: &["<|im_start|>", "<|im_end|>"],
    },
    Bundled {
        name: "llama3-instruct",
        template: r"{{ range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>

{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>

",
        stop: &["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    },
    Bundled {
        name: "llama2-chat",
        template: r#"{{ $system := "" }}{{ range .Messages }}
{{- if eq .Role "system" }}{{ $system = .Content }}
{{- else if eq .Role "user" }}[INST] {{ if $system }}<<SYS>>
{{ $system }}
<</SYS>>

{{ $system = "" }}{{ end }}{{ .Content }} [/INST]
{{- else if eq .Role "assistant" }} {{ .Content }} </s><s>
{{- end }}{{ end }}"#,
        stop: &["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"],
    },
    Bundled {
        name: "mistral-instruct",
        template: r#"{{ $system := "" }}{{ range .Messages }}
{{- if eq .Role "system" }}{{ $system = .Content }}
{{- else if eq .Role "user" }}[INST] {{ if $system }}{{ $system }}

{{ $system = "" }}{{ end }}{{ .Content }} [/INST]
{{- else if eq .Role "assistant" }} {{ .Content }}</s>
{{- end }}{{ end }}"#,
        stop: &["[INST]", "[/INST]"],
    },
    Bundled {
        name: "gemma-instruct",
        template: r#"{{ $system := "" }}{{ range .Messages }}
{{- if eq .Role "system" }}{{ $system = .Content }}
{{- else }}<start_of_turn>{{ if eq .Role "assistant" }}model{{ else }}{{ .Role }}{{ end }}
{{ if $system }}{{ $system }}

{{ $system = "" }}{{ end }}{{ .Content }}<end_of_turn>
{{ end }}{{ end }}<start_of_turn>model
"#,
        stop: &["<start_of_turn>", "<end_of_turn>"],
    },
    Bundled {
        name: "phi-3",
        template: r"{{ range .Messages }}<|{{ .Role }}|>
{{ .Content }}<|end|>
{{ end }}<|assistant|>
",
        stop: &["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"],
    },
];

/// The format that `jinja`, a `tokenizer.chat_template`, writes; `bos` and `eos` are the texts of
/// the tokens that begin and end a sequence.
pub fn detect(jinja: &str, bos: &str, eos: &str) -> Option<&'static Bundled> {
    let own = ModelPrompt::new(PromptParts {
        jinja: Some(jinja.to_owned()),
        bos_text: bos.to_owned(),
        eos_text: eos.to_owned(),
        ..PromptParts::default()
    })
    .ok()?;
    let want = probe(&own, bos)?;
    BUNDLED.iter().find(|bundled| {
        let model = ModelPrompt::new(PromptParts {
            template: Some(bundled.template.to_owned()),
            ..PromptParts::default()
        });
        model.is_ok_and(|model| probe(&model, bos).is_some_and(|found| found == want))
    })
}

/// Two conversations without spaces and without the token that begins them.
fn probe(model: &ModelPrompt, bos: &str) -> Option<[String; 2]> {
    let turns = [
        Message::new("system", "Be brief."),
        Message::new("user", "First question?"),
        Message::new("assistant", "First answer."),
        Message::new("user", "Second question?"),
    ];
    let render = |messages: &[Message]| {
        let chat = ChatPrompt {
            messages,
            tools: &[],
            think: None,
            budget: Budget {
                tokens: &|_| 0,
                context_tokens: 0,
                truncate: false,
            },
        };
        let text = model.render_chat(&chat).ok()?.text;
        let text = text.strip_prefix(bos).unwrap_or(&text);
        Some(text.split_whitespace().collect::<String>())
    };
    Some([render(&turns[1..])?, render(&turns)?])
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{folder, read};
    use super::*;

    #[test]
    fn formats_are_recognised_by_what_their_templates_write() {
        let role_loop = |start: &str, end: &str, last: &str| {
            format!(
                "{{% for message in messages %}}{{{{ '{start}' }}}}{{{{ message['content'] }}}}\
                 {{{{ '{end}' }}}}{{% endfor %}}{{{{ '{last}' }}}}"
            )
        };
        let chatml = role_loop(
            "<|im_start|>' + message['role'] + '\\n",
            "<|im_end|>\\n",
            "<|im_start|>assistant\\n",
        );
        let llama3 = "{{ bos_token }}".to_owned()
            + &role_loop(
                "<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n",
                "<|eot_id|>",
                "<|start_header_id|>assistant<|end_header_id|>\\n\\n",
            );
        let gemma = "{{ bos_token }}{% if messages[0].role == 'system' %}\
            {{ raise_exception('no system role') }}{% endif %}{% for m in messages %}\
            {% set role = 'model' if m.role == 'assistant' else m.role %}\
            {{ '<start_of_turn>' + role + '\\n' + m.content + '<end_of_turn>\\n' }}{% endfor %}\
            {{ '<start_of_turn>model\\n' }}";
        let llama2 = "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}\
            {% set system = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}\
            {% set system = false %}{% endif %}{% for m in loop_messages %}{% if m.role == 'user' %}\
            {{ bos_token + '[INST] ' }}{% if loop.index0 == 0 and system %}\
            {{ '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' }}{% endif %}{{ m.content + ' [/INST]' }}\
            {% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}";
        let cases = [
            (chatml.as_str(), "chatml"),
            (llama3.as_str(), "llama3-instruct"),
            (gemma, "gemma-instruct"),
            (llama2, "llama2-chat"),
        ];
        for (jinja, name) in cases {
            let found = detect(jinja, "<s>", "</s>").map(|bundled| bundled.name);
            assert_eq!(found, Some(name), "{jinja}");
        }
        assert_eq!(detect("{{ messages[0].content }}", "<s>", "</s>"), None);
        assert_eq!(detect("{% if", "<s>", "</s>"), None);
    }

    #[test]
    fn templates_that_do_more_are_not_mistaken() {
        let Some(folder) = folder("chat_templates") else {
            return;
        };
        // Both add text of their own in front.
        for name in [
            "meta-llama-Llama-3.1-8B-Instruct",
            "Qwen-Qwen2.5-7B-Instruct",
        ] {
            let jinja = read(&folder, &format!("{name}.jinja"));
            assert_eq!(detect(&jinja, "<s>", "</s>"), None, "{name}");
        }
    }
}
