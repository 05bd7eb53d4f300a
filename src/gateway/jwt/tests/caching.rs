//! What is remembered of tokens.

use super::*;

fn cache() -> Cache {
    Cache::new(1 << 20)
}

#[test]
fn a_token_that_comes_again_costs_no_signature() {
    let (mut cache, keys, policy) = (cache(), ISSUER.keys(), Policy::default());
    let token = ISSUER.token(Algorithm::Rs256, &claims());
    for time in 0..100 {
        assert_eq!(cache.verify(&token, &keys, &policy, NOW + time).unwrap().subject(), Some("alice"));
    }
    assert_eq!((cache.hits(), cache.misses(), cache.count()), (99, 1, 1));
    // The keys are fetched again, in another order.
    let mut all = Algorithm::ALL.map(|algorithm| ISSUER.jwk(algorithm));
    all.reverse();
    assert!(cache.verify(&token, &jwks(&all), &policy, NOW).is_ok());
    assert_eq!((cache.hits(), cache.misses()), (100, 1));
}

#[test]
fn an_entry_dies_with_its_token() {
    let (mut cache, keys, policy) = (cache(), ISSUER.keys(), Policy { leeway: 0, ..Policy::default() });
    let token = ISSUER.token(Algorithm::Es256, &claims());
    assert!(cache.verify(&token, &keys, &policy, NOW + 599).is_ok());
    assert_eq!(cache.count(), 1);
    for _ in 0..2 {
        assert_eq!(cache.verify(&token, &keys, &policy, NOW + 600).err(), Some(Denial::Expired));
        assert_eq!(cache.count(), 0);
    }
}

#[test]
fn an_entry_dies_with_its_key() {
    let (mut cache, policy) = (cache(), Policy::default());
    let token = ISSUER.token(Algorithm::Es256, &claims());
    let (own, other) = (ISSUER.jwk(Algorithm::Es256), ISSUER.jwk(Algorithm::Rs256));
    assert!(cache.verify(&token, &jwks(&[own.clone(), other.clone()]), &policy, NOW).is_ok());
    assert_eq!(cache.verify(&token, &jwks(&[other]), &policy, NOW).err(), Some(Denial::KeyUnknown));
    let mut changed = MALLORY.jwk(Algorithm::Es256);
    changed["kid"] = own["kid"].clone();
    assert_eq!(cache.verify(&token, &jwks(&[changed]), &policy, NOW).err(), Some(Denial::Signature));
    let mut pinned = own;
    pinned["kid"] = "other".into();
    assert_eq!(cache.verify(&token, &jwks(&[pinned]), &policy, NOW).err(), Some(Denial::KeyUnknown));
}

#[test]
fn sets_of_keys_do_not_push_each_other_out() {
    let (mut cache, policy) = (cache(), Policy::default());
    let token = ISSUER.token(Algorithm::Es256, &claims());
    let (one, other) = (jwks(&[ISSUER.jwk(Algorithm::Es256)]), ISSUER.keys());
    for _ in 0..3 {
        assert!(cache.verify(&token, &one, &policy, NOW).is_ok());
        assert!(cache.verify(&token, &other, &policy, NOW).is_ok());
    }
    assert_eq!((cache.misses(), cache.hits()), (2, 4));
}

#[test]
fn an_entry_dies_with_what_its_key_is_for() {
    let (mut cache, policy) = (cache(), Policy::default());
    let token = ISSUER.token(Algorithm::Rs256, &claims());
    let pem = ISSUER.pem(Algorithm::Rs256);
    let keys = |algorithm| Keys::from_pem(pem.as_bytes(), None, algorithm).unwrap();
    assert!(cache.verify(&token, &keys(None), &policy, NOW).is_ok());
    let other = cache.verify(&token, &keys(Some(Algorithm::Ps256)), &policy, NOW);
    assert_eq!(other.err(), Some(Denial::AlgorithmMismatch));
}

#[test]
fn an_entry_is_judged_by_each_policy() {
    let (mut cache, keys) = (cache(), ISSUER.keys());
    let token = ISSUER.token(Algorithm::Es256, &json!({"exp": NOW + 60, "scope": "read"}));
    let needs = |scope: &str| Policy { all_scopes: [scope.into()].into(), ..Policy::default() };
    for _ in 0..2 {
        assert!(cache.verify(&token, &keys, &needs("read"), NOW).is_ok());
        assert_eq!(cache.verify(&token, &keys, &needs("write"), NOW).err(), Some(Denial::Scope));
        let short = Policy { longest: 10, ..Policy::default() };
        assert_eq!(cache.verify(&token, &keys, &short, NOW).err(), Some(Denial::TooLong));
    }
    assert_eq!((cache.misses(), cache.hits()), (1, 3));
}

#[test]
fn what_is_not_signed_is_not_kept() {
    let (mut cache, keys, policy) = (cache(), ISSUER.keys(), Policy::default());
    let good = ISSUER.token(Algorithm::EdDsa, &claims());
    assert!(cache.verify(&good, &keys, &policy, NOW).is_ok());
    let (signed, _) = good.rsplit_once('.').unwrap();
    for bad in [MALLORY.token(Algorithm::EdDsa, &claims()), format!("{signed}."), format!("{good}A"), String::new()] {
        assert!(cache.verify(&bad, &keys, &policy, NOW).is_err());
    }
    assert_eq!((cache.count(), cache.hits()), (1, 0));
}

#[test]
fn a_cache_is_bounded_whatever_is_in_its_tokens() {
    let (mut cache, keys, policy) = (Cache::new(256 << 10), ISSUER.keys(), Policy::default());
    let nested: Vec<Value> = (0..200).map(|n| json!({"a": n})).collect();
    for number in 0..1000 {
        let claims = json!({"exp": NOW + 60, "sub": number.to_string(), "pad": if number % 3 == 0 { json!(nested) } else { json!("") }});
        let claims = cache.verify(&ISSUER.token(Algorithm::Hs256, &claims), &keys, &policy, NOW).unwrap();
        assert_eq!(claims.subject(), Some(&*number.to_string()));
        assert!(cache.bytes() <= 256 << 10);
    }
    assert!((1..1000).contains(&cache.count()), "{}", cache.count());
    let mut none = Cache::new(0);
    let token = ISSUER.token(Algorithm::Hs256, &claims());
    assert!(none.verify(&token, &keys, &policy, NOW).is_ok());
    assert_eq!(none.count(), 0);
}
