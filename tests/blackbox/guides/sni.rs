//! Several services on port 443: some pass through, one ends here.

use super::Guide;
use crate::support::secure::{Secure, Speaks};
use crate::support::tls::{Authority, Kind, over, shown};
use crate::support::wire::Wire;
use crate::support::{Target, eventually};
use std::sync::{Arc, Mutex};

#[test]
fn names_choose_who_ends_tls_and_the_mail_server_is_told_who_comes() {
    let authority = Authority::new("Guide");
    let own = authority.server(&["www.example.com", "shop.apps.example.com"], Kind::Ecdsa);
    let clusters = authority.server(&["shop.apps.example.com", "deep.in.apps.example.com"], Kind::Ecdsa);
    let site = Target::echo("site");
    let cluster = ["cluster", "cluster"].map(|name| Secure::echo(name, &Speaks::with(&clusters)));
    let told = Arc::<Mutex<Vec<Vec<u8>>>>::default();
    let hears = told.clone();
    let mail = Target::with("mail", move |peer| {
        let Ok(mut header) = peer.exact(16) else { return };
        let rest = u16::from_be_bytes([header[14], header[15]]);
        header.extend(peer.exact(rest.into()).unwrap_or_default());
        // What follows is a handshake's first record, as the client sent it.
        header.extend(peer.exact(2).unwrap_or_default());
        hears.lock().unwrap().push(header);
    });
    let setup = Guide::read("sni")
        .with("\"0.0.0.0:443\", \"[::]:443\"", "\"127.0.0.1:0\"")
        .with("10.0.0.11:8080", &site)
        .with("10.0.0.31:443", &cluster[0])
        .with("10.0.0.32:443", &cluster[1])
        .with("10.0.0.41:443", &mail)
        .setup();
    own.write(&setup.directory().join("certs"), "www.example.com");
    let proxy = setup.start();
    let at = proxy.at("secure");
    let dial = authority.dial();

    let mut client = dial.to(&at, "www.example.com");
    assert_eq!(client.get("/").target(), "site");
    assert_eq!(shown(&client), own.der, "TLS ends here");
    for name in ["shop.apps.example.com", "deep.in.apps.example.com"] {
        let mut client = dial.to(&at, name);
        assert_eq!(client.get("/").target(), "cluster", "{name}");
        assert_eq!(shown(&client), clusters.der, "the cluster's own certificate: {name}");
    }
    let names: Vec<_> = cluster.iter().flat_map(Secure::hellos).filter_map(|hello| hello.name).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    // A browser that takes one connection for all names of a certificate is sent away.
    client.send("GET / HTTP/1.1\r\nHost: shop.apps.example.com\r\n\r\n");
    assert_eq!(client.response().status, 421);

    for name in ["mail.example.com", "webmail.example.com"] {
        let wire = Wire::connect(&at, Some("127.0.0.7:0".parse().unwrap())).unwrap();
        assert!(over(wire, &dial.config(), name).is_err(), "this one does not answer");
    }
    let of_clients = || {
        let all = told.lock().unwrap().clone();
        // 0x21: version 2, and a client's connection; checks say 0x20.
        all.into_iter().filter(|header| header[12] == 0x21).collect::<Vec<_>>()
    };
    eventually("both came", || of_clients().len() == 2);
    for (header, name) in of_clients().iter().zip(["mail.example.com", "webmail.example.com"]) {
        assert_eq!(&header[16..20], [127, 0, 0, 7], "the client's own address");
        assert!(header.windows(name.len()).any(|part| part == name.as_bytes()), "and the name that it asked for");
        assert_eq!(&header[header.len() - 2..], [0x16, 3]);
    }
    for (route, count) in [("cluster", 2.0), ("mail", 2.0)] {
        proxy.settles("ringway_route_connections_total", &[("route", route)], count);
    }
}
