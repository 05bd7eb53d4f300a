//! One limit for several hosts: as much is let in as of one, wherever requests come, and never more, whatever becomes of Redis.

use super::{is_away, is_up, redis, store};
use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup, ringway};
use crate::support::servers::Server;
use crate::support::toml::http;
use crate::support::{Target, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// Requests in a second that each key may make.
const RATE: f64 = 60.0;
const BURST: f64 = 60.0;
const KEYS: usize = 3;

fn host(target: &Target, server: &Server, keys: &str) -> Proxy {
    let rules = format!(
        "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = [\"often\"]\n\n[rules.often]\ntype = \"rate-limit\"\n\
         key = \"header:x-key\"\nscope = \"cluster\"\n{keys}\n"
    );
    Setup::new(http(&[target]) + &rules + &store(server, "")).start()
}

fn paced(target: &Target, server: &Server) -> Proxy {
    host(target, server, &format!("rate = \"{RATE}/s\"\nburst = {BURST}"))
}

/// Waits until a host knows what others have.
#[track_caller]
fn shares(proxy: &Proxy) {
    is_up(proxy);
    eventually("it has an even part", || proxy.metric("ringway_rule_share", &[("rule", "often")]) == 0.5);
}

/// One after another asks for each key, at two hosts, as often as is said.
struct Load {
    stop: Arc<AtomicBool>,
    /// Of each key, which of the hosts is asked nine times out of ten.
    hot: Arc<[AtomicU64; KEYS]>,
    admitted: Arc<[AtomicU64; KEYS]>,
    threads: Vec<JoinHandle<u64>>,
}

impl Load {
    /// Of each key `often` times the limit.
    fn start(hosts: [&Proxy; 2], often: f64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let hot: Arc<[AtomicU64; KEYS]> = Arc::default();
        let admitted: Arc<[AtomicU64; KEYS]> = Arc::default();
        let one = |at: usize, key: usize| {
            let (stop, hot, admitted, address) = (stop.clone(), hot.clone(), admitted.clone(), hosts[at].web());
            spawn(move || {
                let mut client = Client::to(&address);
                let (mut due, mut asked) = (Instant::now(), 0);
                while !stop.load(Ordering::Relaxed) {
                    let part = if hot[key].load(Ordering::Relaxed) == at as u64 { 0.9 } else { 0.1 };
                    due += Duration::from_secs_f64(1.0 / (RATE * often * part));
                    sleep(due.saturating_duration_since(Instant::now()));
                    let answer = client.ask("GET", "/v1/x", &[&format!("X-Key: {key}")]);
                    assert!([200, 429].contains(&answer.status), "{answer:?}");
                    admitted[key].fetch_add(u64::from(answer.status == 200), Ordering::Relaxed);
                    asked += 1;
                }
                asked
            })
        };
        let threads = (0..KEYS).flat_map(|key| [one(0, key), one(1, key)]).collect();
        Self { stop, hot, admitted, threads }
    }

    /// Most requests come to the other host from now on.
    fn turn(&self) {
        self.hot.iter().for_each(|hot| {
            hot.fetch_xor(1, Ordering::Relaxed);
        });
    }

    fn admitted(&self) -> Vec<f64> {
        self.admitted.iter().map(|count| count.load(Ordering::Relaxed) as f64).collect()
    }

    /// So long, with a turn every two seconds. Returns how much of the limit was let in of each key.
    fn run(&self, seconds: u64) -> Vec<f64> {
        let (before, begun) = (self.admitted(), Instant::now());
        for second in 0..seconds {
            if second % 2 == 1 {
                self.turn();
            }
            sleep(Duration::from_secs(1));
        }
        let all = RATE * begun.elapsed().as_secs_f64();
        self.admitted().iter().zip(before).map(|(now, before)| (now - before) / all).collect()
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().expect("each request is answered, by 200 or 429")).sum()
    }
}

