//! What stands in the server of a key.
//!
//! What always holds: answers are sealed where hosts share a secret, and then none counts that is not, or that is another key's or another
//! request's; whatever stands there is read without harm.

use crate::control::store::seal::Seal;
use crate::gateway::idempotency::{Kept, Print, Unkept};
use std::sync::Arc;

/// What stands there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// This host carries it out.
    Running(Print, String),
    /// It was carried out.
    Done(Print, Result<Arc<Kept>, Unkept>),
    /// It came to no answer.
    Free,
}

/// Bytes of a host's name.
const HOST: usize = 16;
/// Bytes before an answer: what kind of word it is, what tells the request from others, and the host.
const HEAD: usize = 1 + size_of::<Print>() + HOST;
/// An answer is sealed.
const SEALED: u8 = b's';
/// An answer is not.
const PLAIN: u8 = b'p';

/// Reads what stands under a name. `None`: it is nothing that we would write.
pub(super) fn read(text: &[u8], name: &str, seal: Option<&Seal>) -> Option<Word> {
    let (head, rest) = text.split_at_checked(HEAD)?;
    let (kind, named) = head.split_first()?;
    let (print, host) = named.split_first_chunk::<{ size_of::<Print>() }>()?;
    match kind {
        b'r' => Some(Word::Running(*print, String::from_utf8_lossy(host).into_owned())),
        b'f' => Some(Word::Free),
        // What cannot be opened was carried out all the same.
        b'a' => Some(Word::Done(*print, answer(rest, &under(name, head), seal).ok_or(Unkept::Elsewhere))),
        b'u' => Some(Word::Done(*print, Err(Unkept::Elsewhere))),
        _ => None,
    }
}

fn answer(text: &[u8], under: &[u8], seal: Option<&Seal>) -> Option<Arc<Kept>> {
    let (form, rest) = text.split_first()?;
    let opened;
    let mut plain = match (*form, seal) {
        (SEALED, Some(seal)) => {
            opened = seal.open(under, rest)?;
            &opened[..]
        }
        (PLAIN, None) => rest,
        _ => return None,
    };
    Kept::read(&mut plain).map(Arc::new)
}

/// What an answer is sealed under: it is good for this key and this request alone.
fn under(name: &str, head: &[u8]) -> Vec<u8> {
    [name.as_bytes(), head].concat()
}

/// What a host writes of a key that is free.
pub(super) fn free(host: &str) -> Vec<u8> {
    [&b"f"[..], &Print::default(), host.as_bytes()].concat()
}

/// What a host writes of what it has carried out. An answer that is larger than `most` is not told.
pub(super) fn done(
    (name, host): (&str, &str),
    print: &Print,
    known: &Result<Arc<Kept>, Unkept>,
    (seal, most): (Option<&Seal>, usize),
) -> Vec<u8> {
    let told = known.as_ref().ok().filter(|kept| kept.weight() <= most).and_then(|kept| {
        let head = [&b"a"[..], print, host.as_bytes()].concat();
        let mut plain = Vec::with_capacity(kept.weight() + 32);
        kept.write(&mut plain);
        let (form, answer) = match seal {
            None => (PLAIN, plain),
            Some(seal) => (SEALED, seal.close(&under(name, &head), plain)?),
        };
        Some([&head[..], &[form], &answer].concat())
    });
    told.unwrap_or_else(|| [&b"u"[..], print, host.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "0123456789abcdef";
    const MOST: usize = 1000;
    const PRINT: Print = [7; 32];

    fn kept(body: &str) -> Arc<Kept> {
        Arc::new(Kept { head: b"head".as_slice().into(), has_content: true, body: body.as_bytes().into() })
    }

    #[test]
    fn what_is_written_is_read_by_those_who_have_the_same_secret() {
        let answer = Ok(kept("body"));
        let plain = done(("k", HOST), &PRINT, &answer, (None, MOST));
        assert_eq!(read(&plain, "k", None), Some(Word::Done(PRINT, answer.clone())));
        let seal = Seal::by(&[1; 32]).unwrap();
        let sealed = done(("k", HOST), &PRINT, &answer, (Some(&seal), MOST));
        assert!(!sealed.windows(4).any(|part| part == b"body"));
        assert_eq!(read(&sealed, "k", Some(&seal)), Some(Word::Done(PRINT, answer)));
        let unkept = Some(Word::Done(PRINT, Err(Unkept::Elsewhere)));
        let other = Seal::by(&[2; 32]).unwrap();
        for (text, name, seal) in [
            (&sealed, "l", Some(&seal)),
            (&sealed, "k", None),
            (&plain, "k", Some(&seal)),
            (&sealed, "k", Some(&other)),
        ] {
            assert_eq!(read(text, name, seal), unkept);
        }
        let mut another = sealed.clone();
        another[5] ^= 1;
        assert!(matches!(read(&another, "k", Some(&seal)), Some(Word::Done(_, Err(_)))), "it is another request's");
    }

    #[test]
    fn what_is_too_large_is_told_without_its_answer() {
        for known in [Ok(kept(&"x".repeat(MOST))), Err(Unkept::Broken)] {
            let text = done(("k", HOST), &PRINT, &known, (None, MOST));
            assert_eq!(read(&text, "k", None), Some(Word::Done(PRINT, Err(Unkept::Elsewhere))));
        }
    }

    #[test]
    fn whatever_stands_there_is_read_without_harm() {
        let text = done(("k", HOST), &PRINT, &Ok(kept("body")), (None, MOST));
        for length in 0..text.len() {
            assert!(!matches!(read(&text[..length], "k", None), Some(Word::Done(_, Ok(_)))), "{length}");
        }
        for (text, is) in [(&b"x"[..], false), (&[b'r'; 49], true), (&[0xff; 200], false), (&free(HOST), true)] {
            assert_eq!(read(text, "k", None).is_some(), is);
        }
        let mut long = text.clone();
        long[51..59].fill(0xff);
        assert_eq!(read(&long, "k", None), Some(Word::Done(PRINT, Err(Unkept::Elsewhere))));
    }
}
