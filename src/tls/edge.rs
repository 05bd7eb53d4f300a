//! What a listener ends TLS with: made from its settings, and made anew when its files change.

use super::acme::Answers;
use super::files::{Fault, Place};
use super::store::{Expiry, Source, Store};
use super::tickets::{Ring, Rings, TicketSpec};
use super::troubles::Troubles;
use super::trust::{Trust, TrustSpec};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a listener ends TLS.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The listener's name.
    pub listener: String,
    /// Where its certificates are.
    pub sources: Vec<Source>,
    /// Which versions it speaks.
    pub versions: Versions,
    /// Whether clients must ask for a name that a certificate holds.
    pub strict: bool,
    /// Protocols to agree on, the most wanted first; none: none is spoken of.
    pub alpn: Vec<Vec<u8>>,
    /// What is asked of clients' certificates, if they are asked for.
    pub trust: Option<TrustSpec>,
    /// How tickets are made.
    pub tickets: TicketSpec,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// The challenges of authorities that are answered in the handshake, if there may be any.
    pub answers: Option<Arc<Answers>>,
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// 1.3
    Modern,
    /// 1.2 and 1.3
    Intermediate,
}

/// What a listener ends TLS with. Shared by all workers; control alone refreshes it.
pub struct Edge {
    spec: Spec,
    provider: Arc<CryptoProvider>,
    ring: Arc<Ring>,
    served: ArcSwap<Served>,
    troubles: Troubles,
}

/// What new handshakes get.
pub(super) struct Served {
    pub(super) config: Arc<ServerConfig>,
    pub(super) store: Arc<Store>,
    trust: Trust,
}

/// What a look at the files gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Certificates that were replaced, added or taken away, and one more where what is asked of clients changed.
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
        let ring = rings.open(&spec.tickets).map_err(&mut keep).ok();
        let trust = match &spec.trust {
            Some(trust) => Trust::load(trust, &provider).map_err(&mut keep).ok(),
            None => Some(Trust::open()),
        };
        let store = Store::load(&spec.sources, &provider).map_err(|found| found.into_iter().for_each(&mut keep)).ok();
        let (Some(ring), Some(trust), Some(store)) = (ring, trust, store) else { return Err(faults) };
        let served = Served::new(&spec, &provider, &ring, Arc::new(store), trust).map_err(|fault| vec![fault])?;
        Ok(Self { spec, provider, ring, served: ArcSwap::from_pointee(served), troubles: Troubles::default() })
    }

    /// How it was set.
    pub fn spec(&self) -> &Spec {
        &self.spec
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
        let mut trust = served.trust.clone();
        if let Some(spec) = self.spec.trust.as_ref().filter(|spec| served.trust.has_changed(spec)) {
            match Trust::load(spec, &self.provider) {
                Ok(new) => {
                    trust = new;
                    changes += 1;
                }
                Err(fault) => faults.push(fault),
            }
        }
        let mut renewed = served.store.renew(&self.spec.sources, &self.provider);
        faults.append(&mut renewed.faults);
        changes += renewed.changes;
        if changes > 0 {
            let store = renewed.store.map_or_else(|| served.store.clone(), Arc::new);
            match Served::new(&self.spec, &self.provider, &self.ring, store, trust) {
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

    /// What a new handshake gets.
    pub(super) fn served(&self) -> Arc<Served> {
        self.served.load_full()
    }
}

impl Served {
    fn new(
        spec: &Spec,
        provider: &Arc<CryptoProvider>,
        ring: &Arc<Ring>,
        store: Arc<Store>,
        trust: Trust,
    ) -> Result<Self, Fault> {
        let versions = match spec.versions {
            Versions::Modern => &[&TLS13][..],
            Versions::Intermediate => &[&TLS13, &TLS12],
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| Fault::new(Place::Whole, format!("TLS cannot be set up: {error}"), "please report it"))?;
        let mut config = builder.with_client_cert_verifier(trust.verifier.clone()).with_cert_resolver(store.clone());
        config.alpn_protocols.clone_from(&spec.alpn);
        // All that is offered is good, but auditors ask for it (testssl.sh takes the client's order for a flaw).
        config.ignore_client_order = true;
        config.ticketer = ring.ticketer(&spec.listener, &trust.policy);
        // Tickets hold all there is to a session: what one worker gave out any other takes.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), store, trust })
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("spec", &self.spec).finish_non_exhaustive()
    }
}
