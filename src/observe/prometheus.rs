//! The Prometheus text exposition format, version 0.0.4: a writer that knows nothing of what is measured.

use super::latency::Series;
use std::fmt::{Display, Write};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The upper bounds of histogram buckets: in the exposition (seconds) and in the recorded unit (µs).
const BOUNDS: [&str; 17] = [
    "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1",
    "2.5", "5", "10", "60",
];
const BOUNDS_US: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 60_000_000,
];

/// Labels of a sample: names, which are ours, and values, which are escaped.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page of metrics being written.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Begins a family that counts up; its name ends in `_total`.
    pub fn counter<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        debug_assert!(name.ends_with("_total"), "{name}");
        self.family(name, help, "counter")
    }

    /// Begins a family of values that go up and down.
    pub fn gauge<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.family(name, help, "gauge")
    }

    /// Begins a family of histograms; its name ends in the unit, `_seconds`.
    pub fn histogram<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        debug_assert!(name.ends_with("_seconds"), "{name}");
        self.family(name, help, "histogram")
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.0
    }

    fn family<'a>(&'a mut self, name: &'a str, help: &str, kind: &str) -> Family<'a> {
        debug_assert!(!help.contains(['\n', '\\']), "{help}");
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { text: &mut self.0, name }
    }
}

/// A family of samples; all of them are written before the next family begins.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl Family<'_> {
    /// Writes one sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Writes the buckets, sum and count of one histogram.
    pub fn buckets(&mut self, labels: Labels<'_>, series: &Series) {
        for (bound, count) in BOUNDS.iter().zip(series.cumulative(&BOUNDS_US)) {
            self.line("_bucket", labels, Some(bound), count);
        }
        self.line("_bucket", labels, Some("+Inf"), series.count());
        self.line("_sum", labels, None, series.sum_seconds());
        self.line("_count", labels, None, series.count());
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let bound = bound.map(|bound| ("le", bound));
        let mut separator = '{';
        for (name, value) in labels.iter().copied().chain(bound) {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, self.text);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escape(value: &str, text: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::latency::{Kind, Latencies};
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// A sample as a scraper reads it.
    #[derive(Debug, PartialEq)]
    pub struct Sample {
        pub name: String,
        pub labels: BTreeMap<String, String>,
        pub value: f64,
    }

    /// Reads a page strictly: every family announced once with HELP and TYPE before its samples, samples of a family
    /// together, no series twice, names and labels well formed, histograms cumulative and complete.
    pub fn parse(page: &str) -> Vec<Sample> {
        assert!(page.ends_with('\n'));
        let mut families = BTreeSet::new();
        let (mut family, mut kind, mut help) = (String::new(), String::new(), None);
        let mut seen = BTreeSet::new();
        let mut samples = Vec::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, text) = rest.split_once(' ').expect("HELP has a text");
                assert!(!text.is_empty());
                help = Some(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, of) = rest.split_once(' ').expect("TYPE has a kind");
                assert_eq!(help.take().as_deref(), Some(name), "HELP comes first");
                assert!(["counter", "gauge", "histogram"].contains(&of));
                assert!(families.insert(name.to_owned()), "{name} is announced twice");
                (family, kind) = (name.to_owned(), of.to_owned());
            } else {
                let sample = sample(line);
                let suffix = sample.name.strip_prefix(family.as_str()).expect("a sample stands below its family");
                match kind.as_str() {
                    "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
                    "counter" => assert!(suffix.is_empty() && family.ends_with("_total"), "{line}"),
                    _ => assert!(suffix.is_empty(), "{line}"),
                }
                assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "{line} comes twice");
                samples.push(sample);
            }
        }
        check_histograms(&samples);
        samples
    }

    fn sample(line: &str) -> Sample {
        let is_name = |s: &str| {
            s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let end = line.find(['{', ' ']).expect("a name ends");
        let (name, mut rest) = line.split_at(end);
        assert!(is_name(name), "{line}");
        let mut labels = BTreeMap::new();
        if let Some(mut inside) = rest.strip_prefix('{') {
            loop {
                let (label, after) = inside.split_once("=\"").expect("a label has a value");
                assert!(is_name(label), "{line}");
                let (mut value, mut chars) = (String::new(), after.char_indices());
                let close = loop {
                    match chars.next().expect("a value is closed") {
                        (at, '"') => break at,
                        (_, '\\') => value.push(match chars.next().expect("an escape is complete").1 {
                            'n' => '\n',
                            c @ ('\\' | '"') => c,
                            c => panic!("\\{c} is no escape"),
                        }),
                        (_, c) => value.push(c),
                    }
                };
                assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
                inside = &after[close + 1..];
                match inside.strip_prefix(',') {
                    Some(more) => inside = more,
                    None => break rest = inside.strip_prefix('}').expect("labels are closed"),
                }
            }
        }
        let value = rest.strip_prefix(' ').expect("one space before the value");
        Sample { name: name.to_owned(), labels, value: value.parse().expect(line) }
    }

    fn check_histograms(samples: &[Sample]) {
        let mut last: BTreeMap<(String, BTreeMap<String, String>), (f64, f64)> = BTreeMap::new();
        for sample in samples {
            if let Some(family) = sample.name.strip_suffix("_bucket") {
                let mut labels = sample.labels.clone();
                let bound: f64 = labels.remove("le").expect("a bucket has a bound").parse().unwrap();
                let entry = last.entry((family.to_owned(), labels)).or_insert((f64::NEG_INFINITY, 0.0));
                assert!(bound > entry.0 && sample.value >= entry.1, "{sample:?}");
                *entry = (bound, sample.value);
            }
        }
        for ((family, labels), (bound, count)) in last {
            assert_eq!(bound, f64::INFINITY, "{family}");
            let total = samples.iter().find(|s| s.name == format!("{family}_count") && s.labels == labels);
            assert_eq!(total.expect("a histogram has a count").value, count);
        }
    }

    #[test]
    fn label_values_survive_escaping() {
        let mut page = Page::default();
        page.gauge("up", "Is it?").sample(&[("name", "a\"b\\c\nd {x=\"1\"} é")], 1);
        let samples = parse(&page.into_text());
        assert_eq!(samples[0].labels["name"], "a\"b\\c\nd {x=\"1\"} é");
    }

    #[test]
    fn a_histogram_has_rising_bounds_and_a_total() {
        let latencies = Latencies::new(1, 0, 1);
        for ms in [1, 2, 70_000] {
            latencies.request(0, ms * 1_000_000);
        }
        let snapshot = latencies.snapshot();
        let (_, series) = snapshot.series(Kind::Request).next().unwrap();
        let mut page = Page::default();
        page.histogram("took_seconds", "How long.").buckets(&[("route", "r")], series);
        let samples = parse(&page.into_text());
        let bucket = |le: &str| samples.iter().find(|s| s.labels.get("le").is_some_and(|l| l == le)).unwrap().value;
        assert_eq!((bucket("0.001"), bucket("0.0025"), bucket("60"), bucket("+Inf")), (1.0, 2.0, 2.0, 3.0));
    }

    #[test]
    fn bounds_are_the_same_in_both_units() {
        for (text, us) in BOUNDS.iter().zip(BOUNDS_US) {
            assert_eq!((text.parse::<f64>().unwrap() * 1e6).round() as u64, us);
        }
    }
}
