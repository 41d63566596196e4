//! A fresh and isolated instance for each decision, with all limits on, which also says why.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use atropos::config::Config;
use atropos::domain::decision::Question;
use atropos::guest::Judge;

use super::native;
use crate::facts::{DOCUMENT_DAYS, PHOTO_DAYS};
use crate::harness::Decide;
use crate::sandbox;

/// What the contract allows an object to bear, and a decision to hold.
const MOST: usize = 64;

pub(super) fn fresh(question: &Question) -> Result<Decide> {
    ask(sandbox::judge("retention")?, question.clone(), settings())
}

/// The same policy in another language.
pub(super) fn of_file(file: &Path, question: &Question) -> Result<Decide> {
    let component = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let judge = sandbox::judge_of(&component)?;
    ask(judge, question.clone(), settings())
}

fn settings() -> String {
    format!(r#"{{"minimum-age-days":{{"photo":{PHOTO_DAYS},"document":{DOCUMENT_DAYS}}}}}"#)
}

/// What the sandbox costs where the policy has nothing to find out.
pub(super) fn allow_all(question: &Question) -> Result<Decide> {
    ask(
        sandbox::judge("allow-all")?,
        question.clone(),
        "{}".to_owned(),
    )
}

/// As much as goes in and out: the photo bears 64 labels, and where it must stay each of them is
/// forbidden and a finding of its own.
pub(super) fn many_findings(question: &Question) -> Result<Decide> {
    let mut question = question.clone();
    question.object.labels = (0..MOST).map(|index| format!("label-{index:02}")).collect();
    let may_go = native::closure(&question)?();
    let forbidden = if may_go {
        vec!["in-order".to_owned()]
    } else {
        question.object.labels.clone()
    };
    let settings = serde_json::json!({ "forbidden": forbidden });
    ask(sandbox::judge("labels")?, question, settings.to_string())
}

fn ask(judge: Judge, question: Question, settings: String) -> Result<Decide> {
    let limits = Config::default().policy;
    Ok(Box::new(move || {
        let run = judge.ask(&question, &settings, limits);
        run.answer.is_ok_and(|answer| answer.allows)
    }))
}
