//! Embeds the crate in a platform that has storage and accounts of its own.
//!
//! ```text
//! cargo run --example embed
//! ```

use std::sync::Arc;

use atropos::config::Config;
use atropos::erase::{Atropos, PhotoRequest, Request};

mod platform;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let memory = Arc::new(platform::Memory::default());
    memory.add_photo("u-1001", "p-1", b"the bytes of a picture");
    let atropos = Atropos::start(memory.platform(), &Config::default())?;
    let request = Request::Photo(PhotoRequest {
        website_id: Some("7".to_owned()),
        site_key: Some("key-of-website-7".to_owned()),
        user_id: Some("u-1001".to_owned()),
        photo_id: Some("p-1".to_owned()),
    });

    memory.assign("retention", r#"{"minimum-age-days": {"photo": 30}}"#);
    println!(
        "under `retention`: {:?}",
        atropos.delete(request.clone()).await
    );
    memory.assign("allow-all", "{}");
    println!("under `allow-all`: {:?}", atropos.delete(request).await);
    println!("photos left: {}", memory.rows.lock().len());
    println!("blobs left: {}", memory.bytes.lock().len());
    atropos.stop().await;
    Ok(())
}
