//! What a listener ends TLS with: made from its settings, and made anew when its files change.

use super::acme::Answers;
use super::files::{Fault, Place};
use super::policy::{Named, Policies, Policy};
use super::session::Facts;
use super::shown::Shown;
use super::store::{Expiry, Source, Store};
use super::tickets::{Ring, Rings, TicketSpec};
use super::troubles::Troubles;
use super::trust::{Demand, Trust, TrustSpec};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a listener ends TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The listener's name.
    pub listener: String,
    /// Where its certificates are.
    pub sources: Vec<Source>,
    /// Whether clients must ask for a name that a certificate holds.
    pub strict: bool,
    /// What handshakes go by.
    pub policy: Policy,
    /// What those for some names go by instead.
    pub by_name: Vec<Named>,
    /// How tickets are made.
    pub tickets: TicketSpec,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// The challenges of authorities that are answered in the handshake, if there may be any.
    pub answers: Option<Arc<Answers>>,
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Versions {
    /// 1.3
    Modern,
    /// 1.2 and 1.3
    Intermediate,
}

/// What a listener ends TLS with. Shared by all workers; control alone refreshes it.
pub struct Edge {
    spec: Spec,
    policies: Policies,
    provider: Arc<CryptoProvider>,
    ring: Arc<Ring>,
    served: ArcSwap<Served>,
    troubles: Troubles,
}

/// What new handshakes get.
pub(super) struct Served {
    /// One for each policy.
    pub(super) configs: Vec<Arc<ServerConfig>>,
    pub(super) store: Arc<Store>,
    /// In the order of [`Policies::trusts`].
    trusts: Vec<Trust>,
    /// What is asked of clients by each policy.
    pub(super) asked: Vec<Trust>,
}

/// What a look at the files gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Certificates that were replaced, added or taken away, and one more for each change of what is asked of clients.
    pub changes: usize,
    /// What cannot be used and was not told before; its predecessor stays in service.
    pub faults: Vec<Fault>,
}

