//! The program: parse, start telemetry, dispatch, exit code.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::thread;

use atropos::{parts, step};
use atropos_server::cli::{Cli, Failure};
use atropos_service::config::{self, LogFormat};
use atropos_service::log;
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
        Ok(()) => {
            log::catch_up();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            log::say(&failure.report(json));
            log::catch_up();
            ExitCode::from(failure.exit() as u8)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let config = cli.config()?;
    start_telemetry(&cli.log(&config), cli.serves())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(POLLS_BEFORE_EVENTS)
        .global_queue_interval(POLLS_BEFORE_OTHERS)
        .build()
        .map_err(|source| Failure::Io {
            what: "cannot start the runtime".to_owned(),
            source,
        })?;
    // A panic here must not wait for threads that never end.
    let outcome = runtime.block_on(parts::caught(cli.run(config)));
    let outcome = outcome.unwrap_or(Err(Failure::Panicked));
    // Dropping the runtime would wait for what a second signal means to leave behind.
    runtime.shutdown_background();
    outcome
}

/// Sends logs to stderr, so that stdout carries answers only.
fn start_telemetry(config: &config::Log, serves: bool) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| {
        Failure::Usage(format!("`{}` is no log filter: {error}", config.filter))
    })?;
    let log = log::start(serves).map_err(|source| Failure::Io {
        what: "cannot start the log".to_owned(),
        source,
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log)
        // It would tell so by `eprintln`, which panics.
        .log_internal_errors(false);
    let started = match config.format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| Failure::Usage(format!("cannot start the log: {error}")))?;
    if serves {
        // The one of std writes to stderr, and waits for as long as that takes nothing.
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

/// Says where something panicked. What the panic says may quote data, and is left out.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string);
    let (thread, backtrace) = (thread::current(), Backtrace::capture());
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(thread = thread.name(), at, backtrace, "a panic");
}
