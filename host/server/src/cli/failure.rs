//! Why a verb did not do what it was asked: a closed list, each with its exit code.
//!
//! | exit | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | refused, not found, or not as expected or recorded |
//! | 2 | usage: the command line or the configuration makes no sense |
//! | 3 | unavailable: storage, sandbox, input or output |
//! | 4 | rows and bytes differ, says `doctor` |

mod remedy;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;

use atropos::domain::policies::Unrevised;
use atropos::error::{Reason, Refused};
use atropos::guest::GuestError;
use atropos::ports::StoreError;
use atropos::replay::ReplayError;
use atropos::text::{escape, escape_json};
use atropos_authoring::{BenchError, CaseError, ModuleError, ProjectError, RequestError};
use atropos_service::config::ConfigError;
use atropos_service::service::ServiceError;
use atropos_service::storage::StorageError;
use atropos_service::upload::UploadError;
use atropos_stores::backup::BackupError;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::demo::DemoError;

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was typed makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What was named is not there.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What was named, such as `tenant`.
        what: &'static str,
        /// How it was named.
        name: String,
    },
    /// The delete was refused; the code is the one callers see.
    #[error("{refused} ({})", refused.code())]
    Refused {
        /// Why.
        refused: Refused,
        /// The same in one word, whatever the kind of object.
        outcome: String,
        /// The decision on record behind it.
        decision: Option<Uuid>,
    },
    /// The upload was refused, or broke off.
    #[error("cannot take {path}")]
    Upload {
        /// The file.
        path: PathBuf,
        /// Why.
        source: UploadError,
    },
    /// The component cannot be used, or not for this.
    #[error("cannot use the component {component}")]
    Component {
        /// Its file, name or digest.
        component: String,
        /// Why.
        source: ComponentError,
    },
    /// Cases for a policy cannot be read.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// A request for a policy cannot be read.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A project cannot be made.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// There are no figures, or none to compare them with.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// Decisions cost more than they did; the answer shows which.
    #[error("{worse} figures are worse than they were")]
    Regressed {
        /// How many.
        worse: usize,
    },
    /// A policy did not answer as its cases say; what the answer shows is what it said instead.
    #[error("{failed} of {of} cases failed")]
    CasesFailed {
        /// How many.
        failed: usize,
        /// Of how many.
        of: usize,
    },
    /// Policies refused the settings that a chain was to give them.
    #[error("the settings are refused")]
    Settings(Vec<SettingsRefusal>),
    /// The chain of a tenant stays as it is.
    #[error(transparent)]
    Unrevised(#[from] Unrevised),
    /// The storage failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service does not start.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The demo cannot be set up.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// Another server works in the data directory.
    #[error(
        "another server (process {process}) is running in {path}; stop it, or choose another --data-dir"
    )]
    ServerRunning {
        /// The data directory.
        path: PathBuf,
        /// Its process id, as the lock file names it.
        process: String,
    },
    /// Rows and bytes differ; what the answer shows is left to be mended.
    #[error("{left} findings are left; {remedy}")]
    Diverged {
        /// How many.
        left: u64,
        /// What to do about them.
        remedy: &'static str,
    },
    /// There is no backup, or none to restore.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Recorded decisions did not come out again as they were recorded; the answer shows which.
    #[error("{differing} decisions did not come out as they are recorded")]
    NotReproduced {
        /// How many.
        differing: u64,
    },
    /// A replay ended early.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A second signal ended the server before it had stopped.
    #[error("ended by a second signal before everything under way was done")]
    Interrupted,
    /// What cannot be started again panicked.
    #[error("ended by a panic; the log says where")]
    Panicked,
    /// A file, a socket or the terminal failed.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Why a component cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// It does not load, or meets no world.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// It is a core module, and no component can be made of it.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// It is of the other world.
    #[error("it is a {found}, and a {wanted} is needed")]
    World {
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
}

/// One thing wrong with the settings of one policy, in the policy's words.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsRefusal {
    /// Which policy.
    pub policy: String,
    /// Where, as a dotted path; empty for the whole.
    pub path: String,
    /// What is wrong and what is expected instead.
    pub message: String,
}

/// What the program ends with when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Refused, or not found.
    Refused = 1,
    /// The command line or the configuration makes no sense.
    Usage = 2,
    /// Storage, sandbox, input or output failed; trying again later may help.
    Unavailable = 3,
    /// Rows and bytes differ.
    Diverged = 4,
}

impl Failure {
    /// What the program ends with.
    pub fn exit(&self) -> Exit {
        self.class().0
    }

    /// A stable word for programs; for a refused delete, the code that callers see.
    pub fn code(&self) -> &str {
        self.class().1
    }

