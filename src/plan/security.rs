//! The headers of `security_headers` as edits, after what the OWASP Secure Headers Project recommends; Strict-Transport-Security
//! is the listener's.

use super::Edit;
use crate::config::model::{HeaderEdits, Say, SecurityHeaders, SecurityTable};
use crate::config::template::Template;

/// A header that browsers go by.
struct Header {
    name: &'static str,
    says: fn(&SecurityTable) -> &Option<Say>,
    /// What breaks no page; empty: it is left out.
    mild: &'static str,
    /// The most that it can ask for.
    strict: &'static str,
    /// Whether `strict` has it by itself.
    in_strict: bool,
    /// Whether only the application can know what it needs, so that no preset takes the place of what it says.
    is_its_own: bool,
}

const HEADERS: [Header; 9] = [
    Header {
        name: "X-Content-Type-Options",
        says: |table| &table.content_type_options,
        mild: "nosniff",
        strict: "nosniff",
        in_strict: true,
        is_its_own: false,
    },
    Header {
        name: "X-Frame-Options",
        says: |table| &table.frame_options,
        mild: "SAMEORIGIN",
        strict: "DENY",
        in_strict: true,
        is_its_own: false,
    },
    Header {
        name: "Referrer-Policy",
        says: |table| &table.referrer_policy,
        mild: "strict-origin-when-cross-origin",
        strict: "no-referrer",
        in_strict: true,
        is_its_own: false,
    },
    Header {
        name: "X-Permitted-Cross-Domain-Policies",
        says: |table| &table.permitted_cross_domain_policies,
        mild: "none",
        strict: "none",
        in_strict: true,
        is_its_own: false,
    },
    Header {
        name: "Cross-Origin-Opener-Policy",
        says: |table| &table.cross_origin_opener_policy,
        mild: "",
        strict: "same-origin",
        in_strict: true,
        is_its_own: false,
    },
    Header {
        name: "Cross-Origin-Resource-Policy",
        says: |table| &table.cross_origin_resource_policy,
        mild: "",
        strict: "same-origin",
        in_strict: true,
        is_its_own: false,
    },
    Header {
        name: "Cross-Origin-Embedder-Policy",
        says: |table| &table.cross_origin_embedder_policy,
        mild: "",
        strict: "require-corp",
        in_strict: false,
        is_its_own: false,
    },
    Header {
        name: "Content-Security-Policy",
        says: |table| &table.content_security_policy,
        mild: "",
        strict: "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'",
        in_strict: true,
        is_its_own: true,
    },
    Header {
        name: "Permissions-Policy",
        says: |table| &table.permissions_policy,
        mild: "",
        strict: "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), \
                 microphone=(), midi=(), payment=(), serial=(), usb=()",
        in_strict: true,
        is_its_own: true,
    },
];

/// What tells what a target runs on, which is of use to attackers alone.
const TELLING: [&str; 10] = [
    "Server",
    "X-Powered-By",
    "X-Powered-CMS",
    "X-AspNet-Version",
    "X-AspNetMvc-Version",
    "X-Generator",
    "X-Runtime",
    "X-Version",
    "X-SourceFiles",
    "X-CF-Powered-By",
];

/// The edits of answers that a route's `security_headers` stands for; headers that its own edits name are left to those.
pub(super) fn edits(headers: &SecurityHeaders, own: &HeaderEdits) -> Vec<Edit> {
    let Some(table) = headers.table() else { return Vec::new() };
    let is_own = |name: &str| own.names().any(|own| own.eq_ignore_ascii_case(name));
    let hidden = TELLING.into_iter().filter(|_| table.hide).map(|name| Edit::Remove(name.into()));
    let said = HEADERS.iter().filter_map(|header| edit(header, &table));
    hidden.chain(said).filter(|edit| !is_own(edit.name())).collect()
}

fn edit(header: &Header, table: &SecurityTable) -> Option<Edit> {
    let says = (header.says)(table);
    let value = match says {
        Some(Say::Nothing) => return None,
        Some(Say::Value(value)) => value,
        Some(Say::Strict) => header.strict,
        None if table.strict && header.in_strict => header.strict,
        None if table.strict => return None,
        None => header.mild,
    };
    let value = Some(Template::plain(value)).filter(|_| !value.is_empty())?;
    let given = matches!(says, Some(Say::Value(_)));
    Some(match table.strict && (given || !header.is_its_own) {
        true => Edit::Set(header.name.into(), value),
        false => Edit::Add(header.name.into(), value),
    })
}
