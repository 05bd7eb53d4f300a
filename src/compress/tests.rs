//! What goes through both ways, and what must not.

use super::*;

const MOST: usize = 256 << 20;

fn text(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let words = ["stream", "target", "pool", " ", "\n", "{\"id\":", "},", "route", "0", "7", "42"];
    let mut text = Vec::new();
    while text.len() < length {
        text.extend_from_slice(words[random.usize(..words.len())].as_bytes());
    }
    text.truncate(length);
    text
}

fn decoded(coding: Coding, mut input: &[u8], piece: usize, most: usize) -> Result<Vec<u8>, Fault> {
    let mut decoder = Decoder::new(coding, MOST).unwrap();
    let mut out = Vec::new();
    while !input.is_empty() {
        let (mut now, rest) = input.split_at(piece.min(input.len()));
        input = rest;
        loop {
            let before = out.len();
            let step = decoder.push(now, most, &mut out)?;
            assert!(out.len() - before <= most);
            now = &now[step.consumed..];
            if now.is_empty() && !step.more {
                break;
            }
        }
    }
    decoder.finish().map(|()| out)
}

#[test]
fn what_is_encoded_in_any_pieces_is_decoded_in_any_others() {
    let mut random = fastrand::Rng::with_seed(1);
    for coding in Coding::ALL {
        for level in [*coding.levels().start(), 1, 4, 6] {
            for length in [0, 1, 100, 40_000] {
                let body = text(length, 5);
                let mut encoder = Encoder::new(coding, level, MOST).unwrap();
                let (mut out, mut left) = (Vec::new(), &body[..]);
                while !left.is_empty() {
                    let (now, rest) = left.split_at(random.usize(1..=left.len().min(9000)));
                    encoder.push(now, &mut out).unwrap();
                    if random.u8(..) < 50 {
                        encoder.flush(&mut out).unwrap();
                    }
                    left = rest;
                }
                encoder.finish(&mut out).unwrap();
                for (piece, most) in [(out.len().max(1), 1 << 20), (7, 64), (1, 1)] {
                    if length < 1000 || piece > 1 {
                        assert_eq!(decoded(coding, &out, piece, most).as_ref(), Ok(&body), "{coding} {level} {length}");
                    }
                }
                assert!(out.len() < length.max(300), "{coding} {level}: {length} became {}", out.len());
            }
        }
    }
}

#[test]
fn what_was_pushed_is_all_out_after_a_flush() {
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding, 4, MOST).unwrap();
        let mut decoder = Decoder::new(coding, MOST).unwrap();
        let (mut got, mut want) = (Vec::new(), Vec::new());
        for round in 0..50 {
            let line = text(40, round);
            let mut out = Vec::new();
            encoder.push(&line, &mut out).unwrap();
            encoder.flush(&mut out).unwrap();
            assert!(!encoder.is_unflushed());
            let after = out.len();
            encoder.flush(&mut out).unwrap();
            assert_eq!(out.len(), after, "{coding}: nothing was left to flush");
            want.extend_from_slice(&line);
            let step = decoder.push(&out, 1 << 16, &mut got).unwrap();
            assert_eq!((step.consumed, &got), (out.len(), &want), "{coding}, line {round}");
        }
    }
}

#[test]
fn a_whole_body_is_the_same_and_smaller() {
    for coding in Coding::ALL {
        for level in 1..=9 {
            let body = text(50_000, 9);
            let mut out = b"head".to_vec();
            assert_eq!(whole(coding, level, &body, &mut out), Ok(true));
            assert!(out.starts_with(b"head") && out.len() < 20_000, "{coding} {level}: {}", out.len());
            assert_eq!(decoded(coding, &out[4..], 1 << 20, 1 << 20).as_ref(), Ok(&body));
        }
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(5000).collect();
        assert_eq!(whole(coding, 1, &noise, &mut Vec::new()), Ok(false), "{coding}");
        assert_eq!(whole(coding, 1, b"", &mut Vec::new()), Ok(false), "{coding}");
    }
}

#[test]
fn a_stream_that_ends_early_is_told_from_one_that_is_whole() {
    for coding in Coding::ALL {
        let body = text(3000, 2);
        let mut out = Vec::new();
        assert_eq!(whole(coding, 3, &body, &mut out), Ok(true));
        for cut in 1..out.len() {
            assert!(decoded(coding, &out[..cut], 1 << 20, 1 << 20).is_err(), "{coding} cut at {cut} of {}", out.len());
        }
        assert_eq!(decoded(coding, b"", 1, 1), Ok(Vec::new()));
        assert_eq!(decoded(coding, b"this is in clear", 100, 100), Err(Fault::Corrupt), "{coding}");
    }
}

