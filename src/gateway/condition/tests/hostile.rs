//! Texts that are made to hurt: none panics, overflows a stack, or runs on.

use super::*;
use std::time::{Duration, Instant};

/// Whatever becomes of it, it comes back soon, on a stack that is small.
fn survives(text: String) -> Option<Result<bool, Error>> {
    let start = Instant::now();
    let told = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || Condition::compile(&text, Stage::Known).ok().map(|condition| condition.holds(&Said::new())))
        .unwrap()
        .join()
        .expect("it does not panic");
    assert!(start.elapsed() < Duration::from_secs(20));
    told
}

#[test]
fn nesting_is_bounded_whatever_it_is_made_of() {
    for (open, inner, close) in [
        ("(", "true", ")"),
        ("!", "true", ""),
        ("-", "1", " == 1"),
        ("[", "1", "]"),
        ("true ? ", "true", " : true"),
        ("true ? true : ", "true", ""),
        ("a.", "b", ""),
        ("has(", "a.b", ")"),
        ("size(", "'a'", ")"),
        ("[1].map(x, ", "1", ")"),
        ("[true].all(x, ", "true", ")"),
        ("1 + ", "1", ""),
        ("1 - (", "1", ")"),
        ("true == ", "true", ""),
        ("consumer.claims[", "'a'", "]"),
        ("'a' in [", "'a'", "]"),
    ] {
        for times in [40, 100, 1000, 7000] {
            survives(open.repeat(times) + inner + &close.repeat(times));
            survives(open.repeat(times));
        }
    }
    let long = |sign: &str, count: usize| vec!["tls.enabled"; count].join(sign);
    assert_eq!(survives(long(" && ", 500)), Some(Ok(true)), "a long chain is not deep");
    assert_eq!(survives(long("&&", 800)), None, "it is too long");
    assert_eq!(survives(vec!["'aaaaaaaaa'"; 600].join("==")), None);
    let list: Vec<String> = (0..700).map(|n| format!("'{n:07}'")).collect();
    assert_eq!(survives(format!("request.path in [{}]", list.join(","))), Some(Ok(false)));
}

#[test]
fn no_condition_runs_on() {
    let list = format!("[{}]", vec!["1"; 200].join(","));
    let deep = (0..4).fold("x0 == 2".to_owned(), |inner, level| format!("{list}.exists(x{level}, {inner})"));
    assert_eq!(survives(deep), Some(Err(Error::TooLong)));
    let doubled = (0..40)
        .fold("'0123456789'".to_owned(), |inner, level| format!("[{inner}].map(x{level}, x{level} + x{level})[0]"));
    assert!(matches!(survives(format!("{doubled} == ''")), None | Some(Err(Error::TooLong))));
    let many = format!("{list}.all(x, {list}.all(y, request.path.matches('(a|b|ab)*c') == false))");
    assert_eq!(survives(many), Some(Err(Error::TooLong)), "the error stands although `all` goes on over others");
    let long: &'static str = Box::leak("a".repeat(60_000).into_boxed_str());
    let said = Said { headers: vec![("x-beta", long)], ..Said::new() };
    let start = Instant::now();
    for pattern in ["(a+)+$", "(a|aa)+b", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a?){200}b"] {
        let text = format!("request.headers['x-beta'].matches(r'{pattern}')");
        if let Ok(condition) = Condition::compile(&text, Stage::Known) {
            assert!(condition.holds(&said).is_ok(), "{pattern}");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn whatever_is_written_comes_back() {
    let pieces = [
        "request",
        ".",
        "path",
        "headers",
        "[",
        "]",
        "(",
        ")",
        "'a'",
        "\"",
        "'",
        "1",
        "0x",
        "1.",
        ".5",
        "1e",
        "-",
        "!",
        "&&",
        "||",
        "==",
        "<",
        "in",
        "?",
        ":",
        ",",
        "has",
        "size",
        "exists",
        "x",
        "r'",
        "\\",
        "\u{e4}",
        "{",
        "}",
        "\n",
        "//",
        "client.ip",
        "null",
        "true",
        "+",
        "%",
        "/",
        "9223372036854775807",
        "consumer.claims",
        ".matches",
        "in_cidr",
        "'''",
        "b'",
        "u",
        "\0",
        "\u{1f600}",
        "int",
        "string",
        "tls.enabled",
        "map",
        "filter",
        "all",
        " ",
        "\\x",
        "\\u",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60_000 {
        let text: String = (0..random.usize(1..14)).map(|_| pieces[random.usize(..pieces.len())]).collect();
        if let Ok(condition) = Condition::compile(&text, Stage::Known) {
            // What it says does not matter.
            let _ = condition.holds(&Said::new());
        }
    }
    for _ in 0..20_000 {
        let text: String = (0..random.usize(0..24)).map(|_| random.char(..)).collect();
        assert!(Condition::compile(&text, Stage::Known).is_err() || text.trim().len() < 24, "{text:?}");
    }
}

#[test]
fn numbers_at_their_ends_are_errors_and_nothing_else() {
    let ends = ["9223372036854775807", "-9223372036854775808", "-1", "0", "1", "1e308", "-1e308", "0.0"];
    for (one, other) in ends.iter().flat_map(|one| ends.iter().map(move |other| (one, other))) {
        for sign in ["+", "-", "*", "/", "%", "<", "==", ">="] {
            for text in [format!("({one}) {sign} ({other})"), format!("(({one}) {sign} ({other})) == ({one})")] {
                survives(text);
            }
        }
    }
    for text in
        ["int(1e308) == 1", "int(-1e308) == 1", "int(9223372036854775807.0) == 1", "int('9223372036854775808') == 1"]
    {
        assert!(survives(text.to_owned()).unwrap().is_err(), "{text}");
    }
    assert_eq!(asked("int(1.9) == 1 && int(-1.9) == -1 && 9223372036854775807 < 9223372036854775808.0"), Ok(true));
}
