//! Tokens that are almost good.

use super::*;

/// Other than `token`, by a step or a few.
fn mutated(token: &str, others: &[String], random: &mut fastrand::Rng) -> String {
    let mut bytes = token.as_bytes().to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..bytes.len().max(1));
        match random.u8(..9) {
            _ if bytes.is_empty() => bytes.push(b'.'),
            0 => bytes[at] ^= 1 << random.u8(..7),
            1 => bytes[at] = *random.choice(b"ABCXYZabcxyz0129-_+/=. \0\n").unwrap_or(&b'A'),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, *random.choice(b"AEe3.=_ ").unwrap_or(&b'A')),
            4 => bytes.truncate(at),
            5 => {
                let with = random.usize(..bytes.len());
                bytes.swap(at, with);
            }
            6 => {
                let from = random.usize(..=at);
                bytes.extend_from_within(from..=at);
            }
            // A part of another token.
            7 => {
                let other = &others[random.usize(..others.len())];
                let mut parts: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect();
                let (mine, theirs) = (random.usize(..parts.len()), random.usize(..3));
                parts[mine] = other.split('.').nth(theirs).unwrap_or_default().into();
                bytes = parts.join(&b'.');
            }
            // Another claim under the signature.
            _ => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let claims = json!({"sub": "admin", "exp": NOW + random.u64(..1000)}).to_string();
                let parts: Vec<&str> = text.split('.').collect();
                bytes = format!("{}.{}.{}", parts[0], base64(claims.as_bytes()), parts[parts.len() - 1]).into_bytes();
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn no_mutated_token_is_taken_and_none_panics() {
    let keys = ISSUER.keys();
    let mut cache = Cache::new(1 << 20);
    let good: Vec<String> = Algorithm::ALL.map(|algorithm| ISSUER.token(algorithm, &claims())).into();
    let mut others = good.clone();
    others.extend(Algorithm::ALL.map(|algorithm| MALLORY.token(algorithm, &claims())));
    others.push(sealed(r#"{"alg":"none"}"#, &claims().to_string(), |_| Vec::new()));
    for token in &good {
        assert!(cache.verify(token, &keys, &Policy::default(), NOW).is_ok());
    }
    let mut random = fastrand::Rng::with_seed(7519);
    let mut met = Vec::new();
    for round in 0..20_000 {
        let token = mutated(&good[round % good.len()], &others, &mut random);
        if good.contains(&token) {
            continue;
        }
        let denial = cache.verify(&token, &keys, &Policy::default(), NOW).err();
        let denial = denial.unwrap_or_else(|| panic!("round {round}: taken: {token}"));
        if !met.contains(&denial) {
            met.push(denial);
        }
    }
    for denial in
        [Denial::Malformed, Denial::Signature, Denial::AlgorithmNone, Denial::AlgorithmUnknown, Denial::KeyUnknown]
    {
        assert!(met.contains(&denial), "{denial:?} is reached: {met:?}");
    }
}

#[test]
fn no_mutated_set_of_keys_panics() {
    let good = json!({"keys": Algorithm::ALL.map(|algorithm| ISSUER.jwk(algorithm))}).to_string();
    let pem = ISSUER.pem(Algorithm::Rs256) + &ISSUER.pem(Algorithm::Es384) + &ISSUER.pem(Algorithm::EdDsa);
    let mut random = fastrand::Rng::with_seed(7517);
    let token = ISSUER.token(Algorithm::Hs256, &claims());
    for _ in 0..2000 {
        let document = mutated(&good, std::slice::from_ref(&token), &mut random);
        if let Ok(keys) = Keys::from_jwks(document.as_bytes()) {
            assert!(keys.count() <= 13);
        }
        let _ = Keys::from_pem(mutated(&pem, std::slice::from_ref(&token), &mut random).as_bytes(), None, None);
    }
}
