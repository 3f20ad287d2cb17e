//! Go's `text/template`, as far as prompts use it: every statement, builtin function and `printf`
//! verb, and the functions `json`, `currentDate`, `yesterdayDate` and `toTypeScriptType`.
//!
//! Absent on purpose: methods, function values, complex numbers and custom delimiters. A missing
//! key prints nothing, where Go writes `<no value>`. Templates come from strangers, so nesting,
//! steps and bytes are limited.

mod exec;
mod format;
mod funcs;
mod lexer;
mod parser;
mod value;

use std::collections::BTreeSet;

use funcs::Dates;
use parser::{Branch, Expr, List, Node, NodeKind, Parsed, Pipe};

pub use value::{Dict, Field, List as ValueList, Print, Struct, Value};

/// Why a template cannot be read or executed. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoTemplateError {
    /// The text is no template.
    #[error("template: :{line}: {message}")]
    Parse {
        /// Where.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The template does not fit the data.
    #[error("template: :{line}: executing template: {message}")]
    Execute {
        /// Where.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The template does more than any prompt needs.
    #[error("template: stopped after {limit} {what}")]
    Limit {
        /// What was counted: steps, levels or bytes.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
}

/// A parsed template, to be executed any number of times.
#[derive(Clone, Debug)]
pub struct GoTemplate {
    parsed: Parsed,
    /// The body without what follows the first `.Response`.
    until_response: List,
    identifiers: BTreeSet<String>,
    shows_tool_results: bool,
}

impl GoTemplate {
    /// Reads a template. One that mentions neither `.Messages` nor `.Response` gets
    /// `{{ .Response }}` appended.
    ///
    /// # Errors
    /// [`GoTemplateError::Parse`] with Go's words for it.
    pub fn parse(source: &str) -> Result<Self, GoTemplateError> {
        let mut parsed = parser::parse(source)?;
        let mut identifiers = BTreeSet::new();
        for list in parsed.defined.values().chain([&parsed.root]) {
            collect_identifiers(list, &mut identifiers);
        }
        if !identifiers.contains("messages") && !identifiers.contains("response") {
            let line = parsed.root.last().map_or(1, |node| node.line);
            let kind = NodeKind::Action(Pipe {
                commands: vec![vec![Expr::Field(vec!["Response".to_owned()])]],
                ..Pipe::default()
            });
            parsed.root.push(Node { line, kind });
        }
        let until_response = cut_list(&parsed.root, &mut false);
        Ok(Self {
            parsed,
            until_response,
            identifiers,
            shows_tool_results: ["eq .Role \"tool\"", "tool_response", "TOOL_RESULTS"]
                .iter()
                .any(|mark| source.contains(mark)),
        })
    }

    /// Whether a field or variable of this name, in lower case, occurs anywhere.
    pub fn mentions(&self, name: &str) -> bool {
        self.identifiers.contains(name)
    }

    /// Writes the whole template with `data` as `.` and `$`.
    ///
    /// # Errors
    /// [`GoTemplateError::Execute`] or [`GoTemplateError::Limit`].
    pub fn execute(&self, data: &Value) -> Result<String, GoTemplateError> {
        exec::execute(&self.parsed, &self.parsed.root, data, &dates())
    }

    /// Writes the template up to and including its first `.Response`.
    ///
    /// # Errors
    /// As [`GoTemplate::execute`].
    pub fn execute_until_response(&self, data: &Value) -> Result<String, GoTemplateError> {
        exec::execute(&self.parsed, &self.until_response, data, &dates())
    }

    /// The text that begins a tool call: the first text behind the condition on `.ToolCalls`, cut
    /// at `{`. `None` when the template has none.
    pub fn tool_call_tag(&self) -> Option<String> {
        let branch = find_tool_calls(&self.parsed.root)?;
        let text = first_text(&branch.list)?;
        let text = text.trim().replace("\r\n", "\n");
        let tag = text.split('{').next().unwrap_or_default().trim();
        (!tag.is_empty()).then(|| tag.to_owned())
    }

    /// The texts around `.Thinking` of a message, such as `<think>` and `</think>`.
    pub fn thinking_tags(&self) -> Option<(String, String)> {
        let lists = self.parsed.defined.values().chain([&self.parsed.root]);
        lists.filter_map(|list| find_thinking(list, false)).next()
    }

    /// Whether the template shows both calls of tools and their results.
    pub fn has_tool_round_trip(&self) -> bool {
        self.mentions("tools") && self.mentions("toolcalls") && self.shows_tool_results
    }
}

fn dates() -> Dates {
    let today = jiff::Zoned::now().date();
    let yesterday = today.yesterday().unwrap_or(today);
    Dates {
        today: today.to_string(),
        yesterday: yesterday.to_string(),
    }
}

/// The parts of a node: its pipeline and the lists under it.
fn parts(node: &Node) -> (Option<&Pipe>, [&[Node]; 2]) {
    match &node.kind {
        NodeKind::Text(_) | NodeKind::Break | NodeKind::Continue => (None, [&[], &[]]),
        NodeKind::Action(pipe) => (Some(pipe), [&[], &[]]),
        NodeKind::If(branch) | NodeKind::With(branch) | NodeKind::Range(branch) => {
            (Some(&branch.pipe), [&branch.list, &branch.otherwise])
        }
        NodeKind::Template { pipe, .. } => (pipe.as_ref(), [&[], &[]]),
    }
}

fn words(pipe: &Pipe) -> impl Iterator<Item = &Expr> {
    pipe.commands.iter().flatten()
}

fn collect_identifiers(list: &[Node], found: &mut BTreeSet<String>) {
    for node in list {
        let (pipe, lists) = parts(node);
        if let Some(pipe) = pipe {
            collect_from_pipe(pipe, found);
        }
        for list in lists {
            collect_identifiers(list, found);
        }
    }
}

fn collect_from_pipe(pipe: &Pipe, found: &mut BTreeSet<String>) {
    for word in words(pipe) {
        collect_from_word(word, found);
    }
}

fn collect_from_word(word: &Expr, found: &mut BTreeSet<String>) {
    let names = match word {
        Expr::Field(names) | Expr::Variable(_, names) => names,
        Expr::Chain(inner, names) => {
            collect_from_word(inner, found);
            names
        }
        Expr::Pipe(pipe) => return collect_from_pipe(pipe, found),
        _ => return,
    };
    found.extend(names.iter().map(|name| name.to_lowercase()));
}

/// Copies `list` up to the first `.Response` in a printed pipeline, which stays.
fn cut_list(list: &[Node], cut: &mut bool) -> List {
    let mut kept = List::new();
    for node in list {
        if *cut {
            break;
        }
        let kind = match &node.kind {
            NodeKind::Action(pipe) => match cut_pipe(pipe, cut) {
                Some(pipe) => NodeKind::Action(pipe),
                None => break,
            },
            NodeKind::If(branch) => NodeKind::If(cut_branch(branch, cut)),
            NodeKind::With(branch) => NodeKind::With(cut_branch(branch, cut)),
            NodeKind::Range(branch) => NodeKind::Range(cut_branch(branch, cut)),
            other => other.clone(),
        };
        kept.push(Node {
            line: node.line,
            kind,
        });
    }
    kept
}

fn cut_branch(branch: &Branch, cut: &mut bool) -> Branch {
    Branch {
        pipe: branch.pipe.clone(),
        list: cut_list(&branch.list, cut),
        otherwise: cut_list(&branch.otherwise, cut),
    }
}

fn cut_pipe(pipe: &Pipe, cut: &mut bool) -> Option<Pipe> {
    let mut kept = pipe.clone();
    kept.commands.clear();
    for command in &pipe.commands {
        let mut words = Vec::new();
        for word in command {
            if *cut {
                break;
            }
            *cut = matches!(word, Expr::Field(names) if names.iter().any(|n| n == "Response"));
            words.push(word.clone());
        }
        if words.is_empty() {
            break;
        }
        kept.commands.push(words);
    }
    (!kept.commands.is_empty()).then_some(kept)
}

fn has_field(pipe: &Pipe, name: &str) -> bool {
    words(pipe).any(|word| match word {
        Expr::Field(names) | Expr::Variable(_, names) => names.iter().any(|own| own == name),
        Expr::Pipe(pipe) => has_field(pipe, name),
        Expr::Chain(inner, names) => {
            names.iter().any(|own| own == name)
                || matches!(&**inner, Expr::Pipe(pipe) if has_field(pipe, name))
        }
        _ => false,
    })
}

fn find_tool_calls(list: &[Node]) -> Option<&Branch> {
    for node in list {
        if let NodeKind::If(branch) = &node.kind
            && has_field(&branch.pipe, "ToolCalls")
        {
            return Some(branch);
        }
        let (_, lists) = parts(node);
        if let Some(found) = lists.into_iter().find_map(find_tool_calls) {
            return Some(found);
        }
    }
    None
}

/// The first text, not looking behind anything that prints.
fn first_text(list: &[Node]) -> Option<&str> {
    match &list.first()?.kind {
        NodeKind::Text(text) => Some(text),
        NodeKind::If(branch) | NodeKind::With(branch) | NodeKind::Range(branch) => {
            first_text(&branch.list).or_else(|| first_text(&branch.otherwise))
        }
        NodeKind::Template { .. } => first_text(&list[1..]),
        NodeKind::Action(_) | NodeKind::Break | NodeKind::Continue => None,
    }
}

fn find_thinking(list: &[Node], in_messages: bool) -> Option<(String, String)> {
    for node in list {
        let (pipe, lists) = parts(node);
        let printed = match &node.kind {
            NodeKind::Action(pipe) => pipe.variables.is_empty() && has_field(pipe, "Thinking"),
            _ => false,
        };
        if printed
            && in_messages
            && let (Some(open), Some(close)) = (list.first(), list.last())
            && let (NodeKind::Text(open), NodeKind::Text(close)) = (&open.kind, &close.kind)
        {
            let (open, close) = (open.trim(), close.trim());
            if !open.is_empty() && !close.is_empty() {
                return Some((open.to_owned(), close.to_owned()));
            }
        }
        let is_range = matches!(node.kind, NodeKind::Range(_));
        let inside = in_messages || (is_range && pipe.is_some_and(|p| has_field(p, "Messages")));
        let found = lists
            .into_iter()
            .find_map(|list| find_thinking(list, inside));
        if found.is_some() {
            return found;
        }
    }
    None
}

#[cfg(test)]
mod tests;
