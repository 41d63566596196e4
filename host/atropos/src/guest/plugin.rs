//! The host side of the deletion plugin's imports: every power that a plugin has is in this file.
//!
//! **Invariant:** handles come only from here, and each is good for the tenant of its caller alone.
//! **Invariant:** nothing here erases; a staged decision is handed to the flow.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Resource, ResourceTable};

use super::bindings::plugin::atropos::deletion::{auth, erasure, gate, storage, types};
use super::bindings::types as policy_types;
use super::convert;
use super::limits::{Away, Contradiction, Meter, Oversized, PolicyTime};
use super::permit::Permit;
use super::review::{Judged, Review, StoreUnavailable, Undecided};
use crate::auth::{AuthError, Authority};
use crate::domain::decision::{Decision, FindingOutcome, Verdict};
use crate::ports::Objects;
use crate::target::{Caller, Kind, Object, Permission, Target, WebsiteId};

const MAX_CREDENTIAL_BYTES: usize = 4096;
const MAX_OWNER_BYTES: usize = 128;
const MAX_ID_BYTES: usize = 64;
const MAX_SUBDOMAIN_BYTES: usize = 253;

/// What a plugin can reach.
pub(super) struct Powers {
    pub(super) authority: Arc<dyn Authority>,
    pub(super) objects: Arc<dyn Objects>,
    pub(super) gate: Arc<dyn Review>,
}

/// The state of one call.
pub(super) struct Call {
    powers: Arc<Powers>,
    pub(super) meter: Meter,
    pub(super) away: Away,
    policy_time: PolicyTime,
    /// Taken once, so that every part of the call sees the same time.
    at_ms: u64,
    table: ResourceTable,
    /// Who was authenticated last.
    pub(super) caller: Option<Caller>,
    pub(super) decisions: Vec<Decision>,
    /// Which decision was staged.
    pub(super) staged: Option<usize>,
    /// When to try again, if a policy that was to be asked is held off or being compiled.
    pub(super) wait: Option<Duration>,
    /// There was no slot for a slow policy of the tenant.
    pub(super) crowded: bool,
}

impl Call {
    pub(super) fn new(
        powers: Arc<Powers>,
        meter: Meter,
        policy_time: PolicyTime,
        at_ms: u64,
    ) -> Self {
        Self {
            powers,
            meter,
            away: Away::default(),
            policy_time,
            at_ms,
            table: ResourceTable::new(),
            caller: None,
            decisions: Vec::new(),
            staged: None,
            wait: None,
            crowded: false,
        }
    }

    async fn find(
        &mut self,
        caller: Resource<Caller>,
        kind: Kind,
        permission: Permission,
        owner: String,
        id: String,
    ) -> wasmtime::Result<Result<Resource<Object>, storage::StorageError>> {
        self.meter.host_call()?;
        within(&owner, MAX_OWNER_BYTES)?;
        within(&id, MAX_ID_BYTES)?;
        let caller = self.table.get(&caller)?;
        if !caller.may(permission) {
            return Ok(Err(storage::StorageError::Forbidden));
        }
        let target = Target {
            tenant: caller.tenant.id,
            kind,
            owner,
            id,
        };
        let found = self.powers.objects.find(&target);
        match self.away.spend(found).await {
            Ok(Some(object)) => Ok(Ok(self.table.push(object)?)),
            Ok(None) => Ok(Err(storage::StorageError::NotFound)),
            Err(error) => {
                StoreUnavailable::log(error);
                Ok(Err(storage::StorageError::Unavailable))
            }
        }
    }

    fn caller(
        &mut self,
        authenticated: Result<Caller, AuthError>,
    ) -> wasmtime::Result<Result<Resource<Caller>, auth::AuthError>> {
        self.caller = authenticated.as_ref().ok().cloned();
        Ok(match authenticated {
            Ok(caller) => Ok(self.table.push(caller)?),
            Err(AuthError::Rejected) => Err(auth::AuthError::Rejected),
            Err(AuthError::NoAccess) => Err(auth::AuthError::NoAccess),
            Err(AuthError::Throttled(after_ms)) => Err(auth::AuthError::Throttled(after_ms)),
            Err(AuthError::Unavailable(error)) => {
                StoreUnavailable::log(error);
                Err(auth::AuthError::Unavailable)
            }
        })
    }
}

impl types::Host for Call {}
impl policy_types::Host for Call {}

impl auth::Host for Call {
    async fn authenticate_site(
        &mut self,
        website_id: u64,
        key: String,
    ) -> wasmtime::Result<Result<Resource<Caller>, auth::AuthError>> {
        self.meter.host_call()?;
        within(&key, MAX_CREDENTIAL_BYTES)?;
        let authenticated = match WebsiteId::new(website_id) {
            Some(website) => {
                let authority = &self.powers.authority;
                let authenticated = authority.authenticate_site(website, &key);
                self.away.spend(authenticated).await
            }
            None => Err(AuthError::Rejected),
        };
        self.caller(authenticated)
    }

