//! A server of DNS that says what it is told to say, by UDP and TCP on one port, and misbehaves in named ways.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A running server; dropping it ends it.
pub struct Nameserver {
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Well,
    /// With this response code (RFC 1035 §4.1.1).
    Code(u8),
    /// Not at all.
    Silent,
    /// With bytes that are no answer.
    Garbage,
    /// Under another number than the question's.
    OtherNumber,
    /// With an address of another name.
    OtherName,
    /// With a name that is an alias of itself.
    Loop,
}

/// What happens to an answer that does not fit into a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncated {
    /// It has what fits.
    #[default]
    Partial,
    /// It has nothing.
    Empty,
}

/// One record.
#[derive(Clone, Debug)]
pub enum Record {
    Address(IpAddr),
    Service { priority: u16, weight: u16, port: u16, target: String },
}

/// A question that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub name: String,
    pub tcp: bool,
    pub edns: bool,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    asked: Mutex<Vec<Asked>>,
    ended: AtomicBool,
}

#[derive(Default)]
struct State {
    names: HashMap<String, (u32, Vec<Record>)>,
    mood: Mood,
    refuses_edns: bool,
    refuses_tcp: bool,
    truncated: Truncated,
    shuffles: bool,
    /// Whether addresses of services come along.
    additional: bool,
}

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const OPT: u16 = 41;

impl Nameserver {
    pub fn start() -> Nameserver {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let (address, inner) = (udp.local_addr().unwrap(), Arc::new(Inner::default()));
        udp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let by_udp = inner.clone();
        thread::spawn(move || by_udp.serve(&udp));
        let by_tcp = inner.clone();
        thread::spawn(move || {
            for stream in tcp.incoming().map_while(Result::ok) {
                if by_tcp.ended.load(Ordering::SeqCst) {
                    return;
                }
                let inner = by_tcp.clone();
                thread::spawn(move || inner.talk(stream));
            }
        });
        Nameserver { address, inner }
    }

    /// `[dns]` with this server alone, which gets little time.
    pub fn config(&self) -> String {
        format!("\n[dns]\nservers = [\"{}\"]\ntimeout = \"500ms\"\nattempts = 1\n", self.address)
    }

    /// A name has these addresses from now on; none: there is no such name.
    pub fn addresses(&self, name: &str, ttl: u32, addresses: &[IpAddr]) {
        self.records(name, ttl, addresses.iter().copied().map(Record::Address).collect());
    }

    /// A service has these records: priority, weight, port, name.
    pub fn services(&self, name: &str, ttl: u32, services: &[(u16, u16, u16, &str)]) {
        let record = |&(priority, weight, port, target): &(u16, u16, u16, &str)| Record::Service {
            priority,
            weight,
            port,
            target: target.to_owned(),
        };
        self.records(name, ttl, services.iter().map(record).collect());
    }

    fn records(&self, name: &str, ttl: u32, records: Vec<Record>) {
        let mut state = self.inner.state.lock().unwrap();
        match records.is_empty() {
            true => drop(state.names.remove(name)),
            false => drop(state.names.insert(name.to_owned(), (ttl, records))),
        }
    }

    /// It answers like this from now on.
    pub fn is(&self, mood: Mood) {
        self.inner.state.lock().unwrap().mood = mood;
    }

    pub fn refuses_edns(&self, refuses: bool) {
        self.inner.state.lock().unwrap().refuses_edns = refuses;
    }

    pub fn refuses_tcp(&self, refuses: bool) {
        self.inner.state.lock().unwrap().refuses_tcp = refuses;
    }

    pub fn truncates(&self, how: Truncated) {
        self.inner.state.lock().unwrap().truncated = how;
    }

    /// Records come in another order each time.
    pub fn shuffles(&self) {
        self.inner.state.lock().unwrap().shuffles = true;
    }

    /// Addresses of services come along with them, or not.
    pub fn tells_more(&self, tells: bool) {
        self.inner.state.lock().unwrap().additional = tells;
    }

