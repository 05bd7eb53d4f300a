//! What was carried out here is told, and what others carry out is looked after, a little at each turn.

use super::names::Names;
use super::words::{self, Word};
use super::{Board, Joined, LAST, count, is_there, left, lock, seal, until};
use crate::control::present::Shared;
use crate::control::store::{Away, Call, Link, Script};
use crate::gateway::idempotency::{News, Scope, Terms, Unkept};
use crate::net::coarse_now;
use crate::plan::{KeptKeys, Keys};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Keys that are told at a time.
const TOLD: usize = 256;
/// Bytes of answers that are told or heard at a time, or little more: others use the same connection.
const BYTES: usize = 64 << 10;
/// The largest answer that is told.
const LARGEST: usize = 1 << 20;
/// The same, where the server was not reached twice by what is as large.
const LARGE: usize = 16 << 10;
/// How often that is done at a turn.
const ROUNDS: usize = 16;
/// How long nothing is told to a server that refuses it.
const REFUSED: Duration = Duration::from_secs(1);
/// How often it is told again that requests are under way.
const AGAIN: Duration = Duration::from_secs(20);
/// Requests of others that are looked after at a time.
const LOOKED_AT: usize = 64;
/// Between turns of who ends.
const SOON: Duration = Duration::from_millis(10);
/// How long nothing may be known of a request, or of who carries it out, before it counts: a server that was away has to be told again first.
const GONE: Duration = Duration::from_secs(4);
/// Keys that are looked for at a time once the server is back.
const SOUGHT: usize = 500;

static LOOK: Script = Script::new(include_str!("look.lua"));
static MISSING: Script = Script::new(include_str!("missing.lua"));

/// What is told, and how far.
struct Teller {
    link: Link,
    shared: Shared,
    board: Arc<Board>,
    /// When it is told again that requests are under way.
    again: Instant,
    /// Until when nothing is told.
    refused: Option<Instant>,
    /// How often in turn the server was not reached.
    failures: u32,
    /// Keys that may be unknown to the server.
    sought: VecDeque<(Arc<Keys>, Arc<Terms>, Scope)>,
    /// How often the server had come when that was looked for last, what it had then, and for which rules that was.
    seen: (u64, String, Vec<Arc<str>>),
}

/// Tells and looks for as long as the process lives.
pub(super) async fn serve(
    link: Link,
    shared: Shared,
    board: Arc<Board>,
    ends: Arc<Mutex<mpsc::Receiver<oneshot::Sender<()>>>>,
) {
    let mut ends = ends.lock().await;
    let mut teller = Teller {
        link,
        shared,
        board,
        again: Instant::now(),
        refused: None,
        failures: 0,
        sought: VecDeque::new(),
        seen: Default::default(),
    };
    loop {
        let pause = teller.link.sharing().map_or(Duration::from_secs(1), |sharing| sharing.interval);
        let done = tokio::select! {
            () = tokio::time::sleep(pause) => None,
            done = ends.recv() => match done {
                None => return,
                // Of what is under way still nobody knows what comes of it.
                done => {
                    teller.again = Instant::now();
                    done
                }
            },
        };
        teller.turn().await;
        if let Some(done) = done {
            let ends = Instant::now() + LAST;
            while teller.has_more() && Instant::now() < ends {
                // What is noted of those that are not known to be carried out here waits for them.
                tokio::time::sleep(SOON).await;
                teller.turn().await;
            }
            let _ = done.send(());
        }
    }
}

impl Teller {
    /// Whether there is more to tell, and somebody to be told.
    fn has_more(&self) -> bool {
        let stores = lock(&self.board.stores).clone();
        let has_some = stores.iter().any(|(keys, _)| keys.untold() > 0);
        has_some && self.link.is_up() && self.refused.is_none()
    }

