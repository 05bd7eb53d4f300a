//! What a route says of the requests that it takes.

use super::Request;
use super::media::{Accepts, Media};
use crate::config::model::{Route, ValueMatch};
use crate::gateway::condition::{self, Condition, Stage};
use crate::gateway::openapi::Paths;
use crate::plan::host::HostPattern;
use crate::plan::path::{self, Forms, Verdict};
use ipnet::IpNet;
use regex::bytes::{Regex, RegexBuilder};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The largest compiled regex, bytes: far above what paths and headers need, far below what hurts.
const REGEX_LIMIT: usize = 1 << 20;

/// The conditions of a route. All kinds must hold; of hosts, paths, methods and networks one is enough. An empty list
/// is no condition.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Host patterns.
    pub hosts: Vec<HostPattern>,
    /// Path patterns, for the normal path.
    pub paths: Vec<PathPattern>,
    /// Methods, byte by byte.
    pub methods: Vec<Box<[u8]>>,
    /// Header conditions by lower-case name.
    pub headers: Vec<(Box<str>, Match)>,
    /// Media types of which the client accepts one.
    pub accept: Option<Accepts>,
    /// Media types of which the body has one.
    pub content_type: Vec<Media>,
    /// Query conditions by name, percent-decoded.
    pub query: Vec<(Box<str>, Match)>,
    /// Networks of clients.
    pub client_ip: Vec<IpNet>,
    /// What else has to hold.
    pub when: Option<When>,
    /// Above all specificity; 0 by default.
    pub priority: i64,
    /// Path forms that the route allows by name.
    pub allowed: Forms,
}

/// A condition in CEL, and whose it is.
#[derive(Clone, Debug)]
pub struct When {
    /// The condition.
    pub condition: Arc<Condition>,
    /// The route, by its position in the plan.
    pub route: usize,
}

/// What a route says of paths.
#[derive(Clone, Debug)]
pub enum PathPattern {
    /// This path alone.
    Exact(Box<[u8]>),
    /// A path in which `{name}` stands for something within a segment.
    Template(Template),
    /// This path and all below it, kept without a slash at its end: `/v1` and `/v1/` both take `/v1`, `/v1/` and
    /// `/v1/x` but not `/v1x`. Empty for `/`, which takes everything.
    Prefix(Box<[u8]>),
    /// Searched in the path: `^` and `$` anchor it.
    Regex(Regex),
}

/// A path with parameters.
#[derive(Clone, Debug)]
pub struct Template {
    pub(super) text: Box<str>,
    /// It alone.
    tree: Paths,
}

/// How a header or a query parameter must look. Where it occurs several times, one that fits is enough.
#[derive(Clone, Debug)]
pub enum Match {
    /// It occurs.
    Present,
    /// It does not occur.
    Absent,
    /// It is this, byte by byte.
    Exact(Box<[u8]>),
    /// The regex is found in it.
    Regex(Regex),
}

/// What is wrong with a key of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key: "hosts", "paths", "methods", "headers", "accept", "content_type", "query", "when" or "allow_in_path".
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// How specific a route is beyond host and path; more is more.
pub(super) type Rank = (bool, usize, usize, bool, bool);

