//! The native gate: what the standard plugin and the policy `retention` do for a photo, as a platform
//! would write it into its own code. It asks the same of the storage, and what it decides is recorded as
//! theirs is.

use std::collections::HashMap;

use async_trait::async_trait;
use atropos::config::Config;
use atropos::domain::Chain;
use atropos::domain::decision::{
    Decision, DecisionCaller, Finding, FindingOutcome, PolicyReview, Verdict,
};
use atropos::erase::{PhotoRequest, Platform, Request};
use atropos::error::{Reason, Refused};
use atropos::guest::Served;
use atropos::guest::native::Native;
use atropos::target::{Caller, Kind, Object, Permission, Target, WebsiteId, now_ms};
use atropos_service::auth::AuthError;
use serde::Deserialize;

use crate::facts::DAY_MS;

/// The gate.
pub(super) struct Gate(pub Platform);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    minimum_age_days: HashMap<String, u64>,
}

#[async_trait]
impl Native for Gate {
    async fn serve(&self, request: &Request) -> Served {
        let mut caller = None;
        let staged = self.photo(request, &mut caller).await;
        let (staged, unused) = match staged {
            Ok(decision) if decision.verdict == Verdict::Allowed => (Ok(decision), Vec::new()),
            Ok(decision) => (Err(refused("403")), vec![decision]),
            Err(refused) => (Err(refused), Vec::new()),
        };
        Served {
            staged,
            unused,
            caller,
            crowded: false,
        }
    }
}

impl Gate {
    async fn photo(
        &self,
        request: &Request,
        known: &mut Option<Caller>,
    ) -> Result<Decision, Refused> {
        let Request::Photo(request) = request else {
            return Err(refused("photos-only"));
        };
        let (website, key, target) = parse(request).ok_or_else(|| refused("invalid"))?;
        let caller = self.0.authority.authenticate_site(website, key).await;
        let caller = caller.map_err(|error| match error {
            AuthError::Unavailable(_) => Refused::Unavailable,
            _ => refused("401"),
        })?;
        *known = Some(caller.clone());
        if !caller.may(Permission::PhotosWrite) {
            return Err(refused("403"));
        }
        let target = Target {
            tenant: caller.tenant.id,
            ..target
        };
        let object = self.0.rows.find(&target).await;
        let object = object.map_err(|_| Refused::Unavailable)?;
        let object = object.ok_or_else(|| refused("404"))?;
        let chain = self.0.chains.chain(caller.tenant.id).await;
        let chain = chain.map_err(|_| Refused::Unavailable)?;
        let chain = chain.ok_or_else(|| refused("policy-missing"))?;
        decide(&chain, caller, object).ok_or_else(|| refused("settings"))
    }
}

/// What the plugin makes of a request, but for the tenant, which authentication tells.
fn parse(request: &PhotoRequest) -> Option<(WebsiteId, &str, Target)> {
    let website = WebsiteId::new(request.website_id.as_deref()?.parse().ok()?)?;
    let key = request.site_key.as_deref().filter(|key| !key.is_empty())?;
    let user = request.user_id.as_deref()?;
    let id = request.photo_id.as_deref()?;
    let valid = !user.is_empty() && user.trim() == user && !user.contains(char::is_control);
    let valid = valid && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    let target = Target {
        tenant: atropos::target::TenantId(0),
        kind: Kind::Photo,
        owner: user.to_owned(),
        id: id.to_owned(),
    };
    valid.then_some((website, key, target))
}

/// The rule, for each policy of the chain.
fn decide(chain: &Chain, caller: Caller, object: Object) -> Option<Decision> {
    let at_ms = now_ms();
    let limits = Config::default().policy;
    let (mut reviews, mut verdict) = (Vec::new(), Verdict::Allowed);
    for entry in &chain.entries {
        let settings: Settings = serde_json::from_str(&entry.settings).ok()?;
        let minimum = settings.minimum_age_days.get(object.target.kind.as_str())?;
        let age = at_ms.saturating_sub(object.created_at_ms) / DAY_MS;
        let allows = age >= *minimum;
        let kind = object.target.kind.as_str();
        let detail = format!("the {kind} is {age} days old and must be {minimum}");
        let mut review = PolicyReview::unasked(entry, limits);
        review.outcome = if allows { "allow" } else { "deny" }.to_owned();
        review.findings.push(Finding {
            rule: "minimum-age".to_owned(),
            outcome: match allows {
                true => FindingOutcome::Passed,
                false => FindingOutcome::Failed,
            },
            detail,
        });
        reviews.push(review);
        if !allows {
            verdict = Verdict::Denied;
            break;
        }
    }
    Some(Decision {
        id: uuid::Uuid::now_v7(),
        at_ms,
        tenant: caller.tenant.subdomain,
        caller: DecisionCaller {
            kind: caller.kind,
            id: caller.id,
            permissions: caller.permissions,
        },
        object,
        chain_revision: chain.revision,
        reviews,
        verdict,
    })
}

fn refused(code: &str) -> Refused {
    Refused::Plugin {
        reason: Reason::Forbidden,
        code: code.to_owned(),
        message: String::new(),
    }
}
