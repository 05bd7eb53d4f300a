//! The certificate that a client has shown, and whether it would still be let in with it.
//!
//! What always holds: what was good for a handshake is good for a request as long as the certificate has not ended and what is asked of
//! clients is what it was; once that has changed, the certificate is checked again, once.
//!
//! May depend on rustls.

use super::trust::Trust;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::cell::Cell;

/// The certificate that a client has shown.
#[derive(Debug)]
pub struct Shown {
    /// Its own first.
    chain: Box<[CertificateDer<'static>]>,
    /// When it ends, in seconds of Unix time.
    until: u64,
    /// By what it was checked last.
    checked: Cell<[u8; 32]>,
}

impl Shown {
    /// A chain that `trust` has taken, and that ends then.
    pub(super) fn new(chain: &[CertificateDer<'_>], until: u64, trust: [u8; 32]) -> Self {
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Self { chain, until, checked: Cell::new(trust) }
    }

    /// Whether the client would be let in now, where `trust` says what is asked of it.
    pub(super) fn is_good(&self, trust: &Trust) -> bool {
        let now = UnixTime::now();
        if now.as_secs() > self.until {
            return false;
        }
        if self.checked.get() == trust.digest {
            return true;
        }
        let Some((own, others)) = self.chain.split_first() else { return false };
        let is_good = trust.verifier.verify_client_cert(own, others, now).is_ok();
        if is_good {
            self.checked.set(trust.digest);
        }
        is_good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{Demand, TrustSpec};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::crypto::aws_lc_rs;
    use std::sync::Arc;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn trust(authorities: &[&CertifiedIssuer<'static, KeyPair>]) -> Trust {
        let file = tempfile(&authorities.iter().map(|authority| authority.pem()).collect::<String>());
        let spec = TrustSpec { demand: Demand::Optional, authorities: file.clone(), revocations: None };
        let trust = Trust::load(&spec, &Arc::new(aws_lc_rs::default_provider())).unwrap();
        std::fs::remove_file(file).unwrap();
        trust
    }

    fn tempfile(text: &str) -> std::path::PathBuf {
        let name = format!("ringway-shown-{}-{:?}.pem", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_certificate_is_good_as_long_as_it_would_be_taken() {
        let (old, new) = (authority(), authority());
        let own = CertificateParams::default().signed_by(&KeyPair::generate().unwrap(), &old).unwrap();
        let (first, both, other) = (trust(&[&old]), trust(&[&old, &new]), trust(&[&new]));
        let shown = Shown::new(&[own.der().clone()], u64::MAX, first.digest);
        assert!(shown.is_good(&first) && shown.is_good(&both), "one more authority takes nobody away");
        assert!(!shown.is_good(&other) && !shown.is_good(&other), "its authority is trusted no more");
        assert!(shown.is_good(&first));
        let ended = Shown::new(&[own.der().clone()], UnixTime::now().as_secs() - 1, first.digest);
        assert!(!ended.is_good(&first));
    }
}