    fn class(&self) -> (Exit, &str) {
        match self {
            Self::Usage(_) => (Exit::Usage, "usage"),
            Self::Config(_) => (Exit::Usage, "config"),
            Self::NotFound { .. } => (Exit::Refused, "not-found"),
            Self::Refused { refused, .. } => (refused_exit(refused), refused.code()),
            Self::Upload { source, .. } => match source {
                UploadError::Read(_) => (Exit::Unavailable, "io"),
                UploadError::Store(source) => store_class(source),
                UploadError::Crowded(_) | UploadError::Overloaded(_) => {
                    (Exit::Unavailable, "overloaded")
                }
                _ => (Exit::Refused, "upload-refused"),
            },
            Self::Component { source, .. } => match source {
                ComponentError::Guest(error) if error.is_passing() => {
                    (Exit::Unavailable, "unavailable")
                }
                _ => (Exit::Refused, "component-refused"),
            },
            Self::Case(CaseError::Read { .. }) => (Exit::Unavailable, "io"),
            Self::Case(_) => (Exit::Usage, "case"),
            Self::Request(_) => (Exit::Usage, "request"),
            Self::Project(ProjectError::Exists(_)) => (Exit::Refused, "taken"),
            Self::Project(ProjectError::Write { .. }) => (Exit::Unavailable, "io"),
            Self::Bench(source) => match source {
                BenchError::Fault { .. } | BenchError::Differs { .. } => {
                    (Exit::Refused, "no-figures")
                }
                BenchError::Read { .. } => (Exit::Unavailable, "io"),
                BenchError::Twice { .. } | BenchError::Nothing => (Exit::Usage, "case"),
                BenchError::Form { .. } => (Exit::Usage, "no-figures"),
            },
            Self::Regressed { .. } => (Exit::Refused, "regressed"),
            Self::CasesFailed { .. } => (Exit::Refused, "cases-failed"),
            Self::Settings(_) => (Exit::Refused, "settings-refused"),
            Self::Unrevised(unrevised) => match unrevised {
                Unrevised::Outdated { .. } => (Exit::Refused, "outdated"),
                Unrevised::ReplayWanted { .. } => (Exit::Refused, "replay-wanted"),
                Unrevised::PartialReport { .. } => (Exit::Refused, "partial-report"),
                Unrevised::OtherReport { .. } => (Exit::Refused, "other-report"),
            },
            Self::Store(source) => store_class(source),
            Self::Service(ServiceError::Storage(StorageError::Store { source, .. })) => {
                store_class(source)
            }
            Self::Service(ServiceError::Storage(StorageError::Backup(source))) => {
                backup_class(source)
            }
            Self::Service(_) | Self::Demo(_) => (Exit::Unavailable, "unavailable"),
            Self::ServerRunning { .. } => (Exit::Unavailable, "server-running"),
            Self::Diverged { .. } => (Exit::Diverged, "diverged"),
            Self::Backup(source) => backup_class(source),
            Self::NotReproduced { .. } => (Exit::Refused, "not-reproduced"),
            Self::Replay(source) => match source {
                ReplayError::Store(source) => store_class(source),
                ReplayError::Component { .. } => (Exit::Refused, "component-refused"),
                ReplayError::Interrupted => (Exit::Unavailable, "interrupted"),
            },
            Self::Interrupted => (Exit::Unavailable, "interrupted"),
            Self::Panicked => (Exit::Unavailable, "panicked"),
            Self::Io { .. } => (Exit::Unavailable, "io"),
        }
    }

    /// The failure for stderr, as lines or as one JSON object.
    pub fn report(&self, json: bool) -> String {
        if json {
            format!("{}\n", escape_json(&self.json().to_string()))
        } else {
            self.text()
        }
    }

    fn text(&self) -> String {
        let mut text = format!("error: {}\n", one_line(&self.to_string()));
        for cause in self.causes() {
            let _ = writeln!(text, "caused by: {}", one_line(&cause));
        }
        if let Some(remedy) = self.remedy() {
            let _ = writeln!(text, "remedy: {remedy}");
        }
        for refusal in self.settings() {
            let place = [refusal.policy.as_str(), refusal.path.as_str()];
            let place = place.into_iter().filter(|part| !part.is_empty());
            let place = place.collect::<Vec<_>>().join(": ");
            let line = format!("{place}: {}", refusal.message);
            let _ = writeln!(text, "  {}", one_line(&line));
        }
        text
    }

