//! Rules, asked by hand.

use super::sent::Sent;
use super::*;

fn consumers() -> Arc<Consumers> {
    let mut consumers = Consumers::new();
    for (name, key, groups) in [("acme", "key-of-acme", &["gold", "eu"][..]), ("other", "key-of-other", &[])] {
        let groups = groups.iter().map(|group| (*group).into()).collect();
        consumers.add(Key::written(key).unwrap(), &Arc::new(Consumer { groups, ..Consumer::new(name) })).unwrap();
    }
    Arc::new(consumers)
}

fn key() -> Arc<dyn Rule> {
    Arc::new(ApiKey::new(&[Place::Header("X-Key".into())], "api", consumers()))
}

fn groups() -> Arc<dyn Rule> {
    Arc::new(Groups::new(&["gold".to_owned()]))
}

fn of(rules: Vec<Arc<dyn Rule>>, shadow: bool) -> Chain {
    Chain::new(
        rules
            .into_iter()
            .enumerate()
            .map(|(index, rule)| Step::Link(Link { index, shadow, when: None, rule }))
            .collect(),
        None,
    )
}

fn chain(shadow: bool) -> Chain {
    // In the wrong order: who asks is found out first all the same.
    of(vec![groups(), key()], shadow)
}

fn put(chain: &Chain, sent: &Sent<'_>, answers: &[Answer]) -> (Result<(), Stop>, Who, usize) {
    let (mut who, mut denied) = (Who::default(), 0);
    let (client, tokens) = ("192.0.2.1".parse().unwrap(), RefCell::new(jwt::Cache::new(0)));
    let now = Duration::ZERO;
    let asked =
        Asked { client, route: "r", request: sent, now, clock: 0, tokens: &tokens, readings: &[], answers, dry: false };
    let result = chain.decide(0, &asked, &mut who, |note| denied += usize::from(note.denial.is_some()));
    (result, who, denied)
}

fn denial(result: Result<(), Stop>) -> Option<(usize, Denial)> {
    match result {
        Ok(()) => None,
        Err(Stop::Refused(Refused { rule, denial })) => Some((rule, denial)),
        Err(Stop::Asks(..)) => panic!("it asks"),
    }
}

