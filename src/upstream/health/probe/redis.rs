//! Redis and what speaks like it: PING, and PONG.
//!
//! Source: the Redis documentation, "Redis serialization protocol specification". A server that wants a password first is not taken to be well:
//! one that still reads its data, or has lost its master, says the same to who has not shown it.

use super::super::finding::{Finding, said};
use super::conversation::Conversation;
use crate::observe::reason::Outcome;
use std::io::Read;
use std::path::PathBuf;

/// The longest password, in bytes.
const LONGEST: u64 = 16 << 10;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Who asks, where the server has users.
    pub user: Option<String>,
    /// The file with the password; `None`: none is shown.
    pub password: Option<PathBuf>,
}

impl Redis {
    /// Asks, and takes its leave.
    pub(super) async fn ask(&self, mut talk: Conversation) -> Result<Finding, Finding> {
        if let Some(path) = self.password.clone() {
            let read = tokio::task::spawn_blocking(move || {
                let mut text = String::new();
                std::fs::File::open(&path)?.take(LONGEST).read_to_string(&mut text)?;
                std::io::Result::Ok(text)
            });
            let read = read.await;
            let password = read
                .unwrap_or_else(|error| Err(error.into()))
                .map_err(|error| Finding::new(Outcome::NotMade, format!("`password_file` cannot be read: {error}")))?;
            let mut words = vec!["AUTH"];
            words.extend(self.user.as_deref());
            words.push(password.trim_end_matches(['\r', '\n']));
            talk.say(&command(&words)).await?;
            expect(&talk.line().await?, b"+OK")?;
        }
        talk.say(&command(&["PING"])).await?;
        let answer = talk.line().await?;
        // An error does not end the conversation, and a farewell leaves nothing in its log either.
        talk.say(&command(&["QUIT"])).await?;
        talk.part().await;
        expect(&answer, b"+PONG")?;
        Ok(Finding::new(Outcome::Answered, "PONG"))
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

fn expect(line: &[u8], wanted: &[u8]) -> Result<(), Finding> {
    match line.split_first() {
        _ if line == wanted => Ok(()),
        Some((b'-', error)) => Err(Finding::new(Outcome::BadStatus, said(error))),
        Some((b'+' | b':' | b'$' | b'*', _)) => Err(Finding::bad(format!("the answer is `{}`", said(line)))),
        _ => Err(Finding::bad("the answer is not Redis's")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_texts() {
        assert_eq!(command(&["AUTH", "a b"]), b"*2\r\n$4\r\nAUTH\r\n$3\r\na b\r\n");
    }

    #[test]
    fn errors_are_told_in_the_servers_words() {
        assert!(expect(b"+PONG", b"+PONG").is_ok());
        let words = |line: &[u8]| expect(line, b"+PONG").unwrap_err().words;
        assert_eq!(words(b"-NOAUTH Authentication required."), "NOAUTH Authentication required.");
        assert_eq!(words(b"+OK"), "the answer is `+OK`");
        assert_eq!(words(b"HTTP/1.1 400 Bad Request"), "the answer is not Redis's");
        assert_eq!(words(b""), "the answer is not Redis's");
    }
}
