//! The name that was meant.

/// Of names that are known the one that is most like `name`, if any is.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |name: &'a str| name.rsplit('.').next().unwrap_or(name);
    let distance = |other: &'a str| {
        // A part of a name alone is as good as one wrong letter.
        let whole = strsim::damerau_levenshtein(&name.to_ascii_lowercase(), &other.to_ascii_lowercase());
        if last(other).eq_ignore_ascii_case(name) { whole.min(1) } else { whole }
    };
    let near = known.map(|other| (distance(other), other)).min_by_key(|(distance, _)| *distance)?;
    (near.0 <= 1 + name.len() / 4).then_some(near.1)
}
