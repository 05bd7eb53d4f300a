//! Compression of fields (RFC 7541).
//!
//! What always holds:
//! - A block is read whole or the connection ends: after [`Broken`] nobody knows what the peer takes our table for.
//! - What a peer can make us keep is bounded: its table by the limit that it was told, all else by [`decode`].
//! - What we send needs no table, so the peer keeps nothing for us.

mod decode;
mod encode;
mod huffman;
mod table;

pub(super) use decode::Decoder;
pub(super) use encode::{NO_TABLE, push_field, push_status};

/// What a block cannot be read by: COMPRESSION_ERROR for the connection (RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as the RFC writes them.
    pub(super) fn hex(text: &str) -> Vec<u8> {
        let digits = text.chars().filter_map(|digit| digit.to_digit(16)).collect::<Vec<_>>();
        digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
    }

    /// A field as the RFC writes it.
    pub(super) fn line(name: &[u8], value: &[u8]) -> String {
        format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    }

    pub(super) fn read(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Broken> {
        let mut fields = Vec::new();
        decoder.decode(block, |name, value| fields.push(line(name, value))).map(|()| fields)
    }

    /// Reads blocks one after the other: what each of them says, the size of the table after it, and what is stored then.
    fn check(before: &str, blocks: [&str; 3], expected: [(&[&str], usize, &[&str]); 3]) {
        let mut decoder = Decoder::new(4096);
        assert_eq!(read(&mut decoder, &hex(before)), Ok(vec![]));
        for (block, (fields, size, stored)) in blocks.into_iter().zip(expected) {
            assert_eq!(read(&mut decoder, &hex(block)).unwrap(), fields);
            let state = decoder.state();
            assert_eq!(
                (state.0, &state.1[..]),
                (size, &stored.iter().map(|&field| field.into()).collect::<Vec<String>>()[..])
            );
        }
    }

    #[test]
    fn fields_of_appendix_c_2() {
        for (block, field, size) in [
            ("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key: custom-header", 55),
            ("040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path", 0),
            ("1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret", 0),
            ("82", ":method: GET", 0),
        ] {
            let mut decoder = Decoder::new(4096);
            assert_eq!(read(&mut decoder, &hex(block)).unwrap(), [field]);
            assert_eq!(decoder.state().0, size);
        }
    }

    #[test]
    fn requests_of_appendix_c_3_and_c_4() {
        let (method, host) = (":method: GET", ":authority: www.example.com");
        let (cache, custom) = ("cache-control: no-cache", "custom-key: custom-value");
        for blocks in [
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ],
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
                "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ],
        ] {
            check(
                "",
                blocks,
                [
                    (&[method, ":scheme: http", ":path: /", host], 57, &[host]),
                    (&[method, ":scheme: http", ":path: /", host, cache], 110, &[cache, host]),
                    (&[method, ":scheme: https", ":path: /index.html", host, custom], 164, &[custom, cache, host]),
                ],
            );
        }
    }

    #[test]
    fn answers_of_appendix_c_5_and_c_6() {
        let (found, moved, private) = (":status: 302", ":status: 307", "cache-control: private");
        let (date, later) = ("date: Mon, 21 Oct 2013 20:13:21 GMT", "date: Mon, 21 Oct 2013 20:13:22 GMT");
        let (location, gzip) = ("location: https://www.example.com", "content-encoding: gzip");
        let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
        for blocks in [
            [
                "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32
                 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                "4803 3330 37c1 c0bf",
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
                 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
                 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
            ],
            [
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
                 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                "4883 640e ffc1 c0bf",
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
                 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
            ],
        ] {
            // The examples have a table of 256 bytes.
            check(
                "3fe1 01",
                blocks,
                [
                    (&[found, private, date, location], 222, &[location, date, private, found]),
                    (&[moved, private, date, location], 222, &[moved, location, date, private]),
                    (&[":status: 200", private, later, location, gzip, cookie], 215, &[cookie, gzip, later]),
                ],
            );
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut rng = fastrand::Rng::with_seed(7541);
        let (mut decoder, mut first) = (Decoder::new(4096), vec![NO_TABLE]);
        for _ in 0..500 {
            let mut bytes = |most| (0..rng.usize(..most)).map(|_| rng.u8(..)).collect::<Vec<_>>();
            let fields = [(bytes(20), bytes(40)), (bytes(200), bytes(20_000)), (b"cookie".to_vec(), bytes(300))];
            let mut block = std::mem::take(&mut first);
            push_status(&mut block, 503);
            fields.iter().for_each(|(name, value)| push_field(&mut block, name, value));
            let mut read = Vec::new();
            assert_eq!(decoder.decode(&block, |name, value| read.push((name.to_vec(), value.to_vec()))), Ok(()));
            assert_eq!(read.remove(0), (b":status".to_vec(), b"503".to_vec()));
            assert_eq!(read, fields);
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut rng = fastrand::Rng::with_seed(9113);
        let mut decoder = Decoder::new(4096);
        let mut whole = 0;
        for _ in 0..400_000 {
            let mut block = [0; 24];
            rng.fill(&mut block);
            let length = rng.usize(..=block.len());
            whole += usize::from(decoder.decode(&block[..length], |_, _| ()).is_ok());
        }
        assert!(whole > 10_000);
    }
}
