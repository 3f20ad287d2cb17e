//! Queries and window functions inside expressions.

use std::ops::ControlFlow;

use sqlparser::ast::{self, Expr, Visitor, WindowType};

use super::query::{order, query};
use super::select::written;
use super::{Subquery, Window};

/// Queries and window functions of an expression, those inside inner queries apart.
#[derive(Default)]
pub(super) struct Inner {
    depth: usize,
    role: Option<&'static str>,
    pub(super) subqueries: Vec<Subquery>,
    pub(super) windows: Vec<Window>,
}

impl Visitor for Inner {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Exists { negated, .. } => {
                self.role = Some(if *negated { "not exists" } else { "exists" });
            }
            Expr::InSubquery { negated, .. } => {
                self.role = Some(if *negated { "not in" } else { "in" });
            }
            Expr::Subquery(_) => self.role = Some("value"),
            Expr::Function(function) => self.windows.extend(over_window(function)),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, inner: &ast::Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.subqueries.push(Subquery {
                role: self.role.take().unwrap_or("value").to_owned(),
                query: Box::new(query(inner)),
            });
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

fn over_window(function: &ast::Function) -> Option<Window> {
    let over = function.over.as_ref()?;
    let mut bare = function.clone();
    bare.over = None;
    let bare = bare.to_string();
    Some(match over {
        WindowType::WindowSpec(spec) => window(bare, spec),
        WindowType::NamedWindow(name) => Window {
            function: bare,
            partition_by: Vec::new(),
            order: Vec::new(),
            frame: Some(name.to_string()),
        },
    })
}

pub(super) fn window(function: String, spec: &ast::WindowSpec) -> Window {
    Window {
        function,
        partition_by: written(&spec.partition_by),
        order: spec.order_by.iter().map(order).collect(),
        frame: spec.window_frame.as_ref().map(ast_frame),
    }
}

fn ast_frame(frame: &ast::WindowFrame) -> String {
    match &frame.end_bound {
        Some(end) => format!("{} BETWEEN {} AND {end}", frame.units, frame.start_bound),
        None => format!("{} {}", frame.units, frame.start_bound),
    }
}
