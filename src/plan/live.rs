//! What a pool does by live traffic and with targets that come and go, compiled.

use crate::config::model;
use crate::upstream::outlier::Outlier;
use crate::upstream::{OnDown, OnUp};

pub(super) fn outlier(rule: &model::Outlier) -> Outlier {
    Outlier {
        errors: rule.errors,
        window: rule.window.0,
        eject: rule.eject.0,
        max_eject: rule.max_eject.0,
        max_ejected: rule.max_ejected.0,
        rate: rule.rate.map(|rate| rate.0),
        latency: rule.latency.map(|factor| factor.0),
        min_requests: rule.min_requests.into(),
        statuses: rule.statuses.0.clone(),
    }
}

pub(super) fn on_down(word: model::OnDown) -> OnDown {
    match word {
        model::OnDown::Keep => OnDown::Keep,
        model::OnDown::Close => OnDown::Close,
    }
}

pub(super) fn on_up(word: model::OnUp) -> OnUp {
    match word {
        model::OnUp::Keep => OnUp::Keep,
        model::OnUp::CloseBackups => OnUp::CloseBackups,
    }
}
