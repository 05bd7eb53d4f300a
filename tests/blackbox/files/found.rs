//! What is found, and what is said of it.

use super::{Site, write};
use crate::support::client::fetch;
use crate::support::toml::pool;
use crate::support::{Target, eventually, h2};
use http::Method;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

#[test]
fn a_file_is_sent_with_its_type_and_validators_by_either_protocol() {
    let site = Site::new(", cache_control = \"public, max-age=60\", types = { foo = \"application/x-foo\" }");
    site.write("page.html", "<p>hello");
    site.write("a b/\u{e9}.css", "p {}");
    site.write("x.FOO", "foo");
    site.write("no-end", "bytes");
    site.write("empty.txt", "");
    let proxy = site.setup.start();
    let mut client = proxy.client();
    let response = client.get("/page.html");
    assert_eq!((response.status, response.text().as_str()), (200, "<p>hello"));
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "8"),
        ("accept-ranges", "bytes"),
        ("cache-control", "public, max-age=60"),
    ] {
        assert_eq!(response.field(name).as_deref(), Some(value), "{name}");
    }
    let etag = response.field("etag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with("-8\""), "{etag}");
    assert!(response.field("last-modified").unwrap().ends_with(" GMT"));
    assert_eq!(response.field("vary"), None);
    for (path, kind, body) in [
        ("/a%20b/%C3%A9.css", "text/css; charset=utf-8", "p {}"),
        ("/a%20b/%c3%a9.css?x=1", "text/css; charset=utf-8", "p {}"),
        ("/x.FOO", "application/x-foo", "foo"),
        ("/no-end", "application/octet-stream", "bytes"),
        ("/empty.txt", "text/plain; charset=utf-8", ""),
        ("/a%20b/../page.html", "text/html; charset=utf-8", "<p>hello"),
        ("//page.html", "text/html; charset=utf-8", "<p>hello"),
    ] {
        let response = client.get(path);
        assert_eq!((response.status, response.text().as_str()), (200, body), "{path}");
        assert_eq!(response.field("content-type").as_deref(), Some(kind), "{path}");
    }
    let head = client.ask("HEAD", "/page.html", &[]);
    for name in ["content-type", "content-length", "etag", "last-modified", "cache-control", "accept-ranges"] {
        assert_eq!(head.field(name), response.field(name), "HEAD says of {name} what GET does");
    }
    let many = h2::Client::to(&proxy.web());
    let answer = many.get("/page.html");
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"<p>hello"[..]));
    assert_eq!(answer.fields["etag"].to_str().unwrap(), etag);
    let answer = many.ask(h2::request(Method::HEAD, "/page.html"), b"").unwrap();
    assert_eq!((&answer.fields["content-length"], answer.body.len()), (&"8".parse().unwrap(), 0));
}

#[test]
fn other_methods_are_told_which_there_are() {
    let site = Site::new("");
    site.write("x", "x");
    let proxy = site.setup.start();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let response = fetch(&proxy.web(), method, "/x", &["Content-Length: 0"]);
        assert_eq!((response.status, response.field("allow").as_deref()), (405, Some("GET, HEAD")), "{method}");
    }
    // A body that nobody reads ends the connection, and does not become a request.
    let response = fetch(&proxy.web(), "GET", "/x", &["Content-Length: 3"]);
    assert_eq!((response.status, response.field("connection").as_deref()), (200, Some("close")));
}

#[test]
fn a_folder_is_its_index_and_its_name_ends_in_a_slash() {
    let site = Site::with(
        "[routes.site]\nfiles = { root = \"www\", index = [\"index.html\", \"default.htm\"] }\n\
         [routes.docs]\npaths = [\"/docs/\"]\nstrip_prefix = \"/docs\"\nfiles = { root = \"www/manual\" }\n",
    );
    site.write("index.html", "top");
    site.write("old/default.htm", "old");
    site.write("bare/file", "x");
    site.write("odd/index.html/x", "x");
    site.write("manual/index.html", "manual");
    let proxy = site.setup.start();
    let mut client = proxy.client();
    for (path, body) in [("/", "top"), ("/old/", "old"), ("/docs/", "manual"), ("/docs/index.html", "manual")] {
        let response = client.get(path);
        assert_eq!((response.status, response.text().as_str()), (200, body), "{path}");
        assert_eq!(response.field("content-type").as_deref(), Some("text/html; charset=utf-8"));
    }
    for (path, place) in [
        ("/old", "/old/"),
        ("/old?a=b&c", "/old/?a=b&c"),
        ("/docs", "/docs/"),
        ("//old", "/old/"),
        ("//evil.test/../old", "/old/"),
    ] {
        let response = client.get(path);
        assert_eq!((response.status, response.field("location").as_deref()), (301, Some(place)), "{path}");
    }
    // No listing, and no word of folders that have no index; a file is none.
    for path in ["/bare", "/bare/", "/odd/", "/index.html/", "/old/default.htm/", "/none", "/docs/../manual/none"] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    assert!(proxy.metric("ringway_refused_total", &[("reason", "no-file")]) >= 7.0);
}

