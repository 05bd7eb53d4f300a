//! Random bodies and edits, in random pieces, against serde_json.

use super::*;
use serde_json::Value;

const NAMES: [&str; 7] = ["a", "b", "c", "0", "1", "*", "é/~\""];

fn body(depth: usize, rng: &mut fastrand::Rng) -> Value {
    match rng.u8(..if depth == 0 { 5 } else { 9 }) {
        0 => Value::Null,
        1 => rng.bool().into(),
        2 => (i64::from(rng.i32(..))).into(),
        3 => (f64::from(rng.i16(..)) / 8.0).into(),
        4 => "x\"\\\n\u{1}é😀".repeat(rng.usize(..2)).into(),
        5..7 => Value::Array((0..rng.usize(..4)).map(|_| body(depth - 1, rng)).collect()),
        _ => Value::Object((0..rng.usize(..5)).map(|_| (name(rng), body(depth - 1, rng))).collect()),
    }
}

fn name(rng: &mut fastrand::Rng) -> String {
    NAMES[rng.usize(..NAMES.len())].to_owned()
}

fn steps(rng: &mut fastrand::Rng) -> Vec<String> {
    (0..rng.usize(1..4)).map(|_| name(rng)).collect()
}

/// With blanks and escapes that change nothing.
fn written(value: &Value, rng: &mut fastrand::Rng, out: &mut Vec<u8>) {
    let blank = |rng: &mut fastrand::Rng, out: &mut Vec<u8>| out.extend(["", "", " ", "\n\t "][rng.usize(..4)].bytes());
    let text = |text: &str, rng: &mut fastrand::Rng, out: &mut Vec<u8>| {
        out.push(b'"');
        for unit in text.encode_utf16() {
            match char::from_u32(unit.into()) {
                Some(plain) if rng.bool() && !matches!(plain, '"' | '\\' | '\0'..='\x1f') => {
                    out.extend(plain.to_string().bytes());
                }
                _ => out.extend(format!("\\u{unit:04x}").bytes()),
            }
        }
        out.push(b'"');
    };
    blank(rng, out);
    match value {
        Value::String(of) => text(of, rng, out),
        Value::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                out.extend(if place > 0 { &b","[..] } else { b"" });
                written(item, rng, out);
            }
            blank(rng, out);
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            let mut members: Vec<_> = members.iter().collect();
            rng.shuffle(&mut members);
            for (place, (name, value)) in members.into_iter().enumerate() {
                out.extend(if place > 0 { &b","[..] } else { b"" });
                blank(rng, out);
                text(name, rng, out);
                blank(rng, out);
                out.push(b':');
                written(value, rng, out);
            }
            blank(rng, out);
            out.push(b'}');
        }
        plain => out.extend(plain.to_string().bytes()),
    }
    blank(rng, out);
}

/// Edits of which none lies at or below what another one of set, add and append has.
fn edits(rng: &mut fastrand::Rng) -> (Spec, Vec<Vec<u8>>) {
    let mut spec = Spec::default();
    let mut values: Vec<Vec<u8>> = Vec::new();
    let mut taken: Vec<Vec<String>> = Vec::new();
    for _ in 0..rng.usize(1..6) {
        let path = steps(rng);
        let meet = |one: &String, other: &String| {
            let is_item = |step: &String| step.bytes().all(|byte| byte.is_ascii_digit());
            one == other || one == "*" && is_item(other) || is_item(one) && other == "*"
        };
        let crosses = |other: &Vec<String>| path.iter().zip(other).all(|(one, other)| meet(one, other));
        match rng.u8(..5) {
            0 => spec.remove.push(path),
            1 if !spec.rename.iter().any(|(other, _)| *other == path) => spec.rename.push((path, name(rng))),
            kind if !taken.iter().any(crosses) => {
                values.push(body(1, rng).to_string().into_bytes());
                let list = match kind {
                    2 => &mut spec.set,
                    3 => &mut spec.add,
                    _ => &mut spec.append,
                };
                list.push((path.clone(), values.len() - 1));
                taken.push(path);
            }
            _ => {}
        }
    }
    (spec, values)
}

#[test]
fn what_comes_out_is_what_the_simple_way_gives() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut same, mut refused) = (0, 0);
    for round in 0..20_000 {
        let (spec, values) = edits(&mut rng);
        let body = body(4, &mut rng);
        let mut text = Vec::new();
        written(&body, &mut rng, &mut text);
        let pieces: Vec<usize> = (0..5).map(|_| rng.usize(1..20)).collect();
        let most = [1, 16, usize::MAX][rng.usize(..3)];
        let out = run(&spec, &values, &text, &pieces, most);
        let shown = String::from_utf8_lossy(&text);
        match (model::edited(&spec, &values, body), out) {
            (Some(wanted), Ok(out)) => {
                let got: Value = serde_json::from_slice(&out).unwrap();
                assert_eq!(got, model::without_gone(wanted), "round {round}: {spec:?} on {shown}");
                same += 1;
            }
            (None, Err(Fault::Taken | Fault::Duplicate)) => refused += 1,
            // What cannot be told apart before all has come is refused, although in the end nothing would stand twice.
            (wanted, out) => panic!("round {round}: {spec:?} on {shown}: {wanted:?}, {out:?}"),
        }
    }
    assert!(same > 10_000 && refused > 50, "{same} and {refused}");
}

#[test]
fn nothing_is_taken_for_json_but_json() {
    let mut rng = fastrand::Rng::with_seed(11);
    let (spec, values) = edits(&mut rng);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..50_000 {
        let mut text = Vec::new();
        written(&body(3, &mut rng), &mut rng, &mut text);
        for _ in 0..rng.usize(1..3) {
            let place = rng.usize(..text.len());
            match rng.u8(..4) {
                0 => drop(text.remove(place)),
                1 => text.insert(place, b"{}[],:\"\\0-.eEtfnu \x01\xc3\xff"[rng.usize(..21)]),
                2 => text[place] = rng.u8(..),
                _ => text.truncate(place),
            }
            if text.is_empty() {
                text.push(b'x');
            }
        }
        let pieces = [rng.usize(1..9), rng.usize(1..9)];
        let ours = run(&Spec::default(), &[], &text, &pieces, 1);
        let theirs = serde_json::from_slice::<Value>(&text);
        let shown = String::from_utf8_lossy(&text);
        match (&ours, &theirs) {
            (Ok(out), Ok(_)) => {
                assert_eq!(*out, text);
                good += 1;
            }
            (Err(_), Err(_)) => bad += 1,
            // The grammar allows numbers of any size, and half a pair of surrogates.
            (Ok(_), Err(error))
                if ["out of range", "surrogate", "hex escape"].iter().any(|of| error.to_string().contains(of)) => {}
            _ => panic!("{shown}: {ours:?}, {theirs:?}"),
        }
        // Edits crash on nothing.
        if let Ok(out) = run(&spec, &values, &text, &pieces, 5) {
            assert!(out.is_empty() || std::str::from_utf8(&out).is_ok());
        }
    }
    assert!(good > 1000 && bad > 10_000, "{good} and {bad}");
}
