//! Consumers by the names and passwords of users (RFC 7617).

use super::password::{Known, Sent, Unread, Users};
use super::{Asked, Challenges, Denial, Failure, Halt, Phase, Question, Rule, Said, What, Who};
use crate::observe::reason::Reason;
use std::sync::Arc;
use std::time::Duration;

/// A rule of type basic.
#[derive(Debug)]
pub struct Basic {
    /// Its place among all rules.
    index: usize,
    challenge: Arc<str>,
    users: Users,
    known: Arc<Known>,
    /// How long what was found of a password counts.
    time: Duration,
}

impl Basic {
    /// One for these users, at this place among all rules; `realm` has no `"` and no `\`. What is found of a password counts for `time`.
    pub fn new(index: usize, realm: &str, users: Users, known: Arc<Known>, time: Duration) -> Self {
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"").into();
        Self { index, challenge, users, known, time }
    }

    fn denied(&self, word: &'static str) -> Halt {
        Denial::unauthenticated(word).with(&self.challenge).into()
    }

    /// What the client has sent; there must be one.
    fn sent(&self, asked: &Asked<'_>) -> Result<Sent, Halt> {
        let (mut count, mut first) = (0, None);
        asked.request.each("authorization", &mut |value| {
            count += 1;
            first.get_or_insert_with(|| Sent::read(value));
        });
        match (count, first) {
            (1, Some(Ok(sent))) => Ok(sent),
            (1, Some(Err(Unread::Malformed))) => Err(self.denied("malformed-credentials")),
            (0 | 1, _) => Err(Denial::unauthenticated("no-credentials").absent().with(&self.challenge).into()),
            _ => Err(self.denied("several-credentials")),
        }
    }
}

impl Rule for Basic {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let sent = self.sent(asked)?;
        let Some(user) = self.users.look(sent.user()) else { return Err(self.denied("unknown-user")) };
        let tag = self.known.tag(sent.user(), sent.password(), user.hash);
        let fits = match (self.known.find(&tag, asked.now, self.time), asked.said_to(self.index).last()) {
            (Some(fits), _) => fits,
            (None, Some(answer)) => match &answer.said {
                Ok(Said::Fits(fits)) => {
                    if !self.time.is_zero() {
                        self.known.keep(&tag, *fits, asked.now);
                    }
                    *fits
                }
                Err(Failure::Busy) => return Err(unanswered("passwords-busy")),
                Ok(Said::Fetched(_) | Said::Keys) | Err(Failure::Timeout | Failure::Away) => {
                    return Err(unanswered("passwords-late"));
                }
            },
            (None, None) => {
                let what = What::Fits { password: sent.password().into(), hash: user.hash.clone() };
                return Err(Halt::Ask(Box::new(Question { rule: self.index, what })));
            }
        };
        match user.consumer {
            Some(consumer) if fits => {
                who.consumer = Some(consumer.clone());
                Ok(())
            }
            Some(_) => Err(self.denied("wrong-password")),
            // Whatever it fits is another's.
            None => Err(self.denied("unknown-user")),
        }
    }

    fn challenges(&self) -> Challenges {
        Challenges::from_iter([self.challenge.clone()])
    }
}

/// More passwords come than can be computed.
fn unanswered(word: &'static str) -> Halt {
    Denial { retry_after: 1, ..Denial::new(503, Reason::Passwords, word) }.into()
}
