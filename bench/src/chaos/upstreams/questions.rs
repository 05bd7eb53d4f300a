//! Clients of a listener for datagrams: each asks one question after the other, each of them again until it is answered.

use anyhow::Result;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Clients.
const CLIENTS: usize = 12;
/// How long an answer may take until the question is asked again.
const PATIENCE: Duration = Duration::from_millis(400);
/// How often a question is asked.
const TIMES: usize = 10;

/// What became of the questions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Questions that were answered.
    pub answered: u64,
    /// Times that one was asked again.
    pub again: u64,
    /// Questions that nobody answered, however often they were asked.
    pub unanswered: u64,
    /// Answers that belong to another client.
    pub wrong: u64,
}

/// Asks at `address` until `end`.
pub fn run(address: SocketAddr, end: Instant) -> Result<Sum> {
    let clients: Vec<_> =
        (0..CLIENTS as u64).map(|client| std::thread::spawn(move || ask(address, client, end))).collect();
    let mut sum = Sum::default();
    for client in clients {
        let Sum { answered, again, unanswered, wrong } = crate::chaos::joined(client.join())?;
        sum.answered += answered;
        sum.again += again;
        sum.unanswered += unanswered;
        sum.wrong += wrong;
    }
    Ok(sum)
}

fn ask(address: SocketAddr, client: u64, end: Instant) -> Result<Sum> {
    let (mut sum, mut number) = (Sum::default(), 0u64);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    while Instant::now() < end {
        number += 1;
        let question = [client.to_be_bytes(), number.to_be_bytes()].concat();
        let mut times = 0;
        while !exchange(&socket, &question, &mut sum)? {
            times += 1;
            if times == TIMES {
                break;
            }
            sum.again += 1;
        }
        *(if times < TIMES { &mut sum.answered } else { &mut sum.unanswered }) += 1;
        std::thread::sleep(Duration::from_millis(fastrand::u64(1..10)));
    }
    Ok(sum)
}

/// Asks once; whether the answer came. One to a question from before may still come, and is passed over.
fn exchange(socket: &UdpSocket, question: &[u8], sum: &mut Sum) -> Result<bool> {
    // What the kernel has heard of a question before is of no interest.
    let _ = socket.send(question).or_else(|_| socket.send(question));
    let (mut answer, started) = ([0; 64], Instant::now());
    while started.elapsed() < PATIENCE {
        match socket.recv(&mut answer) {
            Ok(length) if answer[..length] == *question => return Ok(true),
            Ok(length) => sum.wrong += u64::from(length != question.len() || answer[..8] != question[..8]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
            // Where nobody receives, as between two processes, is tried again a little later.
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    Ok(false)
}
