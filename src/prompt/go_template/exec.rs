//! Walks a parsed template and writes its text.

use std::sync::Arc;

use super::GoTemplateError;
use super::funcs::{Dates, Function, type_script_type};
use super::parser::{Branch, Expr, List, Node, NodeKind, Parsed, Pipe};
use super::value::Value;

/// Longest text a template may write or compute.
pub(super) const MAX_TEXT_BYTES: usize = 16 << 20;
/// Statements, loop rounds and evaluated words of one execution.
const MAX_STEPS: u64 = 4_000_000;
/// Bytes that all functions of one execution may produce together.
const MAX_COMPUTED_BYTES: usize = 256 << 20;
/// Statements, templates and pipelines inside one another.
const MAX_DEPTH: usize = 400;

/// Executes `list` with `data` as `.` and `$`.
pub(super) fn execute(
    parsed: &Parsed,
    list: &List,
    data: &Value,
    dates: &Dates,
) -> Result<String, GoTemplateError> {
    let mut exec = Exec {
        parsed,
        dates,
        out: String::new(),
        variables: vec![("$", data.clone())],
        steps: 0,
        computed_bytes: 0,
        depth: 0,
        line: 1,
    };
    exec.walk(data, list)?;
    Ok(exec.out)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Exec<'t> {
    parsed: &'t Parsed,
    dates: &'t Dates,
    out: String,
    variables: Vec<(&'t str, Value)>,
    steps: u64,
    computed_bytes: usize,
    depth: usize,
    line: usize,
}

type Result<T, E = GoTemplateError> = std::result::Result<T, E>;

impl<'t> Exec<'t> {
    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(GoTemplateError::Execute {
            line: self.line,
            message: message.into(),
        })
    }

    fn limit<T>(&self, what: &'static str, limit: u64) -> Result<T> {
        Err(GoTemplateError::Limit { what, limit })
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return self.limit("steps", MAX_STEPS);
        }
        Ok(())
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.limit("levels", MAX_DEPTH as u64);
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn check_output(&self) -> Result<()> {
        if self.out.len() > MAX_TEXT_BYTES {
            return self.limit("bytes", MAX_TEXT_BYTES as u64);
        }
        Ok(())
    }

    fn walk(&mut self, dot: &Value, list: &'t [Node]) -> Result<Flow> {
        for node in list {
            self.step()?;
            self.line = node.line;
            match &node.kind {
                NodeKind::Text(text) => self.out.push_str(text),
                NodeKind::Action(pipe) => {
                    let value = self.pipeline(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        value.print(&mut self.out);
                    }
                }
                NodeKind::Break => return Ok(Flow::Break),
                NodeKind::Continue => return Ok(Flow::Continue),
                kind => match self.deeper(|exec| exec.statement(dot, kind))? {
                    Flow::Next => {}
                    flow => return Ok(flow),
                },
            }
            self.check_output()?;
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, dot: &Value, kind: &'t NodeKind) -> Result<Flow> {
        let scope = self.variables.len();
        let flow = match kind {
            NodeKind::If(branch) => {
                let value = self.pipeline(dot, &branch.pipe)?;
                self.walk(dot, choose(branch, value.truth()))
            }
            NodeKind::With(branch) => {
                let value = self.pipeline(dot, &branch.pipe)?;
                let truth = value.truth();
                self.walk(if truth { &value } else { dot }, choose(branch, truth))
            }
            NodeKind::Range(branch) => self.range(dot, branch),
            NodeKind::Template { name, pipe } => {
                self.call_template(dot, name, pipe.as_ref())?;
                Ok(Flow::Next)
            }
            // The others are no statements and never get here.
            NodeKind::Text(_) | NodeKind::Action(_) | NodeKind::Break | NodeKind::Continue => {
                Ok(Flow::Next)
            }
        }?;
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn call_template(&mut self, dot: &Value, name: &str, pipe: Option<&'t Pipe>) -> Result<()> {
        let parsed = self.parsed;
        let Some(list) = parsed.defined.get(name) else {
            return self.error(format!("template {name:?} not defined"));
        };
        let data = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Nil,
        };
        let variables = std::mem::replace(&mut self.variables, vec![("$", data.clone())]);
        self.walk(&data, list)?;
        self.variables = variables;
        Ok(())
    }

    fn range(&mut self, dot: &Value, branch: &'t Branch) -> Result<Flow> {
        let value = self.commands(dot, &branch.pipe)?;
        let rounds = match &value {
            Value::Nil => 0,
            Value::List(list) => list.as_slice().len(),
            Value::Map(map) => map.entries().len(),
            Value::Int(count) => usize::try_from(*count).unwrap_or(0),
            other => {
                let text = clip(other);
                return self.error(format!("range can't iterate over {text}"));
            }
        };
        if rounds == 0 {
            return self.walk(dot, &branch.otherwise);
        }
        match &value {
            Value::List(list) => {
                for (at, item) in list.as_slice().iter().enumerate() {
                    if self.round(branch, whole(at), item.clone())? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (name, item) in map.entries() {
                    let name = Value::text(name.as_str());
                    if self.round(branch, name, item.clone())? == Flow::Break {
                        break;
                    }
                }
            }
            _ => {
                for at in 0..rounds {
                    if self.round(branch, whole(at), whole(at))? == Flow::Break {
                        break;
                    }
                }
            }
        }
        Ok(Flow::Next)
    }

    fn round(&mut self, branch: &'t Branch, index: Value, item: Value) -> Result<Flow> {
        self.step()?;
        let scope = self.variables.len();
        let pipe = &branch.pipe;
        match pipe.variables.as_slice() {
            [] => {}
            [only] => self.set(pipe.assign, only, item.clone())?,
            [first, second, ..] => {
                self.set(pipe.assign, first, index)?;
                self.set(pipe.assign, second, item.clone())?;
            }
        }
        let flow = self.walk(&item, &branch.list)?;
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn set(&mut self, assign: bool, name: &'t str, value: Value) -> Result<()> {
        if !assign {
            self.variables.push((name, value));
            return Ok(());
        }
        match self.variables.iter_mut().rfind(|(own, _)| *own == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    fn pipeline(&mut self, dot: &Value, pipe: &'t Pipe) -> Result<Value> {
        let value = self.commands(dot, pipe)?;
        for name in &pipe.variables {
            self.set(pipe.assign, name, value.clone())?;
        }
        Ok(value)
    }

    /// The value of the last command; each gets the value of the one before as last argument.
    fn commands(&mut self, dot: &Value, pipe: &'t Pipe) -> Result<Value> {
        let mut value = None;
        for words in &pipe.commands {
            value = Some(self.deeper(|exec| exec.command(dot, words, value.take()))?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn command(&mut self, dot: &Value, words: &'t [Expr], last: Option<Value>) -> Result<Value> {
        let Some((first, args)) = words.split_first() else {
            return Ok(Value::Nil);
        };
        if let Expr::Function(function) = first {
            return self.function(dot, *function, args, last);
        }
        if !args.is_empty() || last.is_some() {
            let what = match first {
                Expr::Field(names) | Expr::Variable(_, names) | Expr::Chain(_, names)
                    if !names.is_empty() =>
                {
                    let name = names.last().map_or("", String::as_str);
                    format!("{name} is not a method but has arguments")
                }
                _ => "can't give argument to non-function".to_owned(),
            };
            return self.error(what);
        }
        if *first == Expr::Nil {
            return self.error("nil is not a command");
        }
        self.word(dot, first)
    }

    fn function(
        &mut self,
        dot: &Value,
        function: Function,
        words: &'t [Expr],
        last: Option<Value>,
    ) -> Result<Value> {
        let count = words.len() + usize::from(last.is_some());
        if let Err(message) = function.check_count(count) {
            return self.error(message);
        }
        let stops = match function {
            Function::And => Some(false),
            Function::Or => Some(true),
            _ => None,
        };
        let mut args = Vec::with_capacity(count);
        for word in words {
            let value = self.word(dot, word)?;
            // `and` and `or` leave the rest alone once they are decided.
            if stops == Some(value.truth()) {
                return Ok(value);
            }
            args.push(value);
        }
        args.extend(last);
        match function.call(&args, self.dates) {
            Ok(value) => self.computed(value),
            Err(message) => self.error(message),
        }
    }

    /// Counts what a function made, so that a template cannot double a text without end.
    fn computed(&mut self, value: Value) -> Result<Value> {
        if let Value::Str(text) = &value {
            self.computed_bytes += text.len();
            if text.len() > MAX_TEXT_BYTES || self.computed_bytes > MAX_COMPUTED_BYTES {
                return self.limit("bytes", MAX_TEXT_BYTES as u64);
            }
        }
        Ok(value)
    }

    fn word(&mut self, dot: &Value, word: &'t Expr) -> Result<Value> {
        self.step()?;
        match word {
            Expr::Dot => Ok(dot.clone()),
            Expr::Nil => Ok(Value::Nil),
            Expr::Bool(value) => Ok(Value::Bool(*value)),
            Expr::Int(value) => Ok(Value::Int(*value)),
            Expr::Float(value) => Ok(Value::Float(*value)),
            Expr::Str(text) => Ok(Value::Str(Arc::clone(text))),
            Expr::Field(names) => self.fields(dot.clone(), names),
            Expr::Variable(name, names) => {
                let found = self.variables.iter().rfind(|(own, _)| own == name);
                match found.map(|(_, value)| value.clone()) {
                    Some(value) => self.fields(value, names),
                    None => self.error(format!("undefined variable: {name}")),
                }
            }
            Expr::Function(function) => self.function(dot, *function, &[], None),
            Expr::Pipe(pipe) => {
                let scope = self.variables.len();
                let value = self.pipeline(dot, pipe)?;
                self.variables.truncate(scope);
                Ok(value)
            }
            Expr::Chain(inner, names) => {
                let value = self.deeper(|exec| exec.word(dot, inner))?;
                self.fields(value, names)
            }
        }
    }

    fn fields(&self, mut value: Value, names: &[String]) -> Result<Value> {
        for (at, name) in names.iter().enumerate() {
            value = match &value {
                Value::Map(map) => map.entries().get(name).cloned().unwrap_or(Value::Nil),
                Value::Struct(record) => match record.field(name) {
                    Some(value) => value.clone(),
                    // The one method that templates call on a tool's property.
                    None if name == "ToTypeScriptType" => Value::text(type_script_type(&value)),
                    None => {
                        return self.error(format!(
                            "can't evaluate field {name} in type {}",
                            value.type_name()
                        ));
                    }
                },
                Value::Nil if at == 0 => Value::Nil,
                Value::Nil => {
                    return self.error(format!("nil pointer evaluating interface {{}}.{name}"));
                }
                other => {
                    return self.error(format!(
                        "can't evaluate field {name} in type {}",
                        other.type_name()
                    ));
                }
            };
        }
        Ok(value)
    }
}

fn choose(branch: &Branch, truth: bool) -> &List {
    if truth {
        &branch.list
    } else {
        &branch.otherwise
    }
}

fn whole(at: usize) -> Value {
    Value::Int(i64::try_from(at).unwrap_or(i64::MAX))
}

/// The beginning of a value's text, for an error message.
fn clip(value: &Value) -> String {
    let mut text = String::new();
    value.print(&mut text);
    text.chars().take(40).collect()
}
