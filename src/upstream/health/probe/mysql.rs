//! MySQL and MariaDB: whether the server takes a session, and what it answers.
//!
//! Source: the MySQL manual, "Client/Server Protocol" and "Error Message Reference". A server counts a greeting that is not answered as an
//! error of the host that left it, and lets that host in no more after `max_connect_errors` of them. So a check answers always, be it as a user
//! whom nobody knows, and goes on until it is let in or refused: a login that is refused counts against nobody.

use super::super::CheckSpec;
use super::super::finding::{Finding, said};
use super::super::pattern::Pattern;
use super::conversation::Conversation;
use super::postgres::judged;
use crate::observe::reason::Outcome;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mysql {
    /// Who asks, without a password; `None`: nobody whom the server must know.
    pub user: Option<String>,
    /// What is asked once the session stands; `None`: a ping.
    pub query: Option<String>,
    /// What the first value of the first row must hold.
    pub expect: Option<Pattern>,
    /// Whether TLS is asked for first.
    pub asks_for_tls: bool,
}

/// Who asks where nobody is named.
const STRANGER: &str = "ringway-health";
/// Refusals that are about the server, and not about who asks: too many connections, out of resources, shutdown, no threads. Any other is
/// an answer to a stranger.
const UNWELL: [u32; 6] = [1037, 1038, 1040, 1041, 1053, 1135];
const PING: u8 = 0x0e;
const QUERY: u8 = 0x03;
const QUIT: u8 = 0x01;

/// What a client can do (capability flags).
mod can {
    pub(super) const LONG_PASSWORD: u32 = 1;
    pub(super) const PROTOCOL_41: u32 = 0x200;
    pub(super) const TLS: u32 = 0x800;
    pub(super) const SECURE_CONNECTION: u32 = 0x8000;
    pub(super) const PLUGIN_AUTH: u32 = 0x8_0000;
}

impl Mysql {
    /// Asks, and takes its leave.
    pub(super) async fn ask(&self, mut talk: Conversation, spec: &CheckSpec, host: &str) -> Result<Finding, Finding> {
        let (mut sequence, greeting) = packet(&mut talk).await?;
        if greeting.first() == Some(&0xff) {
            return Err(refusal(&greeting));
        }
        let version = version(&greeting).ok_or_else(nonsense)?;
        let secure = self.asks_for_tls && capabilities(&greeting) & can::TLS != 0;
        if secure {
            sequence = sequence.wrapping_add(1);
            talk.say(&framed(sequence, &opening(true))).await?;
            talk = talk.secure(spec, host).await?;
        }
        talk.say(&framed(sequence.wrapping_add(1), &self.login(secure))).await?;
        let found = match enter(&mut talk).await {
            Ok(()) => {
                let found = self.work(&mut talk, version).await;
                talk.say(&framed(0, &[QUIT])).await?;
                found
            }
            Err(refused) if self.user.is_none() && turns_away(&refused) => Ok(Finding::new(Outcome::Answered, version)),
            Err(failed) => Err(failed),
        };
        talk.part().await;
        match self.asks_for_tls && !secure {
            true => Err(Finding::new(Outcome::NoHandshake, "the server has no TLS")),
            false => found,
        }
    }

    /// What is asked in a session.
    async fn work(&self, talk: &mut Conversation, version: String) -> Result<Finding, Finding> {
        match &self.query {
            None => ping(talk).await.map(|()| Finding::new(Outcome::Answered, version)),
            Some(query) => query_one(talk, query).await.and_then(|v| judged(v.as_deref(), self.expect.as_ref())),
        }
    }

    /// The answer to a greeting, without a password.
    fn login(&self, secure: bool) -> Vec<u8> {
        let mut body = opening(secure);
        body.extend_from_slice(self.user.as_deref().unwrap_or(STRANGER).as_bytes());
        body.extend_from_slice(b"\0\0mysql_native_password\0");
        body
    }
}

/// How every answer to a greeting begins, and all of one that asks for TLS (SSLRequest).
fn opening(secure: bool) -> Vec<u8> {
    let able = can::LONG_PASSWORD | can::PROTOCOL_41 | can::SECURE_CONNECTION | can::PLUGIN_AUTH;
    let able = if secure { able | can::TLS } else { able };
    let mut body = able.to_le_bytes().to_vec();
    // The longest packet, utf8, and what is reserved.
    body.extend_from_slice(&(1u32 << 24).to_le_bytes());
    body.push(33);
    body.extend_from_slice(&[0; 23]);
    body
}

/// Whether a refusal is about who asks.
fn turns_away(refused: &Finding) -> bool {
    refused.code.is_some_and(|code| !UNWELL.contains(&code))
}

/// Goes along with what the server asks for, without a password, until it lets us in or refuses.
async fn enter(talk: &mut Conversation) -> Result<(), Finding> {
    // A server has no reason to change its mind more often.
    for _ in 0..4 {
        let (sequence, answer) = packet(talk).await?;
        let nothing: &[u8] = match answer.split_first() {
            Some((0x00, _)) => return Ok(()),
            Some((0xff, _)) => return Err(refusal(&answer)),
            Some((0xfe, rest)) => match rest.split(|&byte| byte == 0).next().unwrap_or_default() {
                b"caching_sha2_password" | b"sha256_password" | b"mysql_clear_password" => &[0],
                _ => &[],
            },
            // What a cache holds of the password was enough.
            Some((0x01, [0x03])) => continue,
            Some((0x01, _)) => &[0],
            _ => return Err(nonsense()),
        };
        talk.say(&framed(sequence.wrapping_add(1), nothing)).await?;
    }
    Err(nonsense())
}

