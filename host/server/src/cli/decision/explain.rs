//! A decision in plain words: which rule of which policy, with which settings, on which facts, and
//! what would have to change.

use std::fmt::Write as _;

use atropos::domain::decision::{Decision, PolicyReview, Verdict};
use atropos::domain::policies::Revision;
use atropos::target::Object;
use atropos::text::escape;
use serde::Serialize;
use uuid::Uuid;

use super::record::{failed, refusing, sentence};
use crate::cli::output::time;

/// Why it came to what it came to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    decision: Uuid,
    /// What it came to and through whom, in one sentence.
    summary: String,
    /// Who asked.
    caller: String,
    /// The object as it was judged.
    facts: Vec<String>,
    /// By which chain it was judged.
    chain: String,
    /// What each policy said that was asked.
    policies: Vec<Said>,
    /// What would have to change for another outcome; nothing if it was allowed.
    remedies: Vec<String>,
}

/// One policy's part.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    summary: String,
    settings: String,
    findings: Vec<String>,
}

/// Of the revision by which it was decided, the history tells who made it, when and why.
pub(super) fn explain(decision: &Decision, revision: Option<&Revision>) -> Explanation {
    let target = decision.target();
    let came_to = match decision.verdict {
        Verdict::Allowed => "allowed",
        _ => "refused",
    };
    Explanation {
        decision: decision.id,
        summary: format!(
            "{}: the delete of {} {} of user {} was {came_to}: {}",
            at(decision.at_ms),
            target.kind,
            target.id,
            target.owner,
            because(decision)
        ),
        caller: caller(decision),
        facts: facts(&decision.object, decision.at_ms),
        chain: chain(decision, revision),
        policies: decision.reviews.iter().map(said).collect(),
        remedies: remedies(decision),
    }
}

impl Explanation {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}.\n\n", escape(&self.summary));
        let _ = writeln!(text, "Asked by:  {}", escape(&self.caller));
        let _ = writeln!(text, "Facts:     {}", escape(&self.facts.join("; ")));
        let _ = writeln!(text, "Chain:     {}", escape(&self.chain));
        for (place, policy) in self.policies.iter().enumerate() {
            let _ = writeln!(text, "\n{}. {}", place + 1, escape(&policy.summary));
            let _ = writeln!(text, "   settings: {}", escape(&policy.settings));
            for finding in &policy.findings {
                let _ = writeln!(text, "   - {}", escape(finding));
            }
        }
        if !self.remedies.is_empty() {
            text.push_str("\nWhat would have to change:\n");
        }
        for remedy in &self.remedies {
            let _ = writeln!(text, "- {}", escape(remedy));
        }
        text.truncate(text.trim_end().len());
        text
    }
}

fn because(decision: &Decision) -> String {
    let asked = decision.reviews.len();
    let no_policy = "no policy was asked";
    match (&decision.verdict, refusing(decision)) {
        (Verdict::Allowed, _) if asked == 1 => {
            "the one policy of the chain had nothing against it".to_owned()
        }
        (Verdict::Allowed, _) => {
            format!("all {asked} policies of the chain had nothing against it")
        }
        (Verdict::Held, _) => format!("a legal hold was on it, and {no_policy}"),
        (Verdict::Retained, _) => format!("its retention date lay ahead, and {no_policy}"),
        (Verdict::Denied, Some(review)) => match failed(review).next() {
            Some(first) => format!(
                "policy {} denied it by its rule {}",
                review.policy, first.rule
            ),
            None => format!("policy {} denied it and gave no reason", review.policy),
        },
        (Verdict::Fault(code), Some(review)) => {
            format!(
                "policy {} did not judge ({code}), which never allows",
                review.policy
            )
        }
        (Verdict::Denied | Verdict::Fault(_), None) => {
            "the tenant had no chain, or an empty one, which allows nothing".to_owned()
        }
    }
}

fn caller(decision: &Decision) -> String {
    let caller = &decision.caller;
    let permissions = caller.permissions.iter().map(ToString::to_string);
    let permissions = permissions.collect::<Vec<_>>().join(", ");
    format!(
        "{} {}, which may {permissions}",
        caller.kind.as_str(),
        caller.id
    )
}

fn facts(object: &Object, at_ms: u64) -> Vec<String> {
    let days = at_ms.saturating_sub(object.created_at_ms) / 86_400_000;
    let labels = match &*object.labels {
        [] => "no labels".to_owned(),
        labels => format!("labels {}", labels.join(", ")),
    };
    let hold = match object.held {
        true => "under a legal hold",
        false => "no hold",
    };
    let kept = match object.retain_until_ms {
        Some(until) => format!("to be kept until {}", at(until)),
        None => "no retention date".to_owned(),
    };
    vec![
        format!("version {}", object.version),
        format!("{} bytes", object.size_bytes),
        object.media_type.clone(),
        format!("uploaded {}, {days} days before", at(object.created_at_ms)),
        labels,
        hold.to_owned(),
        kept,
    ]
}

