//! What a shared cache must and should do, case by case: each test is a kind of case, with an origin's answers in it.

use super::*;
use std::time::{Duration, UNIX_EPOCH};

/// When all exchanges begin.
const NOW: u64 = 1_800_000_000_000;

type Head<'a> = &'a [(&'a str, &'a str)];

/// The date so many seconds after it.
fn date(seconds: i64) -> String {
    let at = (NOW / 1000).saturating_add_signed(seconds);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at))
}

fn lines<'a>(head: Head<'a>) -> Vec<(&'a [u8], &'a [u8])> {
    head.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
}

/// An exchange with an origin that answers at once.
struct Case<'a> {
    rules: Rules,
    method: Method,
    asked: Head<'a>,
    status: u16,
}

/// Of a plain GET, answered with 200, under a plain configuration.
const fn no_fields<'a>() -> Head<'a> {
    &[]
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self { rules: Rules::default(), method: Method::Get, asked: no_fields(), status: 200 }
    }
}

impl Case<'_> {
    fn judged(&self, answer: Head<'_>) -> Result<Freshness, Why> {
        let (asked, answer) = (lines(self.asked), lines(answer));
        let request = Request::of(&asked[..], self.rules.honour);
        let response = Response::of(self.status, &answer[..], &self.rules);
        judge(self.method, &request, &response, &self.rules, Times { sent: NOW, received: NOW })
    }

    /// What may be done with the answer for a plain request so many seconds later; `None`: it is not stored.
    fn later(&self, answer: Head<'_>, seconds: u64) -> Option<Use> {
        self.judged(answer).ok().map(|stored| stored.verdict(seconds * 1000, &RequestDirectives::default()))
    }

    /// Whether it is served three seconds later.
    fn reused(&self, answer: Head<'_>) -> bool {
        self.later(answer, 3) == Some(Use::Fresh)
    }
}

fn status(status: u16) -> Case<'static> {
    Case { status, ..Case::default() }
}

/// Whether the answer to a plain GET is served three seconds later.
fn reused(answer: Head<'_>) -> bool {
    Case::default().reused(answer)
}

fn why(answer: Head<'_>) -> Option<Why> {
    Case::default().judged(answer).err()
}

#[test]
fn what_says_nothing_is_not_stored() {
    assert_eq!(why(&[]), Some(Why::NoFreshness));
    assert_eq!(why(&[("Date", &date(0)), ("ETag", "\"a\"")]), Some(Why::NoFreshness));
    assert_eq!(why(&[("Cache-Control", "foobar")]), Some(Why::NoFreshness));
}

#[test]
fn max_age_is_how_long_it_is_fresh() {
    for age in ["3600", "2147483647", "2147483648", "2147483649", "99999999999", "003600"] {
        assert!(reused(&[("Cache-Control", &format!("max-age={age}"))]), "{age}");
    }
    assert!(!reused(&[("Cache-Control", "max-age=2")]) && !reused(&[("Cache-Control", "max-age=0")]));
    assert!(!reused(&[("Cache-Control", "max-age=-3600")]) && !reused(&[("Cache-Control", "max-age='3600'")]));
    let case = Case::default();
    assert_eq!(case.later(&[("Cache-Control", "max-age=3")], 2), Some(Use::Fresh));
    assert_eq!(case.later(&[("Cache-Control", "max-age=3")], 3), Some(Use::Validate(Need::Stale)));
    assert_eq!(why(&[("Cache-Control", "max-age=0")]), Some(Why::Stale));
}

#[test]
fn max_age_goes_before_expires_and_s_maxage_before_both() {
    assert!(reused(&[("Cache-Control", "max-age=3600"), ("Expires", &date(-7200)), ("Date", &date(0))]));
    assert!(reused(&[("Cache-Control", "max-age=3600"), ("Expires", "0"), ("Date", &date(0))]));
    assert!(!reused(&[("Expires", &date(3600)), ("Cache-Control", "max-age=0"), ("Date", &date(0))]));
    assert!(!reused(&[("Cache-Control", "max-age=3600, s-maxage=1")]));
    assert!(!reused(&[("Cache-Control", "s-maxage=1, max-age=3600")]));
    assert!(!reused(&[("Cache-Control", "max-age=3600"), ("Cache-Control", "s-maxage=1")]));
    assert!(reused(&[("Cache-Control", "max-age=1, s-maxage=3600")]));
    assert!(reused(&[("Expires", &date(-10)), ("Cache-Control", "max-age=0, s-maxage=3600")]));
}

