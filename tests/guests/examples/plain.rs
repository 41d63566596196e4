//! Denies what is larger than a mebibyte. Whoever wrote it knows the WIT and nothing else of ours: its
//! bindings, its allocator and its world are its own, and it exports more than a policy must.
#![cfg(target_family = "wasm")]

use exports::atropos::policy::policy::{
    Description, Guest as Policy, Judgement, Request, SettingsProblem, Verdict,
};

use crate::atropos::policy::types::{Finding, Outcome};

wit_bindgen::generate!({
    inline: "
        package example:limits;

        world size-limit {
            include atropos:policy/policy-plugin@0.1.0;
            export largest-bytes: func() -> u64;
        }
    ",
    path: "../../wit/policy",
    world: "example:limits/size-limit",
    generate_all,
});

const LARGEST_BYTES: u64 = 1 << 20;

struct SizeLimit;

impl Policy for SizeLimit {
    fn describe() -> Description {
        Description {
            name: "size-limit".to_owned(),
            version: "2.0.0".to_owned(),
            summary: "Forbids the erasure of what is larger than a mebibyte.".to_owned(),
            settings_schema: r#"{"type":"object","maxProperties":0}"#.to_owned(),
        }
    }

    fn validate_settings(settings: String) -> Result<(), Vec<SettingsProblem>> {
        if settings.trim() == "{}" {
            return Ok(());
        }
        Err(vec![SettingsProblem {
            path: String::new(),
            message: "there is nothing to set: `{}`".to_owned(),
        }])
    }

    fn review(request: Request, _: String) -> Judgement {
        let size = request.object.size_bytes;
        let fits = size <= LARGEST_BYTES;
        Judgement {
            verdict: if fits { Verdict::Allow } else { Verdict::Deny },
            findings: vec![Finding {
                rule: "size".to_owned(),
                outcome: if fits {
                    Outcome::Passed
                } else {
                    Outcome::Failed
                },
                detail: format!("has {size} bytes, may have {LARGEST_BYTES}"),
            }],
        }
    }
}

impl Guest for SizeLimit {
    fn largest_bytes() -> u64 {
        LARGEST_BYTES
    }
}

export!(SizeLimit);
