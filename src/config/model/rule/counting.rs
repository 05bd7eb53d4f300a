//! What rules that count take where nothing is said.

use crate::config::limit_key::LimitKey;

pub(super) fn client_ip() -> LimitKey {
    LimitKey::ClientIp
}

pub(super) fn all_of_ipv4() -> u8 {
    32
}

/// A client commonly has a whole net of this size.
pub(super) fn net_of_ipv6() -> u8 {
    64
}

pub(super) fn many() -> usize {
    100_000
}
