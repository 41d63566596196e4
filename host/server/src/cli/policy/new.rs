//! `policy new`: a project for a policy.

use std::path::PathBuf;

use atropos_authoring::{self as author, Language, Name};
use clap::Args;
use serde_json::json;

use crate::cli::output::Answer;
use crate::cli::{Failure, values};

#[derive(Args, Debug)]
#[command(after_help = "\
The project is the policy `retention` in that language, under the new name: it builds, and its cases
pass, before you change a line. Its README.md has the commands.

Examples:
  atropos policy new --language rust minimum-age
  atropos policy new --language javascript weekdays-only --path policies/weekdays-only")]
pub(crate) struct New {
    /// Name of the policy: lower-case letters, digits and inner hyphens
    name: Name,
    /// What to write it in
    #[arg(long, value_name = "LANGUAGE", value_parser = values::language())]
    language: Language,
    /// Folder to make [default: the name]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

pub(crate) fn run(typed: New) -> Result<Answer, Failure> {
    let into = typed.path.unwrap_or_else(|| typed.name.to_string().into());
    author::create(typed.language, &typed.name, &into)?;
    let value = json!({ "name": typed.name.to_string(), "path": into });
    let readme = into.join("README.md");
    let line = format!(
        "a policy is in {}; {} tells how to build, try and deploy it",
        into.display(),
        readme.display()
    );
    Answer::line(&value, line)
}
