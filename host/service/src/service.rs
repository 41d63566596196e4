//! Everything put together over one data directory: what `serve` and every CLI verb stand on.
//!
//! ```text
//! Storage (rows and bytes) ◄─ DataDirectory (all that runs no guest) ◄─ Service (the flow, with its sandbox)
//! ```
//!
//! **Invariant:** who only looks opens the [`Storage`], on which nothing is at work.
//! **Invariant:** who runs no guest opens the [`DataDirectory`], which reserves nothing for any.

mod backlog;
mod descriptors;
mod lists;
mod readiness;
mod sweep;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atropos::commit::Committer;
use atropos::domain::{ChainEntry, NewComponent, NewTenant};
use atropos::erase::{Atropos, Platform};
use atropos::guest::{ALLOW_ALL, GuestError};
use atropos::parts::Parts;
use atropos::ports::{Bytes, Catalogue, Chains, Policies, StoreError, Tenants};
use atropos::target::{Subdomain, Tenant, WebsiteId, now_ms};

pub use self::backlog::Backlogs;
pub use self::descriptors::{Descriptor, Descriptors, NoneLeft};
pub use self::lists::{ListError, Lists};
pub use self::readiness::{Missing, Readiness};
use self::sweep::Sweep;
use crate::auth::Credentials;
use crate::config::Config;
use crate::log;
use crate::storage::{Storage, StorageError};
use crate::upload::Uploads;

/// The parts of a running service. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    /// All that runs no guest.
    pub data: DataDirectory,
    /// The flow of a delete.
    pub atropos: Atropos,
    /// Whether a delete would be served now.
    pub readiness: Readiness,
    /// The descriptors of connections, and of the files behind them.
    pub descriptors: Descriptors,
    /// What empties the quarantine; nothing beside a server.
    sweep: Sweep,
}

/// What works on an open data directory without running a guest. Cheap to clone.
#[derive(Clone)]
pub struct DataDirectory {
    /// What was set.
    pub config: Arc<Config>,
    /// Who is asking.
    pub credentials: Credentials,
    /// Tenants, keys, clients, budgets.
    pub tenants: Arc<dyn Tenants>,
    /// Components, and what tenants make of them.
    pub policies: Arc<dyn Policies>,
    /// The chains in force and the components they name.
    pub chains: Arc<dyn Chains>,
    /// Objects with all that their owners may see.
    pub catalogue: Arc<dyn Catalogue>,
    /// Its lists, for callers, who take turns.
    pub lists: Lists,
    /// How much is to be removed.
    pub backlogs: Backlogs,
    /// The bytes.
    pub bytes: Arc<dyn Bytes>,
    /// Making objects live.
    pub uploads: Uploads,
    /// Rows and bytes as they are.
    pub storage: Storage,
}

/// A service is its data directory, and more.
impl Deref for Service {
    type Target = DataDirectory;