    /// Tells and hears what there is.
    async fn turn(&mut self) {
        let now = Instant::now();
        let joined = std::mem::take(&mut *lock(&self.board.joined));
        let (joined, over): (VecDeque<_>, VecDeque<_>) = joined.into_iter().partition(|joined| joined.until > now);
        *lock(&self.board.joined) = joined;
        drop(over);
        let rules: Vec<KeptKeys> = self.shared.load().plan.lasting.all_keys().to_vec();
        let rules: Vec<_> = rules.into_iter().filter(|rule| rule.terms.shared.is_some()).collect();
        rules.iter().for_each(|rule| self.board.knows(&rule.keys, &rule.terms));
        if !self.link.is_up() {
            return;
        }
        if self.refused.is_none_or(|until| until <= now) {
            self.refused = None;
            self.tell_again();
            let stores = lock(&self.board.stores).clone();
            let mut told = self.seek(&rules).await;
            for (keys, terms) in &stores {
                told = told.and(self.tell(keys, terms).await);
            }
            if let Err(Away(why)) = told {
                tracing::debug!(why, "what is shared of idempotency keys is not told");
                self.refused = Some(now + REFUSED);
            }
        }
        if let Err(Away(why)) = self.look().await {
            tracing::debug!(why, "what is shared of idempotency keys is not heard");
        }
        // Those of plans that are gone, once all of them is told.
        let mut stores = std::mem::take(&mut *lock(&self.board.stores));
        stores.retain(|(keys, _)| {
            let is_own = || lock(&self.board.own).values().any(|(own, _)| Arc::ptr_eq(own, keys));
            rules.iter().any(|rule| Arc::ptr_eq(&rule.keys, keys)) || keys.untold() > 0 || is_own()
        });
        *lock(&self.board.stores) = stores;
    }

    /// Has it told again, of all that is under way, that it is; what is not any more is told of anyhow.
    fn tell_again(&mut self) {
        if self.again.elapsed() >= AGAIN {
            self.again = Instant::now();
            let own: Vec<_> = lock(&self.board.own).drain().collect();
            own.into_iter().for_each(|((_, scope), (keys, bounds))| keys.note(scope, bounds));
        }
    }

    /// Looks for what a server that has come back does not know.
    async fn seek(&mut self, rules: &[KeptKeys]) -> Result<(), Away> {
        let shared = rules.iter().filter_map(|rule| rule.terms.shared.clone()).collect();
        let seen = (self.link.comings(), self.link.standing().epoch.clone(), shared);
        if seen != self.seen {
            self.seen = seen;
            self.sought.clear();
            for KeptKeys { keys, terms, .. } in rules {
                let told = keys.told(coarse_now());
                self.sought.extend(told.into_iter().map(|scope| (keys.clone(), terms.clone(), scope)));
            }
        }
        for _ in 0..ROUNDS {
            let some: Vec<_> = self.sought.drain(..self.sought.len().min(SOUGHT)).collect();
            if some.is_empty() {
                break;
            }
            let mut call = Call::new(&MISSING).arg(self.link.id());
            for (_, terms, scope) in &some {
                // What is not shared any more is looked for under no name.
                call = call.key(Names::of(&self.link, terms).map_or_else(String::new, |names| names.key(scope)));
            }
            match self.link.ask::<Vec<usize>>(call).await {
                Ok(missing) => {
                    let missing = missing.into_iter().filter_map(|at| some.get(at.checked_sub(1)?));
                    missing.for_each(|(keys, terms, scope)| keys.note(*scope, terms.bounds));
                }
                Err(away) => {
                    some.into_iter().rev().for_each(|one| self.sought.push_front(one));
                    return Err(away);
                }
            }
        }
        Ok(())
    }

