//! What a user is told who has compression wrong, and how it is switched on and off.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};
use ringway::config::model::{CodingName, Compress, Compression, Levels};

fn with(value: &str) -> String {
    format!("[routes.other]\npaths = ['/x']\npool = 'site'\ncompress = {value}\n{REST}")
}

#[track_caller]
fn told(value: &str) -> Vec<String> {
    brief(&Folder::with(&[("ring.toml", &with(value))]).faults())
}

#[track_caller]
fn read(text: &str) -> Compression {
    load(text).config.routes["other"].compress.clone()
}

#[test]
fn a_switch_stands_for_a_table() {
    assert_eq!(read(&with("false")), Compression::Off);
    assert_eq!(read(&with("true")), Compression::On(Box::default()));
    assert_eq!(read(&with("{}")), Compression::On(Box::default()));
    let table = Compress {
        codings: vec![CodingName::Br],
        level: Levels { br: 6, ..Levels::default() },
        types: vec!["text/*".into(), "+json".into()],
        ..Compress::default()
    };
    let written = "{ codings = ['br'], level = { br = 6 }, types = ['text/*', '+JSON'] }";
    assert_eq!(read(&with(written)), Compression::On(Box::new(table)));
}

#[test]
fn what_is_switched_on_is_as_the_defaults_have_it() {
    let defaults = "\n[defaults.route.compress]\nmin_size = '5KiB'\ncodings = ['gzip']\n";
    let Compression::On(compress) = read(&(with("true") + defaults)) else { panic!("it is on") };
    assert_eq!((compress.min_size.0, compress.codings), (5 << 10, vec![CodingName::Gzip]));
    let Compression::On(compress) = read(&(with("{ min_size = 0 }") + defaults)) else { panic!("it is on") };
    assert_eq!((compress.min_size.0, compress.codings), (0, vec![CodingName::Gzip]));
    assert_eq!(read(&(with("false") + defaults)), Compression::Off);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (value, faults) in [
        ("'gzip'", &["5:12 `compress` must be true or false or a table, not a string"][..]),
        (
            "{ codings = [] }",
            &[
                "5:24 there is no coding to compress with; write codings = [\"zstd\", \"br\", \"gzip\"], or compress = false",
            ],
        ),
        ("{ codings = ['gzip', 'gzip'] }", &["5:33 `gzip` is named twice"]),
        ("{ codings = ['gzipp'] }", &["5:25 'gzipp' is no value of `codings`; did you mean \"gzip\"?"]),
        ("{ level = { gzip = 10 } }", &["5:31 10 is out of range for `gzip`; it may be 1 to 9"]),
        (
            "{ types = ['text'] }",
            &[
                "5:23 'text' is not a media type or several: it has no type and subtype; write \"text/html\", \"text/*\", \"+json\" for all that end so, or \"*\"",
            ],
        ),
        (
            "{ types = ['text/html; charset=utf-8'] }",
            &["5:23 'text/html; charset=utf-8' is not a media type or several: it has parameters; write \"text/html\""],
        ),
        ("{ levels = {} }", &["5:14 unknown key `levels` in `routes.other.compress`; did you mean `level`?"]),
    ] {
        let told = told(value);
        let same = told.len() == faults.len()
            && told.iter().zip(faults).all(|(told, fault)| without_line(told) == without_line(fault));
        assert!(same, "{value}:\n{}", told.join("\n"));
    }
}

/// What is told at which column: the line is the same for all.
fn without_line(fault: &str) -> &str {
    fault.split_once(':').map_or(fault, |(_, rest)| rest)
}
