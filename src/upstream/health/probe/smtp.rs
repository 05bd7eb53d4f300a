//! SMTP: the greeting, EHLO, QUIT.
//!
//! Source: RFC 5321 §3.1, §4.1.1.1, §4.1.1.10, §4.2.1: nothing is said before the greeting, an answer is all of its lines, and nobody leaves
//! without QUIT.

use super::super::finding::{Finding, said};
use super::conversation::Conversation;
use crate::observe::reason::Outcome;

/// The lines of one reply; more is nonsense.
const LINES: usize = 100;

/// Says who we are, as the domain `domain`.
pub(super) async fn ask(domain: &str, mut talk: Conversation) -> Result<Finding, Finding> {
    let greeting = reply(&mut talk).await?;
    let mut found = judged(&greeting, 220);
    if found.is_ok() {
        talk.say(format!("EHLO {domain}\r\n").as_bytes()).await?;
        let mut answer = reply(&mut talk).await?;
        // Old servers know only the greeting without extensions.
        if matches!(answer.0, 500 | 502) {
            talk.say(format!("HELO {domain}\r\n").as_bytes()).await?;
            answer = reply(&mut talk).await?;
        }
        found = judged(&answer, 250);
    }
    // After 421 the server closes by itself, and takes it as well if it is told that we go.
    talk.say(b"QUIT\r\n").await.ok();
    talk.part().await;
    found
}

fn judged((code, words): &(u32, String), wanted: u32) -> Result<Finding, Finding> {
    let outcome = if *code == wanted { Outcome::Answered } else { Outcome::BadStatus };
    let found = Finding::coded(outcome, *code, format!("{code} {words}"));
    if *code == wanted { Ok(found) } else { Err(found) }
}

/// All lines of a reply: its code, and the words of its last line.
async fn reply(talk: &mut Conversation) -> Result<(u32, String), Finding> {
    for _ in 0..LINES {
        let line = talk.line().await?;
        let (code, last, words) = parse(&line).ok_or_else(|| Finding::bad("the answer is not SMTP's"))?;
        if last {
            return Ok((code, said(words)));
        }
    }
    Err(Finding::bad("the answer is too long"))
}

/// A line of a reply: the code, whether it is the last one, the words.
fn parse(line: &[u8]) -> Option<(u32, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u32::from(digit - b'0'));
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', words)) => Some((code, true, words)),
        Some((b'-', words)) => Some((code, false, words)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_replies_are_told_apart() {
        assert_eq!(parse(b"250-SIZE 1000"), Some((250, false, &b"SIZE 1000"[..])));
        assert_eq!(parse(b"250 HELP"), Some((250, true, &b"HELP"[..])));
        assert_eq!(parse(b"220"), Some((220, true, &b""[..])));
        for line in ["", "25", "2x0 a", "250_a", "SSH-2.0"] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
