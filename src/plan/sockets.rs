//! How sockets are set up.

use crate::config::model::{self, SourceAddress};
use crate::net::{Binding, Egress, Listening, Origin, TcpOptions};
use std::sync::Arc;
use std::time::Duration;

/// How the addresses of a listener are bound and listened on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketSetup {
    /// What stays as it is for as long as an address is bound.
    pub binding: Binding,
    /// What does not.
    pub listening: Listening,
}

pub(super) fn compile(listener: &model::Listener) -> SocketSetup {
    let model::ListenerTcp { backlog, defer_accept, fast_open, keepalive, mss, user_timeout } = listener.tcp.clone();
    let tcp = options(fast_open, keepalive, mss, user_timeout.map(|span| span.0));
    SocketSetup {
        binding: Binding {
            v6only: listener.v6only,
            transparent: listener.transparent,
            interface: listener.interface.clone(),
        },
        listening: Listening { tcp, backlog: i32::try_from(backlog).unwrap_or(i32::MAX), deferred: defer_accept },
    }
}

/// How the targets of a pool are connected to; `None`: as the kernel has it.
pub(super) fn egress(pool: &model::Pool) -> Option<Arc<Egress>> {
    let model::PoolTcp { fast_open, keepalive, mss, user_timeout } = pool.tcp.clone();
    let egress = Egress {
        source: match &pool.source {
            None => Origin::Any,
            Some(SourceAddress::Client) => Origin::Client,
            Some(SourceAddress::List(list)) => Origin::Own(list.clone().into()),
        },
        interface: pool.interface.clone(),
        tcp: options(fast_open, keepalive, mss, user_timeout.map(|span| span.0)),
    };
    (egress != Egress::default()).then(|| Arc::new(egress))
}

fn options(
    fast_open: bool,
    keepalive: Option<model::TcpKeepalive>,
    mss: Option<u32>,
    user_timeout: Option<Duration>,
) -> TcpOptions {
    let keepalive = keepalive.map(|asked| (asked.idle.0, asked.interval.0, asked.count));
    TcpOptions { keepalive, user_timeout, mss, fast_open }
}
