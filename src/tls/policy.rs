//! What a handshake goes by, and which names have a policy other than their listener's.
//!
//! What always holds: a name finds its policy as it finds its certificate. Policies that say the same are one, so that two
//! names differ only where their handshakes would.

use super::edge::Versions;
use super::names::{Names, fold};
use super::trust::{TrustSpec, digest};
use std::collections::HashMap;

/// What a handshake goes by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Which versions are spoken.
    pub versions: Versions,
    /// Protocols to agree on, the most wanted first; none: none is spoken of.
    pub alpn: Vec<Vec<u8>>,
    /// What is asked of clients' certificates, if they are asked for.
    pub trust: Option<TrustSpec>,
}

/// Names with a policy of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Lower case, without a final dot; `*.` begins a wildcard.
    pub names: Vec<String>,
    /// What is theirs.
    pub policy: Policy,
}

/// The listener's own policy, among all.
pub(super) const OWN: u32 = 0;

/// The policies of a listener, each once.
pub(super) struct Policies {
    /// The listener's own, and then the others.
    pub(super) all: Vec<Policy>,
    /// What is asked of clients, each once, with the entry that says so first; `None`: the listener itself does.
    pub(super) trusts: Vec<(TrustSpec, Option<usize>)>,
    /// Who has another than the listener's own; `None`: nobody can.
    names: Option<Names<u32>>,
}

impl Policy {
    /// Tells it from all others, for which `trust` stands in for what the files hold.
    pub(super) fn digest(&self, trust: &[u8; 32]) -> [u8; 32] {
        let versions: &[u8] = match self.versions {
            Versions::Modern => b"modern",
            Versions::Intermediate => b"intermediate",
        };
        let parts: Vec<&[u8]> = [&trust[..], versions].into_iter().chain(self.alpn.iter().map(Vec::as_slice)).collect();
        digest(&parts)
    }
}

impl Policies {
    pub(super) fn new(own: &Policy, by_name: &[Named]) -> Self {
        let mut all = vec![own.clone()];
        let mut trusts: Vec<_> = own.trust.iter().map(|trust| (trust.clone(), None)).collect();
        let mut places = HashMap::from([(own, OWN)]);
        let mut names = Names::default();
        for (entry, Named { names: own, policy }) in by_name.iter().enumerate() {
            // There are never more policies than names in a file.
            let next = u32::try_from(all.len()).unwrap_or(u32::MAX);
            let place = *places.entry(policy).or_insert(next);
            if place == next {
                all.push(policy.clone());
                let new = policy.trust.as_ref().filter(|trust| trusts.iter().all(|(old, _)| old != *trust));
                trusts.extend(new.map(|trust| (trust.clone(), Some(entry))));
            }
            own.iter().for_each(|name| *names.place(name) = place);
        }
        Self { all, trusts, names: (!by_name.is_empty()).then_some(names) }
    }

    /// The position of the policy for a client that asks for `name`.
    pub(super) fn of(&self, name: Option<&str>) -> u32 {
        let (Some(names), Some(name)) = (&self.names, name) else { return OWN };
        names.find(&fold(name)).next().copied().unwrap_or(OWN)
    }

    /// Whether a name may have another policy than the listener's own.
    #[inline]
    pub(super) fn are_by_name(&self) -> bool {
        self.names.is_some()
    }

    /// Whether `host`, in canonical form, has another policy than the one at `place`, which `name` was asked for.
    pub(super) fn differs(&self, host: &[u8], name: Option<&str>, place: u32) -> bool {
        // What most clients ask for is what they shook hands for.
        let same = name.is_some_and(|name| name.as_bytes() == host);
        !same && self.of(str::from_utf8(host).ok()) != place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Demand;

    fn policy(alpn: &str, authorities: Option<&str>) -> Policy {
        let spec = |file: &str| TrustSpec { demand: Demand::Required, authorities: file.into(), revocations: None };
        let trust = authorities.map(spec);
        Policy { versions: Versions::Intermediate, alpn: vec![alpn.as_bytes().to_vec()], trust }
    }

    fn named(names: &[&str], policy: Policy) -> Named {
        Named { names: names.iter().map(|&name| name.to_owned()).collect(), policy }
    }

    #[test]
    fn the_most_specific_name_says_which_policy() {
        let policies = Policies::new(
            &policy("own", None),
            &[
                named(&["*.a.test", "a.test"], policy("wild", None)),
                named(&["b.a.test"], policy("exact", None)),
                named(&["c.a.test"], policy("own", None)),
            ],
        );
        let alpn = |name: Option<&str>| {
            let place = policies.of(name);
            String::from_utf8(policies.all[place as usize].alpn[0].clone()).unwrap()
        };
        for (name, expected) in [
            (None, "own"),
            (Some("test"), "own"),
            (Some("elsewhere.test"), "own"),
            (Some("a.test"), "wild"),
            (Some("x.a.test"), "wild"),
            (Some("X.A.Test."), "wild"),
            (Some("x.y.a.test"), "own"),
            (Some("B.A.TEST"), "exact"),
            (Some("c.a.test"), "own"),
        ] {
            assert_eq!(alpn(name), expected, "{name:?}");
        }
        assert_eq!(policies.all.len(), 3, "what says the same is one");
    }

    #[test]
    fn a_request_belongs_where_its_name_would_have_gone() {
        let policies = Policies::new(
            &policy("own", None),
            &[named(&["a.test", "b.test"], policy("x", Some("a.pem"))), named(&["c.test"], policy("x", Some("c.pem")))],
        );
        let differs = |host: &str, name: Option<&str>| policies.differs(host.as_bytes(), name, policies.of(name));
        for (host, name, expected) in [
            ("a.test", Some("a.test"), false),
            ("a.test", Some("A.TEST"), false),
            ("a.test", Some("b.test"), false),
            ("a.test", Some("c.test"), true),
            ("a.test", Some("www.test"), true),
            ("a.test", None, true),
            ("www.test", Some("a.test"), true),
            ("", Some("a.test"), true),
            ("www.test", Some("other.test"), false),
            ("www.test", None, false),
        ] {
            assert_eq!(differs(host, name), expected, "{host} where {name:?} was asked for");
        }
        assert!(policies.are_by_name() && !Policies::new(&policy("own", None), &[]).are_by_name());
    }

    #[test]
    fn files_are_looked_at_once_whoever_names_them() {
        let policies = Policies::new(
            &policy("own", Some("a.pem")),
            &[
                named(&["a.test"], policy("x", Some("a.pem"))),
                named(&["b.test"], policy("x", Some("b.pem"))),
                named(&["c.test"], policy("y", Some("b.pem"))),
            ],
        );
        let files = policies.trusts.iter().map(|(trust, entry)| (trust.authorities.to_str().unwrap(), *entry));
        assert_eq!(files.collect::<Vec<_>>(), [("a.pem", None), ("b.pem", Some(1))]);
    }

    #[test]
    fn each_part_of_a_policy_tells_it_apart() {
        let all = [
            policy("a", None).digest(&[1; 32]),
            policy("a", None).digest(&[2; 32]),
            policy("b", None).digest(&[1; 32]),
            Policy { versions: Versions::Modern, ..policy("a", None) }.digest(&[1; 32]),
            Policy { alpn: Vec::new(), ..policy("a", None) }.digest(&[1; 32]),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(all[place + 1..].iter().all(|other| other != one), "{place}");
        }
    }
}
