//! Whether requests are carried out here, asked before they are.

use super::names::Names;
use super::words::{self, Word};
use super::{Asking, Board, Joined, count, left, lock, seal, until};
use crate::control::store::{Away, Link};
use crate::gateway::idempotency::{Claimed, Claiming, Unkept};
use crate::net::Caller;
use redis::from_redis_value;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Mutex, Semaphore, mpsc};

/// Requests that are asked for together.
const TOGETHER: usize = 256;
/// Questions that are on their way at a time, each for so many.
const AT_ONCE: usize = 16;

/// What the server says.
type Said = (i64, Vec<u8>, i64);

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

async fn claim(link: &Link, board: &Board, asked: Vec<Asking>) {
    let (mut all, mut calls) = (Vec::new(), Vec::new());
    for mut asking in asked {
        // Who has left leaves the key free.
        let Some(claiming) = asking.take().filter(|_| asking.is_wanted()) else { continue };
        let Some(names) = Names::of(link, &claiming.terms) else {
            asking.answer(Claimed::Here(claiming.run));
            continue;
        };
        calls.push(names.claim(claiming.run.known_by(), &claiming.terms));
        all.push((asking, claiming, names));
    }
    let was_up = link.is_up();
    let answers = match link.ask_all(&calls).await {
        Ok(answers) => answers,
        Err(away) => calls.iter().map(|_| Err(away.clone())).collect(),
    };
    let seal = seal(link);
    for ((asking, mut claiming, names), answer) in all.into_iter().zip(answers) {
        let figures = &claiming.run.keys().figures;
        let said = answer.and_then(|answer| from_redis_value::<Said>(answer).map_err(|why| Away(why.to_string())));
        let claimed = match said {
            Ok((0, ..)) => {
                count(&figures.claimed);
                claiming.run.claimed();
                board.owns(claiming.run.keys(), &claiming.terms, claiming.run.known_by().0);
                Claimed::Here(claiming.run)
            }
            Ok((1, ..)) => Claimed::Full,
            Ok((_, text, millis)) => {
                count(&figures.elsewhere);
                let word = words::read(&text, &names.key(claiming.run.known_by().0), seal.as_ref());
                join(board, claiming, word, millis)
            }
            Err(Away(why)) => {
                tracing::trace!(why, "nobody is asked for an idempotency key");
                count(&figures.alone);
                board.knows(claiming.run.keys(), &claiming.terms);
                // It may stand there although no answer has come.
                if was_up {
                    claiming.run.claimed();
                }
                Claimed::Here(claiming.run)
            }
        };
        asking.answer(claimed);
    }
}

/// Another host knows the key.
fn join(board: &Board, Claiming { terms, run }: Claiming<Caller>, word: Option<Word>, millis: i64) -> Claimed<Caller> {
    match word {
        Some(Word::Running(print, _) | Word::Done(print, _)) if print != *run.known_by().1 => Claimed::Mismatch,
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
