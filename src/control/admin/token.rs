//! The token that operators show over TCP: read from a file, and read again when that changes.
//!
//! What always holds: it is compared in constant time, and neither logged nor shown; a file that cannot be used replaces nothing.

use crate::net;
use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;
use tokio::time::timeout;

/// A token in a file.
pub(super) struct Token {
    file: PathBuf,
    secret: ArcSwap<Secret>,
    opened: Instant,
    /// Wrong tokens that were shown since the log has told of them.
    wrong: AtomicU64,
    /// The second after `opened` from which on the log tells of them again.
    tell: AtomicU64,
}

struct Secret {
    bytes: Vec<u8>,
    /// What the file looked like.
    stamp: Stamp,
}

type Stamp = (Option<SystemTime>, u64);

/// The fewest bytes: who guesses must not be right before the sun goes out.
const SHORTEST: usize = 16;
/// More is no token.
const LONGEST: u64 = 4096;
/// Between two looks at the file.
const EVERY: Duration = Duration::from_secs(2);
/// Seconds between two lines in the log about wrong tokens.
const TELL: u64 = 60;

impl Token {
    /// Reads it. Fails with a message for the user.
    pub(super) fn open(file: &Path) -> Result<Self, String> {
        let secret = read(file).map_err(|why| format!("admin.token_file cannot be used: {why}"))?;
        let secret = ArcSwap::from_pointee(secret);
        let (wrong, tell) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { file: file.to_owned(), secret, opened: Instant::now(), wrong, tell })
    }

    /// Whether this is the token.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        verify_slices_are_equal(&self.secret.load().bytes, shown).is_ok()
    }

    /// A wrong one was shown: the log tells of it, not more often than once a minute.
    pub(super) fn guessed(&self, peer: &str) {
        self.wrong.fetch_add(1, Relaxed);
        let (now, tell) = (self.opened.elapsed().as_secs(), self.tell.load(Relaxed));
        if now >= tell && self.tell.compare_exchange(tell, now + TELL, Relaxed, Relaxed).is_ok() {
            tracing::warn!(peer, tokens = self.wrong.swap(0, Relaxed), "a wrong admin token was shown");
        }
    }

    /// What only those can make of `text` who know the token.
    pub(super) fn seal(&self, text: &[u8]) -> hmac::Tag {
        hmac::sign(&self.key(), text)
    }

    /// Whether `seal` was made of `text` by who knows the token as it is now.
    pub(super) fn is_sealed(&self, text: &[u8], seal: &[u8]) -> bool {
        hmac::verify(&self.key(), text, seal).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.secret.load().bytes)
    }

    /// Reads the file again whenever it changes.
    pub(super) async fn watch(self: Arc<Self>, look: Arc<Notify>) {
        let mut told: Option<Stamp> = None;
        loop {
            // Either way it is time for a look.
            let _ = timeout(EVERY, look.notified()).await;
            let token = self.clone();
            let look = tokio::task::spawn_blocking(move || {
                let stamp = stamp(&token.file);
                (stamp != token.secret.load().stamp).then(|| (stamp, read(&token.file)))
            });
            match look.await {
                Ok(Some((_, Ok(secret)))) => {
                    told = None;
                    self.secret.store(Arc::new(secret));
                    tracing::info!("admin.token_file has changed: its new token counts from now on");
                }
                Ok(Some((stamp, Err(why)))) if told != Some(stamp) => {
                    told = Some(stamp);
                    tracing::error!("the admin token from before stays: admin.token_file cannot be used: {why}");
                }
                _ => {}
            }
        }
    }
}

fn stamp(file: &Path) -> Stamp {
    std::fs::metadata(file).map_or((None, 0), |about| (about.modified().ok(), about.len()))
}

fn read(file: &Path) -> Result<Secret, String> {
    let stamp = stamp(file);
    let named = |what: String| format!("`{}` {what}", file.display());
    let about = std::fs::metadata(file).map_err(|error| named(format!("cannot be read: {}", net::reason(&error))))?;
    if about.len() > LONGEST {
        return Err(named(format!("has more than {LONGEST} bytes")));
    }
    let text = std::fs::read(file).map_err(|error| named(format!("cannot be read: {}", net::reason(&error))))?;
    let bytes = text.trim_ascii().to_vec();
    if bytes.len() < SHORTEST {
        return Err(named(format!(
            "holds a token of less than {SHORTEST} bytes; `openssl rand -hex 32` makes a good one"
        )));
    }
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(named("holds more than one word of ASCII".to_owned()));
    }
    // Its group may read it: root's file is the service's to read by that alone, and not to write.
    if about.permissions().mode() & 0o027 != 0 {
        tracing::warn!(file = %file.display(), "others may read the admin token: run `chmod 600` on its file, or 640");
    }
    Ok(Secret { bytes, stamp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_enough_and_one_word() {
        let file = std::env::temp_dir().join(format!("ringway-token-{}", std::process::id()));
        let open = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Token::open(&file)
        };
        let token = open("0123456789abcdef\n").ok().unwrap();
        assert!(token.is(b"0123456789abcdef"));
        for other in [&b""[..], b"0123456789abcdeg", b"0123456789abcde", b"0123456789abcdef0"] {
            assert!(!token.is(other));
        }
        for bad in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdéf"] {
            let told = open(bad).err().unwrap();
            assert!(told.contains("admin.token_file") && !told.contains("0123"), "{told}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(Token::open(&file).is_err());
    }
}
