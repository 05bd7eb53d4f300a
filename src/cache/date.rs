//! HTTP dates (RFC 9110 §5.6.7): IMF-fixdate, RFC 850 and asctime, in any case, each to the letter of its form. The name of the
//! weekday must be one, but need not be right: nothing is computed from it.

/// The date in seconds since 1970, or `None` if it is none. Dates before 1970 are 0.
pub fn parse_date(text: &[u8]) -> Option<u64> {
    imf_fixdate(text).or_else(|| rfc850(text)).or_else(|| asctime(text))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &[u8]) -> Option<u64> {
    let text: &[u8; 29] = text.try_into().ok()?;
    weekday(&text[..3])?;
    let fixed = &text[3..5] == b", " && text[7] == b' ' && text[11] == b' ' && text[16] == b' ' && is_gmt(&text[25..]);
    let year = number(&text[12..16])?;
    fixed.then(|| seconds(year, month(&text[8..11])?, number(&text[5..7])?, time(&text[17..25])?)).flatten()
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &[u8]) -> Option<u64> {
    let comma = text.iter().position(|&byte| byte == b',')?;
    let known = WEEKDAYS.iter().any(|day| day.as_bytes().eq_ignore_ascii_case(&text[..comma]));
    let text: &[u8; 24] = text[comma..].try_into().ok()?;
    let fixed = text[1] == b' ' && text[4] == b'-' && text[8] == b'-' && text[11] == b' ' && is_gmt(&text[20..]);
    let year = number(&text[9..11])?;
    let year = if year < 70 { 2000 + year } else { 1900 + year };
    (known && fixed).then(|| seconds(year, month(&text[5..8])?, number(&text[2..4])?, time(&text[12..20])?)).flatten()
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<u64> {
    let text: &[u8; 24] = text.try_into().ok()?;
    weekday(&text[..3])?;
    let fixed = text[3] == b' ' && text[7] == b' ' && text[10] == b' ' && text[19] == b' ';
    let day = if text[8] == b' ' { number(&text[9..10])? } else { number(&text[8..10])? };
    fixed.then(|| seconds(number(&text[20..24])?, month(&text[4..7])?, day, time(&text[11..19])?)).flatten()
}

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn weekday(name: &[u8]) -> Option<()> {
    WEEKDAYS.iter().any(|day| day.as_bytes()[..3].eq_ignore_ascii_case(name)).then_some(())
}

fn month(name: &[u8]) -> Option<u64> {
    MONTHS.iter().position(|month| month.as_bytes().eq_ignore_ascii_case(name)).map(|at| at as u64 + 1)
}

fn is_gmt(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b" GMT")
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

/// `08:49:37` as seconds of the day. A leap second is the one after it.
fn time(text: &[u8]) -> Option<u64> {
    let (hour, minute, second) = (number(&text[..2])?, number(&text[3..5])?, number(&text[6..8])?);
    let fixed = text[2] == b':' && text[5] == b':' && hour < 24 && minute < 60 && second <= 60;
    fixed.then_some(hour * 3600 + minute * 60 + second)
}

/// Seconds since 1970 of a day and the seconds in it, by the proleptic Gregorian calendar.
fn seconds(year: u64, month: u64, day: u64, time: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day == 0 || day > longest {
        return None;
    }
    if year < 1970 {
        return Some(0);
    }
    // Years begin in March here, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    const OF_1970: u64 = 719_468;
    Some((days - OF_1970) * 86_400 + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<u64> {
        parse_date(text.as_bytes())
    }

    #[test]
    fn the_three_forms_mean_the_same() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(of(text), Some(784_111_777), "{text}");
        }
        assert_eq!(of("Thursday, 18-Aug-50 02:01:18 GMT"), of("Thu, 18 Aug 2050 02:01:18 GMT"));
        assert_eq!(of("Sat Oct 17 08:49:37 2026"), of("Sat, 17 Oct 2026 08:49:37 GMT"));
    }

    #[test]
    fn case_and_a_wrong_weekday_do_not_matter() {
        let right = of("Thu, 18 Aug 2050 02:01:18 GMT");
        assert!(right.is_some());
        for text in ["THU, 18 Aug 2050 02:01:18 GMT", "thu, 18 aUG 2050 02:01:18 gMT", "Mon, 18 Aug 2050 02:01:18 GMT"]
        {
            assert_eq!(of(text), right, "{text}");
        }
        assert!(of("Thu Aug  8 02:01:18 2050").is_some());
    }

    #[test]
    fn what_is_nearly_a_date_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 2050 02:01:18 +1000",
            "Thu, 18 Aug 2050 02:01:18",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu,  18  Aug  2050  02:01:18  GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 8 Aug 2050 02:01:18 GMT",
            "Thu, 32 Aug 2050 02:01:18 GMT",
            "Thu, 00 Aug 2050 02:01:18 GMT",
            "Thu, 29 Feb 2100 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Thu, 18 Aug 2050 23:60:18 GMT",
            "Thu, 18 Aug 2050 23:01:61 GMT",
            "Xyz, 18 Aug 2050 23:01:18 GMT",
            "Thu, 18 Xyz 2050 23:01:18 GMT",
            "Thu, +8 Aug 2050 23:01:18 GMT",
            "Xyzday, 18-Aug-50 02:01:18 GMT",
            "Thu, 18-Aug-50 02:01:18 GMT",
            "1994-11-06T08:49:37Z",
            "784111777",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn the_calendar_is_right() {
        assert_eq!(of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(of("Sat, 01 Jan 1600 00:00:00 GMT"), Some(0), "before all times");
        assert_eq!(of("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
        assert_eq!(of("Wed, 01 Mar 2000 00:00:00 GMT"), Some(951_868_800));
        assert_eq!(of("Tue, 19 Jan 2038 03:14:08 GMT"), Some(1 << 31));
        assert_eq!(of("Sun, 21 Nov 2286 04:46:39 GMT"), Some(10_000_039_599));
    }

    #[test]
    fn dates_of_random_times_come_back() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let seconds = random.u64(0..253_402_300_799);
            let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            assert_eq!(of(&httpdate::fmt_http_date(date)), Some(seconds));
        }
    }

    #[test]
    fn no_text_is_too_strange() {
        let mut random = fastrand::Rng::with_seed(11);
        let good = b"Sunday, 06-Nov-94 08:49:37 GMT Sun Nov  6 08:49:37 1994";
        for _ in 0..50_000 {
            let start = random.usize(..good.len());
            let mut text = good[start..random.usize(start..=good.len())].to_vec();
            if !text.is_empty() {
                let at = random.usize(..text.len());
                text[at] = random.u8(..);
            }
            parse_date(&text);
        }
    }
}
