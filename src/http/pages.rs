//! What a client sees in place of an error of ours, and of a target's where the configuration has it so.
//!
//! What always holds: a page changes how an error looks and never what is counted or logged of why; a call of gRPC sees none.

use super::exchange::Exchange;
use super::h1::{self, Asker};
use super::head::{RequestHead, ResponseHead};
use super::reply::Reply;
use crate::observe::reason::Reason;
use crate::plan::{Content, Page};

/// A page, chosen for a client.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'a> {
    /// The status that it is sent with.
    pub(super) status: u16,
    content: &'a Content,
    varies: bool,
}

/// Fields of a target's answer that mean something without its content.
const KEPT: [&str; 3] = ["WWW-Authenticate", "Retry-After", "Allow"];

impl<'a> Chosen<'a> {
    fn of(page: &'a Page, status: u16, head: &RequestHead, text: &[u8]) -> Option<Self> {
        let varies = page.varies();
        let content = page.content(varies && rather_json(head.values(text, b"accept")))?;
        Some(Self { status: page.status.unwrap_or(status), content, varies })
    }

    /// Appends it to `out`, with these further lines.
    pub(super) fn encode(&self, out: &mut Vec<u8>, lines: &str, asker: Asker<'_>, request_id: &str) {
        let vary = if self.varies { "Vary: Accept\r\n" } else { "" };
        let extra = format!("Cache-Control: no-store\r\n{vary}{lines}");
        let body = self.content.fill(request_id, self.status);
        let content_type = self.content.media.as_bytes();
        h1::encode_reply(
            out,
            &h1::Reply { status: self.status, extra: extra.as_bytes(), content_type, body: &body, asker },
        );
    }
}

impl<'a> Exchange<'a> {
    /// What is said in place of this error, if anything.
    #[cold]
    pub(super) fn page(&self, reply: &Reply) -> Option<Chosen<'a>> {
        // What is to be upgraded to is said by the words of the error.
        if !reply.is_error() || self.grpc || reply.status == 426 {
            return None;
        }
        let own = match reply.refusal {
            Some((Reason::Maintenance, _)) => {
                let plan = &self.connection.era.plan;
                plan.routes.get(self.outcome.route).and_then(|route| route.maintenance.as_deref())
            }
            _ => None,
        };
        let (head, text) = (&self.heads.request, &self.text);
        own.and_then(|maintenance| Chosen::of(&maintenance.page, reply.status, head, text))
            .or_else(|| Chosen::of(self.page_for(reply.status)?, reply.status, head, text))
    }

    /// What is said in place of the answer that the target has given, if anything. Whoever fetches for others than a client leaves that
    /// to those who pass it on.
    #[inline]
    pub(super) fn intercepts(&self) -> Option<Chosen<'a>> {
        let status = self.heads.response.status;
        if status >= 400 { self.in_place_of(status) } else { None }
    }

    #[cold]
    fn in_place_of(&self, status: u16) -> Option<Chosen<'a>> {
        let page = self.page_for(status).filter(|page| page.intercept && !self.grpc)?;
        Chosen::of(page, status, &self.heads.request, &self.text)
    }

    /// The page for a status: the route's own, or else the listener's.
    fn page_for(&self, status: u16) -> Option<&'a Page> {
        let (era, http) = (self.connection.era, self.connection.http);
        let route = era.plan.routes.get(self.outcome.route).and_then(|route| route.pages.as_deref());
        route.into_iter().chain(http.pages.as_deref()).find_map(|pages| pages.find(status))
    }
}

/// The lines of a target's answer that stay beside a page.
pub(super) fn kept_lines(head: &ResponseHead, text: &[u8]) -> String {
    let mut lines = String::new();
    for name in KEPT {
        for value in head.values(text, name.as_bytes()).filter_map(|value| std::str::from_utf8(value).ok()) {
            lines += &format!("{name}: {value}\r\n");
        }
    }
    lines
}

/// Whether a client names JSON among what it accepts, and not HTML with as much weight (RFC 9110 §12.5.1).
fn rather_json<'t>(lines: impl Iterator<Item = &'t [u8]>) -> bool {
    let (mut json, mut html) = (0, 0);
    for member in lines.flat_map(|line| line.split(|&byte| byte == b',')) {
        let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let given = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
        let weight = given.map_or(Some(1.0), |given| std::str::from_utf8(given).ok()?.parse::<f32>().ok());
        let weight = weight.map_or(0, |weight| (weight.clamp(0.0, 1.0) * 1000.0) as u16);
        match &name[..] {
            b"application/json" | b"application/problem+json" => json = weight.max(json),
            b"text/html" | b"application/xhtml+xml" => html = weight.max(html),
            _ => {}
        }
    }
    json > html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_json_before_html_gets_json() {
        for (accept, is_json) in [
            ("application/json", true),
            ("application/json, text/plain, */*", true),
            ("application/problem+json;q=0.5, */*;q=0.1", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("text/html;q=0.5, application/json", true),
            ("text/html, application/json;q=0.9", false),
            ("application/json;q=0", false),
            ("*/*", false),
            ("", false),
            ("application/json;q=nan", false),
        ] {
            assert_eq!(rather_json([accept.as_bytes()].into_iter()), is_json, "{accept}");
        }
        assert!(!rather_json(std::iter::empty()));
    }
}
