//! The command line: one file a noun, each verb a small function from what was typed to an
//! answer that is rendered as a table or as JSON.
//!
//! Every verb works on the data directory itself, beside a running server or without one, and goes
//! the way that HTTP goes: a delete typed here is validated, judged and recorded like any other.

mod activity;
mod backup;
mod bare;
mod budget;
mod chain;
mod client;
mod component;
mod decision;
mod delete;
mod descriptors;
mod doctor;
mod failure;
mod global;
mod hold;
mod key;
mod limits;
mod lock;
mod object;
mod open;
mod output;
mod policy;
mod quarantine;
mod replay;
mod restore;
mod serve;
mod status;
mod tenant;
mod token;
mod values;
mod volume;

use atropos::guest::{self, COMPILE_VERB};
use atropos_service::config::{Config, Log};
use atropos_service::service::DataDirectory;
use clap::{Parser, Subcommand};

pub use self::failure::{ComponentError, Exit, Failure, SettingsRefusal};
use self::global::Global;
use self::open::{with_directory, with_service};
use self::output::Answer;

const EXAMPLES: &str = "\
Examples:
  atropos serve --demo                              try it: a server with sample data
  atropos tenant create acme --website-id 423       a new tenant; its chain is `allow-all`
  atropos key issue --tenant acme                   a site key, shown once
  atropos object put photo beach.jpg --tenant acme --user u-7
  atropos policy assign --tenant acme --policy retention='{\"minimum-age-days\":{\"photo\":30}}'
  atropos policy test mine.wasm cases/              a policy of one's own, before it is used
  atropos decision list --tenant acme               why deletes were allowed or refused
  atropos replay --tenant acme                      judge all that is on record again
  atropos status                                    what runs, what is held off, what resists

Exit status: 0 done; 1 refused, not found, or not as expected or recorded; 2 usage or configuration;
3 unavailable; 4 `doctor` found what is left to be mended.";

/// Serves irreversible deletes of user photos and documents
///
/// What may be deleted is decided by sandboxed WebAssembly components, which can be swapped while
/// the service runs. The verbs below work on the data directory itself, also beside a running
/// server.
#[derive(Debug, Parser)]
#[command(name = "atropos", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    #[command(flatten)]
    Verb(Verb),
    /// Delete one photo or document for good, as a caller would over HTTP
    #[command(subcommand)]
    Delete(delete::Verb),
    /// Try policies; list them; assign and show the chain of a tenant
    #[command(subcommand)]
    Policy(policy::Command),
    /// Check components; choose the deletion plugin
    #[command(subcommand)]
    Component(component::Verb),
    /// Compare rows with bytes, and mend what has come apart
    Doctor(doctor::Doctor),
    /// List the files that `doctor` put in quarantine, and move them back
    #[command(subcommand)]
    Quarantine(quarantine::Verb),
    /// Show and settle which volume of bytes the database belongs to
    #[command(subcommand)]
    Volume(volume::Verb),
    /// Copy all rows and bytes to a folder, beside a running server or without one
    Backup(backup::Backup),
    /// Put a backup into an empty data directory
    Restore(restore::Restore),
    /// Judge recorded decisions again: as they were, or by another chain
    Replay(replay::Typed),
    /// Show at a glance what a server does, what is stored, and what resists
    Status,
    /// Compile the component on stdin to an image on stdout: what the program runs itself as
    #[command(name = COMPILE_VERB, hide = true)]
    Compile {
        /// How much address space that may take
        memory_bytes: u64,
        /// How long that may take
        deadline_ms: u64,
    },
}

/// What works on an open data directory and runs no guest.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Create and list tenants
    #[command(subcommand)]
    Tenant(tenant::Verb),
    /// Issue, list and revoke the site keys of a tenant
    #[command(subcommand)]
    Key(key::Verb),
    /// Create API clients and say what they may do
    #[command(subcommand)]
    Client(client::Verb),
    /// Issue and revoke the bearer tokens of API clients
    #[command(subcommand)]
    Token(token::Verb),
    /// Put, list, show and change photos and documents
    #[command(subcommand)]
    Object(object::Verb),
    /// Place and release legal holds
    #[command(subcommand)]
    Hold(hold::Verb),
    /// Show what happened to the objects of a user
    Activity(activity::List),
    /// Limit how many deletes a tenant and its callers may have
    #[command(subcommand)]
    Budget(budget::Verb),
    /// Show why deletes were allowed or refused
    #[command(subcommand)]
    Decision(decision::Verb),
}

