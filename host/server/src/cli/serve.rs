//! The server: configuration in two steps, one server per data directory, an orderly end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use atropos::guest::NotWarm;
use atropos::parts::caught;
use atropos_service::config::Config;
use atropos_service::log;
use atropos_service::service::{Service, ServiceError};
use atropos_service::status::{Socket, Teller};
use clap::Args;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::global::Global;
use super::lock::ServerLock;
use super::{Failure, descriptors};
use crate::memory::MemoryBudget;
use crate::{demo, http};

/// Where the demo keeps its data unless told otherwise.
const DEMO_DIR: &str = "atropos-demo";

/// How many newcomers may wait to be accepted; one more would try again a second later. The system
/// has a limit of its own.
const BACKLOG: u32 = 4096;

#[derive(Args, Debug)]
#[command(after_help = "\
When it is ready, the server prints one line on stdout, `listening on http://ADDRESS`; its log goes
to stderr. SIGTERM, SIGINT or SIGHUP ends it once everything under way is done, or after
`http.shutdown-timeout-ms`; a second signal ends it at once. One server at a time works in a data
directory; the other verbs may work beside it.

Examples:
  atropos serve --demo
  atropos serve --config atropos.toml --listen 0.0.0.0:8080
  atropos tenant list --data-dir atropos-demo     a verb beside the demo")]
pub(crate) struct Serve {
    /// Where to listen; port 0 picks a free one [default: what the configuration says, or
    /// 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Fill an empty data directory with two tenants, photos and documents, and print requests to
    /// try; on this machine only [default directory: `atropos-demo`]
    #[arg(long)]
    demo: bool,
}

impl Serve {
    /// From what was typed to what is meant.
    pub(crate) fn config(&self, mut config: Config, typed: &Global) -> Result<Config, Failure> {
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if self.demo {
            if typed.data_dir.is_none() && typed.config.is_none() {
                config.data_dir = PathBuf::from(DEMO_DIR);
            }
            if !config.listen.ip().is_loopback() {
                return Err(Failure::Usage(format!(
                    "the demo's key is public, so it listens on this machine only, and {} reaches \
                     further; use --listen 127.0.0.1:8080",
                    config.listen
                )));
            }
        }
        Ok(config)
    }
}

/// Serves until it is told to stop.
pub(crate) async fn run(typed: Serve, mut config: Config) -> Result<(), Failure> {
    let _lock = ServerLock::take(&config.data_dir)?;
    // Before anyone can know that there is a server to stop.
    let signals = Signals::listen()?;
    if let Err(error) = http::install_metrics() {
        tracing::warn!(%error, "there are no metrics");
    }
    descriptors::share(&mut config.http);
    let memory = MemoryBudget::of(&config);
    tracing::info!(
        at_most_mib = memory.total().div_ceil(1 << 20),
        parts = %memory,
        "memory that the configuration allows"
    );
    let service = Service::open(config)?;
    match ready(&typed, &service).await {
        Ok(Ready {
            listener,
            socket,
            teller,
        }) => serve(service, listener, tell(socket, teller), signals).await,
        Err(failure) => {
            service.stop().await;
            Err(failure)
        }
    }
}

/// A server before its first request.
struct Ready {
    listener: TcpListener,
    /// Where its status is told, if there can be such a place.
    socket: Option<Socket>,
    teller: Teller,
}

