//! `ringway top` in a terminal, which tmux is.

use crate::admin::start;
use crate::support::load::Load;
use crate::support::proxy::{binary, ringway};
use crate::support::toml::{http_with, pool};
use crate::support::{Target, eventually};
use std::process::Command;
use std::time::Duration;

/// A terminal with a program in it.
struct Terminal {
    name: String,
}

impl Terminal {
    /// 110 columns and 24 lines.
    fn with(name: &str, program: &str) -> Terminal {
        let terminal = Terminal { name: format!("ringway-{name}-{}", std::process::id()) };
        terminal.tmux(&["new-session", "-d", "-x", "110", "-y", "24", program]);
        terminal
    }

    #[track_caller]
    fn tmux(&self, arguments: &[&str]) -> String {
        let out = Command::new("tmux").args(["-f", "/dev/null", "-L", &self.name]).args(arguments).output().unwrap();
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// What is on the screen, with single blanks.
    fn shown(&self) -> String {
        let text = self.tmux(&["capture-pane", "-p"]);
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
    }

    #[track_caller]
    fn waits_for(&self, parts: &[&str]) {
        eventually(&format!("it shows {parts:?}: {}", self.shown()), || {
            let shown = self.shown();
            parts.iter().all(|part| shown.contains(part))
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.name, "kill-server"]).output();
    }
}

#[test]
fn top_shows_traffic_and_drains_the_target_that_is_chosen() {
    let (one, other) = (Target::echo("one"), Target::echo("other"));
    let gone = "127.0.0.1:1";
    let config = http_with("", &[&one, &other], "balance = \"round-robin\"")
        + &pool("dead", &[&gone], "health = { type = \"tcp\", interval = \"200ms\", fall = 1, rise = 1 }")
        + "[routes.hello]\npaths = [\"/hello\"]\nrespond = { status = 200, body = \"hi\" }\n";
    let desk = start(&config);
    let load = Load::start(&desk.proxy.web(), 2, Duration::from_millis(5));
    load.more(50);
    let file = desk.proxy.config_file();
    let program = format!("{} top -c {} -i 0.2; sleep 60", binary(), file.display());
    let terminal = Terminal::with("top", &program);
    terminal.waits_for(&["ready plan 1", "req/s", "targets 2 of 3", "POOL▲ TARGET STATE"]);
    terminal.waits_for(&[&format!("dead {gone} down"), &format!("site {} up", one.address)]);
    // The first row by the address of the one target.
    terminal.press(&["/", &one.address.to_string()]);
    terminal.press(&["Enter", "d"]);
    terminal.waits_for(&[&format!("Drain {} of pool site", one.address)]);
    terminal.press(&["n"]);
    terminal.waits_for(&["? keys"]);
    let before = one.requests();
    eventually("it is used", || one.requests() > before);
    terminal.press(&["d", "y"]);
    terminal.waits_for(&[&format!("targets[{}].state", one.address), &format!("site {} drain 0 of 1", one.address)]);
    load.more(20);
    let before = one.requests();
    load.more(50);
    assert_eq!(one.requests(), before, "nothing new goes to it");
    terminal.press(&["Escape"]);
    terminal.waits_for(&[&format!("dead {gone} down")]);
    terminal.press(&["3"]);
    terminal.waits_for(&["ROUTE▲ REQ/S", "hello", "respond"]);
    terminal.press(&["?"]);
    terminal.waits_for(&["keys", "leave"]);
    terminal.press(&["x", "q"]);
    eventually("the screen is left", || !terminal.shown().contains("req/s"));
    load.stop().assert_clean();
}

#[test]
fn keys_are_heeded_while_ringway_does_not_answer_and_what_is_old_is_said_to_be() {
    let target = Target::echo("a");
    let desk = start(&http_with("", &[&target], ""));
    let program = format!("{} top -c {} -i 0.2; sleep 60", binary(), desk.proxy.config_file().display());
    let terminal = Terminal::with("silent", &program);
    terminal.waits_for(&["ready plan 1", "targets 1 of 1"]);
    desk.proxy.signal(libc::SIGSTOP);
    terminal.press(&["d", "y"]);
    terminal.waits_for(&["NO ANSWER", "has not answered for"]);
    terminal.press(&["2"]);
    terminal.waits_for(&["BALANCE"]);
    desk.proxy.signal(libc::SIGCONT);
    terminal.waits_for(&["ready plan 1", "0 -"]);
    terminal.press(&["1"]);
    terminal.waits_for(&["drain"]);
    desk.proxy.signal(libc::SIGSTOP);
    terminal.press(&["C-c"]);
    eventually("the screen is left", || !terminal.shown().contains("POOL"));
    desk.proxy.signal(libc::SIGCONT);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let target = Target::echo("a");
    let desk = start(&http_with("", &[&target], ""));
    let file = desk.proxy.config_file();
    let pid = file.with_file_name("pid");
    let run = format!("echo $$ > {}; exec {} top -c {}", pid.display(), binary(), file.display());
    let terminal = Terminal::with("signal", &format!("sh -c '{run}'; stty -a; sleep 60"));
    terminal.waits_for(&["ready plan 1"]);
    let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    // SAFETY: it runs in the terminal, and ends with this alone.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    terminal.waits_for(&[" icanon", " echo "]);
    assert!(!terminal.shown().contains("POOL"), "{}", terminal.shown());
}

#[test]
fn without_a_terminal_or_a_ringway_top_says_so() {
    let target = Target::echo("a");
    let desk = start(&http_with("", &[&target], ""));
    let file = desk.proxy.config_file().display().to_string();
    let (code, _, said) = ringway(&["top", "-c", &file]);
    assert!(code == Some(1) && said.contains("needs a terminal"), "{said}");
    let terminal = Terminal::with("nobody", &format!("{} top --admin unix:/nowhere.sock; sleep 60", binary()));
    terminal.waits_for(&["nobody listens on /nowhere.sock"]);
}

#[test]
fn it_ends_with_its_terminal() {
    let target = Target::echo("a");
    let desk = start(&http_with("", &[&target], ""));
    let program = format!("exec {} top -c {} -i 0.2", binary(), desk.proxy.config_file().display());
    let terminal = Terminal::with("gone", &program);
    terminal.waits_for(&["ready plan 1", "targets 1 of 1"]);
    let pid = terminal.tmux(&["list-panes", "-F", "#{pane_pid}"]).trim().to_owned();
    let name = format!("/proc/{pid}/comm");
    assert!(std::fs::read_to_string(&name).unwrap().starts_with("ringway"));
    drop(terminal);
    eventually("it has ended", || !std::path::Path::new(&name).exists());
}
