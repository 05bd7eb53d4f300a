//! The proxies that the runner knows: how each is started, and how its users would write a route and a target.

use crate::runner::scenario::DISK;
use std::path::Path;

/// A proxy as it is known before it was looked for.
#[derive(Debug)]
pub struct Known {
    /// Its name in tables.
    pub name: &'static str,
    /// The variable of the environment that names another build.
    pub variable: &'static str,
    /// Its binary, if the variable is not set.
    pub program: &'static str,
    /// Whether it runs without being named.
    pub usual: bool,
    /// Whether it can have a TCP listener.
    pub tcp: bool,
    /// What makes its HTTP listener one for TLS, with `{{dir}}/site.pem`; empty if that is not set up.
    pub tls: &'static str,
    /// What makes its pool one of targets that speak HTTP/2; empty if it is to speak HTTP/1.1 all the same.
    pub h2_pool: &'static str,
    /// Its configuration's template in bench/peers/.
    pub file: &'static str,
    /// Its environment, as NAME=VALUE.
    pub environment: &'static [&'static str],
    /// Its arguments.
    pub arguments: &'static [&'static str],
    /// What is its own in the template.
    pub values: &'static [(&'static str, &'static str)],
    /// One route to the pool, by the prefix `{{path}}`.
    pub route: &'static str,
    /// One target of the pool, at `{{address}}`, which is `{{host}}` and `{{port}}`.
    pub target: &'static str,
    /// What stands between two targets.
    pub between: &'static str,
    /// What chooses among several targets in turn, where that is not what it does by default.
    pub balance: &'static str,
    /// What it may do beyond forwarding.
    pub extras: &'static [Extra],
}

/// Something that a proxy may do beyond forwarding: the name that a scenario has for it, and what its template is filled with
/// then. Each placeholder stands in [`Extra`] "", too, which is what the proxy does without.
pub type Extra = (&'static str, &'static [(&'static str, &'static str)]);

/// Ringway without what a scenario asks for beyond forwarding: what that costs.
pub const BARE: &str = "ringway-bare";
/// HAProxy with kernel splicing of answers, which it does not do by default.
pub const SPLICING: &str = "haproxy-splice";
/// HAProxy with its routes in a map file in place of a rule for each.
pub const MAPPED: &str = "haproxy-map";
/// HAProxy with HTTP/2 to its targets, where the scenario has such targets.
pub const MULTIPLEXED: &str = "haproxy-h2";
/// Three hops, of which each does one thing that Ringway does in one.
pub const STACK: &str = "stack";
/// The extra of keys, a limit and an edit of a header.
pub const GATEWAY: &str = "gateway";
/// The least that a forwarder can cost; no proxy.
pub const FLOOR: &str = "floor";

/// Who has a UDP listener here.
pub const WITH_UDP: [&str; 2] = ["ringway", "nginx"];

/// From a file, whose bytes the kernel sends as they are in its own cache. The backend's answers are small against `max_size`.
const NGINX_CACHE: &[(&str, &str)] = &[(
    "extra",
    "access_log off; sendfile on; open_file_cache max=10000 inactive=10m; open_file_cache_valid 10m; \
     proxy_cache_path {{dir}}/cache levels=1:2 keys_zone=site:64m max_size=4g inactive=1h use_temp_path=off; \
     proxy_cache site;",
)];

/// The same with the head and a body of 16 KiB in one go, which costs it a seventh less; larger ones it holds up.
const NGINX_DISK: &[(&str, &str)] = &[(
    "extra",
    "access_log off; sendfile on; tcp_nopush on; open_file_cache max=10000 inactive=10m; open_file_cache_valid 10m; \
     proxy_cache_path {{dir}}/cache levels=1:2 keys_zone=site:64m max_size=4g inactive=1h use_temp_path=off; \
     proxy_cache site;",
)];

/// Where `cargo build --release` puts Ringway.
pub const RINGWAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/ringway");

