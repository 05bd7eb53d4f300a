//! The functions and macros of conditions.

use super::check::{Checker, Made};
use super::facts::Fact;
use super::kind::Kind;
use super::near::nearest;
use super::node::{Call, Each, Node, Range, TextCall};
use super::syntax::{Expr, What};
use super::{Fault, Named};
use crate::gateway::Ranges;
use ipnet::IpNet;
use regex::bytes::{Regex, RegexBuilder};
use std::net::IpAddr;

/// Bytes of a compiled pattern, at most: beyond it a text would take too long to be searched.
const PATTERN: usize = 256 << 10;

const TEXT_CALLS: [(&str, TextCall); 3] =
    [("startsWith", TextCall::StartsWith), ("endsWith", TextCall::EndsWith), ("contains", TextCall::Contains)];
const TEXT_CHANGES: [(&str, Call); 3] =
    [("lowerAscii", Call::Lower), ("upperAscii", Call::Upper), ("trim", Call::Trim)];
const CONVERSIONS: [(&str, Call, Kind); 4] = [
    ("int", Call::Int, Kind::Int),
    ("double", Call::Double, Kind::Double),
    ("string", Call::String, Kind::Text),
    ("bool", Call::Bool, Kind::Bool),
];
const MACROS: [(&str, Each); 5] = [
    ("all", Each::All),
    ("exists", Each::Exists),
    ("exists_one", Each::ExistsOne),
    ("filter", Each::Filter),
    ("map", Each::Map),
];
/// What is called with a value before it, and what is called alone.
const METHODS: [&str; 14] = [
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "size",
    "lowerAscii",
    "upperAscii",
    "trim",
    "in_cidr",
    "all",
    "exists",
    "exists_one",
    "filter",
    "map",
];
const FUNCTIONS: [&str; 8] = ["has", "size", "matches", "in_cidr", "int", "double", "string", "bool"];

fn known<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, what)| *what)
}

