//! What operators, or rollbacks, have changed of how requests are divided among pools. It is kept until it is taken back.

use crate::config::diff::Change;
use crate::plan::Plan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Weights by route and pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splits(BTreeMap<String, BTreeMap<String, u32>>);

/// The weight of a pool of a route that is set, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SplitRow {
    /// The route's name.
    pub route: String,
    /// The pool's name.
    pub pool: String,
    /// Its weight by the configuration's files; absent: they do not have it there, so that what is set has no effect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<u32>,
    /// Its weight in force.
    pub to: u32,
}

/// Those of one route, as text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TextSplit {
    route: String,
    weights: BTreeMap<String, u32>,
}

/// Weights that may be set at a time.
const MOST: usize = 10_000;
/// The largest.
pub const HEAVIEST: u32 = 1000;

impl Splits {
    /// How many weights are set.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is room for more.
    pub fn has_room(&self) -> bool {
        self.len() < MOST
    }

    /// The weight that was set for a pool of a route.
    pub fn weight(&self, route: &str, pool: &str) -> Option<u32> {
        self.0.get(route)?.get(pool).copied()
    }

    /// Whether anything is set of a route.
    pub fn concerns(&self, route: &str) -> bool {
        self.0.contains_key(route)
    }

    /// These with weights of a route set, beside those that were.
    pub(super) fn with(&self, route: &str, weights: &BTreeMap<String, u32>) -> Self {
        let mut next = self.clone();
        next.0
            .entry(route.to_owned())
            .or_default()
            .extend(weights.iter().map(|(pool, &weight)| (pool.clone(), weight)));
        next
    }

    /// These without those of a route.
    pub(super) fn without(&self, route: &str) -> Self {
        let mut next = self.clone();
        next.0.remove(route);
        next
    }

    /// Tells the splits of a plan.
    pub(super) fn set(&self, plan: &Plan) {
        for (route, split) in plan.routes.iter().filter_map(|route| Some((&route.name, route.split()?))) {
            split.shared.parts().iter().for_each(|part| part.set(self.weight(route, &part.pool)));
        }
    }

    /// What differs from `before`.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<Change> {
        let pairs = |of: &Self| -> BTreeSet<(String, String)> {
            let pools = |(route, weights): (&String, &BTreeMap<String, u32>)| {
                weights.keys().map(|pool| (route.clone(), pool.clone())).collect::<Vec<_>>()
            };
            of.0.iter().flat_map(pools).collect()
        };
        let all = pairs(self).union(&pairs(before)).cloned().collect::<Vec<_>>();
        let change = |(route, pool): (String, String)| {
            let at = |of: &Self| of.weight(&route, &pool).map(|weight| weight.to_string());
            let (from, to) = (at(before), at(self));
            (from != to).then(|| Change { key: format!("routes.{route}.split[{pool}].weight"), from, to })
        };
        all.into_iter().filter_map(change).collect()
    }

    pub(super) fn to_text(&self) -> Vec<TextSplit> {
        let row = |(route, weights): (&String, &BTreeMap<String, u32>)| TextSplit {
            route: route.clone(),
            weights: weights.clone(),
        };
        self.0.iter().map(row).collect()
    }

    /// All that is set, in the order of routes and pools, beside what `plan` has without it.
    pub fn rows(&self, plan: &Plan) -> Vec<SplitRow> {
        let from = |route: &String, pool: &String| {
            let split = plan.routes.iter().find(|known| known.name == *route)?.split()?;
            split.shared.parts().iter().find(|part| part.pool == *pool).map(|part| part.written)
        };
        let of = |(route, weights): (&String, &BTreeMap<String, u32>)| {
            let row = |(pool, &to): (&String, &u32)| {
                let from = from(route, pool);
                SplitRow { route: route.clone(), pool: pool.clone(), from, to }
            };
            weights.iter().map(row).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    /// Reads what [`Self::to_text`] has made. Fails with what is wrong with it.
    pub(super) fn from_text(rows: Vec<TextSplit>) -> Result<Self, String> {
        let mut splits = Self::default();
        for TextSplit { route, weights } in rows {
            if let Some((pool, weight)) = weights.iter().find(|&(_, &weight)| weight > HEAVIEST) {
                return Err(format!("the weight {weight} of pool `{pool}` on route `{route}` is above {HEAVIEST}"));
            }
            if splits.0.insert(route.clone(), weights).is_some() {
                return Err(format!("the split of route `{route}` is there twice"));
            }
        }
        match splits.len() <= MOST {
            true => Ok(splits),
            false => Err(format!("it has {} weights of splits, and at most {MOST} may be", splits.len())),
        }
    }
}
