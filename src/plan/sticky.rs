//! By what clients stay with the targets of a pool, as the configuration has it.

use super::compile::key_path;
use super::files::Files;
use crate::config::Fault;
use crate::config::model;
use crate::upstream::{self, Target, sticky};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The fewest bytes of a secret.
const SECRET: usize = 16;
/// The most.
const LONGEST: usize = 64 << 10;

/// For pool `name` with these targets. A table goes on from `before` where what is noted in it means the same.
pub(super) fn compile(
    name: &str,
    sticky: &model::Sticky,
    targets: &[Target],
    before: Option<&upstream::Sticky>,
    files: &Files,
) -> Result<upstream::Sticky, Vec<Fault>> {
    let by = match &sticky.cookie {
        Some(cookie) => {
            let at = key_path(&["pools", name, "sticky", "secret_file"]);
            let read = |path: &PathBuf| secret(path, files.content(&at));
            let secret = sticky.secret_file.as_ref().map(read).transpose().map_err(|what| {
                let help = "write 16 bytes or more into it, such as by `openssl rand -base64 32`";
                vec![Fault::new(at.clone(), what).help(help)]
            })?;
            sticky::By::Cookie(made(sticky, cookie, secret, targets))
        }
        None => {
            let under = under(sticky);
            let known =
                before.and_then(upstream::Sticky::noted).filter(|noted| noted.under.to_string() == under.to_string());
            let table = match known.map(|noted| &noted.table) {
                Some(table) if table.size() == sticky.size => table.clone(),
                Some(table) => Arc::new(table.resized(sticky.size, crate::net::coarse_now())),
                None => Arc::new(sticky::Table::new(sticky.size)),
            };
            sticky::By::Table(sticky::Noted::new(under, table, sticky.expire.0, targets))
        }
    };
    Ok(upstream::Sticky { by, strict: sticky.strict })
}

fn under(sticky: &model::Sticky) -> sticky::Under {
    match &sticky.learn {
        Some(learn) => sticky::Under::Learned {
            cookie: learn.cookie.clone(),
            header: learn.header.as_ref().map(|header| header.to_ascii_lowercase()),
            query: learn.query.clone(),
        },
        None => sticky::Under::Source { v4: sticky.ipv4_prefix, v6: sticky.ipv6_prefix },
    }
}

fn made(sticky: &model::Sticky, name: &str, secret: Option<&[u8]>, targets: &[Target]) -> sticky::Cookie {
    let mode = match sticky.mode {
        model::StickyMode::Insert => sticky::Mode::Insert,
        model::StickyMode::Rewrite => sticky::Mode::Rewrite,
        model::StickyMode::Prefix => sticky::Mode::Prefix,
    };
    let mut attributes = "; Path=/".to_owned();
    if let Some(domain) = &sticky.domain {
        attributes += &format!("; Domain={domain}");
    }
    if let Some(age) = &sticky.max_age {
        attributes += &format!("; Max-Age={}", age.0.as_secs());
    }
    if sticky.http_only {
        attributes += "; HttpOnly";
    }
    attributes += match sticky.same_site {
        model::SameSite::Lax => "; SameSite=Lax",
        model::SameSite::Strict => "; SameSite=Strict",
        model::SameSite::None => "; SameSite=None",
    };
    for attribute in &sticky.attributes {
        attributes += "; ";
        attributes += attribute;
    }
    // Browsers take a cookie for every site over TLS alone, which may end before us, and so one that is partitioned.
    let partitioned = sticky.attributes.iter().any(|attribute| attribute.eq_ignore_ascii_case("partitioned"));
    let secure = sticky.secure.or((sticky.same_site == model::SameSite::None || partitioned).then_some(true));
    let mut cookie = sticky::Cookie::new(name, mode, secret, targets);
    cookie.max_idle = sticky.max_idle.map(|span| span.0);
    cookie.max_life = sticky.max_life.map(|span| span.0);
    cookie.attributes = attributes.into();
    cookie.secure = secure;
    cookie.preserve = sticky.preserve;
    cookie
}

/// The secret in a file, blanks around it aside.
fn secret<'f>(path: &Path, content: Result<&'f [u8], &str>) -> Result<&'f [u8], String> {
    let shown = path.display();
    let secret = content?.trim_ascii();
    match secret.len() {
        length if length < SECRET => Err(format!("the secret in `{shown}` is shorter than {SECRET} bytes")),
        length if length > LONGEST => Err(format!("`{shown}` is no secret: it has more than 64 KiB")),
        _ => Ok(secret),
    }
}
