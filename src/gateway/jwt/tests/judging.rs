//! What is asked of claims.

use super::*;

fn judged(policy: &Policy, claims: Value) -> Option<Denial> {
    let token = ISSUER.token(Algorithm::Hs256, &claims);
    verify(&token, &ISSUER.keys(), policy, NOW).err()
}

fn names(all: &[&str]) -> Box<[Box<str>]> {
    all.iter().map(|name| (*name).into()).collect()
}

#[test]
fn a_token_counts_in_its_time() {
    let strict = Policy { leeway: 0, ..Policy::default() };
    let lenient = Policy::default();
    let most = Policy { leeway: u64::MAX, ..Policy::default() };
    for (claims, wanted) in [
        (json!({"exp": NOW + 1}), [None; 3]),
        (json!({"exp": NOW}), [Some(Denial::Expired), None, None]),
        (json!({"exp": NOW - 29}), [Some(Denial::Expired), None, None]),
        (json!({"exp": NOW - 30}), [Some(Denial::Expired), Some(Denial::Expired), None]),
        (json!({"exp": NOW - 300}), [Some(Denial::Expired); 3]),
        (json!({"exp": 0}), [Some(Denial::Expired); 3]),
        (json!({"exp": -5}), [Some(Denial::Expired); 3]),
        (json!({"exp": NOW as f64 + 1.5}), [None; 3]),
        (json!({"exp": 253_402_300_799u64}), [None; 3]),
        (json!({"exp": NOW * 1000}), [Some(Denial::BadClaim); 3]),
        (json!({"exp": u64::MAX}), [Some(Denial::BadClaim); 3]),
        (json!({"exp": 1e300}), [Some(Denial::BadClaim); 3]),
        (json!({"exp": (NOW + 60).to_string()}), [Some(Denial::BadClaim); 3]),
        (json!({"exp": null}), [Some(Denial::BadClaim); 3]),
        (json!({"exp": [NOW + 60]}), [Some(Denial::BadClaim); 3]),
        (json!({}), [Some(Denial::NoExpiry); 3]),
        (json!({"exp": NOW + 60, "nbf": NOW}), [None; 3]),
        (json!({"exp": NOW + 60, "nbf": NOW + 30}), [Some(Denial::NotYet), None, None]),
        (json!({"exp": NOW + 60, "nbf": NOW + 31}), [Some(Denial::NotYet), Some(Denial::NotYet), None]),
        (json!({"exp": NOW + 900, "nbf": NOW + 301}), [Some(Denial::NotYet); 3]),
        (json!({"exp": NOW + 60, "nbf": "0"}), [Some(Denial::BadClaim); 3]),
        (json!({"exp": NOW + 60, "iat": NOW}), [None; 3]),
        (json!({"exp": NOW + 60, "iat": NOW + 30}), [Some(Denial::IssuedLater), None, None]),
        (json!({"exp": NOW + 900, "iat": NOW + 301}), [Some(Denial::IssuedLater); 3]),
        (json!({"exp": NOW + 60, "iat": true}), [Some(Denial::BadClaim); 3]),
    ] {
        for (policy, wanted) in [&strict, &lenient, &most].into_iter().zip(wanted) {
            assert_eq!(judged(policy, claims.clone()), wanted, "{claims}, {} s", policy.leeway);
        }
    }
    let forever = Policy { expiry: false, ..Policy::default() };
    assert_eq!(judged(&forever, json!({})), None);
    assert_eq!(judged(&forever, json!({"exp": NOW - 60})), Some(Denial::Expired));
}

