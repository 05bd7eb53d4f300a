//! From the grammar to what is asked: every name has to be known here, and kinds have to fit as far as they are known.

use super::Fault;
use super::facts::{Fact, NAMES, Named, Stage};
use super::kind::Kind;
use super::near::nearest;
use super::node::{Node, Presence};
use super::syntax::{Binary, Expr, What};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What a condition is checked against.
pub(super) struct Checker<'a> {
    pub(super) text: &'a str,
    pub(super) stage: Stage,
    /// The items of the macros that the part stands in, from the outermost on.
    pub(super) items: Vec<(String, Kind)>,
    /// Whether anything is asked about the consumer.
    pub(super) of_consumer: bool,
    /// Whether it asks for the path.
    pub(super) of_path: bool,
    /// The names of headers that it asks for, in lower case.
    pub(super) of_headers: BTreeSet<Box<[u8]>>,
}

/// A part that is ready, and the kind that it comes to.
pub(super) type Made = Result<(Node, Kind), Fault>;

impl Checker<'_> {
    pub(super) fn fault(&self, of: &Expr, what: impl Into<String>) -> Fault {
        Fault::at(self.text, of.at, what)
    }

    pub(super) fn node(&mut self, expr: &Expr) -> Made {
        Ok(match &expr.what {
            What::Null => (Node::Null, Kind::Null),
            What::Bool(is) => (Node::Bool(*is), Kind::Bool),
            What::Int(number) => (Node::Int(*number), Kind::Int),
            What::Double(number) => (Node::Double(*number), Kind::Double),
            What::Text(text) => (Node::Constant(text.as_bytes().into()), Kind::Text),
            What::Name(name) => match self.items.iter().rposition(|(item, _)| item == name) {
                Some(place) => (Node::Item(place), self.items[place].1.clone()),
                None => return Err(self.unknown(expr, name)),
            },
            What::Select(of, field) => return self.select(expr, of, field),
            What::Index(of, key) => return self.index(of, key),
            What::Call(on, name, arguments) => return self.call(expr, on.as_deref(), name, arguments),
            What::List(items) => {
                let mut nodes = Vec::new();
                let mut kind: Option<Kind> = None;
                for item in items {
                    let (node, of) = self.node(item)?;
                    nodes.push(node);
                    kind = Some(kind.map_or(of.clone(), |kind| kind.joined(of)));
                }
                (Node::List(nodes.into()), Kind::List(Box::new(kind.unwrap_or(Kind::Any))))
            }
            What::And(parts) => (Node::And(self.bools(parts)?), Kind::Bool),
            What::Or(parts) => (Node::Or(self.bools(parts)?), Kind::Bool),
            What::Not(of) => (Node::Not(Box::new(self.of_kind(of, &Kind::Bool)?)), Kind::Bool),
            What::Minus(of) => match self.node(of)? {
                (node, kind) if kind.is_number() => (Node::Minus(Box::new(node)), kind),
                (_, kind) => return Err(self.fault(expr, format!("{kind} has no negative"))),
            },
            What::Choice(condition, then, otherwise) => {
                let condition = self.of_kind(condition, &Kind::Bool)?;
                let ((then, one), (otherwise, other)) = (self.node(then)?, self.node(otherwise)?);
                (Node::Choice(Box::new([condition, then, otherwise])), one.joined(other))
            }
            What::Binary(binary, left, right) => return self.binary(expr, *binary, left, right),
        })
    }

    fn bools(&mut self, parts: &[Expr]) -> Result<Box<[Node]>, Fault> {
        parts.iter().map(|part| self.of_kind(part, &Kind::Bool)).collect()
    }

    /// A part that has to be of a kind.
    pub(super) fn of_kind(&mut self, expr: &Expr, wanted: &Kind) -> Result<Node, Fault> {
        match self.node(expr)? {
            (node, kind) if kind.may_be(wanted) => Ok(node),
            (_, kind) => {
                let fault = self.fault(expr, format!("{kind} stands where {wanted} is expected"));
                Err(match (kind, wanted) {
                    (Kind::Text, Kind::Bool) => fault.help("compare it: == \"…\""),
                    (Kind::Int | Kind::Double, Kind::Bool) => fault.help("compare it: == 0, > 0"),
                    _ => fault,
                })
            }
        }
    }

    /// `a.b.c`, where that is all that stands there and `a` is no item of a macro.
    fn path(&self, expr: &Expr) -> Option<String> {
        match &expr.what {
            What::Name(name) if self.items.iter().all(|(item, _)| item != name) => Some(name.clone()),
            What::Select(of, field) => Some(self.path(of)? + "." + field),
            _ => None,
        }
    }

    /// What a part stands for, if it is a name that is known.
    pub(super) fn named(&self, expr: &Expr) -> Option<Fact> {
        let path = self.path(expr)?;
        NAMES.iter().find(|(name, ..)| *name == path).map(|(_, fact, _)| *fact)
    }

    /// The map that a part is.
    pub(super) fn map(&self, expr: &Expr) -> Option<Named> {
        match self.named(expr)? {
            Fact::Named(of) => Some(of),
            _ => None,
        }
    }

    fn select(&mut self, expr: &Expr, of: &Expr, field: &str) -> Made {
        if let Some(path) = self.path(expr) {
            if let Some((name, fact, from)) = NAMES.iter().find(|(name, ..)| *name == path) {
                return self.fact(expr, name, *fact, *from);
            }
            let begins = |name: &str| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            if !NAMES.iter().any(|(name, ..)| begins(name)) {
                return Err(self.unknown(expr, &path));
            }
        }
        if let Some(map) = self.map(of) {
            return Ok((Node::Named(map, self.looked_up(map, field)), Kind::Text));
        }
        match self.node(of)? {
            (node, Kind::Any) => Ok((Node::Member(Box::new(node), field.into()), Kind::Any)),
            (_, kind) => Err(self.fault(of, format!("{kind} has no `{field}`"))),
        }
    }

    fn index(&mut self, of: &Expr, key: &Expr) -> Made {
        if let Some(map) = self.map(of) {
            let key = self.of_kind(key, &Kind::Text)?;
            let node = match key {
                Node::Constant(name) => Node::Named(map, self.folded(map, name)),
                key => Node::NamedBy(map, Box::new(key)),
            };
            return Ok((node, Kind::Text));
        }
        let (node, kind) = self.node(of)?;
        let (wanted, item) = match kind {
            Kind::List(item) => (Kind::Int, *item),
            Kind::Any => (Kind::Any, Kind::Any),
            kind => return Err(self.fault(of, format!("{kind} has no items"))),
        };
        let key = self.of_kind(key, &wanted)?;
        let node = match &key {
            Node::Constant(name) => Node::Member(Box::new(node), String::from_utf8_lossy(name).into()),
            _ => Node::Index(Box::new([node, key])),
        };
        Ok((node, item))
    }

    fn fact(&mut self, expr: &Expr, name: &str, fact: Fact, from: Stage) -> Made {
        if from > self.stage {
            let fault = self.fault(expr, format!("`{name}` is not known here"));
            return Err(match (self.stage, fact.is_of_consumer()) {
                (Stage::Routing, false) => fault.help("a route has its own name alone: leave it out"),
                (Stage::Routing, true) => fault.help("routes are chosen before it is known who asks: give a rule the condition"),
                _ => fault.help("this rule is asked before it is known who asks: only rules behind those that find it out may say so"),
            });
        }
        self.of_consumer |= fact.is_of_consumer();
        self.of_path |= matches!(fact, Fact::Text(super::Text::Path));
        let texts = || Kind::List(Box::new(Kind::Text));
        Ok(match fact {
            Fact::Text(text) => (Node::Text(text), Kind::Text),
            Fact::Size => (Node::Size, Kind::Int),
            Fact::Client => (Node::Client, Kind::Text),
            Fact::Secure => (Node::Secure, Kind::Bool),
            Fact::Certificate => (Node::Certificate, Kind::Bool),
            Fact::Groups => (Node::Groups, texts()),
            Fact::Claims => (Node::Claims, Kind::Any),
            Fact::Named(_) => {
                return Err(self
                    .fault(expr, format!("`{name}` is a map, not one value"))
                    .help(format!("write {name}[\"name\"], or \"name\" in {name}")));
            }
        })
    }

    fn unknown(&self, expr: &Expr, path: &str) -> Fault {
        let below: Vec<&str> = NAMES
            .iter()
            .map(|(name, ..)| *name)
            .filter(|name| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
            .collect();
        if !below.is_empty() {
            return self
                .fault(expr, format!("`{path}` is no value by itself"))
                .help(format!("there are {}", below.join(", ")));
        }
        let fault = self.fault(expr, format!("nothing is named `{path}`"));
        match nearest(path, NAMES.iter().map(|(name, ..)| *name)) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!("there are {}", NAMES.map(|(name, ..)| name).join(", "))),
        }
    }

    /// `has(…)`: whether something is there.
    pub(super) fn presence(&mut self, expr: &Expr) -> Made {
        let is_there = |what| Ok((Node::Has(what), Kind::Bool));
        let fact = self.named(expr);
        if matches!(fact, Some(Fact::Text(_) | Fact::Size | Fact::Claims)) {
            self.node(expr)?;
        }
        match fact {
            Some(Fact::Text(text)) => return is_there(Presence::Text(text)),
            Some(Fact::Size) => return is_there(Presence::Size),
            Some(Fact::Claims) => return is_there(Presence::Claims),
            Some(_) => return Err(self.fault(expr, "that is always there")),
            None => {}
        }
        let made = match &expr.what {
            What::Select(..) | What::Index(..) => self.node(expr)?.0,
            _ => Node::Null,
        };
        match made {
            Node::Named(map, name) => is_there(Presence::Named(map, name)),
            Node::NamedBy(map, name) => is_there(Presence::NamedBy(map, name)),
            Node::Member(of, name) => is_there(Presence::Member(of, name)),
            _ => Err(self.fault(expr, "`has` asks for a name in a map").help("write has(request.headers.accept)")),
        }
    }

    fn binary(&mut self, expr: &Expr, binary: Binary, left: &Expr, right: &Expr) -> Made {
        if binary == Binary::In {
            return self.is_in(left, right);
        }
        let ((one, left_kind), (two, right_kind)) = (self.node(left)?, self.node(right)?);
        let (fits, kind) = match binary {
            Binary::Equal | Binary::Unequal => (left_kind.compares_with(&right_kind), Kind::Bool),
            Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
                (left_kind.is_ordered_with(&right_kind), Kind::Bool)
            }
            _ => {
                let adds = binary == Binary::Add && left_kind.may_be(&Kind::Text);
                let counts = left_kind.is_number() && (binary != Binary::Remainder || left_kind != Kind::Double);
                (left_kind.may_be(&right_kind) && (adds || counts), left_kind.clone().joined(right_kind.clone()))
            }
        };
        if !fits {
            let sign = binary.sign();
            let fault = self.fault(expr, format!("`{sign}` stands between {left_kind} and {right_kind}"));
            return Err(match (&left_kind, &right_kind) {
                (Kind::Text, Kind::Int) => fault.help("write int(…) around the text, or quotes around the number"),
                (Kind::Bool, Kind::Text) | (Kind::Text, Kind::Bool) => fault.help("true and false have no quotes"),
                _ => fault,
            });
        }
        for (side, other, at) in [(&one, &two, right), (&two, &one, left)] {
            if let (Node::Client, Node::Constant(text)) = (side, other) {
                self.address(at, text)?;
            }
        }
        Ok((Node::Binary(binary, Box::new([one, two])), kind))
    }

    fn is_in(&mut self, left: &Expr, right: &Expr) -> Made {
        if let Some(map) = self.map(right) {
            let what = match self.of_kind(left, &Kind::Text)? {
                Node::Constant(name) => Presence::Named(map, self.folded(map, name)),
                name => Presence::NamedBy(map, Box::new(name)),
            };
            return Ok((Node::Has(what), Kind::Bool));
        }
        let ((wanted, wanted_kind), (list, list_kind)) = (self.node(left)?, self.node(right)?);
        match &list_kind {
            Kind::Any => {}
            Kind::List(item) if item.compares_with(&wanted_kind) => {}
            Kind::List(item) => {
                return Err(self.fault(left, format!("{wanted_kind} cannot be in a list of which each is {item}")));
            }
            kind => {
                let fault = self.fault(right, format!("`in` looks into a list or a map, not into {kind}"));
                return Err(if *kind == Kind::Text { fault.help("write text.contains(\"…\")") } else { fault });
            }
        }
        if let (Node::Client, Node::List(items), What::List(at)) = (&wanted, &list, &right.what) {
            for (item, at) in items.iter().zip(at) {
                if let Node::Constant(text) = item {
                    self.address(at, text)?;
                }
            }
        }
        let list = match list {
            Node::List(items) if items.iter().all(|item| matches!(item, Node::Constant(_))) => {
                let texts = items.into_iter().filter_map(|item| match item {
                    Node::Constant(text) => Some(text),
                    _ => None,
                });
                return Ok((Node::OneOf(Box::new(wanted), texts.collect()), Kind::Bool));
            }
            list => list,
        };
        Ok((Node::Binary(Binary::In, Box::new([wanted, list])), Kind::Bool))
    }

    /// What the client's address is compared with has to be the text of an address.
    fn address(&self, at: &Expr, text: &[u8]) -> Result<(), Fault> {
        let text = String::from_utf8_lossy(text);
        let fault = |what: String| self.fault(at, what);
        match text.parse::<IpAddr>() {
            Ok(ip) if ip.to_canonical().to_string() == text => Ok(()),
            Ok(ip) => {
                let ip = ip.to_canonical();
                Err(fault(format!("no client is called `{text}`"))
                    .help(format!("write \"{ip}\", as addresses are told")))
            }
            Err(_) if text.contains('/') => Err(fault(format!("`{text}` is a range, not an address"))
                .help(format!("write client.ip.in_cidr(\"{text}\")"))),
            Err(_) => Err(fault(format!("`{text}` is no IP address"))),
        }
    }

    /// A name as it is looked up: those of headers know no case.
    fn folded(&mut self, map: Named, name: Box<[u8]>) -> Box<[u8]> {
        if map != Named::Header {
            return name;
        }
        let name: Box<[u8]> = name.to_ascii_lowercase().into();
        self.of_headers.insert(name.clone());
        name
    }

    fn looked_up(&mut self, map: Named, name: &str) -> Box<[u8]> {
        self.folded(map, name.as_bytes().into())
    }
}
