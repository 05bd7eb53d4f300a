//! What a user is told of splits and of names that are nearly right, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

#[track_caller]
fn tell(cases: &[(&str, &[&str])]) {
    for (toml, expected) in cases {
        let told = brief(&Folder::with(&[("ring.toml", &format!("{toml}{REST}"))]).faults());
        assert_eq!(told, *expected, "\n{toml}");
    }
}

#[test]
fn what_a_split_stays_with_is_told_in_its_own_words() {
    let split = "[routes.a]\npaths = ['/a/']\nsplit = [{ pool = 'site' }]\nsplit_by = ";
    let told = |key: &str| brief(&Folder::with(&[("ring.toml", &format!("{split}{key}\n{REST}"))]).faults());
    assert_eq!(
        told("'cookies:user'"),
        [
            "4:12 'cookies:user' is not what requests stay with a pool by: there is no such key; did you mean \"cookie:user\"?"
        ]
    );
    assert_eq!(load(&format!("{split}'{{route}} {{client.ip}}'\n{REST}")).warnings.to_string(), "");
    assert_eq!(
        told("'route'"),
        ["4:12 'route' is not what requests stay with a pool by: all requests of a route have that in common; \
             write \"client-ip\", \"consumer\", \"header:NAME\", \"cookie:NAME\", \"query:NAME\", \"claim:NAME\", or a template"]
    );
}

#[test]
fn a_rollback_whose_share_is_none_is_not_said_to_judge_nothing() {
    tell(&[(
        "[routes.a]\npaths = ['/a/']\nsplit = [{ pool = 'site' }, { pool = 'b', rollback = { errors = 5, window = '5s' } }]\n\
         [pools.b]\ntargets = ['127.0.0.1:2']\n",
        &["3:65 `errors` must be a share, not a number; a share is a percentage: \"20%\""],
    )]);
}

#[test]
fn a_name_with_a_blank_is_told_as_it_is_likely_meant() {
    tell(&[(
        "[rules.once]\ntype = 'idempotency'\nheader = 'Idempotency Key'\n",
        &["3:10 'Idempotency Key' is not a header's name: a blank cannot be in it; write \"Idempotency-Key\""],
    )]);
}
