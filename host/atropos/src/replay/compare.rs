//! By another chain: which decisions would come out otherwise, and through which rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::{DEADLINE_MS, Replay, ReplayError};
use crate::config::GuestLimits;
use crate::domain::decision::{Decision, Finding, FindingOutcome, PolicyReview, Verdict};
use crate::domain::shadow::Flip;
use crate::domain::{Chain, ChainEntry};
use crate::guest::Judge;
use crate::text;

/// How many decisions are named of each group.
const EXAMPLES: usize = 5;

/// How many groups are told apart. A policy can make up as many rules as it likes.
const MOST_GROUPS: usize = 1000;

/// What the rules of further groups are called.
const OTHER_RULES: &str = "…";

/// A chain whose policies are ready to be asked.
#[derive(Clone)]
pub struct Candidate {
    policies: Arc<Vec<(ChainEntry, Judge)>>,
    limits: GuestLimits,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// How many decisions were judged again.
    pub decisions: u64,
    /// How many were not, because no policy had been asked.
    pub unasked: u64,
    /// How many of those judged come to the same.
    pub same: u64,
    /// The others, by how they flip, the ones to look at first at the front, and then by how many.
    pub groups: Vec<Group>,
}

/// Decisions that flip alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// How.
    pub flip: Flip,
    /// The policy that settles it: of the other chain if that refuses, else the one that had refused.
    pub policy: String,
    /// Its rule that failed first, or the code of its fault.
    pub rule: String,
    /// How many there are.
    pub decisions: u64,
    /// The first of them.
    pub examples: Vec<Uuid>,
}

/// How a decision flips, and through whom.
type Through = (Flip, String, String);

/// What came of one part of the record.
#[derive(Default)]
struct Tally {
    decisions: u64,
    unasked: u64,
    same: u64,
    groups: BTreeMap<Through, (u64, Vec<Uuid>)>,
}

impl Candidate {
    /// Makes a chain ready. Of its components, those in `at_hand` need not be kept.
    ///
    /// # Errors
    /// One cannot be loaded.
    pub async fn prepare(
        replay: &Replay<'_>,
        chain: &Chain,
        at_hand: &[Judge],
    ) -> Result<Self, ReplayError> {
        let mut policies = Vec::new();
        for entry in &chain.entries {
            let own = at_hand.iter().find(|judge| judge.digest() == entry.digest);
            let judge = match own {
                Some(judge) => Ok(judge.clone()),
                None => replay.sandbox.recall(entry.digest).await?,
            };
            let judge = judge.map_err(|kind| ReplayError::Component {
                policy: entry.policy.clone(),
                digest: entry.digest,
                kind,
            })?;
            policies.push((entry.clone(), judge));
        }
        Ok(Self {
            policies: Arc::new(policies),
            limits: GuestLimits {
                deadline_ms: DEADLINE_MS,
                ..chain.limits.over(replay.limits)
            },
        })
    }

    /// What the chain comes to, and what settles it.
    fn judge(&self, decision: &Decision) -> (Verdict, Option<PolicyReview>) {
        if let Some(verdict) = Verdict::before_asking(&decision.object, decision.at_ms) {
            return (verdict, None);
        }
        let question = decision.question();
        let mut last = None;
        for (entry, judge) in &*self.policies {
            let (verdict, review) = judge.review(&question, entry, self.limits);
            last = Some(review);
            if verdict != Verdict::Allowed {
                return (verdict, last);
            }
        }
        match last {
            Some(_) => (Verdict::Allowed, last),
            None => (Verdict::nobody_asked(), None),
        }
    }
}

impl Replay<'_> {
    /// Has the decisions judged by another chain. `tell` hears how many are done.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn compare(
        &self,
        candidate: &Candidate,
        tell: impl Fn(u64),
    ) -> Result<Compared, ReplayError> {
        let mut all = Tally::default();
        let prepare = async |_: &[Decision]| {
            let candidate = candidate.clone();
            Ok(move |part: Vec<Decision>| {
                let mut tally = Tally::default();
                for decision in &part {
                    tally.count(decision, &candidate);
                }
                tally
            })
        };
        let take = |part: Tally| {
            all.add(part);
            tell(all.decisions + all.unasked);
        };
        self.each(prepare, take).await?;
        Ok(all.into())
    }
}

impl Tally {
    fn count(&mut self, decision: &Decision, candidate: &Candidate) {
        if decision.reviews.is_empty() {
            self.unasked += 1;
            return;
        }
        self.decisions += 1;
        let (would, last) = candidate.judge(decision);
        let Some(flip) = Flip::between(&decision.verdict, &would) else {
            self.same += 1;
            return;
        };
        let settled = match would {
            Verdict::Allowed => decision.reviews.last(),
            _ => last.as_ref(),
        };
        let (policy, rule) = settled.map(through).unwrap_or_default();
        let (count, examples) = self.group((flip, policy, rule));
        *count += 1;
        examples.push(decision.id);
        examples.truncate(EXAMPLES);
    }

    fn add(&mut self, part: Self) {
        self.decisions += part.decisions;
        self.unasked += part.unasked;
        self.same += part.same;
        for (through, (more, first)) in part.groups {
            let (count, examples) = self.group(through);
            *count += more;
            examples.extend(first);
            examples.truncate(EXAMPLES);
        }
    }

    fn group(&mut self, through: Through) -> &mut (u64, Vec<Uuid>) {
        let room = self.groups.len() < MOST_GROUPS || self.groups.contains_key(&through);
        let through = match room {
            true => through,
            false => (through.0, through.1, OTHER_RULES.to_owned()),
        };
        self.groups.entry(through).or_default()
    }
}

/// A policy and what in it settled a decision.
fn through(review: &PolicyReview) -> (String, String) {
    let mut findings = review.findings.iter();
    let failed = findings.find(|finding| finding.outcome == FindingOutcome::Failed);
    let rule = match review.outcome.as_str() {
        "deny" | "allow" => failed.map_or("-", |finding| finding.rule.as_str()),
        code => code,
    };
    // A record of an earlier version has it as the policy said it.
    let mut rule = rule.to_owned();
    text::escape_within(&mut rule, Finding::MAX_RULE_BYTES);
    (review.policy.clone(), rule)
}

impl From<Tally> for Compared {
    fn from(tally: Tally) -> Self {
        let groups = tally.groups.into_iter();
        let group = |((flip, policy, rule), (decisions, examples))| Group {
            flip,
            policy,
            rule,
            decisions,
            examples,
        };
        let mut groups: Vec<_> = groups.map(group).collect();
        groups.sort_unstable_by(|one, two| {
            let most_first = two.decisions.cmp(&one.decisions);
            let by_name = || (&one.policy, &one.rule).cmp(&(&two.policy, &two.rule));
            one.flip.cmp(&two.flip).then(most_first).then_with(by_name)
        });
        Self {
            decisions: tally.decisions,
            unasked: tally.unasked,
            same: tally.same,
            groups,
        }
    }
}

impl Compared {
    /// How many decisions flip in this way.
    pub fn flips(&self, flip: Flip) -> u64 {
        let groups = self.groups.iter().filter(|group| group.flip == flip);
        groups.map(|group| group.decisions).sum()
    }
}
