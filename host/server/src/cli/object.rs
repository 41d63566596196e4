//! Objects: the photos and documents of users.

use std::path::{Path, PathBuf};

use atropos::domain::catalogue::Change;
use atropos::domain::{ObjectPage, Page, Position, Rendition, Start, Stored};
use atropos::target::{Kind, Malformed, Object, Subdomain, Target};
use atropos_service::service::DataDirectory;
use atropos_service::upload::NewUpload;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::io::AsyncRead;

use super::output::{Answer, Columns};
use super::{Failure, tenant, values};

/// Below this size an upload is over before a progress bar would be of use.
const LARGE: u64 = 8 << 20;

const ROW: Columns = &[
    ("ID", "/id"),
    ("USER", "/user"),
    ("NAME", "/name"),
    ("BYTES", "/sizeBytes"),
    ("CREATED", "/createdAtMs"),
    ("LABELS", "/labels"),
    ("HELD", "/held"),
    ("KEPT UNTIL", "/retainUntilMs"),
];

const FIELDS: Columns = &[
    ("Id", "/id"),
    ("Kind", "/kind"),
    ("User", "/user"),
    ("Name", "/name"),
    ("Media type", "/mediaType"),
    ("Bytes", "/sizeBytes"),
    ("Width", "/width"),
    ("Height", "/height"),
    ("Created", "/createdAtMs"),
    ("Labels", "/labels"),
    ("Held", "/held"),
    ("Kept until", "/retainUntilMs"),
    ("Version", "/version"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Take a file as a photo or document of a user, and show its id
    #[command(after_help = "\
Examples:
  atropos object put photo beach.jpg --tenant acme --user u-7 --label holiday
  atropos object put document contract.pdf --tenant acme --user 6 --retain-until 2027-01-01")]
    Put(Put),
    /// List the live objects of a user, or of a whole tenant, oldest first
    List {
        /// What sort of object
        #[arg(value_parser = super::values::kind())]
        kind: Kind,
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
        /// Only the objects of this user
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        paging: values::Paging,
        /// Only what follows this object in the list of one user, even if it is gone by now: its
        /// createdAtMs and its id, with a hyphen between
        #[arg(
            long,
            value_name = "MS-ID",
            requires = "user",
            conflicts_with = "offset"
        )]
        after: Option<String>,
    },
    /// Show one live object
    Show {
        #[command(flatten)]
        named: Named,
    },
    /// Change the labels or the retention date of an object
    Change {
        #[command(flatten)]
        named: Named,
        /// Replace all labels; give one --label for each
        #[arg(long = "label", value_name = "LABEL", value_parser = values::label)]
        labels: Vec<String>,
        /// Take all labels away
        #[arg(long, conflicts_with = "labels")]
        no_labels: bool,
        /// Do not erase it before this time; `none` takes the date away
        #[arg(long, value_name = "TIME", value_parser = values::retention,
              required_unless_present_any = ["labels", "no_labels"])]
        retain_until: Option<values::Retention>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Put {
    /// What sort of object
    #[arg(value_parser = super::values::kind())]
    kind: Kind,
    /// The file; a photo must be a JPEG, PNG, GIF or WebP picture
    file: PathBuf,
    /// Subdomain of the tenant
    #[arg(long)]
    tenant: Subdomain,
    /// Its user: any id for a photo, a whole number for a document
    #[arg(long)]
    user: String,
    /// Its id: a GUID for a document, up to 64 characters for a photo [default: a random GUID]
    #[arg(long)]
    id: Option<String>,
    /// The name that its owner sees [default: the file's]
    #[arg(long)]
    name: Option<String>,
    /// A label that policies see; give one --label for each
    #[arg(long = "label", value_name = "LABEL", value_parser = values::label)]
    labels: Vec<String>,
    /// Do not erase it before this time, such as 2027-01-01
    #[arg(long, value_name = "TIME", value_parser = values::time_ms)]
    retain_until: Option<u64>,
}

/// One object, as every verb on one takes it.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// What sort of object
    #[arg(value_parser = super::values::kind())]
    kind: Kind,
    /// Its id: the photo id, or the GUID of the file
    id: String,
    /// Subdomain of the tenant
    #[arg(long)]
    tenant: Subdomain,
    /// Its user
    #[arg(long)]
    user: String,
}

impl Named {
    pub(crate) async fn target(&self, data: &DataDirectory) -> Result<Target, Failure> {
        Ok(Target {
            tenant: tenant::named(data, &self.tenant).await?.id,
            kind: self.kind,
            owner: values::owner(self.kind, &self.user)?,
            id: values::id(self.kind, &self.id)?,
        })
    }
}

