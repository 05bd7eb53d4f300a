//! Header fields, read back by a parser of structured fields.

use crate::gateway::limits::fields::{former, write_limit, write_policy};
use crate::gateway::limits::{Allowance, Decision};
use sfv::{BareItem, List, ListEntry, Parser};
use std::time::Duration;

fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap()
}

const DECISION: Decision = Decision { allowed: true, limit: 100, remaining: 50, more: 1, reset: 30 };

#[test]
fn policies_and_limits_are_lists_of_named_items() {
    let allowances = [
        Allowance::pace(10, Duration::from_secs(1), 20).unwrap(),
        Allowance::window(1000, Duration::from_secs(3600)).unwrap(),
        Allowance::pace(1000, Duration::from_secs(1), 5).unwrap(),
    ];
    let mut policy = Vec::new();
    write_policy(&mut policy, ["burst", "hour", "quick"].into_iter().zip(&allowances));
    assert_eq!(text(&policy), r#""burst";q=20;w=2, "hour";q=1000;w=3600, "quick";q=5;w=1"#);
    let mut limit = Vec::new();
    write_limit(&mut limit, [("burst", &DECISION), ("hour", &Decision { remaining: u64::MAX, more: 0, ..DECISION })]);
    assert_eq!(text(&limit), r#""burst";r=50;t=1, "hour";r=999999999999999;t=0"#);
    assert_eq!(
        former(&DECISION),
        [("X-RateLimit-Limit", 100), ("X-RateLimit-Remaining", 50), ("X-RateLimit-Reset", 30)]
    );
}

#[test]
fn a_name_is_a_string_whatever_is_in_it() {
    for (name, read) in [("a \"b\" \\c", "a \"b\" \\c"), ("a\r\nx: y", "a??x: y"), ("größe", "gr??e"), ("", "")] {
        let mut value = Vec::new();
        write_limit(&mut value, [(name, &DECISION)]);
        let list: List = Parser::new(&value).parse().unwrap();
        let [ListEntry::Item(item)] = &list[..] else { panic!("one item: {list:?}") };
        assert!(matches!(&item.bare_item, BareItem::String(string) if string.as_str() == read), "{item:?}");
        assert_eq!(item.params.len(), 2);
    }
}
