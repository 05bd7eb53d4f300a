use super::*;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::thread;

/// The keys of RFC 9421 appendix B.1.
const SECRET: &str = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
const ED25519: &str = "MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";
const RSA_PSS: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2\
    +QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+\
    oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq\
    gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W\
    Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4\
    aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI\
    2wIDAQAB";

/// When its examples were made.
const THEN: u64 = 1_618_884_473;
const DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

/// A request.
#[derive(Clone)]
struct Sent {
    method: &'static str,
    authority: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    fields: Vec<(&'static str, String)>,
}

impl Request for Sent {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn scheme(&self) -> &str {
        "https"
    }

    fn authority(&self) -> &[u8] {
        self.authority.as_bytes()
    }

    fn path(&self) -> &[u8] {
        b"/another"
    }

    fn sent_path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn query(&self) -> Option<&[u8]> {
        self.query.map(str::as_bytes)
    }

    fn each(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        self.fields.iter().filter(|(other, _)| *other == name).for_each(|(_, value)| see(value.as_bytes()));
    }
}

impl Sent {
    fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.retain(|(other, _)| *other != name);
        self.fields.push((name, value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(other, _)| *other != name);
        self
    }

    /// With this said of a signature, and a signature.
    fn says(self, input: &str, signature: &str) -> Self {
        self.set("signature-input", format!("sig={input}")).set("signature", format!("sig=:{signature}:"))
    }

    /// Signed by the secret of appendix B.
    fn signed(self, input: &str) -> Self {
        let said = self.says(input, "");
        let base = base::of(&said, &Signed::read(&said).unwrap()[0]).unwrap_or_default();
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(SECRET).unwrap());
        let signature = STANDARD.encode(hmac::sign(&secret, &base));
        said.says(input, &signature)
    }
}

/// The request of appendix B.2.
fn example() -> Sent {
    let fields = [
        ("host", "example.com"),
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        ("content-digest", DIGEST),
        ("content-length", "18"),
    ];
    Sent {
        method: "POST",
        authority: "example.com",
        path: "/foo",
        query: Some("param=Value&Pet=dog"),
        fields: fields.map(|(name, value)| (name, value.to_owned())).to_vec(),
    }
}

fn keys(more: &str) -> Keys {
    let text = format!(
        "test-shared-secret hmac-sha256 {SECRET} acme\ntest-key-ed25519 ed25519 {ED25519}\n\
         test-key-rsa-pss rsa-pss-sha512 {RSA_PSS}\n{more}"
    );
    let lines = text.lines().enumerate().map(|(place, line)| (place + 1, line));
    Keys::read(lines, |name| Arc::new(Consumer::new(name))).unwrap()
}

/// One that wants nothing signed.
fn lax() -> Policy {
    Policy { components: Vec::new(), max_age: 300, skew: 30, tag: None, digest: false }
}

fn strict() -> Policy {
    Policy { components: Policy::usual(), ..lax() }
}

fn ask(sent: &Sent, policy: &Policy) -> Result<String, Denial> {
    verify(sent, &keys(""), policy, None, THEN).map(|(consumer, _)| consumer.name.to_string())
}