#[test]
fn of_a_load_that_is_skewed_and_turns_one_limit_is_let_in() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (paced(&target, &server), paced(&target, &server));
    shares(&one);
    shares(&two);
    let load = Load::start([&one, &two], 2.0);
    // What has been saved is used first.
    sleep(Duration::from_secs(2));
    let parts = load.run(8);
    assert!(parts.iter().all(|part| (0.95..=1.05).contains(part)), "{parts:?}");
    assert_eq!(one.metric("ringway_rule_divided_keys", &[("rule", "often")]), KEYS as f64);
    assert!(load.stop() > 0);
    one.log.wait(&["limits are shared: parts go to where requests come"]);
    let file = one.config_file().display().to_string();
    let (_, told, _) = ringway(&["explain", "-c", &file, &format!("http://{}/v1/x", one.web())]);
    assert!(told.contains("rule `often` counts for all hosts of [store.redis]"), "{told}");
}

#[test]
fn never_more_than_one_limit_is_let_in_while_redis_is_slow_dead_and_empty_and_all_of_it_once_it_is_back() {
    let (mut server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (paced(&target, &server), paced(&target, &server));
    shares(&one);
    shares(&two);
    let load = Load::start([&one, &two], 2.0);
    let begun = Instant::now();
    load.run(2);
    server.freeze();
    load.run(3);
    server.thaw();
    load.run(2);
    redis::<String>(&server, &["CLIENT", "PAUSE", "1500", "ALL"]);
    load.run(3);
    server.kill();
    is_away(&one);
    load.run(3);
    server.revive();
    is_up(&one);
    is_up(&two);
    load.run(1);
    redis::<String>(&server, &["FLUSHALL"]);
    load.run(2);
    let all = RATE * begun.elapsed().as_secs_f64();
    let admitted = load.admitted();
    assert!(admitted.iter().all(|admitted| *admitted <= all * 1.05 + BURST), "{admitted:?} of {all}");
    let parts = load.run(6);
    assert!(parts.iter().all(|part| (0.95..=1.05).contains(part)), "it is divided again: {parts:?}");
    load.stop();
}

#[test]
fn a_host_that_stops_gives_its_part_to_the_others() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, mut two) = (paced(&target, &server), paced(&target, &server));
    shares(&one);
    shares(&two);
    two.signal(libc::SIGTERM);
    two.exit();
    let load = Load::start([&one, &one], 2.0);
    let begun = Instant::now();
    eventually("it has what the other had", || load.run(1).iter().all(|part| *part > 0.95));
    assert!(begun.elapsed() < Duration::from_secs(8), "nobody waits for whoever has taken leave");
    load.stop();
}

#[test]
fn a_host_too_many_lets_in_nothing_by_limits_that_are_shared_and_says_so() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let (one, two) = (paced(&target, &server), paced(&target, &server));
    shares(&one);
    shares(&two);
    let three = paced(&target, &server);
    is_up(&three);
    eventually("it has nothing", || three.metric("ringway_rule_share", &[("rule", "often")]) == 0.0);
    assert_eq!(three.client().ask("GET", "/v1/x", &["X-Key: a"]).status, 429);
    three.log.wait(&["as many hosts share limits as store.redis.hosts says"]);
    assert_eq!(one.client().ask("GET", "/v1/x", &["X-Key: a"]).status, 200);
}

#[test]
fn by_an_upgrade_a_host_keeps_its_part() {
    let (server, target) = (Server::redis(&[]), Target::echo("a"));
    let keys = "rate = \"1000/h\"\nburst = 1000";
    let (mut one, two) = (host(&target, &server, keys), host(&target, &server, keys));
    shares(&one);
    shares(&two);
    one.upgrade();
    shares(&one);
    let ask = |proxy: &Proxy| proxy.client().ask("GET", "/v1/x", &["X-Key: a"]).status;
    assert_eq!((ask(&one), ask(&two)), (200, 200));
    assert!(!one.log.contains(&["as many hosts share limits"]), "{:#?}", one.log);
}

#[test]
fn a_host_that_starts_while_redis_is_away_lets_in_little_until_it_is_back() {
    let (mut server, target) = (Server::redis(&[]), Target::echo("a"));
    server.kill();
    let proxy = paced(&target, &server);
    is_away(&proxy);
    let part = || proxy.metric("ringway_rule_share", &[("rule", "often")]);
    assert!((0.005..0.02).contains(&part()), "others may have all the rest: {}", part());
    let mut client = proxy.client();
    let mut ask = || client.ask("GET", "/v1/x", &["X-Key: a"]).status;
    assert_eq!((ask(), ask()), (200, 429));
    server.revive();
    shares(&proxy);
}
