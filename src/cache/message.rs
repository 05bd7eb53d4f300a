//! What a request and an answer say that a cache minds, read in one pass over their heads.

use super::control::{RequestDirectives, ResponseDirectives, seconds};
use super::date::parse_date;
use super::fields::Fields;
use super::list::members;
use super::rules::{Honour, Rules};
use super::targeted;
use smallvec::SmallVec;

/// What a request says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// Its directives; nothing if they are not honoured.
    pub control: RequestDirectives,
    /// Whether it has Authorization.
    pub authorization: bool,
    /// Whether it has Cookie.
    pub cookie: bool,
    /// Whether a field says another method or another URI than its first line, which some origins heed: what it is answered is not
    /// what its key names.
    pub overrides: bool,
    /// Range.
    pub range: Option<&'a [u8]>,
    /// Its preconditions.
    pub conditions: Conditions<'a>,
}

/// The preconditions of a request (RFC 9110 §13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// The lines of If-Match.
    pub if_match: SmallVec<[&'a [u8]; 1]>,
    /// The lines of If-None-Match.
    pub if_none_match: SmallVec<[&'a [u8]; 1]>,
    /// If-Modified-Since.
    pub if_modified_since: Option<&'a [u8]>,
    /// If-Unmodified-Since.
    pub if_unmodified_since: Option<&'a [u8]>,
    /// If-Range.
    pub if_range: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Reads a head.
    pub fn of(fields: &'a (impl Fields + ?Sized), honour: Honour) -> Self {
        let mut read = Request::default();
        let (mut has_control, mut pragma) = (false, false);
        for (name, value) in fields.lines() {
            let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
            match name.len() {
                5 if is(b"range") => read.range = Some(value),
                6 if is(b"cookie") => read.cookie = true,
                6 if is(b"pragma") => pragma |= members(value).any(|member| member.eq_ignore_ascii_case(b"no-cache")),
                8 if is(b"if-match") => read.conditions.if_match.push(value),
                8 if is(b"if-range") => read.conditions.if_range = Some(value),
                13 if is(b"cache-control") => {
                    has_control = true;
                    if honour == Honour::All {
                        read.control.add(value);
                    }
                }
                13 if is(b"x-http-method") || is(b"x-rewrite-url") => read.overrides = true,
                14 if is(b"x-original-url") => read.overrides = true,
                17 if is(b"x-method-override") => read.overrides = true,
                22 if is(b"x-http-method-override") => read.overrides = true,
                13 if is(b"authorization") => read.authorization = true,
                13 if is(b"if-none-match") => read.conditions.if_none_match.push(value),
                17 if is(b"if-modified-since") => read.conditions.if_modified_since = Some(value),
                19 if is(b"if-unmodified-since") => read.conditions.if_unmodified_since = Some(value),
                _ => {}
            }
        }
        // Pragma is for clients that know no Cache-Control (RFC 9111 §5.4).
        if pragma && !has_control && honour == Honour::All {
            read.control.no_cache = true;
        }
        read
    }
}

/// When an answer says that it expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expires {
    /// It does not.
    #[default]
    Never,
    /// At no date that there is, which is in the past (RFC 9111 §5.3).
    Invalid,
    /// Seconds since 1970.
    At(u64),
}

/// What an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response<'a> {
    /// Its status.
    pub status: u16,
    /// The directives that count for us.
    pub control: ResponseDirectives,
    /// Whether they come from a field that is meant for us, so that Cache-Control and Expires do not count.
    pub targeted: bool,
    /// Date, in seconds since 1970.
    pub date: Option<u64>,
    /// Expires.
    pub expires: Expires,
    /// Age, in seconds.
    pub age: Option<u32>,
    /// ETag.
    pub etag: Option<&'a [u8]>,
    /// Last-Modified.
    pub last_modified: Option<&'a [u8]>,
    /// Content-Location.
    pub content_location: Option<&'a [u8]>,
    /// Location.
    pub location: Option<&'a [u8]>,
    /// Content-Length.
    pub content_length: Option<&'a [u8]>,
    /// Content-Range.
    pub content_range: Option<&'a [u8]>,
    /// Content-Language.
    pub content_language: Option<&'a [u8]>,
    /// Whether it has Set-Cookie.
    pub set_cookie: bool,
    /// Whether it has Vary.
    pub varies: bool,
    /// Whether `*` is among what it varies on.
    pub varies_on_all: bool,
    /// Whether it has Connection.
    pub connection: bool,
    /// Whether it has `Pragma: no-cache`, which means nothing in an answer, but that its sender would not have guesses.
    pub pragma: bool,
}

impl<'a> Response<'a> {
    /// Reads a head.
    pub fn of(status: u16, fields: &'a (impl Fields + ?Sized), rules: &Rules) -> Self {
        let mut read = Response { status, ..Response::default() };
        let mut targeted: SmallVec<[u8; 128]> = SmallVec::new();
        let mut has_age = false;
        for (name, value) in fields.lines() {
            let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
            match name.len() {
                3 if is(b"age") && !has_age => {
                    has_age = true;
                    read.age = members(value).next().and_then(seconds);
                }
                4 if is(b"date") => read.date = parse_date(value),
                4 if is(b"etag") => read.etag = read.etag.or(Some(value)),
                4 if is(b"vary") => {
                    read.varies = true;
                    read.varies_on_all |= members(value).any(|member| member == b"*");
                }
                6 if is(b"pragma") => {
                    read.pragma |= members(value).any(|member| member.eq_ignore_ascii_case(b"no-cache"));
                }
                7 if is(b"expires") => {
                    read.expires = match (read.expires, parse_date(value)) {
                        (Expires::Never, Some(at)) => Expires::At(at),
                        _ => Expires::Invalid,
                    };
                }
                8 if is(b"location") => read.location = read.location.or(Some(value)),
                10 if is(b"set-cookie") => read.set_cookie = true,
                10 if is(b"connection") => read.connection = true,
                13 if is(b"cache-control") => read.control.add(value),
                13 if is(b"last-modified") => read.last_modified = read.last_modified.or(Some(value)),
                13 if is(b"content-range") => read.content_range = Some(value),
                14 if is(b"content-length") => read.content_length = read.content_length.or(Some(value)),
                16 if is(b"content-location") => read.content_location = read.content_location.or(Some(value)),
                16 if is(b"content-language") => read.content_language = read.content_language.or(Some(value)),
                17 if is(b"cdn-cache-control") && rules.targeted => {
                    if !targeted.is_empty() {
                        targeted.push(b',');
                    }
                    targeted.extend_from_slice(value);
                }
                _ => {}
            }
        }
        if !targeted.is_empty()
            && let Some(control) = targeted::parse(&targeted)
        {
            read.control = control;
            read.targeted = true;
        }
        read
    }

