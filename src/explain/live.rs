//! What a pool does with targets that fail or come and go, in sentences.

use crate::config::units::{Factor, Share, Span};
use crate::upstream::outlier::Outlier;
use crate::upstream::{OnDown, OnUp, Pool};

/// What there is to tell of a pool; nothing of one that does none of it.
pub(super) fn tell(pool: &Pool) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(rule) = &pool.outlier {
        lines.push(outlier(rule));
    }
    if let Some(share) = pool.panic {
        lines.push(format!("while fewer than {} of the targets are usable, work goes to all", Share(share)));
    }
    if let Some(span) = pool.slow_start {
        lines.push(format!("a target that came up takes {} to its whole share", Span(span)));
    }
    if pool.on_down == OnDown::Close {
        lines.push("what is under way with a target ends when it goes down".to_owned());
    }
    if pool.on_up == OnUp::CloseBackups {
        lines.push("what is under way with backups ends when another target comes up".to_owned());
    }
    lines
}

fn outlier(rule: &Outlier) -> String {
    let mut causes = Vec::new();
    if rule.errors > 0 {
        causes.push(format!("{} in a row", counted(rule.errors)));
    }
    if let Some(rate) = rule.rate {
        causes.push(format!("a share of errors of {}", Share(rate)));
    }
    if let Some(times) = rule.latency {
        causes.push(format!("a latency of {} times the others'", Factor(times)));
    }
    format!("a target is ejected for {} and longer by {}", Span(rule.eject), causes.join(", or "))
}

fn counted(errors: u32) -> String {
    if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_rule_is_told_with_all_that_ejects() {
        let rule = Outlier {
            errors: 5,
            window: Duration::from_secs(10),
            eject: Duration::from_secs(30),
            max_eject: Duration::from_secs(300),
            max_ejected: 0.5,
            rate: Some(0.25),
            latency: Some(2.5),
            min_requests: 20,
            statuses: Vec::new(),
        };
        let told = "a target is ejected for 30s and longer by 5 errors in a row, or a share of errors of 25%, or a latency of 2.5 times the others'";
        assert_eq!(outlier(&rule), told);
        let one = Outlier { errors: 1, rate: None, latency: None, ..rule };
        assert_eq!(outlier(&one), "a target is ejected for 30s and longer by 1 error in a row");
    }
}
