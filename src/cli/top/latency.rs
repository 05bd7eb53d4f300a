//! Percentiles of what happened between two looks, out of the histograms of the metrics. Pure.

use std::collections::BTreeMap;

/// How many values were at most so long: bounds in seconds, rising, each with how many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets(Vec<(f64, f64)>);

/// The histograms of a metric, by the value of its label.
pub type Histograms = BTreeMap<String, Buckets>;

/// The histograms of `metric` in a page of metrics, by `label`.
pub fn read(page: &str, metric: &str, label: &str) -> Histograms {
    let mut all = Histograms::new();
    let begin = format!("{metric}_bucket{{");
    for rest in page.lines().filter_map(|line| line.strip_prefix(begin.as_str())) {
        let Some((labels, count)) = rest.rsplit_once("} ") else { continue };
        let value = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let (Some(of), Some(bound), Ok(count)) = (value(label), value("le"), count.parse::<f64>()) else { continue };
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap_or(f64::INFINITY) };
        all.entry(of.to_owned()).or_default().0.push((bound, count));
    }
    all
}

impl Buckets {
    /// What came since `before`. Of a process that began anew all counts.
    pub fn since(&self, before: Option<&Self>) -> Self {
        let earlier = |bound: f64| {
            before.and_then(|old| old.0.iter().find(|(other, _)| *other == bound)).map_or(0.0, |old| old.1)
        };
        let anew = self.0.iter().any(|&(bound, count)| count < earlier(bound));
        let of = |&(bound, count): &(f64, f64)| (bound, if anew { count } else { count - earlier(bound) });
        Self(self.0.iter().map(of).collect())
    }

    /// Adds others with the same bounds.
    pub fn add(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| mine.1 += theirs.1);
    }

    /// How many seconds `share` of the values took at most, between the bounds as if they were spread evenly; `None`: there are none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let all = self.0.last()?.1;
        if all <= 0.0 {
            return None;
        }
        let wanted = all * share;
        let (mut low, mut below) = (0.0, 0.0);
        for &(bound, count) in &self.0 {
            if count >= wanted {
                if bound.is_infinite() || count <= below {
                    return Some(low);
                }
                return Some(low + (bound - low) * (wanted - below) / (count - below));
            }
            (low, below) = (bound, count);
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE t histogram\n\
        t_bucket{route=\"a\",le=\"0.1\"} 50\nt_bucket{route=\"a\",le=\"1\"} 100\nt_bucket{route=\"a\",le=\"+Inf\"} 100\n\
        t_sum{route=\"a\"} 3\nt_bucket{route=\"b\",le=\"0.1\"} 0\nt_bucket{route=\"b\",le=\"1\"} 0\nt_bucket{route=\"b\",le=\"+Inf\"} 2\n\
        other_bucket{route=\"a\",le=\"0.1\"} 7\n";

    #[test]
    fn a_percentile_lies_between_the_bounds_of_its_bucket() {
        let all = read(PAGE, "t", "route");
        assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(all["a"].quantile(0.5), Some(0.1));
        assert!((all["a"].quantile(0.75).unwrap() - 0.55).abs() < 1e-9);
        assert_eq!(all["b"].quantile(0.5), Some(1.0), "longer than the last bound");
        assert_eq!(Buckets::default().quantile(0.5), None);
    }

    #[test]
    fn what_came_since_a_look_is_told_apart_and_a_new_process_begins_anew() {
        let before = read(PAGE, "t", "route");
        let now = read(&PAGE.replace("} 100", "} 110"), "t", "route");
        assert_eq!(now["a"].since(before.get("a")).quantile(1.0), Some(1.0));
        assert_eq!(now["a"].since(Some(&now["a"])).quantile(0.5), None);
        assert_eq!(before["a"].since(Some(&now["a"])), before["a"]);
        let mut both = before["a"].clone();
        both.add(&before["b"]);
        assert_eq!(both.0.last(), Some(&(f64::INFINITY, 102.0)));
    }
}
