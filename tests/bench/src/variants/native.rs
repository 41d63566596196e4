//! The rule as an `if` in the platform's own code.

use std::hint::black_box;

use anyhow::Result;
use atropos::domain::decision::Question;
use atropos::target::Kind;

use crate::facts::{DAY_MS, DOCUMENT_DAYS, PHOTO_DAYS};
use crate::harness::Decide;

pub(super) fn closure(question: &Question) -> Result<Decide> {
    let question = question.clone();
    let allows = |question: &Question| {
        let days = match question.object.target.kind {
            Kind::Photo => PHOTO_DAYS,
            Kind::Document => DOCUMENT_DAYS,
        };
        question.at_ms.saturating_sub(question.object.created_at_ms) / DAY_MS >= days
    };
    Ok(Box::new(move || allows(black_box(&question))))
}