#[test]
fn several_members_are_one_body() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let mut out = Vec::new();
        assert_eq!(whole(coding, 1, &text(500, 1), &mut out), Ok(true));
        assert_eq!(whole(coding, 1, &text(500, 2), &mut out), Ok(true));
        let both = [text(500, 1), text(500, 2)].concat();
        assert_eq!(decoded(coding, &out, 3, 100), Ok(both));
    }
}

#[test]
fn no_bytes_make_a_decoder_panic_or_go_on_for_ever() {
    let mut random = fastrand::Rng::with_seed(8);
    for coding in Coding::ALL {
        let mut good = Vec::new();
        assert_eq!(whole(coding, 5, &text(2000, 3), &mut good), Ok(true));
        for _ in 0..500 {
            let mut bad = good.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bad.len());
                bad[at] = random.u8(..);
            }
            let _ = decoded(coding, &bad, random.usize(1..200), random.usize(1..5000));
        }
    }
}

#[test]
fn a_bomb_is_found_out_while_it_goes_off() {
    for coding in [Coding::Zstd, Coding::Brotli, Coding::Gzip] {
        let mut encoder = Encoder::new(coding, 2, MOST).unwrap();
        let (zeros, mut bomb) = (vec![0; 1 << 20], Vec::new());
        for _ in 0..25 {
            encoder.push(&zeros, &mut bomb).unwrap();
        }
        encoder.finish(&mut bomb).unwrap();
        let mut decoder = Decoder::new(coding, MOST).unwrap();
        let (mut left, mut total) = (&bomb[..], 0);
        let fault = loop {
            let mut out = Vec::new();
            match decoder.push(left, 64 << 10, &mut out) {
                Ok(step) => left = &left[step.consumed..],
                Err(fault) => break fault,
            }
            total += out.len();
            assert!(total < 20 << 20, "{coding}: it went on");
        };
        assert_eq!(fault, Fault::Bomb, "{coding}");
    }
}

#[test]
fn contexts_are_counted_and_bounded() {
    std::thread::spawn(|| {
        assert_eq!(held(), (0, 0));
        let first = Encoder::new(Coding::Gzip, 6, 500 << 10);
        assert!(first.is_some() && held().0 > 200 << 10);
        assert!(Encoder::new(Coding::Gzip, 6, 500 << 10).is_none(), "there is no room for another one");
        drop(first);
        assert!(held().0 == 0 && held().1 > 200 << 10, "it waits to be used again");
        let again = Encoder::new(Coding::Gzip, 1, 500 << 10);
        assert!(again.is_some() && held().1 == 0);
        drop(again);
        let body = text(300_000, 1);
        for level in [1, 3, 6, 9, 12, 15, 19] {
            let mut encoder = Encoder::new(Coding::Zstd, level, MOST).unwrap();
            encoder.push(&body, &mut Vec::new()).unwrap();
            let (said, is) = (super::zstd::Press::memory_at(level), held().0);
            assert!(is <= said + (said / 2), "level {level} holds {is}, not about {said}");
        }
        assert!(held().1 <= 16 << 20);
        (0..6).for_each(|_| trim());
        assert_eq!(held(), (0, 0));
    })
    .join()
    .unwrap();
}

#[test]
fn a_window_for_which_there_is_no_room_is_refused_once_it_is_known() {
    let body = text(6 << 20, 3);
    for coding in [Coding::Zstd, Coding::Brotli] {
        let mut encoder = Encoder::new(coding, 9, 64 << 20).unwrap();
        let mut packed = Vec::new();
        encoder.push(&body, &mut packed).unwrap();
        encoder.finish(&mut packed).unwrap();
        let ends = |most: usize| {
            let mut decoder = Decoder::new(coding, most).unwrap();
            let mut left = &packed[..];
            loop {
                match decoder.push(left, 64 << 10, &mut Vec::new()) {
                    Ok(step) => left = &left[step.consumed..],
                    Err(fault) => return Err(fault),
                }
                if left.is_empty() {
                    return Ok(());
                }
            }
        };
        assert_eq!(ends(128 << 10), Err(Fault::Memory), "{coding}");
        assert_eq!(ends(64 << 20), Ok(()), "{coding}");
    }
}
