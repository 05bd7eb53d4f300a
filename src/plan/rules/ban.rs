//! Rules of type ban and tarpit.

use super::{Compile, Does, Here};
use crate::config::model::{Ban, RefusalReason, Tarpit};
use crate::gateway::limits::{Allowance, Limiter};
use crate::gateway::{self, Ranges, Strikes, Which};
use crate::observe::reason::Reason;
use std::sync::Arc;

/// What makes a client, for the next process.
const UNDER: &str = "refusals 32/64";

impl Compile for Ban {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let which = which(&self.rules, &self.reasons, here);
        let reason = format!("{} refusals within {}", self.denials, self.within);
        let before = here.previous.iter().find(|counted| counted.rule == here.name && counted.under == UNDER);
        let counts = counts(self, before.map(|counted| &counted.limiter));
        let strikes = Strikes {
            index: here.index,
            name: here.name.into(),
            shadow: here.shadow,
            span: self.span.0,
            reason: reason.into(),
            which,
            except: Ranges::new(&self.except),
            counts,
        };
        Does { strikes: Some(Arc::new(strikes)), under: UNDER.to_owned(), ..Does::default() }
    }
}

/// What counts the refusals of clients for a rule; `None`: the first is enough. What was counted `before` counts on.
fn counts(of: &Ban, before: Option<&Limiter>) -> Option<Limiter> {
    let most = of.denials.checked_sub(1)?;
    // The schema has no bounds that would not fit.
    let allowance = Allowance::window(most, of.within.0).ok()?;
    Some(Limiter::new(allowance, of.size, before))
}

impl Compile for Tarpit {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let which = which(&self.rules, &self.reasons, here);
        let held = here.before.and_then(|before| before.held(here.name)).cloned().unwrap_or_default();
        here.lasting.held.push((here.name.to_owned(), held.clone()));
        let tarpit = gateway::Tarpit {
            index: here.index,
            shadow: here.shadow,
            delay: self.delay.0,
            which,
            most: self.at_once,
            held,
        };
        Does { tarpit: Some(Arc::new(tarpit)), ..Does::default() }
    }
}

/// Refusals by these rules and for these reasons.
fn which(rules: &[String], reasons: &[RefusalReason], here: &Here<'_>) -> Which {
    let place = |name: &String| here.config.rules.keys().position(|other| other == name);
    Which::new(rules.iter().filter_map(place).collect(), reasons.iter().map(|&of| reason(of)).collect())
}

fn reason(of: RefusalReason) -> Reason {
    match of {
        RefusalReason::BadRequest => Reason::BadRequest,
        RefusalReason::AmbiguousPath => Reason::AmbiguousPath,
        RefusalReason::BadHost => Reason::BadHost,
        RefusalReason::BadFraming => Reason::BadFraming,
        RefusalReason::HeadTooLarge => Reason::HeadTooLarge,
        RefusalReason::TooManyHeaders => Reason::TooManyHeaders,
        RefusalReason::BodyTooLarge => Reason::BodyTooLarge,
        RefusalReason::Method => Reason::Method,
        RefusalReason::NoRoute => Reason::NoRoute,
        RefusalReason::NoFile => Reason::NoFile,
        RefusalReason::Unauthenticated => Reason::Unauthenticated,
        RefusalReason::Origin => Reason::Origin,
        RefusalReason::UserAgent => Reason::UserAgent,
        RefusalReason::Forbidden => Reason::Forbidden,
        RefusalReason::RateLimit => Reason::RateLimit,
        RefusalReason::Concurrency => Reason::Concurrency,
        RefusalReason::Denied => Reason::Denied,
        RefusalReason::HeadTimeout => Reason::HeadTimeout,
        RefusalReason::BodyTimeout => Reason::BodyTimeout,
        RefusalReason::ClientConnections => Reason::ClientConnections,
        RefusalReason::ConnectionRate => Reason::ConnectionRate,
        RefusalReason::Handshake => Reason::Handshake,
        RefusalReason::HandshakeTimeout => Reason::HandshakeTimeout,
        RefusalReason::UnknownName => Reason::UnknownName,
        RefusalReason::ClientCertificate => Reason::ClientCertificate,
    }
}
