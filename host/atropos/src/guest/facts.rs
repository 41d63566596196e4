//! What a policy is asked, in the contract's shape: lent by the host's own records and written from
//! there into the memory of the policy, so that nothing is copied before.

use wasmtime::component::{ComponentType, Lower};

use super::bindings::types as wit;
use super::convert;
use crate::domain::decision::{Decision, DecisionCaller, Question};
use crate::target::{Object, Subdomain};

/// The contract's `request`. Held against its types when a policy is loaded.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Facts<'a> {
    tenant: &'a str,
    caller: CallerFacts<'a>,
    object: ObjectFacts<'a>,
    #[component(name = "at-ms")]
    at_ms: u64,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct CallerFacts<'a> {
    kind: wit::CallerKind,
    id: &'a str,
    permissions: wit::Permissions,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct ObjectFacts<'a> {
    kind: wit::ObjectKind,
    id: &'a str,
    owner: &'a str,
    version: u64,
    #[component(name = "size-bytes")]
    size_bytes: u64,
    #[component(name = "media-type")]
    media_type: &'a str,
    #[component(name = "created-at-ms")]
    created_at_ms: u64,
    labels: &'a [String],
    #[component(name = "retain-until-ms")]
    retain_until_ms: Option<u64>,
}

impl<'a> Facts<'a> {
    fn new(
        tenant: &'a Subdomain,
        caller: &'a DecisionCaller,
        object: &'a Object,
        at_ms: u64,
    ) -> Self {
        Self {
            tenant: tenant.as_str(),
            caller: CallerFacts {
                kind: convert::caller_kind(caller.kind),
                id: &caller.id,
                permissions: convert::permissions(&caller.permissions),
            },
            object: ObjectFacts {
                kind: convert::kind(object.target.kind),
                id: &object.target.id,
                owner: &object.target.owner,
                version: object.version,
                size_bytes: object.size_bytes,
                media_type: &object.media_type,
                created_at_ms: object.created_at_ms,
                labels: &object.labels,
                retain_until_ms: object.retain_until_ms,
            },
            at_ms,
        }
    }
}

impl<'a> From<&'a Question> for Facts<'a> {
    fn from(of: &'a Question) -> Self {
        Self::new(&of.tenant, &of.caller, &of.object, of.at_ms)
    }
}

/// What a decision is about.
impl<'a> From<&'a Decision> for Facts<'a> {
    fn from(of: &'a Decision) -> Self {
        Self::new(&of.tenant, &of.caller, &of.object, of.at_ms)
    }
}
