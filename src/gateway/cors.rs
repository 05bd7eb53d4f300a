//! Whose scripts browsers let read answers: CORS, as the Fetch standard has it.
//!
//! What always holds: an origin is compared as a whole, and no answer names one that is not configured. With credentials no
//! answer is for all origins.

use super::origins::Origins;

/// A rule of type cors.
#[derive(Debug, PartialEq, Eq)]
pub struct Cors {
    /// Its place among all rules.
    pub index: usize,
    origins: Origins,
    credentials: bool,
    /// Whole lines of an answer to whoever asks beforehand, but for those that depend on what is asked.
    preflight: Box<[u8]>,
    /// Whether any header may be sent that is asked for.
    any_header: bool,
    /// The headers that scripts may read, with commas between them; empty: those that they always may.
    exposed: Box<[u8]>,
}

/// What is configured.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    /// `*`, `https://app.example.com`, or `https://*.example.com`.
    pub origins: &'a [String],
    /// Methods that may be used.
    pub methods: &'a [String],
    /// Headers that may be sent; none: whatever is asked for.
    pub headers: &'a [String],
    /// Headers of answers that scripts may read.
    pub expose: &'a [String],
    /// Whether cookies and the like come along.
    pub credentials: bool,
    /// Seconds for which a browser need not ask again.
    pub max_age: u64,
}

/// The headers of answers that a rule of this type alone sets.
pub const LINES: [&str; 6] = [
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
];

impl Cors {
    /// One at a place among all rules.
    pub fn new(index: usize, spec: Spec<'_>) -> Self {
        let origins = Origins::new(spec.origins);
        let mut preflight = Vec::new();
        for (name, value) in [("Methods", spec.methods.join(", ")), ("Headers", spec.headers.join(", "))]
            .iter()
            .filter(|(_, v)| !v.is_empty())
        {
            preflight.extend_from_slice(format!("Access-Control-Allow-{name}: {value}\r\n").as_bytes());
        }
        preflight.extend_from_slice(format!("Access-Control-Max-Age: {}\r\n", spec.max_age).as_bytes());
        Self {
            index,
            origins,
            credentials: spec.credentials,
            preflight: preflight.into(),
            any_header: spec.headers.is_empty(),
            exposed: spec.expose.join(", ").into_bytes().into(),
        }
    }

    /// What an answer to this origin says that it is for; `None`: it is not for it.
    pub fn admits<'a>(&self, origin: &'a [u8]) -> Option<&'a [u8]> {
        match self.origins.is_all() {
            true => Some(b"*"),
            false => self.origins.has(origin).then_some(origin),
        }
    }

    /// Whether answers depend on who asks, so that caches have to tell them apart.
    pub fn varies(&self) -> bool {
        !self.origins.is_all()
    }

    /// Whether cookies and the like come along.
    pub fn credentials(&self) -> bool {
        self.credentials
    }

    /// The headers of answers that scripts may read, with commas between them.
    pub fn exposed(&self) -> &[u8] {
        &self.exposed
    }

    /// Whole lines of the answer to a browser that asks beforehand for `origin`, which wants to send these headers. `None`: it may not.
    pub fn preflight(&self, origin: &[u8], headers: Option<&[u8]>) -> Option<Vec<u8>> {
        let admitted = self.admits(origin)?;
        let mut lines = [b"Access-Control-Allow-Origin: ", admitted, b"\r\n"].concat();
        if self.credentials {
            lines.extend_from_slice(b"Access-Control-Allow-Credentials: true\r\n");
        }
        lines.extend_from_slice(&self.preflight);
        let is_list = |asked: &&[u8]| {
            asked.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, \t".contains(&byte))
        };
        if self.any_header
            && let Some(asked) = headers.filter(is_list).filter(|asked| !asked.is_empty())
        {
            lines.extend_from_slice(&[b"Access-Control-Allow-Headers: ", asked, b"\r\n"].concat());
        }
        lines.extend_from_slice(b"Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n");
        Some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], headers: &[&str], credentials: bool) -> Cors {
        let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let (origins, methods, headers) = (strings(origins), strings(&["GET", "PUT"]), strings(headers));
        let spec =
            Spec { origins: &origins, methods: &methods, headers: &headers, expose: &[], credentials, max_age: 600 };
        Cors::new(0, spec)
    }

    #[test]
    fn an_origin_is_compared_as_a_whole() {
        let cors = cors(&["https://app.example.com", "https://*.example.org:8443", "http://localhost:3000"], &[], true);
        for good in [
            "https://app.example.com",
            "HTTPS://APP.example.com",
            "https://a.example.org:8443",
            "https://a-1.b.example.org:8443",
            "http://localhost:3000",
        ] {
            assert_eq!(cors.admits(good.as_bytes()), Some(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "null",
            "*",
            "https://example.com",
            "https://app.example.com.evil.test",
            "https://app.example.com:443",
            "http://app.example.com",
            "https://evil.test/https://app.example.com",
            "https://.example.org:8443",
            "https://example.org:8443",
            "https://a.example.org",
            "https://evil.test#.example.org:8443",
            "https://evil.test/.example.org:8443",
            "https://a@.example.org:8443",
            "https://a.example.org:84430",
            "https://app.example.com https://evil.test",
            "app.example.com",
        ] {
            assert_eq!(cors.admits(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn whoever_asks_beforehand_is_told_what_it_may_do() {
        let lines = |cors: &Cors, headers: Option<&str>| {
            String::from_utf8(cors.preflight(b"https://a.test", headers.map(str::as_bytes)).unwrap()).unwrap()
        };
        let echoing = lines(&cors(&["https://a.test"], &[], true), Some("x-one, X-Two"));
        assert_eq!(
            echoing,
            "Access-Control-Allow-Origin: https://a.test\r\nAccess-Control-Allow-Credentials: true\r\n\
             Access-Control-Allow-Methods: GET, PUT\r\nAccess-Control-Max-Age: 600\r\nAccess-Control-Allow-Headers: x-one, X-Two\r\n\
             Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"
        );
        let listed = lines(&cors(&["*"], &["X-One"], false), Some("x-two"));
        assert!(
            listed.starts_with("Access-Control-Allow-Origin: *\r\n")
                && listed.contains("Allow-Headers: X-One\r\n")
                && !listed.contains("x-two")
        );
        let odd = lines(&cors(&["*"], &[], false), Some("x\u{e9}\u{7f}"));
        assert!(!odd.contains("Allow-Headers"), "what is no list of names is not said again");
        assert!(cors(&["https://a.test"], &[], true).preflight(b"https://b.test", None).is_none());
    }
}
