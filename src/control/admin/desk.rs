//! What the handlers share, and the router that they make up.

use super::operations::OPERATIONS;
use super::problem::Problem;
use super::{guard, openapi, probes, safe};
use crate::control::command::Commands;
use crate::control::dashboard;
use crate::control::report::Report;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, map_response};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the handlers share.
pub(super) struct Desk {
    pub(super) report: Arc<Report>,
    pub(super) commands: Commands,
    /// Long looks at the workers' connections: so many at a time.
    pub(super) looks: Semaphore,
}

/// Looks at the workers' connections at a time.
const LOOKS: usize = 4;

impl Desk {
    pub(super) fn new(report: Arc<Report>, commands: Commands) -> Self {
        Self { report, commands, looks: Semaphore::new(LOOKS) }
    }

    /// All that is served.
    pub(super) fn router(self) -> Router {
        let desk = Arc::new(self);
        let mut api: Router<Arc<Self>> = Router::new();
        for operation in OPERATIONS {
            let handler = (operation.handler)();
            let handler = if operation.changes { handler.route_layer(from_fn(guard::changes)) } else { handler };
            api = api.route(operation.path, handler);
        }
        let api = api.route("/openapi.json", axum::routing::get(openapi::show)).with_state(desk.clone());
        let nothing = || async { Problem::not_found("there is nothing here: /openapi.json says what there is") };
        let other = || async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this is for other methods, see Allow") };
        let api = api.merge(probes::router(desk.report.clone()));
        let is_shown = desk.report.present().plan.config.admin.as_ref().is_some_and(|admin| admin.dashboard);
        let all = if is_shown { api.merge(dashboard::router()) } else { api };
        all.fallback(nothing)
            .method_not_allowed_fallback(other)
            .layer(from_fn(guard::all))
            .layer(map_response(safe::all))
    }
}
