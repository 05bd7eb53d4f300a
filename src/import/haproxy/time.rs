//! Times and sizes as HAProxy writes them, within what the configuration takes.
//!
//! May depend on nothing.

/// Milliseconds of a time: a number of milliseconds, or with a unit.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "us" => number.div_ceil(1000),
        "" | "ms" => number,
        "s" => number.checked_mul(1000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        "d" => number.checked_mul(86_400_000)?,
        _ => return None,
    })
}

/// A time as the configuration writes it.
pub(super) fn duration(milliseconds: u64) -> String {
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if milliseconds >= length && milliseconds.is_multiple_of(length) {
            return format!("{}{unit}", milliseconds / length);
        }
    }
    format!("{milliseconds}ms")
}

/// Those of a time that a key takes, and what to tell where that is another one.
pub(super) fn within(milliseconds: u64, least: u64, most: u64) -> (u64, Option<String>) {
    let kept = milliseconds.clamp(least, most);
    let note = (kept != milliseconds)
        .then(|| format!("it is {}: from {} to {} are taken", duration(kept), duration(least), duration(most)));
    (kept, note)
}

/// Bytes of a size: a number, or with k, m or g.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return None,
    };
    number.checked_shl(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_from_their_units_to_ours() {
        for (text, want) in
            [("5000", "5s"), ("1500ms", "1500ms"), ("90s", "90s"), ("120s", "2m"), ("1h", "1h"), ("30d", "30d")]
        {
            assert_eq!(duration(milliseconds(text).unwrap()), want, "{text}");
        }
        assert_eq!(milliseconds("5 s"), None);
        assert_eq!(within(1, 10, 20), (10, Some("it is 10ms: from 10ms to 20ms are taken".into())));
        assert_eq!(bytes("100k"), Some(102_400));
    }
}