    async fn authenticate_token(
        &mut self,
        token: String,
        tenant_subdomain: String,
    ) -> wasmtime::Result<Result<Resource<Caller>, auth::AuthError>> {
        self.meter.host_call()?;
        within(&token, MAX_CREDENTIAL_BYTES)?;
        within(&tenant_subdomain, MAX_SUBDOMAIN_BYTES)?;
        let authority = Arc::clone(&self.powers.authority);
        let authenticated = match tenant_subdomain.parse() {
            Ok(tenant) => {
                let authenticated = authority.authenticate_token(&token, &tenant);
                self.away.spend(authenticated).await
            }
            Err(_) => Err(AuthError::NoAccess),
        };
        self.caller(authenticated)
    }
}

impl auth::HostCaller for Call {
    fn facts(&mut self, caller: Resource<Caller>) -> wasmtime::Result<policy_types::CallerFacts> {
        self.meter.host_call()?;
        Ok(convert::caller(self.table.get(&caller)?))
    }

    async fn drop(&mut self, caller: Resource<Caller>) -> wasmtime::Result<()> {
        self.table.delete(caller)?;
        Ok(())
    }
}

impl storage::Host for Call {
    async fn find_photo(
        &mut self,
        caller: Resource<Caller>,
        user_id: String,
        photo_id: String,
    ) -> wasmtime::Result<Result<Resource<Object>, storage::StorageError>> {
        let permission = Permission::PhotosWrite;
        self.find(caller, Kind::Photo, permission, user_id, photo_id)
            .await
    }

    async fn find_document(
        &mut self,
        caller: Resource<Caller>,
        user_account_id: u64,
        file_guid: String,
    ) -> wasmtime::Result<Result<Resource<Object>, storage::StorageError>> {
        let permission = Permission::DocumentsWrite;
        let (owner, id) = (user_account_id.to_string(), file_guid.to_ascii_lowercase());
        self.find(caller, Kind::Document, permission, owner, id)
            .await
    }
}

impl storage::HostObject for Call {
    fn facts(&mut self, object: Resource<Object>) -> wasmtime::Result<policy_types::ObjectFacts> {
        self.meter.host_call()?;
        Ok(convert::object(self.table.get(&object)?))
    }

    async fn drop(&mut self, object: Resource<Object>) -> wasmtime::Result<()> {
        self.table.delete(object)?;
        Ok(())
    }
}

impl gate::Host for Call {
    async fn review(
        &mut self,
        caller: Resource<Caller>,
        object: Resource<Object>,
    ) -> wasmtime::Result<Result<Resource<Permit>, gate::Denial>> {
        self.meter.host_call()?;
        let caller = self.table.get(&caller)?;
        let object = self.table.get(&object)?;
        // A plugin that holds credentials of two tenants must not mix their handles.
        if caller.tenant.id != object.target.tenant {
            return Err(Contradiction.into());
        }
        let gate = &self.powers.gate;
        let review = gate.review(caller, object, self.at_ms, &self.policy_time);
        let judged = match self.away.spend(review).await {
            Ok(judged) => judged,
            Err(undecided) => {
                self.crowded |= matches!(undecided, Undecided::Crowded);
                return Ok(Err(gate::Denial::Unavailable));
            }
        };
        let Judged { decision, wait } = judged;
        self.wait = wait;
        let denial = denial(&decision);
        self.decisions.push(decision);
        match denial {
            Some(denial) => Ok(Err(denial)),
            None => Ok(Ok(self.table.push(Permit(self.decisions.len() - 1))?)),
        }
    }
}

impl gate::HostPermit for Call {
    async fn drop(&mut self, permit: Resource<Permit>) -> wasmtime::Result<()> {
        self.table.delete(permit)?;
        Ok(())
    }
}

impl erasure::Host for Call {
    fn stage(
        &mut self,
        object: Resource<Object>,
        permit: Resource<Permit>,
    ) -> wasmtime::Result<Result<(), erasure::StageError>> {
        self.meter.host_call()?;
        let object = self.table.delete(object)?;
        let Permit(index) = self.table.delete(permit)?;
        let decision = self.decisions.get(index).ok_or(Contradiction)?;
        if decision.object != object {
            return Ok(Err(erasure::StageError::Mismatch));
        }
        if self.staged.is_some() {
            return Ok(Err(erasure::StageError::AlreadyStaged));
        }
        self.staged = Some(index);
        Ok(Ok(()))
    }
}

/// What the plugin is told of a decision; `None` for one that allows.
fn denial(decision: &Decision) -> Option<gate::Denial> {
    match &decision.verdict {
        Verdict::Allowed => None,
        Verdict::Denied => {
            let last = decision.reviews.last();
            let findings = last.map_or(&[][..], |review| &review.findings);
            let failed = |outcome| outcome == FindingOutcome::Failed;
            let failed = findings.iter().filter(|finding| failed(finding.outcome));
            Some(gate::Denial::Policy(gate::PolicyDenial {
                policy: last.map_or_else(String::new, |review| review.policy.clone()),
                findings: failed.map(convert::finding_back).collect(),
            }))
        }
        Verdict::Held => Some(gate::Denial::Held),
        Verdict::Retained => Some(gate::Denial::RetainedUntil(
            decision.object.retain_until_ms.unwrap_or_default(),
        )),
        Verdict::Fault(code) => Some(gate::Denial::Fault(code.clone())),
    }
}

fn within(value: &str, limit: usize) -> wasmtime::Result<()> {
    if value.len() > limit {
        return Err(Oversized.into());
    }
    Ok(())
}
