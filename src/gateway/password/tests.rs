use super::*;
use crate::gateway::Consumer;
use std::sync::Arc;
use std::time::Duration;

/// Of "password", at little cost: by glibc's crypt(3), and from the tests of Argon2's reference.
const BCRYPT: &str = "$2y$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm";
const ARGON2: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn consumer(name: &str) -> Arc<Consumer> {
    Arc::new(Consumer::new(name))
}

fn users(text: &str) -> Result<Users, Vec<(usize, String)>> {
    Users::read(text.lines().enumerate().map(|(place, line)| (place + 1, line)), consumer)
}

#[test]
fn a_password_fits_its_own_hash_alone() {
    for hash in [BCRYPT, ARGON2, &BCRYPT.replacen("$2y$", "$2b$", 1), &BCRYPT.replacen("$2y$", "$2a$", 1)] {
        assert_eq!(check(hash), Ok(()), "{hash}");
        assert!(fits(b"password", hash), "{hash}");
        for wrong in [&b"passwor"[..], b"password ", b"Password", b"", b"password\0"] {
            assert!(!fits(wrong, hash), "{hash} {wrong:?}");
        }
        for end in (0..hash.len()).step_by(3) {
            let cut = &hash[..end];
            assert!(check(cut).is_err() || !fits(b"password", cut), "{cut}");
        }
    }
}

#[test]
fn a_hash_that_is_guessed_fast_or_costs_too_much_is_not_taken() {
    for (text, said) in [
        ("$apr1$zAbcdefg$0123456789012345678901", "MD5"),
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1 hash without salt"),
        ("$5$rounds=1000$abc$def", "SHA-256"),
        ("$6$abc$def", "SHA-512"),
        ("$2x$05$abc", "old bcrypt"),
        ("hunter2 hunter2", "it is no hash"),
        ("rqXexS6ZhobKA", "it is no hash"),
        ("", "it is no hash"),
        ("$2y$05$tooshort", "malformed"),
        ("$2y$31$LQ6Rng3oBY/fAKqDXGlyMOrmhkCE4XoVOZk6zMQXNAlWDCMKAb1cW", "cost 31"),
        ("$2y$03$LQ6Rng3oBY/fAKqDXGlyMOrmhkCE4XoVOZk6zMQXNAlWDCMKAb1cW", "cost 3"),
        ("$argon2id$v=19$m=1048576,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b2dWRWJTmaQVg", "costs too much"),
        ("$argon2id$v=19$m=65536,t=1000,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b2dWRWJTmaQVg", "costs too much"),
        ("$argon2id$v=21$m=64,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b2dWRWJTmaQVg", "version"),
        ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ", "malformed"),
        ("$argon2xd$v=19$m=64,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b2dWRWJTmaQVg", "malformed"),
    ] {
        let why = check(text).unwrap_err();
        assert!(why.contains(said), "{text}: {why}");
        assert!(text.len() < 4 || !why.contains(text), "{why}");
    }
}

#[test]
fn what_is_sent_is_read_as_the_scheme_has_it() {
    let read = |value: &str| Sent::read(value.as_bytes());
    for (value, user, password) in [
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", &b"open sesame"[..]),
        ("basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ== ", "Aladdin", b"open sesame"),
        ("BASIC dGVzdDoxMjPCow==", "test", "123\u{a3}".as_bytes()),
        ("Basic YTpiOmM=", "a", b"b:c"),
        ("Basic Og==", "", b""),
    ] {
        let sent = read(value).unwrap();
        assert_eq!((sent.user(), sent.password()), (user, password));
        assert_eq!(format!("{sent:?}"), "Sent(secret)");
    }
    for value in ["Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "", "Digest username=\"a\"", "BasicQWxhZGRpbjo="] {
        assert_eq!(read(value), Err(Unread::Other), "{value}");
    }
    let long = format!("Basic {}", "QTo0".repeat(257));
    for value in
        ["Basic", "Basic ", "Basic YWI=", "Basic YTpi!", "Basic YTpi YTpi", "Basic YTpiCg==", "Basic YTr/", &long]
    {
        assert_eq!(read(value), Err(Unread::Malformed), "{value}");
    }
}