#[test]
fn issuer_and_audience_are_ours() {
    let policy = Policy {
        issuer: Some("https://id.example/".into()),
        audiences: names(&["https://api.example", "api"]),
        ..Policy::default()
    };
    let ask =
        |issuer: Value, audience: Value| judged(&policy, json!({"exp": NOW + 60, "iss": issuer, "aud": audience}));
    let issuer = || json!("https://id.example/");
    for audience in [json!("api"), json!(["other", "https://api.example"])] {
        assert_eq!(ask(issuer(), audience), None);
    }
    for audience in [
        json!("API"),
        json!("api "),
        json!("api,other"),
        json!("https://api.example/"),
        json!([]),
        json!([""]),
        json!(["a", "pi"]),
    ] {
        assert_eq!(ask(issuer(), audience.clone()), Some(Denial::Audience), "{audience}");
    }
    for audience in [json!(1), json!(null), json!({"api": 1}), json!(["api", 1]), json!([["api"]])] {
        assert_eq!(ask(issuer(), audience.clone()), Some(Denial::BadClaim), "{audience}");
    }
    for other in ["https://id.example", "https://id.example/x", "HTTPS://id.example/", ""] {
        assert_eq!(ask(json!(other), json!("api")), Some(Denial::Issuer), "{other}");
    }
    assert_eq!(ask(json!(["https://id.example/"]), json!("api")), Some(Denial::BadClaim));
    assert_eq!(judged(&policy, json!({"exp": NOW + 60, "iss": issuer()})), Some(Denial::Audience));
    assert_eq!(judged(&policy, json!({"exp": NOW + 60, "aud": "api"})), Some(Denial::Issuer));
    assert_eq!(judged(&Policy::default(), json!({"exp": NOW + 60, "sub": 7})), Some(Denial::BadClaim));
}

#[test]
fn scopes_are_words_in_either_claim() {
    let policy =
        |all: &[&str], any: &[&str]| Policy { all_scopes: names(all), any_scope: names(any), ..Policy::default() };
    let both = policy(&["read", "write"], &[]);
    let either = policy(&[], &["read", "admin"]);
    for (claims, all, any) in [
        (json!({"scope": "read write"}), true, true),
        (json!({"scope": "write  x read "}), true, true),
        (json!({"scp": "read write"}), true, true),
        (json!({"scp": ["write", "read"]}), true, true),
        (json!({"scope": ["write", "read"]}), true, true),
        (json!({"scope": "read"}), false, true),
        (json!({"scope": "admin"}), false, true),
        (json!({"scope": "x", "scp": "read write"}), false, false),
        (json!({"scope": "READ WRITE"}), false, false),
        (json!({"scope": "read,write"}), false, false),
        (json!({"scope": "reader writer"}), false, false),
        (json!({"scope": "read\twrite"}), false, false),
        (json!({"scope": {"read": true, "write": true}}), false, false),
        (json!({"scope": ""}), false, false),
        (json!({}), false, false),
    ] {
        let mut asked = claims.clone();
        asked["exp"] = (NOW + 60).into();
        for (policy, good) in [(&both, all), (&either, any)] {
            assert_eq!(judged(policy, asked.clone()), (!good).then_some(Denial::Scope), "{claims}");
        }
    }
}

#[test]
fn claims_are_asked_for_exactly() {
    let wanted = |at: &str, any: &[Value]| Policy {
        claims: [Wanted { at: Pointer::new(at).unwrap(), any: any.into() }].into(),
        ..Policy::default()
    };
    let claims = json!({"exp": NOW + 60, "tenant": "a", "level": 3, "ok": true, "none": null, "groups": ["x", "y"], "deep": {"er": ["z"]}});
    for (at, any, good) in [
        ("tenant", vec![json!("a")], true),
        ("tenant", vec![json!("b"), json!("a")], true),
        ("tenant", vec![json!("A")], false),
        ("tenant", vec![], true),
        ("none", vec![], false),
        ("missing", vec![], false),
        ("level", vec![json!(3)], true),
        ("level", vec![json!("3")], false),
        ("ok", vec![json!(true)], true),
        ("ok", vec![json!("true"), json!(1)], false),
        ("none", vec![json!(null)], true),
        ("missing", vec![json!(null)], false),
        ("groups", vec![json!("y")], true),
        ("groups", vec![json!("z")], false),
        ("groups", vec![json!(["x", "y"])], true),
        ("groups", vec![json!(["y", "x"])], false),
        ("deep.er", vec![json!("z")], true),
        ("/deep/er/0", vec![json!("z")], true),
        ("deep", vec![json!("z")], false),
    ] {
        assert_eq!(judged(&wanted(at, &any), claims.clone()), (!good).then_some(Denial::Claim), "{at} {any:?}");
    }
}

