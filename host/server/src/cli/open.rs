//! The data directory, opened for one verb.

use std::path::Path;

use atropos_service::config::Config;
use atropos_service::service::{DataDirectory, Service};

use super::failure::Failure;

/// Refuses a data directory that is not there, for verbs that only look at one.
pub(super) fn must_exist(data_dir: &Path) -> Result<(), Failure> {
    match data_dir.is_dir() {
        true => Ok(()),
        false => Err(Failure::NotFound {
            what: "data directory",
            name: data_dir.display().to_string(),
        }),
    }
}

/// Opens the data directory for one verb that runs no guest. Meanwhile bytes are removed that are due.
pub(super) async fn with_directory<T>(
    config: Config,
    verb: impl AsyncFnOnce(&DataDirectory) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let data = DataDirectory::open(config)?;
    let removals = data.start_removals();
    let answer = verb(&data).await;
    removals.stop().await;
    data.close().await;
    answer
}

/// The same for a verb that runs guests, and lets what the verb began be committed.
pub(super) async fn with_service<T>(
    config: Config,
    verb: impl AsyncFnOnce(&Service) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // Recovery is the server's: what it is about to remove is not to be removed under its hands.
    let service = Service::open_beside(config)?;
    let answer = verb(&service).await;
    service.stop().await;
    answer
}
