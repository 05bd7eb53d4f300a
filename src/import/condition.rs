//! What a request has to be, whatever file said so, and how a route says it: by its own keys where they can, by `when` where they cannot.
//!
//! What always holds: what a condition lowers to holds for the same requests as the condition, but for what its notes say. What cannot be
//! said is an error, never left out.
//! May depend on nothing of the crate but the draft.

use super::draft::{Table, Value};

/// What a request has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Cond {
    /// Always, or never.
    Const(bool),
    /// One thing.
    Fact(Fact),
    /// Not this.
    Not(Box<Cond>),
    /// All of these.
    All(Vec<Cond>),
    /// Any of these.
    Any(Vec<Cond>),
    /// What cannot be said, and why.
    Unknown(String),
}

/// One thing about a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A text of it.
    Text(Subject, Match),
    /// Its method is one of these.
    Method(Vec<String>),
    /// Its client is in one of these address ranges.
    Client(Vec<String>),
    /// A number of it is compared: an expression of CEL, an operator, a number.
    Compare(String, &'static str, i64),
    /// Something that CEL says in these words.
    Cel(String),
    /// It came over TLS that ends here.
    Tls,
    /// It came to one of these ports.
    Port(Vec<u16>),
    /// A protocol that the client offers by ALPN.
    Alpn(Vec<String>),
    /// A counter of the source's that is above so much: known to whoever made it.
    Counter(String),
    /// It proved to be a user of this list.
    User(String),
    /// The answer has one of these statuses.
    Status(Vec<String>),
    /// A pool has fewer usable targets than this.
    Usable(String, u32),
    /// What is no request yet: a first message of TLS, the end of a wait.
    Opening,
}

/// A text of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// The host, in lower case, without a port.
    Host,
    /// The path.
    Path,
    /// Host and path together.
    Base,
    /// A header.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A parameter of the query.
    Query(String),
    /// The name that TLS was asked for.
    Sni,
    /// Another text, in the words of CEL.
    Cel(String),
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// In which way.
    pub how: How,
    /// With any of these.
    pub values: Vec<String>,
    /// In any case.
    pub any_case: bool,
}

/// In which way a text is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is that.
    Exact,
    /// It begins with that.
    Prefix,
    /// It ends with that.
    Suffix,
    /// It holds that.
    Contains,
    /// A regex is found in it.
    Regex,
    /// It is there.
    Present,
}

/// How a route says a condition.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// Its keys.
    pub keys: Table,
    /// What remains, in CEL.
    pub when: Option<String>,
}

impl Match {
    /// Compared so with any of these, in their case.
    pub fn new(how: How, values: Vec<String>) -> Self {
        Self { how, values, any_case: false }
    }
}

impl Cond {
    /// All of them, simplified.
    pub fn all(conds: impl IntoIterator<Item = Cond>) -> Cond {
        let mut parts = Vec::new();
        for cond in conds {
            match cond {
                Cond::Const(true) => {}
                Cond::Const(false) => return Cond::Const(false),
                Cond::All(inner) => parts.extend(inner),
                other if parts.contains(&other) => {}
                other => parts.push(other),
            }
        }
        match parts.len() {
            0 => Cond::Const(true),
            1 => parts.remove(0),
            _ => Cond::All(parts),
        }
    }

    /// Any of them, simplified.
    pub fn any(conds: impl IntoIterator<Item = Cond>) -> Cond {
        let mut parts = Vec::new();
        for cond in conds {
            match cond {
                Cond::Const(false) => {}
                Cond::Const(true) => return Cond::Const(true),
                Cond::Any(inner) => parts.extend(inner),
                other if parts.contains(&other) => {}
                other => parts.push(other),
            }
        }
        match parts.len() {
            0 => Cond::Const(false),
            1 => parts.remove(0),
            _ => Cond::Any(parts),
        }
    }

