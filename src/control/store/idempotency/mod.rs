//! Requests with an Idempotency-Key, carried out once over all hosts.
//!
//! What always holds:
//! - A host that has a key for the first time asks before its request is carried out; nobody else waits for the server, and who asks no longer than
//!   `store.redis.timeout`. Where the server is away each host goes by what it knows itself.
//! - In the server a key says that a host carries its request out, or what came of that. Who is told that another does waits for what comes of it,
//!   and carries nothing out; of a host that is gone nothing comes, and its request counts as carried out.
//! - That a request is under way stands there for as long as it is, by being told again; of a host that is cut off for a minute and for the rule's `ttl` it
//!   is forgotten.
//! - What a host has carried out it tells afterwards, and again whenever the server comes back without it. What stands there is bounded by the
//!   rule's `max_keys` and `memory`, by the server's own reckoning.

mod words;

use super::link::GONE;
use super::seal::Seal;
use super::{Away, Call, Link, Script};
use crate::control::keep_up;
use crate::control::present::Shared;
use crate::gateway::idempotency::{Bounds, Claimed, Claiming, News, Print, Run, Scope, Terms, Tiding, Unkept};
use crate::net::{Caller, Put, coarse_now};
use crate::plan::{KeptKeys, Keys};
use redis::from_redis_value;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use words::Word;

/// What is asked of other hosts.
pub(in crate::control) type Asking = Put<Claiming<Caller>, Claimed<Caller>>;

/// Requests that may wait to be asked for.
pub(in crate::control) const ROOM: usize = 4096;
/// Requests that are asked for at a time.
const AT_ONCE: usize = 256;
/// Keys that are told at a time.
const TOLD: usize = 256;
/// Bytes of answers that are told or heard at a time, or little more.
const BYTES: usize = 1 << 20;
/// The largest answer that is told.
const LARGEST: usize = 1 << 20;
/// How often that is done at a turn: between turns others ask.
const ROUNDS: usize = 4;
/// How long nothing is told to a server that refuses it.
const REFUSED: Duration = Duration::from_secs(1);
/// How long it is known at least that a request is under way.
const UNDER_WAY: Duration = Duration::from_secs(60);
/// How often that is told again.
const AGAIN: Duration = Duration::from_secs(20);
/// Requests of others that are looked after at a time.
const LOOKED_AT: usize = 64;
/// Keys that are looked for at a time once the server is back.
const SOUGHT: usize = 500;
/// How long who ends waits until all is told.
const LAST: Duration = Duration::from_secs(2);

static CLAIM: Script = Script::new(include_str!("claim.lua"));
static TELL: Script = Script::new(include_str!("tell.lua"));
static LOOK: Script = Script::new(include_str!("look.lua"));
static MISSING: Script = Script::new(include_str!("missing.lua"));

/// Tells other hosts what this one has carried out, and asks them.
pub(in crate::control) struct SharedKeys(mpsc::Sender<oneshot::Sender<()>>);

/// What has begun the work holds for whoever goes on with it.
struct Incoming {
    asks: mpsc::Receiver<Asking>,
    ends: mpsc::Receiver<oneshot::Sender<()>>,
}

/// What is done, and for whom.
struct Table {
    link: Link,
    shared: Shared,
    /// Requests that this host carries out.
    own: HashMap<(Arc<str>, Scope), (Arc<Keys>, Bounds)>,
    /// When it is told again that they are under way.
    again: Instant,
    /// Until when nothing is told.
    refused: Option<Instant>,
    /// Requests that other hosts carry out.
    joined: VecDeque<Joined>,
    /// Keys that may be unknown to the server.
    sought: VecDeque<(Arc<Keys>, Arc<Terms>, Scope)>,
    /// How often the server had come when that was looked for last, what it had then, and for which rules that was.
    seen: (u64, String, Vec<Arc<str>>),
}

/// A request that another host carries out.
struct Joined {
    terms: Arc<Terms>,
    run: Run<Caller>,
    /// When nobody would know of it any more.
    until: Instant,
    /// Since when that host is gone.
    gone: Option<Instant>,
}

