//! Cedar: its policies parsed beforehand; request and entities either made for each decision, as the
//! facts of each are others, or beforehand.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use atropos::domain::decision::Question;
use atropos::target::{CallerKind, Permission};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression as Value,
};

use crate::harness::Decide;

const POLICIES: &str = include_str!("retention.cedar");

pub(super) fn built(question: &Question) -> Result<Decide> {
    let cedar = Cedar::new()?;
    let question = question.clone();
    Ok(Box::new(move || {
        let built = cedar.build(&question);
        built.is_ok_and(|(request, entities)| cedar.allows(&request, &entities))
    }))
}

pub(super) fn prebuilt(question: &Question) -> Result<Decide> {
    let cedar = Cedar::new()?;
    let (request, entities) = cedar.build(question)?;
    Ok(Box::new(move || cedar.allows(&request, &entities)))
}

/// All that does not depend on the facts.
struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    caller: EntityTypeName,
    object: EntityTypeName,
    erase: EntityUid,
}

impl Cedar {
    fn new() -> Result<Self> {
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: POLICIES.parse()?,
            caller: "Caller".parse()?,
            object: "Object".parse()?,
            erase: r#"Action::"erase""#.parse()?,
        })
    }

    fn allows(&self, request: &Request, entities: &Entities) -> bool {
        let response = self
            .authorizer
            .is_authorized(request, &self.policies, entities);
        response.decision() == Decision::Allow
    }

    /// All facts that a policy of ours is given: a platform does not know which of them matter.
    fn build(&self, question: &Question) -> Result<(Request, Entities)> {
        let Question {
            tenant,
            caller,
            object,
            at_ms,
        } = question;
        let id = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        let principal = id(&self.caller, &caller.id);
        let resource = id(&self.object, &object.target.id);

        let caller_kind = match caller.kind {
            CallerKind::SiteKey => "site-key",
            CallerKind::ApiClient => "api-client",
        };
        let writes = caller.permissions.contains(&Permission::PhotosWrite);
        let caller = [
            ("kind", text(caller_kind)),
            ("photosWrite", Value::new_bool(writes)),
        ];
        let labels = object.labels.iter().map(|label| text(label));
        let object = [
            ("kind", text(object.target.kind.as_str())),
            ("owner", text(&object.target.owner)),
            ("version", number(object.version)?),
            ("sizeBytes", number(object.size_bytes)?),
            ("mediaType", text(&object.media_type)),
            ("createdAtMs", number(object.created_at_ms)?),
            ("labels", Value::new_set(labels)),
        ];
        let context = [("tenant", text(tenant.as_str())), ("atMs", number(*at_ms)?)];

        let context = Context::from_pairs(named(context))?;
        let request = Request::new(
            principal.clone(),
            self.erase.clone(),
            resource.clone(),
            context,
            None,
        )?;
        let caller = Entity::new(principal, named(caller), HashSet::new())?;
        let object = Entity::new(resource, named(object), HashSet::new())?;
        Ok((request, Entities::from_entities([caller, object], None)?))
    }
}

fn named<const N: usize>(values: [(&str, Value); N]) -> HashMap<String, Value> {
    let values = values.into_iter();
    values
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn number(value: u64) -> Result<Value> {
    Ok(Value::new_long(value.try_into()?))
}
