//! Headers that no edit touches, because they say how a message is framed or what a connection is for, and what to write instead.

use super::patterns;
use super::units::Invalid;

/// The name of a header that may be edited, as it was written.
///
/// # Errors
/// Why it is none, or may not be.
pub fn editable(name: &str) -> Result<String, Invalid> {
    let plain = patterns::header_name(name)?;
    let why = match plain.as_str() {
        "host" => return Err(Invalid::new("it says where a request goes").help("write `host` on the route")),
        "content-length" | "transfer-encoding" | "trailer" => "it says how the body is framed",
        "connection" | "keep-alive" | "proxy-connection" | "te" | "upgrade" | "http2-settings" => {
            "it is for one connection, not for a message"
        }
        "proxy-authenticate" | "proxy-authentication-info" | "proxy-authorization" => "it is for one connection",
        "expect" => "it says when the body comes",
        "max-forwards" => "it counts how far a request goes",
        "proxy" => "targets of CGI take it for a setting of theirs",
        _ if plain.starts_with("sec-websocket-") => "it is part of a WebSocket's handshake",
        _ => return Ok(name.to_owned()),
    };
    Err(Invalid::new(why).help("leave it out: Ringway answers for it"))
}
