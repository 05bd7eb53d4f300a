//! What stands in the server of a key.
//!
//! What always holds: answers are sealed where hosts share a secret, and then none counts that is not; whatever stands there is read without
//! harm.

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
}

/// Bytes of a host's name.
const HOST: usize = 16;
/// An answer is sealed.
const SEALED: u8 = b's';
/// An answer is not.
const PLAIN: u8 = b'p';

/// Reads what stands under a name. `None`: it is nothing that we would write.
pub(super) fn read(mut text: &[u8], name: &str, seal: Option<&Seal>) -> Option<Word> {
    let kind = *text.split_off_first()?;
    let print: Print = *text.split_off(..size_of::<Print>())?.first_chunk()?;
    let host = text.split_off(..HOST)?;
    let answer = |text: &[u8]| {
        let (form, rest) = text.split_first()?;
        let opened;
        let mut plain = match (*form, seal) {
            (SEALED, Some(seal)) => {
                opened = seal.open(name, rest)?;
                &opened[..]
            }
            (PLAIN, None) => rest,
            _ => return None,
        };
        Kept::read(&mut plain).map(Arc::new)
    };
    match kind {
        b'r' => Some(Word::Running(print, String::from_utf8_lossy(host).into_owned())),
        // What cannot be opened was carried out all the same.
        b'a' => Some(Word::Done(print, answer(text).ok_or(Unkept::Elsewhere))),
        b'u' => Some(Word::Done(print, Err(Unkept::Elsewhere))),
        _ => None,
    }
}

/// What a host writes of what it has carried out. An answer that is larger than that is not told.
pub(super) fn write(
    (name, host): (&str, &str),
    print: &Print,
    known: &Result<Arc<Kept>, Unkept>,
    (seal, most): (Option<&Seal>, usize),
) -> Vec<u8> {
    let mut text = vec![b'u'];
    text.extend_from_slice(print);
    text.extend_from_slice(host.as_bytes());
    let Ok(kept) = known.as_ref() else { return text };
    if kept.weight() > most {
        return text;
    }
    let mut plain = Vec::with_capacity(kept.weight() + 32);
    kept.write(&mut plain);
    let (form, answer) = match seal {
        None => (PLAIN, Some(plain)),
        Some(seal) => (SEALED, seal.close(name, plain)),
    };
    if let (Some(kind), Some(answer)) = (text.first_mut(), answer) {
        *kind = b'a';
        text.push(form);
        text.extend_from_slice(&answer);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "0123456789abcdef";
    const MOST: usize = 1000;

    fn kept(body: &str) -> Arc<Kept> {
        Arc::new(Kept { head: b"head".as_slice().into(), has_content: true, body: body.as_bytes().into() })
    }

    #[test]
    fn what_is_written_is_read_by_those_who_have_the_same_secret() {
        let (print, answer) = ([7; 32], Ok(kept("body")));
        let plain = write(("k", HOST), &print, &answer, (None, MOST));
        assert_eq!(read(&plain, "k", None), Some(Word::Done(print, answer.clone())));
        let seal = Seal::by(&[1; 32]).unwrap();
        let sealed = write(("k", HOST), &print, &answer, (Some(&seal), MOST));
        assert!(!sealed.windows(4).any(|part| part == b"body"));
        assert_eq!(read(&sealed, "k", Some(&seal)), Some(Word::Done(print, answer.clone())));
        let unkept = Some(Word::Done(print, Err(Unkept::Elsewhere)));
        for (text, name, seal) in [
            (&sealed, "l", Some(&seal)),
            (&sealed, "k", None),
            (&plain, "k", Some(&seal)),
            (&sealed, "k", Seal::by(&[2; 32]).as_ref()),
        ] {
            assert_eq!(read(text, name, seal), unkept);
        }
    }

    #[test]
    fn what_is_too_large_is_told_without_its_answer() {
        for known in [Ok(kept(&"x".repeat(MOST))), Err(Unkept::Broken)] {
            let text = write(("k", HOST), &[7; 32], &known, (None, MOST));
            assert_eq!(read(&text, "k", None), Some(Word::Done([7; 32], Err(Unkept::Elsewhere))));
        }
    }

    #[test]
    fn whatever_stands_there_is_read_without_harm() {
        let text = write(("k", HOST), &[7; 32], &Ok(kept("body")), (None, MOST));
        for length in 0..text.len() {
            assert!(!matches!(read(&text[..length], "k", None), Some(Word::Done(_, Ok(_)))), "{length}");
        }
        for (text, is) in [(&b"x"[..], false), (&[b'r'; 49], true), (&[0xff; 200], false)] {
            assert_eq!(read(text, "k", None).is_some(), is);
        }
        let mut long = text.clone();
        long[51..59].fill(0xff);
        assert_eq!(read(&long, "k", None), Some(Word::Done([7; 32], Err(Unkept::Elsewhere))));
    }
}
