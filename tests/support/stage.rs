//! A platform in memory, set for guests that misbehave.

use std::sync::Arc;
use std::time::Instant;

use atropos::erase::{Atropos, PhotoRequest, Platform, Request};
use atropos::error::Refused;
use atropos_service::config::{Config, GuestLimits};

use crate::embed::platform::Memory;
use crate::support::PATIENCE;

pub(crate) const OWNER: &str = "u-1001";

/// The default, with deadlines that do not interfere with what comes out the same on every machine.
pub(crate) fn patient() -> Config {
    let limits = GuestLimits {
        deadline_ms: 60_000,
        ..GuestLimits::default()
    };
    Config {
        plugin: limits,
        policy: limits,
        ..Config::default()
    }
}

/// An embedding platform with a sandbox.
pub(crate) struct Stage {
    pub(crate) memory: Arc<Memory>,
    pub(crate) atropos: Atropos,
}

impl Stage {
    /// One photo `p-1` under `allow-all`, and generous limits.
    pub(crate) fn set() -> Self {
        // Enough memory to make an answer that is too large to pass.
        let mut config = patient();
        for limits in [&mut config.plugin, &mut config.policy] {
            limits.memory_bytes = 256 << 20;
            limits.fuel = 1_000_000_000;
        }
        Self::with(&config)
    }

    /// One photo `p-1` under `allow-all`.
    pub(crate) fn with(config: &Config) -> Self {
        Self::on(|memory| memory.clone().into(), config)
    }

    /// The same, on a platform that is not what it seems.
    pub(crate) fn on(platform: impl FnOnce(&Arc<Memory>) -> Platform, config: &Config) -> Self {
        let memory = Arc::new(Memory::default());
        memory.add_photo(OWNER, "p-1", b"bytes");
        memory.assign("allow-all", "{}");
        let atropos = Atropos::start(platform(&memory), &config.flow()).expect("the sandbox");
        Self { memory, atropos }
    }

    /// Asks again while the plugin is being compiled, as a client does: how long that takes depends on the
    /// machine.
    pub(crate) async fn delete(&self, photo: &str) -> Result<(), Refused> {
        let started = Instant::now();
        loop {
            let request = Request::Photo(self.request(photo));
            let outcome = self.atropos.delete(request).await;
            let compiling =
                matches!(&outcome, Err(refused) if refused.code() == "plugin-compiling");
            if !compiling || started.elapsed() > PATIENCE {
                return outcome;
            }
        }
    }

    /// A request that the platform's one account may make.
    pub(crate) fn request(&self, photo: &str) -> PhotoRequest {
        PhotoRequest {
            website_id: Some("7".to_owned()),
            site_key: Some("key-of-website-7".to_owned()),
            user_id: Some(OWNER.to_owned()),
            photo_id: Some(photo.to_owned()),
        }
    }

    pub(crate) fn assign(&self, name: &str, component: &[u8]) {
        let entry = self.memory.keep(name, component, "{}");
        self.memory.put(vec![entry]);
    }

    pub(crate) fn choose(&self, component: &[u8]) {
        let digest = self.memory.keep("plugin", component, "").digest;
        *self.memory.plugin.lock() = Some(digest);
    }

    /// The recorded verdict of the latest decision.
    pub(crate) async fn verdict(&self) -> String {
        self.verdicts().await.pop().expect("a decision")
    }

    /// All recorded verdicts, in the order of the decisions. Nothing is taken on afterwards.
    pub(crate) async fn verdicts(&self) -> Vec<String> {
        self.atropos.stop().await;
        let decisions = self.memory.decisions.lock();
        let verdicts = decisions.iter().map(|decision| decision.verdict.as_str());
        verdicts.map(str::to_owned).collect()
    }

    pub(crate) fn assert_intact(&self, guest: &str) {
        assert_eq!(self.memory.rows.lock().len(), 1, "{guest}: the row is gone");
        assert_eq!(
            self.memory.bytes.lock().len(),
            1,
            "{guest}: the bytes are gone"
        );
    }
}
