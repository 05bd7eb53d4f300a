//! Datagrams there and back, each a question as DNS has it (RFC 1035) whose answer must hold it: the load that sends each
//! socket's next one when the last has been answered, or all at a fixed rate whether or not answers came.

use crate::wait::wait;
use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Arguments of `bench datagrams`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Proxy.
    #[arg(long)]
    pub address: SocketAddr,
    /// Sockets, each a client of its own port.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Questions a second over all sockets; 0: as many as are answered, one at a time on each socket.
    #[arg(long, default_value_t = 0.0)]
    pub rate: f64,
    /// Seconds.
    #[arg(long, default_value_t = 5.0)]
    pub duration: f64,
}

/// An answer that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same where nothing else is sent before it has come.
const PATIENCE_IN_TURN: Duration = Duration::from_secs(1);
/// The most that is sent at a time, so that answers are received in between.
const BATCH: usize = 64;
/// Where the questions of a message begin (RFC 1035 §4.1.1).
const HEAD: usize = 12;

struct Client {
    socket: UdpSocket,
    next: u16,
    /// What is not answered yet, the oldest first.
    waiting: VecDeque<(u16, Instant)>,
}

struct Load {
    clients: Vec<Client>,
    times: Histogram<u64>,
    sent: u64,
    answers: u64,
    lost: u64,
    wrong: u64,
    question: Vec<u8>,
}

/// Runs it and prints how many questions were answered; fails if any was not, or got another one's answer.
pub fn run(args: Args) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut load = Load::new(&args)?;
    for (place, client) in load.clients.iter().enumerate() {
        poll.registry().register(&mut SourceFd(&client.socket.as_raw_fd()), Token(place), Interest::READABLE)?;
    }
    let paced = args.rate > 0.0;
    let patience = if paced { PATIENCE } else { PATIENCE_IN_TURN };
    if !paced {
        (0..load.clients.len()).for_each(|place| load.ask(place));
    }
    let mut events = Events::with_capacity(1024);
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(args.duration);
    let mut looked = start;
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        let mut pause = Duration::from_millis(50);
        if paced {
            let due = ((now - start).as_secs_f64() * args.rate) as u64;
            for _ in 0..BATCH.min(due.saturating_sub(load.sent) as usize) {
                load.ask(load.sent as usize % load.clients.len());
            }
            pause = if load.sent < due { Duration::ZERO } else { Duration::from_micros(500) };
        }
        wait(&mut poll, &mut events, Some(pause))?;
        for event in &events {
            load.receive(event.token().0, !paced);
        }
        if now - looked > Duration::from_millis(200) {
            looked = now;
            load.give_up(patience, !paced);
        }
    }
    let last = Instant::now() + patience;
    while load.clients.iter().any(|client| !client.waiting.is_empty()) && Instant::now() < last {
        wait(&mut poll, &mut events, Some(Duration::from_millis(50)))?;
        events.iter().for_each(|event| load.receive(event.token().0, false));
    }
    load.give_up(Duration::ZERO, false);
    load.tell()
}

impl Load {
    fn new(args: &Args) -> Result<Self> {
        let any = if args.address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let client = |_| {
            let socket = UdpSocket::bind(any)?;
            socket.connect(args.address)?;
            socket.set_nonblocking(true)?;
            Ok(Client { socket, next: 0, waiting: VecDeque::new() })
        };
        let clients = (0..args.connections.max(1)).map(client).collect::<Result<_>>()?;
        let times = Histogram::new_with_max(PATIENCE.as_micros() as u64, 2)?;
        // The name bench.test, of the class Internet, for an IPv4 address.
        let mut question = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend_from_slice(b"\x05bench\x04test\0\0\x01\0\x01");
        Ok(Self { clients, times, sent: 0, answers: 0, lost: 0, wrong: 0, question })
    }

    fn ask(&mut self, place: usize) {
        let client = &mut self.clients[place];
        client.next = client.next.wrapping_add(1);
        self.question[..2].copy_from_slice(&client.next.to_be_bytes());
        self.sent += 1;
        client.waiting.push_back((client.next, Instant::now()));
        // What the kernel does not take is not answered, and lost.
        let _ = client.socket.send(&self.question);
    }

    /// Takes the answers that have come to a socket, and asks again for each if `goes_on`.
    fn receive(&mut self, place: usize, goes_on: bool) {
        let mut room = [0; 512];
        loop {
            let client = &mut self.clients[place];
            let length = match client.socket.recv(&mut room) {
                Ok(length) => length,
                // What was refused before is not answered.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            let id = u16::from_be_bytes([room[0], room[1]]);
            let asked = client.waiting.iter().position(|(waiting, _)| *waiting == id);
            let whole = length >= self.question.len() && room[HEAD..self.question.len()] == self.question[HEAD..];
            let Some((_, at)) = asked.filter(|_| whole).and_then(|at| client.waiting.remove(at)) else {
                self.wrong += 1;
                continue;
            };
            self.answers += 1;
            self.times.saturating_record(at.elapsed().as_micros() as u64);
            if goes_on {
                self.ask(place);
                // There is one at a time.
                return;
            }
        }
    }

    fn give_up(&mut self, patience: Duration, goes_on: bool) {
        for place in 0..self.clients.len() {
            while self.clients[place].waiting.front().is_some_and(|(_, at)| at.elapsed() >= patience) {
                self.clients[place].waiting.pop_front();
                self.lost += 1;
                if goes_on {
                    self.ask(place);
                }
            }
        }
    }

    fn tell(self) -> Result<()> {
        let Self { sent, answers, lost, wrong, times, .. } = self;
        let at = |quantile| times.value_at_quantile(quantile);
        eprintln!(
            "{sent} sent, p50 {} us, p99 {} us, p99.9 {} us, max {} us",
            at(0.5),
            at(0.99),
            at(0.999),
            times.max()
        );
        println!("{answers} answers");
        ensure!(lost == 0 && wrong == 0, "{lost} of {sent} not answered, {wrong} answers to something else");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_against(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static, rate: f64) -> Result<()> {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut room = [0; 512];
            while let Ok((length, from)) = server.recv_from(&mut room) {
                if let Some(bytes) = answer(&room[..length]) {
                    let _ = server.send_to(&bytes, from);
                }
            }
        });
        run(Args { address, connections: 4, rate, duration: 0.2 })
    }

    #[test]
    fn every_question_is_counted_with_its_own_answer() {
        run_against(|bytes| Some(bytes.to_vec()), 0.0).unwrap();
        run_against(|bytes| Some(bytes.to_vec()), 2000.0).unwrap();
        let told = run_against(|bytes| Some([&[9, 9], &bytes[2..]].concat()), 0.0).unwrap_err().to_string();
        assert!(told.contains("answers to something else"), "{told}");
        assert!(run_against(|_| None, 0.0).unwrap_err().to_string().contains("not answered"));
    }
}