async fn ping(talk: &mut Conversation) -> Result<(), Finding> {
    talk.say(&framed(0, &[PING])).await?;
    let (_, answer) = packet(talk).await?;
    match answer.first() {
        Some(0x00) => Ok(()),
        Some(0xff) => Err(refusal(&answer)),
        _ => Err(nonsense()),
    }
}

/// The first value of the first row of the answer; `None`: no row.
async fn query_one(talk: &mut Conversation, query: &str) -> Result<Option<Vec<u8>>, Finding> {
    talk.say(&framed(0, &[&[QUERY], query.as_bytes()].concat())).await?;
    let (_, head) = packet(talk).await?;
    match head.first() {
        Some(0x00) => return Ok(None),
        Some(0xff) => return Err(refusal(&head)),
        Some(0xfb) | None => return Err(nonsense()),
        Some(_) => {}
    }
    // The columns, then the rows: each part ends with an EOF.
    let (mut ends, mut first) = (0, None);
    while ends < 2 {
        let (_, packet) = packet(talk).await?;
        match packet.first() {
            Some(0xfe) if packet.len() < 9 => ends += 1,
            Some(0xff) if ends == 1 => return Err(refusal(&packet)),
            _ if ends == 1 && first.is_none() => first = Some(first_value(&packet).ok_or_else(nonsense)?),
            _ => {}
        }
    }
    Ok(first)
}

/// The first value of a row as text; NULL is nothing.
fn first_value(row: &[u8]) -> Option<Vec<u8>> {
    let (&length, rest) = row.split_first()?;
    let (length, rest) = match length {
        0xfb => return Some(Vec::new()),
        0xfc => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        0xfd.. => return None,
        length => (usize::from(length), rest),
    };
    rest.get(..length).map(<[u8]>::to_vec)
}

/// The server's version, as the greeting tells it.
fn version(greeting: &[u8]) -> Option<String> {
    let (10, rest) = greeting.split_first()? else { return None };
    let end = memchr::memchr(0, rest)?;
    Some(said(&rest[..end]))
}

/// What the server can do, the lower half: after its version, the session's number and eight bytes of salt.
fn capabilities(greeting: &[u8]) -> u32 {
    let Some(end) = memchr::memchr(0, greeting) else { return 0 };
    let place = greeting.get(end + 1 + 4 + 8 + 1..).and_then(|rest| rest.first_chunk());
    place.map_or(0, |able| u16::from_le_bytes(*able).into())
}

async fn packet(talk: &mut Conversation) -> Result<(u8, Vec<u8>), Finding> {
    let head = talk.bytes(4).await?;
    let Some(&[a, b, c, sequence]) = head.first_chunk() else { return Err(nonsense()) };
    let length = u32::from_le_bytes([a, b, c, 0]);
    Ok((sequence, talk.bytes(usize::try_from(length).unwrap_or(usize::MAX)).await?))
}

fn framed(sequence: u8, body: &[u8]) -> Vec<u8> {
    // What is said here is far shorter than the 16 MiB that a packet may have.
    let [a, b, c, ..] = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&[a, b, c, sequence], body].concat()
}

/// An ERR packet: a number, a state where the session has come that far, a text.
fn refusal(packet: &[u8]) -> Finding {
    let Some((code, rest)) = packet.get(1..).and_then(|rest| rest.split_first_chunk()) else { return nonsense() };
    let text = match rest {
        [b'#', _, _, _, _, _, text @ ..] => text,
        text => text,
    };
    let code = u32::from(u16::from_le_bytes(*code));
    Finding::coded(Outcome::BadStatus, code, format!("{code} {}", said(text)))
}

fn nonsense() -> Finding {
    Finding::bad("the answer is not MySQL's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_their_number_and_words() {
        let refused = refusal(b"\xff\x15\x04#28000Access denied");
        assert_eq!((refused.code, &*refused.words), (Some(1045), "1045 Access denied"));
        assert_eq!(refusal(b"\xff\x69\x04Host is blocked").words, "1129 Host is blocked");
        assert_eq!(refusal(b"\xff\x69").outcome, Outcome::BadAnswer);
    }

    #[test]
    fn values_of_all_lengths_are_read() {
        assert_eq!(first_value(b"\x011"), Some(b"1".to_vec()));
        assert_eq!(first_value(b"\xfb"), Some(Vec::new()));
        assert_eq!(first_value(b"\xfc\x02\0ab"), Some(b"ab".to_vec()));
        assert_eq!(first_value(b"\x05ab"), None);
        assert_eq!(first_value(b"\xff"), None);
    }

    #[test]
    fn a_stranger_is_turned_away_by_a_server_that_is_well() {
        let refused = |code| Finding::coded(Outcome::BadStatus, code, "");
        assert!([1045, 1698, 3159].into_iter().all(|code| turns_away(&refused(code))));
        assert!(!turns_away(&refused(1040)) && !turns_away(&refused(1053)) && !turns_away(&nonsense()));
    }

    #[test]
    fn a_greeting_tells_what_the_server_can_do() {
        assert_eq!(capabilities(b"\x0a8.0\0\x01\0\0\0saltsalt\0\x00\x08rest"), can::TLS);
        assert_eq!(capabilities(b"\x0a8.0\0\x01\0\0\0saltsalt\0\x00"), 0);
        assert_eq!(capabilities(b"\x0a8.0"), 0);
    }

    #[test]
    fn a_greeting_tells_the_version() {
        assert_eq!(version(b"\x0a8.0.36\0rest"), Some("8.0.36".into()));
        assert_eq!(version(b"\x098.0.36\0"), None);
        assert_eq!(version(b"\x0a8.0.36"), None);
    }
}
