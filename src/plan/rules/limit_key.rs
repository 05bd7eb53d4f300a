//! What requests are counted by, compiled.

use crate::config::limit_key::LimitKey;
use crate::config::template::{Field, Piece, Template};
use crate::gateway::jwt::Pointer;
use crate::gateway::{Asked, CountBy, CountKey, Place, Text, Who};
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

/// What requests are counted by; `prefixes` are bits that make a client, of IPv4 and of IPv6.
///
/// # Errors
/// What is wrong with it, for the user.
pub(in crate::plan) fn count_key(key: &LimitKey, prefixes: [u8; 2]) -> Result<CountKey, String> {
    let by = match key {
        LimitKey::ClientIp => CountBy::Client,
        LimitKey::Consumer => CountBy::Consumer,
        LimitKey::Route => CountBy::Route,
        LimitKey::Header(name) => CountBy::Place(Place::Header(name.as_str().into())),
        LimitKey::Cookie(name) => CountBy::Place(Place::Cookie(name.as_str().into())),
        LimitKey::Query(name) => CountBy::Place(Place::Query(name.as_str().into())),
        LimitKey::Claim(name) => CountBy::Claim(Pointer::new(name)?),
        LimitKey::Template(template) => CountBy::Text(Arc::new(Filled(template.clone()))),
    };
    Ok(CountKey { by, prefixes })
}

/// A template, filled in for each request. Between its parts stands what none of them has, so that no two requests make one text of
/// different parts.
#[derive(Debug)]
struct Filled(Template);

impl Text for Filled {
    fn write(&self, asked: &Asked<'_>, who: &Who, out: &mut SmallVec<[u8; 128]>) {
        for piece in self.0.pieces() {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::RequestHeader(name) => asked.request.each(name, &mut |value| {
                    out.extend_from_slice(value);
                    out.push(b',');
                }),
                Piece::Field(field) => write_field(*field, asked, who, out),
                // Neither is known before a request goes on.
                Piece::ResponseHeader(_) | Piece::Captured(_) => {}
            }
            out.push(0);
        }
    }
}

fn write_field(field: Field, asked: &Asked<'_>, who: &Who, out: &mut SmallVec<[u8; 128]>) {
    let request = asked.request;
    match field {
        Field::ClientIp => match asked.client.to_canonical() {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        },
        Field::ConsumerName => out.extend_from_slice(who.consumer.as_ref().map_or(b"", |of| of.name.as_bytes())),
        Field::ConsumerGroups => who.consumer.iter().flat_map(|of| &of.groups).for_each(|group| {
            out.extend_from_slice(group.as_bytes());
            out.push(b',');
        }),
        Field::Route => out.extend_from_slice(asked.route.as_bytes()),
        Field::Method => out.extend_from_slice(request.method()),
        Field::Path => out.extend_from_slice(request.path()),
        Field::Query => out.extend_from_slice(request.query().unwrap_or_default()),
        Field::Scheme => out.extend_from_slice(request.scheme().as_bytes()),
        Field::Host => out.extend_from_slice(&request.authority().to_ascii_lowercase()),
        // The configuration lets no others in here.
        _ => {}
    }
}
