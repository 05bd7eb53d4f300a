//! Who comes in by where they come from.

use crate::reload::reload;
use crate::support::client::Client;
use crate::support::proxy::{Directory, Proxy};
use crate::support::toml::http_with;
use crate::support::{Target, eventually};

fn config(target: &Target, rule: &str) -> String {
    http_with("trusted_proxies = [\"127.0.7.0/24\"]", &[target], "")
        + "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"from\", \"key\"]\n[rules.key]\ntype = \"api-key\"\n"
        + &format!("[rules.from]\ntype = \"ip\"\n{rule}\n[access_log]\n")
}

fn from(proxy: &Proxy, ip: &str, fields: &[&str]) -> u16 {
    Client::from(ip, &proxy.web()).ask("GET", "/v1/x", fields).status
}

#[test]
fn who_is_kept_out_is_so_before_anybody_asks_who_it_is() {
    let target = Target::echo("a");
    let proxy = Proxy::start(config(&target, "allow = [\"127.0.8.0/24\", \"192.0.2.0/24\"]\ndeny = [\"127.0.8.9\"]"));
    assert_eq!(from(&proxy, "127.0.8.1", &[]), 401, "it is let in, and has no key");
    assert_eq!([from(&proxy, "127.0.8.9", &[]), from(&proxy, "127.0.9.1", &[])], [403, 403]);
    eventually("three lines", || proxy.out.all().len() == 3);
    let reason = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["reason"].to_string();
    let mut reasons: Vec<String> = proxy.out.all().iter().map(reason).collect();
    reasons.sort();
    assert_eq!(reasons, ["\"address-denied\"", "\"address-not-allowed\"", "\"no-key\""]);
    let named = |client: &str| from(&proxy, "127.0.7.1", &[&format!("X-Forwarded-For: {client}")]);
    assert_eq!([named("192.0.2.1"), named("198.51.100.1")], [401, 403]);
    assert_eq!(from(&proxy, "127.0.9.1", &["X-Forwarded-For: 192.0.2.1"]), 403, "nobody else says who asks");
    assert_eq!(target.requests(), 0);
}

#[test]
fn a_hundred_thousand_addresses_of_a_file_are_read_again_while_it_runs() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let list = |last: &str| {
        let all: Vec<String> =
            (0..100_000u32).map(|n| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)).collect();
        format!("# those\n\n{}\n{last}\n", all.join("\n"))
    };
    let file = folder.write("deny", &list("127.0.8.0/24"));
    let proxy = Proxy::start(config(&target, &format!("deny_files = [\"{file}\"]")));
    assert_eq!([from(&proxy, "127.0.8.1", &[]), from(&proxy, "127.0.9.1", &[])], [403, 401]);
    std::fs::write(&file, list("127.0.9.0/24")).unwrap();
    reload(&proxy, "applied");
    assert_eq!([from(&proxy, "127.0.8.1", &[]), from(&proxy, "127.0.9.1", &[])], [401, 403]);
    std::fs::write(&file, list("127.0.9.300")).unwrap();
    reload(&proxy, "failed");
    proxy.log.wait(&["line 100003", "it is no IP address"]);
    assert_eq!(from(&proxy, "127.0.9.1", &[]), 403, "what is wrong changes nothing");
}

#[test]
fn a_list_that_has_nobody_in_it_lets_nobody_in() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let file = folder.write("allow", "# nobody yet\n");
    let proxy = Proxy::start(config(&target, &format!("allow_files = [\"{file}\"]")));
    assert_eq!(from(&proxy, "127.0.8.1", &[]), 403);
    let told = super::faults(&config(&target, "deny = [\"127.0.8.1\"]"), "deny = [\"127.0.8.1\"]", "");
    assert!(told.contains("rule `from` keeps nobody out"), "{told}");
}