#[test]
fn a_fallback_stands_for_what_is_not_there_and_a_pool_may_do_so_too() {
    let target = Target::echo("app");
    let site = Site::with(&format!(
        "[routes.spa]\npaths = [\"/spa/\"]\nstrip_prefix = \"/spa\"\nfiles = {{ root = \"www\", fallback = \"/index.html\" }}\n\
         [routes.site]\nfiles = {{ root = \"www\" }}\npool = \"app\"\n{}",
        pool("app", &[&target], "")
    ));
    site.write("index.html", "app");
    site.write("deep/x.css", "css");
    let proxy = site.setup.start();
    let mut client = proxy.client();
    for path in ["/spa/", "/spa/users/7", "/spa/deep", "/spa/deep/", "/spa/.env", "/spa/index.html"] {
        let response = client.get(path);
        assert_eq!((response.status, response.text().as_str()), (200, "app"), "{path}");
    }
    assert_eq!(client.ask("POST", "/spa/users", &["Content-Length: 0"]).status, 405);
    assert_eq!(client.get("/deep/x.css").text(), "css");
    assert_eq!(client.get("/").text(), "app");
    for path in ["/users/7", "/deep/", "/.env", "/deep/x.css/"] {
        assert_eq!((client.get(path).target().as_str(), target.last().path.as_str()), ("app", path));
    }
    let posted = client.post("/deep/x.css", b"body");
    assert_eq!((posted.target().as_str(), target.last().body.as_slice()), ("app", &b"body"[..]));
}

#[test]
fn what_was_compressed_before_goes_to_who_takes_it() {
    let site = Site::new(", precompressed = true");
    site.write("app.js", "plain, and long enough");
    for (end, content) in [("br", "BR"), ("gz", "GZ"), ("zst", "ZST")] {
        site.write(&format!("app.js.{end}"), content);
    }
    site.write("one.js", "plain");
    site.write("one.js.gz", "GZ");
    let stale = site.write("stale.js", "new");
    let old = site.write("stale.js.gz", "OLD");
    let modified = std::fs::metadata(stale).unwrap().modified().unwrap();
    let file = std::fs::File::options().write(true).open(old).unwrap();
    file.set_modified(modified - Duration::from_secs(60)).unwrap();
    let proxy = site.setup.start();
    let mut client = proxy.client();
    let plain = client.get("/app.js");
    assert_eq!(
        (plain.text().as_str(), plain.field("vary").as_deref()),
        ("plain, and long enough", Some("Accept-Encoding"))
    );
    for (accepts, body, coding) in [
        ("gzip", "GZ", Some("gzip")),
        ("br;q=0.5, gzip", "GZ", Some("gzip")),
        ("gzip;q=0.5, br", "BR", Some("br")),
        ("br, gzip, zstd", "ZST", Some("zstd")),
        ("gzip;q=0, deflate", "plain, and long enough", None),
        ("identity", "plain, and long enough", None),
    ] {
        let response = client.ask("GET", "/app.js", &[&format!("Accept-Encoding: {accepts}")]);
        assert_eq!(
            (response.text().as_str(), response.field("content-encoding").as_deref()),
            (body, coding),
            "{accepts}"
        );
        assert_eq!(response.field("content-type"), plain.field("content-type"), "{accepts}");
        assert_eq!(response.field("vary").as_deref(), Some("Accept-Encoding"), "{accepts}");
        assert_eq!(response.field("etag") == plain.field("etag"), coding.is_none(), "another tag for another content");
    }
    assert_eq!(client.ask("GET", "/one.js", &["Accept-Encoding: br, gzip"]).text(), "GZ");
    assert_eq!(client.ask("GET", "/stale.js", &["Accept-Encoding: gzip"]).text(), "new", "it was made of another file");
    let itself = client.ask("GET", "/app.js.gz", &["Accept-Encoding: gzip"]);
    assert_eq!((itself.text().as_str(), itself.field("content-encoding")), ("GZ", None));
}

#[test]
fn a_folder_that_is_a_link_may_come_to_lead_elsewhere() {
    let site = Site::with("[routes.site]\nfiles = { root = \"current\" }\n");
    let folder = site.root.parent().unwrap().to_owned();
    write(&folder, "one/x", "one");
    write(&folder, "two/x", "two");
    symlink("one", folder.join("current")).unwrap();
    let proxy = site.setup.start();
    assert_eq!(proxy.get("/x").text(), "one");
    symlink("two", folder.join("next")).unwrap();
    std::fs::rename(folder.join("next"), folder.join("current")).unwrap();
    eventually("the link is followed anew", || proxy.get("/x").text() == "two");
    std::fs::remove_file(folder.join("current")).unwrap();
    eventually("no folder is our own fault", || proxy.get("/x").status == 500);
    proxy.log.wait(&["cannot be opened", "current"]);
    symlink("one", folder.join("current")).unwrap();
    eventually("it is back", || proxy.get("/x").text() == "one");
}

#[test]
fn a_file_that_changes_has_another_tag_whatever_its_time_says() {
    let site = Site::new("");
    let path = site.write("x", "one");
    let set = |time| std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    set(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    let proxy = site.setup.start();
    let before = proxy.get("/x").field("etag").unwrap();
    std::fs::write(&path, "two").unwrap();
    set(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    let response = fetch(&proxy.web(), "GET", "/x", &[&format!("If-None-Match: {before}")]);
    assert_eq!((response.status, response.text().as_str()), (200, "two"), "reproducible builds set all times to 1970");
}
