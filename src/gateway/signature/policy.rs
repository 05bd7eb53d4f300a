//! What a signature has to be of, and how old it may be.

use super::signed::Signed;
use super::{ContentDigest, Denial};
use crate::gateway::Request;

/// What is wanted of signatures.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What has to be signed.
    pub components: Vec<Component>,
    /// How long ago it may have been made, in seconds.
    pub max_age: u64,
    /// By how much clocks may differ, in seconds.
    pub skew: u64,
    /// What it has to be for; `None`: whatever it says.
    pub tag: Option<String>,
    /// Whether content has to be that of its digest, which has to be signed where there is any.
    pub digest: bool,
}

/// Something that has to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// A component of this name.
    Named(String),
    /// All of the target: `@target-uri`, or `@authority`, `@path` and, where there is one, `@query`.
    Target,
    /// `content-digest`, where there is content.
    Content,
}

impl Policy {
    /// What has to be signed if nothing else is said.
    pub fn usual() -> Vec<Component> {
        vec![Component::Named("@method".to_owned()), Component::Target, Component::Content]
    }

    /// The value of `Accept-Signature` (RFC 9421 §5.1) that asks for this, by keys of one algorithm, if they have one.
    pub fn accepted(&self, algorithm: Option<&str>, nonce: bool) -> String {
        let names = self.components.iter().map(|component| match component {
            Component::Named(name) => format!("\"{name}\""),
            Component::Target => "\"@target-uri\"".to_owned(),
            Component::Content => "\"content-digest\"".to_owned(),
        });
        let mut value = format!("sig1=({});created;keyid", names.collect::<Vec<_>>().join(" "));
        if nonce {
            value.push_str(";nonce");
        }
        if let Some(algorithm) = algorithm {
            value.push_str(&format!(";alg=\"{algorithm}\""));
        }
        if let Some(tag) = &self.tag {
            value.push_str(&format!(";tag=\"{tag}\""));
        }
        value
    }

    /// Whether it is for this purpose.
    pub(super) fn is_meant(&self, signed: &Signed) -> bool {
        self.tag.is_none() || self.tag == signed.tag
    }

    /// Whether it is of enough, and young enough.
    pub(super) fn judge(&self, signed: &Signed, request: &dyn Request, now: u64) -> Result<(), Denial> {
        let covers = |component: &Component| match component {
            Component::Named(name) => signed.covers(name),
            Component::Target => {
                let parts = signed.covers("@authority") && signed.covers("@path");
                signed.covers("@target-uri") || parts && (request.query().is_none() || signed.covers("@query"))
            }
            Component::Content => !has_content(request) || signed.covers("content-digest"),
        };
        let is_covered = self.components.iter().all(covers) && (!self.digest || covers(&Component::Content));
        if !is_covered {
            return Err(Denial::Uncovered);
        }
        let seconds = |time: i64| u64::try_from(time).map_err(|_| Denial::Malformed);
        let created = seconds(signed.created.ok_or(Denial::NoCreated)?)?;
        let expires = signed.expires.map(seconds).transpose()?;
        if created > now.saturating_add(self.skew) {
            return Err(Denial::Later);
        }
        let is_over = expires.is_some_and(|expires| expires.saturating_add(self.skew) < now);
        if is_over || created.saturating_add(self.max_age).saturating_add(self.skew) < now {
            return Err(Denial::Old);
        }
        Ok(())
    }

    /// The last second in which it is young enough.
    pub(super) fn last(&self, signed: &Signed) -> u64 {
        let created = signed.created.and_then(|created| u64::try_from(created).ok()).unwrap_or(0);
        created.saturating_add(self.max_age).saturating_add(self.skew)
    }

    /// What the request says of its content, if that is to be looked at.
    pub(super) fn content(&self, request: &dyn Request) -> Result<Option<ContentDigest>, Denial> {
        if self.digest && has_content(request) { ContentDigest::read(request) } else { Ok(None) }
    }
}

/// Whether a request has content, be it none once it is there.
fn has_content(request: &dyn Request) -> bool {
    let mut has = false;
    request.each("transfer-encoding", &mut |_| has = true);
    request.each("content-length", &mut |value| has |= value.trim_ascii().iter().any(|&byte| byte != b'0'));
    has
}
