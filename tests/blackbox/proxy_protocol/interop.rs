//! HAProxy and nginx on either side: the addresses that one end has are those that the other is told.

use crate::support::client::{fetch, request};
use crate::support::proxy::{Directory, Setup};
use crate::support::target::own_address;
use crate::support::tls::{self, Authority, Dial, Kind};
use crate::support::toml::{http_with, pool, tcp_with};
use crate::support::{Client, PATIENCE, Proxy, Target, within};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// HAProxy or nginx, run with a configuration of its own. Dropping it kills it.
struct Other {
    child: Child,
    directory: Directory,
}

/// The addresses that one of them listens on.
fn places(count: u16) -> Vec<SocketAddr> {
    let ip = own_address();
    (0..count).map(|n| SocketAddr::new(ip.into(), 8000 + n)).collect()
}

impl Other {
    #[track_caller]
    fn haproxy(config: &str, places: &[SocketAddr]) -> Other {
        let directory = Directory::new();
        let limits = "global\n  maxconn 100\ndefaults\n  mode http\n  timeout client 30s\n  timeout server 30s\n  timeout connect 5s\n";
        std::fs::write(directory.path().join("other.cfg"), format!("{limits}{config}\n")).unwrap();
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f"]).arg(directory.path().join("other.cfg"));
        Other::started(command, directory, places)
    }

    #[track_caller]
    fn nginx(config: &str, files: &[(&str, &str)], places: &[SocketAddr]) -> Other {
        let directory = Directory::new();
        let folder = directory.path().display();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let stream = "/usr/lib/nginx/modules/ngx_stream_module.so";
        let load = if Path::new(stream).exists() { format!("load_module {stream};\n") } else { String::new() };
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("  {name}_temp_path {folder}/{name};\n"))
            .concat();
        let config = config
            .replace("http {", &format!("http {{\n  access_log off;\n{paths}"))
            .replace("FOLDER", &folder.to_string());
        let whole = format!("{load}daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{ }}\n{config}\n");
        std::fs::write(directory.path().join("other.cfg"), whole).unwrap();
        let mut command = Command::new("nginx");
        command
            .arg("-e")
            .arg(directory.path().join("errors"))
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "other.cfg"]);
        Other::started(command, directory, places)
    }

    #[track_caller]
    fn started(mut command: Command, directory: Directory, places: &[SocketAddr]) -> Other {
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        let mut other = Other { child: command.spawn().unwrap(), directory };
        let up = within(PATIENCE, || {
            other.child.try_wait().unwrap().is_some() || places.iter().all(|place| TcpStream::connect(place).is_ok())
        });
        let log = std::fs::read_to_string(other.directory.path().join("log")).unwrap_or_default();
        assert!(up && other.child.try_wait().unwrap().is_none(), "{command:?} does not start:\n{log}");
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const TAKING: &str = "proxy_protocol = { from = [\"127.0.0.0/8\"], require = true }";
const JSON: &str = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";

fn own(client: &Client) -> SocketAddr {
    client.socket.local_addr().unwrap().as_socket().unwrap()
}

/// A certificate for site.test and its key in one text, and who trusts it.
fn certificate() -> (Authority, String) {
    let authority = Authority::new("Test");
    let made = authority.server(&["site.test"], Kind::Ecdsa);
    (authority, made.cert + &made.key)
}

#[test]
fn what_haproxy_sends_is_understood() {
    let target = Target::echo("a");
    let (authority, pem) = certificate();
    let setup = Setup::new(
        http_with(TAKING, &[&target], "")
            + JSON
            + &format!(
                "[listeners.secure]\nlisten = [\"127.0.0.1:0\"]\n{TAKING}\npool = \"site\"\ntls = {{ certificates = [{{ cert = \"site.pem\" }}] }}\n"
            ),
    );
    std::fs::write(setup.directory().join("site.pem"), &pem).unwrap();
    std::fs::write(setup.directory().join("ca.pem"), authority.pem()).unwrap();
    let files = setup.directory().to_owned();
    let proxy = setup.start();
    let places = places(4);
    let (web, secure, files) = (proxy.web(), proxy.at("secure"), files.display());
    let server = |n: usize, line: &str| format!("listen l{n}\n  mode tcp\n  bind {}\n  server s {line}\n", places[n]);
    let config = server(0, &format!("{web} send-proxy"))
        + &server(1, &format!("{web} send-proxy-v2 proxy-v2-options crc32c,authority,unique-id"))
        + &server(2, &format!("{web} check inter 100ms send-proxy-v2-ssl-cn"))
        + &format!(
            "listen l3\n  bind {}\n  server s {secure} send-proxy-v2 ssl verify required ca-file {files}/ca.pem sni str(site.test)\n",
            places[3]
        );
    let _haproxy = Other::haproxy(&config, &places);
    for (n, place) in places.iter().enumerate() {
        let mut client = Client::from("127.0.0.77", &place.to_string());
        assert_eq!(client.get(&format!("/{n}")).status, 200, "{n}");
        let seen = target.requests_for(&format!("/{n}")).pop().unwrap();
        // HAProxy adds none here, so what there is Ringway knows from the header.
        assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.77"), "{n}");
        assert_eq!(seen.field("x-forwarded-port"), Some(place.port().to_string()), "{n}");
        let record = proxy.out.wait(&[&format!("\"/{n}\"")]);
        assert!(record.contains(&format!("\"client_port\":{}", own(&client).port())), "{record}");
    }
    // Its checks speak for themselves.
    assert_eq!(proxy.metric("ringway_refused_total", &[]), 0.0);
}

#[test]
fn what_nginx_sends_is_understood() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with(TAKING, &[&target], "") + JSON);
    let places = places(1);
    let config =
        format!("stream {{ server {{ listen {}; proxy_pass {}; proxy_protocol on; }} }}", places[0], proxy.web());
    let _nginx = Other::nginx(&config, &[], &places);
    let mut client = Client::from("127.0.0.77", &places[0].to_string());
    assert_eq!(client.get("/there").status, 200);
    assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("127.0.0.77"));
    assert_eq!(target.last().field("x-forwarded-port"), Some(places[0].port().to_string()));
    let record = proxy.out.wait(&["/there"]);
    assert!(record.contains(&format!("\"client_port\":{}", own(&client).port())), "{record}");
}

