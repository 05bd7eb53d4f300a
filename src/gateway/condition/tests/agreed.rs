//! What is said here of an expression is what the CEL of others says of it.

use super::*;

fn theirs(text: &str) -> Option<bool> {
    let mut context = cel::Context::default();
    context.add_variable_from_value("t", true);
    context.add_variable_from_value("f", false);
    let program = cel::Program::compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match program.execute(&context) {
        Ok(cel::Value::Bool(is)) => Some(is),
        Ok(other) => panic!("{text}: {other:?}"),
        Err(_) => None,
    }
}

fn ours(text: &str) -> Option<bool> {
    asked(text).ok()
}

#[test]
fn expressions_mean_what_they_mean_elsewhere() {
    for text in [
        "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 10 - 2 - 3 == 5 && 100 / 10 / 5 == 2",
        "true || false && false",
        "(true || false) && false",
        "false ? true : false ? false : true",
        "true ? false : true ? true : true",
        "!true == false",
        "!(1 == 2) && !!true",
        "1 < 2 == true",
        "- 5 + 3 == -2 && --5 == 5",
        "7 % 3 == 1 && -7 % 3 == -1 && -7 / 3 == -2",
        "'a' + 'b' == 'ab' && 'a' < 'b' && !('b' < 'a') && 'a' <= 'a' && '' < 'a'",
        "'abc'.startsWith('ab') && 'abc'.endsWith('bc') && 'abc'.contains('b') && ''.startsWith('')",
        "size('') == 0 && size('häß') == 3 && 'abc'.size() == 3 && size([1, 2, 3]) == 3 && [].size() == 0",
        "'abc'.matches('^a.c$') && !'abc'.matches('^b') && 'xabc'.matches('abc')",
        "1 in [1, 2, 3] && !(4 in [1, 2, 3]) && 'a' in ['a'] && !('a' in [])",
        "[1, 2] == [1, 2] && [1, 2] != [2, 1] && [1] != [1, 2] && [] == []",
        "[1, 2, 3][0] == 1 && [1, 2, 3][2] == 3",
        "[1, 2, 3].all(x, x > 0) && ![1, 2, 3].all(x, x > 1) && [].all(x, false)",
        "[1, 2, 3].exists(x, x == 2) && ![1, 2, 3].exists(x, x == 4) && ![].exists(x, true)",
        "[1, 2, 3].exists_one(x, x == 2) && ![1, 2, 2].exists_one(x, x == 2) && ![1].exists_one(x, x == 2)",
        "[1, 2, 3].filter(x, x > 1) == [2, 3] && [1, 2].map(x, x * 2) == [2, 4]",
        "[[1, 2], [3]].exists(list, list.exists(x, x == 3))",
        "[1, 2].exists(x, [2, 3].exists(x, x == 3))",
        "1.5 + 1.5 == 3.0 && 1.0 / 4.0 == 0.25 && -1.5 < 0.0 && 1e2 == 100.0 && .5 == 0.5",
        "0x1F == 31 && -0x1f == -31",
        "int('42') == 42 && int(3.9) == 3 && int(-3.9) == -3 && double(2) == 2.0 && double('2.5') == 2.5",
        "string(42) == '42' && string('a') == 'a' && string(true) == 'true'",
        "'\\n\\t\\\"\\'\\\\' == \"\\n\\t\\\"'\\\\\" && r'\\n'.size() == 2 && '\\x41\\u0041\\U00000041\\101' == 'AAAA'",
        "'''a'b''' == \"a'b\" && \"\"\"a\"b\"\"\" == 'a\"b'",
        "null == null && !(null != null)",
        "true == true && true != false && true > false",
        "1 / 0 == 1",
        "1 % 0 == 1",
        "1 / 0 == 1 || true",
        "true || 1 / 0 == 1",
        "1 / 0 == 1 && false",
        "false && 1 / 0 == 1",
        "1 / 0 == 1 || false",
        "true ? true : 1 / 0 == 1",
        "9223372036854775807 + 1 == 0",
        "-9223372036854775808 - 1 == 0",
        "-9223372036854775808 == -9223372036854775808",
        "9223372036854775807 * 2 == 0",
        "-9223372036854775808 / -1 == 0",
        "[1, 2][2] == 1",
        "[1, 2][-1] == 1",
        "int('x') == 1",
        "int(1e300) == 1",
        "[0, 1].exists(x, 1 / x == 1)",
        "[0, 1].all(x, 1 / x == 2)",
        "[0, 1].all(x, 1 / x == 1)",
        "[0, 1].exists_one(x, 1 / x == 1)",
        "[1, 2].filter(x, 1 / (x - 1) > 0) == []",
        "// a comment\ntrue // and one more",
    ] {
        assert_eq!(ours(text), theirs(text), "{text}");
    }
}

/// Expressions of one kind at random.
fn made(random: &mut fastrand::Rng, kind: char, depth: usize) -> String {
    if depth == 0 {
        let leaves: &[&str] = match kind {
            'b' => &["true", "false"],
            'i' => &["0", "1", "2", "-3", "7", "9223372036854775807"],
            _ => &["''", "'a'", "'ab'", "'b'"],
        };
        return leaves[random.usize(..leaves.len())].to_owned();
    }
    let one = made(random, kind, depth - 1);
    let mut of = |kind: char| made(random, kind, depth - 1);
    let (int, other_int, text, other_text, bool) = (of('i'), of('i'), of('s'), of('s'), of('b'));
    let signs = |random: &mut fastrand::Rng, all: &[&'static str]| all[random.usize(..all.len())];
    match (kind, random.u8(..6)) {
        ('b', 0) => format!("({one} {} {bool})", signs(random, &["&&", "||", "==", "!="])),
        ('b', 1) => format!("({int} {} {other_int})", signs(random, &["<", "<=", ">", ">=", "==", "!="])),
        ('b', 2) => format!("({text} {} {other_text})", signs(random, &["<", ">=", "==", "!="])),
        ('b', 3) => format!("{text}.{}({other_text})", signs(random, &["startsWith", "endsWith", "contains"])),
        ('b', 4) => {
            format!("[{int}, {other_int}].{}(x, x > {int} || {one})", signs(random, &["all", "exists", "exists_one"]))
        }
        ('b', _) => format!("!{bool}"),
        ('i', 0..4) => format!("({one} {} {other_int})", signs(random, &["+", "-", "*", "/", "%"])),
        ('i', 4) => format!("size({text})"),
        ('s', 0..5) => format!("({one} + {other_text})"),
        _ => format!("({bool} ? {one} : {})", if kind == 'i' { other_int } else { other_text }),
    }
}

#[test]
fn expressions_made_at_random_mean_what_they_mean_elsewhere() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut failed = 0;
    for round in 0..1500 {
        let text = made(&mut random, 'b', 1 + round % 3);
        if text.len() > super::super::syntax::LONGEST {
            continue;
        }
        let said = ours(&text);
        assert_eq!(said, theirs(&text), "{text}");
        failed += usize::from(said.is_none());
    }
    assert!((10..750).contains(&failed), "some are errors, most are not: {failed}");
}
