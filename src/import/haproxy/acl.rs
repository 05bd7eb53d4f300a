//! Conditions: `if a !b || { path_beg /c }`, named ACLs, those that HAProxy knows by itself, variables.
//!
//! May depend on the reader of samples, on conditions and on the ledger.

use super::header::{self, Written};
use super::sample::{self, Piece, Sample};
use super::{Line, maps, networks};
use crate::import::Around;
use crate::import::condition::{Cond, Fact, How, Match, Subject, escaped};
use crate::import::report::{Ledger, LineId};
use crate::import::valid;
use std::collections::BTreeMap;

/// How deep variables and ACLs may name each other.
const DEEP: u32 = 16;
/// Values that are taken from one file.
const MOST: usize = 20_000;

/// What a variable was set to.
#[derive(Clone, Debug)]
pub(super) enum Variable {
    /// A sample, always, of a request as rules had left it then.
    Is(String, Then),
    /// A text, in some cases.
    When(Vec<(Cond, String)>),
}

/// What rules had done when a variable was set.
#[derive(Clone, Debug, Default)]
pub(super) struct Then {
    written: Written,
    moved: bool,
}

/// What conditions of one section are read with.
pub(super) struct Scope<'a> {
    /// ACL lines in their order.
    pub acls: &'a [Line],
    pub around: &'a dyn Around,
    /// Whether the section speaks HTTP.
    pub http: bool,
    /// What rules before have done.
    pub past: Past,
}

/// What rules have done to a request that later conditions see.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pub variables: BTreeMap<String, Variable>,
    pub written: Written,
    /// Whether the path is another one than the client's.
    pub moved: bool,
}

impl Past {
    /// It as it is now, for a variable.
    pub fn then(&self) -> Then {
        Then { written: self.written.clone(), moved: self.moved }
    }
}

/// Splits the words of a line from its condition, which begins with `if` or `unless`.
pub(super) fn split(words: &[String]) -> (&[String], &[String]) {
    let place = words.iter().position(|word| word == "if" || word == "unless").unwrap_or(words.len());
    words.split_at(place)
}

