use super::*;

/// The table that black-box tests read too; the head of the file explains it.
const CASES: &str = include_str!("../../../tests/data/paths.txt");

struct Case {
    raw: Vec<u8>,
    action: &'static str,
    normal: Option<Vec<u8>>,
    words: &'static str,
}

fn cases() -> Vec<Case> {
    CASES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let [raw, action, normal, words] = columns[..] else { panic!("four columns: {line}") };
            let raw = unescape(raw);
            let normal = match normal {
                "-" => None,
                "=" => Some(raw.clone()),
                other => Some(unescape(other)),
            };
            Case { raw, action, normal, words }
        })
        .collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'x') => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            other => out.push(other.unwrap()),
        }
    }
    out
}

fn normal_form(raw: &[u8]) -> (Verdict, Vec<u8>) {
    let mut out = b"untouched".to_vec();
    let verdict = normalise(raw, &mut out);
    if verdict == Verdict::Plain {
        assert!(raw.contains(&b'%') || out == b"untouched");
        out = raw.to_vec();
    }
    (verdict, out)
}

fn forms(raw: &str) -> Forms {
    match normal_form(raw.as_bytes()).0 {
        Verdict::Ambiguous(forms) => forms,
        _ => Forms::NONE,
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[test]
fn the_table_of_cases_holds() {
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    for Case { raw, action, normal, words } in cases {
        let (verdict, found) = normal_form(&raw);
        let name = show(&raw);
        let forms = match verdict {
            Verdict::Plain => {
                assert_eq!(normal.as_deref(), Some(raw.as_slice()), "{name}");
                Forms::NONE
            }
            Verdict::Normalised => {
                assert_ne!(normal.as_deref(), Some(raw.as_slice()), "{name}");
                Forms::NONE
            }
            Verdict::Ambiguous(forms) => forms,
        };
        if let Some(normal) = normal {
            assert_eq!(show(&found), show(&normal), "{name}");
        }
        let mut expected: Vec<&str> = words.split(',').filter(|word| *word != "-").collect();
        let mut words: Vec<&str> =
            Forms::REASONS.iter().filter(|(form, _)| forms.contains(*form)).map(|(_, word)| *word).collect();
        expected.sort_unstable();
        words.sort_unstable();
        assert_eq!(words, expected, "{name}");
        let done = match forward(forms, Forms::NONE) {
            Ok(Forward::Raw) => "raw",
            Ok(Forward::Normal) => "normal",
            Err(refusal) => {
                assert!(expected.contains(&refusal.reason()), "{name}: {}", refusal.reason());
                "refuse"
            }
        };
        assert_eq!(done, action, "{name}");
    }
}

/// Bytes that matter to paths, so that short random strings hit every rule.
const ALPHABET: &[&str] = &[
    "/", "/", "a", "B", ".", ".", "..", "%2e", "%2F", "%5c", "%00", "%3b", ";", "\\", "%41", "%c3", "é", "%40", "@",
    "%", "\"", " ", "%25",
];

fn random_path(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut path = b"/".to_vec();
    for _ in 0..random.usize(..12) {
        path.extend_from_slice(ALPHABET[random.usize(..ALPHABET.len())].as_bytes());
    }
    path
}

#[test]
fn normal_forms_are_normal() {
    let mut random = fastrand::Rng::with_seed(3986);
    for _ in 0..50_000 {
        let raw = random_path(&mut random);
        let (verdict, normal) = normal_form(&raw);
        let name = show(&raw);
        let refused = match verdict {
            Verdict::Ambiguous(forms) => forms.intersects(Forms::NEVER),
            _ => false,
        };
        assert_eq!(normal[0], b'/', "{name}");
        if refused {
            continue;
        }
        assert!(!normal.windows(2).any(|pair| pair == b"//"), "{name}");
        assert!(!normal.split(|&byte| byte == b'/').any(is_dots), "{name}");
        assert!(normal.iter().all(|&byte| CLASS[usize::from(byte)] < ENCODE), "{name}");
        let (again, twice) = normal_form(&normal);
        assert_eq!(show(&twice), show(&normal), "{name}");
        if let Verdict::Plain | Verdict::Normalised = verdict {
            assert_eq!(again, Verdict::Plain, "{name}");
        }
    }
}

#[test]
fn a_raw_path_that_goes_on_decodes_to_its_normal_form() {
    let decode = |path: &[u8]| {
        let mut out = Vec::new();
        let mut at = 0;
        while at < path.len() {
            let meant = escape(&path[at..]);
            out.push(meant.unwrap_or(path[at]));
            at += if meant.is_some() { 3 } else { 1 };
        }
        out
    };
    let mut random = fastrand::Rng::with_seed(6986);
    for _ in 0..50_000 {
        let raw = random_path(&mut random);
        let (verdict, normal) = normal_form(&raw);
        let forms = if let Verdict::Ambiguous(forms) = verdict { forms } else { Forms::NONE };
        if forward(forms, Forms::NONE) == Ok(Forward::Raw) {
            assert_eq!(show(&decode(&raw)), show(&decode(&normal)), "{}", show(&raw));
        }
    }
}

#[test]
fn a_named_form_is_allowed_and_no_other() {
    for (name, form) in Forms::NAMES {
        assert_eq!(Forms::from_name(name), Some(form));
        let others = Forms::NAMES.iter().filter(|(other, _)| *other != name).fold(Forms::NONE, |all, (_, f)| all | *f);
        if form.intersects(Forms::BY_NAME) {
            assert!(forward(form, others).is_err(), "{name}");
            assert!(forward(form, form).is_ok(), "{name}");
        }
    }
    assert_eq!(Forms::from_name("%2f"), Some(Forms::ENCODED_SLASH));
    assert_eq!(Forms::from_name("dots"), None);
    assert_eq!(forward(forms("/a%2Fb/%zz"), Forms::ALL).unwrap_err().reason(), "path-bad-escape");
}

#[test]
fn empty_segments_stay_where_they_are_allowed() {
    assert_eq!(forward(forms("/a//b"), Forms::EMPTY_SEGMENT), Ok(Forward::Raw));
    assert_eq!(forward(forms("/a//b/../c"), Forms::EMPTY_SEGMENT), Ok(Forward::Normal));
}

#[test]
fn hidden_dots_are_resolved_where_they_are_allowed() {
    assert_eq!(forward(forms("/a/%2e%2e/b"), Forms::HIDDEN_DOTS), Ok(Forward::Normal));
}

fn readings_of(raw: &str) -> Vec<String> {
    let (verdict, normal) = normal_form(raw.as_bytes());
    let Verdict::Ambiguous(forms) = verdict else { return Vec::new() };
    let mut all = Vec::new();
    readings(&normal, forms, &mut Vec::new(), |reading, _| {
        all.push(show(reading));
        true
    });
    all
}

#[test]
fn every_reading_of_an_ambiguous_path_is_tried() {
    let has = |raw: &str, reading: &str| {
        let all = readings_of(raw);
        assert!(all.iter().any(|found| found == reading), "{raw} has {all:?}");
    };
    has("/blocked;a=b/x", "/blocked/x");
    has("/blocked%3Ba/x", "/blocked/x");
    has("/x/..;/blocked", "/blocked");
    has("/x/..;a/blocked/y", "/blocked/y");
    has("/;/blocked", "/blocked");
    has("/blocked%2Fx", "/blocked/x");
    has("/x/..%2Fblocked", "/blocked");
    has("/x%2F..%2Fblocked", "/blocked");
    has("/x/..%5Cblocked", "/blocked");
    has("/x/..\\blocked", "/blocked");
    has("/blocked%00.png", "/blocked");
    has("/%24meta;v=1/a", "/$meta/a");
    has("/a%40b", "/a@b");
    assert!(readings_of("/a/../b//c%20d").is_empty());
}

#[test]
fn a_prefix_ends_at_the_same_place_in_the_raw_path() {
    let cut =
        |raw: &str, offset| String::from_utf8_lossy(&raw.as_bytes()[raw_offset(raw.as_bytes(), offset)..]).into_owned();
    assert_eq!(cut("/v1/x", 3), "/x");
    assert_eq!(cut("/%76%31/%78", 3), "/%78");
    assert_eq!(cut("/v1", 3), "");
    assert_eq!(cut("/caf\u{e9}/x", "/caf%C3%A9".len()), "/x");
    assert_eq!(cut("/a%20b/x", "/a%20b".len()), "/x");
    assert_eq!(cut("//v1//x", 3), "//x");
    assert_eq!(cut("/x", 9), "");
}
