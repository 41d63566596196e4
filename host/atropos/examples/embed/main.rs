//! Embeds the crate in a platform that has storage and accounts of its own.
//!
//! ```text
//! cargo run --example embed
//! ```

use std::fmt::Write as _;
use std::sync::Arc;

use atropos::config::Config;
use atropos::erase::{Atropos, PhotoRequest, Request};

pub(crate) mod platform;

/// A policy of the platform's own, by its bytes: it denies what is larger than a mebibyte. Whoever
/// wrote it had the contract in `wit/` and nothing else of this project.
const SIZE_LIMIT: &[u8] = atropos_test_guests::PLAIN;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    print!("{}", story().await?);
    Ok(())
}

/// Three deletes under two policies, and what came of each.
pub(crate) async fn story() -> anyhow::Result<String> {
    let memory = Arc::new(platform::Memory::default());
    memory.add_photo("u-1001", "small", b"the bytes of a picture");
    memory.add_photo("u-1001", "large", &vec![0; 2 << 20]);
    let atropos = Atropos::start(memory.clone().into(), &Config::default())?;
    let mut told = String::new();

    memory.assign("retention", r#"{"minimum-age-days": {"photo": 30}}"#);
    writeln!(told, "retention: {}", delete(&atropos, "small").await)?;
    let own = memory.keep("size-limit", SIZE_LIMIT, "{}");
    memory.put(vec![own]);
    writeln!(told, "size-limit: {}", delete(&atropos, "large").await)?;
    writeln!(told, "size-limit: {}", delete(&atropos, "small").await)?;

    atropos.stop().await;
    let (rows, files) = (memory.rows.lock().len(), memory.bytes.lock().len());
    let decisions = memory.decisions.lock().len();
    writeln!(
        told,
        "left: {rows} row, {files} file, {decisions} decisions"
    )?;
    Ok(told)
}

/// Asks for a delete as a client of the platform's one website would.
async fn delete(atropos: &Atropos, photo: &str) -> String {
    let request = Request::Photo(PhotoRequest {
        website_id: Some("7".to_owned()),
        site_key: Some("key-of-website-7".to_owned()),
        user_id: Some("u-1001".to_owned()),
        photo_id: Some(photo.to_owned()),
    });
    match atropos.delete(request).await {
        Ok(()) => format!("{photo} is erased"),
        Err(refused) => format!("{photo} stays; {refused}"),
    }
}
