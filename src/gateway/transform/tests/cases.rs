//! Bodies changed by hand.

use super::*;
use crate::gateway::transform::DEPTH;

fn check(told: Told<'_>, cases: &[(&str, &str)]) {
    for (body, wanted) in cases {
        assert_eq!(edited(&told, body).as_deref(), Ok(*wanted), "{body}");
    }
}

#[test]
fn what_no_edit_names_comes_out_byte_for_byte() {
    let told = Told { remove: &["/a/b", "/list/3/x"], rename: &[("/q", "r")], set: &[], ..Told::default() };
    for body in [
        "null",
        " 12.50e+007 ",
        "\"a\\u0041\\/é😀\"",
        r#"{ "x" : 1.000 , "y":[ 1 ,2, {} , [ ] ] ,"z":{"b":0,"b":1} }"#,
        "\r\n{\t\"a\" : { \"c\" : -0.0E-1, \"list\": [true,false,null] }\n,\n\"list\":[0,1,2]}\n",
        "{}",
        "[ ]",
    ] {
        assert_eq!(edited(&told, body).as_deref(), Ok(body));
        assert_eq!(edited(&Told::default(), body).as_deref(), Ok(body));
    }
}

#[test]
fn members_and_items_are_removed_with_their_commas() {
    let told = Told { remove: &["/a", "/o/a", "/items/*/x", "/items/1", "/~1~0"], ..Told::default() };
    check(
        told,
        &[
            (r#"{"a":1}"#, "{}"),
            (r#"{ "a": {"deep":[1,2,{"a":3}]}, "b": 2 }"#, r#"{ "b": 2 }"#),
            (r#"{"b":1,"a":[],"c":2}"#, r#"{"b":1,"c":2}"#),
            (r#"{"b":1, "a":"x" , "a":2}"#, r#"{"b":1}"#),
            (r#"{"\u0061":1,"b":{"a":1}}"#, r#"{"b":{"a":1}}"#),
            (r#"{"o":{"a":1,"b":2}}"#, r#"{"o":{"b":2}}"#),
            (r#"{"items":[{"x":1,"y":2},7,{"y":3,"x":4},5]}"#, r#"{"items":[{"y":2},{"y":3},5]}"#),
            (r#"{"items":[0,1]}"#, r#"{"items":[0]}"#),
            (r#"{"/~":1,"o":null}"#, r#"{"o":null}"#),
        ],
    );
    check(Told { remove: &["/0"], ..Told::default() }, &[("[1, 2 ,3]", "[2 ,3]"), ("[1]", "[]"), ("{\"0\":1}", "{}")]);
    check(Told { remove: &["/*"], ..Told::default() }, &[("[1, [2] ,3]", "[]"), (r#"{"a":1,"*":2}"#, r#"{"a":1}"#)]);
}

#[test]
fn members_are_renamed_where_they_stand() {
    let told = Told { rename: &[("/a", "b"), ("/o/x", "y\"")], ..Told::default() };
    check(
        told,
        &[
            (r#"{"a" : [1], "c":{"a":2}}"#, r#"{"b" : [1], "c":{"a":2}}"#),
            (r#"{"o":{"x":1}}"#, r#"{"o":{"y\"":1}}"#),
            (r#"{"b":1}"#, r#"{"b":1}"#),
        ],
    );
    assert_eq!(edited(&told, r#"{"a":1,"b":2}"#), Err(Fault::Taken));
    assert_eq!(edited(&told, r#"{"b":1,"a":2}"#), Err(Fault::Taken));
    let told = Told { rename: &[("/a", "b"), ("/b", "a")], ..Told::default() };
    check(told, &[(r#"{"a":1,"b":2}"#, r#"{"b":1,"a":2}"#)]);
    let told = Told { remove: &["/b"], rename: &[("/a", "b")], ..Told::default() };
    check(told, &[(r#"{"b":1,"a":2}"#, r#"{"b":2}"#), (r#"{"a":2,"b":1}"#, r#"{"b":2}"#)]);
}

#[test]
fn values_are_set_whether_they_are_there_or_not() {
    let told = Told { set: &[("/a", "1"), ("/o/p/q", "[2]"), ("/items/*/x", "0"), ("/l/0", "9")], ..Told::default() };
    check(
        told,
        &[
            (r#"{ "a" : {"b":[{}]} }"#, r#"{ "a" : 1,"o":{"p":{"q":[2]}} }"#),
            ("{}", r#"{"a":1,"o":{"p":{"q":[2]}}}"#),
            (r#"{"o":{"p":{}},"a":2}"#, r#"{"o":{"p":{"q":[2]}},"a":1}"#),
            (r#"{"o":{"p":3},"a":2}"#, r#"{"o":{"p":3},"a":1}"#),
            (
                r#"{"a":0,"o":{"p":{"q":0}},"items":[{},{"x":1,"y":2},3]}"#,
                r#"{"a":1,"o":{"p":{"q":[2]}},"items":[{"x":0},{"x":0,"y":2},3]}"#,
            ),
            (r#"{"a":0,"o":{"p":{"q":0}},"l":[1,2]}"#, r#"{"a":1,"o":{"p":{"q":[2]}},"l":[9,2]}"#),
            (r#"{"a":0,"o":{"p":{"q":0}},"l":[]}"#, r#"{"a":1,"o":{"p":{"q":[2]}},"l":[]}"#),
            ("[1]", "[1]"),
        ],
    );
    check(Told { set: &[("", "{\"x\":1}")], ..Told::default() }, &[("[ 1, 2 ]", "{\"x\":1}"), ("3", "{\"x\":1}")]);
}

#[test]
fn values_are_added_where_there_are_none() {
    let told = Told { add: &[("/a", "1"), ("/o/b", "2")], ..Told::default() };
    check(
        told,
        &[
            (r#"{"a":null}"#, r#"{"a":null,"o":{"b":2}}"#),
            (r#"{"o":{}}"#, r#"{"o":{"b":2},"a":1}"#),
            (r#"{"o":{"b":0},"a":0 }"#, r#"{"o":{"b":0},"a":0 }"#),
        ],
    );
    let told = Told { remove: &["/a"], add: &[("/a", "1")], ..Told::default() };
    check(told, &[(r#"{"a":5,"b":2}"#, r#"{"b":2,"a":1}"#), (r#"{"a":5}"#, r#"{"a":1}"#)]);
}

#[test]
fn items_are_appended_and_arrays_made_for_them() {
    let told = Told { append: &[("/a", "1"), ("/a", "2"), ("/o/b", "3")], ..Told::default() };
    check(
        told,
        &[
            ("{}", r#"{"a":[1,2],"o":{"b":[3]}}"#),
            (r#"{"a":[],"o":{"b":[0 ]}}"#, r#"{"a":[1,2],"o":{"b":[0,3 ]}}"#),
            (r#"{"a":{"x":[0]},"o":{"b":"y"}}"#, r#"{"a":[{"x":[0]},1,2],"o":{"b":["y",3]}}"#),
            (r#"{"a":-5,"o":{"b":null}}"#, r#"{"a":[-5,1,2],"o":{"b":[null,3]}}"#),
        ],
    );
    check(Told { append: &[("", "1")], ..Told::default() }, &[("[]", "[1]"), ("7", "[7,1]"), ("[ 0 ]", "[ 0,1 ]")]);
}

#[test]
fn edits_come_in_kongs_order() {
    let told = Told {
        remove: &["/gone", "/new"],
        rename: &[("/old", "new")],
        set: &[("/new/x", "1")],
        add: &[("/gone", "2")],
        append: &[("/new/list", "3")],
    };
    check(
        told,
        &[
            (r#"{"gone":0,"old":{"x":0},"new":5}"#, r#"{"new":{"x":1,"list":[3]},"gone":2}"#),
            (r#"{"old":{"list":[1]}}"#, r#"{"new":{"list":[1,3],"x":1},"gone":2}"#),
        ],
    );
}

#[test]
fn names_that_stand_twice_hide_nothing_from_an_edit() {
    let told = Told { remove: &["/user/ssn"], set: &[("/role", "\"guest\"")], ..Told::default() };
    for body in [
        r#"{"user":{"ssn":1},"user":{"ssn":2}}"#,
        r#"{"role":"a","role":"b"}"#,
        r#"{"role":"a","\u0072ole":"b"}"#,
        r#"{"us\u0065r":{},"user":{"ssn":2}}"#,
    ] {
        assert_eq!(edited(&told, body), Err(Fault::Duplicate), "{body}");
    }
    check(told, &[(r#"{"user":{"ssn":1,"ssn":2},"z":1,"z":2}"#, r#"{"user":{},"z":1,"z":2,"role":"guest"}"#)]);
}

#[test]
fn what_is_no_json_is_refused() {
    let told = Told { remove: &["/a"], ..Told::default() };
    for (body, fault) in [
        (" ", Fault::Truncated),
        ("{", Fault::Truncated),
        ("\"a", Fault::Truncated),
        ("1.", Fault::Truncated),
        ("tru", Fault::Truncated),
        ("{\"a\":1", Fault::Truncated),
        ("{\"a\":1,}", Fault::Syntax),
        ("[1,]", Fault::Syntax),
        ("[,1]", Fault::Syntax),
        ("[1}", Fault::Syntax),
        ("{\"a\"]", Fault::Syntax),
        ("{a:1}", Fault::Syntax),
        ("{\"a\" 1}", Fault::Syntax),
        ("01", Fault::Syntax),
        ("+1", Fault::Syntax),
        ("-", Fault::Truncated),
        ("[1.e3]", Fault::Syntax),
        ("nul1", Fault::Syntax),
        ("nulll", Fault::Syntax),
        ("\"\\x\"", Fault::Syntax),
        ("\"\\u00g0\"", Fault::Syntax),
        ("\"\t\"", Fault::Syntax),
        ("{} {}", Fault::Syntax),
        ("// x\n1", Fault::Syntax),
        ("\u{feff}1", Fault::Syntax),
        ("NaN", Fault::Syntax),
        ("'a'", Fault::Syntax),
    ] {
        assert_eq!(edited(&told, body), Err(fault), "{body}");
    }
    let (spec, values) = told.compiled();
    for text in
        [&b"\"\xff\""[..], b"\"\xc0\x80\"", b"\"\xed\xa0\x80\"", b"\"\xf5\x80\x80\x80\"", b"\"\xe2\x82\"", b"\"\xc3"]
    {
        let ended = run(&spec, &values, text, &[1], 1);
        let cut = if text.ends_with(b"\"") { Fault::Utf8 } else { Fault::Truncated };
        assert_eq!(ended, Err(cut), "{text:?}");
    }
}

#[test]
fn depth_and_numbers_are_bounded() {
    let told = Told { remove: &["/a"], ..Told::default() };
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(edited(&told, &nested(DEPTH)).is_ok());
    assert_eq!(edited(&told, &nested(DEPTH + 1)), Err(Fault::Depth));
    let inside = |depth: usize| format!("{{\"a\":{}}}", nested(depth));
    assert_eq!(edited(&told, &inside(DEPTH - 1)).as_deref(), Ok("{}"));
    assert_eq!(edited(&told, &inside(DEPTH)), Err(Fault::Depth), "also in what is removed");
    assert!(edited(&told, &"9".repeat(1024)).is_ok());
    assert_eq!(edited(&told, &"9".repeat(1025)), Err(Fault::Number));
}

#[test]
fn blanks_without_end_take_no_room() {
    let (spec, values) = Told { remove: &["/a"], ..Told::default() }.compiled();
    let mut editor = Editor::new(Arc::new(Edits::new(&spec).unwrap()), values);
    let mut out = Vec::new();
    editor.push(b"{\"b\":1", usize::MAX, &mut out).unwrap();
    for _ in 0..1000 {
        editor.push(&[b' '; 1000], usize::MAX, &mut out).unwrap();
    }
    editor.push(b",\"c\":2}", usize::MAX, &mut out).unwrap();
    editor.finish(&mut out).unwrap();
    assert!(out.len() < 400, "{}", out.len());
}

#[test]
fn what_grows_is_given_bit_by_bit() {
    let value = format!("\"{}\"", "x".repeat(1000));
    let (spec, values) = Told { set: &[("/*", &value)], ..Told::default() }.compiled();
    let mut editor = Editor::new(Arc::new(Edits::new(&spec).unwrap()), values);
    let body = format!("[{}]", vec!["0"; 1000].join(","));
    let (mut rest, mut total) = (body.as_bytes(), 0);
    while !rest.is_empty() {
        let mut out = Vec::new();
        let count = editor.push(rest, 4096, &mut out).unwrap();
        assert!(out.len() < 4096 + 1100, "{}", out.len());
        total += out.len();
        rest = &rest[count..];
    }
    assert!(total > 1_000_000);
}

#[test]
fn a_body_without_a_byte_stays_one() {
    assert_eq!(edited(&Told { set: &[("/a", "1")], ..Told::default() }, "").as_deref(), Ok(""));
}