#[test]
fn age_counts_from_where_the_answer_comes_from() {
    let aged = |age: &str| reused(&[("Date", &date(0)), ("Cache-Control", "max-age=3600"), ("Age", age)]);
    for old in ["7200", "2147483647", "2147483648", "2147483649", "7200, 0", "99999999999999999999"] {
        assert!(!aged(old), "{old}");
    }
    for fresh in ["0", "0, 7200", "abc", "-7200", "7200.0", "", "0, 0"] {
        assert!(aged(fresh), "{fresh}");
    }
    let twice = |first, second| reused(&[("Cache-Control", "max-age=3600"), ("Age", first), ("Age", second)]);
    assert!(!twice("7200", "0") && twice("0", "7200"));
    assert!(!reused(&[("Date", &date(-7200)), ("Cache-Control", "max-age=3600")]), "its Date says that it is old");
    assert!(reused(&[("Date", &date(7200)), ("Cache-Control", "max-age=10")]), "a clock that is ahead");
}

#[test]
fn expires_is_held_against_the_date_of_the_answer() {
    let expires = |at: i64, sent: i64| reused(&[("Expires", &date(at)), ("Date", &date(sent))]);
    assert!(expires(30 * 86_400, 0) && !expires(-30 * 86_400, 0) && !expires(0, 0) && !expires(300, 400));
    assert!(reused(&[("Date", "foo"), ("Expires", &date(10))]) && reused(&[("Expires", &date(10))]));
    let aged = |sent, at, age| reused(&[("Date", &date(sent)), ("Expires", &date(at)), ("Age", age)]);
    assert!(!aged(-10, 10, "25") && !aged(10, 20, "15"));
}

#[test]
fn expires_that_is_no_date_is_in_the_past() {
    for expires in [
        "Tue, 19 Jan 2038 14:14:08 GMT",
        "Sun, 21 Nov 2286 04:46:39 GMT",
        "Thursday, 18-Aug-50 02:01:18 GMT",
        "Thu Aug  8 02:01:18 2050",
        "THU, 18 Aug 2050 02:01:18 GMT",
        "Thu, 18 AUG 2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 02:01:18 gMT",
    ] {
        assert!(reused(&[("Expires", expires), ("Date", &date(0))]), "{expires}");
    }
    for expires in ["0", "Thu, 18 Aug 2050 02:01:18 UTC", "Thu 18 Aug 2050 02:01:18 GMT", "Thu, 18 Aug 50 02:01:18 GMT"]
    {
        assert!(!reused(&[("Expires", expires), ("Date", &date(0))]), "{expires}");
    }
    let good = "Thu, 18 Aug 2050 02:01:18 GMT";
    assert!(!reused(&[("Expires", good), ("Expires", good)]), "two lines are none");
}

#[test]
fn guesses_are_for_some_statuses() {
    let modified = date(-86_400);
    let answer = [("Last-Modified", modified.as_str()), ("Date", &date(0))];
    for guessed in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert!(status(guessed).reused(&answer), "{guessed}");
    }
    for not in [201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599] {
        assert_eq!(status(not).judged(&answer), Err(Why::NoFreshness), "{not}");
    }
    let public = [answer[0], answer[1], ("Cache-Control", "public")];
    assert!(status(599).reused(&public));
}

