//! Idioms of haproxy.cfg, nginx.conf and kong.yml: what comes out means the same, or the report says what is different.

use super::{Alone, spoilt};
use ringway::import::{Imported, Line, Source, Verdict, import};

/// What became of a text.
struct Made {
    imported: Imported,
    toml: toml::Table,
}

#[track_caller]
fn made(source: Source, text: &str) -> Made {
    let imported = import(source, "file", text, &Alone).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let place = std::env::temp_dir().join(format!("ringway-meaning-{:?}.toml", std::thread::current().id()));
    let faults = spoilt::faults(&imported.toml, &place);
    let _ = std::fs::remove_file(&place);
    assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), imported.toml);
    let toml = imported.toml.parse().unwrap_or_else(|e| panic!("{e}\n{}", imported.toml));
    Made { imported, toml }
}

/// The rules of a frontend on port 80, with backends `a` and `b`.
#[track_caller]
fn haproxy(rules: &str) -> Made {
    let text = "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n";
    let backends = "backend a\n server a 10.0.0.1:80\nbackend b\n server b 10.0.0.2:80\n";
    made(Source::Haproxy, &format!("{text}frontend f\n bind :80\n{rules}\n default_backend a\n{backends}"))
}

/// What stands in a server on port 80, beside two upstreams.
#[track_caller]
fn nginx(server: &str) -> Made {
    let upstreams = "upstream a { server 10.0.0.1:80; } upstream b { server 10.0.0.2:80; }";
    made(Source::Nginx, &format!("http {{ {upstreams}\nserver {{ listen 80; server_name www.test;\n{server}\n}} }}"))
}

/// What stands in a service, in lines that are indented by four.
#[track_caller]
fn kong(service: &str, more: &str) -> Made {
    made(
        Source::Kong,
        &format!("_format_version: \"3.0\"\nservices:\n  - name: s\n    url: http://10.0.0.1\n{service}\n{more}"),
    )
}

impl Made {
    /// The routes in the order in which they are asked.
    fn routes(&self) -> Vec<&toml::Value> {
        let mut all: Vec<&toml::Value> = self.toml["routes"].as_table().unwrap().values().collect();
        all.sort_by_key(|route| {
            std::cmp::Reverse(route.get("priority").and_then(toml::Value::as_integer).unwrap_or(0))
        });
        all
    }