    /// The questions so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// How often a name was asked for.
    pub fn asked_for(&self, name: &str) -> usize {
        self.inner.asked.lock().unwrap().iter().filter(|asked| asked.name == name).count()
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.inner.ended.store(true, Ordering::SeqCst);
        // Wakes the one that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Inner {
    fn serve(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while !self.ended.load(Ordering::SeqCst) {
            let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(answer) = self.answer(&buffer[..length], false) {
                let _ = socket.send_to(&answer, peer);
            }
        }
    }

    fn talk(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        loop {
            let mut length = [0; 2];
            if self.state.lock().unwrap().refuses_tcp || stream.read_exact(&mut length).is_err() {
                return;
            }
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut question).is_err() || self.state.lock().unwrap().refuses_tcp {
                return;
            }
            let Some(answer) = self.answer(&question, true) else { return };
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            if stream.write_all(&[&length[..], &answer].concat()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let (name, kind, end) = read_question(question)?;
        let payload = payload(question, end);
        self.asked.lock().unwrap().push(Asked { name: name.clone(), tcp, edns: payload.is_some() });
        let state = self.state.lock().unwrap();
        let code = match state.mood {
            Mood::Silent => return None,
            Mood::Garbage => return Some(vec![0xff; 40]),
            Mood::Code(code) => code,
            Mood::OtherNumber | Mood::OtherName | Mood::Loop => 0,
            Mood::Well if state.refuses_edns && payload.is_some() => 1,
            Mood::Well if state.names.contains_key(&name) => 0,
            Mood::Well => 3,
        };
        let found = state.names.get(&name).filter(|_| code == 0);
        let (ttl, mut records) = found.cloned().unwrap_or_default();
        records.retain(|record| record.kind() == kind);
        if state.shuffles {
            fastrand::shuffle(&mut records);
        }
        let mut answers: Vec<Vec<u8>> = records.iter().map(|record| record.encode(&name, ttl)).collect();
        match state.mood {
            Mood::OtherName => {
                answers = vec![Record::Address(Ipv4Addr::new(203, 0, 113, 66).into()).encode("other.test", 1)]
            }
            Mood::Loop => answers = vec![record(&name, CNAME, 1, &labels(&name))],
            _ => {}
        }
        let mut beside = Vec::new();
        if state.additional {
            for target in records.iter().filter_map(Record::target) {
                let own = state.names.get(target).map(|(_, own)| own.as_slice()).unwrap_or_default();
                beside.extend(own.iter().map(|record| record.encode(target, ttl)));
            }
        }
        let most = if tcp { 65_535 } else { payload.unwrap_or(512).max(512) };
        let size = |parts: &[Vec<u8>]| parts.iter().map(Vec::len).sum::<usize>();
        let mut truncated = false;
        while end + size(&answers) + size(&beside) > most && beside.pop().is_some() {}
        while end + size(&answers) > most {
            truncated = true;
            match state.truncated {
                Truncated::Partial => drop(answers.pop()),
                Truncated::Empty => answers.clear(),
            }
        }
        let mut message = question[..end].to_vec();
        if state.mood == Mood::OtherNumber {
            message[0] ^= 0xff;
        }
        message[2] = 0x84 | (question[2] & 1) | if truncated { 2 } else { 0 };
        message[3] = 0x80 | code;
        message[6..8].copy_from_slice(&(answers.len() as u16).to_be_bytes());
        message[8..10].fill(0);
        message[10..12].copy_from_slice(&(beside.len() as u16).to_be_bytes());
        message.extend(answers.concat());
        message.extend(beside.concat());
        Some(message)
    }
}

impl Record {
    fn kind(&self) -> u16 {
        match self {
            Record::Address(IpAddr::V4(_)) => A,
            Record::Address(IpAddr::V6(_)) => AAAA,
            Record::Service { .. } => SRV,
        }
    }

    fn target(&self) -> Option<&str> {
        match self {
            Record::Service { target, .. } => Some(target),
            Record::Address(_) => None,
        }
    }

    fn encode(&self, name: &str, ttl: u32) -> Vec<u8> {
        let data = match self {
            Record::Address(IpAddr::V4(ip)) => ip.octets().to_vec(),
            Record::Address(IpAddr::V6(ip)) => ip.octets().to_vec(),
            Record::Service { priority, weight, port, target } => {
                let numbers = [priority, weight, port].map(|number| number.to_be_bytes());
                [&numbers.concat()[..], &labels(target)].concat()
            }
        };
        record(name, self.kind(), ttl, &data)
    }
}

/// A record on the wire.
fn record(name: &str, kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut record = labels(name);
    record.extend(kind.to_be_bytes());
    record.extend(1u16.to_be_bytes());
    record.extend(ttl.to_be_bytes());
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

/// A name on the wire, uncompressed.
fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// The name and type that are asked for, and where the question ends.
fn read_question(message: &[u8]) -> Option<(String, u16, usize)> {
    let (mut at, mut name) = (12, Vec::new());
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        name.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
    Some((name.join("."), kind, at + 4))
}

/// The size of a datagram that may be sent back; `None`: EDNS is not spoken (RFC 6891).
fn payload(message: &[u8], end: usize) -> Option<usize> {
    let rest = message.get(end..)?;
    (rest.len() >= 11 && rest[0] == 0 && rest[1..3] == OPT.to_be_bytes())
        .then(|| usize::from(u16::from_be_bytes([rest[3], rest[4]])))
}
