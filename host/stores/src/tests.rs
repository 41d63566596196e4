//! What this storage promises beyond the conformance suite, as sentences.

mod commit;
mod files;
mod lives;
mod model;
mod recovery;
mod settle;
mod volumes;

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use atropos::config::Budget;
pub(super) use atropos::conformance::{FIRST, LATEST};
use atropos::conformance::{Service, Subject, entry};
use atropos::domain::decision::Decision;
use atropos::domain::*;
use atropos::ports::content::WHOLE;
use atropos::ports::*;
use atropos::target::{BlobKey, Kind, Object, Target, now_ms};
use proptest::test_runner::Config as ProptestConfig;
use uuid::Uuid;

use super::local::Local;
use super::sqlite::Sqlite;

/// SQLite and local files in a directory of their own, with nothing in it but one tenant.
pub(super) struct Backend {
    service: Service,
    dir: Arc<tempfile::TempDir>,
}

impl Deref for Backend {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Backend {
    pub(super) async fn embedded() -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let (rows, bytes) = open(dir.path());
        let subject = Subject::of_service(rows, bytes, now_ms(), Box::new(dir.clone()));
        Self::of(subject.await, dir)
    }

    fn of(subject: Subject, dir: Arc<tempfile::TempDir>) -> Self {
        let service = Service::of(&Arc::new(subject)).unwrap();
        Self { service, dir }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Lets go of the files and opens them again. Whoever wrote to them has finished when this returns.
    pub(super) fn reopen(&mut self) {
        let (rows, bytes) = open(self.path());
        let (tenant, keep) = (self.tenant.clone(), Box::new(self.dir.clone()));
        let subject = Subject::over(tenant, rows, bytes, self.now_ms, keep);
        *self = Self::of(subject, self.dir.clone());
    }
}

fn open(dir: &Path) -> (Arc<dyn Database>, Arc<dyn Bytes>) {
    let rows = Arc::new(Sqlite::open(dir).unwrap());
    let bytes = Arc::new(Local::open(dir, &*rows).unwrap());
    (rows, bytes)
}

/// So many cases of a property, unless `PROPTEST_CASES` says otherwise.
pub(super) fn cases(usual: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = usual;
    }
    config
}
