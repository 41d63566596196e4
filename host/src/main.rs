//! The program: parse, start telemetry, dispatch, exit code.

use std::process::ExitCode;

use atropos::cli::{Cli, Failure};
use atropos::config::{Log, LogFormat};
use atropos::step;
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

/// How many tasks a thread polls before it looks what sockets have to say, and before it looks for tasks
/// that other threads have woken (the database's, say). By default it is 61 of each: a request then waits
/// behind so many of whoever floods the server, at each of its steps.
const POLLS_BEFORE_EVENTS: u32 = 11;
const POLLS_BEFORE_OTHERS: u32 = 5;

fn main() -> ExitCode {
    let _told = step::listen();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Whoever closed the pipe does not want to read why.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = cli.json();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.exit() as u8)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let config = cli.config()?;
    start_telemetry(&cli.log(&config))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(POLLS_BEFORE_EVENTS)
        .global_queue_interval(POLLS_BEFORE_OTHERS)
        .build()
        .map_err(|source| Failure::Io {
            what: "cannot start the runtime".to_owned(),
            source,
        })?;
    let outcome = runtime.block_on(cli.run(config));
    // Dropping the runtime would wait for what a second signal means to leave behind.
    runtime.shutdown_background();
    outcome
}

/// Sends logs to stderr, so that stdout carries answers only.
fn start_telemetry(log: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| Failure::Usage(format!("`{}` is no log filter: {error}", log.filter)))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| Failure::Usage(format!("cannot start the log: {error}")))
}
