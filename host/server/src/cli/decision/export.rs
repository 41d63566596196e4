//! Decisions as JSON lines, written while they are read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use atropos::domain::{Order, Stretch, Wanted};
use atropos::target::TenantId;
use atropos::text::escape_json;
use atropos_service::service::DataDirectory;
use serde_json::json;
use uuid::Uuid;

use super::record::Record;
use crate::cli::Failure;
use crate::cli::output::Answer;

/// How many are read at once.
const AT_ONCE: u32 = 500;

/// Writes those that are wanted after `after` to a file, or to stdout.
pub(super) async fn run(
    data: &DataDirectory,
    tenant: TenantId,
    wanted: &Wanted,
    mut after: Option<Uuid>,
    output: Option<PathBuf>,
) -> Result<Answer, Failure> {
    let name = output.as_ref().map(|file| file.display().to_string());
    let failed = |source| Failure::Io {
        what: format!("cannot write {}", name.as_deref().unwrap_or("to stdout")),
        source,
    };
    let mut out: Box<dyn Write> = match &output {
        Some(file) => Box::new(BufWriter::new(File::create(file).map_err(failed)?)),
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let mut exported = 0_u64;
    loop {
        let stretch = Stretch {
            order: Order::OldestFirst,
            after,
            limit: AT_ONCE,
        };
        let part = data.catalogue.decisions(tenant, wanted, stretch).await?;
        let Some(last) = part.last() else { break };
        after = Some(last.id);
        exported += part.len() as u64;
        let written = part.into_iter().map(Record::of);
        let written = written.map(|record| write(&mut out, &record));
        match written
            .collect::<io::Result<()>>()
            .and_then(|()| out.flush())
        {
            // Whoever closed the pipe has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            other => other.map_err(failed)?,
        }
    }
    match &name {
        Some(name) => {
            let value = json!({ "exported": exported, "output": name, "last": after });
            Answer::line(&value, format!("exported {exported} decisions to {name}"))
        }
        None => Answer::none(),
    }
}

fn write(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let json = serde_json::to_string(record)?;
    out.write_all(escape_json(&json).as_bytes())?;
    out.write_all(b"\n")
}