    /// The opposite.
    pub fn negate(self) -> Cond {
        match self {
            Cond::Const(value) => Cond::Const(!value),
            Cond::Not(inner) => *inner,
            Cond::Unknown(why) => Cond::Unknown(why),
            other => Cond::Not(Box::new(other)),
        }
    }

    /// The same, where facts that `known` can tell are told.
    pub fn given(&self, known: &dyn Fn(&Cond) -> Option<bool>) -> Cond {
        if let Some(value) = known(self) {
            return Cond::Const(value);
        }
        match self {
            Cond::Not(inner) => inner.given(known).negate(),
            Cond::All(parts) => Cond::all(parts.iter().map(|part| part.given(known))),
            Cond::Any(parts) => Cond::any(parts.iter().map(|part| part.given(known))),
            other => other.clone(),
        }
    }

    /// The parts all of which have to hold.
    pub fn parts(&self) -> Vec<&Cond> {
        match self {
            Cond::All(parts) => parts.iter().collect(),
            Cond::Const(true) => Vec::new(),
            other => vec![other],
        }
    }

    /// Whether `asks` holds for a fact in it.
    pub fn mentions(&self, asks: &dyn Fn(&Fact) -> bool) -> bool {
        match self {
            Cond::Fact(fact) => asks(fact),
            Cond::Not(inner) => inner.mentions(asks),
            Cond::All(parts) | Cond::Any(parts) => parts.iter().any(|part| part.mentions(asks)),
            Cond::Const(_) | Cond::Unknown(_) => false,
        }
    }

    /// How a route says it.
    ///
    /// # Errors
    /// Why it cannot be said.
    pub fn lower(&self) -> Result<Lowered, String> {
        let mut lowered = Lowered::default();
        let mut rest = Vec::new();
        for part in self.parts() {
            match native(part) {
                Some(Native::List(key, values)) if lowered.keys.get(key).is_none() => lowered.keys.set(key, values),
                Some(Native::Header(kind, name, value)) if !matches!(lowered.keys.get(kind), Some(Value::Table(table)) if table.get(&name).is_some()) =>
                {
                    lowered.keys.below(&[kind]).set(&name, value);
                }
                _ => rest.push(part),
            }
        }
        lowered.when = match rest.as_slice() {
            [] => None,
            [only] => Some(only.cel(Level::Or)?),
            many => {
                let texts = many.iter().map(|part| part.cel(Level::And)).collect::<Result<Vec<_>, _>>()?;
                Some(texts.join(" && "))
            }
        };
        match lowered.when.as_ref().map(String::len) {
            Some(length) if length > 8192 => Err(format!("as a condition it has {length} bytes; 8192 are taken")),
            _ => Ok(lowered),
        }
    }

    /// It as a whole in CEL.
    ///
    /// # Errors
    /// Why it cannot be said.
    pub fn in_cel(&self) -> Result<String, String> {
        self.cel(Level::Or)
    }

    fn cel(&self, around: Level) -> Result<String, String> {
        let join = |parts: &[Cond], with: &str, level: Level| {
            let texts = parts.iter().map(|part| part.cel(level)).collect::<Result<Vec<_>, _>>()?;
            let text = texts.join(with);
            Ok(if level > around || (level == Level::Or && around != Level::Or) { format!("({text})") } else { text })
        };
        match self {
            Cond::Const(value) => Ok(value.to_string()),
            Cond::Unknown(why) => Err(why.clone()),
            Cond::Fact(fact) => fact.cel(around),
            Cond::Not(inner) => Ok(format!("!{}", inner.cel(Level::Not)?)),
            Cond::All(parts) if around == Level::Not => Ok(format!("({})", self_joined(parts, " && ", Level::And)?)),
            Cond::All(parts) => self_joined(parts, " && ", Level::And),
            Cond::Any(parts) => join(parts, " || ", Level::Or),
        }
    }
}

fn self_joined(parts: &[Cond], with: &str, level: Level) -> Result<String, String> {
    Ok(parts.iter().map(|part| part.cel(level)).collect::<Result<Vec<_>, String>>()?.join(with))
}

