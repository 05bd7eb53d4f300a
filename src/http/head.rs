//! What a request or response head says, whatever protocol carried it.
//!
//! A head holds no bytes: every part is a [`Span`] into the one buffer that the head was read from, and every function
//! that needs the bytes is handed that buffer as `text`. A head is reused from one exchange to the next; `clear` keeps
//! its capacity, so that reading a head allocates nothing. A span past the end of `text` reads as empty.

/// A range of bytes in the buffer that holds the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset just past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of nothing.
    pub const EMPTY: Span = Span { start: 0, end: 0 };

    /// The span `start..end`. Heads are far smaller than 4 GiB: their limit is a configured size.
    #[inline]
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= u32::MAX as usize);
        Self { start: start as u32, end: end as u32 }
    }

    /// The bytes it stands for.
    #[inline]
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Whether it holds no byte.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Its length in bytes.
    #[inline]
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// One field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as it was sent.
    pub name: Span,
    /// The value without the whitespace around it.
    pub value: Span,
    /// Which name it is.
    pub kind: Name,
}

/// The field names that the proxy acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant is called after its name")]
pub enum Name {
    /// Any name without a variant of its own.
    Other,
    /// A name that is not, but that a CGI-like target would read as, a guarded one: `X_Forwarded_For`, `X.Real.IP`.
    /// It never reaches a target.
    Disguised,
    /// A field that the sender's `Connection` named, so that it ends at this hop (RFC 9110 §7.6.1).
    Nominated,
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440), and what we tell of a client's certificate ourselves.
    ClientCert,
    Connection,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    MaxForwards,
    /// `Proxy`, which CGI turns into the variable `HTTP_PROXY` (CVE-2016-5385).
    Proxy,
    ProxyAuthenticate,
    ProxyAuthenticationInfo,
    ProxyAuthorization,
    ProxyConnection,
    SecWebSocketAccept,
    SecWebSocketKey,
    SecWebSocketVersion,
    Server,
    SetCookie,
    StrictTransportSecurity,
    Te,
    Traceparent,
    Tracestate,
    Trailer,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    /// Any other name that begins with `X-Forwarded-`.
    XForwardedOther,
    XRealIp,
    XRequestId,
}

impl Name {
    /// Which name `name` is, by RFC 9110 §5.1 without regard to case. `name` must be a token.
    #[inline]
    pub fn of(name: &[u8]) -> Name {
        use Name::*;
        let known: &[(&[u8], Name)] = match name.len() {
            2 => &[(b"te", Te)],
            3 => &[(b"via", Via)],
            4 => &[(b"host", Host), (b"date", Date)],
            5 => &[(b"proxy", Proxy)],
            6 => &[(b"cookie", Cookie), (b"server", Server), (b"expect", Expect)],
            7 => &[(b"upgrade", Upgrade), (b"trailer", Trailer)],
            9 => &[(b"forwarded", Forwarded), (b"x-real-ip", XRealIp)],
            10 => &[
                (b"connection", Connection),
                (b"keep-alive", KeepAlive),
                (b"set-cookie", SetCookie),
                (b"tracestate", Tracestate),
            ],
            11 => &[(b"client-cert", ClientCert), (b"traceparent", Traceparent)],
            12 => &[(b"content-type", ContentType), (b"x-request-id", XRequestId), (b"max-forwards", MaxForwards)],
            14 => &[(b"content-length", ContentLength), (b"http2-settings", Http2Settings)],
            15 => &[(b"x-forwarded-for", XForwardedFor)],
            16 => &[
                (b"x-forwarded-host", XForwardedHost),
                (b"x-forwarded-port", XForwardedPort),
                (b"proxy-connection", ProxyConnection),
            ],
            17 => &[
                (b"x-forwarded-proto", XForwardedProto),
                (b"transfer-encoding", TransferEncoding),
                (b"sec-websocket-key", SecWebSocketKey),
                (b"client-cert-chain", ClientCert),
                (b"x-client-cert-san", ClientCert),
            ],
            18 => &[(b"proxy-authenticate", ProxyAuthenticate)],
            19 => &[(b"proxy-authorization", ProxyAuthorization)],
            20 => &[(b"sec-websocket-accept", SecWebSocketAccept)],
            21 => &[(b"sec-websocket-version", SecWebSocketVersion), (b"x-client-cert-subject", ClientCert)],
            25 => &[
                (b"proxy-authentication-info", ProxyAuthenticationInfo),
                (b"strict-transport-security", StrictTransportSecurity),
                (b"x-client-cert-fingerprint", ClientCert),
            ],
            _ => &[],
        };
        for &(spelling, kind) in known {
            match likeness(name, spelling) {
                Likeness::Same => return kind,
                Likeness::Folds => return if kind.is_guarded() { Disguised } else { Other },
                Likeness::Differs => {}
            }
        }
        const FAMILY: &[u8] = b"x-forwarded-";
        match name.get(..FAMILY.len()).map(|head| likeness(head, FAMILY)) {
            Some(Likeness::Same) => XForwardedOther,
            Some(Likeness::Folds) => Disguised,
            _ => Other,
        }
    }

