//! What becomes of keywords and options that nothing in a configuration of Ringway stands for: because it is so anyway, or because there is
//! no such thing.
//!
//! May depend on the ledger.

use super::proxy::Proxy;
use super::{Line, Section};
use crate::import::report::{Ledger, LineId, Verdict};

/// A verdict with its words.
type Known = (Verdict, &'static str);

const SO_ANYWAY: Known = (Verdict::Carried, "");

/// A keyword of a section that nothing else looks at.
pub(super) fn keyword(ledger: &mut Ledger, line: &Line) {
    let known = match line.word(0) {
        "id" | "guid" | "description" | "enabled" | "http-send-name-header-none" => SO_ANYWAY,
        "grace" | "nbproc" | "bind-process" | "maxconnrate" | "dispatch" | "transparent" => {
            (Verdict::Unsupported, "there is no such thing: workers, limits and targets are said elsewhere")
        }
        "rate-limit" => (Verdict::Unsupported, "use `limits.rate` of the listener, which counts by client"),
        "filter" => (
            Verdict::Unsupported,
            "filters are not run; of compression and cache, `compress` and `cache` of routes take the place, of SPOE rules of type forward-auth or opa",
        ),
        "log-tag" | "log-format-sd" | "log-steps" | "error-log-format" => (
            Verdict::Unsupported,
            "the form of records is said by `access_log.format`, the program's name by `access_log.syslog.app_name`",
        ),
        "declare" => (Verdict::Unsupported, "name what the log is to show in `access_log.headers`"),
        "email-alert" => (Verdict::Unsupported, "no mail is sent: alert on `ringway_target_up` or the log"),
        "errorloc" | "errorloc302" | "errorloc303" => {
            (Verdict::Unsupported, "errors are not redirected: give a page in `error_pages`")
        }
        "errorfiles" => (Verdict::Unsupported, "give the pages in `error_pages`, without heads of HTTP"),
        "force-persist" | "ignore-persist" => (
            Verdict::Unsupported,
            "a client with a sticky cookie keeps its target while that drains; there are no exceptions by condition",
        ),
        "http-send-name-header" => (Verdict::Unsupported, "set a header to `{target}` in `request.headers`"),
        "load-server-state-from-file" => (Verdict::Carried, ""),
        "persist" => (Verdict::Unsupported, "cookies of RDP are not read: use `sticky = { source = true }`"),
        "max-keep-alive-queue" => (Verdict::Unsupported, "a connection that is kept is used where one is idle"),
        "max-session-srv-conns" => (Verdict::Unsupported, "`keepalive.max_idle` bounds the connections that are kept"),
        "srvtcpka-cnt" | "srvtcpka-idle" | "srvtcpka-intvl" | "clitcpka-cnt" | "clitcpka-idle" | "clitcpka-intvl" => {
            (Verdict::Differs, "say it in `tcp.keepalive`: count, idle, interval")
        }
        "use-fcgi-app" => (Verdict::Unsupported, "FastCGI is not spoken: put a web server in between"),
        "http-tunnel" => (Verdict::Unsupported, "requests of a connection are never taken for one"),
        "spread-checks" => (Verdict::Carried, ""),
        "quic-initial" => (Verdict::Unsupported, "QUIC does not end here"),
        "reqallow" | "reqiallow" | "reqpass" | "reqipass" | "reqsetbe" | "reqisetbe" | "reqtarpit" | "reqitarpit"
        | "rspdeny" | "rspideny" | "rsprep" | "rspirep" => (
            Verdict::Unsupported,
            "it was taken out of HAProxy long ago: write it as `http-request` or `http-response`, and import again",
        ),
        _ => return ledger.unsupported(line.id, format!("the keyword `{}` is not known", line.word(0))),
    };
    give(ledger, line.id, known);
}

/// Options that no other part looks at.
pub(super) fn options(ledger: &mut Ledger, proxy: &Proxy) {
    for line in proxy.options() {
        let known = match line.word(1) {
            "httplog"
            | "tcplog"
            | "dontlognull"
            | "http-keep-alive"
            | "redispatch"
            | "abortonclose"
            | "log-health-checks"
            | "splice-auto"
            | "splice-request"
            | "splice-response"
            | "http-use-htx"
            | "idle-close-on-response"
            | "tcp-smart-accept"
            | "tcp-smart-connect"
            | "nolinger"
            | "socket-stats"
            | "contstats"
            | "checkcache"
            | "http-no-delay"
            | "http-buffer-request"
            | "independent-streams"
            | "http-tunnel"
            | "clitcpka"
            | "srvtcpka"
            | "tcpka"
            | "http-ignore-probes" => match line.word(1) {
                "http-buffer-request" => {
                    (Verdict::Differs, "requests stream: `buffer.request` of a route takes them whole first")
                }
                "checkcache" => {
                    (Verdict::Differs, "a cache stores no answer that sets cookies unless the target says that it may")
                }
                "http-tunnel" => (Verdict::Unsupported, "requests of a connection are never taken for one"),
                _ => SO_ANYWAY,
            },
            "httpclose" | "forceclose" | "http-server-close" | "http-pretend-keepalive" => (
                Verdict::Differs,
                "connections are kept on both sides, which is safe here; to have none kept with targets, set `keepalive.max_idle = 0` of the pool",
            ),
            "dontlog-normal" => (
                Verdict::Differs,
                "all is logged: `access_log.sample = \"0%\"` with `keep = [\"errors\", \"slow\"]` leaves the normal out",
            ),
            "logasap" => (Verdict::Unsupported, "a record is written when all is over"),
            "log-separate-errors" => {
                (Verdict::Unsupported, "a record has its status: whoever reads the log tells errors apart")
            }
            "prefer-last-server" => (Verdict::Unsupported, "a client stays with a target by `sticky` of the pool"),
            "persist" => (
                Verdict::Differs,
                "a client of a target that is down goes to another one; `sticky.strict` gives it 503 instead",
            ),
            word if word.starts_with("accept-") && word.ends_with("-http-request") => (
                Verdict::Unsupported,
                "what a target could read in two ways is refused; `allow_in_path` names forms of paths that are let in",
            ),
            word if word.starts_with("accept-") && word.ends_with("-http-response") => {
                (Verdict::Unsupported, "an answer that cannot be read in one way is a 502")
            }
            "h1-case-adjust-bogus-client" | "h1-case-adjust-bogus-server" => {
                (Verdict::Unsupported, "names of headers go on as they came")
            }
            "http-restrict-req-hdr-names" => (Verdict::Carried, ""),
            "http-proxy" | "http_proxy" => (Verdict::Unsupported, "Ringway is no forward proxy"),
            "originalto" => (Verdict::Unsupported, "the address that was dialled goes on by `send_proxy` of the pool"),
            "disable-h2-upgrade" => (Verdict::Differs, "HTTP/2 is spoken where clients do"),
            "tcp-ut" => SO_ANYWAY,
            "transparent" => {
                (Verdict::Unsupported, "use `transparent` of the listener and `source = \"client\"` of the pool")
            }
            "spop-check" | "ldap-check" | "mysql-check" | "pgsql-check" | "redis-check" | "smtpchk"
            | "ssl-hello-chk" | "tcp-check" | "httpchk" | "external-check" | "allbackups" | "forwardfor"
            | "forwarded" => continue,
            other => {
                ledger.unsupported(line.id, format!("the option `{other}` is not known"));
                continue;
            }
        };
        give(ledger, line.id, known);
    }
}

/// `no option …`
pub(super) fn switched_off(ledger: &mut Ledger, line: &Line) {
    match line.word(2) {
        "redispatch" => ledger.differs(
            line.id,
            "what fails to connect is tried on other targets; `retry = { attempts = 0 }` of routes forbids it",
        ),
        "log-health-checks" => ledger.differs(line.id, "changes of health are always logged"),
        "abortonclose" => ledger.differs(line.id, "a client that leaves frees its target"),
        _ => ledger.carried(line.id),
    }
}

/// Sections that nothing here stands for.
pub(super) fn section(ledger: &mut Ledger, kind: &str, section: &Section) {
    let why = match kind {
        "peers" => "hosts do not tell each other what their tables hold; an upgrade hands it to the next process",
        "program" => "Ringway starts no other programs: use a unit of systemd",
        "userlist" => "make a file of users with `htpasswd -nB NAME`, and name it in a rule of type basic",
        "mailers" => "no mail is sent: alert on metrics or the log",
        "ring" | "log-forward" | "log-profile" => "logs of others are not passed on; a udp listener balances syslog",
        "http-errors" => "give the pages in `error_pages`",
        "fcgi-app" => "FastCGI is not spoken: put a web server in between",
        "crt-store" => "name the certificates in `tls.certificates` of the listener",
        "acme" => "use `tls.acme` of the listener",
        "healthcheck" => "write the check into `health` of the pool",
        _ => "there is no such section",
    };
    ledger.unsupported(section.head.id, why);
    for line in &section.lines {
        ledger.unsupported(line.id, format!("it belongs to `{kind}`"));
    }
}

/// `.if` and what goes with it.
pub(super) fn preprocessor(ledger: &mut Ledger, id: LineId, word: &str, branches: &mut Vec<bool>) {
    match word {
        ".if" => {
            branches.push(true);
            ledger.differs(id, "its first branch is taken, whatever it asks");
        }
        ".elif" | ".else" => {
            if let Some(last) = branches.last_mut() {
                *last = false;
            }
            ledger.differs(id, "the first branch was taken");
        }
        ".endif" => {
            branches.pop();
            ledger.carried(id);
        }
        ".notice" | ".diag" | ".warning" | ".alert" => ledger.differs(id, "nothing is told at the start"),
        _ => ledger.unsupported(id, "it is not known"),
    }
}

fn give(ledger: &mut Ledger, id: LineId, (verdict, words): Known) {
    match verdict {
        Verdict::Carried => ledger.carried(id),
        Verdict::Differs => ledger.differs(id, words),
        Verdict::Unsupported => ledger.unsupported(id, words),
    }
}
