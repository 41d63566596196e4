//! `policy run`: one decision of a policy, with its trace.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use atropos::guest::Description;
use atropos::target::Digest;
use atropos::text::escape;
use atropos_authoring::{self as author, Decided};
use atropos_service::config::Config;
use clap::Args;
use serde::Serialize;

use super::asking::{self, Figures};
use crate::cli::chain::Settings;
use crate::cli::limits::Limits;
use crate::cli::output::Answer;
use crate::cli::{Failure, SettingsRefusal};

#[derive(Args, Debug)]
#[command(after_help = "\
The request is TOML or JSON with the keys of `request` in a case, without that word; the help of
`atropos policy test` has them all with their defaults. The policy checks the settings first.

Examples:
  atropos policy run retention.wasm --settings '{\"minimum-age-days\":{\"photo\":30}}'
  atropos policy run retention.wasm --request request.toml --settings @settings.json
  echo '{\"object\":{\"kind\":\"document\"}}' | atropos policy run retention.wasm --request -")]
pub(crate) struct Run {
    /// The component, or a core module that can be made one (.wasm)
    file: PathBuf,
    /// The request: a TOML or JSON file, or `-` for stdin [default: a new photo]
    #[arg(long, value_name = "FILE|-")]
    request: Option<PathBuf>,
    /// What a tenant gives the policy: JSON, or `@` and the path of a JSON file
    #[arg(long, value_name = "SETTINGS", default_value = "{}")]
    settings: Settings,
    #[command(flatten)]
    limits: Limits,
}

/// A decision and who made it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    policy: Description,
    digest: Digest,
    #[serde(flatten)]
    decided: Decided,
}

pub(crate) async fn run(typed: Run, config: Config) -> Result<Answer, Failure> {
    let text = match &typed.request {
        Some(file) => text(file)?,
        None => String::new(),
    };
    let question = author::request(&text)?;
    let settings = typed.settings.text().await?;
    let asked = asking::start(&typed.file, typed.limits, config).await?;
    let problems = asked.problems(&typed.file, &settings)?;
    if !problems.is_empty() {
        let name = &asked.description.name;
        let refusals = problems.into_iter().map(|problem| SettingsRefusal {
            policy: name.clone(),
            path: problem.path,
            message: problem.message,
        });
        return Err(Failure::Settings(refusals.collect()));
    }
    let decided = asked.judge.ask(&question, &settings, asked.limits).into();
    let figures = Figures(asked.limits);
    let shown = Shown {
        digest: asked.judge.digest(),
        policy: asked.description,
        decided,
    };
    Answer::line(&shown, trace(&shown, figures))
}

fn text(file: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::Io {
        what: format!("cannot read {}", file.display()),
        source,
    };
    if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        return read.map(|_| text).map_err(failed);
    }
    std::fs::read_to_string(file).map_err(failed)
}

fn trace(shown: &Shown, figures: Figures) -> String {
    let decided = &shown.decided;
    let mut lines = vec![
        format!("policy    {} {}", shown.policy.name, shown.policy.version),
        format!("          {}", shown.policy.summary),
        format!("digest    {}", shown.digest),
        format!("verdict   {}", decided.outcome),
    ];
    for (place, finding) in decided.findings.iter().enumerate() {
        let title = if place == 0 { "findings" } else { "" };
        lines.push(format!("{title:<10}{}", author::finding(finding)));
    }
    lines.extend([
        format!("fuel      {}", figures.fuel(decided.fuel)),
        format!("memory    {}", figures.memory(decided.memory_bytes)),
        format!("duration  {} µs", decided.duration_us),
    ]);
    let lines = lines.iter().map(|line| escape(line));
    lines.collect::<Vec<_>>().join("\n")
}