impl Conditions {
    /// Compiles the conditions of a route as configured.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn compile(route: &Route) -> Result<Conditions, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut allowed = Forms::NONE;
        for name in &route.allow_in_path {
            match Forms::from_name(name) {
                Some(form) => allowed |= form,
                None => faults.push(unknown_form(name)),
            }
        }
        let mut collect = Collect(&mut faults);
        let hosts = collect.all(&route.hosts, |text| {
            text.parse::<HostPattern>().map_err(|error| fault("hosts", error.message, error.help.as_deref()))
        });
        let paths = collect.all(&route.paths, |text| PathPattern::compile(text, allowed));
        let methods = collect.all(&route.methods, |text| compile_method(text));
        let headers = collect.all(&route.headers, |(name, value)| compile_header(name, value));
        let media = |key| move |text: &String| compile_media(key, text);
        let types = collect.all(&route.accept, media("accept"));
        let accept = (!route.accept.is_empty()).then(|| Accepts { types, rivals: Vec::new() });
        let content_type = collect.all(&route.content_type, media("content_type"));
        let query = collect.all(&route.query, |(name, value)| {
            Ok((name.as_str().into(), Match::compile(value).map_err(|error| regex_fault("query", name, &error))?))
        });
        faults.extend(twice(&headers));
        let when = route.when.as_deref().and_then(|text| {
            let condition = Condition::compile(text, Stage::Routing).map_err(|found| faults.push(when_fault(found)));
            Some(When { condition: Arc::new(condition.ok()?), route: 0 })
        });
        let client_ip = route.client_ip.clone();
        match faults.is_empty() {
            true => {
                let priority = route.priority;
                let conditions = Conditions {
                    hosts,
                    paths,
                    methods,
                    headers,
                    accept,
                    content_type,
                    query,
                    client_ip,
                    when,
                    priority,
                    allowed,
                };
                Ok(conditions)
            }
            false => Err(faults),
        }
    }

    pub(super) fn rank(&self) -> Rank {
        let clients = !self.client_ip.is_empty();
        (!self.methods.is_empty(), self.header_conditions(), self.query.len(), clients, self.when.is_some())
    }

    /// How many conditions there are on headers.
    pub(super) fn header_conditions(&self) -> usize {
        self.headers.len() + usize::from(self.accept.is_some()) + usize::from(!self.content_type.is_empty())
    }

    /// The names of the headers that it asks for, in lower case.
    pub fn header_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.headers.iter().map(|(name, _)| name.to_string()).collect();
        names.extend(self.accept.as_ref().map(|_| "accept".to_owned()));
        names.extend((!self.content_type.is_empty()).then(|| "content-type".to_owned()));
        let by_when = self.when.iter().flat_map(|when| when.condition.header_names());
        names.extend(by_when.map(|name| String::from_utf8_lossy(name).into_owned()));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether there is no condition beyond host and path.
    pub(super) fn is_unconditional(&self) -> bool {
        self.rank() == Rank::default()
    }

    /// Whether all but host and path hold.
    pub(super) fn hold(&self, request: &impl Request) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|method| **method == *request.method()))
            && (self.client_ip.is_empty() || {
                let client = request.client_ip().to_canonical();
                self.client_ip.iter().any(|network| network.contains(&client))
            })
            && self.headers.iter().all(|(name, wanted)| wanted.holds(request.header(name)))
            && self.accept.as_ref().is_none_or(|accepts| accepts.hold(request.header("accept")))
            && (self.content_type.is_empty() || self.is_of_its_type(request))
            && self.query.iter().all(|(name, wanted)| wanted.holds(parameters(request.query(), name)))
            && self.when.as_ref().is_none_or(|when| request.meets(when, request.path()) == Ok(true))
    }

    /// Whether the body has one of the types.
    pub(super) fn is_of_its_type(&self, request: &impl Request) -> bool {
        request.header("content-type").any(|written| self.content_type.iter().any(|media| media.is(written)))
    }

    /// Whether one request could meet both, host and path aside. Two values of one header are taken to exclude each
    /// other: for the odd request that has both, the first route by name counts. Two conditions in CEL do so where that is plain.
    pub(super) fn overlaps(&self, other: &Conditions) -> bool {
        let methods = self.methods.is_empty()
            || other.methods.is_empty()
            || self.methods.iter().any(|method| other.methods.contains(method));
        let within = |one: &IpNet, two: &IpNet| one.contains(two) || two.contains(one);
        let clients = self.client_ip.is_empty()
            || other.client_ip.is_empty()
            || self.client_ip.iter().any(|one| other.client_ip.iter().any(|two| within(one, two)));
        let conditions = match (&self.when, &other.when) {
            (Some(one), Some(two)) => !one.condition.excludes(&two.condition),
            _ => true,
        };
        methods
            && clients
            && conditions
            && compatible(&self.headers, &other.headers)
            && self.accept.as_ref().zip(other.accept.as_ref()).is_none_or(|(one, two)| meet(&one.types, &two.types))
            && (self.content_type.is_empty()
                || other.content_type.is_empty()
                || meet(&self.content_type, &other.content_type))
            && compatible(&self.query, &other.query)
    }
}

impl PathPattern {
    /// Compiles `/prefix`, `=/exact` or `~regex`.
    fn compile(text: &str, allowed: Forms) -> Result<PathPattern, Fault> {
        if let Some(regex) = text.strip_prefix('~') {
            return compile_regex(regex).map(PathPattern::Regex).map_err(|error| regex_fault("paths", text, &error));
        }
        let (exact, path) = text.strip_prefix('=').map_or((false, text), |path| (true, path));
        if !path.starts_with('/') {
            return Err(fault(
                "paths",
                format!("the path {text:?} does not begin with \"/\""),
                Some("paths are \"/prefix/\", \"=/exact\" or \"~^/regex\""),
            ));
        }
        if exact && path.contains('{') {
            let mut tree = Paths::new();
            tree.place(path, 0).map_err(|what| fault("paths", format!("{path:?}: {what}"), None))?;
            return Ok(PathPattern::Template(Template { text: path.into(), tree }));
        }
        let normal = normal_path(path, allowed)?;
        Ok(match exact {
            true => PathPattern::Exact(normal.into()),
            false => PathPattern::Prefix(normal.strip_suffix(b"/").unwrap_or(&normal).into()),
        })
    }