#[test]
fn guesses_are_a_share_of_the_time_without_change() {
    let case = Case::default();
    let seconds = |ago: i64| {
        case.judged(&[("Last-Modified", &date(-ago)), ("Date", &date(0))]).map(|freshness| freshness.lifetime)
    };
    assert_eq!(seconds(3600), Ok(360));
    assert_eq!(seconds(86_400 * 365), Ok(86_400), "at most a day");
    assert_eq!(seconds(-60), Err(Why::NoFreshness), "changed after it was sent");
    let off = Case { rules: Rules { heuristics: None, ..Rules::default() }, ..Case::default() };
    assert_eq!(off.judged(&[("Last-Modified", &date(-3600))]), Err(Why::NoFreshness));
}

#[test]
fn nothing_personal_is_guessed() {
    let modified = date(-86_400);
    let answer = [("Last-Modified", modified.as_str())];
    let cookie = Case { asked: &[("Cookie", "sid=1")], ..Case::default() };
    assert_eq!(cookie.judged(&answer), Err(Why::NoFreshness));
    assert!(cookie.reused(&[("Cache-Control", "max-age=60")]), "what says so is for all");
    assert_eq!(why(&[answer[0], ("Set-Cookie", "a=b")]), Some(Why::SetCookie));
    assert_eq!(why(&[answer[0], ("Pragma", "no-cache")]), Some(Why::NoFreshness));
    assert!(reused(&[("Cache-Control", "max-age=60"), ("Pragma", "no-cache")]), "it means nothing in an answer");
}

#[test]
fn any_status_is_stored_that_says_how_long() {
    for code in [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599, 999] {
        assert!(status(code).reused(&[("Cache-Control", "max-age=100000"), ("Date", &date(0))]), "{code}");
        let stale = [("Expires", &date(-5000)[..]), ("Last-Modified", &date(-100_000)), ("Date", &date(0))];
        assert!(!status(code).reused(&stale), "{code}");
    }
    for code in [100, 101, 102, 103, 304, 412, 416] {
        assert_eq!(status(code).judged(&[("Cache-Control", "max-age=100000")]), Err(Why::Status), "{code}");
    }
}

#[test]
fn a_part_is_stored_if_it_says_which() {
    let answer = [("Cache-Control", "max-age=3600"), ("Content-Range", "bytes 0-4/10")];
    assert!(status(206).reused(&answer));
    assert_eq!(status(206).judged(&answer[..1]), Err(Why::Status));
}

#[test]
fn must_understand_goes_before_no_store_where_the_status_is_known() {
    let answer = [("Cache-Control", "max-age=3600, no-store, must-understand")];
    assert!(status(200).reused(&answer) && status(404).reused(&answer));
    assert_eq!(status(599).judged(&answer), Err(Why::Status));
    assert_eq!(status(299).judged(&[("Cache-Control", "max-age=3600, must-understand")]), Err(Why::Status));
}

#[test]
fn what_must_not_be_stored_is_not() {
    for (control, reason) in [
        ("no-store", Why::NoStore),
        ("No-StOrE", Why::NoStore),
        ("max-age=10000, no-store", Why::NoStore),
        ("private, max-age=3600", Why::Private),
        ("max-age=60, PRIVATE", Why::Private),
        ("no-cache, max-age=3600", Why::NoValidator),
    ] {
        assert_eq!(why(&[("Cache-Control", control), ("Expires", &date(10_000))]), Some(reason), "{control}");
    }
    assert!(reused(&[("Cache-Control", "private=\"a\", max-age=60")]), "a field of it is private");
    assert_eq!(why(&[("Cache-Control", "max-age=60"), ("Vary", "*")]), Some(Why::VaryAll));
}

#[test]
fn no_cache_is_stored_and_validated_each_time() {
    let case = Case::default();
    for control in ["no-cache", "No-CaChE, max-age=10000", "max-age=10000, no-cache"] {
        let answer = [("Cache-Control", control), ("ETag", "\"abcd\"")];
        assert_eq!(case.later(&answer, 0), Some(Use::Validate(Need::NoCache)), "{control}");
    }
    let fields = [("Cache-Control", "no-cache=\"a, b\""), ("Cache-Control", "max-age=3600"), ("a", "1")];
    assert!(case.reused(&fields), "some of its fields are not to be used");
}

