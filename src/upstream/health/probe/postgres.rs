//! PostgreSQL: whether the server takes sessions, and what it answers to a query.
//!
//! Source: the PostgreSQL manual, "Frontend/Backend Protocol", version 3.0, and "PostgreSQL Error Codes". A session that came to be is ended
//! with Terminate. Who is asked for a password just leaves: the server takes that for a client that has none and logs nothing, while it
//! would complain about a Terminate in place of a password. A server that turns away him who asks (he is unknown, comes without TLS, names no
//! database that is there) takes sessions of others: it looks at that only once it does.

use super::super::CheckSpec;
use super::super::finding::{Finding, said};
use super::super::pattern::Pattern;
use super::conversation::Conversation;
use crate::observe::reason::Outcome;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// Who asks.
    pub user: String,
    /// In which database; `None`: the one that is named like the user.
    pub database: Option<String>,
    /// What is asked once the session stands; `None`: nothing.
    pub query: Option<String>,
    /// What the first value of the first row must hold.
    pub expect: Option<Pattern>,
    /// Whether TLS is asked for first.
    pub asks_for_tls: bool,
}

/// Protocol 3.0.
const VERSION: u32 = 3 << 16;
/// SSLRequest.
const TLS: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

impl Postgres {
    /// Asks, and takes its leave.
    pub(super) async fn ask(&self, mut talk: Conversation, spec: &CheckSpec, host: &str) -> Result<Finding, Finding> {
        if self.asks_for_tls {
            talk.say(&TLS).await?;
            match talk.bytes(1).await?.as_slice() {
                b"S" => talk = talk.secure(spec, host).await?,
                // Who does not like that leaves, as the server has it.
                b"N" => {
                    talk.part().await;
                    return Err(Finding::new(Outcome::NoHandshake, "the server has no TLS"));
                }
                _ => return Err(nonsense()),
            }
        }
        talk.say(&self.startup()).await?;
        loop {
            match message(&mut talk).await? {
                (b'R', body) => match body.first_chunk().map(|code| u32::from_be_bytes(*code)) {
                    Some(0) => {}
                    Some(_) if self.query.is_some() => {
                        talk.part().await;
                        return Err(Finding::bad("a password is asked for, so that no query can be made"));
                    }
                    Some(_) => {
                        talk.part().await;
                        return Ok(Finding::new(Outcome::Answered, "a password is asked for"));
                    }
                    None => return Err(nonsense()),
                },
                (b'E', body) if self.query.is_none() && turns_away(&body) => {
                    let words = refusal(&body).words;
                    talk.part().await;
                    return Ok(Finding::new(Outcome::Answered, words));
                }
                (b'E', body) => return Err(refusal(&body)),
                (b'Z', _) => break,
                (b'S' | b'K' | b'N' | b'v', _) => {}
                _ => return Err(nonsense()),
            }
        }
        let found = match &self.query {
            None => Ok(Finding::new(Outcome::Answered, "ready for query")),
            Some(query) => self.query(&mut talk, query).await,
        };
        talk.say(&TERMINATE).await?;
        talk.part().await;
        found
    }

    fn startup(&self) -> Vec<u8> {
        let mut body = VERSION.to_be_bytes().to_vec();
        let database = self.database.as_ref().unwrap_or(&self.user);
        for word in ["user", &self.user, "database", database, "application_name", "ringway-health"] {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        body.push(0);
        [&length(body.len()), &body[..]].concat()
    }

    async fn query(&self, talk: &mut Conversation, query: &str) -> Result<Finding, Finding> {
        let text = [query.as_bytes(), &[0]].concat();
        talk.say(&[&b"Q"[..], &length(text.len()), &text].concat()).await?;
        let (mut first, mut failed) = (None, None);
        loop {
            match message(talk).await? {
                (b'D', body) if first.is_none() => first = Some(first_value(&body).ok_or_else(nonsense)?),
                (b'E', body) => failed = Some(refusal(&body)),
                (b'Z', _) => break,
                (b'D' | b'T' | b'C' | b'I' | b'N' | b'S', _) => {}
                _ => return Err(nonsense()),
            }
        }
        match failed {
            Some(failed) => Err(failed),
            None => judged(first.as_deref(), self.expect.as_ref()),
        }
    }
}

/// Whether the first value of an answer is as it should be.
pub(super) fn judged(value: Option<&[u8]>, expect: Option<&Pattern>) -> Result<Finding, Finding> {
    let shown = value.map_or_else(|| "no row".to_owned(), |value| format!("`{}`", said(value)));
    match expect {
        Some(pattern) if !pattern.is_in(value.unwrap_or_default()) || value.is_none() => {
            Err(Finding::new(Outcome::BadStatus, format!("the query gives {shown}, not `{pattern}`")))
        }
        _ => Ok(Finding::new(Outcome::Answered, format!("the query gives {shown}"))),
    }
}

/// The length of a message with a body of `length`: it counts itself.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length + 4).unwrap_or(u32::MAX).to_be_bytes()
}