    /// Whether there is something to validate it with.
    pub fn has_validator(&self) -> bool {
        self.etag.is_some() || self.last_modified.is_some()
    }

    /// Last-Modified in seconds since 1970.
    pub fn modified(&self) -> Option<u64> {
        self.last_modified.and_then(parse_date)
    }

    /// A stored answer, with the fields that `update` brought merged into its head, as of that moment: Date and Age are those of
    /// the answer that brought them (RFC 9111 §4.3.4).
    pub fn as_of(self, update: &Response<'_>) -> Self {
        Self { date: update.date, age: update.age, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer<'a>(fields: &'a [(&'a [u8], &'a [u8])]) -> Response<'a> {
        Response::of(200, fields, &Rules::default())
    }

    #[test]
    fn age_is_the_first_member_of_the_first_line() {
        let age = |lines: &[&'static str]| {
            let fields: Vec<(&[u8], &[u8])> = lines.iter().map(|line| (&b"Age"[..], line.as_bytes())).collect();
            Response::of(200, &fields[..], &Rules::default()).age
        };
        assert_eq!(age(&["7200"]), Some(7200));
        assert_eq!(age(&["7200, 0"]), Some(7200));
        assert_eq!(age(&["0, 7200"]), Some(0));
        assert_eq!(age(&["0", "7200"]), Some(0));
        assert_eq!(age(&["7200", "0"]), Some(7200));
        assert_eq!(age(&["2147483649"]), Some(1 << 31));
        assert_eq!(age(&["99999999999999999999"]), Some(1 << 31));
        for junk in ["abc", "-7200", "7200.0", "", "\"7200\"", "7200;foo=bar", "0x10"] {
            assert_eq!(age(&[junk]), None, "{junk}");
        }
    }

    #[test]
    fn pragma_is_for_those_who_say_nothing_newer() {
        let asked = |fields: &[(&[u8], &[u8])], honour| Request::of(fields, honour).control.no_cache;
        assert!(asked(&[(b"pragma", b"x, No-Cache")], Honour::All));
        assert!(!asked(&[(b"pragma", b"foo")], Honour::All));
        assert!(!asked(&[(b"pragma", b"no-cache"), (b"cache-control", b"max-age=5")], Honour::All));
        assert!(!asked(&[(b"pragma", b"no-cache")], Honour::None));
        assert!(asked(&[(b"CACHE-control", b"a"), (b"Cache-Control", b"no-cache")], Honour::All));
        assert!(!asked(&[(b"cache-control", b"no-cache")], Honour::None));
    }

    #[test]
    fn fields_that_make_another_request_of_it_are_seen() {
        for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "x-rewrite-url"]
        {
            assert!(Request::of(&[(name, "x")], Honour::All).overrides, "{name}");
        }
        assert!(!Request::of(&[("X-Original-Url2", "x"), ("If-Match", "x")], Honour::All).overrides);
    }

    #[test]
    fn a_targeted_field_stands_for_all_others_if_it_is_well_formed() {
        let read = answer(&[(b"cache-control", b"no-store"), (b"cdn-cache-control", b"max-age=5")]);
        assert!(read.targeted && !read.control.no_store && read.control.max_age == Some(5));
        let read = answer(&[(b"cache-control", b"no-store"), (b"cdn-cache-control", b"max-age=\"5\"")]);
        assert!(!read.targeted && read.control.no_store);
        let read = answer(&[(b"cdn-cache-control", b"max-age=5"), (b"cdn-cache-control", b"no-cache")]);
        assert!(read.control.no_cache && read.control.max_age == Some(5), "its lines are one");
        let rules = Rules { targeted: false, ..Rules::default() };
        assert!(!Response::of(200, &[("CDN-Cache-Control", "max-age=5")], &rules).targeted);
    }

    #[test]
    fn dates_and_lists_are_read_over_all_lines() {
        let read = answer(&[(b"vary", b""), (b"Vary", b"a , *")]);
        assert!(read.varies && read.varies_on_all);
        assert!(answer(&[(b"vary", b"*, *")]).varies_on_all && answer(&[(b"vary", b", *")]).varies_on_all);
        assert!(!answer(&[(b"vary", b"x*")]).varies_on_all);
        let date: &[u8] = b"Thu, 18 Aug 2050 02:01:18 GMT";
        assert_eq!(answer(&[(b"expires", b"0")]).expires, Expires::Invalid);
        assert!(matches!(answer(&[(b"expires", date)]).expires, Expires::At(_)));
        assert_eq!(answer(&[(b"expires", date), (b"expires", date)]).expires, Expires::Invalid, "two lines");
    }
}
