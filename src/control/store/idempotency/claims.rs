//! Whether requests are carried out here, asked before they are.

use super::names::Names;
use super::words::{self, Word};
use super::{Asking, Board, Joined, count, is_there, left, lock, seal, until};
use crate::control::store::{Away, Link};
use crate::gateway::idempotency::{Claimed, Claiming, Unkept};
use crate::net::Caller;
use redis::from_redis_value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::sleep;

/// Requests that are asked for together.
const TOGETHER: usize = 256;
/// Questions that are on their way at a time, each for so many.
const AT_ONCE: usize = 16;

/// How long it is asked again where the server has lost what it had.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often.
const AGAIN: Duration = Duration::from_millis(200);
/// How often it is looked whether the first server has answered.
const SOON: Duration = Duration::from_millis(10);

/// What the server says.
type Said = (i64, Vec<u8>, i64);
/// That it is carried out here.
const HERE: i64 = 0;
/// That there is no room.
const FULL: i64 = 1;
/// That something is known of it.
const KNOWN: i64 = 2;
/// That what was known is lost.
const LOST: i64 = 3;

/// Asks for whoever wants to know, for as long as anybody may.
pub(super) async fn serve(link: Link, board: Arc<Board>, asks: Arc<Mutex<mpsc::Receiver<Asking>>>) {
    let mut asks = asks.lock().await;
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else { return };
        let mut asked = Vec::new();
        if asks.recv_many(&mut asked, TOGETHER).await == 0 {
            return;
        }
        let (link, board) = (link.clone(), board.clone());
        tokio::spawn(async move {
            claim(&link, &board, asked).await;
            drop(turn);
        });
    }
}

/// Asks, and again where the server has lost of late what others have told it, until they have put that back.
async fn claim(link: &Link, board: &Board, asked: Vec<Asking>) {
    let begun = Instant::now();
    let mut open: Vec<Open> = asked.into_iter().filter_map(Open::of).collect();
    // Who has just begun, or goes by another configuration, has not reached the server yet.
    let is_dialling = || !link.is_up() && link.standing().up != Some(false) && link.sharing().is_some();
    while is_dialling() && begun.elapsed() < PATIENCE {
        sleep(SOON).await;
    }
    loop {
        let is_last = begun.elapsed() >= PATIENCE;
        if let Some(left) = link.is_incomplete().filter(|_| link.is_up() && !is_last) {
            sleep(left).await;
        }
        open = ask(link, board, open, is_last).await;
        if open.is_empty() {
            return;
        }
        sleep(AGAIN).await;
    }
}

/// Asks once. Returns of whom the server cannot tell now; `is_last`: that is as good as no answer.
async fn ask(link: &Link, board: &Board, open: Vec<Open>, is_last: bool) -> Vec<Open> {
    let (mut all, mut calls) = (Vec::new(), Vec::new());
    for Open { asking, claiming } in open {
        match Names::of(link, &claiming.terms) {
            Some(names) => {
                calls.push(names.claim(claiming.run.known_by(), &claiming.terms));
                all.push((asking, claiming, names));
            }
            None => asking.answer(Claimed::Here(claiming.run)),
        }
    }
    let was_up = link.is_up();
    let answers = match link.ask_all(&calls).await {
        Ok(answers) => answers,
        Err(away) => calls.iter().map(|_| Err(away.clone())).collect(),
    };
    let (seal, mut again) = (seal(link), Vec::new());
    for ((asking, mut claiming, names), answer) in all.into_iter().zip(answers) {
        let figures = &claiming.run.keys().figures;
        let said = answer.and_then(|answer| from_redis_value::<Said>(answer).map_err(|why| Away(why.to_string())));
        let claimed = match said {
            Ok((LOST, ..)) if !is_last => {
                again.push(Open { asking, claiming });
                continue;
            }
            Ok((HERE, before, _)) => {
                if before == b"f" {
                    claiming.run.freed();
                }
                count(&claiming.run.keys().figures.claimed);
                claiming.run.claimed();
                board.owns(claiming.run.keys(), &claiming.terms, claiming.run.known_by().0);
                claiming.run.resolve().map_or(Claimed::Known, Claimed::Here)
            }
            Ok((FULL, ..)) => Claimed::Full,
            Ok((KNOWN, text, millis)) => {
                count(&figures.elsewhere);
                let word = words::read(&text, &names.key(claiming.run.known_by().0), seal.as_ref());
                join((link, board), claiming, word, millis)
            }
            Ok(_) | Err(_) => {
                count(&figures.alone);
                // It may stand there although no answer has come, and is told once it can be.
                if was_up {
                    claiming.run.claimed();
                }
                match (claiming.run.is_doubtful(), claiming.terms.is_alone) {
                    // As much is known of it as before.
                    (true, _) => {
                        drop(claiming.run);
                        Claimed::Known
                    }
                    (false, true) => {
                        board.owns(claiming.run.keys(), &claiming.terms, claiming.run.known_by().0);
                        Claimed::Alone(claiming.run)
                    }
                    (false, false) => {
                        board.knows(claiming.run.keys(), &claiming.terms);
                        Claimed::Away
                    }
                }
            }
        };
        asking.answer(claimed);
    }
    again
}

/// Whether a request is carried out here, which is not known yet.
struct Open {
    asking: Asking,
    claiming: Claiming<Caller>,
}

impl Open {
    /// `None`: who has asked has left, which leaves the key free.
    fn of(mut asking: Asking) -> Option<Self> {
        let claiming = asking.take().filter(|_| asking.is_wanted())?;
        Some(Self { asking, claiming })
    }
}

/// Another host knows the key.
fn join(
    (link, board): (&Link, &Board),
    Claiming { terms, run }: Claiming<Caller>,
    word: Option<Word>,
    millis: i64,
) -> Claimed<Caller> {
    match word {
        Some(Word::Running(print, _) | Word::Done(print, _)) if print != *run.known_by().1 => Claimed::Mismatch,
        // That it is gone has been waited for before.
        Some(Word::Running(_, host)) if run.is_doubtful() && !is_there(link, &host) => {
            run.adopt(Err(Unkept::Elsewhere), until(millis, &terms));
            Claimed::Known
        }
        Some(Word::Running(..)) => {
            let until = Instant::now() + left(millis, &terms);
            lock(&board.joined).push_back(Joined { terms, run, until, gone: None });
            Claimed::Joined
        }
        Some(Word::Done(_, known)) => {
            run.adopt(known, until(millis, &terms));
            Claimed::Known
        }
        // It is nothing that we have written, and says at least that something stands there.
        Some(Word::Free) | None => {
            run.adopt(Err(Unkept::Elsewhere), until(millis, &terms));
            Claimed::Known
        }
    }
}
