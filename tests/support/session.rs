//! Clients of databases that say, byte by byte, no more than it takes to learn which server they came to.

use super::servers::Kind;
use super::wire::{Broken, Wire};
use std::io;

/// A session with a database, by way of Ringway or not.
pub struct Session {
    kind: Kind,
    wire: Wire,
}

impl Session {
    /// Begins one, as the user `ringway`.
    pub fn to(kind: Kind, address: &str) -> Result<Session, Broken> {
        let wire = Wire::connect(address, None).map_err(broken)?;
        let mut session = Session { kind, wire };
        match kind {
            Kind::Postgres => session.enter_postgres()?,
            Kind::MariaDb => session.enter_mariadb()?,
            Kind::Redis => {}
            Kind::Dnsmasq => unreachable!("it has no sessions"),
        }
        Ok(session)
    }

    /// The address that the server at the other end listens on.
    pub fn whose(&mut self) -> Result<String, Broken> {
        match self.kind {
            Kind::Postgres => self.ask_postgres("SELECT host(inet_server_addr())"),
            Kind::MariaDb => self.ask_mariadb("SELECT @@bind_address"),
            Kind::Redis => self.ask_redis(),
            Kind::Dnsmasq => unreachable!("it has no sessions"),
        }
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.wire.try_send(bytes).map_err(broken)
    }

    /// The PostgreSQL manual, "Frontend/Backend Protocol".
    fn enter_postgres(&mut self) -> Result<(), Broken> {
        let body = b"\0\x03\0\0user\0ringway\0database\0postgres\0\0";
        self.say(&[&(body.len() as u32 + 4).to_be_bytes()[..], body].concat())?;
        self.until_ready().map(|_| ())
    }

    fn ask_postgres(&mut self, query: &str) -> Result<String, Broken> {
        let body = [query.as_bytes(), b"\0"].concat();
        self.say(&[b"Q", &(body.len() as u32 + 4).to_be_bytes()[..], &body].concat())?;
        let row = self.until_ready()?.ok_or_else(|| Broken::Malformed("no row".into()))?;
        // One column: its number, its length, itself.
        text(row.get(6..))
    }

    /// The row that came before the server was ready for the next query, if one did.
    fn until_ready(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let mut row = None;
        loop {
            let head = self.wire.exact(5)?;
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
            let body = self.wire.exact(length - 4)?;
            match head[0] {
                b'Z' => return Ok(row),
                b'D' => row = Some(body),
                b'E' => return Err(Broken::Malformed(String::from_utf8_lossy(&body).into_owned())),
                _ => {}
            }
        }
    }

    /// The MySQL manual, "Client/Server Protocol".
    fn enter_mariadb(&mut self) -> Result<(), Broken> {
        self.packet()?;
        let able = 0x1u32 | 0x200 | 0x8000 | 0x8_0000;
        let login =
            [&able.to_le_bytes()[..], &[0, 0, 0, 1, 33], &[0; 23], b"ringway\0\0mysql_native_password\0"].concat();
        self.say_packet(1, &login)?;
        match self.packet()?.first() {
            Some(0) => Ok(()),
            _ => Err(Broken::Malformed("no login".into())),
        }
    }

    fn ask_mariadb(&mut self, query: &str) -> Result<String, Broken> {
        self.say_packet(0, &[b"\x03", query.as_bytes()].concat())?;
        // How many columns, the column, an end, the row, an end.
        let mut packets = Vec::new();
        while packets.len() < 5 {
            let packet = self.packet()?;
            if packet.first() == Some(&0xff) {
                return Err(Broken::Malformed(String::from_utf8_lossy(&packet).into_owned()));
            }
            packets.push(packet);
        }
        text(packets[3].get(1..))
    }

    fn say_packet(&mut self, sequence: u8, body: &[u8]) -> Result<(), Broken> {
        let length = (body.len() as u32).to_le_bytes();
        self.say(&[&length[..3], &[sequence], body].concat())
    }

    fn packet(&mut self) -> Result<Vec<u8>, Broken> {
        let head = self.wire.exact(4)?;
        self.wire.exact(u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize)
    }

    fn ask_redis(&mut self) -> Result<String, Broken> {
        self.say(b"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$4\r\nbind\r\n")?;
        let mut lines = Vec::new();
        while lines.len() < 5 {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.extend(self.wire.exact(1)?);
            }
            lines.push(line);
        }
        text(Some(lines[4].trim_ascii_end()))
    }
}

fn text(bytes: Option<&[u8]>) -> Result<String, Broken> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).ok_or(Broken::Truncated)
}

fn broken(error: io::Error) -> Broken {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Broken::TimedOut,
        _ => Broken::Reset,
    }
}