    /// Whether a target that took another name for this one would be misled about framing, routing or the client.
    fn is_guarded(self) -> bool {
        use Name::*;
        self.tells_the_client()
            || matches!(
                self,
                ContentLength
                    | TransferEncoding
                    | Http2Settings
                    | KeepAlive
                    | ProxyConnection
                    | ProxyAuthorization
                    | MaxForwards
            )
    }

    /// Whether it says who the client is or how it came: what only a trusted proxy may claim.
    #[inline]
    pub fn tells_the_client(self) -> bool {
        use Name::*;
        matches!(
            self,
            ClientCert
                | Forwarded
                | XForwardedFor
                | XForwardedHost
                | XForwardedPort
                | XForwardedProto
                | XForwardedOther
                | XRealIp
        )
    }

    /// Whether a `Connection` field may name it. Framing, routing and what the proxy writes itself may not be struck out
    /// that way (CVE-2022-31813, CVE-2024-45410).
    pub fn can_be_nominated(self) -> bool {
        use Name::*;
        matches!(
            self,
            Other
                | ContentType
                | Cookie
                | Date
                | Server
                | SetCookie
                | Traceparent
                | Tracestate
                | Via
                | XRequestId
                | Trailer
                | Disguised
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Same,
    /// Equal once every byte that is neither letter nor digit is taken for a hyphen, as CGI and PHP do.
    Folds,
    Differs,
}

/// Compares two names of the same length; `spelling` is in lower case and begins with a letter.
#[inline]
fn likeness(name: &[u8], spelling: &[u8]) -> Likeness {
    debug_assert_eq!(name.len(), spelling.len());
    if name[0] | 0x20 != spelling[0] {
        Likeness::Differs
    } else if is_same(name, spelling) {
        Likeness::Same
    } else {
        fold(name, spelling)
    }
}

/// Letters, digits and hyphens all have the bit 0x20 in lower case, and no token byte gains their value by it but their
/// capitals; so eight bytes are compared at once.
#[inline]
fn is_same(name: &[u8], spelling: &[u8]) -> bool {
    let (names, name_rest) = name.as_chunks::<8>();
    let (spellings, spelling_rest) = spelling.as_chunks::<8>();
    names
        .iter()
        .zip(spellings)
        .all(|(name, spelling)| u64::from_ne_bytes(*name) | 0x2020_2020_2020_2020 == u64::from_ne_bytes(*spelling))
        && name_rest.iter().zip(spelling_rest).all(|(name, spelling)| name | 0x20 == *spelling)
}

#[cold]
fn fold(name: &[u8], spelling: &[u8]) -> Likeness {
    let folds = name.iter().zip(spelling).all(|(&byte, &want)| match want {
        b'-' => !byte.is_ascii_alphanumeric(),
        _ => byte | 0x20 == want,
    });
    if folds { Likeness::Folds } else { Likeness::Differs }
}

/// The version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// The method, as far as the proxy treats it in a way of its own. Methods are case-sensitive (RFC 9110 §9.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant is called after its token")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    /// Any other token.
    Other,
}

impl Method {
    /// Which method `token` is.
    #[inline]
    pub fn of(token: &[u8]) -> Method {
        match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }

    /// Whether sending the request twice is the same as once (RFC 9110 §9.2.2). Unknown methods are not.
    #[inline]
    pub fn is_idempotent(self) -> bool {
        matches!(self, Method::Get | Method::Head | Method::Put | Method::Delete | Method::Options)
    }
}

/// How the request target was written (RFC 9112 §3.2). The authority form belongs to CONNECT, which is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://authority/path?query`
    Absolute,
    /// `*`, of OPTIONS alone
    Asterisk,
}

/// A request head.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The method as it was sent.
    pub method_text: Span,
    /// The whole request target as it was sent.
    pub target: Span,
    /// Its form.
    pub form: TargetForm,
    /// `http` or `https` of an absolute form, else empty. It says nothing of how the request came.
    pub scheme: Span,
    /// Host and port that the request is for: the absolute form's, else the Host field's value (RFC 9112 §3.2.2).
    /// Checked; empty if neither says.
    pub authority: Span,
    /// The path. Empty, which stands for `/`, only in an absolute form without one; `*` in the asterisk form.
    pub path: Span,
    /// What follows the `?`, if there is one. It begins just behind the path's `?`.
    pub query: Option<Span>,
    /// The version.
    pub version: Version,
    /// The fields in the order in which they were sent.
    pub fields: Vec<Field>,
}

