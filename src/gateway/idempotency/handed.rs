//! What a process tells the next one of its keys.
//!
//! What always holds: what was carried out there is not carried out again here, as far as the process before knew of it when it told. Of what was
//! still under way there the answer never comes here: its key is spent.

use super::shard::{Entry, Settled, State, What};
use super::{Kept, Print, Scope, Store, Unkept};
use crate::net::Call;
use std::sync::Arc;
use std::time::Duration;

/// What the bytes begin with.
const FORM: &[u8] = b"idempotency 1\n";
/// Bytes of answers that are told; of more the youngest.
const ANSWERS: usize = 8 << 20;

/// What is told of a key.
struct Told {
    age: u64,
    scope: Scope,
    print: Print,
    until: Duration,
    what: Result<Arc<Kept>, Unkept>,
}

impl<W: Call> Store<W> {
    /// At most `most` keys, the youngest; times are since the boot of the host. A shard is held for as long as its keys are looked through.
    pub fn to_bytes(&self, now: Duration, most: usize) -> Vec<u8> {
        let mut all = Vec::new();
        self.each(|scope, entry| all.extend(told(*scope, entry, now)));
        all.sort_unstable_by_key(|told| std::cmp::Reverse(told.age));
        all.truncate(most);
        let mut room = ANSWERS;
        for told in &mut all {
            if let Ok(kept) = &told.what {
                match room.checked_sub(kept.weight()) {
                    Some(left) => room = left,
                    None => told.what = Err(Unkept::Memory),
                }
            }
        }
        let mut bytes = FORM.to_vec();
        // The oldest first: so they are known in their order there.
        all.iter().rev().for_each(|told| told.write(&mut bytes));
        bytes
    }

    /// Takes up what another process of this host has told. Returns how many keys that were; `None` if its form is not known.
    pub fn take_bytes(&self, bytes: &[u8], now: Duration) -> Option<usize> {
        let mut rest = bytes.strip_prefix(FORM)?;
        let mut all = Vec::new();
        while !rest.is_empty() {
            all.push(Told::read(&mut rest)?);
        }
        let mut taken = 0;
        for Told { scope, print, until, what, .. } in all.into_iter().filter(|told| told.until > now) {
            let what = match what {
                Ok(kept) => {
                    let weight = kept.weight();
                    What::Answer(kept, weight)
                }
                Err(why) => What::Unkept(why),
            };
            self.adopt(scope, print, until, what);
            taken += 1;
        }
        Some(taken)
    }
}

fn told<W: Call>(scope: Scope, entry: &Entry<W>, now: Duration) -> Option<Told> {
    let print = entry.print;
    Some(match &entry.state {
        // Another host carries it out, or may.
        State::Running(flight, _) if !flight.is_here() => return None,
        State::Running(_, ttl) => {
            let until = now.saturating_add(*ttl);
            Told { age: u64::MAX, scope, print, until, what: Err(Unkept::Elsewhere) }
        }
        State::Settled(Settled { until, age, what }) => {
            let what = match what {
                What::Answer(kept, _) => Ok(kept.clone()),
                What::Unkept(why) => Err(*why),
                // It binds nobody.
                What::Seen => return None,
            };
            Told { age: *age, scope, print, until: *until, what }
        }
    })
    .filter(|told| told.until > now)
}

impl Told {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.scope);
        out.extend_from_slice(&self.print);
        let until = u64::try_from(self.until.as_nanos()).unwrap_or(u64::MAX);
        out.extend_from_slice(&until.to_le_bytes());
        match &self.what {
            Ok(kept) => kept.write(out),
            Err(Unkept::TooLarge) => out.push(2),
            Err(Unkept::Memory) => out.push(3),
            Err(Unkept::Elsewhere) => out.push(4),
            Err(Unkept::Broken) => out.push(5),
        }
    }

    fn read(rest: &mut &[u8]) -> Option<Self> {
        let scope = *rest.split_off(..32)?.first_chunk()?;
        let print = *rest.split_off(..32)?.first_chunk()?;
        let until = Duration::from_nanos(number(rest)?);
        let what = match *rest.first()? {
            0 | 1 => Ok(Arc::new(Kept::read(rest)?)),
            kind => {
                rest.split_off_first();
                Err(unkept(kind)?)
            }
        };
        Some(Self { age: 0, scope, print, until, what })
    }
}

fn unkept(kind: u8) -> Option<Unkept> {
    Some(match kind {
        2 => Unkept::TooLarge,
        3 => Unkept::Memory,
        4 => Unkept::Elsewhere,
        5 => Unkept::Broken,
        _ => return None,
    })
}

impl Kept {
    /// Writes it in a form of its own.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.has_content));
        for part in [&self.head, &self.body] {
            out.extend_from_slice(&(part.len() as u64).to_le_bytes());
            out.extend_from_slice(part);
        }
    }

    /// Reads what was written so, and leaves what is behind it. `None`: it was not.
    pub fn read(rest: &mut &[u8]) -> Option<Self> {
        let has_content = match *rest.split_off_first()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let (head, body) = (part(rest)?, part(rest)?);
        Some(Self { head, has_content, body })
    }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*rest.split_off(..8)?.first_chunk()?))
}

fn part(rest: &mut &[u8]) -> Option<Box<[u8]>> {
    let length = usize::try_from(number(rest)?).ok()?;
    Some(rest.split_off(..length)?.into())
}