    fn deref(&self) -> &DataDirectory {
        &self.data
    }
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The sandbox does not start.
    #[error("cannot start the sandbox")]
    Guest(#[from] GuestError),
    /// The machine has no threads for long lists.
    #[error("cannot start the threads for long lists")]
    Threads(#[source] std::io::Error),
}

/// Where compiled components are kept in a data directory.
pub fn images(data_dir: &Path) -> PathBuf {
    data_dir.join("components")
}

impl DataDirectory {
    /// Opens the data directory, making it if need be.
    ///
    /// # Errors
    /// The storage does not open.
    pub fn open(config: Config) -> Result<Self, ServiceError> {
        let storage = Storage::open(&config)?;
        Self::over(storage, config)
    }

    /// The same over a storage that is open. What else there is lies in the data directory.
    ///
    /// # Errors
    /// The machine has no threads for long lists.
    pub fn over(storage: Storage, config: Config) -> Result<Self, ServiceError> {
        let (rows, bytes) = (Arc::clone(&storage.rows), Arc::clone(&storage.bytes));
        Ok(Self {
            credentials: Credentials::new(rows.clone(), &config.auth),
            tenants: rows.clone(),
            policies: rows.clone(),
            chains: rows.clone(),
            catalogue: rows.clone(),
            lists: Lists::new(rows.clone()).map_err(ServiceError::Threads)?,
            backlogs: Backlogs::new(rows.clone()),
            uploads: Uploads::new(rows, Arc::clone(&bytes), &config.upload),
            storage,
            bytes,
            config: Arc::new(config),
        })
    }

    /// Creates a tenant whose chain is, visibly, the built-in `allow-all`. `by` says who creates it, for
    /// the history of its chain.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if subdomain or website is.
    pub async fn create_tenant(
        &self,
        subdomain: Subdomain,
        website_id: WebsiteId,
        by: String,
    ) -> Result<Tenant, StoreError> {
        let ((name, bytes), at_ms) = (ALLOW_ALL, now_ms());
        let component = NewComponent::new(name, bytes, at_ms);
        let allow_all = ChainEntry::new(name, bytes, "{}");
        self.policies.add_component(component).await?;
        let new = NewTenant {
            subdomain,
            website_id,
            chain: vec![allow_all],
            at_ms,
            by,
        };
        self.tenants.create_tenant(new).await
    }

    /// Removes bytes that are due beside a server or without one, until it is stopped.
    pub fn start_removals(&self) -> Committer {
        let (rows, bytes) = (self.storage.rows.clone(), self.bytes.clone());
        let (parts, config) = (Parts::default(), &self.config);
        Committer::start_beside(&parts, rows, bytes, &config.erase, config.budget)
    }

    /// Frees the files of all that was deleted.
    pub async fn close(&self) {
        if let Err(error) = self.storage.rows.purge().await {
            let error = &error as &dyn std::error::Error;
            // A server or verb beside this one reads; whoever is last makes up for it.
            tracing::info!(
                error,
                "deleted rows stay in the files until the next checkpoint"
            );
        }
    }
}

impl Service {
    /// Opens the data directory, making it if need be, and starts the parts. Needs a tokio runtime that has
    /// timers.
    ///
    /// # Errors
    /// The storage does not open, or the sandbox does not start.
    pub fn open(config: Config) -> Result<Self, ServiceError> {
        let storage = Storage::open(&config)?;
        Self::over(storage, config)
    }

    /// The same over a storage that is open, such as one of a platform's own.
    ///
    /// # Errors
    /// As of [`Service::open`].
    pub fn over(storage: Storage, config: Config) -> Result<Self, ServiceError> {
        let mut service = Self::start(Atropos::start, storage, config)?;
        if let Err(error) = service.storage.rows.begin_run() {
            // It protects a database that is put back by hand, and nothing else needs it.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the database is not marked as that of this run");
        }
        let period = Duration::from_millis(service.config.erase.quarantine_ms);
        let parts = service.atropos.parts();
        service.sweep = Sweep::start(parts, service.bytes.clone(), period);
        Ok(service)
    }

    /// The same beside a server, whose erasures under way are left to it.
    ///
    /// # Errors
    /// As of [`Service::open`].
    pub fn open_beside(config: Config) -> Result<Self, ServiceError> {
        let storage = Storage::open(&config)?;
        Self::start(Atropos::start_beside, storage, config)
    }

    fn start(
        start: fn(Platform, &atropos::config::Config) -> Result<Atropos, GuestError>,
        storage: Storage,
        mut config: Config,
    ) -> Result<Self, ServiceError> {
        config.components.cache = Some(images(&config.data_dir));
        let data = DataDirectory::over(storage, config)?;
        let rows = &data.storage.rows;
        let platform = Platform {
            authority: Arc::new(data.credentials.clone()),
            rows: rows.clone(),
            chains: rows.clone(),
            blobs: data.bytes.clone(),
            shadows: Some(rows.clone()),
        };
        let atropos = start(platform, &data.config.flow())?;
        let parts = atropos.parts();
        rows.part().into_iter().for_each(|part| parts.adopt(part));
        log::part().into_iter().for_each(|log| parts.adopt(log));
        Ok(Self {
            readiness: Readiness::new(data.storage.clone(), atropos.clone()),
            atropos,
            descriptors: Descriptors::new(data.config.http.descriptors),
            sweep: Sweep::default(),
            data,
        })
    }

    /// Takes on nothing new, and returns when what is under way has been committed and the files
    /// are free of it.
    pub async fn stop(&self) {
        self.sweep.stop().await;
        self.atropos.stop().await;
        self.data.close().await;
    }
}
