//! The router against random requests.

use super::*;

/// What usual targets make of a path: decoded or not, `\` for `/`, parameters cut, cut at NUL, `//` merged, dots resolved.
fn target_readings(sent: &str) -> Vec<String> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < sent.len() {
        let escape = sent.get(at + 1..at + 3).filter(|_| sent.as_bytes()[at] == b'%');
        let byte = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(byte.unwrap_or(sent.as_bytes()[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    let decoded = decoded.into_iter().map(char::from).collect::<String>();
    let mut found = Vec::new();
    for text in [sent, &decoded] {
        let cut = |text: &str| {
            text.split('/').map(|part| part.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
        };
        let slashed = text.replace('\\', "/");
        let ended = text.split('\0').next().unwrap_or_default().to_owned();
        for text in [text.to_owned(), cut(text), cut(&slashed), slashed, ended] {
            for merge in [false, true] {
                let mut parts: Vec<&str> = Vec::new();
                for part in text.split('/').skip(1).filter(|part| !(merge && part.is_empty())) {
                    match part {
                        "." => {}
                        ".." => drop(parts.pop()),
                        part => parts.push(part),
                    }
                }
                found.push(format!("/{}", parts.join("/")));
            }
        }
    }
    found
}

#[test]
fn no_target_reads_a_guarded_path_in_what_goes_on() {
    const PIECES: [&str; 26] = [
        "/",
        "/",
        "/",
        "/",
        "blocked",
        "blocked",
        "blocked",
        "%62locked",
        "x",
        "..",
        "..",
        ".",
        "%2e",
        "%2F",
        "%2f",
        "%5C",
        "\\",
        ";",
        "%3B",
        "%00",
        "%40",
        "//",
        "/../",
        "/..;",
        "a=b",
        "%25",
    ];
    let names = Forms::NAMES.map(|(name, _)| name);
    let strict = router(&[("guard", route(&[], &["/blocked/"])), ("all", route(&[], &[]))]);
    let open = router(&[("guard", route(&[], &["/blocked/"])), ("all", allow(route(&[], &[]), &names))]);
    let mut random = fastrand::Rng::with_seed(41773);
    let mut passed = [0, 0];
    for _ in 0..20_000 {
        let raw: String = (0..random.usize(1..9)).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
        let raw = format!("/{raw}");
        for (router, passed) in [&strict, &open].into_iter().zip(&mut passed) {
            let Ok(("all", forward)) = router.admit(&raw) else { continue };
            let mut normal = Vec::new();
            let sent = match (forward, normalise(raw.as_bytes(), &mut normal)) {
                (Forward::Raw, _) | (_, Verdict::Plain) => raw.clone(),
                _ => String::from_utf8(normal).unwrap(),
            };
            *passed += 1;
            for reading in target_readings(&sent) {
                assert!(
                    reading != "/blocked" && !reading.starts_with("/blocked/"),
                    "{raw} goes on as {sent}: {reading:?}"
                );
            }
        }
    }
    assert!(passed[0] > 1_500 && passed[1] > 2 * passed[0], "{passed:?}");
}

/// What the module says, in the plainest form: all routes that match, compared by all that makes one specific.
fn naive(routes: &[Conditions], ask: &Ask) -> Option<usize> {
    let score = |route: &Conditions| {
        let host = match route.hosts.is_empty() {
            true => Some((0, 0)),
            false => route
                .hosts
                .iter()
                .filter(|host| host.matches(ask.host()))
                .map(|host| match host {
                    HostPattern::Exact(_) => (2, 0),
                    HostPattern::Wildcard(suffix) => (1, suffix.len()),
                })
                .max(),
        }?;
        let path = match route.paths.is_empty() {
            true => Some((0, 0)),
            false => route
                .paths
                .iter()
                .filter(|path| path.matches(ask.path()))
                .map(|path| match path {
                    PathPattern::Exact(_) => (4, 0),
                    PathPattern::Template(_) => (3, 0),
                    PathPattern::Prefix(prefix) if prefix.is_empty() => (0, 0),
                    PathPattern::Prefix(prefix) => (2, prefix.len()),
                    PathPattern::Regex(_) => (1, 0),
                })
                .max(),
        }?;
        route.hold(ask).then(|| (route.priority, host, path, route.rank()))
    };
    let scores = routes.iter().enumerate().filter_map(|(index, route)| Some((score(route)?, std::cmp::Reverse(index))));
    scores.max().map(|(_, index)| index.0)
}

#[test]
fn the_router_agrees_with_a_naive_one() {
    const HOSTS: [&str; 6] = ["a.test", "b.a.test", "*.test", "*.a.test", "*.b.a.test", "c.test"];
    const PATHS: [&str; 12] =
        ["/", "/a", "/a/b", "/a/b/c/", "/ab", "=/a", "=/a/b", "=/", "~^/a/[a-c]$", "~b", "~^/ab", "=/a/"];
    const ASKED: [&str; 12] =
        ["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/b/c/d", "/ab", "/ab/c", "/abc", "/c", "/a/c"];
    let mut random = fastrand::Rng::with_seed(2026);
    let some = |random: &mut fastrand::Rng, from: &[&str], most: usize| -> Vec<String> {
        (0..random.usize(..=most)).map(|_| from[random.usize(..from.len())].to_owned()).collect()
    };
    let mut compared = 0;
    for _ in 0..400 {
        let mut routes: Vec<(String, Conditions)> = Vec::new();
        for index in 0..random.usize(1..12) {
            let mut route = route(&[], &[]);
            route.hosts = some(&mut random, &HOSTS, 2);
            route.paths = some(&mut random, &PATHS, 2);
            route.methods = some(&mut random, &["GET", "POST"], 1);
            if random.bool() {
                let value =
                    [ValueMatch::Present, ValueMatch::Absent, exact("1"), exact("2")][random.usize(..4)].clone();
                route.headers.insert("x-a".into(), value);
            }
            if random.u8(..4) == 0 {
                route.query.insert("q".into(), exact("1"));
            }
            route.priority = i64::from(random.u8(..8) == 0);
            routes.push((format!("r{index}"), Conditions::compile(&route).unwrap()));
            if Router::new(routes.clone()).is_err() {
                routes.pop();
            }
        }
        let router = Router::new(routes.clone()).unwrap();
        let conditions: Vec<Conditions> = routes.into_iter().map(|(_, route)| route).collect();
        for _ in 0..60 {
            let host = ["a.test", "b.a.test", "c.b.a.test", "c.test", "test", "d.c.test"][random.usize(..6)];
            let mut ask =
                Ask::get(host, ASKED[random.usize(..ASKED.len())]).method(["GET", "POST", "PUT"][random.usize(..3)]);
            for value in some(&mut random, &["1", "2", "3"], 1) {
                ask = ask.header("x-a", value);
            }
            ask.query = random.bool().then(|| format!("q={}", random.u8(1..3)));
            compared += 1;
            let found = router.find(&ask).map(|found| found.route);
            assert_eq!(found, naive(&conditions, &ask), "{ask:?} {conditions:#?}");
            for (index, standing) in router.standings(&ask, found).into_iter().enumerate() {
                let alone = naive(&conditions[index..=index], &ask).is_some();
                let agrees = match standing {
                    Standing::Takes(_) => found == Some(index),
                    Standing::Misses(..) => !alone,
                    Standing::Yields(_) => alone && found != Some(index),
                };
                assert!(agrees, "{index} of {ask:?} {conditions:#?}");
            }
        }
    }
    assert_eq!(compared, 24_000);
}
