//! In which codings files may lie beside others, and which of them a client takes (RFC 9110 §12.5.3).

/// A coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// The one that is preferred by us goes first.
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in Content-Encoding.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the names of files end in that have it.
    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Self::Zstd => b".zst",
            Self::Brotli => b".br",
            Self::Gzip => b".gz",
        }
    }

    /// Those that a client takes, what it prefers first: none that it likes less than no coding at all.
    pub(super) fn accepted(lines: &[&[u8]]) -> Vec<Self> {
        let weight = |name: &str| {
            let members = lines.iter().flat_map(|line| line.split(|&byte| byte == b','));
            members.filter_map(|member| weight_of(member, name)).min()
        };
        let identity = weight("identity").unwrap_or(0);
        let weighed = Self::ALL.map(|coding| (coding, weight(coding.token()).or_else(|| weight("*")).unwrap_or(0)));
        let mut taken: Vec<_> = weighed.into_iter().filter(|&(_, weight)| weight > 0 && weight >= identity).collect();
        taken.sort_by_key(|&(_, weight)| std::cmp::Reverse(weight));
        taken.into_iter().map(|(coding, _)| coding).collect()
    }
}

/// The weight of a member in thousandths, if it has that name. One that cannot be read counts as 0.
fn weight_of(member: &[u8], name: &str) -> Option<u16> {
    let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    if !parts.next()?.eq_ignore_ascii_case(name.as_bytes()) {
        return None;
    }
    let Some(given) = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q="))) else {
        return Some(1000);
    };
    let weight = std::str::from_utf8(given).ok().and_then(|text| text.parse::<f32>().ok());
    Some(weight.filter(|weight| (0.0..=1.0).contains(weight)).map_or(0, |weight| (weight * 1000.0) as u16))
}

#[cfg(test)]
mod tests {
    use super::Coding::*;
    use super::*;

    #[test]
    fn the_higher_weight_goes_first_and_what_is_refused_does_not() {
        for (line, taken) in [
            ("gzip, deflate, br, zstd", &[Zstd, Brotli, Gzip][..]),
            ("br;q=0.5, GZIP;q=0.8", &[Gzip, Brotli]),
            ("*", &[Zstd, Brotli, Gzip]),
            ("zstd;q=0, *;q=0.3", &[Brotli, Gzip]),
            ("gzip;q=0", &[]),
            ("gzip;q=0.5, identity", &[]),
            ("gzip;q=nan, br;q=2, zstd;q=", &[]),
            ("identity;q=0, gzip;q=0.001", &[Gzip]),
            ("deflate", &[]),
            ("", &[]),
        ] {
            assert_eq!(Coding::accepted(&[line.as_bytes()]), taken, "{line}");
        }
        assert_eq!(Coding::accepted(&[]), [], "who says nothing knows none");
    }
}
