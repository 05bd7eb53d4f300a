//! How an exchange or a connection ended, in the letters that HAProxy has for it.

/// What ended an exchange or a connection: the first two letters of HAProxy's termination state ("Session state at
/// disconnection" in its manual). [`Cookies`] are the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termination {
    /// Who or what ended it.
    pub cause: Cause,
    /// How far it had come; [`Phase::Done`] for a normal end.
    pub phase: Phase,
}

/// The first letter of a [`Termination`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// Normal end.
    Done = b'-',
    /// The client aborted.
    Client = b'C',
    /// The target aborted or refused.
    Target = b'S',
    /// We refused or cut it: a limit, a malformed message.
    Proxy = b'P',
    /// Answered here: redirect, respond, no route.
    Local = b'L',
    /// We ran out of something: memory, descriptors, ports.
    Resource = b'R',
    /// Our own fault.
    Internal = b'I',
    /// Ended because its target went down.
    Down = b'D',
    /// Ended by the operator.
    Killed = b'K',
    /// A timeout while waiting for the client.
    ClientTimeout = b'c',
    /// A timeout while waiting for the target.
    TargetTimeout = b's',
}

/// The second letter of a [`Termination`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing was left to do.
    Done = b'-',
    /// Waiting for a complete request head.
    Request = b'R',
    /// Waiting in a queue.
    Queue = b'Q',
    /// Connecting to a target.
    Connect = b'C',
    /// Waiting for the response head.
    Headers = b'H',
    /// Moving data.
    Data = b'D',
    /// The target was done, the last bytes were on their way to the client.
    Last = b'L',
}

impl Termination {
    /// A normal end.
    pub const DONE: Self = Self { cause: Cause::Done, phase: Phase::Done };

    /// The four letters of an HTTP record; a TCP record shows the first two.
    pub const fn letters(self, cookies: Cookies) -> [u8; 4] {
        [self.cause as u8, self.phase as u8, cookies.asked as u8, cookies.set as u8]
    }
}

/// What the cookie of a sticky pool had to do with an exchange: the last two letters of HAProxy's termination state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    /// What the client said.
    pub asked: CookieAsked,
    /// What the answer said.
    pub set: CookieSet,
}

/// The first letter of [`Cookies`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CookieAsked {
    /// There is none in that pool.
    #[default]
    NotThere = b'-',
    /// It had none.
    None = b'N',
    /// It named no target.
    Invalid = b'I',
    /// It named a target that could not be used.
    Down = b'D',
    /// It named the target that was asked.
    Valid = b'V',
    /// It had not been set for too long.
    Expired = b'E',
    /// It was first set too long ago.
    Old = b'O',
}

/// The second letter of [`Cookies`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CookieSet {
    /// There is none in that pool, or no target has answered.
    #[default]
    NotThere = b'-',
    /// Nothing was set.
    None = b'N',
    /// We set one.
    Inserted = b'I',
    /// We set it anew, as its date was old.
    Updated = b'U',
    /// The target set it, and it went on as it was.
    Preserved = b'P',
    /// The target set it, and we changed its value.
    Rewritten = b'R',
    /// The target set one of that name, which we took out.
    Deleted = b'D',
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_haproxys() {
        assert_eq!(&Termination::DONE.letters(Cookies::default()), b"----");
        let aborted = Termination { cause: Cause::Client, phase: Phase::Data };
        let cookies = Cookies { asked: CookieAsked::Valid, set: CookieSet::None };
        assert_eq!(&aborted.letters(cookies), b"CDVN");
    }
}