impl Scope<'_> {
    /// What a condition asks for that stands on the line `at`: `if …`, `unless …`, or nothing at all.
    pub fn condition(&self, ledger: &mut Ledger, at: LineId, words: &[String]) -> Cond {
        match words.split_first() {
            None => Cond::Const(true),
            Some((first, rest)) => {
                let cond = self.terms(ledger, at, rest, 0);
                if first == "unless" { cond.negate() } else { cond }
            }
        }
    }

    fn terms(&self, ledger: &mut Ledger, at: LineId, words: &[String], depth: u32) -> Cond {
        let (mut any, mut all) = (Vec::new(), Vec::new());
        let mut not = false;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut word = word.as_str();
            if word == "or" || word == "||" {
                any.push(Cond::all(std::mem::take(&mut all)));
                continue;
            }
            while let Some(rest) = word.strip_prefix('!') {
                not = !not;
                word = rest;
            }
            let cond = match word {
                "" => continue,
                "{" => {
                    let inner: Vec<String> = words.by_ref().take_while(|word| *word != "}").cloned().collect();
                    self.test(ledger, at, &inner, depth)
                }
                name => self.named(ledger, name, depth),
            };
            all.push(if std::mem::take(&mut not) { cond.negate() } else { cond });
        }
        any.push(Cond::all(all));
        Cond::any(any)
    }

    /// A named ACL: any of the lines with its name.
    fn named(&self, ledger: &mut Ledger, name: &str, depth: u32) -> Cond {
        let lines: Vec<&Line> =
            self.acls.iter().filter(|line| line.words.get(1).is_some_and(|word| word == name)).collect();
        if lines.is_empty() {
            return self.known(name).unwrap_or_else(|| Cond::Unknown(format!("no ACL is named `{name}`")));
        }
        if depth > DEEP {
            return Cond::Unknown(format!("ACL `{name}` leads back to itself"));
        }
        let mut any = Vec::new();
        for line in lines {
            let cond = self.test(ledger, line.id, line.words.get(2..).unwrap_or_default(), depth + 1);
            let mut why = None;
            find_unknown(&cond, &mut why);
            match why {
                Some(why) => ledger.unsupported(line.id, why),
                None => ledger.carried(line.id),
            }
            any.push(cond);
        }
        Cond::any(any)
    }

    /// The ACLs that are always there.
    fn known(&self, name: &str) -> Option<Cond> {
        let methods = |list: &[&str]| Cond::Fact(Fact::Method(list.iter().map(|&m| m.to_owned()).collect()));
        let path = |how, value: &str| Cond::Fact(Fact::Text(Subject::Path, Match::new(how, vec![value.to_owned()])));
        Some(match name {
            "TRUE" | "WAIT_END" | "REQ_CONTENT" => Cond::Const(true),
            "FALSE" => Cond::Const(false),
            "HTTP" if self.http => Cond::Const(true),
            "HTTP" | "RDP_COOKIE" => Cond::Fact(Fact::Opening),
            "LOCALHOST" => Cond::Fact(Fact::Client(vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()])),
            "METH_GET" => methods(&["GET", "HEAD"]),
            "HTTP_URL_SLASH" => path(How::Prefix, "/"),
            "HTTP_CONTENT" => Cond::Fact(Fact::Compare("request.size".to_owned(), ">", 0)),
            other => match other.strip_prefix("METH_")? {
                method if valid::method(method) => methods(&[method]),
                _ => Cond::Const(false),
            },
        })
    }

    /// One test: a sample, flags, values.
    fn test(&self, ledger: &mut Ledger, at: LineId, words: &[String], depth: u32) -> Cond {
        let Some((criterion, rest)) = words.split_first() else {
            return Cond::Unknown("a condition is empty".to_owned());
        };
        let mut asks = Asks::default();
        if let Err(why) = asks.read(rest, self.around) {
            return Cond::Unknown(why);
        }
        self.asked(ledger, at, criterion, asks, depth)
    }

    fn asked(&self, ledger: &mut Ledger, at: LineId, criterion: &str, mut asks: Asks, depth: u32) -> Cond {
        let pieces = sample::pieces(criterion);
        if let Some(Piece { name, argument }) = pieces.first()
            && name == "var"
        {
            return self.variable(ledger, at, argument, &pieces, asks, depth);
        }
        if pieces.iter().any(maps::is_map) && matches!(asks.how, None | Some(Method::Exact | Method::Found)) {
            let values = if asks.how == Some(Method::Found) { &[][..] } else { &asks.values };
            return maps::says(&pieces, self.around, values).unwrap_or_else(Cond::Unknown);
        }
        let read = match sample::read(&pieces, self.http) {
            Ok(read) => read,
            Err(why) => return Cond::Unknown(why),
        };
        if let Some(note) = read.note {
            ledger.differs(at, note);
        }
        asks.how = asks.how.or(read.how);
        asks.any_case |= read.any_case;
        let unknown = |why: &str| Cond::Unknown(format!("`{criterion}`: {why}"));
        if read.with_query
            && asks.values.iter().any(|value| value.contains(if asks.how == Some(Method::Regex) { "\\?" } else { "?" }))
        {
            return unknown("the path is compared, and what stands behind it is not: ask for the parameter by `urlp`");
        }
        if let Sample::Text(subject) = &read.sample {
            if self.past.moved && matches!(subject, Subject::Path | Subject::Base) {
                ledger.differs(
                    at,
                    "the path is looked at as the client sent it, and not as a rule before has changed it",
                );
            }
            asks.list = header::list(&pieces, subject);
            if let Some(cases) = self.past.written.of(subject) {
                let subject = subject.clone();
                return header::behind(cases, subject, asks).unwrap_or_else(|why| unknown(&why));
            }
        }
        match read.sample {
            Sample::Text(subject) => asks.text(subject).unwrap_or_else(|why| unknown(&why)),
            Sample::Method => match asks.values.iter().find(|method| !valid::method(method)) {
                Some(method) => unknown(&format!("no client sends the method `{method}`")),
                None if asks.values.is_empty() => unknown("no method is behind it"),
                None => Cond::Fact(Fact::Method(asks.values)),
            },
            Sample::Client => match networks(&asks.values) {
                Ok(ranges) if !ranges.is_empty() => Cond::Fact(Fact::Client(ranges)),
                Ok(_) => unknown("no address is behind it"),
                Err(why) => unknown(&why),
            },
            Sample::AddressIn(name) => match networks(&asks.values) {
                Ok(ranges) => {
                    let list: Vec<String> =
                        ranges.iter().map(|range| crate::import::condition::literal(range)).collect();
                    let header = crate::import::condition::literal(&name);
                    Cond::Fact(Fact::Cel(format!("request.headers[{header}].in_cidr([{}])", list.join(", "))))
                }
                Err(why) => unknown(&why),
            },
            Sample::Number(expression) => asks
                .numbers(|operator, number| Cond::Fact(Fact::Compare(expression.clone(), operator, number)))
                .unwrap_or_else(|why| unknown(&why)),
            Sample::Lines(name) => {
                let of = if name == "host" { Subject::Host } else { Subject::Header(name.clone()) };
                let there = || Cond::Fact(Fact::Text(of.clone(), Match::new(How::Present, vec![])));
                let told = asks.numbers(|operator, number| match (operator, number) {
                    ("==", 0) | ("<", 1) | ("<=", 0) => there().negate(),
                    (">", 0) | (">=", 1) => there(),
                    _ => Cond::Unknown(format!(
                        "how many lines of `{name}` there are is not known, only whether there are any"
                    )),
                });
                told.unwrap_or_else(|why| unknown(&why))
            }
            Sample::Flag(cond) => match asks.values.first().map(String::as_str) {
                Some("0" | "false" | "no") => cond.negate(),
                _ => cond,
            },
            Sample::Port => {
                let ports: Option<Vec<u16>> = asks.values.iter().map(|value| value.parse().ok()).collect();
                match ports {
                    Some(ports) if !ports.is_empty() => Cond::Fact(Fact::Port(ports)),
                    _ => unknown("single ports are understood"),
                }
            }
            Sample::Alpn if asks.values.is_empty() || asks.values.iter().any(String::is_empty) => {
                unknown("no protocol is behind it")
            }
            Sample::Alpn => Cond::Fact(Fact::Alpn(asks.values)),
            Sample::Status => {
                let statuses: Vec<String> = asks.values.iter().map(|value| value.replace(':', "-")).collect();
                match !statuses.is_empty() && statuses.iter().all(|status| valid::statuses(status)) {
                    true => Cond::Fact(Fact::Status(statuses)),
                    false => unknown("statuses and ranges of them are understood: `200`, `500:599`"),
                }
            }
            Sample::Counter(name) => asks
                .numbers(|operator, number| match operator {
                    ">" => Cond::Fact(Fact::Counter(format!("{name} {number}"))),
                    ">=" => Cond::Fact(Fact::Counter(format!("{name} {}", number - 1))),
                    _ => Cond::Unknown(format!("`{name}` is understood with `gt` and `ge`")),
                })
                .unwrap_or_else(|why| unknown(&why)),
            Sample::Usable(pool) => asks
                .numbers(|operator, number| {
                    let below =
                        |number: i64| Cond::Fact(Fact::Usable(pool.clone(), u32::try_from(number).unwrap_or(0)));
                    match operator {
                        "<" => below(number),
                        "<=" => below(number.saturating_add(1)),
                        "==" if number == 0 => below(1),
                        ">" => below(number.saturating_add(1)).negate(),
                        ">=" => below(number).negate(),
                        _ => Cond::Unknown("how many targets are usable is compared with a bound".to_owned()),
                    }
                })
                .unwrap_or_else(|why| unknown(&why)),
            Sample::User(list) => Cond::Fact(Fact::User(list)),
            Sample::Opening => Cond::Fact(Fact::Opening),
        }
    }

    fn variable(&self, ledger: &mut Ledger, at: LineId, name: &str, pieces: &[Piece], asks: Asks, depth: u32) -> Cond {
        let name = name.split(',').next().unwrap_or(name);
        match self.past.variables.get(name) {
            None => Cond::Unknown(format!("nothing that is understood sets the variable `{name}`")),
            Some(_) if depth > DEEP => Cond::Unknown(format!("the variable `{name}` leads back to itself")),
            Some(Variable::Is(of, then)) => {
                let more: Vec<String> = pieces.iter().skip(1).map(Piece::written).collect();
                let whole = std::iter::once(of.clone()).chain(more).collect::<Vec<_>>().join(",");
                let past =
                    Past { variables: self.past.variables.clone(), written: then.written.clone(), moved: then.moved };
                Scope { past, ..*self }.asked(ledger, at, &whole, asks, depth + 1)
            }
            Some(Variable::When(cases)) => {
                let met = |value: &String| match asks.how {
                    Some(Method::Found) => true,
                    Some(Method::Bool) => !["0", "false", ""].contains(&value.as_str()),
                    _ if asks.values.is_empty() => !["0", "false", ""].contains(&value.as_str()),
                    _ => asks.values.contains(value),
                };
                let mut any = Vec::new();
                // What is set later goes before what was set earlier.
                let mut later = Cond::Const(false);
                for (cond, value) in cases.iter().rev() {
                    if met(value) {
                        any.push(Cond::all([cond.clone(), later.clone().negate()]));
                    }
                    later = Cond::any([later, cond.clone()]);
                }
                Cond::any(any)
            }
        }
    }
}