    /// What an operator can do about it, where that is known.
    fn remedy(&self) -> Option<&'static str> {
        if let Self::Unrevised(unrevised) = self {
            return Some(match unrevised {
                Unrevised::Outdated { .. } => {
                    "look at it with `atropos policy show`, and try again"
                }
                Unrevised::ReplayWanted { .. }
                | Unrevised::PartialReport { .. }
                | Unrevised::OtherReport { .. } => {
                    "replay all recorded decisions with this very chain (`atropos replay --help`), \
                     look at what would change, and give the id of the report as --report"
                }
            });
        }
        if let Self::Case(_) | Self::Request(_) = self {
            return Some("`atropos policy test --help` shows every key and its default");
        }
        if let Self::Component { source, .. } = self {
            match source {
                ComponentError::Guest(error) => return error.remedy(),
                ComponentError::Module(error) => return Some(error.remedy()),
                ComponentError::World { .. } => {}
            }
        }
        if let Self::Project(ProjectError::Exists(_)) = self {
            return Some("choose another folder with --path");
        }
        let mut next: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<StoreError>() {
                return remedy::of_storage(error);
            }
            if let Some(error) = error.downcast_ref::<GuestError>() {
                return error.remedy();
            }
            next = error.source();
        }
        None
    }

    fn json(&self) -> serde_json::Value {
        let message = match self {
            // The code has a field of its own here.
            Self::Refused { refused, .. } => refused.to_string(),
            other => other.to_string(),
        };
        let mut error = json!({ "code": self.code(), "message": message });
        if let Some(fields) = error.as_object_mut() {
            let causes = self.causes();
            if !causes.is_empty() {
                fields.insert("causedBy".to_owned(), json!(causes));
            }
            if let Some(remedy) = self.remedy() {
                fields.insert("remedy".to_owned(), json!(remedy));
            }
            if let Self::Refused {
                outcome, decision, ..
            } = self
            {
                fields.insert("outcome".to_owned(), json!(outcome));
                fields.insert("decision".to_owned(), json!(decision));
            }
            if !self.settings().is_empty() {
                fields.insert("problems".to_owned(), json!(self.settings()));
            }
        }
        json!({ "error": error })
    }

    fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            // Some libraries print values over several lines.
            let words = cause.to_string();
            causes.push(words.split_whitespace().collect::<Vec<_>>().join(" "));
            next = cause.source();
        }
        causes
    }

    fn settings(&self) -> &[SettingsRefusal] {
        match self {
            Self::Settings(refusals) => refusals,
            _ => &[],
        }
    }
}

/// What components and storage say may have line breaks and worse in it.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>();
    escape(&words.join(" ")).into_owned()
}

fn refused_exit(refused: &Refused) -> Exit {
    match refused {
        Refused::Plugin { reason, .. } => match reason {
            Reason::Unavailable(_) | Reason::Other(_) => Exit::Unavailable,
            _ => Exit::Refused,
        },
        Refused::Gone
        | Refused::Held
        | Refused::RetainedUntil(_)
        | Refused::OverBudget { .. }
        | Refused::Changed
        | Refused::KeyReused
        | Refused::TooManyKeys { .. } => Exit::Refused,
        Refused::Fault(_)
        | Refused::Overloaded
        | Refused::Stopping
        | Refused::Pending
        | Refused::WrongVolume
        | Refused::WrongDatabase
        | Refused::Unavailable => Exit::Unavailable,
    }
}

fn backup_class(error: &BackupError) -> (Exit, &'static str) {
    match error {
        BackupError::NotEmpty(_)
        | BackupError::Occupied { .. }
        | BackupError::Meddled { .. }
        | BackupError::Within(_)
        | BackupError::OtherRestore(_) => (Exit::Refused, "not-empty"),
        BackupError::NoBackup(_) => (Exit::Refused, "not-found"),
        BackupError::Unfinished(_) => (Exit::Refused, "backup-unfinished"),
        BackupError::Newer { .. } => (Exit::Refused, "backup-newer"),
        BackupError::Manifest { .. } | BackupError::Damaged { .. } => {
            (Exit::Refused, "backup-damaged")
        }
        BackupError::ErasedSince { .. } | BackupError::Ahead(_) => (Exit::Refused, "erased-since"),
        BackupError::TooSlow { .. } => (Exit::Unavailable, "too-slow"),
        BackupError::Unrestored(_) => (Exit::Unavailable, "unfinished-restore"),
        BackupError::IsBackup(_) => (Exit::Unavailable, "is-backup"),
        BackupError::Io { .. } => (Exit::Unavailable, "io"),
        BackupError::Copy { source, .. } | BackupError::Store(source) => store_class(source),
    }
}

fn store_class(error: &StoreError) -> (Exit, &'static str) {
    match error {
        StoreError::Taken { .. } => (Exit::Refused, "taken"),
        StoreError::Missing { .. } => (Exit::Refused, "not-found"),
        StoreError::WrongVolume(_) => (Exit::Unavailable, "wrong-volume"),
        StoreError::WrongDatabase => (Exit::Unavailable, "wrong-database"),
        StoreError::NoDatabase => (Exit::Unavailable, "no-database"),
        _ => (Exit::Unavailable, "unavailable"),
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Service(error.into())
    }
}