/// The pools and listeners of a Ringway that tells all of `behind`, named as they are: `http-v1`, `tcp-v2` and the like.
fn telling(behind: &[(&str, String)]) -> String {
    let mut config = String::new();
    for (name, address) in behind {
        for version in ["v1", "v2", "v2-crc32c"] {
            let lines = format!("send_proxy = \"{version}\"");
            config += &pool(&format!("{name}-{version}"), &[address], &lines);
            for protocol in ["http", "tcp"] {
                config += &format!(
                    "[listeners.{name}-{protocol}-{version}]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"{protocol}\"\npool = \"{name}-{version}\"\n"
                );
            }
        }
    }
    config
}

/// Asks through every listener, and compares what comes back with the addresses that the client has.
#[track_caller]
fn assert_told(proxy: &Proxy, names: &[&str]) {
    for name in names {
        for protocol in ["http", "tcp"] {
            for version in ["v1", "v2", "v2-crc32c"] {
                let at = proxy.at(&format!("{name}-{protocol}-{version}"));
                let mut client = Client::from("127.0.0.77", &at);
                let response = client.get("/");
                let (ip, port) = at.rsplit_once(':').unwrap();
                let expected = format!("127.0.0.77 {} {ip} {port}", own(&client).port());
                assert_eq!(response.text().trim(), expected, "{name} {protocol} {version}");
            }
        }
    }
}