fn find_unknown(cond: &Cond, why: &mut Option<String>) {
    match cond {
        Cond::Unknown(text) => *why = Some(text.clone()),
        Cond::Not(inner) => find_unknown(inner, why),
        Cond::All(parts) | Cond::Any(parts) => parts.iter().for_each(|part| find_unknown(part, why)),
        Cond::Const(_) | Cond::Fact(_) => {}
    }
}

/// How HAProxy compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Exact,
    Prefix,
    Suffix,
    Contains,
    Segment,
    Domain,
    Regex,
    Length,
    Number,
    Address,
    Found,
    Bool,
}

impl Method {
    /// By the word behind `-m`, or that ends the name of an old criterion.
    pub fn called(word: &str) -> Option<Method> {
        Some(match word {
            "str" => Method::Exact,
            "beg" => Method::Prefix,
            "end" => Method::Suffix,
            "sub" => Method::Contains,
            "dir" => Method::Segment,
            "dom" => Method::Domain,
            "reg" => Method::Regex,
            "len" => Method::Length,
            "int" | "val" => Method::Number,
            "ip" => Method::Address,
            "found" => Method::Found,
            "bool" => Method::Bool,
            _ => return None,
        })
    }
}

/// What is asked of a sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    how: Option<Method>,
    any_case: bool,
    values: Vec<String>,
    /// Which of the values of a header are asked for, where it may have several.
    list: Option<header::Of>,
}

