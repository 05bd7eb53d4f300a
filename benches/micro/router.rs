//! Finding the route by host and path.

use divan::{Bencher, black_box};
use ringway::config::model;
use ringway::gateway::condition;
use ringway::plan::path::Verdict;
use ringway::plan::router::{Conditions, Request, Router, When};
use std::net::{IpAddr, Ipv4Addr};

/// A request with no more than the host and the path that a lookup needs. (The exchange's own view of a request is private
/// to it, and reads the same slices.)
struct Ask {
    host: String,
    path: String,
}

impl Request for Ask {
    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn host(&self) -> &[u8] {
        self.host.as_bytes()
    }

    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn query(&self) -> Option<&[u8]> {
        None
    }

    fn header<'a>(&'a self, _name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        std::iter::empty()
    }

    fn client_ip(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn meets(&self, _: &When, _: &[u8]) -> Result<bool, condition::Error> {
        Ok(true)
    }
}

/// Ten routes a host.
fn router(routes: usize) -> Router {
    let named = (0..routes).map(|index| {
        let route = model::Route {
            hosts: vec![format!("h{}.example.com", index / 10)],
            paths: vec![format!("/service/{}/", index % 10)],
            ..model::Route::default()
        };
        (format!("route-{index}"), Conditions::compile(&route).expect("conditions that compile"))
    });
    Router::new(named.collect()).expect("no two tie")
}

#[divan::bench(args = [1, 100, 1000])]
fn hit(bencher: Bencher<'_, '_>, routes: usize) {
    let last = routes - 1;
    let ask = Ask { host: format!("h{}.example.com", last / 10), path: format!("/service/{}/item/4711", last % 10) };
    look_up(bencher, routes, &ask, true);
}

#[divan::bench(args = [1, 100, 1000])]
fn miss(bencher: Bencher<'_, '_>, routes: usize) {
    let ask = Ask { host: "other.example.com".to_owned(), path: "/service/1/item/4711".to_owned() };
    look_up(bencher, routes, &ask, false);
}

fn look_up(bencher: Bencher<'_, '_>, routes: usize, ask: &Ask, hits: bool) {
    let (router, mut scratch) = (router(routes), Vec::new());
    let found = router.admit(ask, Verdict::Plain, &mut scratch).expect("a plain path is admitted").found;
    assert_eq!(found.is_some(), hits);
    bencher.bench_local(|| router.admit(black_box(ask), Verdict::Plain, &mut scratch));
}