    /// Whether the pattern takes a path in normal form.
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            PathPattern::Exact(exact) => **exact == *path,
            PathPattern::Template(template) => template.tree.find(path).is_some(),
            PathPattern::Prefix(prefix) => {
                path.strip_prefix(&**prefix).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
            }
            PathPattern::Regex(regex) => regex.is_match(path),
        }
    }
}

impl fmt::Display for PathPattern {
    /// As a configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Exact(path) => write!(f, "={}", path.escape_ascii()),
            PathPattern::Template(template) => write!(f, "={}", template.text),
            PathPattern::Prefix(prefix) => write!(f, "{}/", prefix.escape_ascii()),
            PathPattern::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

impl fmt::Display for Match {
    /// As a configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Present => f.write_str("true"),
            Match::Absent => f.write_str("false"),
            Match::Exact(value) => write!(f, "`{}`", value.escape_ascii()),
            Match::Regex(regex) => write!(f, "`~{regex}`"),
        }
    }
}

impl Match {
    fn compile(value: &ValueMatch) -> Result<Match, regex::Error> {
        Ok(match value {
            ValueMatch::Present => Match::Present,
            ValueMatch::Absent => Match::Absent,
            ValueMatch::Exact(text) => Match::Exact(text.as_bytes().into()),
            ValueMatch::Regex(regex) => Match::Regex(compile_regex(regex)?),
        })
    }

    pub(super) fn holds<V: AsRef<[u8]>>(&self, mut values: impl Iterator<Item = V>) -> bool {
        match self {
            Match::Present => values.next().is_some(),
            Match::Absent => values.next().is_none(),
            Match::Exact(wanted) => values.any(|value| value.as_ref() == &**wanted),
            Match::Regex(regex) => values.any(|value| regex.is_match(value.as_ref())),
        }
    }

    fn excludes(&self, other: &Match) -> bool {
        match (self, other) {
            (Match::Absent, Match::Absent) => false,
            (Match::Absent, _) | (_, Match::Absent) => true,
            (Match::Exact(one), Match::Exact(two)) => one != two,
            (Match::Exact(value), Match::Regex(regex)) | (Match::Regex(regex), Match::Exact(value)) => {
                !regex.is_match(value)
            }
            _ => false,
        }
    }
}

fn compatible(one: &[(Box<str>, Match)], two: &[(Box<str>, Match)]) -> bool {
    !one.iter().any(|(name, wanted)| two.iter().any(|(other, unlike)| name == other && wanted.excludes(unlike)))
}

/// Whether something may be of a type of each.
fn meet(one: &[Media], two: &[Media]) -> bool {
    one.iter().any(|media| two.iter().any(|other| media.meets(other)))
}

/// A query parameter's name or value, decoded.
type Text = SmallVec<[u8; 64]>;

/// The values of a query parameter in the encoding of HTML forms: percent escapes, `+` for a space.
pub(super) fn parameters<'a>(query: Option<&'a [u8]>, name: &'a str) -> impl Iterator<Item = Text> + 'a {
    query.unwrap_or_default().split(|&byte| byte == b'&').filter(|part| !part.is_empty()).filter_map(|part| {
        let middle = memchr::memchr(b'=', part).unwrap_or(part.len());
        let value = part.get(middle + 1..).unwrap_or_default();
        (decode(&part[..middle]).as_slice() == name.as_bytes()).then(|| decode(value))
    })
}

fn decode(text: &[u8]) -> Text {
    let mut out = Text::new();
    let mut at = 0;
    while at < text.len() {
        let (byte, length) = match (text[at], path::escape(&text[at..])) {
            (_, Some(meant)) => (meant, 3),
            (b'+', _) => (b' ', 1),
            (byte, _) => (byte, 1),
        };
        out.push(byte);
        at += length;
    }
    out
}

/// Gathers faults while all good values are kept.
struct Collect<'a>(&'a mut Vec<Fault>);

impl Collect<'_> {
    fn all<T, V>(&mut self, items: impl IntoIterator<Item = T>, compile: impl Fn(T) -> Result<V, Fault>) -> Vec<V> {
        items.into_iter().filter_map(|item| compile(item).map_err(|fault| self.0.push(fault)).ok()).collect()
    }
}

