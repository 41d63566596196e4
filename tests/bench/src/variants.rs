//! The ways to decide, one file an engine. Each is a function from the facts to a closure that
//! decides on them: what the function does is prepared, what the closure does is timed.

mod atropos;
mod cedar;
mod extism;
mod native;
mod regorus;

use std::path::Path;

use ::atropos::domain::decision::Question;
use anyhow::{Context, Result, ensure};

use crate::facts::Case;
use crate::harness::Decide;

/// A way to decide.
pub struct Variant {
    /// How the table names it.
    pub name: &'static str,
    /// Whether it knows the rule; one that does not allows everything.
    denies: bool,
    /// Prepares it for facts.
    prepare: fn(&Question) -> Result<Decide>,
}

/// What the others are compared with: the policy `retention`, in a fresh instance each time.
pub const OURS: &str = "atropos, fresh";
/// A peer that the goals name: it makes its request of the facts.
pub const CEDAR_BUILT: &str = "cedar, request and entities built";
/// A peer that the goals name, with everything made before.
pub const CEDAR_PREBUILT: &str = "cedar, everything prebuilt";
/// A peer that the goals name: it is given text.
pub const REGORUS_JSON: &str = "regorus, JSON input";

/// In the order of the table.
const ALL: [Variant; 12] = [
    variant("native closure", native::closure),
    variant(OURS, atropos::fresh),
    variant("atropos, 64 labels", atropos::many_findings),
    Variant {
        denies: false,
        ..variant("atropos, allow-all", atropos::allow_all)
    },
    variant(CEDAR_BUILT, cedar::built),
    variant(CEDAR_PREBUILT, cedar::prebuilt),
    variant(REGORUS_JSON, regorus::json),
    variant("regorus, input prebuilt", regorus::prebuilt),
    variant("regorus VM, JSON input", regorus::vm_json),
    variant("regorus VM, input prebuilt", regorus::vm_prebuilt),
    variant("extism, fresh", extism::fresh),
    variant("extism, kept", extism::kept),
];

const fn variant(name: &'static str, prepare: fn(&Question) -> Result<Decide>) -> Variant {
    Variant {
        name,
        denies: true,
        prepare,
    }
}

/// Those that can give the verdict that the facts ask for.
pub fn of(case: &Case) -> impl Iterator<Item = &'static Variant> {
    let allows = case.allows;
    ALL.iter().filter(move |variant| allows || variant.denies)
}

/// A component of this file, prepared for facts and seen to be right.
///
/// # Errors
/// It is no policy, or gives another verdict than `retention` would.
pub fn component(name: &str, file: &Path, case: &Case) -> Result<Decide> {
    let prepared = atropos::of_file(file, &case.question);
    checked(name, case, prepared)
}

/// Has it decide, to see that it is right.
fn checked(name: &str, case: &Case, prepared: Result<Decide>) -> Result<Decide> {
    let mut decide = prepared.with_context(|| format!("preparing {name}"))?;
    ensure!(
        decide() == case.allows,
        "{name} is wrong where the rule {}",
        case.name
    );
    Ok(decide)
}

impl Variant {
    /// Prepares it and has it decide, to see that it is right.
    ///
    /// # Errors
    /// It cannot be prepared, or its verdict is another one.
    pub fn ready(&self, case: &Case) -> Result<Decide> {
        checked(self.name, case, (self.prepare)(&case.question))
    }
}
