//! Rules, asked by hand.

use super::*;

struct Sent<'a>(&'a [(&'a str, &'a str)]);

impl Lines for Sent<'_> {
    fn each(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        self.0
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .for_each(|(_, value)| see(value.as_bytes()));
    }
}

fn consumers() -> Arc<Consumers> {
    let mut consumers = Consumers::new();
    for (name, key, groups) in [("acme", "key-of-acme", &["gold", "eu"][..]), ("other", "key-of-other", &[])] {
        let groups = groups.iter().map(|group| (*group).into()).collect();
        consumers.add(Key::written(key).unwrap(), &Arc::new(Consumer { name: name.into(), groups })).unwrap();
    }
    Arc::new(consumers)
}

fn chain(shadow: bool) -> Chain {
    let key = ApiKey::new("X-Key", "api", consumers());
    let groups = Groups::new(&["gold".to_owned()], "Key".into());
    let link = |index, rule: Arc<dyn Rule>| Link { index, shadow, rule };
    // In the wrong order: who asks is found out first all the same.
    Chain::new(vec![link(0, Arc::new(groups)), link(1, Arc::new(key))])
}

fn decided(chain: &Chain, sent: &[(&str, &str)]) -> (Option<(usize, u16, &'static str)>, Who, usize) {
    let (mut who, mut denied) = (Who::default(), 0);
    let lines = Sent(sent);
    let result = chain.decide(&Asked { client: "192.0.2.1".parse().unwrap(), lines: &lines }, &mut who, |_, denial| {
        denied += usize::from(denial.is_some())
    });
    let refused = result.err().map(|Refused { rule, denial }| (rule, denial.status, denial.word));
    (refused, who, denied)
}

#[test]
fn who_sends_a_key_is_its_consumer_and_nobody_else_comes_in() {
    let chain = chain(false);
    let (refused, who, _) = decided(&chain, &[("x-KEY", "key-of-acme")]);
    assert_eq!((refused, who.consumer.map(|consumer| consumer.name.clone())), (None, Some("acme".into())));
    for (sent, expected) in [
        (&[][..], (1, 401, "no-key")),
        (&[("X-Key", "")], (1, 401, "unknown-key")),
        (&[("X-Key", "key-of-acm")], (1, 401, "unknown-key")),
        (&[("X-Key", "key-of-acme"), ("x-key", "key-of-acme")], (1, 401, "several-keys")),
        (&[("X-Key", "nonsense"), ("x-key", "key-of-acme")], (1, 401, "several-keys")),
        (&[("X-Key", "key-of-other")], (0, 403, "group")),
    ] {
        assert_eq!(decided(&chain, sent).0, Some(expected), "{sent:?}");
    }
}

#[test]
fn what_is_in_shadow_mode_decides_and_lets_through() {
    let (refused, who, denied) = decided(&chain(true), &[]);
    assert_eq!((refused, who.consumer, denied), (None, None, 2));
}

#[test]
fn keys_are_written_as_they_are_or_as_their_hash() {
    // SHA-256 of "key-of-acme" by sha256sum.
    let key = Key::of(b"key-of-acme");
    let digits: String = key_bytes(&key).iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(Key::written(&format!("sha256:{digits}")) == Ok(key) && Key::written("key-of-acme") == Ok(key));
    for wrong in ["", "short", "with a blank", "sha256:", "sha256:12", &format!("sha256:{}", "+1".repeat(32))] {
        assert!(Key::written(wrong).is_err(), "{wrong}");
    }
    assert_eq!(format!("{key:?}"), "(secret)");
}

fn key_bytes(key: &Key) -> [u8; 32] {
    // A key tells nobody its bytes; what it is equal to does.
    let mut bytes = [0; 32];
    bytes.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"key-of-acme").as_ref());
    assert!(*key == Key::of(b"key-of-acme"));
    bytes
}

#[test]
fn a_key_is_one_consumer_s() {
    let mut consumers = Consumers::new();
    let consumer = |name: &str| Arc::new(Consumer { name: name.into(), groups: Box::default() });
    let (one, two) = (consumer("one"), consumer("two"));
    let key = Key::of(b"the same key");
    assert_eq!(consumers.add(key, &one), Ok(()));
    assert_eq!(consumers.add(key, &one), Ok(()), "twice its own is no harm");
    assert_eq!(consumers.add(key, &two), Err(SameKey("one".into())));
}