fn fault(key: &'static str, message: String, help: Option<&str>) -> Fault {
    Fault { key, message, help: help.map(str::to_owned) }
}

fn when_fault(found: condition::Fault) -> Fault {
    Fault { key: "when", message: found.to_string(), help: found.help }
}

fn regex_fault(key: &'static str, name: &str, error: &regex::Error) -> Fault {
    let text = error.to_string();
    // The last line of the regex crate's text says what is wrong; those before it draw the place.
    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
    fault(key, format!("{name:?} has a regex that does not compile: {reason}"), None)
}

fn unknown_form(name: &str) -> Fault {
    let known: Vec<String> = Forms::NAMES.iter().map(|(name, _)| format!("{name:?}")).collect();
    let help = format!("known are {}", known.join(", "));
    fault("allow_in_path", format!("{name:?} is no form of a path"), Some(&help))
}

fn compile_regex(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(REGEX_LIMIT).build()
}

/// The normal form of a path in a pattern, refused where no request could ever have it.
fn normal_path(path: &str, allowed: Forms) -> Result<Vec<u8>, Fault> {
    let mut normal = Vec::new();
    let forms = match path::normalise(path.as_bytes(), &mut normal) {
        Verdict::Plain => return Ok(path.as_bytes().to_vec()),
        Verdict::Normalised => return Ok(normal),
        Verdict::Ambiguous(forms) => forms,
    };
    if let Err(refusal) = path::forward(forms, allowed) {
        let message = format!("no request has the path {path:?}: it would be refused ({})", refusal.reason());
        let help = match path::forward(forms, Forms::ALL) {
            Ok(_) => "`allow_in_path` lets a route take such paths",
            Err(_) => "percent-encode what is no part of a path: \"%20\" for a space, \"%25\" for a percent sign",
        };
        return Err(fault("paths", message, Some(help)));
    }
    if forms.contains(Forms::PARAMETER) && !allowed.contains(Forms::PARAMETER) {
        let message = format!("the path {path:?} has a parameter, which some targets read as the path without it");
        return Err(fault("paths", message, Some("allow_in_path = [\";\"] lets the route take it")));
    }
    if forms.contains(Forms::ENCODED_RESERVED) {
        let message = format!("the path {path:?} has a character encoded that is written plainly in paths");
        return Err(fault("paths", message, Some("write it plainly: \"@\" for \"%40\", \"$\" for \"%24\"")));
    }
    if forms.intersects(Forms::DOTS | Forms::EMPTY_SEGMENT | Forms::HIDDEN_DOTS) {
        let help = format!("write {:?}", String::from_utf8_lossy(&normal));
        let message = format!("no request has the path {path:?}: dot segments and \"//\" are resolved before routing");
        return Err(fault("paths", message, Some(&help)));
    }
    Ok(normal)
}

/// RFC 9110 §5.6.2
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn compile_method(text: &str) -> Result<Box<[u8]>, Fault> {
    const KNOWN: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"];
    let upper = text.to_ascii_uppercase();
    if !is_token(text) {
        return Err(fault("methods", format!("{text:?} is no method"), None));
    }
    if upper != text && KNOWN.contains(&upper.as_str()) {
        let help = format!("write {upper:?}");
        return Err(fault("methods", format!("methods are case-sensitive: no client sends {text:?}"), Some(&help)));
    }
    Ok(text.as_bytes().into())
}

fn compile_media(key: &'static str, text: &str) -> Result<Media, Fault> {
    let help = "write a type with its parameters: \"application/vnd.example.v2+json\", \"application/json;version=2\"";
    Media::compile(text).map_err(|what| fault(key, what, Some(help)))
}

fn compile_header(name: &str, value: &ValueMatch) -> Result<(Box<str>, Match), Fault> {
    let lower = name.to_ascii_lowercase();
    if !is_token(name) {
        return Err(fault("headers", format!("{name:?} is no header name"), None));
    }
    if lower == "host" {
        return Err(fault("headers", "the Host header is matched by `hosts`".to_owned(), Some("use `hosts`")));
    }
    Ok((lower.into(), Match::compile(value).map_err(|error| regex_fault("headers", name, &error))?))
}

fn twice(headers: &[(Box<str>, Match)]) -> Vec<Fault> {
    let mut seen = BTreeMap::<&str, usize>::new();
    for (name, _) in headers {
        *seen.entry(name).or_default() += 1;
    }
    let message = |name| format!("the header {name:?} is given twice; names are not case-sensitive");
    seen.into_iter().filter(|&(_, count)| count > 1).map(|(name, _)| fault("headers", message(name), None)).collect()
}
