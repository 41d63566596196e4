//! What happened to the objects of a user.

use atropos::target::Subdomain;
use atropos_service::service::DataDirectory;
use clap::Args;

use super::output::{Answer, Columns};
use super::{Failure, tenant, values};

const COLUMNS: Columns = &[
    ("WHEN", "/atMs"),
    ("ACTIVITY", "/activity"),
    ("OBJECT", "/objectId"),
    ("CALLER", "/caller"),
    ("DECISION", "/decisionId"),
];

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Subdomain of the tenant
    #[arg(long)]
    tenant: Subdomain,
    /// The user: the `userId` of photos, the `userAccountId` of documents
    #[arg(long)]
    user: String,
    #[command(flatten)]
    paging: values::Paging,
}

pub(crate) async fn run(list: List, data: &DataDirectory) -> Result<Answer, Failure> {
    let tenant = tenant::named(data, &list.tenant).await?.id;
    let page = list.paging.into();
    let listed = data
        .catalogue
        .activity(tenant, None, &list.user, page)
        .await?;
    Answer::table(&listed, COLUMNS)
}
