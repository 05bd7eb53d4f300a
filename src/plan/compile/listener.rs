//! Listeners of a plan.

use super::{address, fault, key_path};
use crate::config::Fault;
use crate::config::model::{self, Config};
use crate::plan::files::Files;
use crate::plan::router::{Conditions, Router};
use crate::plan::rules::Rules;
use crate::plan::{Forward, Http, Listener, ListenerTimeouts, Pages, Plan, Protocol, Udp, edge, front, guard, sockets};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What listeners are compiled among.
pub(super) struct Context<'a> {
    pub(super) config: &'a Config,
    pub(super) rules: &'a Rules<'a>,
    pub(super) workers: usize,
    pub(super) pools: &'a BTreeMap<&'a str, usize>,
    pub(super) conditions: &'a [Conditions],
    pub(super) previous: Option<&'a Plan>,
    pub(super) files: &'a Files,
}

/// Compiles one.
pub(super) fn compile(
    index: usize,
    name: &str,
    listener: &model::Listener,
    context: &Context<'_>,
    shared: &mut edge::Shared,
) -> Result<Listener, Vec<Fault>> {
    let Context { config, rules, workers, pools, conditions, previous, files } = *context;
    let pool = listener.pool.as_ref().map(|pool| {
        pools
            .get(pool.as_str())
            .copied()
            .ok_or_else(|| vec![fault(&["listeners", name, "pool"], format!("no pool is named `{pool}`"), None)])
    });
    let pool = pool.transpose()?;
    let protocol = match listener.protocol {
        model::Protocol::Tcp => {
            if pool.is_none() && !config.routes.values().any(|route| config.passes_on(route, name)) {
                return Err(vec![fault(&["listeners", name], "a tcp listener needs a `pool`", None)]);
            }
            Protocol::Tcp { pool }
        }
        model::Protocol::Udp => {
            let Some(pool) = pool else {
                return Err(vec![fault(&["listeners", name], "a udp listener needs a `pool`", None)]);
            };
            Protocol::Udp(Udp::compile(&listener.udp, pool, workers))
        }
        model::Protocol::Http => {
            let on_it = |route: &model::Route| config.is_on(route, name);
            let routes: Vec<usize> =
                config.routes.values().enumerate().filter(|(_, route)| on_it(route)).map(|(i, _)| i).collect();
            let named: Vec<(String, Conditions)> = config
                .routes
                .keys()
                .zip(conditions)
                .enumerate()
                .filter(|(i, _)| routes.binary_search(i).is_ok())
                .map(|(_, (name, conditions))| (name.clone(), conditions.clone()))
                .collect();
            let router = Router::new(named).map_err(|ties| {
                ties.into_iter()
                    .map(|tie| Fault {
                        help: Some(tie.help()),
                        what: tie.to_string(),
                        at: key_path(&["routes", &tie.routes[1]]),
                        also: Some((key_path(&["routes", &tie.routes[0]]), "the other one is here".to_owned())),
                    })
                    .collect::<Vec<_>>()
            })?;
            Protocol::Http(Http {
                router,
                routes,
                fallback: pool.map(|pool| Arc::new(Forward::to(pool))),
                answers: shared.answers_in_clear(listener),
                redirect_https: listener.redirect.is_some(),
                trusted_proxies: listener.trusted_proxies.clone(),
                x_forwarded: matches!(listener.forwarded, model::Forwarded::Xff | model::Forwarded::Both),
                forwarded: matches!(listener.forwarded, model::Forwarded::Rfc7239 | model::Forwarded::Both),
                websocket: listener.upgrades.iter().any(|token| token == "websocket"),
                hsts: listener.tls.as_ref().and_then(|tls| tls.hsts.as_ref()).map(edge::hsts).unwrap_or_default(),
                pages: Pages::compile(&listener.error_pages, &key_path(&["listeners", name, "error_pages"]), files)?,
            })
        }
    };
    Ok(Listener {
        name: name.to_owned(),
        index,
        addresses: listener.listen.iter().map(address).collect(),
        protocol,
        timeouts: ListenerTimeouts {
            request_head: listener.timeouts.request_head.0,
            client_body: listener.timeouts.client_body.0,
            write_stall: listener.timeouts.write_stall.0,
            idle: listener.timeouts.idle.0,
        },
        sockets: sockets::compile(listener),
        guard: guard::compile(
            listener,
            rules.doors(&listener.rules),
            previous.and_then(|plan| plan.listener(name)).and_then(|before| before.guard.as_deref()),
        ),
        front: front::compile(name, listener, config)?,
        tls: listener.tls.as_ref().map(|tls| edge::compile(name, listener, tls, shared, previous)).transpose()?,
        aftermath: rules.aftermath(&listener.rules),
    })
}