#[test]
fn the_examples_of_the_standard_are_verified_and_nothing_else_is() {
    for (input, signature, consumer) in [
        (
            "();created=1618884473;keyid=\"test-key-rsa-pss\";nonce=\"b3k2pp5k7z-50gnwp.yemd\"",
            "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXa\
             JMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56Y\
             CE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPY\
             TU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
            "test-key-rsa-pss",
        ),
        (
            "(\"@authority\" \"content-digest\" \"@query-param\";name=\"Pet\");created=1618884473;\
             keyid=\"test-key-rsa-pss\";tag=\"header-example\"",
            "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB\
             4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqW\
             FQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY\
             8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
            "test-key-rsa-pss",
        ),
        (
            "(\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" \"content-type\" \"content-digest\" \
             \"content-length\");created=1618884473;keyid=\"test-key-rsa-pss\"",
            "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrC\
             Ub38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91\
             kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRx\
             pJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
            "test-key-rsa-pss",
        ),
        (
            "(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
            "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
            "acme",
        ),
        (
            "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;\
             keyid=\"test-key-ed25519\"",
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
            "test-key-ed25519",
        ),
    ] {
        let sent = example().says(input, signature);
        assert_eq!(ask(&sent, &lax()).as_deref(), Ok(consumer), "{input}");
        let other = sent.clone().says(&input.replace("1618884473", "1618884474"), signature);
        assert_eq!(ask(&other, &lax()), Err(Denial::Wrong), "{input}");
        let mut bytes = STANDARD.decode(signature).unwrap();
        bytes[5] ^= 1;
        assert_eq!(ask(&sent.clone().says(input, &STANDARD.encode(bytes)), &lax()), Err(Denial::Wrong), "{input}");
        let whose = if consumer == "acme" { "test-key-ed25519" } else { "test-shared-secret" };
        let key = input.find("keyid=\"").unwrap() + 7;
        let end = key + input[key..].find('"').unwrap();
        let by_other = format!("{}{whose}{}", &input[..key], &input[end..]);
        assert_eq!(ask(&sent.says(&by_other, signature), &lax()), Err(Denial::Wrong), "{input}");
    }
}

#[test]
fn ecdsa_is_verified_too() {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let line = format!("mine ecdsa-p256-sha256 {}\n", STANDARD.encode(pair.public_key().as_ref()));
    let input = "(\"@method\" \"@target-uri\" \"content-digest\");created=1618884473;keyid=\"mine\"";
    let said = example().says(input, "");
    let base = base::of(&said, &Signed::read(&said).unwrap()[0]).unwrap();
    let signed = said.says(input, &STANDARD.encode(pair.sign(&random, &base).unwrap()));
    let ask =
        |sent: &Sent| verify(sent, &keys(&line), &strict(), None, THEN).map(|(consumer, _)| consumer.name.clone());
    assert_eq!(ask(&signed).as_deref(), Ok("mine"));
    assert_eq!(ask(&Sent { method: "PUT", ..signed }), Err(Denial::Wrong));
}

#[test]
fn whatever_is_changed_of_what_is_signed_is_found() {
    let input = "(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\" \"x-twice\");created=1618884473;\
                 keyid=\"test-shared-secret\"";
    let mut sent = example();
    sent.fields.extend([("x-twice", " a ".to_owned()), ("x-twice", "b".to_owned())]);
    let sent = sent.signed(input);
    assert_eq!(ask(&sent, &strict()).as_deref(), Ok("acme"));
    let same = [
        Sent { authority: "EXAMPLE.com:443", ..sent.clone() },
        sent.clone().set("x-twice", "a, b"),
        sent.clone().set("date", "another"),
    ];
    for same in &same {
        assert_eq!(ask(same, &strict()).as_deref(), Ok("acme"));
    }
    let changed = [
        Sent { method: "PUT", ..sent.clone() },
        Sent { method: "post", ..sent.clone() },
        Sent { authority: "example.org", ..sent.clone() },
        Sent { authority: "example.com:80", ..sent.clone() },
        Sent { path: "/foo/", ..sent.clone() },
        Sent { path: "/%66oo", ..sent.clone() },
        Sent { query: Some("param=Value&Pet=cat"), ..sent.clone() },
        Sent { query: Some("Pet=dog&param=Value"), ..sent.clone() },
        Sent { query: None, ..sent.clone() },
        sent.clone().set("x-twice", "b, a"),
        sent.clone().set("content-digest", DIGEST.replace("WZDP", "WZDQ")),
    ];
    for (number, changed) in changed.iter().enumerate() {
        assert_eq!(ask(changed, &strict()), Err(Denial::Wrong), "{number}");
    }
    assert_eq!(ask(&sent.clone().without("x-twice"), &strict()), Err(Denial::Missing));
    let root = Sent { path: "", query: None, ..example() }.without("content-length");
    let root = root.signed("(\"@method\" \"@target-uri\");created=1618884473;keyid=\"test-shared-secret\"");
    assert_eq!(ask(&root, &strict()).as_deref(), Ok("acme"), "an empty path is the root's");
    assert_eq!(ask(&Sent { path: "/", ..root }, &strict()).as_deref(), Ok("acme"));
}

