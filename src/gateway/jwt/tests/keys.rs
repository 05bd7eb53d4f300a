//! Keys, and what each verifies.

use super::*;

/// A public RSA key of 1024 bits.
const SHORT: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC4mgEmiYSrbknPAZ1WHlrdwoxn
Ti3dT7l38PgCFXPrP83OqWzMIeWOlkbLf2bYDxjbzmVP4w6ByOD03CCD8UYsHCJ4
lkqsH2uAaRu0uo171pZ2YIIxhlEzNc531aoI8B8Gl5yyNU/DTt14NzqmFxbmYCmX
URtw8UxOlerBA4PmzwIDAQAB
-----END PUBLIC KEY-----
";

const ASYMMETRIC: [Algorithm; 10] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::EdDsa,
];

#[test]
fn a_token_of_each_algorithm_is_taken_and_none_of_another_key() {
    let keys = ISSUER.keys();
    assert_eq!((keys.count(), keys.skipped().len()), (13, 0));
    for algorithm in Algorithm::ALL {
        let claims = taken(&ISSUER.token(algorithm, &claims()), &keys).unwrap();
        assert_eq!((claims.subject(), claims.algorithm()), (Some("alice"), Some(algorithm)));
        assert_eq!((claims.key(), claims.typ()), (Some(algorithm.name()), Some("jwt")));
        assert_eq!(denied(&MALLORY.token(algorithm, &super::claims()), &keys), Some(Denial::Signature));
    }
}

#[test]
fn a_key_that_names_its_algorithm_is_for_no_other() {
    for own in Algorithm::ALL {
        let mut key = ISSUER.jwk(own);
        key.as_object_mut().unwrap().remove("kid");
        let keys = jwks(&[key]);
        for other in Algorithm::ALL {
            let wanted = (own != other).then_some(Denial::AlgorithmMismatch);
            assert_eq!(denied(&ISSUER.token(other, &claims()), &keys), wanted, "{own:?} {other:?}");
        }
    }
}

#[test]
fn a_key_that_names_none_is_for_those_of_its_kind() {
    let kind = |algorithm: Algorithm| ISSUER.jwk(algorithm)["kty"].as_str().map(str::to_owned);
    for own in [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::Es512, Algorithm::EdDsa] {
        let mut key = ISSUER.jwk(own);
        key.as_object_mut().unwrap().remove("alg");
        key.as_object_mut().unwrap().remove("kid");
        let keys = jwks(&[key]);
        for other in Algorithm::ALL {
            let fits = if own.name().starts_with('E') { own == other } else { kind(own) == kind(other) };
            let wanted = (!fits).then_some(Denial::AlgorithmMismatch);
            assert_eq!(denied(&ISSUER.token(other, &claims()), &keys), wanted, "{own:?} {other:?}");
        }
    }
}

#[test]
fn a_signature_is_of_the_algorithm_that_the_token_names() {
    let mut all = [ISSUER.jwk(Algorithm::Rs256), ISSUER.jwk(Algorithm::Hs256)];
    for key in &mut all {
        key.as_object_mut().unwrap().remove("alg");
        key.as_object_mut().unwrap().remove("kid");
    }
    let keys = jwks(&all);
    for (named, used) in [
        (Algorithm::Rs256, Algorithm::Rs512),
        (Algorithm::Rs256, Algorithm::Ps256),
        (Algorithm::Ps384, Algorithm::Ps512),
        (Algorithm::Hs256, Algorithm::Hs512),
    ] {
        let header = json!({"alg": named.name()}).to_string();
        assert_eq!(denied(&ISSUER.seal(named, &header, &claims().to_string()), &keys), None);
        assert_eq!(
            denied(&ISSUER.seal(used, &header, &claims().to_string()), &keys),
            Some(Denial::Signature),
            "{named:?}"
        );
    }
}

#[test]
fn pem_serves_as_well() {
    for algorithm in ASYMMETRIC {
        let pem = ISSUER.pem(algorithm);
        let token = ISSUER.token(algorithm, &claims());
        for pinned in [None, Some(algorithm)] {
            let keys = Keys::from_pem(pem.as_bytes(), None, pinned).unwrap();
            assert_eq!(denied(&token, &keys), None, "{algorithm:?}");
            assert_eq!(denied(&MALLORY.token(algorithm, &claims()), &keys), Some(Denial::Signature));
        }
        let named = |id| Keys::from_pem(pem.as_bytes(), Some(id), None).unwrap();
        assert_eq!(denied(&token, &named(algorithm.name())), None);
        assert_eq!(denied(&token, &named("other")), Some(Denial::KeyUnknown));
        assert!(Keys::from_pem(pem.as_bytes(), None, Some(Algorithm::Hs256)).is_err());
    }
    let both = ISSUER.pem(Algorithm::Es256) + &MALLORY.pem(Algorithm::Es256);
    let keys = Keys::from_pem(both.as_bytes(), None, None).unwrap();
    for issuer in [&ISSUER, &MALLORY] {
        assert_eq!(denied(&issuer.token(Algorithm::Es256, &claims()), &keys), None);
    }
}

