//! Running one policy: a fresh instance, one call, nothing kept.

use std::borrow::Cow;
use std::time::Instant;

use wasmtime::Engine;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower,
    TypedFunc,
};
use wasmtime::error::Context as _;

use super::bindings::policy::exports::atropos::policy::policy::{self as wit, Verdict};
use super::engine::store;
use super::facts::Facts;
use super::fit::{self, Prepare};
use super::limits::{Meter, ticks};
use super::world::{World, function};
use super::{Description, GuestError, SettingsProblem, convert};
use crate::config::GuestLimits;
use crate::domain::decision::{Finding, FindingOutcome};
use crate::error::FaultKind;
use crate::text;

const MAX_FINDINGS: usize = 64;
const MAX_PROBLEMS: usize = 64;
const MAX_PROBLEM_BYTES: usize = 512;
const MAX_NAME_BYTES: usize = 64;
const MAX_VERSION_BYTES: usize = 32;
const MAX_SUMMARY_BYTES: usize = 512;
const MAX_SCHEMA_BYTES: usize = 64 << 10;

/// A policy that is ready to instantiate.
pub(super) struct Policy {
    pre: InstancePre<Meter>,
    describe: ComponentExportIndex,
    validate: ComponentExportIndex,
    review: ComponentExportIndex,
    /// What it begins with.
    memory_bytes: u64,
}

/// What one run of a policy came to.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its answer, or how it failed.
    pub answer: Result<Answer, FaultKind>,
    /// What it consumed, in wasmtime's units. The same on every run.
    pub fuel: u64,
    /// The most memory it had.
    pub memory_bytes: u64,
    /// How long it took, in microseconds. Differs from run to run.
    pub duration_us: u64,
}

impl Run {
    /// `allow`, `deny`, or the code of its fault.
    pub fn outcome(&self) -> &'static str {
        match &self.answer {
            Ok(Answer { allows: true, .. }) => "allow",
            Ok(_) => "deny",
            Err(kind) => kind.of_policy(),
        }
    }

    /// What led to the answer; nothing if there is none.
    pub fn findings(&self) -> &[Finding] {
        let answer = self.answer.as_ref();
        answer.map_or(&[], |answer| &answer.findings)
    }

    /// One that came to nothing.
    pub(super) fn failed(kind: FaultKind) -> Self {
        Self {
            answer: Err(kind),
            fuel: 0,
            memory_bytes: 0,
            duration_us: 0,
        }
    }
}

/// A policy's verdict and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it has nothing against it.
    pub allows: bool,
    /// What led to it, in the order of its rules.
    pub findings: Vec<Finding>,
}

/// What a function of the contract returns, in the form that wasmtime has for it.
type Said<T> = (T,);

type Problems = Result<(), Vec<wit::SettingsProblem>>;

/// What a call consumed.
#[derive(Default)]
struct Spent {
    fuel: u64,
    memory_bytes: u64,
}