#[test]
fn a_signature_of_less_than_is_wanted_is_none() {
    let rest = ";created=1618884473;keyid=\"test-shared-secret\"";
    for (components, expected) in [
        ("\"@method\" \"@target-uri\" \"content-digest\"", Ok("acme")),
        ("\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\"", Ok("acme")),
        ("\"@method\" \"@authority\" \"@path\" \"content-digest\"", Err(Denial::Uncovered)),
        ("\"@method\" \"@path\" \"@query\" \"content-digest\"", Err(Denial::Uncovered)),
        ("\"@target-uri\" \"content-digest\"", Err(Denial::Uncovered)),
        ("\"@method\" \"@target-uri\"", Err(Denial::Uncovered)),
        ("\"@method\" \"@target-uri\" \"content-digest\";sf", Err(Denial::Uncovered)),
        ("\"@method\";req \"@target-uri\" \"content-digest\"", Err(Denial::Uncovered)),
        ("\"@method\" \"@target-uri\" \"content-digest\" \"date\";bs", Err(Denial::Component)),
        ("\"@method\" \"@target-uri\" \"content-digest\" \"@status\"", Err(Denial::Component)),
        ("\"@method\" \"@target-uri\" \"content-digest\" \"Date\"", Err(Denial::Malformed)),
        ("\"@method\" \"@target-uri\" \"content-digest\" \"x-none\"", Err(Denial::Missing)),
        ("\"@method\" \"@target-uri\" \"content-digest\" \"@query-param\";name=\"none\"", Err(Denial::Missing)),
        ("", Err(Denial::Uncovered)),
    ] {
        let sent = example().signed(&format!("({components}){rest}"));
        assert_eq!(ask(&sent, &strict()), expected.map(str::to_owned), "{components}");
    }
    let bare = example().without("content-length").signed(&format!("(\"@method\" \"@target-uri\"){rest}"));
    assert_eq!(ask(&bare, &strict()).as_deref(), Ok("acme"), "there is no content");
    let digest = Policy { components: Vec::new(), digest: true, ..lax() };
    assert_eq!(ask(&example().signed(&format!("(\"date\"){rest}")), &digest), Err(Denial::Uncovered));
    let named = Policy { components: vec![Component::Named("date".to_owned())], ..lax() };
    assert_eq!(ask(&example().signed(&format!("(\"date\"){rest}")), &named).as_deref(), Ok("acme"));
    assert_eq!(ask(&example().signed(&format!("(\"@path\"){rest}")), &named), Err(Denial::Uncovered));
}

#[test]
fn time_counts_with_what_clocks_may_differ_by() {
    let made = |input: &str| ask(&example().signed(&format!("(){input};keyid=\"test-shared-secret\"")), &lax());
    for (input, expected) in [
        (format!(";created={}", THEN - 330), Ok("acme")),
        (format!(";created={}", THEN - 331), Err(Denial::Old)),
        (format!(";created={}", THEN + 30), Ok("acme")),
        (format!(";created={}", THEN + 31), Err(Denial::Later)),
        (format!(";created={THEN};expires={}", THEN - 30), Ok("acme")),
        (format!(";created={THEN};expires={}", THEN - 31), Err(Denial::Old)),
        (String::new(), Err(Denial::NoCreated)),
        (format!(";expires={}", THEN + 100), Err(Denial::NoCreated)),
        (";created=-5".to_owned(), Err(Denial::Malformed)),
        (";created=999999999999999".to_owned(), Err(Denial::Later)),
    ] {
        assert_eq!(made(&input), expected.map(str::to_owned), "{input}");
    }
}