    /// A key of the route at a place, as TOML writes it.
    #[track_caller]
    fn route(&self, place: usize, key: &str) -> String {
        let routes = self.routes();
        let route = routes.get(place).unwrap_or_else(|| panic!("no route {place}\n{}", self.imported.toml));
        key.split('.').try_fold(*route, |value, key| value.get(key)).map_or_else(String::new, |value| match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    #[track_caller]
    fn line(&self, text: &str) -> &Line {
        let lines = &self.imported.report.lines;
        lines.iter().find(|line| line.text.contains(text)).unwrap_or_else(|| panic!("no line has {text:?}"))
    }

    #[track_caller]
    fn says(&self, text: &str, verdict: Verdict, note: &str) {
        let line = self.line(text);
        let told = line.verdict == verdict && line.notes.iter().any(|told| told.contains(note));
        assert!(told, "{line:?} is {verdict:?} for {note:?}\n{}", self.imported.toml);
    }

    /// Where a route leads, or what it answers.
    #[track_caller]
    fn ends(&self) -> Vec<String> {
        let end = |route: &&toml::Value| match (route.get("pool"), route.get("respond"), route.get("redirect")) {
            (Some(pool), ..) => pool.as_str().unwrap().to_owned(),
            (_, Some(respond), _) => respond["status"].to_string(),
            _ => "redirect".to_owned(),
        };
        self.routes().iter().map(end).collect()
    }
}

#[test]
fn the_default_backend_is_the_last_wherever_it_stands_and_or_is_looser_than_and() {
    let made = haproxy(
        " default_backend a\n acl x path_beg /x\n acl y hdr(host) y.test\n acl z src 10.0.0.0/8\n use_backend b if x or y !z",
    );
    assert_eq!(made.ends(), ["b", "a"]);
    assert_eq!(
        made.route(0, "when"),
        r#"request.path.startsWith("/x") || request.host == "y.test" && !client.ip.in_cidr("10.0.0.0/8")"#
    );
}

#[test]
fn lists_of_files_keep_out_whom_they_kept_out() {
    let made = haproxy(" http-request deny if { src -f bad.lst }\n http-request deny if { src -f none.lst }");
    assert_eq!(
        (made.ends().as_slice(), made.route(0, "client_ip")),
        (["403".to_owned(), "a".to_owned()].as_slice(), r#"["192.0.2.0/24", "198.51.100.7"]"#.to_owned())
    );
    made.says("none.lst", Verdict::Unsupported, "cannot be read here");
    assert!(made.line("none.lst").opens);
}

#[test]
fn a_header_that_a_rule_writes_is_looked_at_as_it_was_written() {
    let rules = " http-request del-header X-Ok\n http-request set-header X-Ok yes if { src 10.0.0.0/8 }\n http-request deny unless { req.hdr(X-Ok) yes }";
    let made = haproxy(rules);
    assert_eq!(made.route(0, "when"), r#"!client.ip.in_cidr("10.0.0.0/8")"#, "what the client says does not count");
    let made = haproxy(" http-request set-header X-Way %[src]\n http-request deny if { hdr(X-Way) -m beg 10. }");
    made.says("http-request deny", Verdict::Unsupported, "a rule before it writes");
    assert!(made.line("http-request deny").opens);
}

#[test]
fn a_path_behind_a_rewrite_is_named() {
    let made = haproxy(" http-request set-path /new%[path] if { path_beg /old }\n use_backend b if { path_beg /new }");
    made.says("use_backend b", Verdict::Differs, "as the client sent it");
}

#[test]
fn any_value_of_a_list_counts_and_what_is_not_there_meets_nothing() {
    let made = haproxy(" use_backend b if { hdr(Connection) -i upgrade }");
    assert_eq!(made.route(0, "headers.connection"), r"~(?i)(^|,)\s*upgrade\s*(,|$)");
    let made = haproxy(" use_backend b if { hdr(X-For,-1) 10.1.1.1 }\n use_backend b if { hdr_beg(X-For,2) 10. }");
    assert_eq!(made.route(0, "headers.x-for"), r"~(^|,)\s*10\.1\.1\.1\s*$");
    made.says("X-For,2", Verdict::Unsupported, "the first, the last or any");
    let made = haproxy(" http-request deny if { hdr_len(X-A) lt 3 }\n http-request deny if { hdr(X-B) -m reg ^a*$ }");
    assert_eq!((made.route(0, "headers.x-a"), made.route(1, "headers.x-b")), ("true".into(), "true".into()));
}

#[test]
fn who_is_asked_for_a_password_is_so_before_answers_that_are_made_here() {
    let made = haproxy(
        " http-request auth unless { http_auth(users) }\n http-request return status 200 content-type text/plain string hi if { path /s }",
    );
    assert_eq!((made.ends()[0].as_str(), made.route(0, "rules")), ("200", r#"["f-users"]"#.to_owned()));
}

#[test]
fn who_comes_too_often_is_refused_answers_included() {
    let rules = " stick-table type ip size 1m expire 1m store http_req_rate(1m)\n http-request track-sc0 src\n http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }\n http-request return status 204 if { path /ping }";
    let made = haproxy(rules);
    assert_eq!(
        (made.route(0, "rules"), made.route(1, "rules")),
        (r#"["f-rate-limit"]"#.into(), r#"["f-rate-limit"]"#.into())
    );
    assert_eq!(made.toml["rules"]["f-rate-limit"]["rate"].as_str(), Some("20/m"));
}

#[test]
fn what_leads_to_no_backend_goes_to_the_default_past_the_rules_behind() {
    let made = haproxy(" use_backend %[req.hdr(host),lower] if { path_beg /d }\n use_backend b if { path_beg /d/b }");
    assert_eq!(
        made.ends(),
        ["a", "b", "a", "b", "a"],
        "hosts a and b, the default for /d, the rule behind, the default"
    );
}

#[test]
fn what_cannot_be_compared_exactly_is_no_condition() {
    for rule in [
        "url_beg /x?y=1",
        "url_reg ^/x\\?y",
        "src,ipmask(24) 10.1.1.0",
        "path,rtrim(/) /x",
        "hdr(host),port_only 80",
        "http_first_req",
        "method get",
        "status 200",
    ] {
        let made = haproxy(&format!(" http-request deny if {{ {rule} }}"));
        assert!(made.line("http-request deny").opens, "{rule}\n{}", made.imported.toml);
        assert_eq!(made.ends(), ["a"], "{rule}");
    }
}

#[test]
fn servers_keep_their_words() {
    let text = "listen l\n mode http\n timeout connect 5000\n timeout client 2m\n timeout server 1h\n option forwardfor except 127.0.0.1\n bind :80,:81\n bind :443 ssl crt /certs/ alpn h2\n server a 10.0.0.1:80 weight 10\n server b 10.0.0.2:80 backup weight 0\n";
    let made = made(Source::Haproxy, text);
    let pool = &made.toml["pools"]["l"];
    assert_eq!(pool["targets"][1].to_string(), r#"{ address = "10.0.0.2:80", backup = true, weight = 0 }"#);
    assert_eq!(
        (pool["timeouts"]["connect"].as_str(), pool["timeouts"]["response_head"].as_str()),
        (Some("5s"), Some("1h"))
    );
    made.says("forwardfor", Verdict::Differs, "`except` is left out");
    let tls = &made.toml["listeners"]["l-tls"]["tls"];
    assert_eq!(
        (tls["certificates"][0]["directory"].as_str(), tls["alpn"].to_string()),
        (Some("/certs"), r#"["h2"]"#.to_owned())
    );
}

#[test]
fn a_redirect_keeps_what_it_kept() {
    let made = haproxy(" http-request redirect prefix https://x.test drop-query append-slash if { path /d }");
    assert_eq!(made.route(0, "response.headers.set.location"), "https://x.test{request.path}/");
    let made = nginx("rewrite ^ https://y.test$request_uri? permanent;");
    assert_eq!(made.route(0, "response.headers.set.location"), "https://y.test{request.uri}");
    let made = nginx("rewrite ^/(.*)$ https://y.test/$1? permanent;");
    assert_eq!(made.route(0, "response.headers.set.location"), "https://y.test{request.path}");
    let made = nginx("return 301 https://$server_name$request_uri;");
    assert_eq!(
        made.route(0, "response.headers.set.location"),
        "https://www.test{request.uri}",
        "whatever host was asked for"
    );
    let made = nginx("return 301 https://$host$request_uri;");
    assert_eq!(made.route(0, "redirect.scheme"), "https");
}

#[test]
fn the_location_that_nginx_finds_is_the_one() {
    let made =
        nginx("location ^~ /a/ { return 201; } location /a/b/ { return 202; } location ~ \\.png$ { return 203; }");
    assert_eq!(made.ends(), ["201", "203", "202", "404"]);
    assert_eq!(
        made.route(0, "when"),
        r#"!request.path.startsWith("/a/b/")"#,
        "the longest prefix says whether regexes are asked"
    );
    let made = nginx(
        "location /i/ { location ~ \\.png$ { return 201; } return 202; } location ~* \\.(png|jpg)$ { return 203; }",
    );
    assert_eq!(made.ends(), ["201", "203", "202", "404"]);
    assert_eq!(made.route(0, "when"), r#"request.path.matches("\\.png$")"#, "within its location");
    assert_eq!(made.route(1, "paths"), r#"['~(?i)\.(png|jpg)$']"#);
}

#[test]
fn a_location_that_is_not_understood_and_kept_something_out_is_named_first() {
    let made = nginx("location ~ /\\.(?!well-known) { deny all; } location / { proxy_pass http://a; }");
    made.says("location ~", Verdict::Unsupported, "no look-arounds");
    assert!(made.line("location ~").opens);
    let made = nginx("if ($geoip_country = XX) { return 403; } location / { proxy_pass http://a; }");
    assert!(made.line("if ($geoip").opens);
}

#[test]
fn conditions_of_nginx_are_false_for_nothing_and_zero() {
    let made = nginx("if ($http_x_block) { return 403; } location / { proxy_pass http://a; }");
    assert_eq!(made.route(0, "when"), r#"!(request.headers["x-block"] in ["", "0"])"#);
    let made = nginx("if ($request_method !~ ^(GET|POST)$) { return 444; } location / { proxy_pass http://a; }");
    assert_eq!(made.ends(), ["403", "a"]);
    made.says("return 444", Verdict::Differs, "the client is answered 403");
}

#[test]
fn proxy_pass_with_and_without_a_path() {
    let made = nginx(
        "location /a/ { proxy_pass http://a/v1/; } location /b { proxy_pass http://a/; } location /c/ { proxy_pass http://a; } location /d/ { proxy_pass http://a$request_uri; } location /e/ { proxy_pass http://$up; }",
    );
    let of = |path: &str| (0..5).find(|place| made.route(*place, "paths").contains(path)).unwrap();
    assert_eq!(
        (made.route(of("/a"), "strip_prefix"), made.route(of("/a"), "rewrite.add_prefix")),
        ("/a".into(), "/v1".into())
    );
    assert_eq!(
        (made.route(of("/b"), "rewrite.match"), made.route(of("/b"), "rewrite.path")),
        ("^/b(.*)$".into(), "/{1}".into())
    );
    for path in ["/c/", "/d/"] {
        assert_eq!(
            (made.route(of(path), "rewrite"), made.route(of(path), "strip_prefix")),
            (String::new(), String::new())
        );
    }
    assert_eq!(made.ends()[of("/e/")], "502", "what cannot be passed on is no page that is missing");
    made.says("http://$up", Verdict::Unsupported, "made of a request");
}

#[test]
fn what_is_handed_on_to_locations_is_so_as_a_whole() {
    let made = nginx(
        "allow 10.0.0.0/8; deny all; location /x { deny 10.1.1.1; proxy_pass http://a; } location / { proxy_pass http://b; }",
    );
    let rules = &made.toml["rules"];
    let of = |place: usize| rules[made.routes()[place]["rules"][0].as_str().unwrap()].to_string();
    assert!(of(0).contains(r#"deny = ["10.1.1.1"]"#) && !of(0).contains("allow"), "{}", made.imported.toml);
    assert!(of(1).contains(r#"allow = ["10.0.0.0/8"]"#), "{}", made.imported.toml);
}

#[test]
fn what_return_answers_asks_nobody_who_they_are() {
    let made = nginx(
        "auth_basic x; auth_basic_user_file users; location = /up { return 200 \"ok\\n\"; } location / { proxy_pass http://a; }",
    );
    assert_eq!((made.route(0, "rules"), made.route(1, "rules")), (String::new(), r#"["users"]"#.to_owned()));
    assert_eq!(made.routes()[0]["respond"]["body"].as_str(), Some("ok\n"), "escapes are nginx's");
}

#[test]
fn zones_that_are_alike_count_by_themselves() {
    let zones = "limit_req_zone $binary_remote_addr zone=one:1m rate=5r/s; limit_req_zone $binary_remote_addr zone=two:1m rate=5r/s;";
    let locations = "location /a { limit_req zone=one burst=5 nodelay; proxy_pass http://10.0.0.1; } location /b { limit_req zone=two burst=5 nodelay; proxy_pass http://10.0.0.1; }";
    let made = made(Source::Nginx, &format!("http {{ {zones} server {{ listen 80; {locations} }} }}"));
    assert_eq!((made.route(0, "rules"), made.route(1, "rules")), (r#"["one"]"#.into(), r#"["two"]"#.into()));
    let plugin = "        plugins: [{ name: rate-limiting, config: { minute: 5, limit_by: ip } }]";
    let routes = format!(
        "    routes:\n      - name: a\n        paths: [/a]\n{plugin}\n      - name: b\n        paths: [/b]\n{plugin}"
    );
    let made = kong(&routes, "");
    assert_ne!(made.route(0, "rules"), made.route(1, "rules"), "what two plugins count, they count by themselves");
}

#[test]
fn what_is_sent_in_place_of_what_is_not_there_is_looked_for_where_nginx_does() {
    let made = nginx("location / { root /srv; try_files $uri /index.html; }");
    assert_eq!(made.route(0, "files.fallback"), "/index.html");
    let made = nginx("location /spa { root /srv; try_files $uri /index.html; } location / { proxy_pass http://a; }");
    made.says("try_files", Verdict::Unsupported, "another location");
}

#[test]
fn nginx_leaves_servers_alone_that_have_failed_and_the_report_says_so() {
    let text = "http { upstream u { server 10.0.0.1:80; server 10.0.0.2:80; } upstream v { server 10.0.0.1:80 max_fails=0; server 10.0.0.2:80 max_fails=3 fail_timeout=30s; } server { listen 80; location /u { proxy_pass http://u; } location / { proxy_pass http://v; } } }";
    let made = made(Source::Nginx, text);
    made.says("upstream u", Verdict::Differs, "10 s");
    assert_eq!(made.toml["pools"]["v"]["outlier"].to_string(), r#"{ eject = "30s", errors = 3 }"#);
}

#[test]
fn who_asks_is_found_out_before_it_counts() {
    let plugins = "    plugins:\n      - { name: rate-limiting, config: { second: 5 } }\n      - { name: acl, config: { allow: [gold] } }\n      - { name: key-auth }\n    routes:\n      - { name: r, paths: [/a], tags: [x] }";
    let made = kong(plugins, "");
    assert_eq!(made.route(0, "rules"), r#"["key-auth", "acl", "limit-by-second"]"#);
    assert_eq!(made.toml["rules"]["limit-by-second"]["key"].as_str(), Some("consumer"));
    let jwt = "    plugins:\n      - { name: acl, config: { allow: [gold] } }\n      - { name: jwt }\n    routes:\n      - { name: r, paths: [/a] }";
    let made = kong(jwt, "");
    assert_eq!(made.route(0, "rules"), r#"["not-imported"]"#, "nobody is let in");
    made.says("name: acl", Verdict::Unsupported, "finds out who asks");
}

#[test]
fn a_plugin_for_some_consumers_is_not_for_all() {
    let some = "    plugins:\n      - { name: rate-limiting, consumer: joe, config: { second: 1 } }\n    routes:\n      - name: r\n        paths: [/a]";
    let made = kong(some, "consumers: [{ username: joe }]");
    assert_eq!(made.route(0, "rules"), "");
    assert!(made.line("consumer: joe").opens);
    let off = "    plugins:\n      - { name: ip-restriction, config: { allow: [10.0.0.0/8] } }\n    routes:\n      - name: r\n        paths: [/a]\n        plugins: [{ name: ip-restriction, enabled: false }]";
    assert_eq!(
        kong(off, "").route(0, "rules"),
        r#"["ip-restriction"]"#,
        "a plugin that is disabled takes nobody's place"
    );
}

#[test]
fn groups_of_consumers_are_not_those_of_the_plugin_acl() {
    let acl = "    plugins: [{ name: key-auth }, { name: acl, config: { allow: [gold] } }]\n    routes: [{ name: r, paths: [/a] }]";
    let made = kong(
        acl,
        "consumers: [{ username: joe, groups: [{ name: gold }], keyauth_credentials: [{ key: joes-own-key }] }]\nconsumer_groups: [{ name: gold }]",
    );
    assert_eq!(made.toml["consumers"]["joe"]["groups"].to_string(), r#"["consumer-group-gold"]"#);
}

#[test]
fn an_answer_for_some_requests_is_not_for_all() {
    let some = "    routes:\n      - name: r\n        paths: [/a]\n        plugins: [{ name: request-termination, config: { status_code: 503, trigger: maint } }]";
    let made = kong(some, "");
    assert_eq!(made.ends(), ["s"]);
    assert!(made.line("trigger").opens);
}

#[test]
fn routes_of_kong_match_as_they_did() {
    let routes = "    routes:\n      - name: r\n        paths: [\"~/v(?<n>\\\\d+)/\", /a]\n        hosts: [a.test, \"*.b.test\"]\n        snis: [s.test]\n        preserve_host: true";
    let made = kong(routes, "");
    assert_eq!(made.route(0, "paths"), r"['~^/v(?<n>\d+)/']");
    assert_eq!(made.route(0, "when"), r#"tls.sni == "s.test" || !tls.enabled"#, "in clear no name is asked for");
    assert_eq!((made.route(1, "hosts"), made.route(1, "host")), (r#"["a.test", "*.b.test"]"#.into(), String::new()));
    made.says("paths:", Verdict::Differs, "`/ax`");
    assert_eq!(kong("    routes: []", "").ends(), ["404"], "where no route is");
}

#[test]
fn what_goes_on_over_several_lines_is_shown_by_none() {
    let text = "_format_version: \"3.0\"\nservices: [{ name: s, url: \"http://10.0.0.1\", routes: [{ name: r }] }]\ncertificates:\n  - cert: |\n      -----BEGIN\n      abc\n    key: |\n      -----BEGIN\n      very-secret\nconsumers:\n  - username: joe\n    keyauth_credentials:\n      - key:\n          joes-secret-key\n";
    let made = made(Source::Kong, text);
    let report = format!("{:?}", made.imported.report);
    assert!(!report.contains("secret") && !made.imported.toml.contains("secret"), "{report}");
    assert_eq!(made.imported.report.lines.len(), 14, "each line has a verdict");
}

#[test]
fn what_is_allowed_is_redirected_all_the_same() {
    let made = haproxy(
        " http-request allow if { path_beg /open }\n http-request deny if { path_beg /open/x }\n redirect scheme https if !{ ssl_fc }",
    );
    assert_eq!((made.ends(), made.route(1, "when")), (vec!["403".to_owned(), "redirect".to_owned()], String::new()));
}

#[test]
fn who_was_accepted_before_all_are_refused_is_let_in() {
    let text = "listen l\n mode tcp\n bind :5432\n tcp-request connection accept if { src 10.0.0.0/8 }\n tcp-request connection reject\n server a 10.0.0.1:5432\n";
    assert_eq!(made(Source::Haproxy, text).toml["listeners"]["l"]["allow"].to_string(), r#"["10.0.0.0/8"]"#);
}

#[test]
fn methods_that_are_not_excepted_are_refused() {
    let made = nginx("location / { limit_except GET { deny all; } proxy_pass http://a; }");
    assert_eq!(
        (made.ends(), made.route(0, "when")),
        (vec!["403".to_owned(), "a".to_owned()], r#"!(request.method in ["GET", "HEAD"])"#.to_owned())
    );
    let made = nginx("location / { limit_except GET { auth_basic x; } proxy_pass http://a; }");
    assert!(made.line("limit_except").opens);
}

#[test]
fn an_if_that_answers_has_the_headers_that_stand_in_it() {
    let made = nginx(
        "location / { add_header X-All 1; if ($request_method = OPTIONS) { add_header X-Pre 1; return 204; } proxy_pass http://a; }",
    );
    assert_eq!(
        (made.route(0, "response.headers.append"), made.route(1, "response.headers.append")),
        (r#"{ x-pre = "1" }"#.into(), r#"{ x-all = "1" }"#.into())
    );
}

#[test]
fn paths_that_a_regex_has_captured_go_on() {
    let made = nginx(
        "location ~ ^/u/(.*)$ { proxy_pass http://a/v1/$1$is_args$args; } location ~ ^/f/(.*)$ { alias /srv/$1; }",
    );
    assert_eq!((made.route(0, "rewrite.match"), made.route(0, "rewrite.path")), ("^/u/(.*)$".into(), "/v1/{1}".into()));
    made.says("alias", Verdict::Unsupported, "fixed one");
}

#[test]
fn what_tells_of_clients_is_told_once() {
    let rules = " option forwardfor\n http-request del-header X-Forwarded-For\n http-request add-header X-Forwarded-Proto https if { src 10.0.0.0/8 }";
    let made = haproxy(rules);
    let headers =
        (made.route(0, "request.headers.set"), made.route(0, "request.headers.append"), made.route(1, "request"));
    assert_eq!(
        headers,
        (r#"{ x-forwarded-proto = "https" }"#.into(), String::new(), String::new()),
        "Ringway's own is not removed"
    );
}

#[test]
fn the_environment_and_odd_values_of_kong_are_named() {
    let text = "    routes:\n      - name: r\n        paths: [/a]\n        plugins: [{ name: response-transformer, config: { add: { headers: [\"x-a: b\"] } } }]";
    let made = kong(text, "consumers: [{ username: joe, keyauth_credentials: [{ key: \"${{ env KEY }}\" }] }]");
    assert_eq!(made.toml["rules"]["response-transformer"]["response"]["headers"]["add"]["x-a"].as_str(), Some("b"));
    made.says("consumers", Verdict::Unsupported, "decK fills it in");
}

#[test]
fn a_variable_holds_what_it_was_set_to() {
    let rules = " http-request set-var(txn.host) req.hdr(host)\n http-request set-var(txn.path) path\n http-request set-header Host in.test\n http-request set-path /in%[path]\n use_backend b if { var(txn.host) a.test } { var(txn.path) -m beg /x }";
    let made = haproxy(rules);
    assert_eq!(
        (made.ends()[0].as_str(), made.route(0, "hosts"), made.route(0, "paths")),
        ("b", r#"["a.test"]"#.into(), r#"["~^/x"]"#.into())
    );
    assert_eq!(made.line("use_backend").verdict, Verdict::Carried);
}

#[test]
fn what_means_nothing_where_it_stands_is_named() {
    let text = "listen l\n bind :5432\n stick-table type string size 1m\n appsession S len 5 timeout 1h\n server a 10.0.0.1:5432\nlisten m\n tcp-request connection reject\n server a 10.0.0.1:5433\n";
    let made = made(Source::Haproxy, text);
    made.says("stick-table", Verdict::Differs, "nothing that is carried over looks at it");
    made.says("appsession", Verdict::Differs, "no cookies in TCP");
    made.says("tcp-request", Verdict::Differs, "listens nowhere");
    let server = "server { listen 443 ssl; server_name a.test; ssl_certificate a.pem; ssl_verify_client on; ssl_client_certificate ca.pem; return 204; }";
    let other = "server { listen 443 ssl default_server; ssl_certificate b.pem; return 204; }";
    let made = self::made(Source::Nginx, &format!("http {{ {other} {server} {server} }}"));
    assert_eq!(made.toml["listeners"]["https"]["tls"]["by_name"].as_array().map(Vec::len), Some(1));
}
