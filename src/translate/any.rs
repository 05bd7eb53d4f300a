//! Messages of which only what comes with them says what they are: `google.protobuf.Any`.
//!
//! What always holds: they hold each other no deeper than a few levels. Each of them is read anew, so that the bound on how deep a
//! message is holds for it alone.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage, Value};
use serde_json::{Map, json};
use std::collections::HashSet;

const ANY: &str = "google.protobuf.Any";
/// Levels of them.
const DEEP: usize = 8;

/// Whether a message of this type may hold one.
pub(super) fn may_hold(of: &MessageDescriptor) -> bool {
    let (mut seen, mut left) = (HashSet::new(), vec![of.clone()]);
    while let Some(next) = left.pop() {
        if next.full_name() == ANY {
            return true;
        }
        if seen.insert(next.full_name().to_owned()) {
            left.extend(next.fields().filter_map(|field| field.kind().as_message().cloned()));
        }
    }
    false
}

/// Whether those in a message are not nested too deep.
pub(super) fn is_shallow(message: &DynamicMessage) -> bool {
    within(message, DEEP)
}

fn within(message: &DynamicMessage, left: usize) -> bool {
    if message.descriptor().full_name() == ANY {
        let Some(left) = left.checked_sub(1) else { return false };
        let (url, value) = (message.get_field_by_number(1), message.get_field_by_number(2));
        let (Some(Value::String(url)), Some(Value::Bytes(value))) = (url.as_deref(), value.as_deref()) else {
            return true;
        };
        let pool = message.descriptor().parent_pool().clone();
        // What cannot be read is not gone into.
        return unpacked(url, value, &pool).is_none_or(|held| within(&held, left));
    }
    message.fields().all(|(_, value)| value_within(value, left))
}

fn value_within(value: &Value, left: usize) -> bool {
    match value {
        Value::Message(message) => within(message, left),
        Value::List(values) => match values.first() {
            Some(Value::Message(_)) => values.iter().all(|value| value_within(value, left)),
            _ => true,
        },
        Value::Map(values) => values.values().all(|value| value_within(value, left)),
        _ => true,
    }
}

fn unpacked(url: &str, value: &[u8], pool: &DescriptorPool) -> Option<DynamicMessage> {
    let of = pool.get_message_by_name(url.rsplit('/').next()?)?;
    DynamicMessage::decode(of, value).ok()
}

/// One that stands alone, as JSON: as it is meant where its type is known, else with its bytes in base64.
pub(super) fn shown(text: &[u8], pool: &DescriptorPool) -> Option<serde_json::Value> {
    let any = prost_reflect::prost_types::Any::decode(text).ok()?;
    let known = unpacked(&any.type_url, &any.value, pool).filter(is_shallow);
    let shown = known.and_then(|message| {
        let plain = !message.descriptor().full_name().starts_with("google.protobuf.");
        let value = serde_json::to_value(&message).ok()?;
        Some(match value {
            serde_json::Value::Object(mut fields) if plain => {
                fields.insert("@type".to_owned(), any.type_url.as_str().into());
                fields
            }
            value => Map::from_iter([("@type".to_owned(), any.type_url.as_str().into()), ("value".to_owned(), value)]),
        })
    });
    Some(match shown {
        Some(fields) => serde_json::Value::Object(fields),
        None => json!({ "@type": any.type_url, "value": BASE64_STANDARD.encode(&any.value) }),
    })
}

/// Whether a type is a message with fields of its own, and not one that JSON has as a single value.
pub(super) fn is_plain(kind: &Kind) -> bool {
    kind.as_message().is_some_and(|of| !of.full_name().starts_with("google.protobuf."))
}
