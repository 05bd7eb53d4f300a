//! What a right configuration may look like, and what the model has of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, load};
use ringway::config::Loaded;

#[test]
fn the_smallest_configuration_works_with_documented_defaults() {
    let Loaded { config, warnings, .. } = load(REST);
    assert!(warnings.is_empty(), "{warnings}");
    let web = &config.listeners["web"];
    assert_eq!(web.upgrades, ["websocket"]);
    assert_eq!(web.timeouts.idle.to_string(), "1m");
    let site = &config.pools["site"];
    assert_eq!((site.targets[0].weight, site.keepalive.max_idle), (1, 256));
    assert_eq!((config.runtime.workers, config.limits.request_body), (None, None));
    assert!(config.admin.is_none() && config.access_log.is_none());
}

#[test]
fn quoted_numbers_and_the_environment_set_any_scalar() {
    let toml = "[runtime]\nworkers = '3'\n[limits]\nheaders = '64'\nrequest_body = 10\n\
        [listeners.web]\nlisten = ['127.0.0.1:${PORT}']\npool = '${POOL:-site}'\n\
        [pools.site]\ntargets = [{ address = '${ADDRESS}', weight = '${WEIGHT:-7}', backup = '${NONE:-true}' }]\n";
    let config = load(toml).config;
    assert_eq!((config.runtime.workers, config.limits.headers), (Some(3), 64));
    assert_eq!(config.limits.request_body.map(|size| size.0), Some(10));
    assert_eq!(config.listeners["web"].listen[0].to_string(), "127.0.0.1:8080");
    let target = &config.pools["site"].targets[0];
    assert_eq!((target.weight, target.backup), (7, true));
}

#[test]
fn defaults_fill_what_a_thing_does_not_say_and_nothing_that_it_cannot_have() {
    let toml = "[defaults.listener]\nforwarded = 'both'\ntimeouts = { idle = '7s', request_head = '3s' }\n\
        [defaults.route]\npool = 'a'\nretry.attempts = 5\n\
        [defaults.pool]\nkey = 'path'\nhealth = { type = 'http', path = '/up', fall = 9 }\n\
        [listeners.web]\nlisten = [':1']\npool = 'a'\ntimeouts.idle = '8s'\n\
        [listeners.tcp]\nlisten = [':2']\nprotocol = 'tcp'\npool = 'b'\n\
        [routes.gone]\nrespond = { status = 410 }\n[routes.r]\npaths = ['/r']\nretry.on = ['connect']\n\
        [pools.a]\ntargets = ['10.0.0.1:1']\nhealth.path = '/a'\nhealth.type = 'http'\n\
        [pools.b]\ntargets = ['10.0.0.1:1']\nhealth = { type = 'tcp' }\n";
    let config = load(toml).config;
    let web = &config.listeners["web"];
    assert_eq!((web.timeouts.idle.to_string(), web.timeouts.request_head.to_string()), ("8s".into(), "3s".into()));
    assert_eq!(format!("{:?} {:?}", web.forwarded, config.listeners["tcp"].forwarded), "Both Xff");
    assert!(config.routes["gone"].pool.is_none());
    let route = &config.routes["r"];
    assert_eq!((route.pool.as_deref(), route.retry.attempts, route.retry.on.len()), (Some("a"), 5, 1));
    let health = |pool: &str| config.pools[pool].health.clone().unwrap();
    assert_eq!((health("a").fall, health("b").fall), (9, 3));
    assert_eq!(health("a").path, "/a");
}

#[test]
fn included_files_are_merged_and_their_paths_are_their_own() {
    let folder = Folder::with(&[
        (
            "ring.toml",
            "include = ['conf.d/*.toml', 'conf.d/a.toml']\n[listeners.web]\nlisten = ['unix:web.sock']\npool = 'a'\n",
        ),
        ("conf.d/a.toml", "include = ['more/b.toml']\n[pools.a]\ntargets = ['unix:a.sock']\n[runtime]\nworkers = 2\n"),
        ("conf.d/more/b.toml", "[access_log]\npath = 'b.log'\n[runtime]\ndriver = 'epoll'\n"),
    ]);
    let Loaded { config, sources, .. } = folder.load().unwrap_or_else(|report| panic!("{report}"));
    let path = |name: &str| folder.0.join(name).display().to_string();
    assert_eq!(config.listeners["web"].listen[0].to_string(), format!("unix:{}", path("web.sock")));
    assert_eq!(config.pools["a"].targets[0].address.to_string(), format!("unix:{}", path("conf.d/a.sock")));
    assert_eq!(config.access_log.unwrap().path.to_string(), path("conf.d/more/b.log"));
    assert_eq!(config.runtime.workers, Some(2));
    assert_eq!(sources.files().count(), 3);
}

#[test]
fn no_text_makes_reading_panic() {
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..1000 {
        let mut bytes = example.clone().into_bytes();
        for _ in 0..=random.usize(0..4) {
            let at = random.usize(0..bytes.len());
            match round % 3 {
                0 => bytes[at] = *random.choice(b"[]{}\"'=\n#,.0$").unwrap(),
                1 => drop(bytes.drain(at..(at + random.usize(0..200)).min(bytes.len()))),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        drop(Folder::with(&[("ring.toml", &text)]).faults());
    }
}

#[test]
fn colour_is_there_only_when_asked_for() {
    let report = Folder::with(&[("ring.toml", "x = 1")]).load().unwrap_err();
    assert!(!report.to_string().contains('\u{1b}'));
    assert!(report.render(true).contains('\u{1b}'));
}
