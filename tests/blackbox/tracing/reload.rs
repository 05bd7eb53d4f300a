//! A reload changes what is sampled and where spans go, and loses none.

use crate::reload::{reload, rewrite};
use crate::support::collector::Collector;
use crate::support::toml::http;
use crate::support::{Proxy, Target};

#[test]
fn a_reload_begins_moves_and_ends_tracing() {
    let (target, first, second) = (Target::echo("a"), Collector::start(), Collector::start());
    let proxy = Proxy::start(http(&[&target]));
    let base = std::fs::read_to_string(proxy.config_file()).unwrap();
    let change = |lines: &str| {
        rewrite(&proxy, |_| base.clone() + lines);
        reload(&proxy, "applied");
    };
    let mut client = proxy.client();
    client.get("/before");
    assert!(target.last().field("traceparent").is_none());

    change(&first.config("headers = { x-key = \"s3cret\" }"));
    client.get("/first");
    first.exchange("/first");
    change(&second.config("headers = { x-key = \"s3cret-too\" }"));
    client.get("/second");
    second.exchange("/second");
    assert_eq!(second.target.last().field("x-key").as_deref(), Some("s3cret-too"));
    assert!(!proxy.log.contains(&["s3cret"]), "{:#?}", proxy.log);

    change(&second.config("headers = { x-key = \"s3cret-too\" }\nsample = \"0%\""));
    client.get("/unsampled");
    assert!(target.last().field("traceparent").unwrap().ends_with("-02"));

    change("");
    client.get("/after");
    assert!(target.last().field("traceparent").is_none());
    assert!(second.servers("/unsampled").is_empty() && first.servers("/second").is_empty());
}
