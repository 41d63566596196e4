//! What every verb takes.

use std::path::PathBuf;

use atropos_service::config::Config;
use clap::Args;

use super::failure::Failure;

/// Sets what every verb takes apart from what one verb takes.
const EVERYWHERE: &str = "Options of every verb";

/// What every verb takes.
#[derive(Args, Debug)]
pub(super) struct Global {
    /// Directory of database and bytes, made if need be [default: what the configuration says, or
    /// `atropos-data`]
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "ATROPOS_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Configuration file (TOML)
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "ATROPOS_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Answer with JSON on stdout; failures become one JSON object on stderr
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(super) json: bool,
    /// What to log to stderr, such as `info` or `atropos=debug` [default: what the configuration
    /// says for `serve`, else `warn`]
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "ATROPOS_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
}

impl Global {
    /// From what was typed to what is meant.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::default(),
        };
        if let Some(dir) = &self.data_dir {
            config.data_dir.clone_from(dir);
        }
        config.components.worker = Some(this_program());
        Ok(config)
    }
}

/// This program, even if its file has been replaced meanwhile by that of another version.
fn this_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    match running.exists() {
        true => running,
        false => std::env::current_exe().unwrap_or_else(|_| "atropos".into()),
    }
}