impl Checker<'_> {
    pub(super) fn call(&mut self, expr: &Expr, on: Option<&Expr>, name: &str, arguments: &[Expr]) -> Made {
        let Some(on) = on else { return self.function(expr, name, arguments) };
        if let Some(each) = known(&MACROS, name) {
            let [item, body] = self.exactly(expr, name, arguments)?;
            return self.each(on, each, item, body);
        }
        if let Some(call) = known(&TEXT_CALLS, name) {
            let [other] = self.exactly(expr, name, arguments)?;
            let sides = [self.of_kind(on, &Kind::Text)?, self.of_kind(other, &Kind::Text)?];
            return Ok((Node::TextCall(call, Box::new(sides)), Kind::Bool));
        }
        if let Some(call) = known(&TEXT_CHANGES, name) {
            let [] = self.exactly(expr, name, arguments)?;
            return Ok((Node::Call(call, Box::new(self.of_kind(on, &Kind::Text)?)), Kind::Text));
        }
        match name {
            "matches" => {
                let [pattern] = self.exactly(expr, name, arguments)?;
                self.matches(on, pattern)
            }
            "in_cidr" => {
                let [ranges] = self.exactly(expr, name, arguments)?;
                self.within(on, ranges)
            }
            "size" => {
                let [] = self.exactly(expr, name, arguments)?;
                self.size(on)
            }
            _ => Err(self.no_function(expr, name, true)),
        }
    }

    fn function(&mut self, expr: &Expr, name: &str, arguments: &[Expr]) -> Made {
        if let Some((_, call, kind)) = CONVERSIONS.iter().find(|(known, ..)| *known == name) {
            let [of] = self.exactly(expr, name, arguments)?;
            let (node, from) = self.node(of)?;
            let fits = match call {
                Call::Bool => matches!(from, Kind::Bool | Kind::Text | Kind::Any),
                Call::String => matches!(from, Kind::Bool | Kind::Int | Kind::Double | Kind::Text | Kind::Any),
                _ => from == Kind::Text || from.is_number(),
            };
            return match fits {
                true => Ok((Node::Call(*call, Box::new(node)), kind.clone())),
                false => Err(self.fault(of, format!("{from} cannot be made {kind}"))),
            };
        }
        match name {
            "has" => {
                let [of] = self.exactly(expr, name, arguments)?;
                self.presence(of)
            }
            "size" => {
                let [of] = self.exactly(expr, name, arguments)?;
                self.size(of)
            }
            "matches" => {
                let [of, pattern] = self.exactly(expr, name, arguments)?;
                self.matches(of, pattern)
            }
            "in_cidr" => {
                let [of, ranges] = self.exactly(expr, name, arguments)?;
                self.within(of, ranges)
            }
            _ => Err(self.no_function(expr, name, false)),
        }
    }

    fn no_function(&self, expr: &Expr, name: &str, on_value: bool) -> Fault {
        let (known, other): (&[&str], &[&str]) = if on_value { (&METHODS, &FUNCTIONS) } else { (&FUNCTIONS, &METHODS) };
        let fault = self.fault(expr, format!("no function is named `{name}`"));
        if other.contains(&name) {
            return fault.help(if on_value { format!("write {name}(…)") } else { format!("write ….{name}(…)") });
        }
        match nearest(name, known.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!("there are {}", known.join(", "))),
        }
    }

    fn exactly<'e, const N: usize>(&self, expr: &Expr, name: &str, found: &'e [Expr]) -> Result<&'e [Expr; N], Fault> {
        let count = found.len();
        found.try_into().map_err(|_| self.fault(expr, format!("`{name}` takes {N} in its brackets, not {count}")))
    }

    fn size(&mut self, of: &Expr) -> Made {
        match self.node(of)? {
            (node, Kind::Text | Kind::List(_) | Kind::Any) => Ok((Node::Call(Call::Size, Box::new(node)), Kind::Int)),
            (_, kind) => Err(self.fault(of, format!("{kind} has no size"))),
        }
    }

    fn matches(&mut self, of: &Expr, pattern: &Expr) -> Made {
        let text = self.of_kind(of, &Kind::Text)?;
        let What::Text(written) = &pattern.what else {
            return Err(self.fault(pattern, "a pattern has to be written down, so that it is compiled once"));
        };
        Ok((Node::Matches(Box::new(text), self.regex(pattern, written)?), Kind::Bool))
    }

    fn regex(&self, at: &Expr, text: &str) -> Result<Regex, Fault> {
        RegexBuilder::new(text).size_limit(PATTERN).build().map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => self.fault(at, "the pattern is too large"),
            error => {
                let told = error.to_string();
                // The last line says what is wrong; those before it draw the place.
                let why = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.fault(at, format!("the pattern does not compile: {why}"))
            }
        })
    }

    fn within(&mut self, of: &Expr, ranges: &Expr) -> Made {
        let texts = match &ranges.what {
            What::List(items) => items.iter().collect(),
            _ => vec![ranges],
        };
        let net = |at: &Expr| {
            let What::Text(text) = &at.what else {
                return Err(self
                    .fault(at, "address ranges have to be written down")
                    .help("write in_cidr(\"10.0.0.0/8\")"));
            };
            let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
            let net = text.parse::<IpNet>().ok().or_else(alone);
            net.ok_or_else(|| self.fault(at, format!("`{text}` is no address range")).help("write \"10.0.0.0/8\""))
        };
        let nets = texts.into_iter().map(net).collect::<Result<Vec<IpNet>, Fault>>()?;
        let ranges = Ranges::new(&nets);
        if self.named(of) == Some(Fact::Client) {
            return Ok((Node::ClientWithin(ranges), Kind::Bool));
        }
        Ok((Node::Within(Box::new(self.of_kind(of, &Kind::Text)?), ranges), Kind::Bool))
    }

    fn each(&mut self, on: &Expr, each: Each, item: &Expr, body: &Expr) -> Made {
        let What::Name(name) = &item.what else {
            return Err(self
                .fault(item, "a macro needs a name for the items")
                .help("write list.exists(item, item == \"…\")"));
        };
        let (range, kind) = match self.map(on) {
            Some(map @ (Named::Header | Named::Query | Named::Cookie)) => (Range::Names(map), Kind::Text),
            None => match self.node(on)? {
                (node, Kind::List(kind)) => (Range::List(Box::new(node)), *kind),
                (node, Kind::Any) => (Range::List(Box::new(node)), Kind::Any),
                (_, kind) => return Err(self.fault(on, format!("{kind} has no items"))),
            },
        };
        self.items.push((name.clone(), kind.clone()));
        let body = match each {
            Each::Map => self.node(body),
            _ => self.of_kind(body, &Kind::Bool).map(|body| (body, Kind::Bool)),
        };
        self.items.pop();
        let (body, came) = body?;
        let whole = match each {
            Each::All | Each::Exists | Each::ExistsOne => Kind::Bool,
            Each::Filter => Kind::List(Box::new(kind)),
            Each::Map => Kind::List(Box::new(came)),
        };
        Ok((Node::Each(each, range, Box::new(body)), whole))
    }
}
