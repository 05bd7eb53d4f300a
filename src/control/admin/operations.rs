//! The table of all that can be asked under `/v1`. The router and the API's document are both made from it.

use super::desk::Desk;
use super::{
    analytics, caches, change, connections, consumers, explained, mirrors, read, recent, session, splits, sticky, view,
};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use schemars::{Schema, SchemaGenerator, json_schema};
use std::sync::Arc;

/// Something that can be asked.
pub(super) struct Operation {
    /// The method in lower case, as OpenAPI has it.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// An object whose properties are the parameters of the query.
    pub(super) query: Option<SchemaOf>,
    pub(super) body: Option<SchemaOf>,
    /// Whether there must be one.
    pub(super) body_required: bool,
    /// What a good answer holds.
    pub(super) answer: Option<SchemaOf>,
    /// The status of a good answer.
    pub(super) status: u16,
    /// Whether it changes something.
    pub(super) changes: bool,
    /// What good answers and requests have to do with entity tags.
    pub(super) tags: Tags,
    pub(super) handler: Handler,
}

/// What an operation has to do with entity tags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tags {
    /// Nothing.
    None,
    /// Its answers carry one.
    Shown,
    /// It heeds `If-Match`, and its answers carry one.
    Heeded,
}

type Handler = fn() -> MethodRouter<Arc<Desk>>;

pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

const fn of<T: schemars::JsonSchema>() -> Option<SchemaOf> {
    Some(SchemaGenerator::subschema_for::<T>)
}

/// What the configuration holds is described by `ringway schema`.
fn configuration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "description": "As `ringway schema` describes it, with every default in its place." })
}

