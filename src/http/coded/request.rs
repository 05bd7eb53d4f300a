//! The request, as a target is to see it whose answers may be recoded.

use super::tags;
use crate::http::head::{Name, RequestHead, Span};
use crate::plan::{Compress, Whose};

/// The head and its text for a target; `None`: as they are.
pub(in crate::http) fn onward(rule: &Compress, head: &RequestHead, text: &[u8]) -> Option<(RequestHead, Vec<u8>)> {
    let is = |name: Span, wanted: &[u8]| name.of(text).eq_ignore_ascii_case(wanted);
    let mut changed: Option<(RequestHead, Vec<u8>)> = None;
    for (place, field) in head.fields.iter().enumerate().filter(|(_, field)| field.kind == Name::Other) {
        let whose = match field.name.len() {
            13 if is(field.name, b"if-none-match") => rule.tags.whose(),
            // Two tags are no condition where one has to be the very same: only what is surely ours is put back.
            8 if is(field.name, b"if-match") && rule.tags.whose() == Whose::Ours => Whose::Ours,
            _ => continue,
        };
        if let Some(list) = tags::restored(field.value.of(text), whose) {
            let (head, text) = changed.get_or_insert_with(|| (head.clone(), text.to_vec()));
            let start = text.len();
            text.extend_from_slice(&list);
            head.fields[place].value = Span::new(start, text.len());
        }
    }
    if rule.offload && head.values(text, b"accept-encoding").next().is_some() {
        let (head, _) = changed.get_or_insert_with(|| (head.clone(), text.to_vec()));
        head.fields.retain(|field| field.kind != Name::Other || !is(field.name, b"accept-encoding"));
    }
    changed
}