    /// Tells what became of requests.
    async fn tell(&mut self, keys: &Arc<Keys>, terms: &Arc<Terms>) -> Result<(), Away> {
        let Some(names) = Names::of(&self.link, terms) else { return Ok(()) };
        let seal = seal(&self.link);
        for _ in 0..ROUNDS {
            // What breaks the connection does not break each after it.
            let (count_of, largest) = match self.failures {
                0 => (TOLD, LARGEST),
                1 => (1, LARGEST),
                _ => (1, LARGE),
            };
            let tidings = keys.tidings(count_of, BYTES, coarse_now());
            if tidings.is_empty() {
                break;
            }
            let calls = tidings.iter().map(|tiding| names.tell(tiding, terms, (seal.as_ref(), largest)));
            let calls: Vec<Call> = calls.collect();
            let answers = match self.link.ask_all(&calls).await {
                Ok(answers) => answers,
                Err(away) => {
                    self.failures += 1;
                    keys.untell(tidings);
                    return Err(away);
                }
            };
            self.failures = 0;
            let mut refused = Ok(());
            for (tiding, answer) in tidings.into_iter().zip(answers) {
                match answer {
                    Err(away) => {
                        // The server takes nothing in, or not this.
                        keys.untell(vec![tiding]);
                        refused = Err(away);
                        continue;
                    }
                    Ok(redis::Value::Int(1)) if tiding.is_first => {
                        count(&keys.figures.twice);
                        let (rule, key) = (&*names.rule, names.key(&tiding.scope));
                        tracing::warn!(
                            rule,
                            key,
                            "a request with an Idempotency-Key was carried out here and at another host"
                        );
                    }
                    Ok(_) => {}
                }
                match tiding.news {
                    News::Running(_) => self.board.owns(keys, terms, &tiding.scope),
                    News::Free | News::Done(..) => {
                        lock(&self.board.own).remove(&(names.rule.clone(), tiding.scope));
                    }
                }
            }
            refused?;
        }
        Ok(())
    }

    /// Looks what became of requests that other hosts carry out.
    async fn look(&mut self) -> Result<(), Away> {
        let seal = seal(&self.link);
        let mut to_do = lock(&self.board.joined).len();
        for _ in 0..ROUNDS {
            let some: Vec<Joined> = {
                let mut joined = lock(&self.board.joined);
                let count = to_do.min(LOOKED_AT).min(joined.len());
                joined.drain(..count).collect()
            };
            if some.is_empty() {
                break;
            }
            to_do -= some.len();
            let name = |joined: &Joined| {
                let names = Names::of(&self.link, &joined.terms);
                names.map_or_else(String::new, |names| names.key(joined.run.known_by().0))
            };
            let names: Vec<String> = some.iter().map(name).collect();
            let call = names.iter().fold(Call::new(&LOOK).arg(BYTES), |call, name| call.key(name.as_str()));
            let answers = match self.link.ask::<Vec<(i64, Vec<u8>, i64)>>(call).await {
                Ok(answers) if answers.len() == some.len() => answers,
                other => {
                    lock(&self.board.joined).extend(some);
                    return other.and(Err(Away("not as many answers as keys".to_owned())));
                }
            };
            for ((mut joined, name), (kind, text, millis)) in some.into_iter().zip(names).zip(answers) {
                match (kind, words::read(&text, &name, seal.as_ref())) {
                    // The server has lost it, or it came to no answer some time ago.
                    (0, _) => self.is_gone(joined, None),
                    (1, _) => lock(&self.board.joined).push_back(joined),
                    // Whoever waits for it may send it again.
                    (_, Some(Word::Free)) => {
                        joined.run.freed();
                        drop(joined);
                    }
                    (_, Some(Word::Running(_, host))) if is_there(&self.link, &host) => {
                        let until = Instant::now() + left(millis, &joined.terms);
                        lock(&self.board.joined).push_back(Joined { gone: None, until, ..joined });
                    }
                    (_, Some(Word::Running(..))) => self.is_gone(joined, Some(millis)),
                    (_, Some(Word::Done(print, known))) if print == *joined.run.known_by().1 => {
                        joined.run.adopt(known, until(millis, &joined.terms));
                    }
                    _ => joined.run.adopt(Err(Unkept::Elsewhere), until(millis, &joined.terms)),
                }
            }
        }
        Ok(())
    }

    /// Nothing is known of a request any more, or of who carries it out, which still stands there for `millis`.
    fn is_gone(&self, mut joined: Joined, millis: Option<i64>) {
        let since = *joined.gone.get_or_insert_with(Instant::now);
        match millis.filter(|_| since.elapsed() > GONE) {
            Some(millis) => joined.run.adopt(Err(Unkept::Elsewhere), until(millis, &joined.terms)),
            // It is free.
            None if since.elapsed() > GONE => drop(joined),
            None => lock(&self.board.joined).push_back(joined),
        }
    }
}
