//! What a cache did for a request.

words! {
    /// What a cache did for a request of a route that has one, and why.
    Cached {
        /// A fresh answer came from the store.
        Hit = "hit",
        /// A stale one did, and is validated beside.
        StaleRevalidating = "while-revalidate",
        /// A stale one did, as the origin failed.
        StaleOnError = "if-error",
        /// A stale one did, as the client takes one.
        StaleAllowed = "max-stale",
        /// The origin said that what is stored is as it was.
        Revalidated = "revalidated",
        /// The request shared the answer to another's question.
        Collapsed = "collapsed",
        /// Nothing is stored for its URI.
        UriMiss = "uri-miss",
        /// Something is, but nothing that fits its headers.
        VaryMiss = "vary-miss",
        /// What is stored is stale.
        Expired = "stale",
        /// What is stored is fresh, but not what it asks for.
        Request = "request",
        /// Some of what it asks for is stored.
        Partial = "partial",
        /// Its method allows for no stored answer.
        Method = "method",
        /// Only the origin can answer it.
        Bypass = "request",
    }
}

impl Cached {
    /// What became of it in one word: that of the access log.
    pub const fn result(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::StaleRevalidating | Self::StaleOnError | Self::StaleAllowed => "stale",
            Self::Revalidated => "revalidated",
            Self::Collapsed => "collapsed",
            Self::UriMiss | Self::VaryMiss | Self::Expired | Self::Request | Self::Partial => "miss",
            Self::Method | Self::Bypass => "bypass",
        }
    }

    /// Why, where there is more than one reason for that.
    pub fn reason(self) -> Option<&'static str> {
        (self.word() != self.result()).then(|| self.word())
    }

    /// Whether the answer's content came from the store.
    pub const fn is_stored(self) -> bool {
        matches!(
            self,
            Self::Hit | Self::StaleRevalidating | Self::StaleOnError | Self::StaleAllowed | Self::Revalidated
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_has_a_result_and_a_reason_of_its_own() {
        let shown: BTreeSet<_> = Cached::ALL.iter().map(|how| (how.result(), how.reason())).collect();
        assert_eq!(shown.len(), Cached::COUNT);
        assert_eq!((Cached::Hit.reason(), Cached::Expired.reason()), (None, Some("stale")));
    }
}
