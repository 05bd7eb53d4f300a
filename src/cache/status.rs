//! Cache-Status (RFC 9211): what the cache did with a request, for those who look at the answer.

use super::storing::Why;

/// Why a request went to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// The cache is not to be used for it.
    Bypass,
    /// Its method does not allow for a stored answer.
    Method,
    /// Nothing is stored for its URI.
    UriMiss,
    /// Something is stored for its URI, but nothing that fits its fields.
    VaryMiss,
    /// What is stored is fresh, but not what its directives ask for.
    Request,
    /// What is stored is stale.
    Stale,
    /// A part of what is asked for is stored.
    Partial,
}

impl Forward {
    /// The token of the standard.
    pub fn word(self) -> &'static str {
        match self {
            Forward::Bypass => "bypass",
            Forward::Method => "method",
            Forward::UriMiss => "uri-miss",
            Forward::VaryMiss => "vary-miss",
            Forward::Request => "request",
            Forward::Stale => "stale",
            Forward::Partial => "partial",
        }
    }
}

/// What the cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// The answer came from the store, without the origin. It goes before `forward`.
    pub hit: bool,
    /// Why the request went to the origin.
    pub forward: Option<Forward>,
    /// What status the origin answered, where that is not the answer's.
    pub forward_status: Option<u16>,
    /// Seconds that the answer stays fresh, negative where it is stale.
    pub ttl: Option<i64>,
    /// The answer of the origin is stored.
    pub stored: bool,
    /// The request shared another's answer of the origin.
    pub collapsed: bool,
    /// More, as a token.
    pub detail: Option<Detail>,
}

/// What more there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The answer is not stored.
    NotStored(Why),
    /// A stale answer is served while it is validated.
    StaleWhileRevalidate,
    /// A stale answer is served as the origin fails.
    StaleIfError,
    /// The origin said that the stored answer is still good.
    Revalidated,
    /// Any other token.
    Word(&'static str),
}

impl Detail {
    /// Its token.
    pub fn word(self) -> &'static str {
        match self {
            Detail::NotStored(why) => why.word(),
            Detail::StaleWhileRevalidate => "stale-while-revalidate",
            Detail::StaleIfError => "stale-if-error",
            Detail::Revalidated => "revalidated",
            Detail::Word(word) => word,
        }
    }
}

impl CacheStatus {
    /// The value of the field, as the member of the cache of this name, which is a token.
    pub fn write(&self, cache: &str, into: &mut Vec<u8>) {
        let mut put = |text: &str| into.extend_from_slice(text.as_bytes());
        let mut number = itoa::Buffer::new();
        put(cache);
        if self.hit {
            put("; hit");
        } else if let Some(forward) = self.forward {
            put("; fwd=");
            put(forward.word());
            if let Some(status) = self.forward_status {
                put("; fwd-status=");
                put(number.format(status));
            }
        }
        if let Some(ttl) = self.ttl {
            put("; ttl=");
            put(number.format(ttl));
        }
        if self.stored {
            put("; stored");
        }
        if self.collapsed {
            put("; collapsed");
        }
        if let Some(detail) = self.detail {
            put("; detail=");
            put(detail.word());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: CacheStatus) -> String {
        let mut line = Vec::new();
        status.write("Ringway", &mut line);
        String::from_utf8_lossy(&line).into_owned()
    }

    #[test]
    fn it_says_what_was_done() {
        let nothing = CacheStatus::default();
        assert_eq!(line(CacheStatus { hit: true, ttl: Some(376), ..nothing }), "Ringway; hit; ttl=376");
        let stale = CacheStatus { hit: true, ttl: Some(-412), detail: Some(Detail::StaleIfError), ..nothing };
        assert_eq!(line(stale), "Ringway; hit; ttl=-412; detail=stale-if-error");
        let forward = Some(Forward::UriMiss);
        let miss = CacheStatus { forward, stored: true, collapsed: true, ttl: Some(5), ..nothing };
        assert_eq!(line(miss), "Ringway; fwd=uri-miss; ttl=5; stored; collapsed");
        let forward = Some(Forward::Stale);
        assert_eq!(
            line(CacheStatus { forward, forward_status: Some(304), detail: Some(Detail::Revalidated), ..nothing }),
            "Ringway; fwd=stale; fwd-status=304; detail=revalidated"
        );
        assert_eq!(
            line(CacheStatus {
                forward: Some(Forward::Bypass),
                detail: Some(Detail::NotStored(Why::Private)),
                ..nothing
            }),
            "Ringway; fwd=bypass; detail=private"
        );
    }

    #[test]
    fn words_are_tokens_of_their_own() {
        let mut words: Vec<&str> = Why::ALL.iter().map(|why| why.word()).collect();
        assert!(
            words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')),
            "{words:?}"
        );
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Why::ALL.len());
    }
}
