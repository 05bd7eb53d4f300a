use super::checksum::crc32c;
use super::*;
use std::net::SocketAddr;

fn told(source: &str, destination: &str) -> Told {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    Told::Addresses { source: address(source), destination: address(destination) }
}

/// A header of version 2.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

/// Addresses 203.0.113.7:1234 and 127.0.0.1:80.
const V4: [u8; 12] = [203, 0, 113, 7, 127, 0, 0, 1, 4, 210, 0, 80];

fn with(extensions: &[u8]) -> Vec<u8> {
    binary(0x21, 0x11, &[&V4[..], extensions].concat())
}

/// A header with its checksum at the end.
fn sealed(extensions: &[u8]) -> Vec<u8> {
    let mut header = with(&[extensions, &[3, 0, 4, 0, 0, 0, 0]].concat());
    let sum = crc32c(&[&header]).to_be_bytes();
    let place = header.len() - 4;
    header[place..].copy_from_slice(&sum);
    header
}

#[test]
fn lines_of_version_1_are_read() {
    for (line, expected) in [
        ("PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\r\n", told("203.0.113.7:1234", "127.0.0.1:80")),
        ("PROXY TCP4 203.0.113.7 127.0.0.1 0 65535\r\n", told("203.0.113.7:0", "127.0.0.1:65535")),
        ("PROXY TCP6 2001:db8::7 ::1 1234 80\r\n", told("[2001:db8::7]:1234", "[::1]:80")),
        ("PROXY TCP6 ::ffff:203.0.113.7 ::1 1234 80\r\n", told("203.0.113.7:1234", "[::1]:80")),
        ("PROXY UNKNOWN\r\n", Told::Nobody),
        ("PROXY UNKNOWN ffff::1 what\u{e9}ver 99999\r\n", Told::Nobody),
    ] {
        let bytes = [line.as_bytes(), b"GET /\r\n"].concat();
        assert_eq!(read(&bytes), Ok(Read::Whole(line.len(), expected)), "{line:?}");
        for end in 0..line.len() {
            assert_eq!(read(&bytes[..end]), Ok(Read::Partial), "{line:?} to {end}");
        }
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 16));
    assert_eq!(read(longest.as_bytes()), Ok(Read::Whole(107, Told::Nobody)));
}

#[test]
fn lines_that_are_not_what_the_standard_says_are_refused() {
    for line in [
        "PROXY TCP4 999.1.1.1 127.0.0.1 1234 80\r\n",
        "PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\n",
        "PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\rx",
        "PROXY TCP4 203.0.113.7 127.0.0.1 1234 00080\r\n",
        "PROXY TCP4 203.0.113.7 127.0.0.1 1234 65536\r\n",
        "PROXY TCP4 203.0.113.7 127.0.0.1 +1234 80\r\n",
        "PROXY TCP4 203.0.113.7 127.0.0.1 1234\r\n",
        "PROXY TCP4 203.0.113.7 127.0.0.1 1234 80 \r\n",
        "PROXY TCP4  203.0.113.7 127.0.0.1 1234 80\r\n",
        "PROXY TCP4 203.0.113.7 127.0.0.1  1234 80\r\n",
        "PROXY TCP4 2001:db8::7 ::1 1234 80\r\n",
        "PROXY TCP6 203.0.113.7 127.0.0.1 1234 80\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1234 80\r\n",
        "PROXY tcp4 203.0.113.7 127.0.0.1 1234 80\r\n",
        "PROXY UDP4 203.0.113.7 127.0.0.1 1234 80\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
    ] {
        assert_eq!(read(line.as_bytes()), Err(Malformed::Line), "{line:?}");
    }
    for long in [format!("PROXY UNKNOWN {}", "x".repeat(200)), format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 15))] {
        assert_eq!(read(long.as_bytes()), Err(Malformed::LongLine));
    }
}

#[test]
fn what_is_no_header_is_left_alone() {
    for bytes in ["GET / HTTP/1.1\r\n", "PUT / HTTP/1.1\r\n", "proxy TCP4", "PROXY\tTCP4", "\r\nGET /", "\x16\x03\x01"]
    {
        assert_eq!(read(bytes.as_bytes()), Ok(Read::Nothing), "{bytes:?}");
    }
    assert_eq!(read(b"\r\n\r\n\0\r\nQUITGET /"), Ok(Read::Nothing));
    assert_eq!(read(b""), Ok(Read::Partial));
}

