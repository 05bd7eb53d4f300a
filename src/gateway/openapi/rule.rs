//! Rules of type openapi: what is not described goes no further.

use super::api::{Body, Found};
use super::awaited::{Expected, no_type};
use super::json::Bounds;
use super::problem::{self, Errors};
use super::{Api, Awaited, media};
use crate::gateway::{Asked, Denial, Halt, Phase, Request, Rule, Who};
use crate::observe::reason::Reason;
use std::sync::Arc;

/// A rule of type openapi.
#[derive(Debug)]
pub struct OpenApi {
    /// Its place among all.
    rule: usize,
    shadow: bool,
    api: Arc<Api>,
    /// Bytes that a body may have.
    most: usize,
    bounds: Bounds,
}

impl OpenApi {
    /// One at this place among all rules, of which no body that has to be read may have more than `most` bytes.
    pub fn new(rule: usize, shadow: bool, api: Arc<Api>, most: usize, bounds: Bounds) -> Self {
        Self { rule, shadow, api, most, bounds }
    }

    /// What a body has to be by the head before it; nothing: it may be anything, or there is none.
    fn awaited(&self, body: &Body, request: &dyn Request) -> Result<Option<Awaited>, Denial> {
        let (mut types, mut kind) = (0_usize, Vec::new());
        request.each("content-type", &mut |value| {
            types += 1;
            kind.extend_from_slice(media::essence(value));
        });
        let is_empty = |length: &[u8]| length == b"0";
        let length = request.header("content-length");
        let announced = length.as_deref().is_some_and(|length| !is_empty(length));
        let is_there = announced || request.header("transfer-encoding").is_some();
        let expected = match types {
            0 if is_there => return Err(no_type(&body.accept)),
            0 => Expected::Nothing(body.accept.clone()),
            1 => match body.of(&kind) {
                Some(Some(expected)) => expected,
                Some(None) => return Ok(None),
                None => return Err(no_type(&body.accept)),
            },
            // Who says several things may be read by any of them.
            _ => return Err(no_type(&body.accept)),
        };
        let coded = request.header("content-encoding");
        if matches!(expected, Expected::Json(_))
            && coded.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"))
        {
            let detail = "A body that is compressed is not taken here.";
            let denial = problem::denial(415, "coded-body", detail, Errors::default());
            return Err(Denial { lines: "Accept-Encoding: identity\r\n".to_owned(), ..denial });
        }
        let Self { rule, shadow, most, bounds, .. } = *self;
        let awaited = Awaited { rule, shadow, most, bounds, required: body.required, expected };
        let length = length.as_deref().and_then(|length| std::str::from_utf8(length).ok()?.trim().parse::<u64>().ok());
        match length {
            Some(length) if length > most as u64 => Err(awaited.too_large()),
            _ => Ok(Some(awaited)),
        }
    }
}

impl Rule for OpenApi {
    fn phase(&self) -> Phase {
        Phase::Validate
    }

    fn names_path(&self) -> bool {
        true
    }

    fn decide(&self, asked: &Asked<'_>, who: &mut Who) -> Result<(), Halt> {
        let request = asked.request;
        let found = self.api.find(request.path());
        let place = |found: &Option<Found<'_, '_>>| found.as_ref().map(|found| found.place);
        // Whichever way its target reads the path, the same has to be said of it.
        if let Some(reading) = asked.readings.iter().find(|other| place(&self.api.find(&other.path)) != place(&found)) {
            return Err(Denial::new(400, Reason::AmbiguousPath, reading.word).into());
        }
        let Some(Found { item, values, .. }) = found else {
            return Err(problem::denial(404, "no-path", "This API has no such path.", Errors::default()).into());
        };
        let Some(operation) = item.operation(request.method()) else {
            let denial = problem::denial(405, "no-operation", "This path has no such method.", Errors::default());
            return Err(Denial { lines: format!("Allow: {}\r\n", item.allow), ..denial }.into());
        };
        let mut errors = Errors::default();
        for (parameter, place) in &operation.parameters {
            let in_path = place.and_then(|place| values.get(place).copied());
            parameter.check(request, in_path, &mut errors);
        }
        if !errors.is_empty() {
            let detail = "Parameters are not as this API describes them.";
            return Err(problem::denial(400, "parameter", detail, errors).into());
        }
        if let Some(body) = &operation.body
            && let Some(awaited) = self.awaited(body, request)?
            && !asked.dry
        {
            who.bodies.push(awaited);
        }
        Ok(())
    }
}