impl Operation {
    const fn new(
        (method, handler): (&'static str, Handler),
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let (query, body, answer) = (None, None, None);
        let changes = !matches!(method.as_bytes(), b"get");
        Self {
            method,
            path,
            id,
            summary,
            query,
            body,
            body_required: true,
            answer,
            status: 200,
            changes,
            tags: Tags::None,
            handler,
        }
    }

    const fn query<T: schemars::JsonSchema>(self) -> Self {
        Self { query: of::<T>(), ..self }
    }

    const fn body<T: schemars::JsonSchema>(self) -> Self {
        Self { body: of::<T>(), ..self }
    }

    const fn optional_body<T: schemars::JsonSchema>(self) -> Self {
        Self { body: of::<T>(), body_required: false, ..self }
    }

    const fn answer<T: schemars::JsonSchema>(self) -> Self {
        Self { answer: of::<T>(), ..self }
    }

    const fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    const fn tags(self, tags: Tags) -> Self {
        Self { tags, ..self }
    }
}

/// `operation!(get "/v1/status", read::status, "What it does.")`
macro_rules! operation {
    ($method:ident $path:literal, $module:ident::$handler:ident, $summary:literal) => {
        Operation::new((stringify!($method), || $method($module::$handler)), $path, stringify!($handler), $summary)
    };
}

/// All operations, in the order of the document.
pub(super) static OPERATIONS: &[Operation] = &[
    operation!(get "/v1/status", read::status, "The process on one page.").answer::<view::Status>(),
    Operation {
        answer: Some(configuration),
        ..operation!(get "/v1/plan", read::plan,
            "The configuration in force; what came from the environment is shown as its placeholder.").tags(Tags::Shown)
    },
    operation!(get "/v1/headline", recent::headline, "Whether all is well, and what is not, the worst first.")
        .answer::<view::Headline>(),
    operation!(get "/v1/traffic", recent::traffic, "What has happened of late, moment by moment; 409 with `admin.dashboard = false`.")
        .query::<view::Moments>()
        .answer::<view::Traffic>(),
    operation!(get "/v1/exchanges", recent::exchanges,
        "Requests and connections of late that failed, were refused or took long, the newest first; of each kind the last \
            200. 409 with `admin.dashboard = false`.")
        .query::<view::Exchanges>()
        .answer::<view::Page<view::Exchange>>(),
    operation!(get "/v1/rules", recent::rules, "The rules, and what they decided.")
        .query::<view::Part>()
        .answer::<view::Page<view::Rule>>(),
    operation!(get "/v1/analytics", analytics::analytics,
        "Sums of requests by consumer, route, version and status, also as CSV and JSON lines; 409 without `[analytics]`.")
        .query::<view::WantedSums>()
        .answer::<view::Analytics>(),
    operation!(get "/v1/listeners", read::listeners, "The listeners.")
        .query::<view::Part>()
        .answer::<view::Page<view::Listener>>(),
    operation!(get "/v1/routes", read::routes, "The routes.").query::<view::Part>().answer::<view::Page<view::Route>>(),
    operation!(get "/v1/pools", read::pools, "The pools with their targets.")
        .query::<view::Part>()
        .answer::<view::Page<view::Pool>>()
        .tags(Tags::Shown),
    operation!(get "/v1/pools/{pool}", read::pool, "A pool with its targets.").answer::<view::Pool>().tags(Tags::Shown),
    operation!(get "/v1/pools/{pool}/targets", read::targets, "The targets of a pool.")
        .query::<view::Part>()
        .answer::<view::Page<view::Target>>()
        .tags(Tags::Shown),
    operation!(get "/v1/pools/{pool}/targets/{target}", read::target, "A target.")
        .answer::<view::Target>()
        .tags(Tags::Shown),
    operation!(get "/v1/pools/{pool}/sticky", sticky::sticky,
        "The table in which the clients of a pool are noted, and where one of them belongs.")
        .query::<view::WhoseEntry>()
        .answer::<view::Noted>(),
    operation!(get "/v1/splits", splits::splits, "The routes whose requests are divided among pools.")
        .query::<view::Part>()
        .answer::<view::Page<view::Split>>()
        .tags(Tags::Shown),
    operation!(get "/v1/splits/{route}", splits::split, "How the requests of a route are divided among pools.")
        .answer::<view::Split>()
        .tags(Tags::Shown),
    operation!(get "/v1/mirrors", mirrors::mirrors,
        "The routes of which another pool gets requests as well, and how its answers differ.")
        .query::<view::Part>()
        .answer::<view::Page<view::Mirror>>(),
    operation!(get "/v1/mirrors/{route}", mirrors::mirror, "How the answers of a route's mirror differ.")
        .answer::<view::Mirror>(),
    operation!(get "/v1/caches", caches::caches, "The caches.")
        .query::<view::Part>()
        .answer::<view::Page<view::Cache>>(),
    operation!(get "/v1/caches/{cache}", caches::cache, "A cache.").answer::<view::Cache>(),
    operation!(get "/v1/overrides", read::overrides, "What operators have changed of targets and splits.")
        .answer::<view::Overrides>()
        .tags(Tags::Shown),
    operation!(get "/v1/reloads", read::reloads, "The last reloads and changes, the newest first.")
        .answer::<view::Page<view::Reload>>(),
    operation!(get "/v1/connections", connections::list, "Clients' open connections.")
        .query::<view::Connections>()
        .answer::<view::Page<view::Connection>>(),
    operation!(get "/v1/certificates", read::certificates, "Certificates in service: of each listener those that end first.")
        .answer::<view::Page<view::Certificate>>(),
    operation!(get "/v1/limits", read::limits, "What the process may use, and what clients may send.")
        .answer::<view::Limits>(),
    operation!(get "/v1/bans", read::bans, "Clients that are refused.")
        .query::<view::Part>()
        .answer::<view::Page<view::Ban>>()
        .tags(Tags::Shown),
    operation!(get "/v1/consumers", consumers::consumers, "Who is known, without what they prove themselves with.")
        .query::<view::Part>()
        .answer::<view::Page<view::Consumer>>()
        .tags(Tags::Shown),
    operation!(get "/v1/consumers/{consumer}", consumers::consumer, "A consumer.")
        .answer::<view::Consumer>()
        .tags(Tags::Shown),
    operation!(get "/v1/session", session::session, "Whether who asks may change something, or has to sign in for that.")
        .answer::<view::Session>(),
    operation!(get "/v1/log-level", read::log_level, "What the operational log tells.").answer::<view::LogLevel>(),
    operation!(post "/v1/reload", change::reload,
        "Reads the configuration anew, and waits for what becomes of it: 422 with the diagnostics if it is refused, 202 if it \
            is tried out first.")
        .optional_body::<view::NewReload>()
        .answer::<view::Reload>(),
    operation!(post "/v1/upgrade", change::upgrade,
        "Starts the binary anew, which takes over, and waits until it accepts: 409 with the reason if it cannot.")
        .answer::<view::Upgrade>(),
    operation!(post "/v1/explain", explained::explain,
        "Says what would become of a request, and why, by what the process knows; nothing is sent, and nothing counted.")
        .body::<view::NewExplanation>()
        .answer::<view::Explained>(),
    operation!(patch "/v1/pools/{pool}/targets/{target}", change::set_target, "Changes a target's state or weight.")
        .body::<view::PatchTarget>()
        .answer::<view::Changed>()
        .tags(Tags::Heeded),
    operation!(post "/v1/pools/{pool}/targets", change::add_target, "Adds a target to a pool.")
        .body::<view::NewTarget>()
        .answer::<view::Changed>()
        .status(201)
        .tags(Tags::Heeded),
    operation!(delete "/v1/pools/{pool}/targets/{target}", change::remove_target,
        "Removes a target from its pool; what it has in hand it finishes.")
        .query::<view::Lasting>()
        .answer::<view::Changed>()
        .tags(Tags::Heeded),
    operation!(delete "/v1/pools/{pool}/sticky", sticky::forget,
        "Forgets where clients of a pool belong: all, those of a target, or one.")
        .query::<view::Forgotten>()
        .answer::<view::Forgot>(),
    operation!(delete "/v1/pools/{pool}/targets/{target}/ejection", change::return_target,
        "Has an ejected target come back at once: 409 if it is not ejected.")
        .status(204),
    operation!(patch "/v1/splits/{route}", splits::set,
        "Gives pools of a route's split other weights, at once and until it is reset: a canary's next step, or blue and green changed over.")
        .body::<view::PatchSplit>()
        .answer::<view::Changed>()
        .tags(Tags::Heeded),
    operation!(delete "/v1/splits/{route}", splits::reset, "Divides the requests of a route as the configuration says.")
        .answer::<view::Changed>()
        .tags(Tags::Heeded),
    operation!(delete "/v1/mirrors/{route}", mirrors::reset_mirror, "Begins the report of a route's mirror anew.").status(204),
    operation!(delete "/v1/overrides/{pool}/{target}", change::reset_target,
        "Makes a target what the configuration says.")
        .answer::<view::Changed>()
        .tags(Tags::Heeded),
    operation!(delete "/v1/overrides", change::reset_all, "Makes all targets and splits what the configuration says.")
        .answer::<view::Changed>()
        .tags(Tags::Heeded),
    operation!(post "/v1/caches/{cache}/purge", caches::purge,
        "Purges of a cache what is meant by one of `url`, `prefix`, `tag`, `host` and `all`; it is in force when this is answered.")
        .body::<view::NewPurge>()
        .answer::<view::Purged>(),
    operation!(post "/v1/purge", caches::purge_all, "The same of all caches.")
        .body::<view::NewPurge>()
        .answer::<view::Purged>(),
    operation!(put "/v1/bans/{client}", change::ban, "Refuses an address or a range (with its `/` as %2F).")
        .body::<view::NewBan>()
        .answer::<view::Ban>()
        .tags(Tags::Heeded),
    operation!(delete "/v1/bans/{client}", change::unban, "Takes a ban back.").status(204).tags(Tags::Heeded),
    operation!(put "/v1/consumers/{consumer}", consumers::put_consumer,
        "Makes a consumer, or replaces one as a whole, wherever they come from; it is kept.")
        .body::<view::NewConsumer>()
        .answer::<view::Consumer>()
        .tags(Tags::Heeded),
    operation!(delete "/v1/consumers/{consumer}", consumers::remove_consumer,
        "Removes a consumer, wherever they come from; that is kept.")
        .status(204)
        .tags(Tags::Heeded),
    operation!(delete "/v1/connections", connections::close_some,
        "Ends the connections that are meant, at most 10000 at a time.")
        .query::<view::Ended>()
        .answer::<view::Closed>(),
    operation!(delete "/v1/connections/{id}", connections::close, "Ends a connection.").status(204),
    operation!(post "/v1/session", session::sign_in,
        "Signs a browser in that shows the token: with the cookie that comes with the answer, and its `key` in the header \
            `Ringway-Session` of each request, the token need not be shown again.")
        .answer::<view::NewSession>()
        .status(201),
    operation!(delete "/v1/session", session::sign_out, "Signs a browser out.").status(204),
    operation!(put "/v1/log-level", change::set_log_level, "Chooses what the operational log tells until the next start.")
        .body::<view::LogLevel>()
        .answer::<view::LogLevel>(),
];
