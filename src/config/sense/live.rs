//! What makes no sense of what a pool does by live traffic and with targets that come and go.

use super::Sense;
use crate::config::model::{AllDown, OnUp, Outlier, Pool};
use crate::config::sources::{Fault, KeyPath};

/// Looks at a pool.
pub(super) fn check(sense: &mut Sense<'_>, name: &str, pool: &Pool, at: &KeyPath) {
    if let Some(rule) = &pool.outlier {
        outlier(sense, rule, &at.child("outlier"));
        let whole = sense.is_sound(at, "targets") && sense.sources.has_own(&at.child("outlier"));
        if whole && pool.targets.len() == 1 && rule.max_ejected.0 < 1.0 {
            sense.findings.warnings.push(
                Fault::new(at.child("outlier"), format!("the only target of pool `{name}` is never ejected"))
                    .also(at.child("targets"), "its target")
                    .help("remove `outlier`, or write max_ejected = \"100%\" to answer 503 rather than to ask it"),
            );
        }
    }
    if let Some(panic) = pool.panic {
        if panic.0 <= 0.0 {
            sense.fault(
                Fault::new(at.child("panic"), "fewer than none cannot be usable").help("remove it, or write \"50%\""),
            );
        } else if pool.all_down == AllDown::Closed && sense.has(at, "all_down") && sense.is_sound(at, "all_down") {
            sense.fault(
                Fault::new(at.child("all_down"), "with `panic` work goes to all targets when none is up")
                    .also(at.child("panic"), "the threshold")
                    .help("remove one of the two"),
            );
        }
    }
    let none = !pool.targets.iter().any(|target| target.backup) && sense.is_sound(at, "targets");
    if pool.on_up == OnUp::CloseBackups && none && sense.sources.has_own(&at.child("on_up")) {
        sense.findings.warnings.push(
            Fault::new(at.child("on_up"), format!("no target of pool `{name}` is a backup"))
                .help("write backup = true at one of its targets, or remove `on_up`"),
        );
    }
}

fn outlier(sense: &mut Sense<'_>, rule: &Outlier, at: &KeyPath) {
    if rule.errors == 0 && rule.rate.is_none() && rule.latency.is_none() && sense.is_complete(at.clone()) {
        sense.fault(
            Fault::new(at.child("errors"), "nothing ejects a target: errors in a row are not counted")
                .help("set one of `errors`, `rate`, `latency`"),
        );
    }
    if rule.rate.is_some_and(|rate| rate.0 <= 0.0) {
        sense.fault(
            Fault::new(at.child("rate"), "every target has a share of errors of 0%")
                .help("write \"50%\", or remove it"),
        );
    }
    if rule.max_ejected.0 <= 0.0 {
        sense.fault(Fault::new(at.child("max_ejected"), "with 0% nothing would be ejected").help("write \"50%\""));
    }
    if rule.max_eject.0 < rule.eject.0 {
        let (most, key) = (rule.max_eject, if sense.has(at, "max_eject") { "max_eject" } else { "eject" });
        sense.fault(
            Fault::new(at.child(key), format!("the first ejection lasts longer than any may: {most}"))
                .help("raise `max_eject`, or lower `eject`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    /// Faults and warnings of a pool with these lines.
    fn told(lines: &str) -> String {
        let name = format!("ringway-sense-{}-{:x}.toml", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        let text = format!(
            "[listeners.web]\nlisten = [\"127.0.0.1:80\"]\npool = \"a\"\n[pools.a]\ntargets = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n{lines}\n"
        );
        std::fs::write(&path, text).unwrap();
        let told = match load(&path, &|_| None) {
            Ok(loaded) => loaded.warnings.to_string(),
            Err(report) => report.to_string(),
        };
        std::fs::remove_file(&path).unwrap();
        told
    }

    #[test]
    fn what_makes_no_sense_is_told_and_what_does_is_not() {
        for good in [
            "outlier = {}\nslow_start = \"30s\"\non_down = \"close\"\npanic = \"50%\"",
            "outlier = { errors = 0, latency = 3.0 }",
            "outlier = { latency = 3, rate = \"0.5%\", statuses = 500 }",
            "all_down = \"open\"\npanic = \"50%\"",
        ] {
            assert_eq!(told(good), "", "{good}");
        }
        for (lines, what) in [
            ("outlier = { errors = 0 }", "nothing ejects a target"),
            ("outlier = { rate = \"0%\" }", "a share of errors of 0%"),
            ("outlier = { max_ejected = \"0%\" }", "nothing would be ejected"),
            ("outlier = { eject = \"10m\" }", "the first ejection lasts longer than any may: 5m"),
            ("outlier = { latency = 1.05 }", "out of range for `latency`"),
            ("outlier = { latency = \"fast\" }", "is not a factor"),
            ("outlier = { error = 5 }", "did you mean `errors`"),
            ("panic = \"0%\"", "fewer than none"),
            ("panic = \"50%\"\nall_down = \"closed\"", "work goes to all targets when none is up"),
            ("on_up = \"close-backups\"", "no target of pool `a` is a backup"),
            ("slow_start = \"1ms\"", "out of range for `slow_start`"),
        ] {
            let told = told(lines);
            assert!(told.contains(what), "{lines}: {told}");
        }
    }
}
