//! What analytics have summed up, as JSON, as JSON lines and as CSV.

use super::body::Query;
use super::desk::Desk;
use super::problem::Problem;
use super::read::answer;
use super::view::{Analytics, Sums, WantedSums};
use crate::config::units::Span;
use crate::control::analytics::{self, Question, Row};
use crate::observe::wall::now;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;
use std::sync::Arc;

/// Rows of an answer.
const MOST: usize = 100_000;

const A_DAY: u64 = 24 * 3600;

pub(super) async fn analytics(
    State(desk): State<Arc<Desk>>,
    Query(wanted): Query<WantedSums>,
) -> Result<Response, Problem> {
    let mut question = question(&wanted).map_err(Problem::invalid)?;
    let format = wanted.format.as_deref().unwrap_or("json");
    if !["json", "jsonl", "csv"].contains(&format) {
        return Err(Problem::invalid("`format` is \"json\", \"jsonl\" or \"csv\""));
    }
    let present = desk.report.present();
    let of_deprecated = match wanted.deprecated.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::invalid("`deprecated` is \"true\" or \"false\"")),
    };
    if of_deprecated {
        let deprecated = present.plan.routes.iter().filter(|route| route.lifecycle.is_some());
        question.routes = Some(deprecated.map(|route| route.name.clone()).collect());
    }
    let config = &present.plan.config;
    if config.analytics.is_none() {
        return Err(Problem::new(StatusCode::CONFLICT, "nothing is summed up: add [analytics] to the configuration"));
    }
    let _place = desk.looks.acquire().await.map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "it ends"))?;
    let (folder, asked) = (config.runtime.state_dir.clone(), question.clone());
    let read = tokio::task::spawn_blocking(move || analytics::read(&folder, &asked, MOST)).await;
    let failed = |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the sums cannot be read: {why}"));
    let too_many =
        || Problem::invalid(format!("that is more than {MOST} rows: ask for less time, a longer `step` or less `by`"));
    let rows = read.map_err(|error| failed(error.to_string()))?.map_err(failed)?.ok_or_else(too_many)?;
    let items: Vec<Sums> = rows.into_iter().map(shown).collect();
    let (kind, text) = match format {
        "csv" => ("text/csv; charset=utf-8", csv(&items, &question)),
        "jsonl" => ("application/jsonl", lines(&items)?),
        _ => return answer(200, None, &Analytics { from: question.from, to: question.to, items }),
    };
    let mut response = text.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn question(wanted: &WantedSums) -> Result<Question, String> {
    let now = now();
    let at = |key: &str, text: &Option<String>| text.as_deref().map(|text| moment(key, text, now)).transpose();
    let to = at("to", &wanted.to)?.unwrap_or(now + 1);
    let from = at("from", &wanted.from)?.unwrap_or(now.saturating_sub(A_DAY));
    if from >= to {
        return Err("`from` is not before `to`".to_owned());
    }
    let by = wanted.by.as_deref().unwrap_or_default().split(',').map(str::trim).filter(|by| !by.is_empty());
    let by = by.map(str::parse).collect::<Result<Vec<_>, String>>()?;
    Ok(Question { from, to, by, step: wanted.step.as_deref().map(str::parse).transpose()?, routes: None })
}

/// A moment in seconds since 1970: as that, as a date with its time, or as how long ago it was.
fn moment(key: &str, text: &str, now: u64) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    if let Ok(span) = text.parse::<Span>() {
        return Ok(now.saturating_sub(span.0.as_secs()));
    }
    let stamp = text.parse::<jiff::Timestamp>().ok().and_then(|stamp| u64::try_from(stamp.as_second()).ok());
    stamp.ok_or_else(|| {
        format!(
            "`{key}` is a time: seconds since 1970, \"2026-11-29T08:00:00Z\", or how long ago, \"90m\"; not `{text}`"
        )
    })
}

fn shown(Row { group, sums, last }: Row) -> Sums {
    let millis = |us: f64| (us / 1000.0 * 1000.0).round() / 1000.0;
    Sums {
        at: group.at,
        consumer: group.consumer,
        route: group.route,
        version: group.version,
        status: group.status,
        requests: sums.requests,
        errors: sums.errors,
        bytes_in: sums.bytes_in,
        bytes_out: sums.bytes_out,
        latency_ms: millis(sums.latency_us as f64),
        p50_ms: millis(sums.percentile_us(0.5)),
        p95_ms: millis(sums.percentile_us(0.95)),
        p99_ms: millis(sums.percentile_us(0.99)),
        last,
    }
}

fn lines(items: &[Sums]) -> Result<String, Problem> {
    let told = |error: serde_json::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let mut text = String::new();
    for item in items {
        text += &serde_json::to_string(item).map_err(told)?;
        text.push('\n');
    }
    Ok(text)
}

/// Lines with a head (RFC 4180), of the columns that were asked for.
fn csv(items: &[Sums], question: &Question) -> String {
    use analytics::By;
    let has = |by: By| question.by.contains(&by);
    let asked = [
        ("at", question.step.is_some()),
        ("consumer", has(By::Consumer)),
        ("route", has(By::Route)),
        ("version", has(By::Version)),
        ("status", has(By::Status)),
    ];
    let mut text = String::new();
    for (name, _) in asked.iter().filter(|(_, is_asked)| *is_asked) {
        text += name;
        text.push(',');
    }
    text += "requests,errors,bytes_in,bytes_out,latency_ms,p50_ms,p95_ms,p99_ms,last\r\n";
    for item in items {
        let fields = [
            item.at.map(|at| at.to_string()),
            item.consumer.as_deref().map(quoted),
            item.route.as_deref().map(quoted),
            item.version.as_deref().map(quoted),
            item.status.map(|status| status.to_string()),
        ];
        for field in fields.into_iter().flatten() {
            text += &field;
            text.push(',');
        }
        let Sums { requests, errors, bytes_in, bytes_out, latency_ms, p50_ms, p95_ms, p99_ms, last, .. } = item;
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "{requests},{errors},{bytes_in},{bytes_out},{latency_ms},{p50_ms},{p95_ms},{p99_ms},{last}\r\n"
        );
    }
    text
}

/// A field that holds what it holds, and that no program for tables takes for a formula.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_forms() {
        assert_eq!(moment("from", "1795867200", 0), Ok(1_795_867_200));
        assert_eq!(moment("from", "1h30m", 10_000), Ok(4_600));
        assert_eq!(moment("from", "2026-11-28T12:00:00Z", 0), Ok(1_795_867_200));
        assert!(moment("from", "yesterday", 0).unwrap_err().contains("`from`"));
    }

    #[test]
    fn a_name_cannot_end_its_field_nor_be_a_formula() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("ann"), "ann");
    }
}