impl Edge {
    /// Reads all files. Fails with everything that cannot be used. Blocks.
    pub fn load(spec: Spec, rings: &mut Rings) -> Result<Self, Vec<Fault>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut faults = Vec::new();
        let mut keep = |fault| faults.push(fault);
        let policies = Policies::new(&spec.policy, &spec.by_name);
        let ring = rings.open(&spec.tickets).map_err(&mut keep).ok();
        let load = |(trust, entry): &(TrustSpec, Option<usize>)| load(trust, *entry, &provider).map_err(&mut keep).ok();
        let trusts: Vec<Option<Trust>> = policies.trusts.iter().map(load).collect();
        let store = Store::load(&spec.sources, &provider).map_err(|found| found.into_iter().for_each(&mut keep)).ok();
        let trusts = trusts.into_iter().collect::<Option<Vec<Trust>>>();
        let (Some(ring), Some(trusts), Some(store)) = (ring, trusts, store) else { return Err(faults) };
        let served = Served::new(&spec.listener, &policies, &provider, &ring, Arc::new(store), trusts)
            .map_err(|fault| vec![fault])?;
        let (served, troubles) = (ArcSwap::from_pointee(served), Troubles::default());
        Ok(Self { spec, policies, provider, ring, served, troubles })
    }

    /// How it was set.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether handshakes go by the same policies as those of `other`, whatever the certificates.
    pub fn agrees_as(&self, other: &Self) -> bool {
        self.spec.policy == other.spec.policy && self.spec.by_name == other.spec.by_name
    }

    /// Looks at the files again and puts what is new into service; a trouble is told once, when it was there at two looks,
    /// as a file may be seen while it is written. Handshakes that have begun end with what they began with. Blocks.
    pub fn refresh(&self) -> Refreshed {
        let served = self.served.load_full();
        let mut faults = Vec::new();
        if let Err(fault) = self.ring.turn() {
            faults.push(fault);
        }
        let mut changes = 0;
        let mut trusts = served.trusts.clone();
        for (trust, (spec, entry)) in trusts.iter_mut().zip(&self.policies.trusts) {
            if trust.has_changed(spec) {
                match load(spec, *entry, &self.provider) {
                    Ok(new) => {
                        *trust = new;
                        changes += 1;
                    }
                    Err(fault) => faults.push(fault),
                }
            }
        }
        let mut renewed = served.store.renew(&self.spec.sources, &self.provider);
        faults.append(&mut renewed.faults);
        changes += renewed.changes;
        if changes > 0 {
            let store = renewed.store.map_or_else(|| served.store.clone(), Arc::new);
            match Served::new(&self.spec.listener, &self.policies, &self.provider, &self.ring, store, trusts) {
                Ok(new) => self.served.store(Arc::new(new)),
                Err(fault) => {
                    changes = 0;
                    faults.push(fault);
                }
            }
        }
        Refreshed { changes, faults: self.troubles.untold(faults) }
    }

    /// How many certificates are in service.
    pub fn certificates(&self) -> usize {
        self.served.load().store.len()
    }

    /// The certificates that end first, at most `limit`.
    pub fn expiries(&self, limit: usize) -> Vec<Expiry> {
        self.served.load().store.expiries(limit)
    }

    /// Whether a request for `host`, in canonical form, has come by a handshake that went by another policy than the host's:
    /// what is asked of clients for one name cannot be got round by shaking hands for another (RFC 9110 §15.5.20). `facts`
    /// of the handshake are asked for where names have policies at all.
    #[inline]
    pub fn is_misdirected<'a>(&self, host: &[u8], facts: impl FnOnce() -> Option<&'a Facts>) -> bool {
        let differs = |facts: &Facts| self.policies.differs(host, facts.name.as_deref(), facts.policy);
        self.policies.are_by_name() && facts().is_none_or(differs)
    }

    /// The same for a handshake that would ask for `name`.
    pub fn parts(&self, host: &[u8], name: Option<&str>) -> bool {
        self.policies.are_by_name() && self.policies.differs(host, name, self.policies.of(name))
    }

    /// Whether a client with these `facts` of its handshake would be let in now: the certificate that it showed, if it showed one, has neither
    /// ended since nor been revoked, and is of an authority that is trusted still.
    #[inline]
    pub fn still_lets_in(&self, facts: &Facts) -> bool {
        let is_good = |shown: &Shown| {
            self.served.load().asked.get(facts.policy as usize).is_some_and(|trust| shown.is_good(trust))
        };
        facts.shown.as_deref().is_none_or(is_good)
    }

    /// What a handshake that asks for `name` wants of its client, if anything.
    pub fn demand(&self, name: Option<&str>) -> Option<Demand> {
        let policy = self.policies.all.get(self.policies.of(name) as usize)?;
        policy.trust.as_ref().map(|trust| trust.demand)
    }

    /// The first name of the entry of `by_name` whose file is at fault, if it is one's.
    pub fn entry_of(&self, fault: &Fault) -> Option<&str> {
        match fault.at {
            Place::AuthoritiesOf(entry) | Place::RevocationsOf(entry) => {
                self.spec.by_name.get(entry)?.names.first().map(String::as_str)
            }
            _ => None,
        }
    }

    /// What a new handshake gets.
    pub(super) fn served(&self) -> Arc<Served> {
        self.served.load_full()
    }

    /// The position of the policy for a client that asks for `name`.
    pub(super) fn policy_of(&self, name: Option<&str>) -> u32 {
        self.policies.of(name)
    }
}

/// Reads the files of what is asked of clients, which `entry` of `by_name` names, or the listener itself.
fn load(spec: &TrustSpec, entry: Option<usize>, provider: &Arc<CryptoProvider>) -> Result<Trust, Fault> {
    Trust::load(spec, provider)
        .map_err(|fault| Fault { at: entry.map_or(fault.at, |entry| fault.at.of(entry)), ..fault })
}

