//! The metrics of pools whose targets are found. Where there is none there are none.

use super::prometheus::Page;

/// What is known of such a pool.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// Its name.
    pub pool: String,
    /// How many targets its source has told of.
    pub targets: usize,
    /// Seconds since the source said something that could be used; `None`: it never has.
    pub age: Option<u64>,
    /// Questions to the source by what came of them, in the order of [`RESULTS`].
    pub lookups: [u64; 3],
    /// Changes of the targets.
    pub changes: u64,
    /// Targets of the last answer beyond those that there may be.
    pub left_out: u64,
}

/// What can come of a question.
const RESULTS: [&str; 3] = ["targets", "nothing", "failed"];

/// Writes them.
pub(super) fn write(page: &mut Page, pools: &[Discovered]) {
    if pools.is_empty() {
        return;
    }
    let mut lookups =
        page.counter("ringway_discovery_lookups_total", "Questions to the pool's source by what came of them.");
    for of in pools {
        for (result, count) in RESULTS.iter().zip(of.lookups) {
            lookups.sample(&[("pool", &of.pool), ("result", result)], count);
        }
    }
    let help = "Seconds since the pool's source said something that could be used.";
    let mut age = page.gauge("ringway_discovery_answer_age_seconds", help);
    for (of, seconds) in pools.iter().filter_map(|of| Some((of, of.age?))) {
        age.sample(&[("pool", &of.pool)], seconds);
    }
    let mut targets = page.gauge("ringway_discovery_targets", "Targets that the pool's source has told of last.");
    pools.iter().for_each(|of| targets.sample(&[("pool", &of.pool)], of.targets));
    let help = "Targets of the last answer beyond max_targets, which are left out.";
    let mut left_out = page.gauge("ringway_discovery_left_out_targets", help);
    pools.iter().for_each(|of| left_out.sample(&[("pool", &of.pool)], of.left_out));
    let mut changes = page.counter("ringway_discovery_changes_total", "Changes of the pool's targets by its source.");
    pools.iter().for_each(|of| changes.sample(&[("pool", &of.pool)], of.changes));
}

#[cfg(test)]
mod tests {
    use super::super::prometheus::tests::parse;
    use super::*;

    #[test]
    fn each_pool_has_its_series_and_an_age_once_it_has_been_answered() {
        let of = |pool: &str, age| Discovered {
            pool: pool.to_owned(),
            targets: 2,
            age,
            lookups: [5, 1, 3],
            changes: 1,
            left_out: 4,
        };
        let mut page = Page::default();
        write(&mut page, &[of("a", Some(9)), of("b", None)]);
        let samples = parse(&page.into_text());
        let get = |name: &str, pool: &str| -> Vec<f64> {
            samples.iter().filter(|s| s.name == name && s.labels["pool"] == pool).map(|s| s.value).collect()
        };
        assert_eq!(get("ringway_discovery_lookups_total", "a"), [5.0, 1.0, 3.0]);
        assert_eq!(get("ringway_discovery_answer_age_seconds", "a"), [9.0]);
        assert!(get("ringway_discovery_answer_age_seconds", "b").is_empty());
        assert_eq!(get("ringway_discovery_targets", "b"), [2.0]);
        assert_eq!(get("ringway_discovery_left_out_targets", "b"), [4.0]);
    }
}
