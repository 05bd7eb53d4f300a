//! What a process hands to the one that follows it, and what that one says in return.
//!
//! The old process makes a pair of Unix sockets and starts the new one with its end as standard input. It sends a [`Letter`] with
//! the descriptors that it names; the new one says [`Answer::Ready`] once it accepts, or [`Answer::Failed`]. The pair stays
//! open: its end is how the old one learns that the new one died while both are there.

use super::sockets::DoorText;
use crate::gateway::issuer::Endpoints;
use crate::net::parcel;
use crate::tls::KeptRing;
use crate::upstream::LiveText;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// The variable that tells a process that it is handed something.
const VARIABLE: &str = "RINGWAY_HANDOVER";
/// The version of what is handed over. A process that knows another one starts as if there was nothing.
const VERSION: u32 = 1;
/// How long a process may take to read, compile and start what it was handed.
const START: Duration = Duration::from_secs(60);
/// How long either side may take no byte.
const STALL: Duration = Duration::from_secs(10);

/// What is handed over, beside the descriptors that it names in their order: the slots of the doors, then where operators come in.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Letter {
    version: u32,
    /// Who hands over.
    pub pid: u32,
    /// The number of the plan in force.
    pub plan: u64,
    /// What is listened on.
    pub doors: Vec<DoorText>,
    /// Whether the admin listener's descriptor comes behind those of the doors.
    pub admin: bool,
    /// Whether the admin socket's comes behind that.
    #[serde(default)]
    pub admin_socket: bool,
    /// What operators have overridden, as its text form has it.
    #[serde(default)]
    pub overrides: Option<String>,
    /// Who is banned, likewise.
    #[serde(default)]
    pub bans: Option<String>,
    /// What was found of targets, likewise.
    #[serde(default)]
    pub discovered: Option<String>,
    /// The keys of tickets.
    pub rings: Vec<KeptRing>,
    /// How targets are by their checks.
    pub targets: Vec<TargetText>,
    /// Where clients belong, in pools that are sticky by a table.
    #[serde(default)]
    pub sticky: Vec<TableText>,
    /// How they are by live traffic.
    #[serde(default)]
    pub live: Vec<LiveTarget>,
    /// How often clients came, by listeners that limit that.
    #[serde(default)]
    pub guards: Vec<GuardText>,
    /// How often requests came, by rules that limit that.
    #[serde(default)]
    pub rules: Vec<GuardText>,
    /// What this host has of limits that hosts share.
    #[serde(default)]
    pub limits: Option<String>,
    /// What is known of issuers of tokens.
    #[serde(default)]
    pub issuers: Vec<IssuerText>,
    /// Processes from before that still serve their last connections, the oldest first.
    pub elders: Vec<u32>,
    /// Whether the process before has set the filter of system calls, which goes on.
    #[serde(default)]
    pub confined: bool,
}

/// What operators have said, and where they come in.
#[derive(Debug, Default)]
pub struct Operators {
    /// The admin listener.
    pub tcp: Option<OwnedFd>,
    /// The admin socket.
    pub socket: Option<OwnedFd>,
    /// What they have overridden.
    pub overrides: Option<String>,
    /// Whom they have banned.
    pub bans: Option<String>,
    /// What was found of targets.
    pub discovered: Option<String>,
}

/// How a target is by its checks.
#[derive(Debug, Serialize, Deserialize)]
pub struct TargetText {
    /// Its pool's name.
    pub pool: String,
    /// Its address as text.
    pub target: String,
    /// Whether the last check left it up.
    pub up: bool,
    /// What its agent has said, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentText>,
}

/// What an agent has said of a target and not taken back.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentText {
    /// That it is down.
    pub down: bool,
    /// That it gets no new work.
    pub drain: bool,
    /// That it is left alone.
    pub maintenance: bool,
    /// Its weight in percent of the configured one.
    pub percent: Option<u32>,
    /// How much it takes at a time.
    pub limit: Option<u32>,
}

/// Where the clients of a pool belong.
#[derive(Debug, Serialize, Deserialize)]
pub struct TableText {
    /// The pool's name.
    pub pool: String,
    /// What the keys of its entries are made of.
    pub under: String,
    /// The entries in a binary form, in base64.
    pub entries: String,
}

/// How often the clients of a listener came, or the requests that a rule counts.
#[derive(Debug, Serialize, Deserialize)]
pub struct GuardText {
    /// The listener's name, or the rule's.
    pub listener: String,
    /// What makes a client or a key there.
    pub under: String,
    /// The clients in a binary form, in base64.
    pub clients: String,
}

/// What is known of an issuer of tokens.
#[derive(Debug, Serialize, Deserialize)]
pub struct IssuerText {
    /// Where it was fetched.
    pub url: String,
    /// Whether the issuer says itself where its keys are.
    pub says_itself: bool,
    /// The authorities that its certificate was checked by.
    pub ca: Option<PathBuf>,
    /// When, in seconds since 1970.
    pub answered: u64,
    /// Where it is asked.
    pub endpoints: Endpoints,
    /// Its keys, as it gave them out.
    pub keys: String,
}

/// How a target is by live traffic.
#[derive(Debug, Serialize, Deserialize)]
pub struct LiveTarget {
    /// Its pool's name.
    pub pool: String,
    /// Its address as text.
    pub target: String,
    /// What is known of it.
    pub live: LiveText,
}

/// What the new process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It accepts. The doors, by their place in the letter, that it has no use for.
    Ready {
        /// Their places.
        spare: Vec<usize>,
    },
    /// It cannot start; why.
    Failed(String),
    /// The process before is not needed any more, whatever comes: this one ends as it was told to, or has handed over in turn.
    Farewell,
}

