//! nginx that stands still, and those who ask others meanwhile.

use crate::support::client::{Client, request};
use crate::support::proxy::Directory;
use crate::support::target::own_address;
use crate::support::toml::http_with;
use crate::support::{PATIENCE, Proxy, eventually, rounds, within};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// An nginx of one process that answers with its name.
struct Nginx {
    address: SocketAddr,
    child: Child,
    _directory: Directory,
}

impl Nginx {
    #[track_caller]
    fn start(name: &str) -> Nginx {
        let (directory, address) = (Directory::new(), SocketAddr::new(own_address().into(), 8080));
        let folder = directory.path().display().to_string();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = paths.map(|path| format!("{path}_temp_path {folder}/{path};\n")).concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{ }}\nhttp {{\naccess_log off;\n{paths}\
             server {{ listen {address}; location / {{ add_header X-Target {name}; return 200 {name}; }} }}\n}}\n"
        );
        let file = directory.write("nginx.conf", &config);
        let mut command = Command::new("nginx");
        command.args(["-e", &format!("{folder}/errors"), "-p", &folder, "-c", &file]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Nginx { address, child, _directory: directory };
        assert!(within(PATIENCE, || TcpStream::connect(address).is_ok()), "nginx does not start");
        nginx
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the child is ours and not yet waited for, so that its pid is its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request: when it was begun, how long it took, its status, who has answered.
#[derive(Clone, Debug)]
struct Asked {
    at: Duration,
    took: Duration,
    status: u16,
    by: String,
}

/// Six clients that go on asking, one request after the other over a connection of each, until `over` says so.
fn ask(address: &str, since: Instant, over: &AtomicBool, all: &Mutex<Vec<Asked>>) {
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut client = Client::to(address);
                while !over.load(Ordering::Relaxed) {
                    let at = since.elapsed();
                    client.send(request("GET", "/", &[]));
                    let answer = client.response_to("GET").expect("everybody gets an answer");
                    let (took, by) = (since.elapsed() - at, answer.target());
                    if answer.head.names("connection", "close") {
                        client = Client::to(address);
                    }
                    all.lock().unwrap().push(Asked { at, took, status: answer.status, by });
                    thread::sleep(Duration::from_millis(2));
                }
            });
        }
    });
}

/// The time within which 99 of 100 had their answer.
fn p99(asked: &[Asked]) -> Duration {
    let mut times: Vec<Duration> = asked.iter().map(|asked| asked.took).collect();
    times.sort();
    times[times.len() * 99 / 100]
}

const LIMIT: Duration = Duration::from_secs(1);

/// With three servers, of which one stands still for a while: what was asked before, and from then on.
fn freezes(route: &str) -> (Vec<Asked>, Vec<Asked>) {
    let servers = ["frozen", "a", "b"].map(Nginx::start);
    let lines = "balance = \"round-robin\"\ntimeouts = { response_head = \"1s\" }\n\
         health = { type = \"http\", interval = \"100ms\", timeout = \"500ms\", fall = 3, rise = 1 }\n";
    let pool = http_with("", &servers.each_ref().map(|server| server.address), lines);
    let proxy = Proxy::start(pool + &format!("\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\n{route}\n"));
    let (over, since, all) = (AtomicBool::new(false), Instant::now(), Mutex::new(Vec::new()));
    let more = |count: usize| {
        let before = all.lock().unwrap().len();
        eventually("they go on", || all.lock().unwrap().len() >= before + count);
    };
    let frozen_at = thread::scope(|scope| {
        scope.spawn(|| ask(&proxy.web(), since, &over, &all));
        more(rounds(1000, 200));
        servers[0].signal(libc::SIGSTOP);
        let frozen_at = since.elapsed();
        eventually("its checks have failed", || proxy.metric("ringway_target_up", &[]) == 2.0);
        more(rounds(1000, 200));
        over.store(true, Ordering::Relaxed);
        frozen_at
    });
    let asked = all.into_inner().unwrap();
    servers[0].signal(libc::SIGCONT);
    eventually("it serves again", || proxy.get("/").target() == "frozen");
    // What was under way when it stopped is told apart by nobody, and counts as what came later.
    asked.into_iter().partition(|asked| asked.at + asked.took < frozen_at)
}

#[test]
fn a_frozen_server_costs_those_who_asked_it_their_timeout_and_others_nothing() {
    let (before, after) = freezes("");
    assert!(before.iter().all(|asked| asked.status == 200));
    let (lost, served): (Vec<Asked>, Vec<Asked>) = after.into_iter().partition(|asked| asked.by.is_empty());
    // Six clients, each a second at a time, until three checks of half a second have failed; a busy machine may take longer for them.
    assert!((1..=36).contains(&lost.len()), "{lost:#?}");
    for asked in &lost {
        assert_eq!(asked.status, 504);
        assert!(asked.took > LIMIT * 9 / 10 && asked.took < LIMIT * 4, "{asked:?}");
    }
    assert!(served.iter().all(|asked| asked.status == 200) && served.len() > 100, "{}", served.len());
    let (then, now) = (p99(&before), p99(&served));
    eprintln!("{} lost; of the others 99 of 100 had their answer within {then:?} before, {now:?} after", lost.len());
    assert!(now < then * 4 + LIMIT / 5, "{then:?} before, {now:?} after");
}

#[test]
fn with_retries_a_frozen_server_costs_nobody_an_answer() {
    let retry = "retry = { on = [\"connect\", \"reset\", \"timeout\"], per_try = \"300ms\" }";
    let (before, after) = freezes(retry);
    assert!(before.iter().chain(&after).all(|asked| asked.status == 200));
    let slow = after.iter().filter(|asked| asked.took > LIMIT / 4).count();
    eprintln!("{slow} of {} waited for another try", after.len());
    assert!(slow >= 1 && after.iter().all(|asked| asked.took < LIMIT * 4), "{slow}");
}
