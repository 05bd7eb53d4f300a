//! The values that edits of JSON bodies put in, as JSON texts.

use super::Facts;
use crate::config::model::Filled;
use crate::config::template::{Piece, Template};
use crate::gateway::transform::push_text;
use crate::http::head::ResponseHead;

/// The values filled in. `answer` is the head of an answer with its text, once there is one.
pub(in crate::http) fn values(
    values: &[Filled],
    facts: &Facts<'_>,
    answer: Option<(&ResponseHead, &[u8])>,
) -> Vec<Vec<u8>> {
    let each = values.iter().map(|value| {
        let mut out = Vec::new();
        push(value, facts, answer, &mut out);
        out
    });
    each.collect()
}

fn push(value: &Filled, facts: &Facts<'_>, answer: Option<(&ResponseHead, &[u8])>, out: &mut Vec<u8>) {
    match value {
        Filled::Text(text) => push_text(&said(&text.0, facts, answer), out),
        Filled::Plain(plain) => out.extend_from_slice(plain.as_bytes()),
        Filled::List(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                out.extend_from_slice(if place > 0 { b"," } else { b"" });
                push(item, facts, answer, out);
            }
            out.push(b']');
        }
        Filled::Table(members) => {
            out.push(b'{');
            for (place, (name, member)) in members.iter().enumerate() {
                out.extend_from_slice(if place > 0 { b"," } else { b"" });
                push_text(name.as_bytes(), out);
                out.push(b':');
                push(member, facts, answer, out);
            }
            out.push(b'}');
        }
    }
}

fn said(template: &Template, facts: &Facts<'_>, answer: Option<(&ResponseHead, &[u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    let join = |values: &mut dyn Iterator<Item = &[u8]>, out: &mut Vec<u8>| {
        for (place, value) in values.enumerate() {
            out.extend_from_slice(if place > 0 { b", " } else { b"" });
            out.extend_from_slice(value);
        }
    };
    for piece in template.pieces() {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Field(field) => facts.push(*field, &mut out),
            Piece::RequestHeader(name) => join(&mut facts.head.values(facts.text, name.as_bytes()), &mut out),
            Piece::ResponseHeader(name) => {
                if let Some((head, text)) = answer {
                    join(&mut head.values(text, name.as_bytes()), &mut out);
                }
            }
            // No body has a regex.
            Piece::Captured(_) => {}
        }
    }
    out
}
