//! The sandbox as it is shipped, over a platform in memory.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "an example has more than a benchmark needs"
)]
#[path = "../../../host/atropos/examples/embed/platform.rs"]
mod platform;

use std::sync::{Arc, LazyLock, OnceLock};

use anyhow::{Context, Result};
use atropos::config::Config;
use atropos::guest::{Judge, Sandbox, built_in_policy};
use tokio::runtime::{Builder, Runtime};

use self::platform::Memory;

/// What is asked at once at most, where it is not the default.
static IN_FLIGHT: OnceLock<u32> = OnceLock::new();

/// Has the pool reserve addresses for one decision at a time: for the default number it takes more than
/// valgrind has. Policies then share the slots of the pool, and what one has written to, the next one has
/// to clear as well. Counts only before the first policy is compiled.
pub fn one_at_a_time() {
    IN_FLIGHT.get_or_init(|| 1);
}

/// A policy that comes with the program, compiled.
///
/// # Errors
/// There is no such policy, or the sandbox cannot be set up.
pub fn judge(policy: &str) -> Result<Judge> {
    let component = built_in_policy(policy).context("no such built-in policy")?;
    judge_of(component)
}

/// Any policy, compiled. All share one engine, as in a server.
///
/// # Errors
/// It is none, or the sandbox cannot be set up.
pub fn judge_of(component: &[u8]) -> Result<Judge> {
    static STAGE: LazyLock<Result<(Runtime, Sandbox)>> = LazyLock::new(|| {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let platform = Arc::new(Memory::default()).into();
        let inside = runtime.enter();
        let mut config = Config::default();
        if let Some(&at_once) = IN_FLIGHT.get() {
            config.erase.max_in_flight = at_once;
        }
        let sandbox = Sandbox::start(&platform, &config)?;
        drop(inside);
        Ok((runtime, sandbox))
    });
    let (runtime, sandbox) = match &*STAGE {
        Ok(stage) => stage,
        Err(error) => anyhow::bail!("the sandbox does not start: {error:#}"),
    };
    Ok(runtime.block_on(sandbox.judge(component))?)
}
