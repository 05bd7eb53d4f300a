//! Medians and how sure they are.

use serde::Serialize;

/// A median with an interval that holds the true one with the given confidence, by order statistics: no assumption about
/// how the noise is distributed.
#[derive(Clone, Copy, Debug, Serialize, PartialEq)]
pub struct Median {
    /// The median.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// The interval's confidence, 0 to 1: at least 0.95 from 6 values on, else what the extremes give.
    pub confidence: f64,
}

impl Median {
    /// Of `values`; `None` if there are none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let value = match count {
            0 => return None,
            _ if count % 2 == 1 => values[count / 2],
            _ => (values[count / 2 - 1] + values[count / 2]) / 2.0,
        };
        let confidence = |skipped| 1.0 - 2.0 * tail(count, skipped);
        let skipped = (0..count / 2).rev().find(|&skipped| confidence(skipped) >= 0.95).unwrap_or(0);
        let (low, high) = (values[skipped], values[count - 1 - skipped]);
        Some(Self { value, low, high, confidence: confidence(skipped) })
    }
}

/// Probability that at most `most` of `count` values lie below the true median.
fn tail(count: usize, most: usize) -> f64 {
    let mut term = 0.5f64.powi(count as i32);
    let mut sum = 0.0;
    for below in 0..=most {
        sum += term;
        term *= (count - below) as f64 / (below + 1) as f64;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_values_drop_one_at_each_end() {
        let median = Median::of((1..=9).map(f64::from).collect()).unwrap();
        assert_eq!((median.value, median.low, median.high), (5.0, 2.0, 8.0));
        assert!((median.confidence - 0.961).abs() < 0.001);
    }

    #[test]
    fn few_values_admit_that_they_are_few() {
        let median = Median::of(vec![2.0, 1.0]).unwrap();
        assert_eq!((median.value, median.low, median.high, median.confidence), (1.5, 1.0, 2.0, 0.5));
        assert_eq!(Median::of(vec![]), None);
    }
}
