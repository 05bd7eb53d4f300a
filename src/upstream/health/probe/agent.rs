//! An agent's line: HAProxy's agent-check. The words are read by [`Reply`].

use super::super::finding::{Finding, said};
use super::conversation::Conversation;
use crate::observe::reason::Outcome;
use crate::upstream::agent::Reply;

/// The longest line, in bytes.
const LONGEST: usize = 4096;

/// Says `send`, if that is something, and hears one line.
pub(super) async fn ask(send: &[u8], mut talk: Conversation) -> Result<Finding, Finding> {
    if !send.is_empty() {
        talk.say(send).await?;
    }
    let line = loop {
        if let Some(end) = talk.heard.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            talk.heard.truncate(end);
            break std::mem::take(&mut talk.heard);
        }
        if talk.heard.len() > LONGEST {
            return Err(Finding::bad("the line is too long"));
        }
        // The end of the connection ends the line as well.
        if talk.ended {
            break std::mem::take(&mut talk.heard);
        }
        talk.listen().await?;
    };
    talk.part().await;
    if line.is_empty() {
        return Err(Finding::bad("closed without an answer"));
    }
    let words = said(&line);
    match Reply::parse(&String::from_utf8_lossy(&line)) {
        Ok(reply) => Ok(Finding { reply: Some(Box::new(reply)), ..Finding::new(Outcome::Answered, words) }),
        Err(wrong) => Err(Finding::bad(format!("{wrong}: `{words}`"))),
    }
}
