//! What a user is told about a wrong listener for datagrams, and what is taken over from defaults.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};

const DNS: &str = "[listeners.dns]\nlisten = [':1']\nprotocol = 'udp'\npool = 'site'\n";

#[track_caller]
fn told(toml: &str, expected: &[&str]) {
    let told = brief(&Folder::with(&[("ring.toml", &format!("{toml}{REST}"))]).faults());
    assert_eq!(told, *expected, "\n{toml}");
}

#[test]
fn what_means_nothing_for_datagrams_is_a_fault() {
    told(
        &format!("{DNS}forwarded = 'xff'\ntls = {{ strict_sni = true }}\ntimeouts = {{ idle = '5s' }}"),
        &[
            r#"5:13 `forwarded` means nothing on a udp listener; remove it, or set protocol = "http""#,
            "6:1 `tls` means nothing on a udp listener; remove it: QUIC and DTLS pass through to the targets as they are; TLS is for http and tcp",
            r#"7:1 `timeouts` mean nothing on a udp listener; remove them: how long a session lasts is said by udp = { idle = "2m" }"#,
        ],
    );
    told(
        "[listeners.dns]\nlisten = ['unix:/run/dns.sock']\nprotocol = 'udp'",
        &[
            r#"1:12 udp listener `dns` has no pool; add pool = "…""#,
            r#"2:11 a udp listener cannot listen on `unix:/run/dns.sock`; write an IP address and a port, as in "0.0.0.0:53""#,
        ],
    );
    told(
        &format!("{DNS}udp = {{ responses = 0, idle = '5s', requests = 3 }}"),
        &[
            "5:31 `idle` means nothing where `responses` is 0; remove one of them",
            "5:48 `requests` means nothing where `responses` is 0; remove one of them",
        ],
    );
    told(
        "[listeners.a]\nlisten = [':1']\npool = 'site'\nudp = { idle = '5s' }",
        &[r#"4:1 `udp` means nothing on an http listener; remove it, or set protocol = "udp""#],
    );
    told(
        "[listeners.a]\nlisten = [':1']\nprotocol = 'tcp'\npool = 'site'\nudp = { idle = '5s' }",
        &[r#"5:1 `udp` means nothing on a tcp listener; remove it, or set protocol = "udp""#],
    );
    told(&format!("{DNS}udp = {{ idle = '1ms' }}"), &["5:16 '1ms' is out of range for `idle`; it may be 100ms to 24h"]);
}

#[test]
fn a_pool_that_datagrams_cannot_go_to_is_a_fault() {
    told(
        "[listeners.dns]\nlisten = [':1']\nprotocol = 'udp'\npool = 'far'\n[pools.far]\ntargets = ['unix:/run/x.sock']\ntls = {}",
        &[
            "6:12 datagrams of UDP cannot be sent to `unix:/run/x.sock`; write an IP address and a port",
            "7:1 pool `far` has TLS, and datagrams go to it; give the udp listener a pool of its own, without `tls`",
        ],
    );
}

#[test]
fn what_a_pool_has_for_connections_alone_is_a_fault_where_only_datagrams_go() {
    let far =
        "[listeners.dns]\nlisten = [':1']\nprotocol = 'udp'\npool = 'far'\n[pools.far]\ntargets = ['127.0.0.1:1']\n";
    told(
        &format!("{far}source = 'client'\non_down = 'close'\nkeepalive = {{ max_idle = 3 }}\ntcp = {{ mss = 500 }}"),
        &[
            "7:10 datagrams cannot be sent from the client's own address; a socket serves one client after the other: name addresses of this host, or remove it",
            "8:11 `on_down` means nothing for datagrams, and nothing else goes to pool `far`; remove it",
            "9:1 `keepalive` means nothing for datagrams, and nothing else goes to pool `far`; remove it",
            "10:1 `tcp` means nothing for datagrams, and nothing else goes to pool `far`; remove it",
        ],
    );
    told(
        &format!("{far}outlier = {{ statuses = '500' }}\nqueue = {{ length = 1 }}\nsticky = {{ cookie = 'id' }}"),
        &[
            "7:24 `statuses` means nothing for datagrams, and nothing else goes to pool `far`; remove it",
            "8:1 `queue` means nothing for datagrams, and nothing else goes to pool `far`; remove it",
            "9:1 `sticky` means nothing for datagrams, and nothing else goes to pool `far`; remove it",
        ],
    );
    let good = "source = ['127.0.0.2']\ninterface = 'lo'\non_up = 'close-backups'\nslow_start = '5s'\npanic = '50%'\n";
    load(
        &format!("{far}{good}health = {{ type = 'tcp' }}\ntcp = {{ mss = 500 }}\n{REST}")
            .replace("['127.0.0.1:1']", "['127.0.0.1:1', { address = '127.0.0.1:2', backup = true }]"),
    );
    let both = "[listeners.tcp]\nlisten = [':1']\nprotocol = 'tcp'\npool = 'far'\n";
    load(&format!("{both}{far}on_down = 'close'\ntimeouts = {{ connect = '1s' }}\n{REST}"));
    load(&format!("[defaults.pool]\ntimeouts = {{ connect = '1s' }}\n{far}{REST}"));
}

#[test]
fn routes_are_not_on_udp_listeners() {
    told(
        &format!("[routes.a]\npool = 'site'\nlisteners = ['dns']\n{DNS}"),
        &["3:14 `dns` is a udp listener: routes need HTTP"],
    );
}

#[test]
fn a_port_may_be_bound_by_tcp_and_by_udp_and_by_each_once() {
    let both = "[listeners.a]\nlisten = [':1']\npool = 'site'\n";
    load(&format!("{both}{DNS}{REST}"));
    told(
        &format!("{DNS}[listeners.e]\nlisten = [':1']\nprotocol = 'udp'\npool = 'site'"),
        &["6:11 `0.0.0.0:1` is bound twice"],
    );
}

#[test]
fn what_holds_for_all_listeners_holds_for_udp_ones_where_it_can() {
    let defaults = "[defaults.listener]\nforwarded = 'none'\n[defaults.listener.timeouts]\nidle = '9s'\n[defaults.listener.udp]\nidle = '7s'\n";
    let loaded = load(&format!("{defaults}{DNS}{REST}"));
    assert_eq!(loaded.config.listeners["dns"].udp.idle.0.as_secs(), 7);
    assert_eq!(loaded.config.listeners["web"].timeouts.idle.0.as_secs(), 9);
}
