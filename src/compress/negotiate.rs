//! What a client accepts (RFC 9110 §12.5.3).

use super::Coding;

/// What a client is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This coding.
    Coded(Coding),
    /// This coding, whatever it saves: without one the answer is not acceptable.
    Needed(Coding),
    /// The answer as it is.
    Identity,
}

/// Weights in thousandths; `None` where nothing is said.
#[derive(Default)]
struct Weights {
    codings: [Option<u16>; Coding::COUNT],
    identity: Option<u16>,
    any: Option<u16>,
}

/// Chooses among the codings `offered`, of which the first is preferred where the client has no preference. `lines` are the values of
/// all fields `Accept-Encoding`; without one, the client may not know any coding and gets none.
///
/// What the client prefers to be left alone is: a coding is chosen only if its weight is no less than that of no coding at all.
pub fn negotiate<'a>(lines: impl Iterator<Item = &'a [u8]>, offered: &[Coding]) -> Choice {
    let weights = Weights::read(lines);
    let mut best: Option<(Coding, u16)> = None;
    for &coding in offered {
        let weight = weights.of(coding);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((coding, weight));
        }
    }
    let identity = weights.identity();
    match best {
        Some((coding, _)) if identity == Some(0) => Choice::Needed(coding),
        // Unless it is named, it is acceptable and no more.
        Some((coding, weight)) if identity.is_none_or(|identity| weight >= identity) => Choice::Coded(coding),
        _ => Choice::Identity,
    }
}

/// Whether a client reads an answer in that coding. One that says nothing is taken to read none, as by most servers.
pub fn is_acceptable<'a>(lines: impl Iterator<Item = &'a [u8]>, coding: Coding) -> bool {
    Weights::read(lines).of(coding) > 0
}

impl Weights {
    fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut weights = Self::default();
        for member in lines.flat_map(|line| line.split(|&byte| byte == b',')) {
            let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(1000);
            let place = match Coding::of(name) {
                Some(coding) => &mut weights.codings[coding.index()],
                None if name == b"*" => &mut weights.any,
                None if name.eq_ignore_ascii_case(b"identity") => &mut weights.identity,
                None => continue,
            };
            // Whoever names it twice means both: the more is the less safe to take.
            *place = Some(place.map_or(weight, |before| before.min(weight)));
        }
        weights
    }

    fn of(&self, coding: Coding) -> u16 {
        self.codings[coding.index()].or(self.any).unwrap_or(0)
    }

    /// That of no coding: 0 where it is not acceptable, `None` where nothing is said of it.
    fn identity(&self) -> Option<u16> {
        self.identity.or(self.any.filter(|&any| any == 0))
    }
}

/// The value of a parameter `q` (RFC 9110 §12.4.2), in thousandths; `None`: it is another parameter. One that cannot be read counts as 0: nobody knows what was meant.
pub fn weight(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    Some(thousandths(value).unwrap_or(0))
}

fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [whole] | [whole, b'.'] => (*whole, &[][..]),
        [whole, b'.', fraction @ ..] => (*whole, fraction),
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(b"000").take(3);
    let fraction = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let sum = u16::from(whole - b'0') * 1000 + fraction;
    (sum <= 1000).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::*;

    fn chosen(line: &str) -> Choice {
        negotiate([line.as_bytes()].into_iter(), &Coding::ALL)
    }

    #[test]
    fn the_highest_weight_wins_and_among_equals_the_order() {
        for (line, choice) in [
            ("gzip, deflate, br, zstd", Choice::Coded(Zstd)),
            ("gzip, deflate, br", Choice::Coded(Brotli)),
            ("gzip", Choice::Coded(Gzip)),
            ("X-GZIP", Choice::Coded(Gzip)),
            ("br;q=0.5, gzip;q=0.8, zstd;q=0.1", Choice::Coded(Gzip)),
            ("br;q=1.0, gzip;q=0.8, *;q=0.1", Choice::Coded(Brotli)),
            ("*", Choice::Coded(Zstd)),
            ("zstd;q=0, *;q=0.3", Choice::Coded(Brotli)),
            ("gzip ; q=0.001", Choice::Coded(Gzip)),
            ("gzip;Q=1", Choice::Coded(Gzip)),
            ("deflate", Choice::Identity),
            ("", Choice::Identity),
            ("identity", Choice::Identity),
            ("gzip;q=0", Choice::Identity),
            ("gzip;q=0.5, identity", Choice::Identity),
            ("gzip, identity", Choice::Coded(Gzip)),
            ("gzip;q=0.5, identity;q=0.4", Choice::Coded(Gzip)),
            ("gzip, gzip;q=0", Choice::Identity),
            ("gzip;q=2", Choice::Identity),
            ("gzip;q=0.1234", Choice::Identity),
            ("gzip;q=", Choice::Identity),
            ("gzip, identity;q=0", Choice::Needed(Gzip)),
            ("gzip, *;q=0", Choice::Needed(Gzip)),
            ("gzip, *;q=0, identity", Choice::Coded(Gzip)),
            ("identity;q=0", Choice::Identity),
            ("*;q=0", Choice::Identity),
        ] {
            assert_eq!(chosen(line), choice, "{line:?}");
        }
        assert_eq!(negotiate(std::iter::empty(), &Coding::ALL), Choice::Identity, "nothing is said");
        assert_eq!(negotiate([b"zstd".as_slice(), b"gzip"].into_iter(), &[Gzip, Zstd]), Choice::Coded(Gzip));
    }

    /// What RFC 9110 §12.5.3 says of one coding, told in another way than by the code above.
    fn accepts(members: &[(&str, u16)], coding: &str) -> bool {
        let named = members.iter().filter(|(name, _)| *name == coding).map(|&(_, q)| q).min();
        let any = members.iter().filter(|(name, _)| *name == "*").map(|&(_, q)| q).min();
        match (named, any) {
            (Some(q), _) => q > 0,
            (None, Some(q)) => q > 0,
            (None, None) => coding == "identity",
        }
    }

    #[test]
    fn what_is_chosen_is_acceptable_if_anything_is() {
        let mut random = fastrand::Rng::with_seed(3);
        let names = ["gzip", "br", "zstd", "identity", "*", "deflate"];
        for _ in 0..20_000 {
            let members: Vec<(&str, u16)> = (0..random.usize(0..5))
                .map(|_| (names[random.usize(..names.len())], if random.bool() { random.u16(0..=10) * 100 } else { 0 }))
                .collect();
            let line: Vec<String> =
                members.iter().map(|(name, q)| format!("{name};q={}.{:03}", q / 1000, q % 1000)).collect();
            let line = line.join(", ");
            let offered: Vec<Coding> = Coding::ALL.into_iter().filter(|_| random.u8(..) > 60).collect();
            let choice = negotiate([line.as_bytes()].into_iter(), &offered);
            let any = offered.iter().any(|coding| accepts(&members, coding.token()));
            match choice {
                Choice::Coded(coding) | Choice::Needed(coding) => {
                    assert!(offered.contains(&coding) && accepts(&members, coding.token()), "{line}: {choice:?}");
                    assert!(is_acceptable([line.as_bytes()].into_iter(), coding));
                }
                Choice::Identity => assert!(accepts(&members, "identity") || !any, "{line} of {offered:?}"),
            }
        }
    }

    #[test]
    fn no_bytes_are_too_odd() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..5000 {
            let line: Vec<u8> =
                (0..random.usize(0..20)).map(|_| *random.choice(b"gzip,;q=01.* \tx").unwrap()).collect();
            let _ = negotiate([line.as_slice()].into_iter(), &Coding::ALL);
        }
    }
}
