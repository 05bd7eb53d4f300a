//! What a user is told about routes that come to their end, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};
use ringway::config::model::AfterSunset;

#[test]
fn what_makes_no_sense_of_an_end_is_told() {
    for (deprecated, expected) in [
        (
            "{}",
            "3:1 `routes.r.deprecated` has no `since`; `since`: from when on nobody should use it any more, \"2026-11-01\": `Deprecation` (RFC 9745) says so on each answer",
        ),
        (
            "{ since = 'soon' }",
            "3:24 'soon' is not a moment: there is no such moment; write \"2027-01-31\", or \"2027-01-31T12:00:00Z\" with its time",
        ),
        (
            "{ since = '2027-01-01T12:00:00' }",
            "3:24 '2027-01-01T12:00:00' is not a moment: it does not say of which time zone; write \"2027-01-01T12:00:00Z\" for UTC",
        ),
        (
            "{ since = '2027-01-01', sunset = '2026-12-31' }",
            "3:47 it ends before it is deprecated; write a `sunset` that is not before `since`",
        ),
        (
            "{ since = '2027-01-01', after_sunset = 404 }",
            "3:53 there is no sunset that something could follow; add sunset = \"2027-05-01\", or remove `after_sunset`",
        ),
        (
            "{ since = '2027-01-01', sunset = '2028-01-01', after_sunset = 302 }",
            "3:76 302 is not what follows a sunset: no answer from 400 to 599 has it; write a status from 400 to 599, or \"serve\"",
        ),
        (
            "{ since = '2027-01-01', link = 'ftp://x.example' }",
            "3:45 'ftp://x.example' is not a URL or a path: it begins with neither `http://` nor `https://`; write \"https://docs.example.com/v1\" or \"/docs/v1\"",
        ),
        (
            "{ since = '2027-01-01', policy = '/a>b' }",
            "3:47 '/a>b' is not a URL or a path: `>` cannot be in it; write \"https://docs.example.com/v1\" or \"/docs/v1\"",
        ),
        (
            "{ since = '2027-01-01', successor = '//x.example/' }",
            "3:50 '//x.example/' is not a URL or a path: it begins with two slashes; write \"https://docs.example.com/v1\" or \"/docs/v1\"",
        ),
        (
            "{ since = '2027-01-01', brownouts = [{ from = '2027-01-02', for = '2h', every = '1h' }] }",
            "3:94 it begins again before it is over; let `every` be longer than `for`",
        ),
        (
            "{ since = '2027-01-01', brownouts = [{ from = '2027-01-02', for = '2h', share = '0%' }] }",
            "3:94 a brown-out of 0% refuses nothing; write \"10%\", or remove it",
        ),
        (
            "{ since = '2027-01-01', sunset = '2028-01-01', brownouts = [{ from = '2028-01-01', for = '2h' }] }",
            "3:83 it begins when all is over: at the sunset or later; write a time before `sunset`",
        ),
        (
            "{ since = '2027-01-01', operations = 'marked' }",
            "3:51 this route is not made of the operations of an API; remove `operations`, or name an API by `from_openapi`",
        ),
    ] {
        let text = format!("[routes.r]\npool = 'site'\ndeprecated = {deprecated}\n{REST}");
        let told = brief(&Folder::with(&[("ring.toml", &text)]).faults());
        assert_eq!(told, [expected], "\n{deprecated}");
    }
}

#[test]
fn what_makes_sense_is_taken() {
    let good = "{ since = '2027-01-01', sunset = '2028-01-01T12:00:00+01:00', after_sunset = 'serve', link = '/docs#v1', \
                brownouts = [{ from = '2028-03-01', for = '10m', every = '1d', share = '10%', status = 410 }] }";
    let loaded = load(&format!("[routes.r]\npool = 'site'\ndeprecated = {good}\n{REST}"));
    let of = loaded.config.routes["r"].deprecated.as_ref().unwrap();
    assert_eq!(
        (of.sunset.unwrap().to_string().as_str(), of.after_sunset),
        ("2028-01-01T11:00:00Z", AfterSunset::Serve)
    );
    assert_eq!(of.brownouts[0].length.to_string(), "10m");
}