#[test]
fn headers_of_version_2_are_read() {
    let v6 = [&[0x20; 15][..], &[7], &[0; 15], &[1], &[4, 210, 0, 80]].concat();
    let seven = "[2020:2020:2020:2020:2020:2020:2020:2007]:1234";
    let mapped = [&[0; 10][..], &[255, 255, 203, 0, 113, 7], &[0; 15], &[1], &[4, 210, 0, 80]].concat();
    for (header, expected) in [
        (with(&[]), told("203.0.113.7:1234", "127.0.0.1:80")),
        (binary(0x21, 0x12, &V4), told("203.0.113.7:1234", "127.0.0.1:80")),
        (binary(0x21, 0x21, &v6), told(seven, "[::1]:80")),
        (binary(0x21, 0x22, &v6), told(seven, "[::1]:80")),
        (binary(0x21, 0x21, &mapped), told("203.0.113.7:1234", "[::1]:80")),
        (binary(0x21, 0x31, &[b'x'; 216]), Told::Nobody),
        (binary(0x21, 0x32, &[0; 216]), Told::Nobody),
        (binary(0x21, 0x00, &[]), Told::Nobody),
        (binary(0x21, 0x00, &[1, 2]), Told::Nobody),
        (binary(0x20, 0x00, &[]), Told::Nobody),
        (binary(0x20, 0x11, &V4), Told::Nobody),
        (binary(0x20, 0xff, &[9; 3]), Told::Nobody),
        (with(&[1, 0, 2, b'h', b'2', 4, 0, 0]), told("203.0.113.7:1234", "127.0.0.1:80")),
        (with(&[0x20, 0, 10, 1, 0, 0, 0, 0, 0x21, 0, 2, b'1', b'3']), told("203.0.113.7:1234", "127.0.0.1:80")),
        (sealed(&[2, 0, 1, b'a']), told("203.0.113.7:1234", "127.0.0.1:80")),
        (with(&[[0x04, 0x1f, 0x00].to_vec(), vec![0; 0x1f00]].concat()), told("203.0.113.7:1234", "127.0.0.1:80")),
    ] {
        let bytes = [&header[..], b"\x16\x03\x01"].concat();
        assert_eq!(read(&bytes), Ok(Read::Whole(header.len(), expected)), "{header:?}");
        for end in 0..header.len() {
            assert_eq!(read(&bytes[..end]), Ok(Read::Partial), "{header:?} to {end}");
        }
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let mut other = sealed(&[2, 0, 1, b'a']);
    other[16] ^= 1;
    for (header, fault) in [
        (binary(0x31, 0x11, &V4), Malformed::Version),
        (binary(0x11, 0x11, &V4), Malformed::Version),
        (binary(0x22, 0x11, &V4), Malformed::Command),
        (binary(0x21, 0x10, &V4), Malformed::Family),
        (binary(0x21, 0x13, &V4), Malformed::Family),
        (binary(0x21, 0x41, &V4), Malformed::Family),
        (binary(0x21, 0x11, &V4[..4]), Malformed::Addresses),
        (binary(0x21, 0x21, &V4), Malformed::Addresses),
        (binary(0x21, 0x31, &[0; 215]), Malformed::Addresses),
        (binary(0x21, 0x11, &[0; LONGEST]), Malformed::Length),
        (with(&[1]), Malformed::Extensions),
        (with(&[1, 0]), Malformed::Extensions),
        (with(&[1, 0, 1]), Malformed::Extensions),
        (with(&[1, 0, 2, b'h', b'2', 4, 1, 0]), Malformed::Extensions),
        (with(&[3, 0, 3, 0, 0, 0]), Malformed::Extensions),
        (with(&[0x20, 0, 4, 1, 0, 0, 0]), Malformed::Extensions),
        (with(&[0x20, 0, 8, 1, 0, 0, 0, 0, 0x21, 0, 1]), Malformed::Extensions),
        (with(&[&[2, 1, 0][..], &[b'a'; 256]].concat()), Malformed::Extensions),
        (with(&[&[5, 0, 129][..], &[b'a'; 129]].concat()), Malformed::Extensions),
        (sealed(&[3, 0, 4, 0, 0, 0, 0]), Malformed::Extensions),
        (other, Malformed::Checksum),
    ] {
        assert_eq!(read(&header), Err(fault), "{header:?}");
    }
}

#[test]
fn no_input_is_read_beyond_its_end_or_in_two_ways() {
    let mut random = fastrand::Rng::with_seed(8);
    let seeds = [
        b"PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\r\nGET /".to_vec(),
        b"PROXY TCP6 2001:db8::7 ::ffff:1.2.3.4 1 2\r\n".to_vec(),
        b"PROXY UNKNOWN and more\r\n".to_vec(),
        [with(&[1, 0, 2, b'h', b'2', 4, 0, 0]), b"GET /".to_vec()].concat(),
        sealed(&[0x20, 0, 10, 1, 0, 0, 0, 0, 0x21, 0, 2, b'1', b'3']),
        binary(0x21, 0x21, &[7; 80]),
        binary(0x20, 0, &[]),
    ];
    let (mut whole, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let mut bytes = seeds[random.usize(..seeds.len())].clone();
        for _ in 0..random.usize(..4) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] ^= 1 << random.u8(..8),
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, random.u8(..)),
            }
        }
        let result = read(&bytes);
        // What is said of all of it agrees with what is said of its parts.
        for _ in 0..4 {
            let part = read(&bytes[..random.usize(..=bytes.len())]);
            match (part, result) {
                (Ok(Read::Partial), _) => {}
                (Ok(Read::Whole(..) | Read::Nothing) | Err(_), result) => assert_eq!(part, result, "{bytes:?}"),
            }
        }
        match result {
            Ok(Read::Whole(length, _)) => {
                whole += 1;
                assert!(length <= bytes.len() && length <= LONGEST, "{bytes:?}");
                assert_eq!(read(&bytes[..length]), result);
                assert_eq!(read(&bytes[..length - 1]), Ok(Read::Partial));
            }
            Err(_) => refused += 1,
            _ => {}
        }
    }
    assert!(whole > 10_000 && refused > 10_000, "{whole} {refused}");
}

