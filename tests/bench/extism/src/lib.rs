//! The rule of the benchmarks as a plugin of Extism, written as its documentation shows: JSON comes
//! in, is read into a structure, and JSON goes out.

#![expect(missing_docs, reason = "the macro exports functions without any")]

use extism_pdk::{FnResult, Json, plugin_fn};
use serde::{Deserialize, Serialize};

const PHOTO_DAYS: u64 = 30;
const DOCUMENT_DAYS: u64 = 2555;
const DAY_MS: u64 = 86_400_000;

/// Of all facts, those that the rule looks at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    object: Object,
    at_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    kind: Kind,
    created_at_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Photo,
    Document,
}

#[derive(Serialize)]
pub struct Judgement {
    allows: bool,
}

#[plugin_fn]
pub fn review(Json(facts): Json<Facts>) -> FnResult<Json<Judgement>> {
    let days = match facts.object.kind {
        Kind::Photo => PHOTO_DAYS,
        Kind::Document => DOCUMENT_DAYS,
    };
    let age_ms = facts.at_ms.saturating_sub(facts.object.created_at_ms);
    let allows = age_ms >= days * DAY_MS;
    Ok(Json(Judgement { allows }))
}