#[test]
fn a_file_of_users_says_who_has_which_hash_or_what_is_wrong_with_it() {
    let file = users(&format!("ann:{BCRYPT}\nbob:{ARGON2}:1:Bob:/home\nzo\u{eb}@example.com:{ARGON2}\n")).unwrap();
    assert_eq!(file.count(), 3);
    let ann = file.look("ann").unwrap();
    assert_eq!((&**ann.hash, &*ann.consumer.unwrap().name), (BCRYPT, "ann"));
    assert_eq!(&**file.look("bob").unwrap().hash, ARGON2);
    assert!(file.look("Ann").unwrap().consumer.is_none());
    let faults =
        users(&format!("ann:{BCRYPT}\nann:{ARGON2}\nbob\n:{BCRYPT}\ncarl:$apr1$x$y\ndora:secret\n")).unwrap_err();
    let said: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
    assert_eq!(said, [2, 3, 4, 5, 6]);
    let text = format!("{faults:?}");
    assert!(text.contains("user `ann` stands twice") && text.contains("user `carl`: it is an MD5 hash"), "{text}");
    assert!(!text.contains("secret") && !text.contains("$apr1$x"), "{text}");
}

#[test]
fn who_is_not_known_has_a_hash_to_fail_at_and_always_the_same() {
    let file = users(&format!("ann:{BCRYPT}\nbob:{ARGON2}\n")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..100 {
        let name = format!("nobody-{number}");
        let looked = file.look(&name).unwrap();
        assert!(looked.consumer.is_none());
        assert_eq!(looked.hash, file.look(&name).unwrap().hash);
        seen.insert(looked.hash.clone());
    }
    assert_eq!(seen.len(), 2, "by its cost no name can be told from those of the file");
    assert!(users("").unwrap().look("ann").is_none());
}

#[test]
fn what_was_found_counts_for_its_time_and_for_all_three_alone() {
    let (known, second) = (Known::new(), Duration::from_secs(1));
    let tag = known.tag("ann", b"horse", BCRYPT);
    assert_eq!(known.find(&tag, second, second), None);
    known.keep(&tag, true, second);
    assert_eq!(known.find(&tag, second * 2 - Duration::from_nanos(1), second), Some(true));
    assert_eq!(known.find(&tag, second * 2, second), None, "its time is over");
    assert_eq!(known.find(&tag, second, Duration::ZERO), None, "nothing is to be kept");
    for (user, password, hash) in [
        ("anna", &b"horse"[..], BCRYPT),
        ("annh", b"orse", BCRYPT),
        ("ann", b"horses", BCRYPT),
        ("ann", b"horse", ARGON2),
        ("", b"annhorse", BCRYPT),
    ] {
        assert_eq!(known.find(&known.tag(user, password, hash), second, second), None, "{user}");
    }
    let other = Known::new();
    assert_ne!(other.tag("ann", b"horse", BCRYPT), tag, "each has a key of its own");
}

#[test]
fn guessing_pushes_nobody_out_and_memory_is_bounded() {
    let (known, time) = (Known::with_sets(4, 4), Duration::from_secs(60));
    let now = |number: u64| Duration::from_millis(number);
    let good = known.tag("ann", b"horse", BCRYPT);
    known.keep(&good, true, now(0));
    for number in 0..1000u64 {
        known.keep(&known.tag("ann", &number.to_le_bytes(), BCRYPT), false, now(number));
    }
    assert_eq!(known.find(&good, now(1000), time), Some(true));
    let left = (0..1000u64)
        .filter(|number| known.find(&known.tag("ann", &number.to_le_bytes(), BCRYPT), now(1000), time) == Some(false));
    assert_eq!(left.count(), 16, "as many as there are places");
    for number in 0..1000u64 {
        known.keep(&known.tag("bob", &number.to_le_bytes(), BCRYPT), true, now(1001 + number));
    }
    assert_eq!(known.find(&good, now(2001), time), None, "the oldest gives way");
    let last = known.tag("bob", &999u64.to_le_bytes(), BCRYPT);
    assert_eq!(known.find(&last, now(2001), time), Some(true));
}
