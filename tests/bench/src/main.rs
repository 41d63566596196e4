//! Whole servers, measured from outside: each in a process of its own, and the clients in this one.

mod bare;
mod barrier;
mod contest;
mod decide;
mod durable;
mod field;
mod growth;
mod load;
mod mixed;
mod plot;
mod server;
mod stage;
mod tax;

use std::path::PathBuf;

use anyhow::Result;
use atropos_bench::{facts, harness, machine, sandbox, variants};
use clap::{Args, Parser, Subcommand, value_parser};

/// Measures whole servers side by side
#[derive(Parser)]
struct Arguments {
    /// As if each barrier of the disk took so many milliseconds longer, and one at a time
    #[arg(long, global = true, default_value_t = 0, value_name = "MS")]
    barrier_ms: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What the sandbox costs: deletes through the guests beside native code in their place
    Tax(Run),
    /// Durable deletes a second: beside the bare loop, and beside what people write by hand
    Durable(Run),
    /// Latency and memory as there is more of something
    Growth {
        #[command(flatten)]
        run: Run,
        /// Draws the curves into this directory, too
        #[arg(long, value_name = "DIR")]
        plots: Option<PathBuf>,
    },
    /// Deletes among reads, updates and inserts, in the proportions of GDPRbench
    Mixed(Run),
    /// Decide so many times and end: what `guard` counts the instructions of
    Decide(decide::Decide),
    /// Serve, in this process: what the program runs itself as
    #[command(name = server::VERB, hide = true)]
    Server {
        kind: server::Kind,
        #[arg(long)]
        data_dir: PathBuf,
    },
}

/// What every measurement takes.
#[derive(Args)]
struct Run {
    /// How often each entrant runs
    #[arg(long, default_value_t = 7, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// Directory on the disk that is to be measured; what is put there is removed at the end
    #[arg(long, default_value = ".", value_name = "DIR")]
    disk: PathBuf,
    /// Writes the outcome to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    barrier::lengthen(arguments.barrier_ms);
    let (report, json) = match arguments.command {
        Command::Tax(run) => (tax::run(&run)?, run.json),
        Command::Durable(run) => (durable::run(&run)?, run.json),
        Command::Growth { run, plots } => (growth::run(&run, plots.as_deref())?, run.json),
        Command::Mixed(run) => (mixed::run(&run)?, run.json),
        Command::Decide(typed) => return typed.run(),
        Command::Server { kind, data_dir } => {
            let runtime = tokio::runtime::Runtime::new()?;
            return runtime.block_on(server::run(kind, &data_dir));
        }
    };
    report.print();
    json.map_or(Ok(()), |path| report.write(&path))
}