#[test]
fn a_token_is_made_for_this() {
    let seal = |typ: Value, types| {
        let header = json!({"alg": "HS256", "typ": typ}).to_string();
        let token = ISSUER.seal(Algorithm::Hs256, &header, &claims().to_string());
        verify(&token, &ISSUER.keys(), &Policy { types, ..Policy::default() }, NOW).err()
    };
    for (typ, jwt, access) in [
        ("JWT", true, false),
        ("jwt", true, false),
        ("application/jwt", true, false),
        ("at+jwt", true, true),
        ("AT+JWT", true, true),
        ("application/at+jwt", true, true),
        ("logout+jwt", false, false),
        ("dpop+jwt", false, false),
        ("secevent+jwt", false, false),
        ("application/application/jwt", false, false),
        ("", false, false),
    ] {
        assert_eq!(seal(typ.into(), Types::Jwt), (!jwt).then_some(Denial::Type), "{typ}");
        assert_eq!(seal(typ.into(), Types::AccessToken), (!access).then_some(Denial::Type), "{typ}");
    }
    assert_eq!(seal(json!(1), Types::Jwt), Some(Denial::Malformed));
    let bare = ISSUER.seal(Algorithm::Hs256, r#"{"alg":"HS256"}"#, &claims().to_string());
    assert_eq!(denied(&bare, &ISSUER.keys()), None);
    let strict = Policy { types: Types::AccessToken, ..Policy::default() };
    assert_eq!(verify(&bare, &ISSUER.keys(), &strict, NOW).err(), Some(Denial::Type));
}

#[test]
fn claims_are_written_in_lines_or_not_at_all() {
    let claims = json!({
        "exp": NOW + 60, "sub": "alice", "n": 7, "f": 1.5, "b": false, "z": null, "big": u64::MAX, "huge": 18446744073709551617.0,
        "a": ["x"], "o": {}, "crlf": "a\r\nX-Admin: 1", "nul": "a\0", "del": "\u{7f}", "c1": "\u{85}", "tab": "a\tb", "name": "Zoë"
    });
    let claims = taken(&ISSUER.token(Algorithm::Hs256, &claims), &ISSUER.keys()).unwrap();
    let text = |at: &str| claims.text(&Pointer::new(at).unwrap()).map(|text| text.map(|text| text.into_owned()));
    for (at, wanted) in
        [("sub", "alice"), ("n", "7"), ("f", "1.5"), ("b", "false"), ("big", "18446744073709551615"), ("name", "Zoë")]
    {
        assert_eq!(text(at), Ok(Some(wanted.to_owned())), "{at}");
    }
    for at in ["z", "missing"] {
        assert_eq!(text(at), Ok(None), "{at}");
    }
    for at in ["crlf", "nul", "del", "c1", "tab"] {
        assert_eq!(text(at), Err(Unfit::Control), "{at}");
    }
    assert_eq!(text("huge"), Err(Unfit::Inexact));
    assert_eq!((text("a"), text("o")), (Err(Unfit::Composite), Err(Unfit::Composite)));
    assert!(!format!("{claims:?}").contains("alice"));
}

#[test]
fn each_denial_has_a_word_of_its_own_and_what_rfc_6750_asks_for() {
    let mut words: Vec<&str> = Denial::ALL.iter().map(|denial| denial.word()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Denial::ALL.len());
    for denial in Denial::ALL {
        let wanted = if denial == Denial::Scope { (403, "insufficient_scope") } else { (401, "invalid_token") };
        assert_eq!((denial.status(), denial.error()), wanted);
        assert!(denial.description().bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte)));
    }
}
