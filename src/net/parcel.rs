//! What one process hands to another: a text and descriptors, over a Unix socket (unix(7), `SCM_RIGHTS`).
//!
//! Blocks: for control's blocking pool, and for a process that starts.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Descriptors that the kernel takes at a time: 253 at most.
const AT_A_TIME: usize = 128;
/// The longest text, in bytes.
const LONGEST: u32 = 64 << 20;
/// The most descriptors.
const MOST: u32 = 1 << 16;

/// Sends a text with descriptors.
pub fn send(to: &UnixStream, text: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let too_much = || io::Error::new(ErrorKind::InvalidInput, "this is more than can be handed over");
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= LONGEST).ok_or_else(too_much)?;
    let count = u32::try_from(descriptors.len()).ok().filter(|count| *count <= MOST).ok_or_else(too_much)?;
    let mut stream = to;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&count.to_be_bytes())?;
    stream.write_all(text)?;
    for some in descriptors.chunks(AT_A_TIME) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_A_TIME))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(some)) {
            return Err(too_much());
        }
        // Each batch of descriptors goes along with one byte that says how many they are.
        let byte = [u8::try_from(some.len()).unwrap_or(u8::MAX)];
        sendmsg(to, &[IoSlice::new(&byte)], &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives what [`send`] sent. Fails with `UnexpectedEof` if the other side has left.
pub fn receive(from: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut stream = from;
    let mut number = [0; 4];
    stream.read_exact(&mut number)?;
    let length = u32::from_be_bytes(number);
    stream.read_exact(&mut number)?;
    let count = u32::from_be_bytes(number);
    if length > LONGEST || count > MOST {
        return Err(io::Error::new(ErrorKind::InvalidData, "this is no parcel"));
    }
    let mut text = vec![0; length as usize];
    stream.read_exact(&mut text)?;
    let mut descriptors = Vec::new();
    while descriptors.len() < count as usize {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_A_TIME))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let message = recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        if message.bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let before = descriptors.len();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = part {
                descriptors.extend(some);
            }
        }
        if descriptors.len() - before != usize::from(byte[0]) {
            return Err(io::Error::new(ErrorKind::InvalidData, "descriptors were lost: is the file limit too low?"));
        }
    }
    Ok((text, descriptors))
}

/// What this process was given as its standard input, which is taken out of there.
pub fn take_stdin() -> io::Result<UnixStream> {
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_and_more_descriptors_than_fit_at_a_time_arrive_in_order() {
        let (one, other) = UnixStream::pair().unwrap();
        let files: Vec<(OwnedFd, UnixStream)> = (0..300)
            .map(|_| {
                let (sent, kept) = UnixStream::pair().unwrap();
                (sent.into(), kept)
            })
            .collect();
        let sender = std::thread::spawn(move || {
            let descriptors: Vec<BorrowedFd<'_>> = files.iter().map(|(file, _)| file.as_fd()).collect();
            send(&one, &[7; 200_000], &descriptors).unwrap();
            files.into_iter().map(|(_, kept)| kept).collect::<Vec<_>>()
        });
        let (text, descriptors) = receive(&other).unwrap();
        let kept = sender.join().unwrap();
        assert_eq!((text.len(), descriptors.len()), (200_000, 300));
        for (number, (descriptor, mut kept)) in descriptors.into_iter().zip(kept).enumerate() {
            kept.write_all(&number.to_be_bytes()).unwrap();
            let mut got = [0; 8];
            UnixStream::from(descriptor).read_exact(&mut got).unwrap();
            assert_eq!(usize::from_be_bytes(got), number);
        }
        assert_eq!(receive(&other).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_parcel_is_refused() {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(receive(&other).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
