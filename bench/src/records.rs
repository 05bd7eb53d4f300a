//! TLS records of a session whose handshake is over, for a load whose core must not be full first: requests are sealed with the
//! session's key, answers are told apart by the lengths of their records and never decrypted.

use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::ConnectionTrafficSecrets;
use socket2::Socket;
use std::io::{ErrorKind, Read};
use std::mem::MaybeUninit;

/// Kind, version and length.
const HEAD: usize = 5;
/// What a record has beyond its content: the content's kind, and the tag.
const BEYOND: usize = 1 + 16;
/// The kind of records that carry what both sides say.
const APPLICATION: u8 = 23;
/// What is read at once where a record may begin: a small answer whole, of a large one next to nothing.
const GLANCE: usize = 512;

/// Seals what the client says.
pub struct Sealer {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
    record: Vec<u8>,
}

impl Sealer {
    /// Goes on where `secrets`, a sequence number and the client's key, left off.
    pub fn new((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Self> {
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else { bail!("not AES-128-GCM") };
        let key = UnboundKey::new(&AES_128_GCM, key.as_ref()).context("key")?;
        let iv = iv.as_ref().try_into().context("initial value")?;
        Ok(Self { key: LessSafeKey::new(key), iv, sequence, record: Vec::new() })
    }

    /// The record that carries `content`.
    pub fn seal(&mut self, content: &[u8]) -> Result<&[u8]> {
        let [high, low] = u16::try_from(content.len() + BEYOND)?.to_be_bytes();
        let head = [APPLICATION, 3, 3, high, low];
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(byte, count)| *byte ^= count);
        self.record.clear();
        self.record.extend_from_slice(&head);
        self.record.extend_from_slice(content);
        self.record.push(APPLICATION);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(head), &mut self.record[HEAD..]);
        self.record.extend_from_slice(tag.context("seal")?.as_ref());
        self.sequence += 1;
        Ok(&self.record)
    }
}

/// Answers, all of one length, in records.
#[derive(Debug)]
pub struct Answers {
    /// Bytes of each, head and body.
    length: u64,
    /// Bytes that the one under way still lacks; 0 when it is whole.
    left: u64,
    /// The next record's head, as far as it is there.
    head: Vec<u8>,
    /// Bytes that the record under way still has.
    record: usize,
}

impl Answers {
    /// Answers of `length`, before the first one.
    pub fn of(length: u64) -> Self {
        Self { length, left: length, head: Vec::with_capacity(HEAD), record: 0 }
    }

    /// Takes what is there of an answer; `false` if nothing was.
    pub fn take(&mut self, mut socket: &Socket, waste: &mut [MaybeUninit<u8>]) -> Result<bool> {
        if self.is_whole() {
            self.left = self.length;
        }
        let mut glance = [0; GLANCE];
        let received = match self.record {
            ..GLANCE => socket.read(&mut glance),
            record => {
                let room = record.min(waste.len());
                socket.recv_with_flags(&mut waste[..room], libc::MSG_TRUNC)
            }
        };
        match received {
            Ok(0) => bail!("closed in mid-answer"),
            Ok(count) if self.record >= GLANCE => self.record -= count,
            Ok(count) => self.walk(&glance[..count])?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("in mid-answer"),
        }
        Ok(true)
    }

    /// Whether the answer under way is whole.
    pub fn is_whole(&self) -> bool {
        self.left == 0 && self.record == 0
    }

    /// Passes over `bytes`, record by record.
    fn walk(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.record > 0 {
                let skipped = self.record.min(bytes.len());
                self.record -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let (head, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            let [kind, _, _, high, low] = self.head[..] else { break };
            ensure!(kind == APPLICATION, "a record of kind {kind}");
            self.head.clear();
            self.record = usize::from(u16::from_be_bytes([high, low]));
            let content = self.record.checked_sub(BEYOND).context("a record without content")? as u64;
            self.left = self.left.checked_sub(content).context("answers are not all of one length")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection};

    /// A server with the certificate that the peers are given.
    fn server() -> ServerConnection {
        let path = std::env::temp_dir().join(format!("ringway-bench-records-{}.pem", std::process::id()));
        tls::write_certificate(&path).unwrap();
        let (certificate, key) = (CertificateDer::from_pem_file(&path), PrivateKeyDer::from_pem_file(&path));
        std::fs::remove_file(&path).unwrap();
        let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into());
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.unwrap()], key.unwrap()).unwrap();
        ServerConnection::new(config.into()).unwrap()
    }

    #[test]
    fn what_is_sealed_after_the_handshake_is_opened_in_order() {
        let (mut client, mut server) = (tls::client().unwrap(), server());
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets().unwrap();
            }
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        let mut sealer = Sealer::new(client.dangerous_extract_secrets().unwrap().tx).unwrap();
        for request in ["first", "second", "third"] {
            server.read_tls(&mut sealer.seal(request.as_bytes()).unwrap()).unwrap();
            server.process_new_packets().unwrap();
            let mut opened = vec![0; request.len()];
            server.reader().read_exact(&mut opened).unwrap();
            assert_eq!(opened, request.as_bytes());
        }
    }

    #[test]
    fn answers_end_where_their_records_do() {
        let record = |content: usize| {
            let [high, low] = ((content + BEYOND) as u16).to_be_bytes();
            [vec![APPLICATION, 3, 3, high, low], vec![9; content + BEYOND]].concat()
        };
        let wire = [record(100), record(28)].concat();
        for size in [1, 3, 7, 120, wire.len()] {
            let mut answers = Answers::of(128);
            for (number, piece) in wire.chunks(size).enumerate() {
                answers.walk(piece).unwrap();
                assert_eq!(answers.is_whole(), (number + 1) * size >= wire.len(), "{size}");
            }
        }
        let told = |content: usize| Answers::of(128).walk(&record(content)).map_err(|error| error.to_string());
        assert_eq!(told(129).unwrap_err(), "answers are not all of one length");
        assert_eq!(Answers::of(128).walk(&[21, 3, 3, 0, 19]).unwrap_err().to_string(), "a record of kind 21");
    }
}
