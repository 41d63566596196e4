//! What an operator sees at a glance: what the storage holds and what resists, and what a running
//! server knows besides, which it tells over a socket in its data directory.
//!
//! The socket speaks one word: whoever connects is sent the server's part as JSON, and nothing is
//! read from them.
//!
//! **Invariant:** only who may write the data directory's socket gets an answer: its mode is 0600
//! before it has its name.
//! **Invariant:** no credential, user or file name is told.

use std::fs::{File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atropos::commit::shred::chain;
use atropos::domain::ledger::{Room, Totals};
use atropos::domain::removals::Backlog;
use atropos::domain::removals::Overdue;
use atropos::guest::Stock;
use atropos::parts::{Fares, Part, Watched, Work, keep};
use atropos::ports::StoreError;
use atropos::target::{Digest, Subdomain, now_ms};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::log;
use crate::service::{Missing, Service};
use crate::storage::Storage;

/// The socket's name in the data directory.
const SOCKET: &str = "status.sock";

/// The longest path that a socket's address holds.
const LONGEST_PATH: usize = 107;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than a server has to say.
const LONGEST_ANSWER: u64 = 1 << 20;

/// How many of the bytes that resist, and of the components held off, are shown; many more are counted.
const SHOWN: usize = 20;

/// How many of the bytes that resist are counted; a figure of this much means that many or more.
const COUNTED: u32 = 100_000;

/// What the storage holds, as anyone sees who can open it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// How much there is.
    #[serde(flatten)]
    pub totals: Totals,
    /// The deletion plugin that was chosen; `None` for the one built in.
    pub plugin: Option<Digest>,
    /// Doomed bytes that are not gone yet.
    pub backlog: Backlog,
    /// The first of them, those with the most attempts first.
    pub overdue: Vec<Overdue>,
    /// What keeps the place of the bytes from being the one that the rows belong to; `None` if it is.
    pub volume: Option<String>,
    /// How many files are in quarantine, in the right place.
    pub quarantined: Option<u64>,
    /// The room that is left for bytes, in the right place.
    pub room: Option<Room>,
}

impl Stored {
    /// Looks.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub async fn look(storage: &Storage) -> Result<Self, StoreError> {
        let (rows, now) = (&storage.rows, now_ms());
        let proved = storage.bytes.prove().await;
        Ok(Self {
            totals: rows.totals().await?,
            plugin: rows.plugin().await?,
            backlog: rows.backlog(now, COUNTED).await?,
            overdue: rows.overdue(now, SHOWN as u32).await?,
            quarantined: match &proved {
                Ok(()) => Some(storage.bytes.quarantined().await?.len() as u64),
                Err(_) => None,
            },
            room: match &proved {
                Ok(()) => storage.bytes.room().await?,
                Err(_) => None,
            },
            volume: proved.err().map(|error| chain(&error)),
        })
    }
}

/// What a running server knows besides.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// Its process id.
    pub process: u32,
    /// Where it listens.
    pub address: String,
    /// Its version.
    pub version: &'static str,
    /// When it was ready, in milliseconds since the epoch.
    pub started_at_ms: u64,
    /// Whether a delete would be served now.
    pub ready: bool,
    /// What it would need and does not have.
    pub missing: Vec<Missing>,
    /// How the parts fare that live as long as the server.
    pub parts: Vec<Fares>,
    /// How many lines of its log were lost, because stderr did not take them.
    pub log_lines_lost: u64,
    /// Deletes under way.
    pub deletes_under_way: usize,
    /// Which components are loaded, and how they came to be.
    pub components: Stock,
    /// How many components are held off.
    pub breakers_open: usize,
    /// The first of them.
    pub breakers: Vec<Breaker>,
}

/// A component that is held off.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// `plugin` or `policy`.
    pub guest: String,
    /// Which component.
    pub digest: Option<Digest>,
    /// Whose policy; `None` for the plugin.
    pub tenant: Option<Subdomain>,
    /// The code of the last fault.
    pub code: &'static str,
    /// How many there were in a row.
    pub faults: u32,
    /// Until when it is not asked; `None` while one call is let through.
    pub until_ms: Option<u64>,
    /// For how many credentials the plugin is held off; `None` of a policy.
    pub credentials: Option<usize>,
}

/// A server's part, told to whoever asks.
pub struct Teller {
    service: Service,
    address: SocketAddr,
    started_at_ms: u64,
}

