//! What the running process would do with a request: by its own plan, with what it knows of targets, consumers and issuers.

use super::body::Json;
use super::desk::Desk;
use super::problem::Problem;
use super::read::answer;
use super::view::{Explained, NewExplanation};
use crate::config::client_address;
use crate::control::present::Present;
use crate::explain::{self, Request, Unclear, text};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

pub(super) async fn explain(
    State(desk): State<Arc<Desk>>,
    Json(new): Json<NewExplanation>,
) -> Result<Response, Problem> {
    let present = desk.report.present();
    // It looks at every route.
    let work = tokio::task::spawn_blocking(move || told(&present, new));
    let broken = |error: tokio::task::JoinError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    answer(200, None, &work.await.map_err(broken)??)
}

fn told(present: &Present, new: NewExplanation) -> Result<Explained, Problem> {
    let unclear = |unclear: Unclear| {
        let help = unclear.help.map(|help| format!("; {help}")).unwrap_or_default();
        Problem::invalid(format!("{}{help}", unclear.what))
    };
    let asked = Request::get(new.url);
    let client = new.client.map(|client| client_address(&client)).transpose();
    let client = client.map_err(|invalid| Problem::invalid(format!("`client`: {}", invalid.what)))?;
    let request = Request {
        method: new.method.unwrap_or_else(|| asked.method.clone()),
        client: client.unwrap_or(asked.client),
        listener: new.listener,
        http2: new.http2,
        sni: new.sni,
        alpn: new.alpn,
        ..asked
    };
    let request = request.with_headers(&new.headers).map_err(unclear)?;
    let explanation = explain::explain(&present.plan, &request).map_err(unclear)?;
    let text = text::render(&explanation, false);
    let broken = |error: serde_json::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let explanation = serde_json::to_value(&explanation).map_err(broken)?;
    Ok(Explained { plan: present.number, text, explanation })
}