/// Checks against the world and its types. A policy gets an empty linker: there is nothing to link.
pub(super) fn prepare(engine: &Engine) -> Prepare<Policy> {
    let engine = engine.clone();
    std::sync::Arc::new(move |component: &Component| {
        fit::require(&engine, component, World::PolicyPlugin)?;
        let world = World::PolicyPlugin;
        let describe = function::<(), Said<wit::Description>>(component, world, "describe");
        let validate = function::<(&str,), Said<Problems>>(component, world, "validate-settings");
        let review =
            function::<(&Facts<'_>, &str), Said<wit::Judgement>>(component, world, "review");
        let pre = Linker::new(&engine).instantiate_pre(component);
        Ok(Policy {
            describe: describe?,
            validate: validate?,
            review: review?,
            pre: pre.map_err(GuestError::types)?,
            memory_bytes: fit::memory_bytes(component),
        })
    })
}

impl Policy {
    /// Has the policy judge.
    pub(super) fn review(&self, facts: &Facts<'_>, settings: &str, limits: GuestLimits) -> Run {
        let started = Instant::now();
        let (answer, spent) = self.call(limits, &self.review, (facts, settings));
        let answer = answer
            .map_err(|(fault, _)| fault)
            .and_then(|judgement: wit::Judgement| {
                let allows = judgement.verdict == Verdict::Allow;
                let mut findings: Vec<_> = judgement
                    .findings
                    .into_iter()
                    .map(convert::finding)
                    .collect();
                check(allows, &findings)?;
                findings.iter_mut().for_each(Finding::escape);
                Ok(Answer { allows, findings })
            });
        Run {
            answer,
            fuel: spent.fuel,
            memory_bytes: spent.memory_bytes,
            duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Asks what the policy says of itself.
    pub(super) fn describe(&self, limits: GuestLimits) -> Result<Description, GuestError> {
        self.fits(limits)?;
        let (said, _) = self.call(limits, &self.describe, ());
        let said: wit::Description = said.map_err(|(kind, source)| GuestError::Call {
            function: "describe",
            kind,
            source,
        })?;
        let mut description = Description {
            name: said.name,
            version: said.version,
            summary: said.summary,
            settings_schema: said.settings_schema,
        };
        check_description(&description)?;
        text::escape_within(&mut description.summary, MAX_SUMMARY_BYTES);
        if let Cow::Owned(schema) = text::escape_json(&description.settings_schema) {
            description.settings_schema = schema;
        }
        Ok(description)
    }

    /// Has the policy check settings; no problem is good. Of many, the first 64.
    pub(super) fn validate(
        &self,
        settings: &str,
        limits: GuestLimits,
    ) -> Result<Vec<SettingsProblem>, GuestError> {
        self.fits(limits)?;
        let (said, _) = self.call(limits, &self.validate, (settings,));
        let said: Problems = said.map_err(|(kind, source)| GuestError::Call {
            function: "validate-settings",
            kind,
            source,
        })?;
        let problems = said.err().unwrap_or_default();
        let problem = |problem: wit::SettingsProblem| {
            let (mut path, mut message) = (problem.path, problem.message);
            text::escape_within(&mut path, MAX_PROBLEM_BYTES);
            text::escape_within(&mut message, MAX_PROBLEM_BYTES);
            SettingsProblem { path, message }
        };
        let problems = problems.into_iter().take(MAX_PROBLEMS);
        Ok(problems.map(problem).collect())
    }

    /// Tells what it lacks before it fails for want of it.
    fn fits(&self, limits: GuestLimits) -> Result<(), GuestError> {
        const REMEDY: &str = "give it more memory, such as --memory 64MiB, or all policies with \
                              `policy.memory-bytes`";
        fit::fits(self.memory_bytes, limits, REMEDY)
    }

    /// Instantiates, calls, and tells what both consumed.
    fn call<P, R>(
        &self,
        limits: GuestLimits,
        function: &ComponentExportIndex,
        params: P,
    ) -> (Result<R, (FaultKind, super::failure::Source)>, Spent)
    where
        P: ComponentNamedList + Lower,
        Said<R>: ComponentNamedList + Lift,
    {
        let engine = self.pre.engine();
        let mut store = match store(engine, Meter::new(limits), limits, |meter| meter) {
            Ok(store) => store,
            Err(error) => {
                return (
                    Err((FaultKind::Trap, super::failure::source(error))),
                    Spent::default(),
                );
            }
        };
        store.set_epoch_deadline(ticks(limits.deadline_ms));
        let answer = self.pre.instantiate(&mut store).and_then(|policy| {
            let function = policy
                .get_func(&mut store, function)
                .context("it is gone")?;
            // SAFETY: each function was held against the types that it is called with here, by
            // `prepare`; to do so again at each call takes a twentieth of it.
            let function = unsafe { TypedFunc::<P, Said<R>>::new_unchecked(function) };
            function.call(&mut store, params)
        });
        let answer = answer.map(|(answer,)| answer);
        let left = store.get_fuel().unwrap_or(0);
        let spent = Spent {
            fuel: limits.fuel.saturating_sub(left),
            memory_bytes: store.data().memory_bytes(),
        };
        let fault =
            |error: wasmtime::Error| (store.data().fault(&error), super::failure::source(error));
        (answer.map_err(fault), spent)
    }
}

/// What the contract asks of a description, which operators read and chains are listed by.
fn check_description(said: &Description) -> Result<(), GuestError> {
    let word = |text: &str, longest| {
        (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let lower_case = !said.name.bytes().any(|byte| byte.is_ascii_uppercase());
    let refused = |field, expected| Err(GuestError::Description { field, expected });
    if !word(&said.name, MAX_NAME_BYTES) || !lower_case {
        return refused("name", "1 to 64 lower-case ASCII characters without space");
    }
    if !word(&said.version, MAX_VERSION_BYTES) {
        return refused("version", "1 to 32 ASCII characters without space");
    }
    if said.summary.len() > MAX_SUMMARY_BYTES || said.summary.chars().any(char::is_control) {
        return refused("summary", "one line of at most 512 bytes");
    }
    if said.settings_schema.len() > MAX_SCHEMA_BYTES {
        return refused("settings-schema", "at most 64 KiB");
    }
    if serde_json::from_str::<serde_json::Map<_, _>>(&said.settings_schema).is_err() {
        return refused("settings-schema", "a JSON object");
    }
    Ok(())
}

/// What the contract asks of findings. An answer that breaks it is no answer.
fn check(allows: bool, findings: &[Finding]) -> Result<(), FaultKind> {
    let fits = |finding: &Finding| {
        (1..=Finding::MAX_RULE_BYTES).contains(&finding.rule.len())
            && finding.detail.len() <= Finding::MAX_DETAIL_BYTES
    };
    if findings.len() > MAX_FINDINGS || !findings.iter().all(fits) {
        return Err(FaultKind::Oversized);
    }
    let failed = |finding: &Finding| finding.outcome == FindingOutcome::Failed;
    if allows && findings.iter().any(failed) {
        return Err(FaultKind::Contradiction);
    }
    Ok(())
}