impl Asks {
    fn read(&mut self, words: &[String], around: &dyn Around) -> Result<(), String> {
        let mut words = words.iter();
        let mut flags = true;
        while let Some(word) = words.next() {
            match word.as_str() {
                "-i" if flags => self.any_case = true,
                "-n" if flags => {}
                "--" if flags => flags = false,
                "-u" | "-M" if flags => return Err(format!("the flag `{word}` is not understood")),
                "-m" if flags => {
                    let method = words.next().and_then(|word| Method::called(word));
                    self.how = Some(method.ok_or("the method behind `-m` is not understood")?);
                }
                "-f" if flags => {
                    let Some(path) = words.next() else { return Err("no file is behind `-f`".to_owned()) };
                    let Some(text) = around.read(path) else {
                        return Err(format!("`{path}` cannot be read here: import where it is"));
                    };
                    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
                    self.values.extend(lines.map(str::to_owned));
                    if self.values.len() > MOST {
                        return Err(format!("`{path}` has more than {MOST} lines"));
                    }
                }
                _ => {
                    flags = false;
                    self.values.push(word.clone());
                }
            }
        }
        Ok(())
    }

    /// How it is compared.
    pub fn method(&self) -> Method {
        self.how.unwrap_or(if self.values.is_empty() { Method::Found } else { Method::Exact })
    }

    /// Whether a text that is known meets it.
    pub fn met_by(&self, text: &str) -> Option<bool> {
        let fold = |text: &str| if self.any_case { text.to_lowercase() } else { text.to_owned() };
        let text = fold(text);
        let meets = |value: &String| {
            let value = fold(value);
            Some(match self.method() {
                Method::Exact => text == value,
                Method::Prefix => text.starts_with(&value),
                Method::Suffix => text.ends_with(&value),
                Method::Contains => text.contains(&value),
                _ => return None,
            })
        };
        match self.method() {
            Method::Found => Some(true),
            _ => self.values.iter().map(meets).collect::<Option<Vec<bool>>>().map(|met| met.contains(&true)),
        }
    }

