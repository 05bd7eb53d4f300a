//! Samples: `req.hdr(host),lower,field(1,:)`: what they are of a request, and which converters change nothing that counts.
//!
//! May depend on conditions alone.

use super::acl::Method;
use crate::import::condition::{Cond, Fact, Subject};

/// A fetch or a converter with what stands in its parentheses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub name: String,
    pub argument: String,
}

impl Piece {
    /// As it was written.
    pub fn written(&self) -> String {
        if self.argument.is_empty() { self.name.clone() } else { format!("{}({})", self.name, self.argument) }
    }
}

/// What a sample is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sample {
    Text(Subject),
    Method,
    Client,
    /// An address in a header.
    AddressIn(String),
    /// A number, in the words of CEL.
    Number(String),
    /// How many lines of a header there are.
    Lines(String),
    Flag(Cond),
    Port,
    Alpn,
    Status,
    /// A counter of a stick table.
    Counter(String),
    /// How many servers of a backend are usable.
    Usable(String),
    User(String),
    Opening,
}

/// A sample that is understood.
pub(super) struct Read {
    pub sample: Sample,
    /// How it is compared where nothing else is said.
    pub how: Option<Method>,
    pub any_case: bool,
    /// Whether a query would stand behind the path.
    pub with_query: bool,
    pub note: Option<String>,
}

