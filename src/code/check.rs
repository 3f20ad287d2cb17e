//! Whether a text is written in its language, as far as its syntax tells.
//!
//! Tree-sitter reads all but SQL: its grammar for that needs a version of `cc` that nothing else here wants, and knows no
//! dialect, while the parser of the SQL assistant knows six.

use tree_sitter::{Language, Node, Parser};

use crate::sql::statement::parse;
use crate::sql::{Dialect, SqlError};

/// What SQL may be written in; nothing tells which.
const DIALECTS: [Dialect; 6] = [
    Dialect::Postgres,
    Dialect::Sqlite,
    Dialect::MySql,
    Dialect::DuckDb,
    Dialect::MsSql,
    Dialect::BigQuery,
];

/// Elements of HTML that have no end tag.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];
/// Elements whose end tag may be left out.
const OPEN: [&str; 19] = [
    "body", "caption", "colgroup", "dd", "dt", "head", "html", "li", "optgroup", "option", "p",
    "rp", "rt", "tbody", "td", "tfoot", "th", "thead", "tr",
];
/// Types of scripts that are JavaScript, beside none.
const SCRIPTS: [&str; 3] = ["text/javascript", "application/javascript", "module"];

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Line of the first mistake, from 1.
    pub line: usize,
    /// What is the matter there.
    pub what: String,
}

/// Whether files of a language are checked.
pub(crate) fn is_known(language: &str) -> bool {
    ["html", "json", "jsonc", "javascript", "python", "sql"].contains(&language)
}

/// The first mistake of a file; `None` where there is none, or where the language is not known.
pub(crate) fn problem(language: &str, content: &str) -> Option<Problem> {
    match language {
        "html" => html(content),
        "json" => parsed(&tree_sitter_json::LANGUAGE.into(), content).or_else(|| json(content)),
        "jsonc" => parsed(&tree_sitter_json::LANGUAGE.into(), content),
        "javascript" => parsed(&tree_sitter_javascript::LANGUAGE.into(), content),
        "python" => parsed(&tree_sitter_python::LANGUAGE.into(), content),
        "sql" => sql(content),
        _ => None,
    }
}

fn parsed(language: &Language, content: &str) -> Option<Problem> {
    let tree = tree(language, content)?;
    first_mistake(tree.root_node())
}

fn tree(language: &Language, content: &str) -> Option<tree_sitter::Tree> {
    let mut parser = Parser::new();
    parser
        .set_language(language)
        .expect("the grammars are of versions that the parser knows");
    parser.parse(content, None)
}

/// The first place where the parser had to leave something out or to put something in.
fn first_mistake(root: Node<'_>) -> Option<Problem> {
    let found = find(root, &|node| node.is_error() || node.is_missing())?;
    Some(Problem {
        line: found.start_position().row + 1,
        what: match found.is_missing() {
            true => format!("'{}' is missing", found.kind()),
            false => "it does not parse".to_owned(),
        },
    })
}

/// The first node, in the order of the text, that is like this. Trees may be as deep as the text is long, so nothing
/// here calls itself.
fn find<'t>(root: Node<'t>, is_wanted: &dyn Fn(Node<'t>) -> bool) -> Option<Node<'t>> {
    let mut cursor = root.walk();
    loop {
        if is_wanted(cursor.node()) {
            return Some(cursor.node());
        }
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return None;
            }
        }
    }
}

/// Stricter than the grammar, which reads comments.
fn json(content: &str) -> Option<Problem> {
    let error = serde_json::from_str::<serde::de::IgnoredAny>(content).err()?;
    Some(Problem {
        line: error.line().max(1),
        what: "it is not JSON".to_owned(),
    })
}

/// Tags that match, and scripts that parse.
fn html(content: &str) -> Option<Problem> {
    let tree = tree(&tree_sitter_html::LANGUAGE.into(), content)?;
    let root = tree.root_node();
    let at = |node: Node<'_>, what: String| Problem {
        line: node.start_position().row + 1,
        what,
    };
    let wrong_end = find(root, &|node| node.kind() == "erroneous_end_tag")
        .map(|node| at(node, "an end tag has no element".to_owned()));
    let unclosed = find(root, &|node| is_unclosed(node, content)).map(|node| {
        let name = tag(node, content).unwrap_or_default();
        at(node, format!("'<{name}>' is not closed"))
    });
    let mistakes = [
        first_mistake(root),
        wrong_end,
        unclosed,
        script(root, content),
    ];
    mistakes
        .into_iter()
        .flatten()
        .min_by_key(|problem| problem.line)
}

fn is_unclosed(node: Node<'_>, content: &str) -> bool {
    let has = |kind: &str| {
        let children = (0..node.child_count()).filter_map(|at| node.child(at));
        children.into_iter().any(|child| child.kind() == kind)
    };
    let is_element = ["element", "script_element", "style_element"].contains(&node.kind());
    if !is_element || !has("start_tag") || has("end_tag") {
        return false;
    }
    let name = tag(node, content).unwrap_or_default().to_ascii_lowercase();
    !VOID.contains(&name.as_str()) && !OPEN.contains(&name.as_str())
}

/// The name of an element.
fn tag<'c>(element: Node<'_>, content: &'c str) -> Option<&'c str> {
    let start = element.child(0)?;
    let name = find(start, &|node| node.kind() == "tag_name")?;
    content.get(name.byte_range())
}

/// The first mistake in the scripts of a page.
fn script(root: Node<'_>, content: &str) -> Option<Problem> {
    let is_broken = |node: Node<'_>| script_mistake(node, content).is_some();
    let broken = find(root, &is_broken)?;
    script_mistake(broken, content)
}