#[test]
fn what_is_said_of_signatures_is_read_strictly() {
    let good = "();created=1618884473;keyid=\"test-shared-secret\"";
    let sent = example().signed(good);
    assert_eq!(ask(&sent, &lax()).as_deref(), Ok("acme"));
    assert_eq!(ask(&example(), &lax()), Err(Denial::Absent));
    let signature = sent.fields.iter().find(|(name, _)| *name == "signature").unwrap().1.clone();
    for (input, signature, expected) in [
        ("sig=\"a\"", &*signature, Denial::Malformed),
        ("sig=(date)", &signature, Denial::Malformed),
        ("sig=(\"date\" \"date\");created=1;keyid=\"a\"", &signature, Denial::Malformed),
        ("sig=();created=\"1\"", &signature, Denial::Malformed),
        ("sig=();created=1.5", &signature, Denial::Malformed),
        ("sig=();created=1;keyid=a", &signature, Denial::Malformed),
        ("sig=();nonce=\"\"", &signature, Denial::Malformed),
        ("sig=(", &signature, Denial::Malformed),
        ("other=();created=1618884473", &signature, Denial::Malformed),
        (&*format!("sig={good}"), "sig=abc", Denial::Malformed),
        (&*format!("sig={good}"), "sig=::", Denial::Wrong),
        (&*format!("sig={};alg=\"ed25519\"", good), &signature, Denial::Algorithm),
        ("sig=();created=1618884473;keyid=\"nobody\"", &signature, Denial::KeyUnknown),
        ("sig=();created=1618884473", &signature, Denial::KeyUnknown),
    ] {
        let sent = example().set("signature-input", input).set("signature", signature);
        assert_eq!(ask(&sent, &lax()), Err(expected), "{input}");
    }
    let many = (0..65).map(|number| format!("\"x-{number}\"")).collect::<Vec<_>>().join(" ");
    assert_eq!(ask(&example().says(&format!("({many})"), ""), &lax()), Err(Denial::Malformed));
}

#[test]
fn of_several_signatures_the_one_that_is_meant_counts() {
    let good = example().signed("();created=1618884473;keyid=\"test-shared-secret\";tag=\"api\"");
    let value = |name: &str| good.fields.iter().find(|(other, _)| *other == name).unwrap().1.clone();
    let both = |others: usize| {
        let inputs: String = (0..others).map(|at| format!("a{at}=();created=1;keyid=\"nobody\", ")).collect();
        let signatures: String = (0..others).map(|at| format!("a{at}=:AAAA:, ")).collect();
        let sent = good.clone().set("signature-input", inputs + &value("signature-input"));
        sent.set("signature", signatures + &value("signature"))
    };
    let tagged = Policy { tag: Some("api".to_owned()), ..lax() };
    assert_eq!(ask(&both(3), &lax()).as_deref(), Ok("acme"));
    assert_eq!(ask(&both(4), &lax()), Err(Denial::KeyUnknown), "no more than four are looked at");
    assert_eq!(ask(&both(50), &tagged).as_deref(), Ok("acme"), "of those that are meant");
    let other = Policy { tag: Some("other".to_owned()), ..lax() };
    assert_eq!(ask(&good, &other), Err(Denial::Absent));
}

#[test]
fn a_nonce_is_used_once_and_by_a_good_signature_alone() {
    let nonces = Nonces::new(1000, None);
    let ask = |sent: &Sent, now: u64| verify(sent, &keys(""), &lax(), Some(&nonces), now).map(drop);
    let input = "();created=1618884473;keyid=\"test-shared-secret\";nonce=\"n1\"";
    let sent = example().signed(input);
    assert_eq!(ask(&sent.clone().says(input, "AAAA"), THEN), Err(Denial::Wrong));
    assert_eq!(
        [ask(&sent, THEN), ask(&sent, THEN), ask(&sent, THEN + 330)],
        [Ok(()), Err(Denial::Replayed), Err(Denial::Replayed)]
    );
    assert_eq!(ask(&sent, THEN + 331), Err(Denial::Old));
    assert_eq!(ask(&example().signed(&input.replace("n1", "n2")), THEN), Ok(()));
    assert_eq!(ask(&example().signed(&input.replace(";nonce=\"n1\"", "")), THEN), Err(Denial::NoNonce));
    let won: usize = {
        let sent = example().signed(&input.replace("n1", "n3"));
        let race = |_| {
            let (sent, nonces) = (sent.clone(), nonces.clone());
            thread::spawn(move || {
                (0..100).filter(|_| verify(&sent, &keys(""), &lax(), Some(&nonces), THEN).is_ok()).count()
            })
        };
        let threads: Vec<_> = (0..3).map(race).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    };
    assert_eq!(won, 1);
    let full = Nonces::new(8, None);
    let later = (0..100u64).filter(|nonce| full.take("key", &nonce.to_string(), THEN + nonce, THEN).is_ok()).count();
    assert!(later == 100 && full.table().evictions() > 0, "it is full, which is counted");
    assert_eq!(full.take("key", "99", THEN + 99, THEN), Err(Denial::Replayed));
}

