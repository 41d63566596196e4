//! The record of decisions that erase nothing.

use uuid::Uuid;

use super::subject::Subject;
use crate::domain::decision::{Decision, Verdict};

pub(super) async fn recorded_refusals_are_kept_and_erase_nothing(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let denied = subject.denied(&object);
    // Of one moment, as two may be.
    let fault = Decision {
        id: Uuid::new_v4(),
        verdict: Verdict::Fault("policy-trap".to_owned()),
        ..denied.clone()
    };
    let batch = [denied, fault];
    for recorded in subject.rows.record(&batch).await.unwrap() {
        recorded.unwrap();
    }
    let decisions = subject.decisions().await;
    let verdicts: Vec<_> = decisions.iter().map(|one| one.verdict.as_str()).collect();
    assert_eq!(verdicts, ["denied", "policy-trap"], "in order");
    assert_eq!(subject.find(&object.target).await, Some(object));
}
