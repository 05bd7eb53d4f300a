//! What attackers have tried on others, each refused for what it is.

use super::*;

/// A header beside `alg`, signed rightly.
fn with(algorithm: Algorithm, name: &str, value: Value) -> String {
    let mut header = json!({"alg": algorithm.name()});
    header[name] = value;
    ISSUER.seal(algorithm, &header.to_string(), &claims().to_string())
}

fn named(id: &str) -> String {
    with(Algorithm::Hs256, "kid", id.into())
}

#[test]
fn nothing_unsigned_is_taken() {
    let keys = ISSUER.keys();
    let signed = ISSUER.token(Algorithm::Rs256, &claims());
    let signature = signed.rsplit('.').next().unwrap();
    for name in ["none", "None", "NONE", "nOnE"] {
        let header = json!({"alg": name, "kid": "RS256"}).to_string();
        let bare = sealed(&header, &claims().to_string(), |_| Vec::new());
        for token in [bare.clone(), format!("{bare}{signature}")] {
            assert_eq!(denied(&token, &keys), Some(Denial::AlgorithmNone), "{name}");
        }
    }
    for (header, denial) in [
        (r#"{"typ":"JWT"}"#, Denial::Malformed),
        (r#"{"alg":null}"#, Denial::Malformed),
        (r#"{"alg":["none"]}"#, Denial::Malformed),
        (r#"{"alg":""}"#, Denial::AlgorithmUnknown),
        (r#"{"alg":"none "}"#, Denial::AlgorithmUnknown),
        (r#"{"alg":"hs256"}"#, Denial::AlgorithmUnknown),
        (r#"{"alg":"HS256\u0000"}"#, Denial::AlgorithmUnknown),
        (r#"{"alg":"HS1"}"#, Denial::AlgorithmUnknown),
        (r#"{"alg":"ES256K"}"#, Denial::AlgorithmUnknown),
        (r#"{"ALG":"HS256"}"#, Denial::Malformed),
    ] {
        let token = ISSUER.seal(Algorithm::Hs256, header, &claims().to_string());
        assert_eq!(denied(&token, &keys), Some(denial), "{header}");
    }
    for algorithm in Algorithm::ALL {
        let token = ISSUER.token(algorithm, &claims());
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(denied(&format!("{signed}."), &keys), Some(Denial::Signature), "{algorithm:?}");
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let algorithm = Algorithm::Rs256;
    let pem = ISSUER.pem(algorithm);
    let modulus = URL_SAFE_NO_PAD.decode(ISSUER.jwk(algorithm)["n"].as_str().unwrap()).unwrap();
    let secrets = [
        pem.as_bytes(),
        pem.trim_end().as_bytes(),
        &ISSUER.der(algorithm),
        ISSUER.rsa.public_key().as_ref(),
        &modulus,
        ISSUER.jwk(algorithm).to_string().as_bytes(),
        b"",
    ]
    .map(<[u8]>::to_vec);
    let sets = [
        Keys::from_pem(pem.as_bytes(), None, None).unwrap(),
        Keys::from_pem(pem.as_bytes(), None, Some(algorithm)).unwrap(),
        jwks(&[ISSUER.jwk(algorithm)]),
        jwks(&[ISSUER.jwk(algorithm), ISSUER.jwk(Algorithm::Hs256)]),
    ];
    for secret in &secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","kid":"RS256"}"#] {
            let token = sealed(header, &claims().to_string(), |text| hmac::sign(&key, text).as_ref().to_vec());
            for keys in &sets {
                let denial = denied(&token, keys).unwrap();
                assert!(matches!(denial, Denial::AlgorithmMismatch | Denial::Signature), "{denial:?}");
            }
            assert_eq!(denied(&token, &sets[0]), Some(Denial::AlgorithmMismatch));
        }
    }
}

#[test]
fn the_name_of_a_key_is_but_compared() {
    let keys = jwks(&[ISSUER.jwk(Algorithm::Hs256)]);
    assert_eq!(denied(&named("HS256"), &keys), None);
    for id in [
        "../../../../dev/null",
        "/dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "file:///etc/passwd",
        "https://mallory.example/keys.json",
        "x' UNION SELECT 'secret'--",
        "x\"; cat /etc/passwd",
        "$(id)",
        "*",
        "",
        "hs256",
        "HS256 ",
        "HS256\0",
        "HS256\n",
    ] {
        assert_eq!(denied(&named(id), &keys), Some(Denial::KeyUnknown), "{id:?}");
    }
    // Where a key has no name, any will do that is no longer than a name may be.
    let unnamed = Keys::from_secret(&ISSUER.secret, None, None).unwrap();
    assert_eq!(denied(&named(&"x".repeat(256)), &unnamed), None);
    assert_eq!(denied(&named(&"x".repeat(257)), &unnamed), Some(Denial::KeyUnknown));
    for value in [json!(1), json!(null), json!(["HS256"]), json!({"$ne": ""})] {
        assert_eq!(denied(&with(Algorithm::Hs256, "kid", value), &keys), Some(Denial::Malformed));
    }
}

#[test]
fn no_extension_is_understood() {
    let keys = ISSUER.keys();
    for value in [json!(["exp"]), json!(["b64"]), json!([]), json!(null), json!("b64"), json!(["https://e.com/x"])] {
        assert_eq!(denied(&with(Algorithm::Es256, "crit", value.clone()), &keys), Some(Denial::Critical), "{value}");
    }
}

#[test]
fn keys_that_a_token_brings_along_are_not_looked_at() {
    let algorithm = Algorithm::Es256;
    let chain = STANDARD.encode(MALLORY.der(algorithm));
    for (name, value) in [
        ("jwk", MALLORY.jwk(algorithm)),
        ("jku", json!("https://mallory.example/jwks.json")),
        ("x5u", json!("https://mallory.example/chain.pem")),
        ("x5c", json!([chain])),
    ] {
        let mut header = json!({"alg": algorithm.name(), "kid": algorithm.name()});
        header[name] = value;
        let (header, payload) = (header.to_string(), claims().to_string());
        assert_eq!(
            denied(&MALLORY.seal(algorithm, &header, &payload), &ISSUER.keys()),
            Some(Denial::Signature),
            "{name}"
        );
        assert_eq!(denied(&ISSUER.seal(algorithm, &header, &payload), &ISSUER.keys()), None, "{name}");
    }
}

#[test]
fn a_token_is_written_in_one_way() {
    let keys = ISSUER.keys();
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::Hs256] {
        let good = ISSUER.token(algorithm, &claims());
        let parts: Vec<&str> = good.split('.').collect();
        let [header, payload, signature] = parts[..] else { panic!("three parts") };
        for bad in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            header.to_owned(),
            format!("{header}.{payload}"),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}.{signature}"),
            format!("{header}.{payload}.{signature}.{payload}.{signature}"),
            format!("{good}="),
            format!("{good}=="),
            format!("{header}=.{payload}.{signature}"),
            format!(" {good}"),
            format!("{good} "),
            format!("{good}\n"),
            format!("{good}\0"),
            format!("{good}\0.x"),
            format!("{header}.{payload}.\0{signature}"),
            format!("{header}.{payload}. {signature}"),
            format!("{header}.{payload}.{signature}é"),
            format!("Bearer {good}"),
            format!("\"{good}\""),
            format!("{{\"payload\":\"{payload}\",\"signatures\":[]}}"),
        ] {
            assert_eq!(denied(&bad, &keys), Some(Denial::Malformed), "{bad}");
        }
        assert_eq!(denied(&format!("{header}..{signature}"), &keys), Some(Denial::Signature));
        // Bits of the last letter that count for nothing.
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = alphabet.find(&signature[signature.len() - 1..]).unwrap();
        let (short, other) = (&signature[..signature.len() - 1], &alphabet[last + 1..=last + 1]);
        assert_eq!(denied(&format!("{header}.{payload}.{short}{other}"), &keys), Some(Denial::Malformed));
        // The other alphabet.
        let plain = good.replace('-', "+").replace('_', "/");
        assert!(plain == good || denied(&plain, &keys) == Some(Denial::Malformed));
    }
    // Even where the issuer itself has signed it.
    for (header, payload) in
        [("eyJhbGciOiJIUzI1NiJ9", "e30="), ("eyJhbGciOiJIUzI1NiJ9=", "e30"), ("eyJhbGciOiJIUzI1NiJ9", "e31")]
    {
        let signed = format!("{header}.{payload}");
        let token = format!("{signed}.{}", base64(&ISSUER.sign(Algorithm::Hs256, signed.as_bytes())));
        assert_eq!(denied(&token, &keys), Some(Denial::Malformed), "{signed}");
    }
}

#[test]
fn members_stand_once() {
    let keys = ISSUER.keys();
    let seal = |header: &str, payload: &str| denied(&ISSUER.seal(Algorithm::Hs256, header, payload), &keys);
    let good = claims().to_string();
    for header in [
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"HS256"}"#,
        r#"{"alg":"HS256","jwk":{"a":1,"a":1}}"#,
    ] {
        assert_eq!(seal(header, &good), Some(Denial::DuplicateMember), "{header}");
    }
    let twice = format!(r#"{{"sub":"mallory",{}"#, &good[1..]);
    assert_eq!(seal(r#"{"alg":"HS256"}"#, &twice), Some(Denial::DuplicateMember));
    for payload in ["", "[]", "1", "null", "{", "{}{}", "\u{feff}{}"] {
        assert_eq!(seal(r#"{"alg":"HS256"}"#, payload), Some(Denial::Malformed), "{payload}");
    }
}

#[test]
fn signatures_of_another_form_are_none() {
    let keys = ISSUER.keys();
    let (header, payload) = (r#"{"alg":"ES256"}"#, claims().to_string());
    let fixed = ISSUER.seal(Algorithm::Es256, header, &payload);
    assert_eq!(denied(&fixed, &keys), None);
    let raw = URL_SAFE_NO_PAD.decode(fixed.rsplit('.').next().unwrap()).unwrap();
    let integer = |number: &[u8]| {
        let number = if number[0] > 127 { [&[0], number].concat() } else { number.to_vec() };
        [&[2, number.len() as u8], &number[..]].concat()
    };
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    let der = [&[0x30, body.len() as u8], &body[..]].concat();
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap()).collect();
    for signature in [
        der,
        vec![0; 64],
        vec![0xff; 64],
        vec![0; 63],
        vec![0; 65],
        [&raw[..32], &[0; 32]].concat(),
        [&[0; 32], &raw[32..]].concat(),
        [&order[..], &order].concat(),
        [&order[..], &raw[32..]].concat(),
        [&[0][..], &raw].concat(),
        [&raw[..], &[0]].concat(),
        raw[..63].to_vec(),
        [&raw[32..], &raw[..32]].concat(),
    ] {
        let token = sealed(header, &payload, |_| signature.clone());
        assert_eq!(denied(&token, &keys), Some(Denial::Signature), "{signature:?}");
    }
    for algorithm in Algorithm::ALL {
        let length = ISSUER.sign(algorithm, b"").len();
        for signature in [vec![0; length], vec![1; length], vec![0xff; length], vec![0; 1], vec![0; 4000]] {
            let header = json!({"alg": algorithm.name()}).to_string();
            assert_eq!(
                denied(&sealed(&header, &payload, |_| signature), &keys),
                Some(Denial::Signature),
                "{algorithm:?}"
            );
        }
    }
    // Half of a tag is easier to guess.
    let whole = ISSUER.token(Algorithm::Hs256, &claims());
    let (signed, tag) = whole.rsplit_once('.').unwrap();
    assert_eq!(denied(&format!("{signed}.{}", &tag[..20]), &keys), Some(Denial::Signature));
}

#[test]
fn a_token_is_bounded() {
    let keys = ISSUER.keys();
    let long = |length: usize| {
        let mut claims = claims();
        claims["pad"] = "x".repeat(length).into();
        ISSUER.token(Algorithm::Hs256, &claims)
    };
    assert_eq!(denied(&long(5000), &keys), None);
    assert_eq!(denied(&long(6200), &keys), Some(Denial::TooLong));
    let policy = Policy { longest: usize::MAX, ..Policy::default() };
    assert!(verify(&long(40_000), &keys, &policy, NOW).is_ok());
    assert_eq!(verify(&long(60_000), &keys, &policy, NOW).err(), Some(Denial::TooLong));
    for huge in [".".repeat(10 << 20), "A".repeat(10 << 20), "e30.".repeat(1 << 20)] {
        assert_eq!(denied(&huge, &keys), Some(Denial::TooLong));
    }
    let deep = format!("{{\"a\":{}", "[".repeat(5000));
    assert_eq!(denied(&ISSUER.seal(Algorithm::Hs256, r#"{"alg":"HS256"}"#, &deep), &keys), Some(Denial::Malformed));
    assert_eq!(denied(&ISSUER.seal(Algorithm::Hs256, &deep, "{}"), &keys), Some(Denial::Malformed));
}
