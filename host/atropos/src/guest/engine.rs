//! One wasmtime engine for all guests: how they are compiled, pooled, and interrupted.
//!
//! **Invariant:** an image that another process compiled is what this one would have compiled: both
//! take their settings from [`compiled`].
//! **Invariant:** guests have no clock, no randomness and canonical NaNs, so that what a guest
//! answers depends on its input alone.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use wasmtime::{
    Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};

use super::failure::source;
use super::limits::{Meter, TABLE_ELEMENTS, TICK};
use super::{GuestError, probe};
use crate::config::{self, GuestLimits};
use crate::parts::{Part, Parts, Watched};

/// Room for a policy called from within a plugin's call: both run on the plugin's stack.
const GUEST_STACK_BYTES: usize = 512 << 10;
/// The stack of one call of the plugin.
pub const FIBER_STACK_BYTES: usize = 4 * GUEST_STACK_BYTES;

/// What one component may have of each.
const CORE_INSTANCES: u32 = 64;
const MEMORIES: u32 = 4;
const TABLES: u32 = 16;

/// What a memory takes of the address space, whatever its size.
const MEMORY_GIB: u64 = 4;

/// The engine and what keeps its clock.
pub(super) struct Sandboxing {
    pub(super) engine: Engine,
    ticker: Arc<Ticker>,
}

/// What the thread that keeps the clock shares with those who watch it. The thread ends when all others
/// have let go of it.
struct Ticker {
    part: Arc<Watched>,
    ticks: AtomicU64,
}

/// Where the memories of guests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allocation {
    /// From a pool that has room for all requests at once, so that nobody finds it exhausted.
    Pool,
    /// The same, or from the system at each call where there is no address space for the pool: for those
    /// who run a few guests and end.
    PoolOrSystem,
}

impl Sandboxing {
    pub(super) fn start(
        config: &config::Config,
        allocation: Allocation,
        parts: &Parts,
    ) -> Result<Self, GuestError> {
        let engine = engine(config, allocation)?;
        probe::run(&engine)?;
        let ticker = Arc::new(Ticker {
            part: parts.watch(Part::Ticker),
            ticks: AtomicU64::new(0),
        });
        tick(engine.weak(), &ticker)?;
        Ok(Self { engine, ticker })
    }

    /// Returns once the clock has ticked.
    pub(super) async fn ticked(&self) {
        let ticks = || self.ticker.ticks.load(Ordering::Relaxed);
        let before = ticks();
        while ticks() == before {
            tokio::time::sleep(TICK).await;
        }
    }
}

fn engine(config: &config::Config, allocation: Allocation) -> Result<Engine, GuestError> {
    let error = match Engine::new(&settings(config)) {
        Ok(engine) => return Ok(engine),
        Err(error) => error,
    };
    // What fails without a pool, too, has nothing to do with its size.
    let unpooled = Engine::new(&on_request()).map_err(GuestError::engine)?;
    match allocation {
        Allocation::PoolOrSystem => {
            tracing::info!(%error, "no pool: each guest has its memory from the system");
            Ok(unpooled)
        }
        Allocation::Pool => Err(GuestError::AddressSpace {
            gib: u64::from(components(config) * MEMORIES) * MEMORY_GIB,
            in_flight: config.erase.max_in_flight,
            source: source(error),
        }),
    }
}

/// A store for one call, with every limit set.
pub(super) fn store<T>(
    engine: &Engine,
    data: T,
    limits: GuestLimits,
    meter: fn(&mut T) -> &mut Meter,
) -> wasmtime::Result<Store<T>> {
    let mut store = Store::new(engine, data);
    store.limiter(move |data| meter(data));
    store.set_fuel(limits.fuel)?;
    store.set_hostcall_fuel(usize::try_from(limits.transfer_bytes).unwrap_or(usize::MAX));
    Ok(store)
}

