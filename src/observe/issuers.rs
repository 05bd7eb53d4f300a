//! The metrics of issuers of tokens whose keys are fetched. Where there is none there are none.

use super::prometheus::Page;

/// What is known of an issuer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The rule that it is for.
    pub rule: String,
    /// Its keys; `None`: none is known.
    pub keys: Option<usize>,
    /// Seconds since they were fetched; `None`: they never were.
    pub age: Option<u64>,
    /// Fetches by what came of them, in the order of [`RESULTS`].
    pub fetches: [u64; 3],
}

/// What can come of a fetch.
const RESULTS: [&str; 3] = ["changed", "same", "failed"];

/// Writes them.
pub(super) fn write(page: &mut Page, issuers: &[Asked]) {
    if issuers.is_empty() {
        return;
    }
    let help = "Times that the rule's issuer was asked for its keys, by what came of it.";
    let mut fetches = page.counter("ringway_issuer_fetches_total", help);
    for of in issuers {
        for (result, count) in RESULTS.iter().zip(of.fetches) {
            fetches.sample(&[("rule", &of.rule), ("result", result)], count);
        }
    }
    let mut age = page.gauge("ringway_issuer_age_seconds", "Seconds since the rule's issuer said what its keys are.");
    for (of, seconds) in issuers.iter().filter_map(|of| Some((of, of.age?))) {
        age.sample(&[("rule", &of.rule)], seconds);
    }
    let help = "Keys of the rule's issuer that are known; without any, nobody is let in.";
    let mut keys = page.gauge("ringway_issuer_keys", help);
    issuers.iter().for_each(|of| keys.sample(&[("rule", &of.rule)], of.keys.unwrap_or(0)));
}

#[cfg(test)]
mod tests {
    use super::super::prometheus::tests::parse;
    use super::*;

    #[test]
    fn each_rule_has_its_series_and_an_age_once_its_issuer_has_answered() {
        let of = |rule: &str, known: Option<u64>| Asked {
            rule: rule.to_owned(),
            keys: known.map(|_| 2),
            age: known,
            fetches: [1, 5, 3],
        };
        let mut page = Page::default();
        write(&mut page, &[of("a", Some(9)), of("b", None)]);
        let samples = parse(&page.into_text());
        let get = |name: &str, rule: &str| -> Vec<f64> {
            samples.iter().filter(|s| s.name == name && s.labels["rule"] == rule).map(|s| s.value).collect()
        };
        assert_eq!(get("ringway_issuer_fetches_total", "a"), [1.0, 5.0, 3.0]);
        assert_eq!(get("ringway_issuer_age_seconds", "a"), [9.0]);
        assert!(get("ringway_issuer_age_seconds", "b").is_empty());
        assert_eq!([get("ringway_issuer_keys", "a"), get("ringway_issuer_keys", "b")], [[2.0], [0.0]]);
    }
}