/// The fetch and the converters of a sample.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    let mut cut = |part: &str| {
        let part = part.trim();
        let (name, argument) = match part.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').unwrap_or(rest)),
            None => (part, ""),
        };
        pieces.push(Piece { name: name.to_owned(), argument: argument.trim().to_owned() });
    };
    for (place, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                cut(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    cut(&text[start..]);
    pieces
}

/// What a sample is.
///
/// # Errors
/// Why it is not understood.
pub(super) fn read(pieces: &[Piece], http: bool) -> Result<Read, String> {
    let Some((fetch, converters)) = pieces.split_first() else { return Err("there is nothing to look at".to_owned()) };
    let (mut sample, how, mut note) = fetched(fetch, http)?;
    let mut any_case = false;
    for converter in converters {
        match (converter.name.as_str(), &sample) {
            ("lower" | "upper", _) => any_case = true,
            ("url_dec", Sample::Text(Subject::Path | Subject::Query(_))) => {}
            ("host_only", Sample::Text(Subject::Host)) | ("bool", Sample::Flag(_)) => {}
            ("field" | "word", Sample::Text(Subject::Host)) if converter.argument.replace(' ', "") == "1,:" => {}
            ("length", Sample::Text(subject)) => {
                let text = match subject {
                    Subject::Path => "request.path".to_owned(),
                    Subject::Header(name) => format!("request.headers[{}]", crate::import::condition::literal(name)),
                    _ => return Err("its length is not known".to_owned()),
                };
                sample = Sample::Number(format!("size({text})"));
            }
            ("not", Sample::Flag(cond)) => sample = Sample::Flag(cond.clone().negate()),
            (name, _) if name.starts_with("map") => {
                return Err(format!("what a map says (`{}`) is looked up by `use_backend` alone", converter.written()));
            }
            (name, _) => return Err(format!("the converter `{name}` is not known here")),
        }
    }
    let with_query = matches!(
        fetch.name.as_str(),
        "url" | "url_beg" | "url_end" | "url_sub" | "url_reg" | "url_dir" | "url_dom" | "capture.req.uri" | "pathq"
    );
    if with_query {
        note = Some("the path is looked at, and not the query behind it".to_owned());
    }
    Ok(Read { sample, how, any_case, with_query, note })
}

type Fetched = (Sample, Option<Method>, Option<String>);

fn fetched(fetch: &Piece, http: bool) -> Result<Fetched, String> {
    let name = fetch.name.strip_prefix("req.").filter(|rest| !rest.starts_with("ssl")).unwrap_or(&fetch.name);
    let argument = fetch.argument.split(',').next().unwrap_or_default().trim().to_owned();
    if let Some(found) = plain(name, &fetch.argument, &argument, http) {
        return found.map(|sample| (sample, None, None));
    }
    // An old criterion has the method at the end of its name.
    if let Some((base, method)) = name.rsplit_once('_') {
        let method = Method::called(method);
        let named = || argument.to_ascii_lowercase();
        match (base, method) {
            ("hdr" | "fhdr", Some(Method::Number)) if named() == "content-length" => {
                return Ok((Sample::Number("request.size".to_owned()), None, None));
            }
            ("hdr", Some(Method::Address)) if named() == "x-forwarded-for" => {
                let note =
                    "the client is who trusted proxies say that it is: name them in `trusted_proxies` of the listener";
                return Ok((Sample::Client, None, Some(note.to_owned())));
            }
            ("hdr" | "fhdr", Some(Method::Address)) => return Ok((Sample::AddressIn(named()), None, None)),
            (
                "path" | "url" | "base" | "hdr" | "fhdr" | "cook" | "urlp" | "url_param" | "ssl_sni" | "req.ssl_sni"
                | "req_ssl_sni" | "ssl_fc_sni",
                Some(method),
            ) => {
                if let Some(Ok(sample)) = plain(base, &fetch.argument, &argument, http) {
                    return Ok((sample, Some(method), None));
                }
            }
            _ => {}
        }
    }
    Err(format!("`{}` is not known here", fetch.name))
}

/// What is called so; nothing if nothing is.
fn plain(name: &str, whole: &str, argument: &str, http: bool) -> Option<Result<Sample, String>> {
    let header = argument.to_ascii_lowercase();
    let fact = |fact| Sample::Flag(Cond::Fact(fact));
    let cel = |text: &str| Sample::Text(Subject::Cel(text.to_owned()));
    let present = |text: &str| fact(Fact::Cel(text.to_owned()));
    Some(Ok(match name {
        "path" | "url" | "capture.req.uri" | "pathq" => Sample::Text(Subject::Path),
        "base" => Sample::Text(Subject::Base),
        "hdr" | "fhdr" | "hdr_last" if header == "host" => Sample::Text(Subject::Host),
        "hdr" | "fhdr" => Sample::Text(Subject::Header(header)),
        "cook" | "cookie" => Sample::Text(Subject::Cookie(argument.to_owned())),
        "url_param" | "urlp" => Sample::Text(Subject::Query(argument.to_owned())),
        "hdr_cnt" | "fhdr_cnt" => Sample::Lines(header),
        "method" | "meth" => Sample::Method,
        "src" => Sample::Client,
        "path_len" => Sample::Number("size(request.path)".to_owned()),
        "body_size" | "body_len" => Sample::Number("request.size".to_owned()),
        "ssl_fc" | "https_https" => fact(Fact::Tls),
        "ssl_fc_sni" | "ssl_sni" | "req.ssl_sni" | "req_ssl_sni" => Sample::Text(Subject::Sni),
        "ssl_fc_has_sni" => present("tls.sni != \"\""),
        "ssl_fc_protocol" => return Some(Err("write `tls.version == \"1.3\"` into `when`".to_owned())),
        "ssl_c_used" | "ssl_fc_has_crt" => present("tls.client_certificate.present"),
        "ssl_c_s_dn" if header == "cn" => cel("tls.client_certificate.common_name"),
        "ssl_c_s_dn" => cel("tls.client_certificate.subject"),
        "ssl_c_verify" => {
            // It is compared with 0, as which no certificate counts as well; one that is not good is not let in.
            Sample::Flag(Cond::Const(false))
        }
        "dst_port" => Sample::Port,
        "req.ssl_alpn" | "req_ssl_alpn" => Sample::Alpn,
        "req.ssl_hello_type" | "req_ssl_hello_type" | "req.ssl_ver" | "req_ssl_ver" | "len" | "req_len" | "payload"
        | "ssl_hello_type" => Sample::Opening,
        "proto_http" | "req_proto_http" if http => Sample::Flag(Cond::Const(true)),
        "proto_http" | "req_proto_http" => Sample::Opening,
        "wait_end" | "always_true" => Sample::Flag(Cond::Const(true)),
        "always_false" => Sample::Flag(Cond::Const(false)),
        "bool" | "int" => Sample::Flag(Cond::Const(!["0", "false"].contains(&argument))),
        "http_auth" => Sample::User(argument.to_owned()),
        "http_auth_group" => return Some(Err("groups of a userlist: use a rule of type groups".to_owned())),
        "status" | "res.status" => Sample::Status,
        "nbsrv" => Sample::Usable(argument.to_owned()),
        "http_first_req" => {
            return Some(Err("which request of a connection it is, is no part of a condition".to_owned()));
        }
        "rand" => return Some(Err("chance is no part of a condition: give weights to targets".to_owned())),
        "dst" => {
            return Some(Err(
                "the address that a client has dialled is no part of a condition: use a listener for each".to_owned(),
            ));
        }
        "query" => return Some(Err("the query as a whole is no part of a condition: its parameters are".to_owned())),
        "ver" | "req_ver" => return Some(Err("the version of HTTP is no part of a condition".to_owned())),
        name if is_counter(name) => {
            let of = if whole.is_empty() { name.to_owned() } else { format!("{name}({})", whole.replace(' ', "")) };
            Sample::Counter(of)
        }
        name if name.starts_with("res.") || name.starts_with("shdr") => {
            return Some(Err("it looks at the answer: an edit can be bound to its status alone".to_owned()));
        }
        name if name.starts_with("lua.") => {
            return Some(Err("Lua is not run: rules and conditions take its place".to_owned()));
        }
        _ => return None,
    }))
}

fn is_counter(name: &str) -> bool {
    let rest = if let Some(rest) = name.strip_prefix("src_") {
        rest
    } else if let Some(rest) = name.strip_prefix("sc") {
        rest.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('_').unwrap_or_default()
    } else {
        return false;
    };
    ["_rate", "_cnt", "_cur", "gpc0", "gpc1", "gpt0", "get_gpc0", "get_gpc1"].iter().any(|end| rest.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_outside_of_parentheses() {
        let all = pieces("req.hdr(host),lower,field(1,:),map_beg(/a,b)");
        let written: Vec<String> = all.iter().map(Piece::written).collect();
        assert_eq!(written, ["req.hdr(host)", "lower", "field(1,:)", "map_beg(/a,b)"]);
    }

    #[test]
    fn old_names_and_new_ones_mean_the_same() {
        let what = |text: &str| read(&pieces(text), true).map(|read| (read.sample, read.how));
        let host = Sample::Text(Subject::Host);
        assert_eq!(what("hdr(host),lower"), Ok((host.clone(), None)));
        assert_eq!(what("hdr_dom(Host)"), Ok((host, Some(Method::Domain))));
        assert_eq!(what("path_beg"), what("req.path_beg"));
        assert_eq!(what("req.hdr_cnt(X-A)"), Ok((Sample::Lines("x-a".into()), None)));
        assert_eq!(what("sc0_http_req_rate"), Ok((Sample::Counter("sc0_http_req_rate".into()), None)));
        assert!(what("lua.bot").is_err() && what("path,sha1").is_err() && what("scary_rate").is_err());
    }
}