#[test]
fn fields_of_one_connection_and_listed_ones_are_not_stored() {
    let rules = Rules::default();
    let answer = lines(&[
        ("Connection", "a, B"),
        ("connection", "close"),
        ("Cache-Control", "no-cache=\"c, d\", private=e, x=\"f\""),
        ("Set-Cookie", "a=b"),
    ]);
    let response = Response::of(200, &answer[..], &rules);
    let dropped = Dropped::of(&response, &answer[..], &rules);
    for name in [
        "a",
        "A",
        "b",
        "close",
        "c",
        "D",
        "e",
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authentication-Info",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "upgrade",
        "Age",
    ] {
        assert!(dropped.has(name.as_bytes()), "{name}");
    }
    for name in ["f", "x", "Set-Cookie", "Date", "Content-Length", "ETag", "Warning", "Set-Cookie2", "Public-Key-Pins"]
    {
        assert!(!dropped.has(name.as_bytes()), "{name}");
    }
    let strip = Rules { set_cookie: SetCookie::Strip, ..rules };
    assert!(Dropped::of(&response, &answer[..], &strip).has(b"set-cookie"));
}

#[test]
fn answers_to_those_who_said_who_they_are_are_shared_where_they_say_so() {
    let case = Case { asked: &[("Authorization", "Basic eDp5")], ..Case::default() };
    assert_eq!(case.judged(&[("Cache-Control", "max-age=3600")]), Err(Why::Authorization));
    for control in ["max-age=3600, public", "max-age=3600, must-revalidate", "s-maxage=3600"] {
        assert!(case.reused(&[("Cache-Control", control)]), "{control}");
    }
    let rules = Rules { identity: true, ..Rules::default() };
    let route = Case { rules, ..Case::default() };
    assert_eq!(route.judged(&[("Cache-Control", "max-age=3600")]), Err(Why::Identity));
    assert_eq!(route.judged(&[("Cache-Control", "max-age=3600, must-revalidate")]), Err(Why::Identity));
    assert!(
        route.reused(&[("Cache-Control", "max-age=3600, public")])
            && route.reused(&[("Cache-Control", "s-maxage=3600")])
    );
}

#[test]
fn cookies_are_kept_as_configured() {
    let judged = |set_cookie, control| {
        let case = Case { rules: Rules { set_cookie, default_ttl: Some(60), ..Rules::default() }, ..Case::default() };
        case.judged(&[("Set-Cookie", "a=b"), ("Cache-Control", control)]).err()
    };
    assert_eq!(judged(SetCookie::Explicit, "max-age=60"), Some(Why::SetCookie), "it may begin a session");
    assert_eq!(judged(SetCookie::Explicit, "s-maxage=60"), None);
    assert_eq!(judged(SetCookie::Explicit, "public"), None);
    assert_eq!(
        judged(SetCookie::Explicit, "x"),
        Some(Why::SetCookie),
        "a configured lifetime is not the origin's word"
    );
    assert_eq!(judged(SetCookie::Never, "max-age=60"), Some(Why::SetCookie));
    assert_eq!(judged(SetCookie::Strip, "x"), None);
    assert_eq!(judged(SetCookie::Store, "x"), None);
    assert_eq!(why(&[("Set-Cookie", "sid=evil1")]), Some(Why::SetCookie));
}