fn script_mistake(node: Node<'_>, content: &str) -> Option<Problem> {
    let is_script = node.kind() == "raw_text"
        && node.parent().is_some_and(|parent| {
            parent.kind() == "script_element" && is_javascript(parent, content)
        });
    if !is_script {
        return None;
    }
    let code = content.get(node.byte_range())?;
    let found = parsed(&tree_sitter_javascript::LANGUAGE.into(), code)?;
    Some(Problem {
        line: found.line + node.start_position().row,
        what: format!("in the script: {}", found.what),
    })
}

fn is_javascript(script: Node<'_>, content: &str) -> bool {
    let Some(start) = script.child(0) else {
        return false;
    };
    let text = |node: Node<'_>| content.get(node.byte_range()).unwrap_or_default();
    let is_type =
        |node: Node<'_>| node.kind() == "attribute_name" && text(node).eq_ignore_ascii_case("type");
    let Some(attribute) = find(start, &is_type).and_then(|name| name.parent()) else {
        return true;
    };
    let value = find(attribute, &|node| node.kind() == "attribute_value").map(text);
    value.is_none_or(|value| SCRIPTS.contains(&value.to_ascii_lowercase().as_str()))
}

/// Right is what some dialect reads; else the one that gets furthest tells the mistake.
fn sql(content: &str) -> Option<Problem> {
    let mut furthest: Option<Problem> = None;
    for dialect in DIALECTS {
        let Err(SqlError::Syntax { line, reason, .. }) = parse(content, dialect) else {
            return None;
        };
        let line = usize::try_from(line).unwrap_or(usize::MAX).max(1);
        if furthest.as_ref().is_none_or(|known| known.line < line) {
            furthest = Some(Problem { line, what: reason });
        }
    }
    furthest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(language: &str, content: &str) -> Option<usize> {
        problem(language, content).map(|problem| problem.line)
    }

    #[test]
    fn sound_files_have_no_problem() {
        for (language, content) in [
            (
                "html",
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>T</title>\n<style>a > b { color: red }</style></head>\n<body><ul><li>a<li>b</ul><p>x<br>y<input disabled>\n<script>const f = (a) => a < 1;</script><script type=\"application/ld+json\">{\"a\": 1}</script>\n<script type=\"module\" src=\"/a.js\"></script></body>\n</html>\n",
            ),
            ("json", "{\"a\": [1, 2.5e3, null, \"\\u00e9\"]}\n"),
            ("jsonc", "{\n  // why\n  \"a\": 1\n}\n"),
            (
                "javascript",
                "import React, { useState } from 'react';\nexport default function App() {\n  const [a, setA] = useState(0);\n  return <div onClick={() => setA(a + 1)}>{a?.b ?? `x${a}`}</div>;\n}\n",
            ),
            (
                "javascript",
                "class A { #x = 1; async *f() { for await (const y of z) yield y; } }\n",
            ),
            (
                "python",
                "from fastapi import FastAPI\napp = FastAPI()\n\n@app.get(\"/\")\nasync def root(q: str | None = None) -> dict:\n    match q:\n        case None:\n            return {}\n        case _:\n            return {\"q\": f\"{q!r}\"}\n",
            ),
            (
                "sql",
                "CREATE TABLE IF NOT EXISTS users (\n  id SERIAL PRIMARY KEY,\n  email TEXT NOT NULL UNIQUE,\n  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP\n);\nCREATE INDEX users_email ON users (email);\nINSERT INTO users (email) VALUES ('a@b.c'), ('d@e.f');\nSELECT u.id, count(*) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id HAVING count(*) > 1;\n",
            ),
            (
                "sql",
                "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, total NUMERIC(10, 2) CHECK (total >= 0), u INT REFERENCES users (id) ON DELETE CASCADE);\n",
            ),
            ("sql", "-- nothing yet\n"),
            ("python", ""),
            ("css", "a { {"),
        ] {
            assert_eq!(problem(language, content), None, "{content}");
        }
    }

    #[test]
    fn the_line_of_the_first_mistake_is_told() {
        for (language, content, want) in [
            ("html", "<div>\n<p>x</p>\n", 1),
            ("html", "<div>\n<b>x</i>\n</b></div>\n", 2),
            ("html", "<p>a</p>\n<script>\nlet x = ;\n</script>\n", 3),
            ("html", "<p>a</p>\n<script>\nlet x = 1;\n", 2),
            ("json", "{\n  \"a\": 1,\n}\n", 2),
            ("json", "{\n  // why\n  \"a\": 1\n}\n", 2),
            ("json", "", 1),
            ("javascript", "const a = 1;\nfunction f( {\n", 2),
            ("javascript", "const a = 1;\nconst b = (2;\n", 2),
            ("python", "x = 1\ndef f(:\n    return 1\n", 2),
            ("python", "x = 1\ny = (2\n", 2),
            ("sql", "SELECT 1;\nSELEC a FROM t;\n", 2),
            ("sql", "CREATE TABLE t (a int,\n  b text\n", 1),
        ] {
            let got = line(language, content);
            let is_near = got.is_some_and(|line| line.abs_diff(want) <= 1);
            assert!(is_near, "{content}: {got:?}, not {want}");
        }
    }

    #[test]
    fn deep_files_do_no_harm() {
        let deep = "[".repeat(50_000);
        assert!(problem("json", &deep).is_some());
        let deep = "<div>".repeat(2_000);
        assert!(problem("html", &deep).is_some());
        let deep = format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000));
        assert_eq!(problem("javascript", &deep), None);
    }
}