fn decided(chain: &Chain, sent: &[(&str, &str)]) -> (Option<(usize, u16, &'static str)>, Who, usize) {
    let (result, who, denied) = put(chain, &Sent::with(sent), &[]);
    (denial(result).map(|(rule, denial)| (rule, denial.status, denial.word)), who, denied)
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
    assert_eq!(key.hashed(), format!("sha256:{}", digits.to_lowercase()));
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
    let consumer = |name: &str| Arc::new(Consumer::new(name));
    let (one, two) = (consumer("one"), consumer("two"));
    let key = Key::of(b"the same key");
    assert_eq!(consumers.add(key, &one), Ok(()));
    assert_eq!(consumers.add(key, &one), Ok(()), "twice its own is no harm");
    assert_eq!(consumers.add(key, &two), Err(SameKey("one".into())));
}

#[test]
fn keys_are_found_where_they_are_looked_for() {
    let places = [Place::Header("x-key".into()), Place::Query("key".into()), Place::Cookie("key".into())];
    let chain = of(vec![Arc::new(ApiKey::new(&places, "api", consumers()))], false);
    let word = |lines: &[(&str, &str)], query: &str| {
        denial(put(&chain, &Sent { query: Some(query.as_bytes()), ..Sent::with(lines) }, &[]).0)
            .map_or("passed", |(_, denial)| denial.word)
    };
    for (lines, query, expected) in [
        (&[][..], "a=1&key=key-of-acme", "passed"),
        (&[], "%6bey=key%2Dof-acme", "passed"),
        (&[("Cookie", "a=1; key=key-of-acme")], "", "passed"),
        (&[("Cookie", "xkey=key-of-acme; Key=key-of-acme")], "xkey=key-of-acme&KEY=key-of-acme", "no-key"),
        (&[("Cookie", "key=key-of-acme")], "key=key-of-acme", "several-keys"),
        (&[], "key=key-of-acme&key=nonsense", "several-keys"),
        (&[], "key", "unknown-key"),
    ] {
        assert_eq!(word(lines, query), expected, "{lines:?} {query}");
    }
}

#[test]
fn one_of_several_rules_is_enough() {
    let other = || Arc::new(ApiKey::new(&[Place::Header("X-Other".into())], "other", consumers()));
    let guest = || -> Arc<dyn Rule> { Arc::new(Guest::new(Arc::new(Consumer::new("guest")))) };
    let any = |guest: Option<Arc<dyn Rule>>| of(vec![Arc::new(AnyOf::new(vec![key(), other()], guest))], false);
    let name = |who: Who| who.consumer.map(|consumer| consumer.name.to_string());
    for (sent, expected, as_guest) in [
        (&[("X-Key", "key-of-acme")][..], Ok("acme"), Ok("acme")),
        (&[("X-Other", "key-of-other")], Ok("other"), Ok("other")),
        (&[("X-Key", "wrong"), ("X-Other", "key-of-other")], Ok("other"), Ok("other")),
        (&[("X-Other", "wrong")], Err("unknown-key"), Err("unknown-key")),
        (&[], Err("no-key"), Ok("guest")),
    ] {
        for (guest, expected) in [(None, expected), (Some(guest()), as_guest)] {
            let (refused, who, _) = decided(&any(guest), sent);
            let found = refused.map_or_else(|| Ok(name(who).unwrap()), |(_, _, word)| Err(word));
            assert_eq!(found.as_ref().map(String::as_str).map_err(|word| *word), expected, "{sent:?}");
        }
    }
    let refused = denial(put(&any(None), &Sent::with(&[]), &[]).0).unwrap().1;
    assert_eq!(refused.challenges.len(), 2, "whatever the client may prove itself with: {refused:?}");
}

#[test]
fn all_of_several_rules_are_needed_and_what_fails_leaves_nothing_behind() {
    let both: Arc<dyn Rule> = Arc::new(AllOf::new(vec![key(), groups()]));
    let other: Arc<dyn Rule> = Arc::new(ApiKey::new(&[Place::Header("X-Other".into())], "other", consumers()));
    let chain = of(vec![Arc::new(AnyOf::new(vec![both, other], None))], false);
    assert_eq!(decided(&chain, &[("X-Key", "key-of-acme")]).0, None);
    let (refused, who, _) = decided(&chain, &[("X-Key", "key-of-other")]);
    assert_eq!(refused.map(|(_, status, word)| (status, word)), Some((403, "group")));
    assert!(who.consumer.is_none(), "who has been refused is nobody to what comes after");
}

/// A rule that lets in whom others vouch for.
#[derive(Debug)]
struct Vouched(usize);

impl Rule for Vouched {
    fn phase(&self) -> Phase {
        Phase::Identity
    }

    fn decide(&self, asked: &Asked<'_>, _: &mut Who) -> Result<(), Halt> {
        match asked.said_to(self.0).next().map(|answer| &answer.said) {
            Some(Ok(Said::Fits(true))) => Ok(()),
            Some(_) => Err(Denial::unauthenticated("wrong").into()),
            None => {
                let what = What::Fits { password: Box::default(), hash: "".into() };
                Err(Halt::Ask(Box::new(Question { rule: self.0, what })))
            }
        }
    }
}

#[test]
fn a_rule_that_asks_is_put_to_the_request_again_with_the_answer() {
    let chain = of(vec![key(), Arc::new(AnyOf::new(vec![Arc::new(Vouched(1)), Arc::new(Vouched(7))], None))], false);
    let sent = Sent::with(&[("X-Key", "key-of-acme")]);
    let asks = |answers: &[Answer]| match put(&chain, &sent, answers).0 {
        Err(Stop::Asks(at, question)) => Ok((at, question.rule)),
        other => Err(denial(other).map(|(rule, denial)| (rule, denial.word))),
    };
    let says = |rule, fits| Answer { rule, said: Ok(Said::Fits(fits)) };
    assert_eq!(asks(&[]), Ok((1, 1)));
    assert_eq!(asks(&[says(1, false)]), Ok((1, 7)), "another may");
    assert_eq!(asks(&[says(1, true)]), Err(None));
    assert_eq!(asks(&[says(1, false), says(7, true)]), Err(None));
    assert_eq!(asks(&[says(1, false), says(7, false)]), Err(Some((1, "wrong"))));
    assert_eq!(asks(&[Answer { rule: 1, said: Err(Failure::Busy) }, says(7, false)]), Err(Some((1, "wrong"))));
}
