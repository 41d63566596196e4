//! Servers in processes of their own, so that none shares memory or threads with who measures it.

pub(crate) mod by_hand;
mod native;

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result};
use atropos::erase::Platform;
use atropos_server::http;
use atropos_service::service::Service;
use clap::ValueEnum;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::{barrier, stage};

/// The verb by which the program serves itself.
pub(crate) const VERB: &str = "server";

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Atropos as it is shipped.
    Guests,
    /// Atropos with native code in place of its guests.
    Native,
    /// Neither.
    ByHand,
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts one over a directory that is furnished, and waits until it is ready.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(kind: Kind, data_dir: &Path) -> Result<Self> {
        let name = kind.to_possible_value().context("a kind has a name")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args([VERB, name.get_name(), "--data-dir"])
            .arg(data_dir)
            .args(["--barrier-ms", &barrier::longer_ms().to_string()])
            .stdout(Stdio::piped())
            .stderr(File::create(log(data_dir))?)
            .spawn()?;
        let said = child.stdout.take().context("its output is piped")?;
        // From here on a child that failed is ended and reaped.
        let mut server = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let address = line.trim().parse();
        server.address = address.context("it did not start; its log lies beside its directory")?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log(data_dir: &Path) -> PathBuf {
    data_dir.with_extension("log")
}

/// Serves, in this process.
///
/// # Errors
/// The storage does not open, or the like.
pub(crate) async fn run(kind: Kind, data_dir: &Path) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    if kind == Kind::ByHand {
        println!("{address}");
        return by_hand::serve(data_dir, listener).await;
    }
    // As `atropos serve` logs and counts.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new("info")?)
        .with_writer(atropos_service::log::start(true)?)
        .with_ansi(false)
        .init();
    http::install_metrics()?;
    let service = Service::open(stage::config(data_dir))?;
    if kind == Kind::Native {
        let gate = native::Gate(platform(&service));
        service.atropos.sandbox().serve_natively(Arc::new(gate));
    }
    let warm = service.atropos.sandbox().warm_up().await;
    warm.map_err(|refused| anyhow::anyhow!("no delete can be served: {refused}"))?;
    println!("{address}");
    http::serve(service, listener, std::future::pending()).await;
    Ok(())
}

fn platform(service: &Service) -> Platform {
    let rows = &service.storage.rows;
    Platform {
        authority: Arc::new(service.credentials.clone()),
        rows: rows.clone(),
        chains: rows.clone(),
        blobs: service.bytes.clone(),
        shadows: Some(rows.clone()),
    }
}