#[test]
fn what_is_no_public_key_says_what_to_do() {
    let curve = "-----BEGIN PUBLIC KEY-----
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEsG5z46ZcgJsLzziWrzQMCjZ9kFYwUJPO
WT1g02ZPJsjprS1PTfsi/mdHT3egwgtfxacdxvp/m82HtrPePHhFeQ==
-----END PUBLIC KEY-----
";
    let rsa = ISSUER.pem(Algorithm::Rs256);
    for (text, says) in [
        ("", "BEGIN PUBLIC KEY"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "openssl pkey"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "openssl x509"),
        ("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n", "RSAPublicKey_in"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "damaged"),
        ("-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n", "no PEM"),
        (curve, "its curve"),
        (SHORT, "2048"),
    ] {
        let told = Keys::from_pem(text.as_bytes(), None, None).unwrap_err();
        assert!(told.contains(says), "{told}");
    }
    for end in 0..rsa.len() - 30 {
        assert!(Keys::from_pem(&rsa.as_bytes()[..end], None, None).is_err(), "{end}");
    }
}

#[test]
fn a_secret_is_long_enough_for_its_algorithm() {
    for (algorithm, shortest) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        let secret = &ISSUER.secret;
        let told = Keys::from_secret(&secret[..shortest - 1], None, Some(algorithm)).unwrap_err();
        assert!(told.contains(&shortest.to_string()) && told.contains(algorithm.name()), "{told}");
        assert!(Keys::from_secret(&secret[..shortest], None, Some(algorithm)).is_ok());
    }
    assert!(Keys::from_secret(&ISSUER.secret[..31], None, None).unwrap_err().contains("32"));
    let keys = Keys::from_secret(&ISSUER.secret, None, None).unwrap();
    assert_eq!(denied(&ISSUER.token(Algorithm::Hs512, &claims()), &keys), None);
    let keys = Keys::from_secret(&ISSUER.secret[..32], None, None).unwrap();
    assert_eq!(denied(&ISSUER.token(Algorithm::Hs512, &claims()), &keys), Some(Denial::AlgorithmMismatch));
    for pem in [ISSUER.pem(Algorithm::Rs256), format!("\n {}", ISSUER.pem(Algorithm::Es256))] {
        assert!(Keys::from_secret(pem.as_bytes(), None, None).unwrap_err().contains("PEM"));
    }
    assert!(Keys::from_secret(&ISSUER.secret, None, Some(Algorithm::Rs256)).is_err());
}

#[test]
fn keys_of_a_set_that_are_not_for_this_are_left_out() {
    let with = |algorithm, name: &str, value: Value| {
        let mut key = ISSUER.jwk(algorithm);
        key[name] = value;
        key
    };
    let (rsa, ec) = (Algorithm::Rs256, Algorithm::Es256);
    let x = URL_SAFE_NO_PAD.decode(ISSUER.jwk(ec)["x"].as_str().unwrap()).unwrap();
    let longer = base64(&[&[0], &x[..]].concat());
    let y = URL_SAFE_NO_PAD.decode(ISSUER.jwk(ec)["y"].as_str().unwrap()).unwrap();
    let mut shifted = with(ec, "x", json!(base64(&x[..31])));
    shifted["y"] = json!(base64(&[&x[31..], &y].concat()));
    for key in [
        json!(1),
        json!({}),
        json!({"kty": "XYZ"}),
        json!({"kty": "oct", "k": base64(&[7; 31])}),
        json!({"kty": "OKP", "crv": "Ed448", "x": base64(&[7; 57])}),
        json!({"kty": "OKP", "crv": "X25519", "x": base64(&[7; 32])}),
        with(rsa, "use", json!("enc")),
        with(rsa, "use", json!(1)),
        with(rsa, "key_ops", json!(["sign"])),
        with(rsa, "key_ops", json!("verify")),
        with(rsa, "alg", json!("RSA-OAEP")),
        with(rsa, "alg", json!("none")),
        with(rsa, "alg", json!("HS256")),
        with(rsa, "alg", json!("ES256")),
        with(rsa, "kid", json!(1)),
        with(rsa, "kid", json!("x".repeat(257))),
        with(rsa, "d", json!("AQAB")),
        with(rsa, "e", json!("AQ")),
        with(rsa, "e", json!("Ag")),
        with(rsa, "e", json!("AQAB=")),
        with(rsa, "n", json!("")),
        with(rsa, "n", json!(base64(&[0xff; 128]))),
        with(rsa, "n", json!(base64(&[0xff; 255]))),
        with(rsa, "n", json!(base64(&[0xff; 1025]))),
        with(rsa, "n", json!(base64(&[0xfe; 256]))),
        with(ec, "crv", json!("P-384")),
        with(ec, "crv", json!("secp256k1")),
        with(ec, "alg", json!("ES384")),
        with(ec, "x", json!(base64(&[0; 32]))),
        with(ec, "x", json!(longer)),
        shifted,
        with(Algorithm::EdDsa, "x", json!(base64(&[7; 31]))),
    ] {
        let document = json!({"keys": [key, ISSUER.jwk(Algorithm::Es384)]}).to_string();
        let keys = Keys::from_jwks(document.as_bytes()).unwrap();
        assert_eq!((keys.count(), keys.skipped().len()), (1, 1), "{key}");
        assert!(Keys::from_jwks(json!({"keys": [key]}).to_string().as_bytes()).is_err());
    }
    for good in [
        with(rsa, "use", json!("sig")),
        with(rsa, "key_ops", json!(["sign", "verify"])),
        with(Algorithm::EdDsa, "alg", json!("Ed25519")),
        with(rsa, "x5u", json!("https://mallory.example/")),
    ] {
        assert_eq!(jwks(&[good]).count(), 1);
    }
}