impl Teller {
    /// Speaks for this service, which listens at `address` from now on.
    pub fn new(service: Service, address: SocketAddr) -> Self {
        Self {
            service,
            address,
            started_at_ms: now_ms(),
        }
    }

    async fn live(&self) -> Live {
        let atropos = &self.service.atropos;
        let missing = self.service.readiness.missing().await;
        // Where the storage does not tell what is in force, what is missing says so.
        let mut held_off = atropos.sandbox().held_off().await.unwrap_or_default();
        held_off.sort_by_key(|one| std::cmp::Reverse(one.left));
        let tenants = match held_off.is_empty() {
            true => Vec::new(),
            false => self.service.tenants.tenants().await.unwrap_or_default(),
        };
        let breakers = held_off.iter().take(SHOWN).map(|one| {
            let tenant = tenants.iter().find(|tenant| Some(tenant.id) == one.tenant);
            let left_ms = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            Breaker {
                guest: one.fault.guest.to_string(),
                digest: one.fault.digest,
                tenant: tenant.map(|tenant| tenant.subdomain.clone()),
                code: one.fault.code(),
                faults: one.faults,
                until_ms: one.left.map(|left| now_ms().saturating_add(left_ms(left))),
                credentials: one.tenant.is_none().then_some(one.credentials),
            }
        });
        Live {
            process: std::process::id(),
            address: format!("http://{}", self.address),
            version: env!("CARGO_PKG_VERSION"),
            started_at_ms: self.started_at_ms,
            ready: missing.is_empty(),
            missing,
            parts: atropos.parts().fare(),
            log_lines_lost: log::lost(),
            deletes_under_way: atropos.under_way(),
            components: atropos.sandbox().stock(),
            breakers_open: held_off.len(),
            breakers: breakers.collect(),
        }
    }
}

/// A socket with a name, until it is dropped. Only who holds the server's lock may make one.
pub struct Socket {
    listener: UnixListener,
    place: Place,
}

impl Socket {
    /// Takes the place of whatever socket a predecessor left.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn listen(data_dir: &Path) -> io::Result<Self> {
        let place = Place::in_dir(data_dir)?;
        let unnamed = place.path("status.new");
        match std::fs::remove_file(&unnamed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&unnamed)?;
        std::fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
        std::fs::rename(&unnamed, place.path(SOCKET))?;
        Ok(Self { listener, place })
    }

    /// Tells everyone who connects, one after the other, for as long as it is polled.
    pub async fn tell(self, teller: Teller) {
        let part = teller.service.atropos.parts().watch(Part::Status);
        let telling = Telling {
            part,
            socket: self,
            teller,
        };
        keep(telling, CancellationToken::new()).await;
    }
}

/// A teller at its socket.
struct Telling {
    part: Arc<Watched>,
    socket: Socket,
    teller: Teller,
}

impl Work for Telling {
    fn part(&self) -> &Arc<Watched> {
        &self.part
    }

    async fn run(&mut self) {
        loop {
            let Ok((mut stream, _)) = self.socket.listener.accept().await else {
                // Too many open files, most likely.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            self.part.enter();
            let answer = async {
                let live = self.teller.live().await;
                stream.write_all(&serde_json::to_vec(&live)?).await?;
                stream.shutdown().await
            };
            match timeout(PATIENCE, answer).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the status was not told"),
                Err(_) => tracing::warn!("nobody read the status that was asked for"),
            }
            self.part.completed();
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Whoever finds it after all is told by the connection that nobody is there.
        let _ = std::fs::remove_file(self.place.path(SOCKET));
    }
}

/// What the server of a data directory says of itself; `None` if none answers.
pub async fn ask(data_dir: &Path) -> Option<Value> {
    let asked = async {
        let place = Place::in_dir(data_dir)?;
        let stream = UnixStream::connect(place.path(SOCKET)).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(serde_json::from_slice(&answer)?)
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(_)) | Err(_) => None,
    }
}

/// A directory by a path that is short enough for a socket in it.
struct Place {
    path: PathBuf,
    /// Open for as long as the path goes through it.
    _directory: Option<File>,
}

impl Place {
    fn in_dir(data_dir: &Path) -> io::Result<Self> {
        let longest = data_dir.as_os_str().len() + 1 + SOCKET.len();
        if longest <= LONGEST_PATH {
            return Ok(Self {
                path: data_dir.to_owned(),
                _directory: None,
            });
        }
        let directory = File::open(data_dir)?;
        Ok(Self {
            path: format!("/proc/self/fd/{}", directory.as_raw_fd()).into(),
            _directory: Some(directory),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}
