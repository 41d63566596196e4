//! What `serve --demo` shows: two tenants, real photos and real documents, and requests to try.
//!
//! **Invariant:** what was deleted in the demo stays deleted. Filling is repeated only while it was
//! never completed; the grant of the API client completes it.

mod draw;

use std::fmt::Write as _;

use atropos::domain::Page;
use atropos::domain::tenants::NewCredential;
use atropos::ports::StoreError;
use atropos::target::{Kind, Permission, Subdomain, Tenant, TenantId, WebsiteId};
use atropos_service::auth::Issued;
use atropos_service::service::Service;
use atropos_service::upload::{NewUpload, UploadError};

/// Subdomain and website of each tenant; the requests to try are for the first.
const TENANTS: [(&str, u64); 2] = [("mytenant", 422), ("acme", 423)];
/// Well known, which is why the demo serves this machine only.
const SITE_KEY: &str = "c961461a-b287-448c-b9ea-e1162bd80b8e";
const CLIENT: &str = "demo";
const TOKEN_LIFETIME_MS: u64 = 24 * 3_600_000;
/// Whose photos and documents the requests delete.
const PHOTO_USER: &str = "u-1001";
const DOCUMENT_USER: &str = "6";

/// Why the demo cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sample was not taken.
    #[error("the demo's {name} is not taken")]
    Upload {
        /// Its name.
        name: &'static str,
        /// Why.
        source: UploadError,
    },
    /// A picture does not encode.
    #[error("the demo's {name} cannot be drawn")]
    Draw {
        /// Its name.
        name: &'static str,
        /// Why.
        source: image::ImageError,
    },
}

fn tenants() -> impl Iterator<Item = (Subdomain, WebsiteId)> {
    let parsed = |(subdomain, website): (&str, u64)| {
        Some((subdomain.parse().ok()?, WebsiteId::new(website)?))
    };
    TENANTS.into_iter().filter_map(parsed)
}

struct Sample {
    tenant: &'static str,
    owner: &'static str,
    id: &'static str,
    name: &'static str,
    labels: &'static [&'static str],
    content: Content,
}