#[test]
fn requests_get_what_they_ask_for() {
    let verdict = |answer: Head<'_>, asked: &str, seconds: u64| {
        let stored = Case::default().judged(answer);
        let head = [("Cache-Control", asked)];
        stored.map(|stored| stored.verdict(seconds * 1000, &Request::of(&head, Honour::All).control))
    };
    let fresh: Head<'_> = &[("Cache-Control", "max-age=100000")];
    for asked in ["max-age=0", "max-age=1", "no-cache", "min-fresh=100000"] {
        assert_eq!(verdict(fresh, asked, 3), Ok(Use::Validate(Need::Request)), "{asked}");
    }
    for asked in ["max-age=3", "min-fresh=99997", "no-store", "nothing-to-see-here", "only-if-cached"] {
        assert_eq!(verdict(fresh, asked, 3), Ok(Use::Fresh), "{asked}");
    }
    let aged: Head<'_> = &[("Cache-Control", "max-age=1500"), ("Age", "1000")];
    assert_eq!(verdict(aged, "max-age=600", 0), Ok(Use::Validate(Need::Request)));
    assert_eq!(verdict(aged, "min-fresh=1000", 0), Ok(Use::Validate(Need::Request)));
    let short: Head<'_> = &[("Cache-Control", "max-age=2")];
    assert_eq!(verdict(short, "max-stale=1000", 5), Ok(Use::Stale));
    assert_eq!(verdict(short, "max-stale", 5_000_000), Ok(Use::Stale));
    assert_eq!(verdict(short, "max-stale=1", 5), Ok(Use::Validate(Need::Stale)));
    assert_eq!(verdict(short, "only-if-cached", 5), Ok(Use::Forbidden));
    assert_eq!(
        verdict(&[("Cache-Control", "max-age=2, must-revalidate")], "max-stale", 5),
        Ok(Use::Validate(Need::Stale))
    );
    let rock: Head<'_> = &[("Cache-Control", "max-age=100, immutable")];
    assert_eq!(verdict(rock, "max-age=0", 3), Ok(Use::Fresh), "a reload cannot find another");
    assert_eq!(verdict(rock, "no-cache", 3), Ok(Use::Validate(Need::Request)));
    assert_eq!(verdict(rock, "max-age=0", 100), Ok(Use::Validate(Need::Request)));
}

#[test]
fn what_another_method_or_uri_was_answered_poisons_nothing() {
    for name in ["X-HTTP-Method-Override", "X-Original-URL"] {
        let case = Case { asked: &[(name, "/other")], ..Case::default() };
        assert_eq!(case.judged(&[("Cache-Control", "public, max-age=60")]), Err(Why::Override), "{name}");
    }
    assert!(!Why::Override.is_lasting() && Why::Private.is_lasting());
}

#[test]
fn nothing_of_a_no_store_request_is_stored() {
    let answer = [("Cache-Control", "max-age=60")];
    let case = Case { asked: &[("Cache-Control", "no-store")], ..Case::default() };
    assert_eq!(case.judged(&answer), Err(Why::RequestNoStore));
    let rules = Rules { honour: Honour::None, ..Rules::default() };
    assert!(Case { rules, ..case }.reused(&answer));
}

#[test]
fn stale_answers_are_served_while_they_are_validated_within_the_window() {
    let answer = [("Cache-Control", "max-age=1, stale-while-revalidate=4"), ("ETag", "\"abc\"")];
    let case = Case::default();
    assert_eq!(case.later(&answer, 3), Some(Use::StaleWhileRevalidate));
    assert_eq!(case.later(&answer, 5), Some(Use::Validate(Need::Stale)));
    let strict = [("Cache-Control", "max-age=1, stale-while-revalidate=4, must-revalidate")];
    assert_eq!(case.later(&strict, 3), Some(Use::Validate(Need::Stale)));
    let shared = [("Cache-Control", "s-maxage=1, stale-while-revalidate=4")];
    assert_eq!(case.later(&shared, 3), Some(Use::StaleWhileRevalidate), "it says so itself");
    let configured = Case { rules: Rules { stale_while_revalidate: Some(10), ..Rules::default() }, ..Case::default() };
    assert_eq!(configured.later(&[("Cache-Control", "max-age=1")], 3), Some(Use::StaleWhileRevalidate));
    assert_eq!(configured.later(&answer, 8), Some(Use::Validate(Need::Stale)), "the answer's own goes before");
    assert_eq!(configured.later(&[("Cache-Control", "s-maxage=1")], 3), Some(Use::Validate(Need::Stale)));
}

