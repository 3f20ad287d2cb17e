use proptest::prelude::*;
use serde_json::json;

use super::*;

fn data() -> Value {
    Value::from(&json!({
        "Name": "x", "N": 3, "F": 1.5, "Empty": "", "List": ["a", "b", "c"],
        "Map": {"z": 1, "a": 2}, "Nested": {"In": {"Deep": "d"}},
    }))
}

fn run(source: &str) -> String {
    GoTemplate::parse(&format!("{source}{{{{if .Response}}}}{{{{end}}}}"))
        .unwrap()
        .execute(&data())
        .unwrap_or_else(|error| panic!("{source}: {error}"))
}

#[test]
fn statements() {
    let cases = [
        ("{{ .Name }}-{{ $.N }}", "x-3"),
        (
            "{{ if .Empty }}a{{ else if eq .N 3 }}b{{ else }}c{{ end }}",
            "b",
        ),
        ("{{ with .Nested }}{{ .In.Deep }}{{ end }}", "d"),
        (
            "{{ with .Empty }}a{{ else with .Name }}{{ . }}{{ end }}",
            "x",
        ),
        ("{{ with $x := .Name }}{{ $x }}{{ end }}", "x"),
        ("{{ range .List }}{{ . }},{{ end }}", "a,b,c,"),
        (
            "{{ range $i, $v := .List }}{{ $i }}{{ $v }}{{ end }}",
            "0a1b2c",
        ),
        (
            "{{ range $k, $v := .Map }}{{ $k }}{{ $v }}{{ end }}",
            "a2z1",
        ),
        ("{{ range $v := .List }}{{ $v }}{{ end }}", "abc"),
        ("{{ range .Missing }}a{{ else }}none{{ end }}", "none"),
        (
            "{{ range .List }}{{ if eq . \"b\" }}{{ break }}{{ end }}{{ . }}{{ end }}",
            "a",
        ),
        (
            "{{ range .List }}{{ if eq . \"b\" }}{{ continue }}{{ end }}{{ . }}{{ end }}",
            "ac",
        ),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        (
            "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}",
            "2",
        ),
        (
            "{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}",
            "1",
        ),
        (
            "{{ $x := \"\" }}{{ range .List }}{{ $x = printf \"%s%s\" $x . }}{{ end }}{{ $x }}",
            "abc",
        ),
        (
            "{{ define \"t\" }}<{{ . }}{{ $ }}>{{ end }}{{ template \"t\" .Name }}",
            "<xx>",
        ),
        ("{{ block \"b\" .N }}[{{ . }}]{{ end }}", "[3]"),
        ("a {{- /* comment */ -}} b", "ab"),
        ("a\n{{- \" b \" -}}\n c", "a b c"),
        ("{{ .Missing }}|{{ .Map.missing }}", "|"),
        ("{{ (index .List 1) }}{{ (.Nested).In.Deep }}", "bd"),
        ("{{`raw \\n`}}{{'a'}}", "raw \\n97"),
    ];
    for (source, want) in cases {
        assert_eq!(run(source), want, "{source}");
    }
}

#[test]
fn functions() {
    let cases = [
        (
            "{{ and .Name .N }} {{ and .Empty .N }}{{ or .Empty .N }}",
            "3 3",
        ),
        ("{{ and .Missing .Missing.X.Y }}", ""),
        (
            "{{ not .Empty }} {{ eq .N 1 2 3 }} {{ ne .Name \"x\" }}",
            "true true false",
        ),
        (
            "{{ lt 1 2 }}{{ le 2 2 }}{{ gt \"b\" \"a\" }}{{ ge 1.5 .F }}",
            "truetruetruetrue",
        ),
        ("{{ len .List }}{{ len .Name }}{{ len .Map }}", "312"),
        (
            "{{ eq (len (slice .List 2)) 1 }}{{ slice .List 0 2 }}{{ slice \"hello\" 1 3 }}",
            "true[a b]el",
        ),
        (
            "{{ index .Map \"z\" }}{{ index .Nested \"In\" \"Deep\" }}",
            "1d",
        ),
        ("{{ .Name | printf \"%s-%s\" \"y\" | len }}", "3"),
        ("{{ print 1 2 \"a\" }}|{{ println .N }}", "1 2a|3\n"),
        (
            "{{ json .Map }}{{ json \"<\" }}",
            "{\"a\":2,\"z\":1}\"\\u003c\"",
        ),
        ("{{ html \"<a & 'b'>\" }}", "&lt;a &amp; &#39;b&#39;&gt;"),
        (
            "{{ js \"it's\" }} {{ urlquery \"a b&c\" }}",
            "it\\'s a+b%26c",
        ),
        (
            "{{ len currentDate }}{{ eq currentDate yesterdayDate }}",
            "10false",
        ),
        ("{{ eq .Missing \"x\" }}", "false"),
    ];
    for (source, want) in cases {
        assert_eq!(run(source), want, "{source}");
    }
}

#[test]
fn parse_errors_name_the_line_and_the_thing() {
    let cases = [
        ("\n{{ foo }}", "template: :2: function \"foo\" not defined"),
        ("{{ $x }}", "template: :1: undefined variable \"$x\""),
        ("{{ if .X }}", "template: :1: unexpected EOF"),
        ("{{ end }}", "template: :1: unexpected {{end}}"),
        ("{{ break }}", "template: :1: {{break}} outside {{range}}"),
        ("{{ }}", "template: :1: missing value for command"),
        ("{{ .X | }}", "template: :1: missing value for command"),
        ("{{ .X", "template: :1: unclosed action"),
        (
            "{{ .X | 1 }}",
            "template: :1: non executable command in pipeline stage 2",
        ),
        (
            "{{ if .X }}{{ else }}{{ else }}{{ end }}",
            "template: :1: expected end; found {{else}}",
        ),
    ];
    for (source, want) in cases {
        let error = GoTemplate::parse(source).unwrap_err();
        assert_eq!(error.to_string(), want, "{source}");
    }
}

