//! Compiling components, away from the threads that serve requests: a few at once, some waiting, each
//! within a deadline.
//!
//! A compilation cannot be interrupted, and a component can be made so that it takes minutes, or all
//! memory. So the program runs itself as a process that compiles one component, within limits that the
//! system enforces, and ends it at the deadline. Who embeds the crate and has no such program compiles
//! in this process: past the deadline the caller is told so, and the place in the queue is free when the
//! thread is done.
//!
//! **Invariant:** at most so many compile at once, and so many wait, as the configuration says; one more
//! is refused at once.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rlimit::Resource;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;

use super::engine;
use super::failure::{GuestError, source};
use crate::{config, private};

/// The verb with which the program compiles what it reads.
pub const VERB: &str = "compile-component";

/// How often a process is looked at to see whether it is done. The smallest component takes 4 ms.
const PACE: Duration = Duration::from_millis(2);

/// The most that a process says of what is wrong with a component.
const LONGEST_REASON: usize = 4096;

/// More threads than this make a compilation hardly faster, and each takes address space.
const THREADS: usize = 4;

/// How much less than what serves requests a compilation is to get of the cores.
const NICENESS: i32 = 10;

/// How a process ends that found something wrong with the component.
const REFUSED: i32 = 1;
/// How one ends that could not do its work.
const UNABLE: i32 = 3;

/// It panicked, most likely for want of memory. What a panic ends the program with would say
/// [`UNABLE`], which is the machine's fault.
const PANICKED: i32 = 101;

/// Makes images. Cheap to clone.
#[derive(Clone)]
pub(super) struct Compiler {
    engine: Engine,
    settings: Arc<config::Components>,
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
    most: usize,
}

