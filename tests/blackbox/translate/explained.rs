//! What `ringway explain` and `ringway check` say of translations.

use super::rest;
use super::shop::Shop;
use crate::support::eventually;
use crate::support::proxy::{Directory, ringway};

#[test]
fn explain_says_what_a_request_becomes() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let config = proxy.config_file();
    let explain = |more: &[&str]| {
        let all = [&["explain", "-c", config.to_str().unwrap()][..], more].concat();
        let (_, out, error) = ringway(&all);
        out + &error
    };
    let told = explain(&["http://site.test/v1/shelves/1/items/2"]);
    assert!(told.contains("gRPC method shop.v1.Shop/GetItem, by GET /v1/{name=shelves/*/items/*}"), "{told}");
    assert!(told.contains("POST /shop.v1.Shop/GetItem HTTP/1.1"), "{told}");
    let told = explain(&["http://site.test/v1/shelves/1:watch"]);
    assert!(told.contains("shop.v1.Shop/Watch, which gives several messages"), "{told}");
    let told = explain(&["http://site.test/v1/nothing"]);
    assert!(told.contains("404") && told.contains("no-binding"), "{told}");
}

#[test]
fn what_is_wrong_is_said_by_check() {
    let directory = Directory::new();
    let check = |text: &str| {
        let file = directory.write("ringway.toml", text);
        let (code, out, error) = ringway(&["check", "-c", &file]);
        assert_eq!(code, Some(2), "{out}{error}");
        out + &error
    };
    let base = "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n[pools.site]\ntargets = [\"127.0.0.1:1\"]\n[routes.a]\npool = \"site\"\n";
    let told = check(&format!("{base}translate = [\"sho\"]\n[translations.shop]\ntype = \"grpc-web\"\n"));
    assert!(told.contains("no translation is named `sho`") && told.contains("did you mean `shop`?"), "{told}");
    let told = check(&format!("{base}translate = [\"shop\"]\n[translations.shop]\ntype = \"grpc-web\"\n"));
    assert!(told.contains("gRPC needs HTTP/2, and pool `site` speaks HTTP/1.1"), "{told}");
    let mirrored = base.replace("[routes.a]", "protocol = \"h2\"\n[routes.a]") + "mirror = { pool = \"site\" }\n";
    let told = check(&format!("{mirrored}translate = [\"shop\"]\n[translations.shop]\ntype = \"grpc-web\"\n"));
    assert!(told.contains("what is translated cannot be mirrored"), "{told}");
    let file = directory.write("bad.desc", "no descriptors");
    let told = check(&format!(
        "{base}translate = [\"shop\"]\n[translations.shop]\ntype = \"grpc-to-rest\"\ndescriptors = \"{file}\"\n"
    ));
    assert!(
        told.contains("bad.desc") && told.contains("no descriptor set") && told.contains("--include_imports"),
        "{told}"
    );
}

#[test]
fn a_reload_reads_the_descriptors_again_and_keeps_what_was_good() {
    let shop = Shop::start();
    let proxy = rest(&shop, "");
    let file = proxy.config_file().parent().unwrap().join("shop.desc");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, "no descriptors").unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.log.wait(&["no descriptor set"]);
    assert_eq!(proxy.get("/v1/shelves/1/items/2").status, 200);
    std::fs::write(&file, good).unwrap();
    let config = std::fs::read_to_string(proxy.config_file()).unwrap();
    std::fs::write(
        proxy.config_file(),
        config.replace("type = \"rest-to-grpc\"", "type = \"rest-to-grpc\"\nenums = \"number\""),
    )
    .unwrap();
    proxy.signal(libc::SIGHUP);
    eventually("the new one is in force", || proxy.get("/v1/shelves/1/items/2").text().contains("\"kind\":1"));
}