enum Content {
    Photo(fn() -> image::RgbImage, image::ImageFormat),
    Document(&'static str, &'static [&'static str]),
}

const JPEG: image::ImageFormat = image::ImageFormat::Jpeg;
const PNG: image::ImageFormat = image::ImageFormat::Png;

const SAMPLES: [Sample; 10] = [
    Sample {
        tenant: "mytenant",
        owner: PHOTO_USER,
        id: "0b54a9d2-8c1f-4f6e-9a37-5d2c7e10b4a1",
        name: "sunset.jpg",
        labels: &[],
        content: Content::Photo(draw::sunset, JPEG),
    },
    Sample {
        tenant: "mytenant",
        owner: PHOTO_USER,
        id: "1c65bae3-9d20-4a7f-8b48-6e3d8f21c5b2",
        name: "hills.jpg",
        labels: &["holiday"],
        content: Content::Photo(draw::hills, JPEG),
    },
    Sample {
        tenant: "mytenant",
        owner: PHOTO_USER,
        id: "2d76cbf4-ae31-4b80-9c59-7f4e9032d6c3",
        name: "rings.png",
        labels: &["in-order"],
        content: Content::Photo(draw::rings, PNG),
    },
    Sample {
        tenant: "mytenant",
        owner: PHOTO_USER,
        id: "3e87dc05-bf42-4c91-8d6a-805fa143e7d4",
        name: "weave.png",
        labels: &[],
        content: Content::Photo(draw::weave, PNG),
    },
    Sample {
        tenant: "mytenant",
        owner: DOCUMENT_USER,
        id: "fcc588f3-d1e8-47cd-8b08-e878daecb214",
        name: "contract.pdf",
        labels: &[],
        content: Content::Document(
            "Contract of employment",
            &[
                "This contract is a sample. Nobody signed it.",
                "Once it is deleted, no copy of it is left.",
            ],
        ),
    },
    Sample {
        tenant: "mytenant",
        owner: DOCUMENT_USER,
        id: "4f98ed16-c053-4da2-9e7b-9160b254f8e5",
        name: "payslip-2026-06.pdf",
        labels: &["payroll"],
        content: Content::Document("Payslip, June 2026", &["Gross 3,000.00", "Net 2,103.50"]),
    },
    Sample {
        tenant: "mytenant",
        owner: DOCUMENT_USER,
        id: "50a9fe27-d164-4eb3-8f8c-a271c365a9f6",
        name: "certificate.pdf",
        labels: &[],
        content: Content::Document("Certificate", &["First aid at work, 16 hours."]),
    },
    Sample {
        tenant: "mytenant",
        owner: "7",
        id: "61ba0f38-e275-4fc4-909d-b382d476ba07",
        name: "letter.pdf",
        labels: &["evidence"],
        content: Content::Document(
            "Letter",
            &["Dear Sir or Madam,", "please keep this letter."],
        ),
    },
    Sample {
        tenant: "acme",
        owner: "u-2001",
        id: "72cb1049-f386-40d5-81ae-c493e587cb18",
        name: "rings.jpg",
        labels: &[],
        content: Content::Photo(draw::rings, JPEG),
    },
    Sample {
        tenant: "acme",
        owner: "8",
        id: "83dc215a-0497-41e6-92bf-d5a4f698dc29",
        name: "report.pdf",
        labels: &[],
        content: Content::Document("Annual report", &["It was a good year."]),
    },
];

/// Whether a tenant is one of the demo's. A directory with others in it must not get a public key.
pub fn knows(tenant: &Tenant) -> bool {
    let named = (tenant.subdomain.as_str(), tenant.website_id.get());
    TENANTS.contains(&named)
}

/// Makes and fills the demo's tenants if that was never completed, and returns requests to try
/// against the server at `base`, with a fresh token.
///
/// # Errors
/// The storage does not take something.
pub async fn furnish(service: &Service, base: &str) -> Result<String, DemoError> {
    for (subdomain, website_id) in tenants() {
        match service
            .create_tenant(subdomain, website_id, "demo".to_owned())
            .await
        {
            Ok(_) | Err(StoreError::Taken { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let tenants = service.tenants.tenants().await?;
    let clients = service.tenants.clients().await?;
    let complete = clients
        .iter()
        .any(|client| client.id == CLIENT && !client.grants.is_empty());
    if !complete {
        fill(service, &tenants).await?;
    }
    let token = Issued::new("demo token", Some(TOKEN_LIFETIME_MS));
    let most = service.config.auth.client_tokens;
    service
        .tenants
        .add_token(CLIENT, token.stored, most)
        .await?;
    let tenant = tenant(&tenants, "mytenant")?.id;
    let photo = latest(service, tenant, Kind::Photo, PHOTO_USER).await?;
    let document = latest(service, tenant, Kind::Document, DOCUMENT_USER).await?;
    let mut text = tour(base, photo, document, &token.secret);
    let _ = write!(
        text,
        "# The same data from the command line, beside this server\n\
         atropos object list photo --tenant mytenant --data-dir '{}'\n\n",
        service.config.data_dir.display()
    );
    Ok(text)
}

fn tenant<'a>(tenants: &'a [Tenant], subdomain: &str) -> Result<&'a Tenant, StoreError> {
    let mut tenants = tenants.iter();
    let found = tenants.find(|tenant| tenant.subdomain.as_str() == subdomain);
    found.ok_or(StoreError::Missing { what: "tenant" })
}

async fn fill(service: &Service, tenants: &[Tenant]) -> Result<(), DemoError> {
    for sample in &SAMPLES {
        put(service, tenant(tenants, sample.tenant)?.id, sample).await?;
    }
    let first = tenant(tenants, "mytenant")?.id;
    if service.tenants.keys(first).await?.is_empty() {
        let key = Issued::known(SITE_KEY, "demo", None).stored;
        service.tenants.add_key(first, key).await?;
    }
    let client = NewCredential {
        id: CLIENT.to_owned(),
        ..Issued::new("demo", None).stored
    };
    unless_taken(service.tenants.add_client(client).await)?;
    let granted = [Permission::DocumentsRead, Permission::DocumentsWrite];
    Ok(service.tenants.grant(CLIENT, first, &granted).await?)
}

async fn put(service: &Service, tenant: TenantId, sample: &Sample) -> Result<(), DemoError> {
    let name = sample.name;
    let new = NewUpload {
        tenant,
        owner: sample.owner.to_owned(),
        id: Some(sample.id.to_owned()),
        name: name.to_owned(),
        labels: sample
            .labels
            .iter()
            .map(|&label| label.to_owned())
            .collect(),
        retain_until_ms: None,
    };
    let uploads = &service.uploads;
    let taken = match sample.content {
        Content::Photo(picture, format) => {
            let bytes = draw::encoded(&picture(), format);
            let bytes = bytes.map_err(|source| DemoError::Draw { name, source })?;
            uploads.photo(new, &mut bytes.as_slice()).await
        }
        Content::Document(title, lines) => {
            let bytes = draw::page(title, lines);
            uploads.document(new, &mut bytes.as_slice()).await
        }
    };
    match taken {
        // From an earlier start that did not come to its end.
        Ok(_) | Err(UploadError::Store(StoreError::Taken { .. })) => Ok(()),
        Err(source) => Err(DemoError::Upload { name, source }),
    }
}

fn unless_taken(stored: Result<(), StoreError>) -> Result<(), StoreError> {
    match stored {
        Err(StoreError::Taken { .. }) => Ok(()),
        other => other,
    }
}

/// The id of one object that the user still has.
async fn latest(
    service: &Service,
    tenant: TenantId,
    kind: Kind,
    owner: &str,
) -> Result<Option<String>, StoreError> {
    let page = Page {
        offset: 0,
        limit: 1,
    };
    let listed = service
        .catalogue
        .list(tenant, kind, Some(owner), page.into())
        .await?;
    let first = listed.into_iter().next();
    Ok(first.map(|stored| stored.object.target.id))
}

/// The requests, ready to paste.
fn tour(base: &str, photo: Option<String>, document: Option<String>, token: &str) -> String {
    let [(tenant, website), (other, other_website)] = TENANTS;
    let mut text = format!(
        "\nThe demo serves the tenants {tenant} (website {website}) and {other} (website \
         {other_website}).\nWhat these requests delete is gone for good.\n"
    );
    let photo = photo.map(|id| {
        format!(
            "curl -H 'websiteId: {website}' -H 'webApiClientKey: {SITE_KEY}' \\\n  \
             '{base}/api/4/UploadImage/DeleteUserPhoto?userId={PHOTO_USER}&photoId={id}'\n"
        )
    });
    let document = document.map(|id| {
        format!(
            "curl -i -X POST '{base}/api/library/documents/delete' \\\n  \
             -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\\n  \
             -d '{{\"tenantSubDomain\":\"{tenant}\",\"userAccountId\":{DOCUMENT_USER},\
             \"fileGuid\":\"{id}\"}}'\n"
        )
    });
    for (what, request) in [
        (format!("A photo of user {PHOTO_USER}"), photo),
        (
            format!("A document of user account {DOCUMENT_USER} (the token is valid for 24 hours)"),
            document,
        ),
    ] {
        let request =
            request.unwrap_or_else(|| "# none is left; start with an empty directory\n".to_owned());
        let _ = write!(text, "\n# {what}\n{request}");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_sample_has_a_tenant_and_an_id_of_its_own() {
        assert_eq!(tenants().count(), TENANTS.len());
        let ids: HashSet<_> = SAMPLES.iter().map(|sample| sample.id).collect();
        assert_eq!(ids.len(), SAMPLES.len());
        for sample in &SAMPLES {
            assert!(TENANTS.iter().any(|(tenant, _)| *tenant == sample.tenant));
            assert!(uuid::Uuid::try_parse(sample.id).is_ok(), "{}", sample.id);
        }
    }

    #[test]
    fn a_tenant_of_the_same_name_and_another_website_is_a_stranger() {
        let tenant = |website| Tenant {
            id: TenantId(1),
            subdomain: "acme".parse().unwrap(),
            website_id: WebsiteId::new(website).unwrap(),
        };
        assert!(knows(&tenant(423)));
        assert!(!knows(&tenant(424)));
    }

    #[test]
    fn the_tour_is_two_requests_to_paste() {
        let text = tour("http://h", Some("p".to_owned()), Some("d".to_owned()), "t");
        assert_eq!(text.matches("\ncurl ").count(), 2);
        assert!(text.contains("DeleteUserPhoto?userId=u-1001&photoId=p'"));
        assert!(
            text.contains(
                r#"-d '{"tenantSubDomain":"mytenant","userAccountId":6,"fileGuid":"d"}'"#
            )
        );
        assert!(text.contains("Bearer t'"));
    }

    #[test]
    fn a_tour_with_nothing_left_to_delete_says_so() {
        let text = tour("http://h", None, None, "t");
        assert!(!text.contains("curl"));
        assert_eq!(text.matches("none is left").count(), 2);
    }
}