impl Served {
    fn new(
        listener: &str,
        policies: &Policies,
        provider: &Arc<CryptoProvider>,
        ring: &Arc<Ring>,
        store: Arc<Store>,
        trusts: Vec<Trust>,
    ) -> Result<Self, Fault> {
        let open = Trust::open();
        let by_spec: HashMap<&TrustSpec, &Trust> = policies.trusts.iter().map(|(spec, _)| spec).zip(&trusts).collect();
        let asked = policies.all.iter().map(|policy| policy.trust.as_ref().map_or(&open, |spec| by_spec[spec]).clone());
        let asked: Vec<Trust> = asked.collect();
        let config = |(policy, trust)| config(listener, policy, trust, provider, ring, &store).map(Arc::new);
        let configs = policies.all.iter().zip(&asked).map(config).collect::<Result<_, _>>()?;
        Ok(Self { configs, store, trusts, asked })
    }
}

/// What handshakes under `policy` go by.
fn config(
    listener: &str,
    policy: &Policy,
    trust: &Trust,
    provider: &Arc<CryptoProvider>,
    ring: &Arc<Ring>,
    store: &Arc<Store>,
) -> Result<ServerConfig, Fault> {
    let versions = match policy.versions {
        Versions::Modern => &[&TLS13][..],
        Versions::Intermediate => &[&TLS13, &TLS12],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| Fault::new(Place::Whole, format!("TLS cannot be set up: {error}"), "please report it"))?;
    let mut config = builder.with_client_cert_verifier(trust.verifier.clone()).with_cert_resolver(store.clone());
    config.alpn_protocols.clone_from(&policy.alpn);
    // All that is offered is good, but auditors ask for it (testssl.sh takes the client's order for a flaw).
    config.ignore_client_order = true;
    config.ticketer = ring.ticketer(listener, &policy.digest(&trust.digest));
    // Tickets hold all there is to a session: what one worker gave out any other takes.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("spec", &self.spec).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    #[test]
    fn a_ticket_opens_under_the_policy_that_it_was_sealed_under_alone() {
        let folder = std::env::temp_dir().join(format!("ringway-edge-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = folder.join("both.pem");
        std::fs::write(&file, params.self_signed(&key).unwrap().pem() + &key.serialize_pem()).unwrap();
        let trust = |demand| Some(TrustSpec { demand, authorities: file.clone(), revocations: None });
        let own = Policy { versions: Versions::Intermediate, alpn: vec![b"h2".to_vec()], trust: None };
        let others = [
            Policy { trust: trust(Demand::Required), ..own.clone() },
            Policy { trust: trust(Demand::Optional), ..own.clone() },
            Policy { versions: Versions::Modern, ..own.clone() },
            Policy { alpn: Vec::new(), ..own.clone() },
        ];
        let named = |(n, policy): (usize, &Policy)| Named { names: vec![format!("{n}.test")], policy: policy.clone() };
        let spec = Spec {
            listener: "web".to_owned(),
            sources: vec![Source::Files { cert: file.clone(), key: file.clone() }],
            strict: false,
            policy: own,
            by_name: others.iter().enumerate().map(named).collect(),
            tickets: TicketSpec { lifetime: Duration::from_secs(60), keys_file: None },
            handshake: Duration::from_secs(1),
            answers: None,
        };
        let served = Edge::load(spec, &mut Rings::default()).unwrap().served();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(served.configs.len(), 5);
        for (place, sealing) in served.configs.iter().enumerate() {
            let ticket = sealing.ticketer.encrypt(b"session").unwrap();
            for (other, opening) in served.configs.iter().enumerate() {
                assert_eq!(opening.ticketer.decrypt(&ticket).is_some(), place == other, "{place} at {other}");
            }
        }
    }
}
