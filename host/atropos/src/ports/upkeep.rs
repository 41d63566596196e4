//! Whether storage is as it should be, and what it does around a run.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::Result;
use crate::parts::Watched;

/// Looks after one side of the storage. What a backend has no need of it leaves as it is.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Looks whether the storage is still the one that was opened.
    ///
    /// # Errors
    /// It is another one, or it cannot be looked at.
    async fn prove(&self) -> Result<()> {
        Ok(())
    }

    /// Looks whether a delete would be taken now, by doing as much of it as leaves nothing.
    ///
    /// # Errors
    /// It would not.
    async fn probe(&self) -> Result<()> {
        Ok(())
    }

    /// Prepares for a run of a server, which calls this once and waits for it, before all else.
    ///
    /// # Errors
    /// The run is not prepared for, and can go on without.
    fn begin_run(&self) -> Result<()> {
        Ok(())
    }

    /// Frees the storage of the last traces of all that was deleted so far.
    ///
    /// # Errors
    /// It is not free of them yet; they go later.
    async fn purge(&self) -> Result<()> {
        Ok(())
    }

    /// A thread or task of the backend that lives as long as it does, to be watched beside the service's.
    fn part(&self) -> Option<Arc<Watched>> {
        None
    }
}
