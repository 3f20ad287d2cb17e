//! Tokens to a tree, after the grammar of Go's `text/template`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::GoTemplateError;
use super::funcs::Function;
use super::lexer::{Keyword, Kind, Token, lex};

/// Statements nested deeper than this, or parentheses, are refused.
const MAX_NESTING: usize = 128;

pub(super) type List = Vec<Node>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: NodeKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum NodeKind {
    Text(Arc<str>),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { name: String, pipe: Option<Pipe> },
    Break,
    Continue,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) list: List,
    pub(super) otherwise: List,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pipe {
    /// Variables the result goes to, with their `$`.
    pub(super) variables: Vec<String>,
    /// `=` instead of `:=`.
    pub(super) assign: bool,
    /// Each command is its words; the first may be a function.
    pub(super) commands: Vec<Vec<Expr>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Function(Function),
    Pipe(Pipe),
    Chain(Box<Expr>, Vec<String>),
}

/// The body of a template and the templates it defines.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) root: List,
    pub(super) defined: BTreeMap<String, List>,
}

pub(super) fn parse(source: &str) -> Result<Parsed, GoTemplateError> {
    let mut parser = Parser {
        tokens: lex(source)?,
        at: 0,
        variables: vec!["$".to_owned()],
        ranges: 0,
        nesting: 0,
        defined: BTreeMap::new(),
    };
    let (root, end) = parser.list(true)?;
    match end {
        ListEnd::EndOfInput => Ok(Parsed {
            root,
            defined: parser.defined,
        }),
        ListEnd::End => parser.error("unexpected {{end}}"),
        ListEnd::Else => parser.error("unexpected {{else}}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListEnd {
    End,
    Else,
    EndOfInput,
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    variables: Vec<String>,
    ranges: usize,
    nesting: usize,
    defined: BTreeMap<String, List>,
}

impl Parser {
    fn line(&self) -> usize {
        self.tokens[self.at.min(self.tokens.len() - 1)].line
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, GoTemplateError> {
        Err(GoTemplateError::Parse {
            line: self.line(),
            message: message.into(),
        })
    }

    fn unexpected<T>(&self, context: &str) -> Result<T, GoTemplateError> {
        self.error(format!("unexpected {} in {context}", self.peek()))
    }

    fn peek(&self) -> &Kind {
        &self.tokens[self.at.min(self.tokens.len() - 1)].kind
    }

    fn next(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len());
        kind
    }

    fn skip_space(&mut self) {
        while *self.peek() == Kind::Space {
            self.at += 1;
        }
    }

    fn eat(&mut self, kind: &Kind) -> bool {
        let found = self.peek() == kind;
        if found {
            self.at += 1;
        }
        found
    }

    fn close(&mut self, context: &str) -> Result<(), GoTemplateError> {
        self.skip_space();
        if self.eat(&Kind::Close) {
            return Ok(());
        }
        self.unexpected(context)
    }

    fn nest<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, GoTemplateError>,
    ) -> Result<T, GoTemplateError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return self.error(format!("nested deeper than {MAX_NESTING} levels"));
        }
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    /// Reads nodes up to `{{end}}`, `{{else` or the end of the text. After `{{else` the rest of
    /// that action is still to be read.
    fn list(&mut self, top: bool) -> Result<(List, ListEnd), GoTemplateError> {
        let mut nodes = List::new();
        loop {
            let line = self.line();
            let kind = match self.next() {
                Kind::End => return Ok((nodes, ListEnd::EndOfInput)),
                Kind::Text(text) => NodeKind::Text(text.into()),
                Kind::Open => {
                    self.skip_space();
                    match *self.peek() {
                        Kind::Keyword(Keyword::End) => {
                            self.at += 1;
                            self.close("end")?;
                            return Ok((nodes, ListEnd::End));
                        }
                        Kind::Keyword(Keyword::Else) => {
                            self.at += 1;
                            return Ok((nodes, ListEnd::Else));
                        }
                        Kind::Keyword(Keyword::Define) => {
                            if !top {
                                return self.unexpected("command");
                            }
                            self.at += 1;
                            self.nest(Self::define)?;
                            continue;
                        }
                        Kind::Keyword(keyword) => {
                            self.at += 1;
                            self.nest(|parser| parser.statement(keyword))?
                        }
                        _ => NodeKind::Action(self.pipeline("command", &Kind::Close)?),
                    }
                }
                _ => {
                    self.at -= 1;
                    return self.unexpected("input");
                }
            };
            nodes.push(Node { line, kind });
        }
    }

    fn statement(&mut self, keyword: Keyword) -> Result<NodeKind, GoTemplateError> {
        match keyword {
            Keyword::If => Ok(NodeKind::If(self.branch("if")?)),
            Keyword::With => Ok(NodeKind::With(self.branch("with")?)),
            Keyword::Range => Ok(NodeKind::Range(self.branch("range")?)),
            Keyword::Break | Keyword::Continue => {
                let (name, kind) = match keyword {
                    Keyword::Break => ("break", NodeKind::Break),
                    _ => ("continue", NodeKind::Continue),
                };
                if self.ranges == 0 {
                    return self.error(format!("{{{{{name}}}}} outside {{{{range}}}}"));
                }
                self.close(name)?;
                Ok(kind)
            }
            Keyword::Template => {
                let name = self.template_name("template clause")?;
                self.skip_space();
                let pipe = if self.eat(&Kind::Close) {
                    None
                } else {
                    Some(self.pipeline("template clause", &Kind::Close)?)
                };
                Ok(NodeKind::Template { name, pipe })
            }
            Keyword::Block => {
                let name = self.template_name("block clause")?;
                let pipe = Some(self.pipeline("block clause", &Kind::Close)?);
                let body = self.template_body("block clause")?;
                self.add_template(&name, body)?;
                Ok(NodeKind::Template { name, pipe })
            }
            Keyword::Define | Keyword::Else | Keyword::End => self.unexpected("command"),
        }
    }

    fn define(&mut self) -> Result<(), GoTemplateError> {
        let name = self.template_name("define clause")?;
        self.close("define clause")?;
        let body = self.template_body("define clause")?;
        self.add_template(&name, body)
    }

    fn template_name(&mut self, context: &str) -> Result<String, GoTemplateError> {
        self.skip_space();
        match self.peek().clone() {
            Kind::Str(name) => {
                self.at += 1;
                Ok(name)
            }
            _ => self.unexpected(context),
        }
    }

    /// A defined template sees no variable and no loop of its surroundings.
    fn template_body(&mut self, context: &str) -> Result<List, GoTemplateError> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, end) = self.list(false)?;
        if end != ListEnd::End {
            return self.error(format!("unexpected end of {context}"));
        }
        self.variables = variables;
        self.ranges = ranges;
        Ok(body)
    }

    /// A definition without content does not replace one that has some.
    fn add_template(&mut self, name: &str, body: List) -> Result<(), GoTemplateError> {
        let is_empty = |list: &List| {
            list.iter()
                .all(|node| matches!(&node.kind, NodeKind::Text(text) if text.trim().is_empty()))
        };
        match self.defined.get(name) {
            Some(old) if !is_empty(old) && !is_empty(&body) => self.error(format!(
                "template: multiple definition of template {name:?}"
            )),
            Some(old) if !is_empty(old) => Ok(()),
            _ => {
                self.defined.insert(name.to_owned(), body);
                Ok(())
            }
        }
    }

    fn branch(&mut self, name: &str) -> Result<Branch, GoTemplateError> {
        let scope = self.variables.len();
        let pipe = self.pipeline(name, &Kind::Close)?;
        let looping = usize::from(name == "range");
        self.ranges += looping;
        let (list, end) = self.list(false)?;
        self.ranges -= looping;
        let otherwise = match end {
            ListEnd::End => List::new(),
            ListEnd::Else => self.otherwise(name)?,
            ListEnd::EndOfInput => return self.error("unexpected EOF"),
        };
        self.variables.truncate(scope);
        Ok(Branch {
            pipe,
            list,
            otherwise,
        })
    }

    /// What follows `{{else`: nothing, or `if` / `with`, which needs no `{{end}}` of its own.
    fn otherwise(&mut self, name: &str) -> Result<List, GoTemplateError> {
        self.skip_space();
        let line = self.line();
        let again = match (name, self.peek()) {
            ("if", Kind::Keyword(Keyword::If)) => Some(Keyword::If),
            ("with", Kind::Keyword(Keyword::With)) => Some(Keyword::With),
            _ => None,
        };
        if let Some(keyword) = again {
            self.at += 1;
            let kind = self.nest(|parser| parser.statement(keyword))?;
            return Ok(vec![Node { line, kind }]);
        }
        self.close("else")?;
        let (list, end) = self.list(false)?;
        match end {
            ListEnd::End => Ok(list),
            ListEnd::Else => self.error("expected end; found {{else}}"),
            ListEnd::EndOfInput => self.error("unexpected EOF"),
        }
    }

    /// Reads a pipeline and the token that ends it.
    fn pipeline(&mut self, context: &str, end: &Kind) -> Result<Pipe, GoTemplateError> {
        let mut pipe = Pipe::default();
        self.declarations(context, &mut pipe)?;
        loop {
            self.skip_space();
            if self.peek() == end {
                self.at += 1;
                break;
            }
            pipe.commands.push(self.command()?);
            self.skip_space();
            if self.eat(&Kind::Pipe) {
                self.skip_space();
                if self.peek() == end {
                    return self.error(format!("missing value for {context}"));
                }
            } else if self.peek() != end {
                return self.unexpected(context);
            }
        }
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (stage, words) in pipe.commands.iter().enumerate().skip(1) {
            if matches!(
                words[0],
                Expr::Bool(_)
                    | Expr::Dot
                    | Expr::Nil
                    | Expr::Int(_)
                    | Expr::Float(_)
                    | Expr::Str(_)
            ) {
                return self.error(format!(
                    "non executable command in pipeline stage {}",
                    stage + 1
                ));
            }
        }
        // The new variables are not visible in the pipeline that sets them.
        if !pipe.assign {
            self.variables.extend(pipe.variables.iter().cloned());
        }
        Ok(pipe)
    }

    /// `$x :=`, `$x =`, and for range also `$i, $x :=`.
    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Result<(), GoTemplateError> {
        self.skip_space();
        let start = self.at;
        let mut names = Vec::new();
        while let Kind::Variable(name) = self.peek().clone() {
            self.at += 1;
            self.skip_space();
            names.push(name);
            match self.peek() {
                Kind::Declare | Kind::Assign => {
                    pipe.assign = *self.peek() == Kind::Assign;
                    self.at += 1;
                    if let Some(name) = names
                        .iter()
                        .find(|name| pipe.assign && !self.variables.contains(name))
                    {
                        return self.error(format!("undefined variable {name:?}"));
                    }
                    pipe.variables = names;
                    return Ok(());
                }
                Kind::Comma if context == "range" && names.len() == 1 => {
                    self.at += 1;
                    self.skip_space();
                }
                Kind::Comma => return self.error(format!("too many declarations in {context}")),
                _ => break,
            }
        }
        if names.len() > 1 {
            return self.error("range can only initialize variables");
        }
        // No declaration after all: the variable belongs to the first command.
        self.at = start;
        Ok(())
    }

    fn command(&mut self) -> Result<Vec<Expr>, GoTemplateError> {
        let mut words = Vec::new();
        loop {
            self.skip_space();
            match self.operand()? {
                Some(word) => words.push(word),
                None if words.is_empty() => return self.unexpected("operand"),
                None => return Ok(words),
            }
            match self.peek() {
                Kind::Space => {}
                Kind::Close | Kind::CloseParen | Kind::Pipe => return Ok(words),
                _ => return self.unexpected("operand"),
            }
        }
    }

    fn operand(&mut self) -> Result<Option<Expr>, GoTemplateError> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let mut names = Vec::new();
        while let Kind::Field(name) = self.peek().clone() {
            self.at += 1;
            names.push(name);
        }
        if names.is_empty() {
            return Ok(Some(term));
        }
        Ok(Some(match term {
            Expr::Field(mut fields) => {
                fields.extend(names);
                Expr::Field(fields)
            }
            Expr::Variable(variable, mut fields) => {
                fields.extend(names);
                Expr::Variable(variable, fields)
            }
            Expr::Pipe(_) | Expr::Function(_) => Expr::Chain(Box::new(term), names),
            _ => return self.error("unexpected . after term"),
        }))
    }

    fn term(&mut self) -> Result<Option<Expr>, GoTemplateError> {
        let expr = match self.peek().clone() {
            Kind::Ident(name) => match Function::named(&name) {
                Some(function) => Expr::Function(function),
                None => return self.error(format!("function {name:?} not defined")),
            },
            Kind::Dot => Expr::Dot,
            Kind::Nil => Expr::Nil,
            Kind::Bool(value) => Expr::Bool(value),
            Kind::Int(value) => Expr::Int(value),
            Kind::Float(value) => Expr::Float(value),
            Kind::Str(text) => Expr::Str(text.into()),
            Kind::Field(name) => Expr::Field(vec![name]),
            Kind::Variable(name) => {
                if !self.variables.contains(&name) {
                    return self.error(format!("undefined variable {name:?}"));
                }
                Expr::Variable(name, Vec::new())
            }
            Kind::OpenParen => {
                self.at += 1;
                let pipe = self.nest(|parser| {
                    let scope = parser.variables.len();
                    let pipe = parser.pipeline("parenthesized pipeline", &Kind::CloseParen)?;
                    parser.variables.truncate(scope);
                    Ok(pipe)
                })?;
                return Ok(Some(Expr::Pipe(pipe)));
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(expr))
    }
}