    /// The comparison of a text.
    pub fn text(self, subject: Subject) -> Result<Cond, String> {
        let there = Cond::Fact(Fact::Text(subject.clone(), Match::new(How::Present, vec![])));
        let (mut values, any_case) = (self.values, self.any_case);
        let how = match self.how.unwrap_or(if values.is_empty() { Method::Found } else { Method::Exact }) {
            Method::Exact => How::Exact,
            Method::Prefix => How::Prefix,
            Method::Suffix => How::Suffix,
            Method::Contains => How::Contains,
            Method::Regex => How::Regex,
            Method::Found | Method::Bool => How::Present,
            Method::Segment => {
                values.iter_mut().for_each(|v| *v = format!("(^|/){}(/|$)", escaped(v.trim_matches('/'))));
                How::Regex
            }
            Method::Domain => {
                values.iter_mut().for_each(|v| *v = format!(r"(^|[./]){}([./:]|$)", escaped(v.trim_matches('.'))));
                How::Regex
            }
            Method::Length | Method::Number => {
                let name = match &subject {
                    Subject::Header(name) => format!("request.headers[{}]", crate::import::condition::literal(name)),
                    Subject::Query(name) => format!("request.query[{}]", crate::import::condition::literal(name)),
                    Subject::Path => "request.path".to_owned(),
                    Subject::Host => "request.host".to_owned(),
                    _ => return Err("its length and number are not known".to_owned()),
                };
                let what =
                    if self.how == Some(Method::Length) { format!("size({name})") } else { format!("int({name})") };
                let asks = Asks { how: None, any_case: false, values, list: None };
                let number =
                    asks.numbers(|operator, number| Cond::Fact(Fact::Compare(what.clone(), operator, number)))?;
                // What is not there has no length, and meets no condition.
                let optional = matches!(subject, Subject::Header(_) | Subject::Query(_) | Subject::Cookie(_));
                return Ok(if optional { Cond::all([there, number]) } else { number });
            }
            Method::Address => return Err("it is no address that is known".to_owned()),
        };
        if how != How::Present && values.is_empty() {
            return Err("no value is behind it".to_owned());
        }
        if matches!(subject, Subject::Host) && how == How::Exact {
            // A host is compared without its port.
            values.iter_mut().for_each(|value| {
                if let Some((host, port)) = value.rsplit_once(':')
                    && port.parse::<u16>().is_ok()
                {
                    *value = host.to_owned();
                }
            });
        }
        if let Some(wrong) = values.iter().find(|value| value.contains(crate::import::emit::ENV.0)) {
            return Err(format!(
                "`{}` comes from the environment",
                wrong.replace(crate::import::emit::ENV.0, "$").replace(crate::import::emit::ENV.1, "")
            ));
        }
        let how = match self.list {
            Some(of) => header::values(of, how, &mut values)?,
            None => how,
        };
        let empty =
            |value: &String| how == How::Regex && regex::Regex::new(value).is_ok_and(|regex| regex.is_match(""));
        let optional = matches!(subject, Subject::Header(_) | Subject::Query(_) | Subject::Cookie(_));
        let guarded = optional && values.iter().any(empty);
        let fact = Cond::Fact(Fact::Text(subject, Match { how, values, any_case }));
        // A text that is not there is empty here, and meets no condition there.
        Ok(if guarded { Cond::all([there, fact]) } else { fact })
    }

    /// Any of the comparisons with numbers: `gt 10`, `5`, `1:9`.
    fn numbers(self, compare: impl Fn(&'static str, i64) -> Cond) -> Result<Cond, String> {
        let mut operator = "==";
        let mut any = Vec::new();
        for value in &self.values {
            let number = |text: &str| text.parse::<i64>().map_err(|_| format!("`{text}` is no number"));
            match value.as_str() {
                "eq" => operator = "==",
                "gt" => operator = ">",
                "ge" => operator = ">=",
                "lt" => operator = "<",
                "le" => operator = "<=",
                other => match other.split_once(':') {
                    Some((from, to)) => {
                        let mut all = Vec::new();
                        if !from.is_empty() {
                            all.push(compare(">=", number(from)?));
                        }
                        if !to.is_empty() {
                            all.push(compare("<=", number(to)?));
                        }
                        any.push(Cond::all(all));
                    }
                    None => any.push(compare(operator, number(other)?)),
                },
            }
        }
        if any.is_empty() { Err("no number is behind it".to_owned()) } else { Ok(Cond::any(any)) }
    }
}