/// Everything that can fail before the first request.
async fn ready(typed: &Serve, service: &Service) -> Result<Ready, Failure> {
    let listen = service.config.listen;
    let unbound = |source| Failure::Io {
        what: format!("cannot listen on {listen}"),
        source,
    };
    let listener = bind(listen).map_err(unbound)?;
    let address = listener.local_addr().map_err(unbound)?;
    let base = format!("http://{address}");
    match service.atropos.sandbox().warm_up().await {
        Ok(()) => {}
        Err(NotWarm::Machine(error)) => return Err(ServiceError::Guest(error).into()),
        // Choosing another plugin mends it while the server runs.
        Err(NotWarm::Plugin(refused)) => {
            tracing::error!(%refused, "no delete can be served now");
        }
    }
    let tour = match typed.demo {
        true => Some(furnish(service, &base).await?),
        false => None,
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data_dir = %service.config.data_dir.display(),
        plugin = plugin(service).await?,
        tenants = service.tenants.tenants().await?.len(),
        "atropos is ready"
    );
    let socket = Socket::listen(&service.config.data_dir).inspect_err(|error| {
        tracing::warn!(%error, "there is no socket for `atropos status`");
    });
    if let Some(tour) = tour {
        log::say(&tour);
    }
    // Whoever reads that it listens finds in the log what came before.
    log::catch_up();
    // Not waited for: a stdout that nobody reads may never take it.
    spawn_blocking(move || say(&mut io::stdout().lock(), &format!("listening on {base}\n")));
    Ok(Ready {
        listener,
        socket: socket.ok(),
        teller: Teller::new(service.clone(), address),
    })
}

fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that starts again does not wait for the connections of the last one.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

async fn plugin(service: &Service) -> Result<String, Failure> {
    let chosen = service.chains.plugin().await?;
    Ok(chosen.map_or_else(|| "built in".to_owned(), |digest| digest.to_string()))
}

async fn furnish(service: &Service, base: &str) -> Result<String, Failure> {
    let tenants = service.tenants.tenants().await?;
    let stranger = tenants.iter().find(|tenant| !demo::knows(tenant));
    if let Some(stranger) = stranger {
        return Err(Failure::Usage(format!(
            "{} is no demo: it has the tenant `{}`; choose another --data-dir",
            service.config.data_dir.display(),
            stranger.subdomain
        )));
    }
    Ok(demo::furnish(service, base).await?)
}

/// Says something that the server can do without saying.
fn say(out: &mut impl io::Write, text: &str) {
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!(%error, "nobody reads the server's output");
    }
}

/// Serves until the first signal and what is under way after it, or until the second signal.
async fn serve(
    service: Service,
    listener: TcpListener,
    telling: impl Future<Output = ()>,
    mut signals: Signals,
) -> Result<(), Failure> {
    let (stop, stopped) = oneshot::channel();
    let serving = async {
        let until = async move {
            // A sender that is gone means stop as well.
            let _ = stopped.await;
        };
        let served = caught(http::serve(service.clone(), listener, until)).await;
        service.stop().await;
        served.ok_or(Failure::Panicked)
    };
    let signalled = async {
        signals.next().await;
        tracing::info!(
            at_most_ms = service.config.http.shutdown_timeout_ms,
            "stopping once everything under way is done; signal again to end at once"
        );
        let _ = stop.send(());
        signals.next().await;
    };
    tokio::select! {
        served = serving => served,
        () = telling => Ok(()),
        () = signalled => Err(Failure::Interrupted),
    }
}

/// Tells the status for as long as it is polled. A server without a socket serves all the same.
async fn tell(socket: Option<Socket>, teller: Teller) {
    match socket {
        Some(socket) => socket.tell(teller).await,
        None => std::future::pending().await,
    }
}

/// The signals that mean stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The terminal is closed; `None` where that was not to end the program, as `nohup` has it.
    hang_up: Option<Signal>,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|source| Failure::Io {
                what: "cannot listen for signals".to_owned(),
                source,
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: match ignores_hang_up() {
                true => None,
                false => Some(listen(SignalKind::hangup())?),
            },
        })
    }

    async fn next(&mut self) {
        let hung_up = async {
            match &mut self.hang_up {
                Some(hang_up) => drop(hang_up.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = hung_up => {}
        }
    }
}

/// Whether whoever started the program has the system ignore SIGHUP, which stays so unless it is listened
/// for.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The first signal is the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