/// What stands around an expression: what is looser than it needs parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
}

impl Fact {
    fn cel(&self, around: Level) -> Result<String, String> {
        let tight = |text: String| if around == Level::Not { format!("({text})") } else { text };
        match self {
            Fact::Text(subject, compared) => compared.cel(subject, around),
            Fact::Method(methods) => Ok(tight(one_of("request.method", methods))),
            Fact::Client(ranges) => Ok(format!("client.ip.in_cidr({})", list_or_one(ranges))),
            Fact::Compare(what, operator, number) => Ok(tight(format!("{what} {operator} {number}"))),
            Fact::Cel(text) => Ok(tight(text.clone())),
            Fact::Tls => Ok("tls.enabled".to_owned()),
            Fact::Port(_) => Err("the port that a client has dialled is no part of a condition".to_owned()),
            Fact::Alpn(_) => Err("what a client offers by ALPN is looked at by routes with `passthrough` alone".to_owned()),
            Fact::Counter(what) => Err(format!("`{what}` is a counter, and is understood in rules that deny alone")),
            Fact::User(_) => Err("who a client is, is for a rule of type basic to say".to_owned()),
            Fact::Status(_) => Err("it looks at the answer, and is understood in edits of answers alone".to_owned()),
            Fact::Usable(..) => Err("how many targets are usable is no part of a condition: `fail_if_down`, `all_down` and `backup` are the ways".to_owned()),
            Fact::Opening => Err("it is about a connection before there is a request".to_owned()),
        }
    }
}

impl Subject {
    fn cel(&self) -> String {
        match self {
            Subject::Host => "request.host".to_owned(),
            Subject::Path => "request.path".to_owned(),
            Subject::Base => "(request.host + request.path)".to_owned(),
            Subject::Header(name) => format!("request.headers[{}]", literal(name)),
            Subject::Cookie(name) => format!("request.cookies[{}]", literal(name)),
            Subject::Query(name) => format!("request.query[{}]", literal(name)),
            Subject::Sni => "tls.sni".to_owned(),
            Subject::Cel(text) => text.clone(),
        }
    }
}

impl Match {
    fn cel(&self, subject: &Subject, around: Level) -> Result<String, String> {
        let mut text = subject.cel();
        let mut values = self.values.clone();
        let any_case = self.any_case || matches!(subject, Subject::Host | Subject::Sni);
        if any_case && self.how != How::Regex {
            values.iter_mut().for_each(|value| *value = value.to_lowercase());
            if !matches!(subject, Subject::Host | Subject::Sni) {
                text = format!("{text}.lowerAscii()");
            }
        }
        let call = |function: &str| {
            let calls: Vec<String> =
                values.iter().map(|value| format!("{text}.{function}({})", literal(value))).collect();
            let joined = calls.join(" || ");
            if calls.len() > 1 && around != Level::Or { format!("({joined})") } else { joined }
        };
        match self.how {
            How::Exact => {
                let text = one_of(&text, &values);
                Ok(if around == Level::Not { format!("({text})") } else { text })
            }
            How::Prefix => Ok(call("startsWith")),
            How::Suffix => Ok(call("endsWith")),
            How::Contains => Ok(call("contains")),
            How::Present => match subject {
                Subject::Header(name) => Ok(tight(format!("{} in request.headers", literal(name)), around)),
                Subject::Cookie(name) => Ok(tight(format!("{} in request.cookies", literal(name)), around)),
                Subject::Query(name) => Ok(tight(format!("{} in request.query", literal(name)), around)),
                _ => Ok(tight(format!("{text} != \"\""), around)),
            },
            How::Regex => {
                for value in &values {
                    regex(value)?;
                }
                let flag = if any_case { "(?i)" } else { "" };
                values.iter_mut().for_each(|value| *value = format!("{flag}{value}"));
                let calls: Vec<String> =
                    values.iter().map(|value| format!("{text}.matches({})", literal(value))).collect();
                let joined = calls.join(" || ");
                Ok(if calls.len() > 1 && around != Level::Or { format!("({joined})") } else { joined })
            }
        }
    }
}

