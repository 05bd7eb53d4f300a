//! The closed vocabularies of metrics and logs: why a request was refused, how a target failed it, classes of status.
//!
//! Label values come only from here and from the configuration, so the number of series has a bound that no client
//! can move.

/// A fieldless enum with a fixed word per value, usable as an index and as a label.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All values, in the order of their index.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many values there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The word that labels and log lines show.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The place of this value in an array of [`Self::COUNT`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

mod cached;
mod gathered;
mod passwords;
mod termination;

pub use cached::Cached;
pub use gathered::Gathered;
pub use passwords::PasswordCheck;
pub use termination::{Cause, CookieAsked, CookieSet, Cookies, Phase, Termination};

words! {
    /// Why Ringway itself refused a request or a connection. `Other` is the rest, so that the set stays closed.
    Reason {
        /// The head breaks RFC 9112 (400).
        BadRequest = "bad-request",
        /// The path could be read by a target in another way than by the router (400).
        AmbiguousPath = "ambiguous-path",
        /// Host is missing, repeated or malformed (400).
        BadHost = "bad-host",
        /// The host goes by another TLS policy than the name that the handshake asked for (421).
        Misdirected = "misdirected",
        /// Content-Length and Transfer-Encoding do not frame the body without doubt (400, 501).
        BadFraming = "bad-framing",
        /// The head is larger than `limits.request_head` (431, or 414 where the target alone is).
        HeadTooLarge = "head-too-large",
        /// More header lines than `limits.headers` (431).
        TooManyHeaders = "too-many-headers",
        /// The body is larger than `limits.request_body` (413).
        BodyTooLarge = "body-too-large",
        /// A body that a rule is to edit is no JSON that all read alike (400).
        BadBody = "bad-body",
        /// A request is not as its API is described (400, 404, 405).
        OpenApi = "openapi",
        /// A request cannot be translated: nothing is bound to its path, or it says what its description does not have (400, 404, 405, 415,
        /// 501).
        Translation = "translation",
        /// A body is of another type, or in another coding, than a rule takes (415).
        MediaType = "media-type",
        /// Not HTTP/1.0 or 1.1 (505).
        Version = "version",
        /// A method that is not passed on, such as CONNECT (501), or that files do not know (405).
        Method = "method",
        /// An Upgrade token that the listener does not allow, or a malformed handshake.
        Upgrade = "upgrade",
        /// An expectation other than 100-continue (417).
        Expectation = "expectation",
        /// No route takes the request and the listener has no pool (404).
        NoRoute = "no-route",
        /// The client wants what is stored alone, and there is nothing (504).
        OnlyIfCached = "only-if-cached",
        /// A rule does not know who asks (401).
        Unauthenticated = "unauthenticated",
        /// A browser asks for a page of another site, which may not have or do that (403).
        Origin = "origin",
        /// Content is not that of its digest (400), or more than is taken to see that (413).
        ContentDigest = "content-digest",
        /// A rule does not let in what the client says that it is (403).
        UserAgent = "user-agent",
        /// A rule knows who asks, and they may not (403).
        Forbidden = "forbidden",
        /// A rule needs to know what nobody has told it (503; 500 where it asks without end).
        Unanswered = "unanswered",
        /// More passwords came than can be computed (503).
        Passwords = "passwords",
        /// A rule lets in no more requests for now (429).
        RateLimit = "rate-limit",
        /// A rule lets in no more requests at once (429).
        Concurrency = "concurrency",
        /// An Idempotency-Key is missing, bad, or stands for a request that is not carried out now (400, 409, 413, 422, 503).
        Idempotency = "idempotency",
        /// The route is in maintenance (503, or as configured).
        Maintenance = "maintenance",
        /// The route has come to its end (410, or as configured).
        Sunset = "sunset",
        /// The route is switched off for a while before its end (503, or as configured).
        BrownOut = "brown-out",
        /// There is no such file (404).
        NoFile = "no-file",
        /// A file could not be read (403, 500, 503), or was cut short while it was sent.
        File = "file",
        /// What was buffered of a body on the disk could not be read again (500, or the answer was cut), or a body that has to be held
        /// has no room (503).
        Buffer = "buffer",
        /// The head did not arrive within `request_head` (408).
        HeadTimeout = "head-timeout",
        /// The client owed body bytes for longer than `client_body` (408).
        BodyTimeout = "body-timeout",
        /// The client took no byte for longer than `write_stall`.
        WriteStall = "write-stall",
        /// No whole PROXY header or TLS handshake within `handshake`.
        HandshakeTimeout = "handshake-timeout",
        /// An HTTP/2 client sent more frames of a kind than any has use for (GOAWAY, ENHANCE_YOUR_CALM).
        Flood = "flood",
        /// A TLS handshake that could not be agreed on, or was broken off.
        Handshake = "handshake",
        /// No PROXY header where one is required, or one that is malformed.
        ProxyHeader = "proxy-header",
        /// A PROXY header is required, and none from this address counts.
        ProxyAddress = "proxy-address",
        /// HTTP in clear on a listener with TLS (400).
        PlainHttp = "plain-http",
        /// No certificate holds the name that the client asked for, and the listener is strict.
        UnknownName = "unknown-name",
        /// The client has no certificate, or not a good one, where one is asked for.
        ClientCertificate = "client-certificate",
        /// An operator has banned the client (403, or no connection at all).
        Banned = "banned",
        /// The client's address is denied, or not allowed, on the listener, or by a rule (403).
        Denied = "denied",
        /// The client has open as many connections as it may have.
        ClientConnections = "client-connections",
        /// The client makes more connections than it may.
        ConnectionRate = "connection-rate",
        /// The connection limit was reached.
        ConnectionLimit = "connection-limit",
        /// The process is stopping.
        Draining = "draining",
        /// Our own fault (500).
        Internal = "internal",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// Why a datagram went no further.
    Lost {
        /// The pool had no target to choose: all are down.
        NoTarget = "no-target",
        /// No socket to the target was to be had: those that there may be are taken, or the host has no port or descriptor left.
        NoSocket = "no-socket",
        /// The kernel did not take it for the target.
        Target = "target",
        /// The target's host said that nobody receives it (ICMP port unreachable).
        Refused = "refused",
        /// The kernel did not take an answer for the client.
        Client = "client",
        /// An answer that came after the end of its session, or to a datagram that has none.
        Late = "late",
        /// It came while nobody received, and the kernel had no room for it.
        Overflow = "overflow",
        /// It came while the process or the listener was ending.
        Draining = "draining",
    }
}

words! {
    /// What became of a span.
    Delivered {
        /// The collector has it.
        Sent = "sent",
        /// The collector does not want it.
        Rejected = "rejected",
        /// The collector could not be reached, or failed, for too long.
        Failed = "failed",
        /// There was no room for it while it waited.
        Dropped = "dropped",
    }
}

words! {
    /// How an exchange with a target went wrong.
    Failure {
        /// The connection was refused or the target could not be reached.
        Connect = "connect",
        /// No connection within `timeouts.connect`.
        ConnectTimeout = "connect-timeout",
        /// A TLS handshake with the target that could not be agreed on, or was broken off.
        Handshake = "tls-handshake",
        /// The target's certificate is not one for the name that was asked for, by an authority that counts.
        Certificate = "tls-certificate",
        /// The target closed or reset the connection before its response was complete.
        Reset = "reset",
        /// No response head within `timeouts.response_head`.
        ResponseTimeout = "response-timeout",
        /// Silence in mid-response for longer than `timeouts.response_idle`.
        IdleTimeout = "idle-timeout",
        /// The target took no byte for longer than `write_stall`.
        WriteStall = "write-stall",
        /// A tunnel was silent for longer than `timeouts.tunnel`.
        TunnelTimeout = "tunnel-timeout",
        /// The target's answer breaks RFC 9112 or the WebSocket handshake.
        BadResponse = "bad-response",
        /// The body of the target's answer could not be edited: it is no JSON that all read alike, a part of one, or in a coding that is
        /// not known.
        BadBody = "bad-body",
        /// The target's answer could not be translated: it is no answer of gRPC, a message is too large or cannot be shown, or it is no JSON
        /// that is as described.
        Translation = "translation",
        /// A call of gRPC ended with an error behind messages that the client has got: its connection is cut.
        Call = "call",
        /// The target said that it had not looked at the request (GOAWAY, REFUSED_STREAM), and it could not be sent again.
        Unprocessed = "unprocessed",
        /// An answer with a status that was tried again.
        Status = "status",
        /// The client left before the response was complete.
        ClientAbort = "client-abort",
        /// The connection was ended as its target is down.
        Down = "target-down",
        /// An operator has ended the connection.
        Operator = "closed-by-operator",
        /// A session of datagrams ended for others' sake: there were too many, or too few sockets.
        Evicted = "evicted",
        /// The pool had no target to choose: all are down.
        NoTarget = "no-target",
        /// All targets had in hand what they may, and as many waited as may.
        QueueFull = "queue-full",
        /// No target had room within `timeouts.queue`.
        QueueTimeout = "queue-timeout",
        /// The one target that the client may be sent to could not be used.
        StickyTarget = "sticky-target",
        /// Our own fault.
        Internal = "internal",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// Where a client stands to the targets of a pool that is sticky.
    Sticking {
        /// It said nothing of where it belongs.
        New = "new",
        /// It went where it belongs.
        Kept = "kept",
        /// It belongs to a target that could not be used, and went to another one.
        Moved = "moved",
        /// It belongs to a target that could not be used, and was refused.
        Refused = "refused",
        /// What it said means no target.
        Unknown = "unknown",
        /// What it said has not been set for longer than `max_idle`.
        Idle = "idle",
        /// What it said was set longer ago than `max_life`.
        Old = "old",
    }
}

words! {
    /// Why a request was sent once more.
    Retried {
        /// No connection could be made.
        Connect = "connect",
        /// A connection that had carried a request before ended: the same target was asked on a fresh one.
        Stale = "stale",
        /// The target had not looked at it, and said so: it was asked on another connection.
        Unprocessed = "unprocessed",
        /// The connection ended before a byte of the answer.
        Reset = "reset",
        /// No head of an answer came in time.
        Timeout = "timeout",
        /// The answer could not be read.
        BadResponse = "bad-response",
        /// The answer had a status that the route tries again.
        Status = "status",
        /// No head of an answer had come yet: a second target was asked as well.
        Hedge = "hedge",
    }
}

words! {
    /// Why an answer of a route that compresses was left as it is.
    Uncompressed {
        /// The client accepts no coding that is offered.
        NotAccepted = "not-accepted",
        /// Its type is none of those.
        Type = "type",
        /// It is shorter than `min_size`.
        Size = "size",
        /// It would have become no smaller.
        Gain = "gain",
        /// It has a coding already.
        Encoded = "encoded",
        /// It is part of a whole.
        Range = "range",
        /// `Cache-Control: no-transform` forbids it.
        NoTransform = "no-transform",
        /// Its length could tell what is in it.
        Breach = "breach",
        /// Too much memory is held already.
        Memory = "memory",
        /// There is no time for it.
        Load = "load",
    }
}

words! {
    /// Why a target is ejected.
    Ejected {
        /// Errors in a row.
        Errors = "errors",
        /// Its share of errors.
        Rate = "rate",
        /// Its latency beside that of the others.
        Latency = "latency",
        /// The request that tried it after its time has failed.
        Trial = "trial",
    }
}

words! {
    /// How a TLS session came about: its version, and whether it went on from an earlier one.
    Handshake {
        /// TLS 1.2 in full.
        Full12 = "tls1.2",
        /// TLS 1.2 by a ticket.
        Resumed12 = "tls1.2-resumed",
        /// TLS 1.3 in full.
        Full13 = "tls1.3",
        /// TLS 1.3 by a ticket.
        Resumed13 = "tls1.3-resumed",
    }
}

words! {
    /// What an HTTP/2 client sent more of than any has use for.
    Flood {
        /// DATA without content that ends nothing (CVE-2019-9518).
        EmptyData = "empty-data",
        /// PRIORITY.
        Priority = "priority",
        /// RST_STREAM: rapid reset (CVE-2023-44487).
        Reset = "reset",
        /// SETTINGS (CVE-2019-9515).
        Settings = "settings",
        /// PING (CVE-2019-9512).
        Ping = "ping",
        /// WINDOW_UPDATE.
        WindowUpdate = "window-update",
        /// CONTINUATION: a head without end (CVE-2024-27316).
        Continuation = "continuation",
        /// Frames of types that nobody knows.
        Unknown = "unknown",
        /// Frames for which their streams had to be reset (CVE-2025-8671).
        Provoked = "provoked-reset",
    }
}

words! {
    /// The class of an HTTP status (RFC 9110 §15).
    Class {
        /// 100–199; 101 is the one that ends an exchange.
        Informational = "1xx",
        /// 200–299.
        Success = "2xx",
        /// 300–399.
        Redirection = "3xx",
        /// 400–499.
        ClientError = "4xx",
        /// 500–599.
        ServerError = "5xx",
        /// No status was sent: the client left, or the connection was cut without an answer.
        None = "none",
    }
}

impl Class {
    /// The class of `status`; [`Class::None`] for anything outside 100–599.
    pub const fn of(status: u16) -> Self {
        match status / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            5 => Self::ServerError,
            _ => Self::None,
        }
    }
}

words! {
    /// What came of a health check, in the words that HAProxy has for it: how far up the layers it came, and how it ended there.
    Outcome {
        /// A connection stands, and that was all that was wanted.
        Connected = "L4OK",
        /// There was no connection in time.
        ConnectTimeout = "L4TOUT",
        /// There was no connection.
        NoConnection = "L4CON",
        /// The TLS handshake is done, and that was all that was wanted.
        Shaken = "L6OK",
        /// The handshake did not end in time.
        HandshakeTimeout = "L6TOUT",
        /// The handshake failed, or the certificate is not verified.
        NoHandshake = "L6RSP",
        /// The answer is a good one.
        Answered = "L7OK",
        /// There was no whole answer in time.
        AnswerTimeout = "L7TOUT",
        /// The answer cannot be understood, or does not hold what it should.
        BadAnswer = "L7RSP",
        /// The answer says that all is not well.
        BadStatus = "L7STS",
        /// The program ended with success.
        ProgramOk = "PROCOK",
        /// The program failed, or could not be run.
        ProgramFailed = "PROCERR",
        /// The program did not end in time.
        ProgramTimeout = "PROCTOUT",
        /// The check could not be made, for a reason of our own.
        NotMade = "SOCKERR",
    }
}

impl Outcome {
    /// Whether a check that ends so has passed.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Connected | Self::Shaken | Self::Answered | Self::ProgramOk)
    }

    /// Whether it took all the time there was.
    pub const fn is_timeout(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::HandshakeTimeout | Self::AnswerTimeout | Self::ProgramTimeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_indexes_match_their_place() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert_eq!(Reason::ALL.iter().filter(|r| r.word() == reason.word()).count(), 1);
        }
        assert_eq!(Reason::Other.index(), Reason::COUNT - 1);
    }

    #[test]
    fn a_status_outside_http_has_no_class() {
        assert_eq!(Class::of(101), Class::Informational);
        assert_eq!(Class::of(599), Class::ServerError);
        for status in [0, 99, 600, 999] {
            assert_eq!(Class::of(status), Class::None);
        }
    }
}
