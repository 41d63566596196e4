//! Whole deletes, through the sandbox and the platform in memory. The component that is shipped
//! answers as its source does, and only the one request that names the photo by the right key erases
//! it.

#![no_main]

#[allow(dead_code, reason = "an example has more than one target needs")]
#[path = "../../../host/atropos/examples/embed/platform.rs"]
mod platform;

use std::sync::{Arc, LazyLock};

use arbitrary::{Arbitrary, Result, Unstructured};
use atropos::config::{Config, GuestLimits};
use atropos::erase::{Atropos, DocumentRequest, PhotoRequest, Request};
use atropos::error::Refused;
use atropos_sdk::plugin;
use atropos_standard::fuzzing::{self, Served};
use libfuzzer_sys::{Corpus, fuzz_target};
use platform::Memory;
use tokio::runtime::{Builder, Runtime};

const KEY: &str = "key-of-website-7";
const GUID: &str = "fcc588f3-d1e8-47cd-8b08-e878daecb214";
const JSON: &str = r#"{"tenantSubDomain":"pictures","userAccountId":6,"fileGuid":"#;

#[derive(Debug)]
enum Sent {
    Photo([Option<String>; 4]),
    Document(Option<String>, Option<String>, Vec<u8>),
}

impl<'a> Arbitrary<'a> for Sent {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(2, 3)? {
            let good = ["7", KEY, "u-1", "p-1"];
            let [website, key, user, photo] = good.map(|good| value(u, good));
            return Ok(Self::Photo([website?, key?, user?, photo?]));
        }
        let authorization = value(u, "Bearer abc")?;
        let content_type = value(u, "application/json")?;
        let body = value(u, &format!("{JSON}\"{GUID}\"}}"))?.unwrap_or_default();
        Ok(Self::Document(
            authorization,
            content_type,
            body.into_bytes(),
        ))
    }
}

/// What would be right, mostly; else anything, or nothing.
fn value(u: &mut Unstructured<'_>, good: &str) -> Result<Option<String>> {
    if u.ratio(3, 4)? {
        return Ok(Some(good.to_owned()));
    }
    Option::<String>::arbitrary(u)
}

struct Stage {
    memory: Arc<Memory>,
    atropos: Atropos,
    runtime: Runtime,
}

static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_time().build();
    let runtime = runtime.expect("a runtime");
    let memory = Arc::new(Memory::default());
    memory.assign("allow-all", "{}");
    let limits = GuestLimits {
        deadline_ms: 60_000,
        ..GuestLimits::default()
    };
    let config = Config {
        plugin: limits,
        policy: limits,
        ..Config::default()
    };
    let inside = runtime.enter();
    let atropos = Atropos::start(memory.clone().into(), &config).expect("the sandbox");
    drop(inside);
    Stage {
        memory,
        atropos,
        runtime,
    }
});

fuzz_target!(|sent: Sent| -> Corpus {
    let (request, (outcome, calls)) = match sent {
        Sent::Photo(values) => photo(values),
        Sent::Document(authorization, content_type, body) => {
            document(authorization, content_type, body)
        }
    };
    STAGE.memory.rows.lock().clear();
    STAGE.memory.bytes.lock().clear();
    STAGE.memory.decisions.lock().clear();
    STAGE.memory.add_photo("u-1", "p-1", b"bytes");
    let served = STAGE.runtime.block_on(STAGE.atropos.delete(request));
    let left = STAGE.memory.rows.lock().len();
    assert_eq!(left == 0, served.is_ok(), "{served:?}, and {left} are left");
    let asked: Vec<&str> = calls.iter().map(String::as_str).collect();
    let site = format!("site 7 {KEY}");
    match served {
        Ok(()) => assert_eq!(asked, [&site, "photo u-1 p-1", "review", "stage"]),
        Err(Refused::Plugin { code, message, .. }) => match (outcome, &asked[..]) {
            (Err(refusal), []) => assert_eq!((code, message), (refusal.code, refusal.message)),
            (Ok(()), [asked, find, ..]) if *asked == site => {
                assert_ne!(*find, "photo u-1 p-1");
                assert_eq!(code, "327");
            }
            (Ok(()), [asked, ..]) => {
                let expected = if asked.starts_with("site") {
                    "401"
                } else {
                    "invalid-token"
                };
                assert_eq!(code, expected);
            }
            other => panic!("{code}, and not {other:?}"),
        },
        Err(other) => panic!("{other:?}"),
    }
    Corpus::Keep
});

fn photo([website_id, site_key, user_id, photo_id]: [Option<String>; 4]) -> (Request, Served) {
    let request = plugin::PhotoRequest {
        website_id,
        site_key,
        user_id,
        photo_id,
    };
    let served = fuzzing::photo(&request);
    let request = PhotoRequest {
        website_id: request.website_id,
        site_key: request.site_key,
        user_id: request.user_id,
        photo_id: request.photo_id,
    };
    (Request::Photo(request), served)
}

fn document(
    authorization: Option<String>,
    content_type: Option<String>,
    body: Vec<u8>,
) -> (Request, Served) {
    let request = plugin::DocumentRequest {
        authorization,
        content_type,
        body,
    };
    let served = fuzzing::document(&request);
    let request = DocumentRequest {
        authorization: request.authorization,
        content_type: request.content_type,
        body: request.body,
    };
    (Request::Document(request), served)
}
