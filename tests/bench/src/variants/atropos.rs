//! A fresh and isolated instance for each decision, with all limits on, which also says why.

use anyhow::Result;
use atropos::config::Config;
use atropos::store::decision::Question;

use super::native;
use crate::facts::{DOCUMENT_DAYS, PHOTO_DAYS};
use crate::harness::Decide;
use crate::sandbox;

/// What the contract allows an object to bear, and a decision to hold.
const MOST: usize = 64;

pub(super) fn fresh(question: &Question) -> Result<Decide> {
    let settings =
        format!(r#"{{"minimum-age-days":{{"photo":{PHOTO_DAYS},"document":{DOCUMENT_DAYS}}}}}"#);
    ask("retention", question.clone(), settings)
}

/// What the sandbox costs where the policy has nothing to find out.
pub(super) fn allow_all(question: &Question) -> Result<Decide> {
    ask("allow-all", question.clone(), "{}".to_owned())
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
    ask("labels", question, settings.to_string())
}

fn ask(policy: &str, question: Question, settings: String) -> Result<Decide> {
    let judge = sandbox::judge(policy)?;
    let limits = Config::default().policy;
    Ok(Box::new(move || {
        let run = judge.ask(&question, &settings, limits);
        run.answer.is_ok_and(|answer| answer.allows)
    }))
}