#[test]
fn haproxy_understands_what_is_sent() {
    let places = places(2);
    let back = |n: usize, more: &str| {
        format!(
            "frontend f{n}\n  bind {} accept-proxy {more}\n  http-request return status 200 content-type text/plain lf-string \"%[src] %[src_port] %[dst] %[dst_port]\"\n",
            places[n]
        )
    };
    let (authority, pem) = certificate();
    let folder = Directory::new();
    let file = folder.path().join("site.pem");
    std::fs::write(&file, &pem).unwrap();
    let ask = "  http-request return status 200 content-type text/plain lf-string \"%[fc_pp_authority]\" if { path /authority }\n";
    let config = back(0, "").replace("  http-request", &format!("{ask}  http-request"))
        + &back(1, &format!("ssl crt {} alpn h2,http/1.1", file.display()));
    let _haproxy = Other::haproxy(&config, &places);
    let secure =
        format!("[defaults.pool.timeouts]\nconnect = \"10s\"\n{}", telling(&[("clear", places[0].to_string())]));
    let tls = "tls = { ca = \"ca.pem\", sni = \"site.test\" }";
    let more = telling(&[("secure", places[1].to_string())])
        .replace("send_proxy", &format!("{tls}\nsend_proxy"))
        .replacen("v2-crc32c\"\n", "v2-crc32c\"\nprotocol = \"alpn\"\n", 1);
    let site = http_with("", &[&places[0]], "send_proxy = \"v2\"") + &tls::listener(&["site"], "");
    let setup = Setup::new(secure + &more + &site);
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    std::fs::write(setup.directory().join("ca.pem"), authority.pem()).unwrap();
    let proxy = setup.start();
    assert_told(&proxy, &["clear"]);
    for version in ["v1", "v2", "v2-crc32c"] {
        let at = proxy.at(&format!("secure-http-{version}"));
        let mut client = Client::from("127.0.0.77", &at);
        let (ip, port) = at.rsplit_once(':').unwrap();
        let expected = format!("127.0.0.77 {} {ip} {port}", own(&client).port());
        assert_eq!(client.get("/").text().trim(), expected, "{version}");
    }
    let mut client = Dial::trusting(authority.pem().as_bytes()).to(&proxy.web(), "site.test");
    assert_eq!(client.get("/authority").text(), "site.test");
}

#[test]
fn nginx_understands_what_is_sent() {
    let places = places(2);
    let (authority, pem) = certificate();
    let answer = "return 200 \"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port\";";
    let config = format!(
        "http {{\n  server {{ listen {} proxy_protocol; location / {{ {answer} }} }}\n  server {{ listen {} ssl proxy_protocol; \
         ssl_certificate FOLDER/site.pem; ssl_certificate_key FOLDER/site.pem; location / {{ {answer} }} }}\n}}",
        places[0], places[1]
    );
    let _nginx = Other::nginx(&config, &[("site.pem", &pem)], &places);
    let secure = telling(&[("secure", places[1].to_string())])
        .replace("send_proxy", "tls = { ca = \"ca.pem\", sni = \"site.test\" }\nsend_proxy");
    let setup = Setup::new(telling(&[("clear", places[0].to_string())]) + &secure);
    std::fs::write(setup.directory().join("ca.pem"), authority.pem()).unwrap();
    let proxy = setup.start();
    assert_told(&proxy, &["clear", "secure"]);
}

#[test]
fn addresses_go_through_all_three() {
    let target = Target::echo("a");
    let places = places(2);
    // A client → Ringway → HAProxy → nginx → Ringway → the target.
    let last = Proxy::start(http_with(TAKING, &[&target], ""));
    let nginx = format!(
        "stream {{ server {{ listen {} proxy_protocol; set_real_ip_from 127.0.0.0/8; proxy_pass {}; proxy_protocol on; }} }}",
        places[1],
        last.web()
    );
    let _nginx = Other::nginx(&nginx, &[], &places[1..]);
    let haproxy =
        format!("listen l\n  mode tcp\n  bind {} accept-proxy\n  server s {} send-proxy\n", places[0], places[1]);
    let _haproxy = Other::haproxy(&haproxy, &places[..1]);
    let first = Proxy::start(tcp_with("", &[places[0]], "send_proxy = \"v2\""));
    let response = fetch(&first.web(), "GET", "/", &[]);
    assert_eq!(response.status, 200);
    let mut client = Client::from("127.0.0.77", &first.web());
    client.send(request("GET", "/", &[]));
    assert_eq!(client.response().status, 200);
    assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("127.0.0.77"));
}