impl RequestHead {
    /// Makes it ready for the next head, keeping its capacity.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }

    /// Asks for all of a content, and not for a part of it.
    pub fn asks_for_all(&mut self, text: &[u8]) {
        let is_part = |name: &[u8]| name.eq_ignore_ascii_case(b"range") || name.eq_ignore_ascii_case(b"if-range");
        self.fields.retain(|field| !is_part(field.name.of(text)));
    }

    /// The first field of that kind.
    pub fn find(&self, kind: Name) -> Option<&Field> {
        self.fields.iter().find(|field| field.kind == kind)
    }

    /// The values of all fields named `name`, which is compared without regard to case.
    pub fn values<'a>(&'a self, text: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        values(&self.fields, text, name)
    }
}

/// A response head.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The status that clients are told in its place.
    pub told: Option<u16>,
    /// The reason phrase; empty if there was none or it was not ASCII.
    pub reason: Span,
    /// The version.
    pub version: Version,
    /// The fields in the order in which they were sent.
    pub fields: Vec<Field>,
}

impl ResponseHead {
    /// The status that clients are told.
    pub fn told(&self) -> u16 {
        self.told.unwrap_or(self.status)
    }

    /// Makes it ready for the next head, keeping its capacity.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }

    /// The first field of that kind.
    pub fn find(&self, kind: Name) -> Option<&Field> {
        self.fields.iter().find(|field| field.kind == kind)
    }

    /// The values of all fields named `name`, which is compared without regard to case.
    pub fn values<'a>(&'a self, text: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        values(&self.fields, text, name)
    }
}

fn values<'a>(fields: &'a [Field], text: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.of(text).eq_ignore_ascii_case(name))
        .map(move |field| field.value.of(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        for (name, kind) in [
            ("Host", Name::Host),
            ("hOsT", Name::Host),
            ("TRANSFER-ENCODING", Name::TransferEncoding),
            ("x-forwarded-for", Name::XForwardedFor),
            ("X-Forwarded-User", Name::XForwardedOther),
            ("X-Forwarded-Prefix", Name::XForwardedOther),
            ("Proxy-Authentication-Info", Name::ProxyAuthenticationInfo),
            ("Hosts", Name::Other),
            ("Hosu", Name::Other),
            ("X-Forwarded", Name::Other),
            ("User-Agent", Name::Other),
        ] {
            assert_eq!(Name::of(name.as_bytes()), kind, "{name}");
        }
    }

    #[test]
    fn names_that_cgi_would_fold_onto_a_guarded_one_are_told_apart() {
        for name in [
            "X_Forwarded_For",
            "X.Forwarded.For",
            "X-Forwarded_For",
            "x_forwarded_user",
            "Content_Length",
            "Transfer_Encoding",
            "Transfer.Encoding",
            "X_Real_IP",
            "Proxy~Connection",
        ] {
            assert_eq!(Name::of(name.as_bytes()), Name::Disguised, "{name}");
        }
        for name in ["X_Request_Id", "Content_Type", "Set_Cookie", "my_own_header", "x1forwarded2for"] {
            assert_eq!(Name::of(name.as_bytes()), Name::Other, "{name}");
        }
    }

    #[test]
    fn connection_cannot_strike_out_what_the_proxy_answers_for() {
        for kind in [
            Name::Host,
            Name::ContentLength,
            Name::TransferEncoding,
            Name::XForwardedFor,
            Name::XForwardedProto,
            Name::XForwardedOther,
            Name::Forwarded,
            Name::MaxForwards,
        ] {
            assert!(!kind.can_be_nominated(), "{kind:?}");
        }
        assert!(Name::Other.can_be_nominated());
    }

    #[test]
    fn a_cleared_head_keeps_its_capacity_and_nothing_else() {
        let mut head = RequestHead { method: Method::Post, query: Some(Span::new(1, 2)), ..RequestHead::default() };
        head.fields.push(Field { name: Span::EMPTY, value: Span::EMPTY, kind: Name::Host });
        head.clear();
        assert!(head.fields.is_empty() && head.fields.capacity() > 0);
        assert_eq!((head.method, head.query), (Method::Get, None));
    }

    #[test]
    fn a_span_outside_the_text_reads_as_empty() {
        assert_eq!(Span::new(3, 9).of(b"short"), b"");
        assert_eq!(Span::new(1, 3).of(b"short"), b"ho");
    }
}