pub(crate) async fn run(verb: Verb, data: &DataDirectory) -> Result<Answer, Failure> {
    match verb {
        Verb::Put(typed) => {
            let stored = put(typed, data).await?;
            let shown = Shown::of(stored);
            Answer::line(&shown, shown.id.clone())
        }
        Verb::List {
            kind,
            tenant,
            user,
            paging,
            after,
        } => {
            let tenant = tenant::named(data, &tenant).await?.id;
            let user = user.map(|user| values::owner(kind, &user)).transpose()?;
            let mut page = ObjectPage::from(Page::from(paging));
            if let Some((owner, after)) = user.clone().zip(after) {
                let position = Position::parse(kind, owner, &after);
                let usage = |malformed: Malformed| Failure::Usage(malformed.to_string());
                page.start = Start::After(position.map_err(usage)?);
            }
            let listed = data
                .catalogue
                .list(tenant, kind, user.as_deref(), page)
                .await?;
            Answer::table(&listed.into_iter().map(Shown::of).collect::<Vec<_>>(), ROW)
        }
        Verb::Show { named } => {
            let stored = data.catalogue.show(&named.target(data).await?).await?;
            let stored = stored.ok_or_else(|| Failure::NotFound {
                what: named.kind.as_str(),
                name: named.id.clone(),
            })?;
            Answer::fields(&Shown::of(stored), FIELDS)
        }
        Verb::Change {
            named,
            labels,
            no_labels,
            retain_until,
        } => {
            let change = Change {
                labels: match labels.is_empty() && !no_labels {
                    true => None,
                    false => Some(values::labels(labels)?),
                },
                retain_until_ms: retain_until.map(|date| date.0),
            };
            let target = named.target(data).await?;
            data.catalogue.change(&target, change).await?;
            let value = serde_json::json!({ "changed": target.id });
            Answer::line(&value, format!("changed {}", target.id))
        }
    }
}

async fn put(typed: Put, data: &DataDirectory) -> Result<Stored, Failure> {
    let file_name = typed
        .file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let id = typed.id.map(|id| values::id(typed.kind, &id)).transpose()?;
    let new = NewUpload {
        tenant: tenant::named(data, &typed.tenant).await?.id,
        owner: values::owner(typed.kind, &typed.user)?,
        id,
        name: typed.name.or(file_name).unwrap_or_default(),
        labels: values::labels(typed.labels)?,
        retain_until_ms: typed.retain_until,
    };
    let unread = |source| Failure::Io {
        what: format!("cannot read {}", typed.file.display()),
        source,
    };
    let file = tokio::fs::File::open(&typed.file).await.map_err(unread)?;
    let size = file.metadata().await.map_err(unread)?.len();
    let bar = progress(size, &typed.file);
    let mut content = bar.wrap_async_read(file);
    let content: &mut (dyn AsyncRead + Send + Unpin) = &mut content;
    let stored = match typed.kind {
        Kind::Photo => data.uploads.photo(new, content).await,
        Kind::Document => data.uploads.document(new, content).await,
    };
    bar.finish_and_clear();
    stored.map_err(|source| Failure::Upload {
        path: typed.file.clone(),
        source,
    })
}

/// A bar on stderr. It hides itself where stderr is no terminal.
fn progress(size: u64, file: &Path) -> ProgressBar {
    if size < LARGE {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(size).with_message(file.display().to_string());
    let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// An object as the command line shows it: where its bytes are is nobody's business.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    kind: Kind,
    user: String,
    name: String,
    media_type: String,
    size_bytes: u64,
    width: Option<u32>,
    height: Option<u32>,
    created_at_ms: u64,
    labels: Vec<String>,
    held: bool,
    retain_until_ms: Option<u64>,
    version: u64,
    renditions: Vec<ShownRendition>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRendition {
    name: String,
    media_type: String,
    size_bytes: u64,
}

impl Shown {
    fn of(stored: Stored) -> Self {
        let Object { target, .. } = stored.object;
        let (width, height) = stored.dimensions.unzip();
        let rendition = |rendition: Rendition| ShownRendition {
            name: rendition.name,
            media_type: rendition.media_type,
            size_bytes: rendition.size_bytes,
        };
        Self {
            id: target.id,
            kind: target.kind,
            user: target.owner,
            name: stored.name,
            media_type: stored.object.media_type,
            size_bytes: stored.object.size_bytes,
            width,
            height,
            created_at_ms: stored.object.created_at_ms,
            labels: stored.object.labels,
            held: stored.object.held,
            retain_until_ms: stored.object.retain_until_ms,
            version: stored.object.version,
            renditions: stored.renditions.into_iter().map(rendition).collect(),
        }
    }
}