#[test]
fn stale_answers_are_served_where_the_origin_fails_unless_they_forbid_it() {
    let on_error = |control: &str, seconds: u64| {
        let stored = Case::default().judged(&[("Cache-Control", control), ("ETag", "\"a\"")]);
        stored.map(|stored| stored.may_serve_on_error(seconds * 1000))
    };
    assert_eq!(on_error("max-age=2", 5), Ok(true));
    assert_eq!(on_error("max-age=2", 86_401), Ok(true));
    assert_eq!(on_error("max-age=2", 86_402), Ok(false));
    assert_eq!(on_error("max-age=2, stale-if-error=60", 61), Ok(true));
    assert_eq!(on_error("max-age=2, stale-if-error=60", 62), Ok(false));
    assert_eq!(on_error("max-age=2, stale-if-error=0", 3), Ok(false));
    assert_eq!(on_error("s-maxage=2, stale-if-error=60", 5), Ok(true));
    assert_eq!(on_error("max-age=0", 5), Ok(false), "it was never fresh");
    for control in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=2"] {
        assert_eq!(on_error(&format!("max-age=2, {control}"), 5), Ok(false), "{control}");
    }
    assert_eq!(on_error("max-age=9, must-revalidate", 5), Ok(true), "it is fresh");
    let failure = status(503).judged(&[("Cache-Control", "max-age=2")]);
    assert_eq!(failure.map(|stored| stored.may_serve_on_error(1000)), Ok(false), "a failure is no help");
    assert!([500, 502, 503, 504].into_iter().all(is_failure) && ![200, 404, 501, 599].into_iter().any(is_failure));
}

#[test]
fn directives_for_us_stand_for_the_others() {
    let with = |targeted: &str, others: Head<'_>| {
        let mut answer = vec![("CDN-Cache-Control", targeted)];
        answer.extend_from_slice(others);
        reused(&answer)
    };
    let (now, later) = (date(0), date(10_000));
    let long: Head<'_> = &[("Cache-Control", "max-age=10000"), ("Expires", &later), ("Date", &now)];
    assert!(with("max-age=3600", &[]) && with("max-age=2147483648", &[]) && with("max-age=99999999999", &[]));
    assert!(with("foobar, max-age=3600", &[]) && with("max-age=3600", &[("Expires", &date(-10_000)), ("Date", &now)]));
    assert!(with("max-age=3600", &[("Expires", "0")]) && with("max-age=3600", &[("Cache-Control", "max-age=1")]));
    assert!(with("max-age=10000", &[("Cache-Control", "no-store")]));
    for targeted in ["max-age=0", "max-age=1", "private", "no-cache", "no-store"] {
        assert!(!with(targeted, long), "{targeted}");
    }
    assert!(!with("max-age=3600", &[("Age", "7200"), ("Date", &now)]));
    for broken in ["max-age=10000, &&&&&", "max-age=\"10000\"", "max-age =100", "max-age= 100"] {
        assert!(!with(broken, &[("Cache-Control", "no-store")]), "{broken}");
        assert!(with(broken, long), "{broken}");
    }
}

#[test]
fn what_is_configured_goes_before_what_is_said_as_far_as_it_says() {
    let case = |over| {
        let ttls = vec![
            Ttl { first: 404, last: 404, seconds: 9, over: Over::Silence },
            Ttl { first: 200, last: 299, seconds: 60, over },
        ];
        Case { rules: Rules { ttls, heuristics: None, ..Rules::default() }, ..Case::default() }
    };
    let ttl = |over, control: &str| case(over).judged(&[("Cache-Control", control)]).map(|stored| stored.lifetime);
    assert_eq!(ttl(Over::Silence, "x"), Ok(60));
    assert_eq!(ttl(Over::Silence, "max-age=5"), Ok(5));
    assert_eq!(ttl(Over::Lifetime, "max-age=5"), Ok(60));
    assert_eq!(ttl(Over::Lifetime, "no-store"), Err(Why::NoStore));
    assert_eq!(ttl(Over::Lifetime, "private"), Err(Why::Private));
    assert_eq!(ttl(Over::Lifetime, "no-cache"), Err(Why::NoValidator));
    assert_eq!(ttl(Over::Everything, "private, no-store, no-cache, max-age=0"), Ok(60));
    let authorized = Case { asked: &[("Authorization", "x")], ..case(Over::Everything) };
    assert_eq!(authorized.judged(&[]), Err(Why::Authorization), "but nobody's own is given to others");
    assert_eq!(case(Over::Everything).judged(&[("Vary", "*")]), Err(Why::VaryAll));
    let everything = case(Over::Everything).judged(&[("Cache-Control", "no-cache, must-revalidate")]);
    assert_eq!(everything.map(|stored| stored.verdict(1000, &RequestDirectives::default())), Ok(Use::Fresh));
    assert_eq!(Case { status: 404, ..case(Over::Silence) }.judged(&[]).map(|stored| stored.lifetime), Ok(9));
    let default = Rules { default_ttl: Some(30), ..Rules::default() };
    let of = |status, rules| Case { status, rules, ..Case::default() }.judged(&[]).map(|stored| stored.lifetime);
    assert_eq!(of(200, default.clone()), Ok(30));
    assert_eq!(of(302, default.clone()), Err(Why::NoFreshness));
    assert_eq!(of(500, default), Err(Why::NoFreshness));
}

