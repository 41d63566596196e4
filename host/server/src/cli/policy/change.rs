//! A change of a tenant's chain, as it is typed, and how it is put in force.

use atropos::domain::policies::{NewShadow, Origin};
use atropos::domain::{Chain, ChainEntry, NewRevision, PolicyLimits};
use atropos::target::{Subdomain, Tenant, now_ms};
use atropos_service::service::DataDirectory;
use clap::Args;
use uuid::Uuid;

use crate::cli::{Failure, tenant, values};

/// Whose chain, who changes it, and why.
#[derive(Args, Clone, Debug)]
pub(crate) struct Change {
    /// Subdomain of the tenant
    #[arg(long)]
    tenant: Subdomain,
    /// Who changes it, for the history [default: who you are to the system]
    #[arg(long, value_name = "NAME", value_parser = values::sentence)]
    by: Option<String>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = values::sentence)]
    why: Option<String>,
    /// What `atropos replay` found of this very chain
    #[arg(long, value_name = "ID")]
    report: Option<Uuid>,
}

/// A tenant and its chain, about to be changed.
pub(crate) struct Changing {
    pub(crate) tenant: Tenant,
    /// The chain in force; with revision 0 if there is none.
    pub(crate) active: Chain,
    change: Change,
}

impl Change {
    /// Looks up what is to be changed.
    pub(crate) async fn begin(self, data: &DataDirectory) -> Result<Changing, Failure> {
        let tenant = tenant::named(data, &self.tenant).await?;
        let active = data.chains.chain(tenant.id).await?;
        Ok(Changing {
            tenant,
            active: active.map(|chain| Chain::clone(&chain)).unwrap_or_default(),
            change: self,
        })
    }
}

impl Changing {
    /// Puts a chain in force, unless the one that it was meant to replace is not in force any more.
    /// `why` stands for what was not typed.
    pub(crate) async fn revise(
        self,
        data: &DataDirectory,
        origin: Origin,
        (entries, limits): (Vec<ChainEntry>, PolicyLimits),
        why: String,
    ) -> Result<u64, Failure> {
        let new = NewRevision {
            entries,
            limits,
            origin,
            by: self.change.by.unwrap_or_else(values::operator),
            why: self.change.why.unwrap_or(why),
            at_ms: now_ms(),
            base: Some(self.active.revision),
            report: self.change.report,
        };
        Ok(data.policies.revise(self.tenant.id, new).await??)
    }

    /// Has a chain tried beside the one in force.
    pub(crate) async fn shadow(
        self,
        data: &DataDirectory,
        (entries, limits): (Vec<ChainEntry>, PolicyLimits),
    ) -> Result<Uuid, Failure> {
        let new = NewShadow {
            entries,
            limits,
            by: self.change.by.unwrap_or_else(values::operator),
            why: self.change.why.unwrap_or_default(),
            at_ms: now_ms(),
        };
        Ok(data.policies.set_shadow(self.tenant.id, new).await?)
    }
}