#[test]
fn a_set_is_bounded_and_unambiguous() {
    let many = |count: usize| {
        let keys: Vec<Value> =
            (0..count).map(|n| json!({"kty": "oct", "k": base64(format!("{n:032}").as_bytes())})).collect();
        json!({"keys": keys}).to_string()
    };
    assert_eq!(Keys::from_jwks(many(256).as_bytes()).unwrap().count(), 256);
    for bad in [
        many(257),
        json!({"keys": vec![ISSUER.jwk(Algorithm::Es256); 257]}).to_string(),
        many(0),
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"keys":{}}"#.to_owned(),
        ISSUER.jwk(Algorithm::Rs256).to_string(),
        format!("{}{}", ISSUER.pem(Algorithm::Rs256), many(1)),
        many(1).replacen("\"k\"", "\"k\":\"\",\"k\"", 1),
        format!("{}{}", many(1), " ".repeat(512 << 10)),
    ] {
        assert!(Keys::from_jwks(bad.as_bytes()).is_err(), "{bad:.60}");
    }
    let full = || Keys::from_jwks(many(256).as_bytes()).unwrap();
    assert_eq!(full().and(full()).unwrap().count(), 256);
    assert!(full().and(ISSUER.keys()).is_err());
}

#[test]
fn keys_of_one_name_are_all_tried_up_to_a_bound() {
    let named = |issuer: &Issuer, algorithm, id: &str| {
        let mut key = issuer.jwk(algorithm);
        key["kid"] = id.into();
        key
    };
    let (es, rs) = (Algorithm::Es256, Algorithm::Rs256);
    let keys = jwks(&[
        named(&MALLORY, es, "ES256"),
        named(&ISSUER, rs, "ES256"),
        named(&ISSUER, es, "ES256"),
        named(&ISSUER, es, "ES256"),
    ]);
    assert_eq!(keys.count(), 3);
    assert_eq!(denied(&ISSUER.token(es, &claims()), &keys), None);
    assert_eq!(denied(&ISSUER.token(rs, &claims()), &keys), Some(Denial::KeyUnknown));

    let others = |count: u8| (0..count).map(|n| json!({"kty": "oct", "kid": n.to_string(), "k": base64(&[n; 64])}));
    let unnamed = ISSUER.seal(Algorithm::Hs256, r#"{"alg":"HS256"}"#, &claims().to_string());
    let own = ISSUER.jwk(Algorithm::Hs256);
    let keys = jwks(&others(7).chain([own.clone()]).collect::<Vec<_>>());
    assert_eq!(denied(&unnamed, &keys), None);
    let keys = jwks(&others(8).chain([own]).collect::<Vec<_>>());
    assert_eq!(denied(&unnamed, &keys), Some(Denial::KeyAmbiguous));
    assert_eq!(denied(&ISSUER.token(Algorithm::Hs256, &claims()), &keys), None);
}

#[test]
fn keys_follow_upon_one_another() {
    let (old, new) = (ISSUER.jwk(Algorithm::Es256), ISSUER.jwk(Algorithm::Rs256));
    let (first, second) = (ISSUER.token(Algorithm::Es256, &claims()), ISSUER.token(Algorithm::Rs256, &claims()));
    let (before, during, after) = (jwks(std::slice::from_ref(&old)), jwks(&[old, new.clone()]), jwks(&[new]));
    assert_eq!((denied(&first, &before), denied(&second, &before)), (None, Some(Denial::KeyUnknown)));
    assert_eq!((denied(&first, &during), denied(&second, &during)), (None, None));
    assert_eq!((denied(&first, &after), denied(&second, &after)), (Some(Denial::KeyUnknown), None));
}

#[test]
fn no_secret_is_shown() {
    let secret = "correct horse battery staple, and then some";
    let keys = Keys::from_secret(secret.as_bytes(), Some("a"), None).unwrap();
    let shown = format!("{keys:?}");
    assert!(shown.contains("HS256") && !shown.contains("horse") && !shown.contains("99, 111"), "{shown}");
}

#[test]
fn workers_share_keys_and_claims() {
    fn shared<T: Send + Sync>() {}
    shared::<Keys>();
    shared::<Claims>();
    shared::<Policy>();
}