fn chain(decision: &Decision, revision: Option<&Revision>) -> String {
    let (tenant, number) = (&decision.tenant, decision.chain_revision);
    let Some(revision) = revision else {
        return match number {
            0 => format!("{tenant} had none"),
            _ => format!("revision {number} of {tenant}, which the history does not have"),
        };
    };
    let or = |said: &str, instead: &str| match said {
        "" => instead.to_owned(),
        said => said.to_owned(),
    };
    format!(
        "revision {number} of {tenant}, in force since {}; made by {}: {}",
        at(revision.at_ms),
        or(&revision.by, "nobody who is named"),
        or(&revision.why, "nobody said why")
    )
}

fn said(review: &PolicyReview) -> Said {
    let outcome = match &*review.outcome {
        "allow" => "allowed",
        "deny" => "denied",
        code => code,
    };
    let fuel = match review.limits.fuel {
        Some(limit) => format!("{} of {limit}", review.fuel),
        None => review.fuel.to_string(),
    };
    Said {
        summary: format!(
            "{} {outcome}, with {fuel} fuel; component {}",
            review.policy, review.digest
        ),
        settings: review.settings.to_string(),
        findings: review.findings.iter().map(sentence).collect(),
    }
}

fn remedies(decision: &Decision) -> Vec<String> {
    let (target, tenant) = (decision.target(), &decision.tenant);
    let named = format!(
        "{} {} --tenant {tenant} --user {}",
        target.kind, target.id, target.owner
    );
    match (&decision.verdict, refusing(decision)) {
        (Verdict::Allowed, _) => Vec::new(),
        (Verdict::Held, _) => vec![format!(
            "the object's holds would have to be released: atropos hold release {named}"
        )],
        (Verdict::Retained, _) => vec![format!(
            "the retention date would have to pass, or be another: atropos object change {named} \
             --retain-until TIME"
        )],
        (Verdict::Denied, Some(review)) => denied(review, decision),
        (Verdict::Fault(code), Some(review)) => vec![fault(code, review)],
        (Verdict::Denied | Verdict::Fault(_), None) => vec![format!(
            "the tenant would have to have a chain: atropos policy assign --tenant {tenant}"
        )],
    }
}

fn denied(review: &PolicyReview, decision: &Decision) -> Vec<String> {
    let policy = &review.policy;
    let mut remedies: Vec<_> = failed(review)
        .map(|finding| {
            format!(
                "what the rule {} of {policy} found: {}",
                finding.rule, finding.detail
            )
        })
        .collect();
    remedies.push(format!(
        "or the settings of {policy}; what other settings would have come to, of all decisions: atropos \
         replay --tenant {} --candidate {} --settings FILE",
        decision.tenant, review.digest
    ));
    remedies
}

/// What stood in the way of a policy that came to no verdict.
fn fault(code: &str, review: &PolicyReview) -> String {
    let (policy, digest) = (&review.policy, review.digest);
    let limit = |limit: Option<u64>, unit: &str| match limit {
        Some(limit) => format!("{limit} {unit}"),
        None => format!("the limit of {unit}"),
    };
    let limits = review.limits;
    match code {
        "policy-missing" => {
            format!("the component {digest} would have to be kept: assign {policy} from its file")
        }
        "policy-unreadable" => {
            format!("{policy} would have to load: atropos component check FILE says what is wrong")
        }
        "policy-compiling" => {
            format!("{policy} was being compiled at that moment; asked again later, it judges")
        }
        "policy-compile-deadline" | "policy-compile-crash" | "policy-too-large" => format!(
            "{policy} would have to be smaller, or what [components] of the configuration gives its \
             compiler be more"
        ),
        "policy-fuel" => format!(
            "{policy} would have to do with {}, or have more",
            limit(limits.fuel, "fuel")
        ),
        "policy-deadline" => format!(
            "{policy} would have to answer within {}, or have longer",
            limit(limits.deadline_ms, "ms")
        ),
        "policy-memory" => format!(
            "{policy} would have to do with {}, or have more",
            limit(limits.memory_bytes, "bytes of memory")
        ),
        "policy-oversized" => format!(
            "{policy} would have to return less: {}, 64 findings, 64 bytes a rule, 512 bytes a detail",
            limit(limits.transfer_bytes, "bytes")
        ),
        "policy-contradiction" => {
            format!("{policy} would have to deny when one of its rules failed")
        }
        "policy-held-off" => format!(
            "{policy} had failed again and again and was not asked; the pause would have to be over, and \
             the earlier decisions say what failed"
        ),
        _ => format!("{policy} would have to come to a verdict, and did not ({code})"),
    }
}

fn at(ms: u64) -> String {
    time(i64::try_from(ms).unwrap_or(i64::MAX))
}
