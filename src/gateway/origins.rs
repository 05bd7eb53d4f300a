//! Sets of origins: where browsers say that a page is from (RFC 6454).

/// A set of origins, each of which is compared as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origins {
    All,
    /// Whole origins, and those of which what is before a domain may be anything: what stands before it and behind.
    Some {
        whole: Box<[Box<[u8]>]>,
        below: Box<[Around]>,
    },
}

/// What stands before and behind the name of a site.
type Around = (Box<[u8]>, Box<[u8]>);

impl Origins {
    /// Those of `https://app.example.com`, all of `https://*.example.com`, or with `*` all that there are.
    pub(super) fn new(origins: &[String]) -> Self {
        if origins.iter().any(|origin| origin == "*") {
            return Self::All;
        }
        let (below, whole): (Vec<&String>, _) = origins.iter().partition(|origin| origin.contains("://*."));
        Self::Some {
            whole: whole.iter().map(|origin| origin.as_bytes().into()).collect(),
            below: below
                .iter()
                .filter_map(|origin| origin.split_once('*'))
                .map(|(before, behind)| (before.as_bytes().into(), behind.as_bytes().into()))
                .collect(),
        }
    }

    pub(super) fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether an origin is one of them.
    pub(super) fn has(&self, origin: &[u8]) -> bool {
        let Self::Some { whole, below } = self else { return true };
        let is_below = |(before, behind): &Around| {
            let sub = strip(origin, before).and_then(|rest| strip_end(rest, behind));
            sub.is_some_and(|sub| {
                !sub.is_empty() && sub.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
            })
        };
        whole.iter().any(|known| known.eq_ignore_ascii_case(origin)) || below.iter().any(is_below)
    }
}

fn strip<'a>(text: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let (first, rest) = text.split_at_checked(start.len())?;
    first.eq_ignore_ascii_case(start).then_some(rest)
}

fn strip_end<'a>(text: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    let (first, rest) = text.split_at_checked(text.len().checked_sub(end.len())?)?;
    rest.eq_ignore_ascii_case(end).then_some(first)
}
