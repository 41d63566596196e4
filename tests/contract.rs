//! The contract: what may change of it, what is kept of it, and who meets it.
//!
//! `wit/CONTRACT.md` says the rule in words. `ATROPOS_BLESS=1` writes the reference anew.

// What became of a package since it was released.
mod compare;
// The comparison itself.
mod edits;
// Components of the contract that is kept.
mod kept;
// The reference, as Markdown.
mod reference;
// Components that others built.
mod strangers;
// The WIT, as text and as parsed.
mod wit;

use atropos::domain::decision::{DecisionCaller, Question};
use atropos::target::{CallerKind, Kind, Object, Target, TenantId};
use wit_parser::Resolve;

use self::compare::Shape;
use self::wit::Sources;
use crate::support::root;

/// The contract that was released last.
const KEPT: &str = "0.1.0";

fn current() -> Sources {
    Sources::read(&root().join("wit"))
}

fn kept() -> Sources {
    Sources::read(&root().join("tests/contract").join(KEPT))
}

/// What one state of the contract may not be after another.
fn forbidden(old: &Sources, new: &Sources) -> Vec<String> {
    let shapes = |sources: &Sources| {
        let mut resolve = Resolve::new();
        let packages = sources.push(&mut resolve);
        packages.map(|package| Shape::of(&resolve, package))
    };
    let packages = shapes(old).into_iter().zip(shapes(new));
    packages.flat_map(|(old, new)| old.forbids(&new)).collect()
}

/// An API client asks to erase a photo or document, uploaded at 0 and asked for at 0.
fn question(kind: Kind) -> Question {
    Question {
        tenant: "acme".parse().expect("a label"),
        caller: DecisionCaller {
            kind: CallerKind::ApiClient,
            id: "crm".to_owned(),
            permissions: Vec::new(),
        },
        object: Object {
            target: Target {
                tenant: TenantId(1),
                kind,
                owner: "6".to_owned(),
                id: "object".to_owned(),
            },
            version: 1,
            size_bytes: 1,
            media_type: "image/png".to_owned(),
            created_at_ms: 0,
            labels: Vec::new(),
            retain_until_ms: None,
            held: false,
        },
        at_ms: 0,
    }
}

#[test]
fn the_contract_changes_only_as_its_version_says() {
    let forbidden = forbidden(&kept(), &current());
    assert!(
        forbidden.is_empty(),
        "wit/CONTRACT.md tells how the contract may change:\n{}",
        forbidden.join("\n")
    );
}
