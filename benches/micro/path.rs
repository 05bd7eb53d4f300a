//! The normal forms of paths and hosts.

use divan::{Bencher, black_box};
use ringway::plan::host::{self, canonical};
use ringway::plan::path;

#[divan::bench(args = ["/128", "/articles/2026/11/a-page-with-a-long-name", "/a%62c/%7Euser/../x//y"])]
fn normalise(bencher: Bencher<'_, '_>, raw: &str) {
    let mut out = Vec::with_capacity(256);
    bencher.bench_local(|| path::normalise(black_box(raw.as_bytes()), &mut out));
}

#[divan::bench(args = ["www.example.com", "127.0.0.1:8080", "WWW.Example.COM."])]
fn host(bencher: Bencher<'_, '_>, raw: &str) {
    bencher.bench_local(|| {
        let mut buffer = host::Buffer::new();
        canonical(black_box(raw.as_bytes()), 80, &mut buffer).is_ok()
    });
}