#[test]
fn execution_errors() {
    for source in [
        "{{ .Name.First }}",
        "{{ index .List 9 }}",
        "{{ slice .List 4 }}",
        "{{ len 3 }}",
        "{{ eq .Name 1 }}",
        "{{ lt true false }}",
        "{{ range .Name }}{{ end }}",
        "{{ template \"none\" }}",
        "{{ .Missing.A.B }}",
        "{{ not 1 2 }}",
        "{{ 3 | .Name }}",
        "{{ nil }}",
    ] {
        let error = GoTemplate::parse(source).unwrap().execute(&data());
        assert!(
            matches!(error, Err(GoTemplateError::Execute { .. })),
            "{source}: {error:?}"
        );
    }
}

#[test]
fn endless_templates_stop() {
    let sources = [
        "{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" . }}",
        "{{ range 4000000000 }}{{ end }}",
        "{{ $x := \"0123456789\" }}{{ range 1000 }}{{ $x = print $x $x }}{{ end }}",
        "{{ range 100000 }}{{ printf \"%999999d\" 1 }}{{ end }}",
    ];
    for source in sources {
        let error = GoTemplate::parse(source).unwrap().execute(&data());
        assert!(
            matches!(error, Err(GoTemplateError::Limit { .. })),
            "{source}"
        );
    }
    let deep = format!("{}1{}", "{{ if 1 }}".repeat(500), "{{ end }}".repeat(500));
    assert!(GoTemplate::parse(&deep).is_err());
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(GoTemplate::parse(&deep).is_err());
    let many = "%999999d".repeat(1000);
    let many = format!("{{{{ printf \"{many}\" {}}}}}", "1 ".repeat(1000));
    assert!(GoTemplate::parse(&many).unwrap().execute(&data()).is_err());
}

#[test]
fn response_is_appended_and_cut_after() {
    let data = Value::from(&json!({"Prompt": "p", "Response": "r"}));
    let plain = GoTemplate::parse("[{{ .Prompt }}]").unwrap();
    assert_eq!(plain.execute(&data).unwrap(), "[p]r");
    let closed =
        GoTemplate::parse("{{ .Prompt }}>{{ if .Response }}{{ .Response }}</s>{{ end }}!").unwrap();
    assert_eq!(closed.execute(&data).unwrap(), "p>r</s>!");
    assert_eq!(closed.execute_until_response(&data).unwrap(), "p>r");
}

#[test]
fn tags_are_found_in_the_template() {
    let template = GoTemplate::parse(
        "{{ range .Messages }}{{ if and .Thinking $.Think }}<think>{{ .Thinking }}</think>\n{{ end }}\
         {{ .Content }}{{ if .ToolCalls }}{{ range .ToolCalls }}<tool_call>\n{\"name\": \
         \"{{ .Function.Name }}\"}{{ end }}{{ end }}{{ end }}",
    )
    .unwrap();
    let tags = ("<think>".to_owned(), "</think>".to_owned());
    assert_eq!(template.thinking_tags(), Some(tags));
    assert_eq!(template.tool_call_tag().as_deref(), Some("<tool_call>"));
    assert!(template.mentions("toolcalls") && !template.mentions("tools"));
    let plain = GoTemplate::parse("{{ .Prompt }}").unwrap();
    assert_eq!((plain.thinking_tags(), plain.tool_call_tag()), (None, None));
}

proptest! {
    #[test]
    fn random_text_never_panics(source in ".{0,60}") {
        if let Ok(template) = GoTemplate::parse(&source) {
            let _ = template.execute(&data());
        }
    }

    #[test]
    fn random_actions_never_panic(parts in prop::collection::vec(prop::sample::select(vec![
        "{{", "}}", "{{-", "-}}", " ", " ", "if", "else", "end", "range", "with", "define", "\"t\"",
        "template", "block", "break", "continue", ".", ".Name", ".List", ".Map", "$", "$x", ":=",
        "=", ",", "|", "(", ")", "1", "-1", "0", "9999999999", "1.5", "nil", "true", "eq", "index",
        "slice", "printf", "\"%*d%s\"", "len", "and", "not", "json", "é", "/*", "*/", "'a'", "`",
    ]), 0..40)) {
        if let Ok(template) = GoTemplate::parse(&parts.concat()) {
            let _ = template.execute(&data());
            let _ = template.execute_until_response(&data());
        }
    }

    #[test]
    fn random_calls_never_panic(
        function in prop::sample::select(vec![
            "index", "slice", "printf", "len", "eq", "lt", "print", "html", "js", "json", "and",
            "urlquery", "call", "toTypeScriptType",
        ]),
        args in prop::collection::vec(prop::sample::select(vec![
            ".Name", ".List", ".Map", ".N", ".F", ".Missing", "\"héé\"", "\"%5.2f%q%-*d%x\"", "-1",
            "0", "1", "2", "4", "9223372036854775807", "nil", "true", "(slice .List 1)",
        ]), 0..5),
    ) {
        let source = format!("{{{{ {function} {} }}}}", args.join(" "));
        let template = GoTemplate::parse(&source).unwrap();
        let _ = template.execute(&data());
    }
}