/// The engine of a process that compiles and runs nothing.
pub(super) fn compiler() -> Result<Engine, GuestError> {
    Engine::new(&compiled()).map_err(GuestError::engine)
}

/// How guests are compiled.
fn compiled() -> Config {
    let mut settings = Config::new();
    settings
        // Half of an image is never run: where a trap lies in the source is asked by nobody, and what
        // panics unwinds no frame of a guest.
        .generate_address_map(false)
        .native_unwind_info(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES);
    settings
}

/// How they are run here. A component of any language known to us has room: a Python guest has 38 core
/// instances, most of which are adapters, and a memory of 16 MiB; a JavaScript guest has three memories.
fn settings(config: &config::Config) -> Config {
    let (in_flight, components) = (config.erase.max_in_flight, components(config));
    let mut pool = PoolingAllocationConfig::default();
    // The totals are what all need if each takes the most that it may, so that nobody finds the pool
    // exhausted. They reserve address space and no memory.
    pool.total_component_instances(components)
        .max_core_instances_per_component(CORE_INSTANCES)
        .total_core_instances(components * CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .total_memories(components * MEMORIES)
        .max_tables_per_component(TABLES)
        .total_tables(components * TABLES)
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(in_flight + 8)
        .max_memory_size(usize::try_from(memory_bytes(config)).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .pagemap_scan(wasmtime::Enabled::Auto)
        .max_unused_warm_slots(in_flight);

    let mut settings = on_request();
    settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    settings
}

/// The same without a pool.
fn on_request() -> Config {
    let mut settings = compiled();
    // Where nothing else compiles, this process does: on one core, so that requests have the rest.
    settings.parallel_compilation(false);
    settings
}

/// How many components run at once at most: each request holds a plugin and one policy at a time; each
/// core may replay or check besides.
fn components(config: &config::Config) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    config.erase.max_in_flight * 2 + u32::try_from(cores).unwrap_or(1)
}

/// How large any memory may be.
pub(super) fn memory_bytes(config: &config::Config) -> u64 {
    let policies = config.allowance().most.memory_bytes;
    config.plugin.memory_bytes.max(policies)
}

/// One ticker per engine; it ends when the sandbox is dropped.
fn tick(engine: EngineWeak, ticker: &Arc<Ticker>) -> Result<(), GuestError> {
    let (part, ticker) = (Arc::clone(&ticker.part), Arc::downgrade(ticker));
    let run = move || {
        let mut next = Instant::now();
        while let (Some(ticker), Some(engine)) = (ticker.upgrade(), engine.upgrade()) {
            ticker.part.enter();
            engine.increment_epoch();
            ticker.ticks.fetch_add(1, Ordering::Relaxed);
            ticker.part.completed();
            drop((ticker, engine));
            // A busy machine wakes this thread late; ticks that were missed are made up for, or
            // deadlines would last longer.
            next += TICK;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    };
    std::thread::Builder::new()
        .name("atropos-epoch".to_owned())
        .spawn(move || part.keep_thread(run))
        .map_err(|error| GuestError::Ticker(source(error)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    use super::*;

    fn hash(engine: &Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[tokio::test]
    async fn what_a_process_compiles_is_what_the_server_would_have_compiled() {
        let start = |config: &_| Sandboxing::start(config, Allocation::Pool, &Parts::default());
        let server = start(&config::Config::default()).unwrap();
        assert_eq!(hash(&compiler().unwrap()), hash(&server.engine));
        let large = config::Config {
            plugin: GuestLimits {
                memory_bytes: 256 << 20,
                ..GuestLimits::default()
            },
            ..config::Config::default()
        };
        let other = start(&large).unwrap();
        assert_eq!(hash(&other.engine), hash(&server.engine), "limits matter");
        let unpooled = Engine::new(&on_request()).unwrap();
        assert_eq!(hash(&unpooled), hash(&server.engine), "the pool matters");
    }
}
