//! What the answer of a policy comes to.

use super::fault;
use super::policy::Answer;
use crate::domain::decision::{PolicyReview, Verdict};
use crate::error::FaultKind;

/// Writes down what a policy said, and tells what it comes to.
pub(super) fn verdict(answer: Result<Answer, FaultKind>, review: &mut PolicyReview) -> Verdict {
    let (verdict, outcome) = match answer {
        Ok(answer) => {
            review.findings = answer.findings;
            match answer.allows {
                true => (Verdict::Allowed, "allow"),
                false => (Verdict::Denied, "deny"),
            }
        }
        Err(kind) => {
            let code = fault::of_policy(kind, Some(review.digest)).code();
            (Verdict::Fault(code.to_owned()), code)
        }
    };
    review.outcome = outcome.to_owned();
    verdict
}