impl SharedKeys {
    /// Begins.
    pub(in crate::control) fn serve(link: Link, shared: Shared, asks: mpsc::Receiver<Asking>) -> Self {
        let (sender, ends) = mpsc::channel(1);
        let incoming = Arc::new(Mutex::new(Incoming { asks, ends }));
        keep_up("the sharing of idempotency keys", move || serve(link.clone(), shared.clone(), incoming.clone()));
        Self(sender)
    }

    /// Tells what is not told yet.
    pub(in crate::control) async fn leave(&self) {
        let (done, waits) = oneshot::channel();
        let left = async {
            if self.0.send(done).await.is_ok() {
                let _ = waits.await;
            }
        };
        // What is not told then counts as carried out.
        let _ = timeout(LAST, left).await;
    }
}

async fn serve(link: Link, shared: Shared, incoming: Arc<Mutex<Incoming>>) {
    let mut incoming = incoming.lock().await;
    let Incoming { asks, ends } = &mut *incoming;
    let mut table = Table {
        link,
        shared,
        own: HashMap::new(),
        again: Instant::now(),
        refused: None,
        joined: VecDeque::new(),
        sought: VecDeque::new(),
        seen: Default::default(),
    };
    let (mut asked, mut last) = (Vec::new(), Instant::now());
    loop {
        let pause = table.link.sharing().map_or(Duration::from_secs(1), |sharing| sharing.interval);
        let done = tokio::select! {
            count = asks.recv_many(&mut asked, AT_ONCE) => {
                if count == 0 {
                    return;
                }
                None
            }
            Some(done) = ends.recv() => Some(done),
            () = tokio::time::sleep(pause.saturating_sub(last.elapsed())) => None,
        };
        table.claim(asked.drain(..)).await;
        if done.is_some() || last.elapsed() >= pause {
            table.turn().await;
            last = Instant::now();
        }
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}

impl Table {
    /// Asks whether these are carried out here.
    async fn claim(&mut self, asked: impl Iterator<Item = Asking>) {
        let mut all = Vec::new();
        let mut calls = Vec::new();
        for mut asking in asked {
            // Who has left leaves the key free.
            let Some(claiming) = asking.take().filter(|_| asking.is_wanted()) else { continue };
            let Some(names) = Names::of(&self.link, &claiming.terms) else {
                asking.answer(Claimed::Here(claiming.run));
                continue;
            };
            calls.push(names.claim(&self.link, claiming.run.known_by(), &claiming.terms));
            all.push((asking, claiming, names));
        }
        let is_up = self.link.is_up();
        let answers = match self.link.ask_all(&calls).await {
            Ok(answers) => answers,
            Err(away) => calls.iter().map(|_| Err(away.clone())).collect(),
        };
        let seal = self.seal();
        for ((asking, mut claiming, names), answer) in all.into_iter().zip(answers) {
            let answer = answer.and_then(|answer| from_redis_value::<(Vec<u8>, i64)>(answer).map_err(unclear));
            let figures = &claiming.run.keys().figures;
            let (text, left) = match answer {
                Ok(answer) => answer,
                Err(_) => {
                    count(&figures.alone);
                    // It may stand there although no answer has come.
                    if is_up {
                        claiming.run.claimed();
                    }
                    asking.answer(Claimed::Here(claiming.run));
                    continue;
                }
            };
            let claimed = match &text[..] {
                b"" => {
                    count(&figures.claimed);
                    claiming.run.claimed();
                    self.owns(claiming.run.keys(), &claiming.terms, claiming.run.known_by().0);
                    Claimed::Here(claiming.run)
                }
                b"f" => Claimed::Full,
                text => {
                    count(&figures.elsewhere);
                    let word = words::read(text, &names.key(claiming.run.known_by().0), seal.as_ref());
                    self.join(claiming, word, Left::of(left))
                }
            };
            asking.answer(claimed);
        }
    }

    /// Another host knows the key.
    fn join(&mut self, Claiming { terms, run }: Claiming<Caller>, word: Option<Word>, left: Left) -> Claimed<Caller> {
        match word {
            Some(Word::Running(print, _) | Word::Done(print, _)) if print != *run.known_by().1 => Claimed::Mismatch,
            Some(Word::Running(..)) => {
                let until = Instant::now() + left.0;
                self.joined.push_back(Joined { terms, run, until, gone: None });
                Claimed::Joined
            }
            Some(Word::Done(_, known)) => {
                run.adopt(known, left.until());
                Claimed::Known
            }
            None => {
                run.adopt(Err(Unkept::Elsewhere), left.until());
                Claimed::Known
            }
        }
    }

    /// Tells and hears what there is.
    async fn turn(&mut self) {
        let now = Instant::now();
        self.joined.retain(|joined| joined.until > now);
        if !self.link.is_up() || self.refused.is_some_and(|until| until > now) {
            return;
        }
        let rules: Vec<_> = self.shared.load().plan.lasting.all_keys().to_vec();
        let told = async {
            self.seek(&rules).await?;
            self.tell_again();
            for KeptKeys { keys, terms, .. } in &rules {
                self.tell(keys, terms).await?;
            }
            self.look().await
        };
        let told = told.await;
        self.refused = told.is_err().then(|| now + REFUSED);
        if let Err(Away(why)) = told {
            tracing::debug!(why, "what is shared of idempotency keys is not told");
        }
    }

    /// Looks for what a server that has come back does not know.
    async fn seek(&mut self, rules: &[KeptKeys]) -> Result<(), Away> {
        let shared = rules.iter().filter_map(|rule| rule.terms.shared.clone()).collect();
        let seen = (self.link.comings(), self.link.standing().epoch.clone(), shared);
        if seen != self.seen {
            self.seen = seen;
            self.sought.clear();
            for KeptKeys { keys, terms, .. } in rules.iter().filter(|rule| rule.terms.shared.is_some()) {
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
                if let Some(names) = Names::of(&self.link, terms) {
                    call = call.key(names.key(scope));
                }
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

    /// That is carried out here.
    fn owns(&mut self, keys: &Arc<Keys>, terms: &Terms, scope: &Scope) {
        if let Some(rule) = &terms.shared {
            self.own.insert((rule.clone(), *scope), (keys.clone(), terms.bounds));
        }
    }

    /// Has it told again, of all that is under way, that it is; what is not any more is told of anyhow.
    fn tell_again(&mut self) {
        if self.again.elapsed() < AGAIN {
            return;
        }
        self.again = Instant::now();
        self.own.drain().for_each(|((_, scope), (keys, bounds))| keys.note(scope, bounds));
    }

    /// Tells what became of requests.
    async fn tell(&mut self, keys: &Arc<Keys>, terms: &Arc<Terms>) -> Result<(), Away> {
        let Some(names) = Names::of(&self.link, terms) else { return Ok(()) };
        let seal = self.seal();
        for _ in 0..ROUNDS {
            let tidings = keys.tidings(TOLD, BYTES, coarse_now());
            if tidings.is_empty() {
                break;
            }
            let calls: Vec<Call> =
                tidings.iter().map(|tiding| names.tell(&self.link, tiding, terms, seal.as_ref())).collect();
            let answers = match self.link.ask_all(&calls).await {
                Ok(answers) => answers,
                Err(away) => {
                    keys.untell(tidings.into_iter().map(|tiding| tiding.scope));
                    return Err(away);
                }
            };
            let mut refused = None;
            for (tiding, answer) in tidings.iter().zip(answers) {
                match &tiding.news {
                    News::Running(_) => self.owns(keys, terms, &tiding.scope),
                    News::Free | News::Done(..) => drop(self.own.remove(&(names.1.clone(), tiding.scope))),
                }
                match (&tiding.news, answer) {
                    (News::Done(..), Ok(redis::Value::Int(1))) => count(&keys.figures.twice),
                    (_, Ok(_)) => {}
                    (_, Err(away)) => {
                        // A server that takes nothing in.
                        keys.note(tiding.scope, terms.bounds);
                        refused = Some(away);
                    }
                }
            }
            if let Some(away) = refused {
                return Err(away);
            }
        }
        Ok(())
    }

    /// Looks what became of requests that other hosts carry out.
    async fn look(&mut self) -> Result<(), Away> {
        let seal = self.seal();
        let mut left = self.joined.len();
        for _ in 0..ROUNDS {
            let some: Vec<Joined> = self.joined.drain(..left.min(LOOKED_AT)).collect();
            if some.is_empty() {
                break;
            }
            left -= some.len();
            let names: Vec<String> = some
                .iter()
                .map(|joined| {
                    Names::of(&self.link, &joined.terms)
                        .map_or_else(String::new, |names| names.key(joined.run.known_by().0))
                })
                .collect();
            let mut call = Call::new(&LOOK).arg(BYTES);
            for name in &names {
                call = call.key(name.as_str());
            }
            let answers = match self.link.ask::<Vec<(Vec<u8>, i64)>>(call).await {
                Ok(answers) => answers,
                Err(away) => {
                    self.joined.extend(some);
                    return Err(away);
                }
            };
            let hosts = self.link.standing();
            for ((mut joined, name), (text, left)) in some.into_iter().zip(names).zip(answers) {
                match (&text[..], words::read(&text, &name, seal.as_ref())) {
                    // It came to no answer, and whoever waits may send it again.
                    (b"", _) => drop(joined),
                    (b"=", _) => self.joined.push_back(joined),
                    (_, Some(Word::Running(_, host))) => {
                        let is_here = hosts.hosts.iter().any(|other| other.id == host);
                        let since = joined.gone.filter(|_| !is_here);
                        joined.gone = since.or_else(|| (!is_here).then(Instant::now));
                        match joined.gone.is_some_and(|since| since.elapsed() > GONE) {
                            true => joined.run.adopt(Err(Unkept::Elsewhere), Left::of(left).until()),
                            false => self.joined.push_back(joined),
                        }
                    }
                    (_, Some(Word::Done(print, known))) if print == *joined.run.known_by().1 => {
                        joined.run.adopt(known, Left::of(left).until());
                    }
                    _ => joined.run.adopt(Err(Unkept::Elsewhere), Left::of(left).until()),
                }
            }
        }
        Ok(())
    }

    fn seal(&self) -> Option<Seal> {
        Seal::of(&*self.link.sharing()?, "idempotency")
    }
}

/// What keys of a rule are called in the server.
struct Names(String, Arc<str>);

impl Names {
    /// `None`: nothing of it is shared.
    fn of(link: &Link, terms: &Terms) -> Option<Self> {
        let rule = terms.shared.as_ref()?;
        link.sharing()?;
        Some(Self(link.key(&format!("once:{rule}:")), rule.clone()))
    }

    fn key(&self, scope: &Scope) -> String {
        format!("{}{}", self.0, hex(scope))
    }

    fn of_all(&self, what: &str) -> String {
        format!("{}{what}", self.0)
    }

    fn claim(&self, link: &Link, (scope, print): (&Scope, &Print), terms: &Terms) -> Call {
        let call = Call::new(&CLAIM).key(self.key(scope)).key(self.of_all("all")).arg(link.id()).arg(&print[..]);
        call.arg(millis(terms.ttl.max(UNDER_WAY))).arg(terms.bounds.max_keys).arg(u8::from(!terms.bounds.forgets))
    }

    fn tell(&self, link: &Link, tiding: &Tiding, terms: &Terms, seal: Option<&Seal>) -> Call {
        let (name, host) = (self.key(&tiding.scope), link.id());
        let (text, left) = match &tiding.news {
            News::Running(print) => return self.claim(link, (&tiding.scope, print), terms),
            News::Free => (Vec::new(), Duration::ZERO),
            News::Done(print, left, known) => (words::write((&name, host), print, known, (seal, LARGEST)), *left),
        };
        let call =
            Call::new(&TELL).key(name).key(self.of_all("all")).key(self.of_all("answers")).key(self.of_all("bytes"));
        let call = call.arg(host).arg(text).arg(millis(left)).arg(hex(&tiding.scope)).arg(terms.bounds.max_keys);
        call.arg(u8::from(!terms.bounds.forgets)).arg(terms.bounds.memory).arg(self.0.as_str())
    }
}

/// For how long something stands in the server.
struct Left(Duration);

impl Left {
    fn of(millis: i64) -> Self {
        // The longest that a rule knows keys is a month.
        Self(Duration::from_millis(millis.clamp(1, 1 << 40).unsigned_abs()))
    }

    fn until(&self) -> Duration {
        coarse_now().saturating_add(self.0)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn count(what: &AtomicU64) {
    what.fetch_add(1, Ordering::Relaxed);
}

fn unclear(error: impl std::fmt::Display) -> Away {
    Away(format!("what it says makes no sense: {error}"))
}
