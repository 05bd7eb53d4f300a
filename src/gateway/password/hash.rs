//! Hashes of passwords as files have them: bcrypt in the form of crypt(3), Argon2 in that of the PHC.

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use bcrypt::HashParts;

/// The most that one hash may need of memory, in KiB.
const MOST_MEMORY: u32 = 256 << 10;
/// The most that one hash may go through memory, in KiB: about two seconds.
const MOST_WORK: u64 = 2 << 20;
/// bcrypt's cost, of which each one more doubles the time: about two seconds.
const MOST_COST: u32 = 15;
/// How a hash begins that is another's, and whose.
const OTHERS: [(&str, &str); 8] = [
    ("$apr1$", "an MD5 hash (apr1), which is guessed at a billion tries a second"),
    ("$1$", "an MD5 hash, which is guessed at a billion tries a second"),
    ("{SHA}", "a SHA-1 hash without salt, which is guessed at a billion tries a second"),
    ("{SSHA}", "a SHA-1 hash, which is guessed at a billion tries a second"),
    ("$5$", "a SHA-256 hash of crypt, which is not understood"),
    ("$6$", "a SHA-512 hash of crypt, which is not understood"),
    ("$2x$", "a hash of an old bcrypt with a fault, which is not understood"),
    ("$2$", "a hash of an old bcrypt, which is not understood"),
];

/// Whether a text is a hash of a password that is taken.
///
/// # Errors
/// Why it is not, without the text.
pub fn check(text: &str) -> Result<(), String> {
    if let Some((_, what)) = OTHERS.iter().find(|(begin, _)| text.starts_with(begin)) {
        return Err(format!("it is {what}"));
    }
    if is_bcrypt(text) {
        let parts: HashParts = text.parse().map_err(|_| "its bcrypt hash is malformed")?;
        let cost = parts.get_cost();
        return match cost {
            4..=MOST_COST => Ok(()),
            _ => Err(format!("its bcrypt hash has cost {cost}: it is from 4 to {MOST_COST}")),
        };
    }
    if text.starts_with("$argon2") {
        return check_argon2(text);
    }
    Err("it is no hash of bcrypt or Argon2: a password is not written as it is, nor in crypt's old form".to_owned())
}

fn check_argon2(text: &str) -> Result<(), String> {
    let malformed = "its Argon2 hash is malformed";
    let hash = PasswordHash::new(text).map_err(|_| malformed)?;
    if Algorithm::try_from(hash.algorithm.as_str()).is_err() || hash.salt.is_none() || hash.hash.is_none() {
        return Err(malformed.to_owned());
    }
    if hash.version.is_some_and(|version| Version::try_from(version).is_err()) {
        return Err("its Argon2 hash is of a version that is not known".to_owned());
    }
    let params = Params::try_from(&hash).map_err(|_| malformed)?;
    if !params.keyid().is_empty() || !params.data().is_empty() {
        return Err("its Argon2 hash needs a key or data that are not in it".to_owned());
    }
    let (memory, times) = (params.m_cost(), params.t_cost());
    if memory > MOST_MEMORY || u64::from(memory) * u64::from(times) > MOST_WORK {
        return Err(format!(
            "its Argon2 hash costs too much: m is at most {MOST_MEMORY}, and m × t at most {MOST_WORK}"
        ));
    }
    Ok(())
}

/// Whether a password is the one of which this is the hash. Computes long: not for a worker, nor for the control thread.
pub fn fits(password: &[u8], text: &str) -> bool {
    if is_bcrypt(text) {
        // All that know it look at no more than 72 bytes.
        return bcrypt::verify(password, text).unwrap_or(false);
    }
    let Ok(hash) = PasswordHash::new(text) else { return false };
    Argon2::default().verify_password(password, &hash).is_ok()
}

fn is_bcrypt(text: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|begin| text.starts_with(begin))
}