fn tight(text: String, around: Level) -> String {
    if around == Level::Not { format!("({text})") } else { text }
}

/// Whether a regex can be had.
///
/// # Errors
/// Why not.
pub fn regex(pattern: &str) -> Result<(), String> {
    match regex::Regex::new(pattern) {
        Ok(_) => Ok(()),
        Err(_) => {
            Err(format!("the regex `{pattern}` is not understood: there are no look-arounds and no back-references"))
        }
    }
}

/// A text with all that a regex would take for more escaped.
pub fn escaped(text: &str) -> String {
    regex::escape(text)
}

enum Native {
    List(&'static str, Vec<String>),
    Header(&'static str, String, Value),
}

/// What a key of a route says.
fn native(cond: &Cond) -> Option<Native> {
    match cond {
        Cond::Fact(Fact::Method(methods)) => Some(Native::List("methods", methods.clone())),
        Cond::Fact(Fact::Client(ranges)) => Some(Native::List("client_ip", ranges.clone())),
        Cond::Fact(Fact::Text(Subject::Host, compared)) => hosts(compared).map(|hosts| Native::List("hosts", hosts)),
        Cond::Fact(Fact::Text(Subject::Path, compared)) => paths(compared).map(|paths| Native::List("paths", paths)),
        Cond::Fact(Fact::Text(Subject::Header(name), compared)) => named("headers", name, compared),
        Cond::Fact(Fact::Text(Subject::Query(name), compared)) => named("query", name, compared),
        Cond::Not(inner) => match inner.as_ref() {
            Cond::Fact(Fact::Text(Subject::Header(name), compared)) if compared.how == How::Present => {
                Some(Native::Header("headers", name.clone(), Value::Flag(false)))
            }
            _ => None,
        },
        Cond::Any(parts) => {
            let mut all: Option<(&'static str, Vec<String>)> = None;
            for part in parts {
                match (native(part)?, &mut all) {
                    (Native::List(key, values), None) => all = Some((key, values)),
                    (Native::List(key, values), Some((first, list))) if key == *first => {
                        values.into_iter().for_each(|value| {
                            if !list.contains(&value) {
                                list.push(value)
                            }
                        });
                    }
                    _ => return None,
                }
            }
            all.map(|(key, values)| Native::List(key, values))
        }
        _ => None,
    }
}

fn named(kind: &'static str, name: &str, compared: &Match) -> Option<Native> {
    // A route compares the whole of a header that has several lines; so does CEL.
    let value = match (compared.how, compared.values.as_slice()) {
        (How::Present, _) => Value::Flag(true),
        (How::Exact, [one]) if !compared.any_case && !one.starts_with('~') && is_plain(one) => one.clone().into(),
        (How::Exact, [one]) if compared.any_case => format!("~(?i)^{}$", escaped(one)).into(),
        (How::Regex, [one]) if !one.is_empty() && regex(one).is_ok() => {
            format!("~{}{one}", if compared.any_case { "(?i)" } else { "" }).into()
        }
        (How::Prefix, [one]) if !compared.any_case => format!("~^{}", escaped(one)).into(),
        _ => return None,
    };
    Some(Native::Header(kind, name.to_ascii_lowercase(), value))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

fn hosts(compared: &Match) -> Option<Vec<String>> {
    let host = |value: &String| {
        let value = value.to_ascii_lowercase();
        let labels = value.strip_prefix('.').filter(|_| compared.how == How::Suffix).unwrap_or(&value);
        let fine = |label: &str| {
            !label.is_empty()
                && label.len() < 64
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if !labels.split('.').all(fine) || labels.len() > 250 {
            return None;
        }
        match compared.how {
            How::Exact => Some(value.clone()),
            How::Suffix if value.starts_with('.') && labels.parse::<std::net::Ipv4Addr>().is_err() => {
                Some(format!("*.{labels}"))
            }
            _ => None,
        }
    };
    if compared.values.is_empty() { None } else { compared.values.iter().map(host).collect() }
}

/// The paths that match the same: a path as it is, and else a regex, since a prefix of a route ends on a segment's border.
fn paths(compared: &Match) -> Option<Vec<String>> {
    let flag = if compared.any_case { "(?i)" } else { "" };
    let path = |value: &String| match compared.how {
        How::Exact if !compared.any_case => is_path(value).then(|| format!("={value}")),
        How::Exact => Some(format!("~{flag}^{}$", escaped(value))),
        How::Prefix if value == "/" => Some("/".to_owned()),
        How::Prefix => Some(format!("~{flag}^{}", escaped(value))),
        How::Suffix => Some(format!("~{flag}{}$", escaped(value))),
        How::Contains => Some(format!("~{flag}{}", escaped(value))),
        How::Regex => (!value.is_empty() && regex(value).is_ok()).then(|| format!("~{flag}{value}")),
        How::Present => None,
    };
    if compared.values.is_empty() { None } else { compared.values.iter().map(path).collect() }
}

/// Whether it is a path in the form in which matching sees it.
pub fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.contains("//")
        && !path.split('/').any(|segment| segment == "." || segment == "..")
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~!$&'()*+,=:@".contains(&b))
}

fn one_of(text: &str, values: &[String]) -> String {
    match values {
        [one] => format!("{text} == {}", literal(one)),
        many => format!("{text} in {}", list(many)),
    }
}

fn list_or_one(values: &[String]) -> String {
    match values {
        [one] => literal(one),
        many => list(many),
    }
}

fn list(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", "))
}

/// A text as CEL writes it.
pub fn literal(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(subject: Subject, how: How, values: &[&str]) -> Cond {
        Cond::Fact(Fact::Text(subject, Match::new(how, values.iter().map(|&v| v.to_owned()).collect())))
    }

    #[test]
    fn keys_are_used_where_they_say_the_same_and_cel_where_not() {
        let api = text(Subject::Path, How::Prefix, &["/api", "/v1/"]);
        let host = text(Subject::Host, How::Exact, &["a.test"]);
        let both = Cond::all([api.clone(), Cond::any([host.clone(), text(Subject::Host, How::Suffix, &[".b.test"])])]);
        let lowered = both.lower().unwrap();
        assert_eq!(lowered.keys.get("paths"), Some(&vec!["~^/api", "~^/v1/"].into()));
        assert_eq!(lowered.keys.get("hosts"), Some(&vec!["a.test", "*.b.test"].into()));
        assert_eq!(lowered.when, None);

        let not = Cond::all([host.clone().negate(), Cond::any([api, host])]);
        assert_eq!(
            not.lower().unwrap().when.as_deref(),
            Some(
                r#"!(request.host == "a.test") && (request.path.startsWith("/api") || request.path.startsWith("/v1/") || request.host == "a.test")"#
            )
        );
        assert!(Cond::Fact(Fact::Opening).negate().lower().is_err());
        assert!(Cond::all([Cond::Unknown("no".into()), Cond::Const(false)]).lower().unwrap().when.is_some());
    }

    #[test]
    fn parentheses_stand_where_they_are_needed() {
        let a = text(Subject::Header("x".into()), How::Exact, &["1"]);
        let b = text(Subject::Cookie("c".into()), How::Present, &[]);
        let c = Cond::Fact(Fact::Tls);
        let cond = Cond::any([Cond::all([a.clone(), b.clone()]), c.clone()]).negate();
        assert_eq!(
            cond.in_cel().unwrap(),
            r#"!(request.headers["x"] == "1" && "c" in request.cookies || tls.enabled)"#
        );
        let cond = Cond::all([Cond::any([a, c]), b.negate()]);
        assert_eq!(
            cond.in_cel().unwrap(),
            r#"(request.headers["x"] == "1" || tls.enabled) && !("c" in request.cookies)"#
        );
    }
}