/// All of them, Ringway first.
pub const KNOWN: &[Known] = &[
    RINGWAY_PEER,
    Known { name: BARE, extras: &[("many", &[("extra", "{{alone}}")])], ..RINGWAY_PEER },
    HAPROXY,
    Known {
        name: SPLICING,
        usual: false,
        values: &[("pipes", "maxpipes 64"), ("splice", "option splice-response"), ("map", "")],
        ..HAPROXY
    },
    Known {
        name: MAPPED,
        usual: true,
        values: &[("pipes", ""), ("splice", ""), ("map", "use_backend %[path,map_beg({{dir}}/routes.map)]")],
        route: "",
        ..HAPROXY
    },
    Known { name: MULTIPLEXED, h2_pool: "proto h2", ..HAPROXY },
    // Its last hop is HAProxy, whose targets they are.
    Known {
        name: STACK,
        variable: "STACK",
        program: "sh",
        tls: " ssl; ssl_certificate {{dir}}/site.pem; ssl_certificate_key {{dir}}/site.pem",
        file: "stack.sh",
        arguments: &["{{config}}"],
        tcp: false,
        extras: &[(GATEWAY, &[])],
        ..HAPROXY
    },
    Known {
        name: "nginx",
        variable: "NGINX",
        program: "nginx",
        usual: true,
        tcp: true,
        tls: " ssl http2; ssl_certificate {{dir}}/site.pem; ssl_certificate_key {{dir}}/site.pem",
        h2_pool: "",
        file: "nginx.conf",
        environment: &[],
        arguments: &["-c", "{{config}}"],
        values: &[],
        route: "        location {{path}} { proxy_pass http://site; }",
        target: "server {{address}};",
        between: "\n        ",
        balance: "",
        // Buffered, as its documentation has it.
        extras: &[
            ("", &[("extra", "access_log off;")]),
            ("log", &[("extra", "access_log {{dir}}/nginx-access.log combined buffer=64k flush=1s;")]),
            ("cache", NGINX_CACHE),
            // There it is always on the disk.
            (DISK, NGINX_DISK),
            (
                "gzip",
                &[(
                    "extra",
                    "access_log off; gzip on; gzip_comp_level 1; gzip_types application/json; gzip_proxied any;",
                )],
            ),
        ],
    },
    Known {
        name: "apache",
        variable: "APACHE",
        program: "apache2",
        usual: false,
        tcp: false,
        tls: "",
        h2_pool: "",
        file: "apache.conf",
        environment: &[],
        arguments: &["-f", "{{config}}", "-DFOREGROUND"],
        values: &[("worker", "enablereuse=on keepalive=on max={{threads}} ttl=60 connectiontimeout=2 timeout=60")],
        route: "ProxyPass {{path}} {{pool}}{{path}}",
        target: "BalancerMember http://{{address}} {{worker}}",
        between: "\n    ",
        balance: "",
        extras: &[],
    },
    Known {
        name: "envoy",
        variable: "ENVOY",
        program: concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/envoy"),
        usual: false,
        tcp: true,
        tls: "",
        h2_pool: "",
        file: "envoy.yaml",
        environment: &[],
        arguments: &["-c", "{{config}}", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"],
        values: &[],
        route: "              - { match: { prefix: {{path}} }, route: { cluster: site, timeout: 60s } }",
        target: "{ endpoint: { address: { socket_address: { address: {{host}}, port_value: {{port}} } } } }",
        between: ", ",
        balance: "",
        extras: &[],
    },
    Known {
        name: "caddy",
        variable: "CADDY",
        program: concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/caddy"),
        usual: false,
        tcp: false,
        tls: "",
        h2_pool: "",
        file: "Caddyfile",
        environment: &["GOMAXPROCS=1", "XDG_DATA_HOME={{dir}}", "XDG_CONFIG_HOME={{dir}}"],
        arguments: &["run", "--adapter", "caddyfile", "--config", "{{config}}"],
        values: &[],
        route: "    handle {{path}}* {\n        import site\n    }",
        target: "{{address}}",
        between: " ",
        balance: "lb_policy round_robin",
        extras: &[],
    },
    Known {
        name: FLOOR,
        variable: "FLOOR",
        program: concat!(env!("CARGO_MANIFEST_DIR"), "/floor/target/release/floor"),
        usual: true,
        tcp: true,
        tls: "",
        h2_pool: "",
        file: "",
        environment: &[],
        arguments: &[],
        values: &[],
        route: "",
        target: "",
        between: "",
        balance: "",
        extras: &[],
    },
];

const RINGWAY_PEER: Known = Known {
    name: "ringway",
    variable: "RINGWAY",
    program: RINGWAY,
    usual: true,
    tcp: true,
    tls: "tls = { certificates = [{ cert = \"{{dir}}/site.pem\" }] }",
    h2_pool: "protocol = \"h2\"",
    file: "ringway.toml",
    environment: &[],
    arguments: &["run", "-c", "{{config}}"],
    values: &[],
    route: "[routes.{{name}}]\npaths = [\"{{path}}\"]\npool = \"site\"\n",
    target: "\"{{address}}\"",
    between: ", ",
    balance: "balance = \"round-robin\"",
    extras: &[
        ("log", &[("extra", "[access_log]\npath = \"{{dir}}/ringway-access.log\"\nformat = \"json\"")]),
        ("cache", &[("extra", "[caches.site]\n[routes.all]\npool = \"site\"\ncache = \"site\"")]),
        // Its memory has no room for one in sixty of what is asked for.
        (
            DISK,
            &[(
                "extra",
                "[caches.site]\nmemory = \"1MiB\"\ndisk = { path = \"{{dir}}/ringway-cache\", size = \"4GiB\" }\n\
                 [routes.all]\npool = \"site\"\ncache = \"site\"",
            )],
        ),
        (
            "gzip",
            &[("extra", "[routes.all]\npool = \"site\"\ncompress = { codings = [\"gzip\"], level = { gzip = 1 } }")],
        ),
        (
            GATEWAY,
            &[(
                "extra",
                "[consumers.acme]\nkeys = [\"bench-key-of-acme\"]\n[rules.key]\ntype = \"api-key\"\n\
                 [rules.limit]\ntype = \"rate-limit\"\nkey = \"consumer\"\nrate = \"1000000/s\"\nheaders = \"none\"\n\
                 [rules.headers]\ntype = \"transform\"\nrequest.headers.set = { x-gateway = \"bench\" }\n\
                 [routes.all]\npaths = [\"/route-1/\"]\npool = \"site\"\nrules = [\"key\", \"limit\", \"headers\"]",
            )],
        ),
        (
            "token",
            &[(
                "extra",
                "[rules.token]\ntype = \"jwt\"\nkey_file = \"{{peers}}/issuer.pem\"\nalgorithms = [\"RS256\"]\n\
                 [routes.all]\npaths = [\"/route-1/\"]\npool = \"site\"\nrules = [\"token\"]",
            )],
        ),
        (
            "openapi",
            &[(
                "extra",
                "[apis.orders]\nopenapi = \"{{peers}}/orders.yaml\"\n[rules.valid]\ntype = \"openapi\"\napi = \"orders\"\n\
                 [routes.all]\npaths = [\"/128\"]\npool = \"site\"\nrules = [\"valid\"]",
            )],
        ),
        ("many", &[("extra", "{{many}}")]),
        // The backend takes the spans: what a collector does with them is its own affair.
        ("trace", &[("extra", "[tracing]\notlp = \"http://127.0.0.1:{{target}}/128?size=0\"\nsample = \"1%\"")]),
    ],
};

const HAPROXY: Known = Known {
    name: "haproxy",
    variable: "HAPROXY",
    program: "haproxy",
    usual: true,
    tcp: true,
    tls: "ssl crt {{dir}}/site.pem alpn h2,http/1.1",
    h2_pool: "",
    file: "haproxy.cfg",
    environment: &[],
    arguments: &["-db", "-f", "{{config}}"],
    values: &[("pipes", ""), ("splice", ""), ("map", "")],
    route: "    use_backend site if { path_beg {{path}} }",
    target: "server {{name}} {{address}}",
    between: "\n    ",
    balance: "",
    // To its standard output, as its users do it in containers; here that is a file.
    extras: &[
        ("", &[("log_to", "no log"), ("log", ""), ("cache", "")]),
        (
            "log",
            &[
                ("log_to", "log stdout format raw local0 info"),
                ("log", "log global\n    option httplog"),
                ("cache", ""),
            ],
        ),
        (
            "cache",
            &[
                ("log_to", "no log"),
                ("log", "http-request cache-use site\n    http-response cache-store site"),
                ("cache", "cache site\n    total-max-size 256\n    max-object-size 1000000\n    max-age 3600"),
            ],
        ),
    ],
};

/// Where the modules of Apache's build `program` are: Debian's own place, or beside the binary's folder.
pub fn apache_modules(program: &str) -> String {
    let beside = Path::new(program).parent().and_then(Path::parent).map(|home| home.join("modules"));
    match beside.filter(|path| path.is_dir()) {
        Some(path) => path.to_string_lossy().into_owned(),
        None => "/usr/lib/apache2/modules".to_owned(),
    }
}