#[test]
fn what_is_written_is_read_as_it_was_meant() {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let tls = Tls { version: "1.3", cipher: "TLS_X", certificate: true, resumed: false, common_name: Some("ann") };
    for (source, destination) in [
        ("203.0.113.7:1234", "127.0.0.1:80"),
        ("[2001:db8::7]:1234", "[::1]:80"),
        ("203.0.113.7:0", "[::1]:65535"),
        ("[2001:db8::7]:1", "127.0.0.1:2"),
        ("[::ffff:203.0.113.7]:1", "127.0.0.1:2"),
    ] {
        let (source, destination) = (address(source), address(destination));
        let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
        let expected = Told::Addresses { source: canonical(source), destination: canonical(destination) };
        let addresses = Some((source, destination));
        let plain = Announcement { addresses, ..Announcement::default() };
        let full = Announcement { name: Some(b"a.test"), alpn: Some(b"h2"), tls: Some(tls), ..plain };
        for told in [plain, full] {
            for form in [Form::Line, Form::Binary, Form::Sealed] {
                let header = told.header(form);
                let length = header.bytes().len();
                assert_eq!(read(header.bytes()), Ok(Read::Whole(length, expected)), "{told:?} {form:?}");
                assert!(length < 536, "it fits the first segment of any connection");
            }
        }
    }
    for form in [Form::Line, Form::Binary, Form::Sealed] {
        for header in [Header::ours(form), Announcement::default().header(form)] {
            assert_eq!(read(header.bytes()), Ok(Read::Whole(header.bytes().len(), Told::Nobody)), "{form:?}");
        }
    }
}

#[test]
fn what_is_told_of_tls_is_where_the_standard_has_it() {
    let tls = Tls { version: "1.2", cipher: "X", certificate: true, resumed: true, common_name: Some("ann") };
    let told = Announcement { name: Some(b"a"), alpn: Some(b"h2"), tls: Some(tls), ..Announcement::default() };
    let value = b"\x05\0\0\0\0\x21\0\x07TLSv1.2\x22\0\x03ann\x23\0\x01X";
    let rest = [&b"\x01\0\x02h2\x02\0\x01a\x20\0\x19"[..], value].concat();
    assert_eq!(told.header(Form::Binary).bytes(), binary(0x21, 0, &rest));
    let tls = Tls { certificate: false, resumed: false, common_name: None, ..tls };
    let told = Announcement { tls: Some(tls), ..Announcement::default() };
    assert_eq!(
        told.header(Form::Binary).bytes(),
        binary(0x21, 0, b"\x20\0\x13\x01\0\0\0\x01\x21\0\x07TLSv1.2\x23\0\x01X")
    );
    let long = "x".repeat(256);
    let told = Announcement { name: Some(long.as_bytes()), ..Announcement::default() };
    assert_eq!(told.header(Form::Binary).bytes(), binary(0x21, 0, &[]), "what is too long is left out");
}
