//! Conditions on requests, as the Common Expression Language (CEL) has them: `request.headers["x-beta"] == "1" || !tls.enabled`.
//!
//! What always holds: all that can be known of a condition is known when it is compiled: its names, its patterns and address ranges,
//! and the kinds of its values, so that most mistakes are faults of the configuration. Asking one panics never, takes a bounded number
//! of steps, makes nothing that it does not name, and mostly allocates nothing. A header, parameter or cookie that is not there is the
//! empty text, so that to compare it is no error; `has(…)` and `in` tell it from one that is empty.
//!
//! Why none of the libraries for CEL stands here: they find out about names and kinds when a request comes, compile a pattern each time
//! that it is asked, and have no bound on what an expression takes. A test holds what is said here against one of them.
//!
//! May depend on `observe` and the address ranges of this folder.

mod call;
mod check;
mod disjoint;
mod eval;
mod facts;
mod kind;
mod near;
mod node;
mod syntax;
mod token;
mod value;

pub use facts::{Facts, Named, Stage, Text};

use check::Checker;
use eval::Asking;
use kind::Kind;
use node::Node;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use syntax::Expr;

/// A condition that is ready to be asked.
pub struct Condition {
    text: Box<str>,
    node: Node,
    expr: Expr,
    of_consumer: bool,
    of_path: bool,
    of_headers: BTreeSet<Box<[u8]>>,
    /// When it was last told that nothing can be said, in seconds from 1 on; 0: never.
    warned: AtomicU64,
}

/// For how many seconds it is not told again that a condition cannot say anything.
const QUIET: u64 = 60;

/// What is wrong with the text of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// What to write.
    pub help: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// The character of that line, from 1.
    pub column: usize,
}

/// Why a condition neither holds nor does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A value is none of this kind.
    Kind(&'static str),
    /// Something was divided by zero.
    DivisionByZero,
    /// A number became too large.
    Overflow,
    /// A text stands for no such value.
    Conversion,
    /// A list has no such item.
    NoItem,
    /// The head does not tell how long the body is.
    NoSize,
    /// It took too many steps.
    TooLong,
}

impl Condition {
    /// Compiles a text for where it stands.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn compile(text: &str, stage: Stage) -> Result<Self, Fault> {
        let expr = syntax::parse(text)?;
        let mut checker =
            Checker { text, stage, items: Vec::new(), of_consumer: false, of_path: false, of_headers: BTreeSet::new() };
        let node = match checker.node(&expr)? {
            (node, Kind::Bool | Kind::Any) => node,
            (_, kind) => {
                let fault = Fault::at(text, expr.at, format!("it comes to {kind}: a condition is true or false"));
                return Err(match kind {
                    Kind::Text => fault.help("compare it: == \"…\""),
                    Kind::Int | Kind::Double => fault.help("compare it: == 0, > 0"),
                    _ => fault,
                });
            }
        };
        let Checker { of_consumer, of_path, of_headers, .. } = checker;
        Ok(Self { text: text.into(), node, of_consumer, of_path, of_headers, expr, warned: AtomicU64::new(0) })
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub fn holds(&self, facts: &dyn Facts) -> Result<bool, Error> {
        Asking::new(facts).holds(&self.node)
    }

    /// Whether it asks who asks.
    pub fn names_consumer(&self) -> bool {
        self.of_consumer
    }

    /// Whether it asks for the path.
    pub fn names_path(&self) -> bool {
        self.of_path
    }

    /// The names of headers that it asks for by name, in lower case.
    pub fn header_names(&self) -> impl Iterator<Item = &[u8]> {
        self.of_headers.iter().map(|name| &**name)
    }

    /// Whether whoever runs it should be warned now that it cannot say anything: once a minute. `now` is monotonic.
    pub fn is_worth_a_warning(&self, now: Duration) -> bool {
        let (now, before) = (now.as_secs() + 1, self.warned.load(Relaxed));
        let is_due = before == 0 || now.saturating_sub(before) >= QUIET;
        is_due && self.warned.compare_exchange(before, now, Relaxed, Relaxed).is_ok()
    }

    /// Whether it is plain that the two never hold both.
    pub fn excludes(&self, other: &Self) -> bool {
        disjoint::excludes(&self.expr, &other.expr)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

impl fmt::Display for Condition {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Fault {
    /// One at a byte of a text.
    fn at(text: &str, at: usize, what: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { what: what.into(), help: None, line, column }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, line, column, .. } = self;
        match line {
            1 => write!(f, "{what}, at character {column} of the condition"),
            _ => write!(f, "{what}, at character {column} of line {line} of the condition"),
        }
    }
}

impl Error {
    /// One word for metrics and the log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kind(_) => "kind",
            Self::DivisionByZero => "division-by-zero",
            Self::Overflow => "overflow",
            Self::Conversion => "conversion",
            Self::NoItem => "no-item",
            Self::NoSize => "no-size",
            Self::TooLong => "too-long",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind(wanted) => return write!(f, "a value is not {wanted}"),
            Self::DivisionByZero => "something was divided by zero",
            Self::Overflow => "a number became too large",
            Self::Conversion => "a value cannot be made one of another kind",
            Self::NoItem => "a list has no such item",
            Self::NoSize => "the head does not tell how long the body is",
            Self::TooLong => "it took too many steps",
        })
    }
}

#[cfg(test)]
mod tests;