#[test]
fn content_is_held_to_its_digest() {
    let read = |value: &str| ContentDigest::read(&example().set("content-digest", value));
    let fits = |digest: &ContentDigest, pieces: &[&str]| {
        let mut content = digest.begin();
        pieces.iter().for_each(|piece| content.add(piece.as_bytes()));
        content.end()
    };
    let digest = read(DIGEST).unwrap().unwrap();
    assert_eq!(fits(&digest, &["{\"hello\"", ": \"wor", "ld\"}"]), Ok(()));
    assert_eq!(fits(&digest, &["{\"hello\": \"world\"} "]), Err(Denial::Content));
    assert_eq!(fits(&digest, &[]), Err(Denial::Content));
    let short = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    assert_eq!(fits(&read(short).unwrap().unwrap(), &["{\"hello\": \"world\"}"]), Ok(()));
    let both = format!("{short}, unixsum=:AAAA:, {}", DIGEST.replace("WZDP", "AAAA"));
    assert_eq!(fits(&read(&both).unwrap().unwrap(), &["{\"hello\": \"world\"}"]), Err(Denial::Content));
    for wrong in ["md5=:AAAA:", "sha-256=:AAAA:", "sha-256=abc", "", "x"] {
        assert_eq!(read(wrong), Err(Denial::Digest), "{wrong}");
    }
    assert_eq!(ContentDigest::read(&example().without("content-digest")), Ok(None));
}

#[test]
fn keys_that_make_no_sense_are_told_by_their_line_and_are_not_shown() {
    let read = |text: &str| {
        let consumer = |name: &str| Arc::new(Consumer::new(name));
        Keys::read(text.lines().enumerate().map(|(place, line)| (place + 1, line)), consumer).map(|keys| keys.count())
    };
    for (line, said) in [
        ("a", "it is no name"),
        ("a hmac-sha256", "it is no name"),
        ("a hmac-sha256 c2hvcnQ=", "shorter than 16 bytes"),
        ("a hmac-sha256 !!!", "not in base64"),
        ("a hmac-sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "none of hmac-sha256, ed25519"),
        ("a ed25519 AAAA", "no public key of ed25519"),
        ("a rsa-pss-sha512 AAAA", "no public key of rsa-pss-sha512"),
        ("a hmac-sha256 AAAAAAAAAAAAAAAAAAAAAAAAAAAA b c", "something follows"),
    ] {
        let faults = read(&format!("\n{line}").replacen('\n', "ok hmac-sha256 AAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 1));
        let faults = faults.unwrap_err();
        assert_eq!((faults.len(), faults[0].0), (1, 2), "{line}");
        assert!(faults[0].1.contains(said) && !faults[0].1.contains("AAAA"), "{faults:?}");
    }
    let twice = format!("a ed25519 {ED25519}\na ed25519 {ED25519}");
    assert!(read(&twice).unwrap_err()[0].1.contains("`a` stands twice"));
    assert_eq!(read(&format!("a ed25519 {ED25519}\nb hmac-sha256 {SECRET} b")), Ok(2));
}

#[test]
fn clients_are_told_what_to_sign() {
    let policy = Policy { tag: Some("api".to_owned()), ..strict() };
    assert_eq!(
        policy.accepted(Some("hmac-sha256"), true),
        "sig1=(\"@method\" \"@target-uri\" \"content-digest\");created;keyid;nonce;alg=\"hmac-sha256\";tag=\"api\""
    );
    assert_eq!(lax().accepted(None, false), "sig1=();created;keyid");
    let words: std::collections::BTreeSet<_> = Denial::ALL.into_iter().map(Denial::word).collect();
    assert_eq!(words.len(), Denial::ALL.len());
}