async fn message(talk: &mut Conversation) -> Result<(u8, Vec<u8>), Finding> {
    let head = talk.bytes(5).await?;
    let Some(&[kind, a, b, c, d]) = head.first_chunk() else { return Err(nonsense()) };
    let length = u32::from_be_bytes([a, b, c, d]);
    let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)).ok_or_else(nonsense)?;
    Ok((kind, talk.bytes(length).await?))
}

/// An ErrorResponse: fields of a letter and a text each.
fn refusal(body: &[u8]) -> Finding {
    let [code, text] = [b'C', b'M'].map(|kind| said(field(body, kind)));
    Finding::new(Outcome::BadStatus, format!("{code} {text}").trim().to_owned())
}

/// Whether it concerns who asks, and not the server: invalid authorization (class 28), no such database (3D), no right to it (42).
fn turns_away(body: &[u8]) -> bool {
    matches!(field(body, b'C').get(..2), Some(b"28" | b"3D" | b"42"))
}

fn field(body: &[u8], kind: u8) -> &[u8] {
    let field = body.split(|&byte| byte == 0).find(|field| field.first() == Some(&kind));
    field.map(|field| &field[1..]).unwrap_or_default()
}

/// The first column of a DataRow; NULL and no column are nothing.
fn first_value(body: &[u8]) -> Option<Vec<u8>> {
    let (columns, rest) = body.split_first_chunk()?;
    if u16::from_be_bytes(*columns) == 0 {
        return Some(Vec::new());
    }
    let (length, rest) = rest.split_first_chunk()?;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) => rest.get(..length).map(<[u8]>::to_vec),
        Err(_) => Some(Vec::new()),
    }
}

fn nonsense() -> Finding {
    Finding::bad("the answer is not PostgreSQL's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_startup_names_user_and_database() {
        let ask = Postgres { user: "u".into(), database: None, query: None, expect: None, asks_for_tls: false };
        let bytes = ask.startup();
        assert_eq!(bytes[..8], [0, 0, 0, bytes.len() as u8, 0, 3, 0, 0]);
        assert_eq!(&bytes[8..], b"user\0u\0database\0u\0application_name\0ringway-health\0\0");
    }

    #[test]
    fn refusals_and_rows_are_read_and_what_is_cut_short_is_nothing() {
        let refused = refusal(b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0");
        assert_eq!(refused.words, "57P03 the database system is starting up");
        assert_eq!(refusal(b"").words, "");
        assert!(turns_away(b"SFATAL\0C28000\0Mno pg_hba.conf entry\0\0") && turns_away(b"C3D000\0\0"));
        assert!(
            !turns_away(b"C57P03\0\0") && !turns_away(b"C53300\0\0") && !turns_away(b"C\0M28\0\0") && !turns_away(b"")
        );
        assert_eq!(first_value(b"\0\x02\0\0\0\x01tignored"), Some(b"t".to_vec()));
        assert_eq!(first_value(b"\0\x01\xff\xff\xff\xff"), Some(Vec::new()));
        assert_eq!(first_value(b"\0\x01\0\0\0\x09t"), None);
        assert_eq!(first_value(b"\0"), None);
    }
}