#[test]
fn methods_store_what_a_get_would_be_answered() {
    let answer = [("Cache-Control", "max-age=60"), ("Content-Location", "/x")];
    let judged = |method, answer: Head<'_>| Case { method, ..Case::default() }.judged(answer).err();
    assert_eq!(judged(Method::Post, &answer), None);
    assert_eq!(judged(Method::Post, &answer[..1]), Some(Why::Method));
    assert_eq!(judged(Method::Post, &[("Last-Modified", &date(-86_400)), answer[1]]), Some(Why::NoFreshness));
    for method in [Method::Head, Method::Safe, Method::Unsafe] {
        assert_eq!(judged(method, &answer), Some(Why::Method));
    }
    for (token, changes) in [
        ("GET", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("POST", true),
        ("PUT", true),
        ("M-SEARCH", true),
        ("get", true),
    ] {
        assert_eq!(Method::of(token.as_bytes()).changes(), changes, "{token}");
    }
}

#[test]
fn a_304_makes_the_stored_answer_fresh_as_it_says() {
    let (now, sent) = (date(0), date(-5000));
    let stored = format!("Date: {sent}\r\nCache-Control: max-age=2\r\nETag: \"a\"\r\nX: 1\r\n");
    let freshened = |update: Head<'_>| {
        let (rules, update) = (Rules::default(), lines(update));
        let update_read = Response::of(304, &update[..], &rules);
        let mut head = Vec::new();
        validation::merge(
            &Lines(stored.as_bytes()),
            &update[..],
            &Dropped::of(&update_read, &update[..], &rules),
            &mut head,
        );
        let merged = Lines(&head);
        let times = Times { sent: NOW, received: NOW };
        validation::freshened(Response::of(200, &merged, &rules), &update_read, &rules, times)
    };
    let age = |update: Head<'_>| freshened(update).map(|stored| (stored.lifetime, stored.age_seconds(0)));
    assert_eq!(age(&[("Date", &now), ("Cache-Control", "max-age=3600")]), Ok((3600, 0)));
    assert_eq!(age(&[("Date", &now)]), Ok((2, 0)));
    assert_eq!(age(&[]), Ok((2, 0)), "without a Date it is of now");
    assert_eq!(age(&[("Date", &now), ("Age", "1")]), Ok((2, 1)));
    assert_eq!(age(&[("Cache-Control", "no-store")]), Err(Why::NoStore));
    assert_eq!(age(&[("Cache-Control", "private, max-age=60")]), Err(Why::Private));
    assert_eq!(age(&[("Vary", "*")]), Err(Why::VaryAll));
}

#[test]
fn age_is_told_in_whole_seconds_from_the_origin_on() {
    let stored = Case::default().judged(&[("Cache-Control", "max-age=3600"), ("Age", "30"), ("Date", &date(0))]);
    let ages = stored.map(|stored| [0, 999, 3000, 3_600_000].map(|here| (stored.age_seconds(here), stored.ttl(here))));
    assert_eq!(ages, Ok([(30, 3570), (30, 3570), (33, 3567), (3630, -30)]));
}