/// The right to compile once; the next one's when it is dropped.
struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Compiler {
    pub(super) fn new(engine: &Engine, settings: &config::Components) -> Self {
        let turns = match settings.compilations {
            0 => std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
            some => some as usize,
        };
        let most = turns.saturating_add(settings.max_queued as usize);
        Self {
            engine: engine.clone(),
            settings: Arc::new(settings.clone()),
            turns: Arc::new(Semaphore::new(turns)),
            places: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// How many compile or wait.
    pub(super) fn under_way(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    /// Compiles a component to its image.
    pub(super) async fn compile(&self, bytes: Vec<u8>) -> Result<Vec<u8>, GuestError> {
        let (size, limit) = (bytes.len(), self.settings.max_bytes);
        if size as u64 > limit {
            return Err(GuestError::TooLarge { size, limit });
        }
        let turn = self.turn().await?;
        let deadline_ms = self.settings.deadline_ms;
        let deadline = Duration::from_millis(deadline_ms);
        let (engine, settings) = (self.engine.clone(), Arc::clone(&self.settings));
        let compiling = tokio::task::spawn_blocking(move || {
            // Kept for as long as this computes, even if nobody waits for it any more.
            let _turn = turn;
            match &settings.worker {
                Some(worker) => in_process(worker, &bytes, &settings),
                None => image(&engine, &bytes),
            }
        });
        // A process is ended by whoever waits for it, a little later than this at most.
        let patience = match self.settings.worker {
            Some(_) => deadline * 2,
            None => deadline,
        };
        let compiled = tokio::time::timeout(patience, compiling).await;
        let compiled = compiled.map_err(|_| GuestError::CompileDeadline { deadline_ms })?;
        compiled.unwrap_or(Err(GuestError::Interrupted))
    }

    async fn turn(&self) -> Result<Turn, GuestError> {
        let busy = |_| GuestError::Busy {
            queued: self.settings.max_queued,
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        Ok(Turn {
            _turn: turn.map_err(|_| GuestError::Interrupted)?,
            _place: place,
        })
    }
}

/// Compiles here and now.
fn image(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, GuestError> {
    let image = engine.precompile_component(bytes);
    image.map_err(GuestError::compile)
}

/// Has a process compile.
fn in_process(
    program: &Path,
    component: &[u8],
    settings: &config::Components,
) -> Result<Vec<u8>, GuestError> {
    let started = Instant::now();
    let deadline = Duration::from_millis(settings.deadline_ms);
    let unusable = |error: io::Error| GuestError::Compiler(source(error));
    let mut worker = Worker::start(program, component, settings).map_err(unusable)?;
    let status = loop {
        match worker.process.try_wait().map_err(unusable)? {
            Some(status) => break status,
            None if started.elapsed() > deadline => {
                return Err(GuestError::CompileDeadline {
                    deadline_ms: settings.deadline_ms,
                });
            }
            None => std::thread::sleep(PACE),
        }
    };
    match status.code() {
        Some(0) => worker.image().map_err(unusable),
        Some(REFUSED) => Err(GuestError::compile(worker.reason())),
        Some(UNABLE) => Err(unusable(io::Error::other(worker.reason()))),
        _ => Err(GuestError::CompileCrash {
            status,
            memory_bytes: settings.compiler_memory_bytes,
        }),
    }
}

/// A process that compiles one component, ended when it is dropped.
struct Worker {
    process: Child,
    image: File,
    said: File,
}

impl Worker {
    fn start(program: &Path, component: &[u8], settings: &config::Components) -> io::Result<Self> {
        // Files, not pipes: nobody has to keep writing and reading for it to go on.
        let file = || temporary(settings.cache.as_deref());
        let (mut bytes, image, said) = (file()?, file()?, file()?);
        bytes.write_all(component)?;
        bytes.rewind()?;
        let process = Command::new(program)
            .arg0("atropos")
            .arg(VERB)
            .arg(settings.compiler_memory_bytes.to_string())
            .arg(settings.deadline_ms.to_string())
            // It needs nothing, and so learns nothing.
            .env_clear()
            .env("RAYON_NUM_THREADS", THREADS.to_string())
            .stdin(bytes)
            .stdout(image.try_clone()?)
            .stderr(said.try_clone()?)
            .spawn()?;
        Ok(Self {
            process,
            image,
            said,
        })
    }

    fn image(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.image.rewind()?;
        self.image.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The beginning of what it said is wrong.
    fn reason(&mut self) -> String {
        let mut said = Vec::new();
        if self.said.rewind().is_ok() {
            // What cannot be read is not told.
            let _ = (&self.said)
                .take(LONGEST_REASON as u64)
                .read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).trim().to_owned()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Ended already, as a rule.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A file without a name, in the folder where images are kept. What the system has for temporary files
/// is the second choice: it may be missing, full, or forbidden to a service that keeps to its own
/// directory.
fn temporary(folder: Option<&Path>) -> io::Result<File> {
    let told = |folder: &Path, error: io::Error| {
        let told = format!("no temporary file in {}: {error}", folder.display());
        io::Error::new(error.kind(), told)
    };
    let Some(folder) = folder else {
        return tempfile::tempfile().map_err(|error| told(&std::env::temp_dir(), error));
    };
    let made = private::make_folder(folder).and_then(|()| tempfile::tempfile_in(folder));
    made.or_else(|error| tempfile::tempfile().map_err(|_| told(folder, error)))
}

/// What such a process does: compiles the component on stdin to the image on stdout. Tells how it ends:
/// with 0; with 1 if the component is not one that can be compiled; with 3 if the system does not let it;
/// with 101 if that panics. Of 1 and 3, stderr says why. Beyond `memory_bytes` of address space, or twice `deadline_ms`, it is
/// ended.
pub fn compile(memory_bytes: u64, deadline_ms: u64) -> i32 {
    let unable = |error: io::Error| (UNABLE, error.to_string());
    let work = || {
        let mut bytes = Vec::new();
        confine(memory_bytes, deadline_ms).map_err(unable)?;
        io::stdin().lock().read_to_end(&mut bytes).map_err(unable)?;
        let engine = engine::compiler().map_err(|error| (UNABLE, GuestError::one_line(&error)))?;
        let image = engine.precompile_component(&bytes);
        let image = image.map_err(|error| (REFUSED, format!("{error:#}")))?;
        io::stdout().lock().write_all(&image).map_err(unable)
    };
    let outcome = std::panic::catch_unwind(work);
    match outcome.unwrap_or_else(|_| Err((PANICKED, String::new()))) {
        Ok(()) => 0,
        Err((status, why)) => {
            // Nobody reads it if the one who asked is gone.
            let _ = io::stderr().lock().write_all(why.as_bytes());
            status
        }
    }
}

/// Has the system hold this process to its limits, and end it with the one that started it.
fn confine(memory_bytes: u64, deadline_ms: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // Whoever asked ends it at the deadline; this is for when nobody is there to do so.
    let seconds = (deadline_ms / 1000 + 1).saturating_mul(2 * THREADS as u64);
    lower(Resource::CPU, seconds)?;
    lower(Resource::CORE, 0)?;
    lower(Resource::FSIZE, memory_bytes)?;
    lower(Resource::AS, memory_bytes)?;
    rustix::process::nice(NICENESS)?;
    Ok(())
}

/// Sets a limit. One that is lower already stays: only a privileged process may raise it.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let (_, most) = resource.get()?;
    let limit = limit.min(most);
    resource.set(limit, limit)
}