impl Cli {
    /// Whether answers and failures are JSON.
    pub fn json(&self) -> bool {
        self.global.json
    }

    /// Whether this is a server, which runs until it is told to stop.
    pub fn serves(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }

    /// The configuration that is meant: the file, and what was typed over it.
    ///
    /// # Errors
    /// The file is unreadable or wrong, or what was typed does not go together.
    pub fn config(&self) -> Result<Config, Failure> {
        let config = self.global.config()?;
        match &self.command {
            Command::Serve(typed) => typed.config(config, &self.global),
            _ => Ok(config),
        }
    }

    /// How to log: a verb speaks up only when something is wrong.
    pub fn log(&self, config: &Config) -> Log {
        let filter = match (&self.global.log, &self.command) {
            (Some(typed), _) => typed.clone(),
            (None, Command::Serve(_)) => config.log.filter.clone(),
            (None, _) => "warn".to_owned(),
        };
        Log {
            filter,
            ..config.log.clone()
        }
    }

    /// Does what was asked. Needs a tokio runtime.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn run(self, config: Config) -> Result<(), Failure> {
        let answer = match self.command {
            Command::Serve(typed) => return serve::run(typed, config).await,
            Command::Doctor(typed) => return doctor::run(typed, config, self.global.json).await,
            Command::Backup(typed) => return backup::run(typed, config, self.global.json).await,
            Command::Restore(typed) => restore::run(typed, config).await?,
            Command::Policy(verb) => return verb.run(config, self.global.json).await,
            Command::Replay(typed) => return replay::run(typed, config, self.global.json).await,
            Command::Status => status::run(config).await?,
            Command::Quarantine(verb) => quarantine::run(verb, config).await?,
            Command::Volume(verb) => volume::run(verb, config).await?,
            // Its caller reads nothing but what it ends with.
            Command::Compile {
                memory_bytes,
                deadline_ms,
            } => std::process::exit(guest::compile(memory_bytes, deadline_ms)),
            Command::Component(verb) => component::run(verb, config).await?,
            Command::Delete(verb) => {
                with_service(config, async |service| delete::run(verb, service).await).await?
            }
            Command::Verb(verb) => {
                with_directory(config, async |data| verb.run(data).await).await?
            }
        };
        answer.print(self.global.json)
    }
}

impl Verb {
    async fn run(self, data: &DataDirectory) -> Result<Answer, Failure> {
        match self {
            Self::Tenant(verb) => tenant::run(verb, data).await,
            Self::Key(verb) => key::run(verb, data).await,
            Self::Client(verb) => client::run(verb, data).await,
            Self::Token(verb) => token::run(verb, data).await,
            Self::Object(verb) => object::run(verb, data).await,
            Self::Hold(verb) => hold::run(verb, data).await,
            Self::Activity(list) => activity::run(list, data).await,
            Self::Budget(verb) => budget::run(verb, data).await,
            Self::Decision(verb) => decision::run(verb, data).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_mistyped_command_line_ends_with_2() {
        for line in [
            "atropos nonsense",
            "atropos tenant create acme",
            "atropos tenant create acme --website-id 0",
            "atropos tenant create -acme --website-id 1",
            "atropos object list video --tenant acme",
            "atropos token issue crm --lifetime soon",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn global_options_may_follow_the_verb() {
        let cli = parse("atropos tenant list --json --data-dir d").unwrap();
        assert!(cli.json());
        assert_eq!(cli.config().unwrap().data_dir, PathBuf::from("d"));
    }

    #[test]
    fn a_configuration_that_is_not_there_is_a_failure_of_usage() {
        let cli = parse("atropos tenant list --config no-such-file.toml").unwrap();
        assert_eq!(cli.config().unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn only_the_server_logs_what_goes_well() {
        let (verb, server) = (parse("atropos tenant list"), parse("atropos serve"));
        let config = Config::default();
        assert_eq!(verb.unwrap().log(&config).filter, "warn");
        assert_eq!(server.unwrap().log(&config).filter, config.log.filter);
    }
}