/// What a new process was handed.
#[derive(Debug)]
pub struct Inheritance {
    stream: UnixStream,
    /// What it says.
    pub letter: Letter,
    /// The descriptors.
    pub descriptors: Vec<OwnedFd>,
}

impl Letter {
    /// An empty one of this process.
    pub fn new() -> Self {
        Self { version: VERSION, pid: std::process::id(), ..Self::default() }
    }
}

impl Inheritance {
    /// What this process was handed, if anything. Blocks until it is there.
    pub fn take() -> Result<Option<Self>, String> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        let failed = |error: io::Error| format!("what the process before hands over does not arrive: {error}");
        let stream = parcel::take_stdin().map_err(failed)?;
        stream.set_read_timeout(Some(STALL)).map_err(failed)?;
        stream.set_write_timeout(Some(STALL)).map_err(failed)?;
        let (text, descriptors) = parcel::receive(&stream).map_err(failed)?;
        let letter: Letter = serde_json::from_slice(&text)
            .map_err(|error| format!("what the process before hands over cannot be read: {error}"))?;
        if letter.version != VERSION {
            let why = format!("the process before hands over in version {}, this one knows {VERSION}", letter.version);
            answer(&stream, &Answer::Failed(why.clone())).map_err(failed)?;
            return Err(format!("{why}: start it anew instead"));
        }
        Ok(Some(Self { stream, letter, descriptors }))
    }

    /// The letter, the descriptors, and the end on which the process before listens.
    pub fn open(self) -> (Letter, Vec<OwnedFd>, UnixStream) {
        (self.letter, self.descriptors, self.stream)
    }

    /// Another hold on the end on which the process before listens.
    pub fn share(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// Says that this process cannot start.
    pub fn fail(&self, why: &str) {
        // Its end tells as much.
        let _ = answer(&self.stream, &Answer::Failed(why.to_owned()));
    }
}

/// Says something to the process before.
pub fn answer(to: &UnixStream, answer: &Answer) -> io::Result<()> {
    let text = serde_json::to_vec(answer)?;
    parcel::send(to, &text, &[])
}

/// The old process's side of a new one.
#[derive(Debug)]
pub struct Successor {
    stream: UnixStream,
    /// The end that the new process is started with, until it is.
    theirs: Option<UnixStream>,
}

impl Successor {
    /// A pair of ends.
    pub fn new() -> io::Result<Self> {
        let (stream, theirs) = UnixStream::pair()?;
        stream.set_write_timeout(Some(STALL))?;
        stream.set_read_timeout(Some(START))?;
        Ok(Self { stream, theirs: Some(theirs) })
    }

    /// Makes `command` start with the other end.
    pub fn prepare(&mut self, command: &mut tokio::process::Command) {
        if let Some(theirs) = self.theirs.take() {
            command.stdin(OwnedFd::from(theirs)).env(VARIABLE, VERSION.to_string());
        }
    }

    /// Hands over, and waits until the new process accepts; returns the doors that it has no use for. Blocks.
    pub fn hand_over(&self, letter: &Letter, descriptors: &[OwnedFd]) -> Result<Vec<usize>, String> {
        let text = serde_json::to_vec(letter).map_err(|error| error.to_string())?;
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        parcel::send(&self.stream, &text, &borrowed)
            .map_err(|error| format!("the new process does not take what it is handed: {error}"))?;
        match self.listen() {
            Ok(Answer::Ready { spare }) => Ok(spare),
            Ok(Answer::Failed(why)) => Err(why),
            Ok(Answer::Farewell) => Err("the new process was told to end while it started".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err("the new process ended before it was ready; the log says why".to_owned())
            }
            Err(error) => Err(format!("the new process is not ready in {START:?}: {error}")),
        }
    }

    /// Waits until the new process ends; returns whether it said so before. Blocks.
    pub fn outlive(&self) -> bool {
        if self.stream.set_read_timeout(None).is_err() {
            return true;
        }
        matches!(self.listen(), Ok(Answer::Farewell))
    }

    /// Another hold on it.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, theirs: None })
    }

    /// Ends a wait for it.
    pub fn hang_up(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    fn listen(&self) -> io::Result<Answer> {
        let (text, _) = parcel::receive(&self.stream)?;
        serde_json::from_slice(&text).map_err(io::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_arrives_and_the_answer_comes_back() {
        let mut successor = Successor::new().unwrap();
        let theirs = successor.theirs.take().unwrap();
        let new = std::thread::spawn(move || {
            let (text, descriptors) = parcel::receive(&theirs).unwrap();
            let letter: Letter = serde_json::from_slice(&text).unwrap();
            answer(&theirs, &Answer::Ready { spare: vec![3] }).unwrap();
            answer(&theirs, &Answer::Farewell).unwrap();
            (letter, descriptors.len())
        });
        let (file, _other) = UnixStream::pair().unwrap();
        let letter = Letter { plan: 7, elders: vec![1], ..Letter::new() };
        assert_eq!(successor.hand_over(&letter, &[file.into()]).unwrap(), [3]);
        assert!(successor.outlive());
        let (letter, descriptors) = new.join().unwrap();
        assert_eq!((letter.version, letter.plan, letter.elders, descriptors), (VERSION, 7, vec![1], 1));
    }

    #[test]
    fn a_new_process_that_dies_or_refuses_is_told_of() {
        let mut successor = Successor::new().unwrap();
        drop(successor.theirs.take());
        assert!(successor.hand_over(&Letter::new(), &[]).is_err());
        assert!(!successor.outlive());
        let mut successor = Successor::new().unwrap();
        let theirs = successor.theirs.take().unwrap();
        answer(&theirs, &Answer::Failed("no pool".into())).unwrap();
        assert_eq!(successor.hand_over(&Letter::new(), &[]).unwrap_err(), "no pool");
    }
}
