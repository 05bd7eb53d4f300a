use super::*;
use crate::net::runtime::{Backend, Driver, enter, probe};
use std::net::UdpSocket;
use std::time::Duration;

fn backends() -> Vec<Backend> {
    let (best, _) = probe(Driver::Auto).unwrap();
    if best == Backend::Epoll { vec![best] } else { vec![best, Backend::Epoll] }
}

/// On each driver: a socket bound to `ip`, and a client of it that is bound to `client`.
fn on_each(ip: &str, client: &str, test: impl AsyncFn(&Datagram, &UdpSocket, u16)) {
    for backend in backends() {
        let slot = bind_datagrams(format!("{ip}:0").parse().unwrap(), true).unwrap();
        let Address::Ip(address) = slot.address().clone() else { panic!("an IP address") };
        let client = UdpSocket::bind(format!("{client}:0")).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        enter(backend, 0, async {
            let socket = Datagram::new(&slot).unwrap();
            test(&socket, &client, address.port()).await;
        })
        .unwrap();
    }
}

/// Receives until `count` datagrams have come, as bytes with where they came from and where they were sent to.
async fn all(socket: &Datagram, count: usize) -> Vec<(Vec<u8>, SocketAddr, Local)> {
    let (mut batch, mut got) = (Batch::new(), Vec::new());
    while got.len() < count {
        socket.ready().await.unwrap();
        socket.receive(&mut batch, Batch::SIZE).unwrap();
        for piece in batch.iter() {
            let segment = if piece.segment == 0 { usize::MAX } else { piece.segment };
            match piece.bytes {
                [] => got.push((Vec::new(), piece.from, piece.to)),
                bytes => bytes.chunks(segment).for_each(|part| got.push((part.to_vec(), piece.from, piece.to))),
            }
        }
        batch.rest();
    }
    got
}

#[test]
fn datagrams_of_any_size_come_whole_and_one_by_one() {
    on_each("127.0.0.1", "127.0.0.1", async |socket, client, port| {
        let sizes = [1, 0, 65_507, 512, 0, 0, 1400, 9, 8, 65_507, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1];
        for (number, size) in sizes.into_iter().enumerate() {
            client.send_to(&vec![number as u8; size], ("127.0.0.1", port)).unwrap();
        }
        let got = all(socket, sizes.len()).await;
        for (number, (size, (bytes, from, to))) in sizes.into_iter().zip(got).enumerate() {
            assert_eq!(bytes, vec![number as u8; size], "number {number}");
            assert_eq!((from, to.ip), (client.local_addr().unwrap(), IpAddr::from([127, 0, 0, 1])));
        }
    });
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    on_each("0.0.0.0", "127.0.0.1", async |socket, client, port| {
        for asked in ["127.0.0.2", "127.0.0.1", "127.9.9.9"] {
            client.send_to(b"who?", (asked, port)).unwrap();
            let (_, from, to) = all(socket, 1).await.remove(0);
            assert_eq!(to.ip.to_string(), asked);
            socket.send_to(b"I", 0, from, to).unwrap();
            let mut room = [0; 8];
            let (_, answers) = client.recv_from(&mut room).unwrap();
            assert_eq!(answers.to_string(), format!("{asked}:{port}"));
        }
    });
    if UdpSocket::bind("[::1]:0").is_ok() {
        on_each("[::]", "[::1]", async |socket, client, port| {
            client.send_to(b"who?", ("::1", port)).unwrap();
            let (_, from, to) = all(socket, 1).await.remove(0);
            socket.send_to(b"I", 0, from, to).unwrap();
            let mut room = [0; 8];
            let (_, answers) = client.recv_from(&mut room).unwrap();
            assert_eq!((to.ip.to_string(), answers.to_string()), ("::1".to_owned(), format!("[::1]:{port}")));
        });
    }
}

#[test]
fn a_piece_is_sent_as_all_of_its_datagrams() {
    on_each("127.0.0.1", "127.0.0.1", async |socket, client, _| {
        let near = Datagram::connect(client.local_addr().unwrap(), None).unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(2500).collect();
        near.send(&bytes, 1000).unwrap();
        let (to, from) = (client.local_addr().unwrap(), Local { ip: [127, 0, 0, 1].into(), interface: 0 });
        socket.send_to(&bytes, 1000, to, from).unwrap();
        let mut room = [0; 4000];
        for _ in 0..2 {
            let mut parts = Vec::new();
            for expected in [1000, 1000, 500] {
                let length = client.recv(&mut room).unwrap();
                assert_eq!(length, expected);
                parts.extend_from_slice(&room[..length]);
            }
            assert_eq!(parts, bytes);
        }
    });
}

#[test]
fn a_target_that_is_not_there_is_told_of() {
    on_each("127.0.0.1", "127.0.0.1", async |_, _, _| {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = Datagram::connect(free, None).unwrap();
        assert_ne!(socket.port(), 0);
        socket.send(b"hello?", 0).unwrap();
        socket.ready().await.unwrap();
        let refused = socket.receive(&mut Batch::new(), 1).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn what_nobody_receives_in_time_is_counted() {
    on_each("127.0.0.1", "127.0.0.1", async |socket, client, port| {
        assert_eq!(socket.overflown(), 0);
        let sent = (0..4000).filter(|_| client.send_to(&[0; 8000], ("127.0.0.1", port)).is_ok()).count();
        assert!(sent > 3000 && socket.overflown() > 0, "{sent} {}", socket.overflown());
    });
}

#[test]
fn a_port_that_is_taken_is_found_by_the_probe() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(probe_datagrams(other.local_addr().unwrap()).unwrap_err().kind(), ErrorKind::AddrInUse);
    let first = bind_datagrams("127.0.0.1:0".parse().unwrap(), true).unwrap();
    let Address::Ip(address) = first.address().clone() else { panic!("an IP address") };
    assert!(bind_datagrams(address, true).is_ok(), "one for each worker");
    assert_eq!(bind_datagrams(address, false).err().unwrap().kind(), ErrorKind::AddrInUse);
}

#[test]
fn buffers_are_held_only_between_a_receive_and_a_rest() {
    on_each("127.0.0.1", "127.0.0.1", async |socket, client, port| {
        client.send_to(b"x", ("127.0.0.1", port)).unwrap();
        socket.ready().await.unwrap();
        let mut batch = Batch::new();
        assert_eq!(socket.receive(&mut batch, 2).unwrap(), 1);
        batch.rest();
        assert_eq!(batch.iter().count(), 0);
    });
}
