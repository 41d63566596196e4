//! What the guests share. They use the raw bindings, as the SDK does not let one misbehave.

use atropos_sdk::plugin::gate::Permit;
use atropos_sdk::plugin::storage::Object;
use atropos_sdk::plugin::{PhotoRequest, Reason, Refusal, auth, gate, storage};
use atropos_sdk::{Finding, Judgement, Outcome, Verdict};

/// A policy with the given name, `fn(Request) -> Judgement`, and settings schema if it matters; it takes
/// any settings.
#[macro_export]
macro_rules! policy {
    ($name:literal, $review:expr) => {
        $crate::policy!($name, $review, "{}".to_owned());
    };
    ($name:literal, $review:expr, $schema:expr) => {
        struct Guest;

        impl atropos_sdk::bindings::policy::exports::atropos::policy::policy::Guest for Guest {
            fn describe() -> atropos_sdk::Description {
                atropos_sdk::Description {
                    name: $name.to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    summary: "Misbehaves.".to_owned(),
                    settings_schema: $schema,
                }
            }

            fn validate_settings(_: String) -> Result<(), Vec<atropos_sdk::SettingsProblem>> {
                Ok(())
            }

            fn review(request: atropos_sdk::Request, _: String) -> atropos_sdk::Judgement {
                $review(request)
            }
        }

        atropos_sdk::bindings::policy::export_policy!(Guest);
        atropos_sdk::allocator!();
    };
}

/// A plugin with the given `fn(PhotoRequest) -> Result<(), Refusal>`, and the same for documents; left
/// out, these are refused with code `not-served`.
#[macro_export]
macro_rules! plugin {
    ($photo:expr) => {
        $crate::plugin!($photo, |_| Err($crate::refusal("not-served")));
    };
    ($photo:expr, $document:expr) => {
        struct Guest;

        impl atropos_sdk::plugin::Plugin for Guest {
            fn delete_photo(
                request: atropos_sdk::plugin::PhotoRequest,
            ) -> Result<(), atropos_sdk::plugin::Refusal> {
                $photo(request)
            }

            fn delete_document(
                request: atropos_sdk::plugin::DocumentRequest,
            ) -> Result<(), atropos_sdk::plugin::Refusal> {
                $document(request)
            }
        }

        atropos_sdk::plugin!(Guest);
    };
}

/// A judgement that allows, and says nothing about it.
pub fn allowed() -> Judgement {
    Judgement {
        verdict: Verdict::Allow,
        findings: Vec::new(),
    }
}

/// A failed finding.
pub fn failed(rule: &str) -> Finding {
    Finding {
        rule: rule.to_owned(),
        outcome: Outcome::Failed,
        detail: String::new(),
    }
}

/// A refusal as of a policy.
pub fn refusal(code: &str) -> Refusal {
    Refusal {
        reason: Reason::Denied,
        code: code.to_owned(),
        message: "Refused.".to_owned(),
    }
}

/// Obtains the requested photo and a permit for it.
pub fn permitted(request: &PhotoRequest) -> Result<(Object, Permit), Refusal> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let website_id = text(&request.website_id).parse().unwrap_or_default();
    let caller = auth::authenticate_site(website_id, &text(&request.site_key))
        .map_err(|_| refusal("nobody"))?;
    let photo = storage::find_photo(&caller, &text(&request.user_id), &text(&request.photo_id))
        .map_err(|_| refusal("no-photo"))?;
    let permit = gate::review(&caller, &photo).map_err(|_| refusal("no-permit"))?;
    Ok((photo, permit))
}
