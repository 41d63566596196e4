//! Deletes among everything else, in the proportions of GDPRbench: what a customer of a platform does,
//! and what its controller does. Through the crate, as a platform that embeds it would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use atropos::domain::catalogue::Change;
use atropos::domain::{NewObject, Page, Rendition};
use atropos::erase::{PhotoRequest, Request};
use atropos::ports::content::WHOLE;
use atropos::target::{BlobKey, Kind, Object, Target, TenantId, now_ms};
use atropos_service::service::Service;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Run;
use crate::contest::{self, Heat, Report};
use crate::facts::DAY_MS;
use crate::load::Seen;
use crate::stage::{self, Stage};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Errand {
    Delete,
    ReadBytes,
    ReadMetadata,
    Update,
    Insert,
}

/// Who does it, in which order over and over.
const MIXES: [(&str, &[Errand]); 2] = {
    use Errand::{Delete, Insert, ReadBytes, ReadMetadata, Update};
    let customer = &[
        Delete,
        ReadMetadata,
        ReadBytes,
        ReadMetadata,
        Update,
        Delete,
        ReadMetadata,
        ReadBytes,
        ReadMetadata,
        Update,
    ];
    [
        ("customer", customer),
        ("controller", &[Insert, Update, Delete, Update]),
    ]
};

const HEAT: Heat = Heat {
    clients: 64,
    deletes: 10_000,
};

/// Objects that are read and changed, and stay.
const LASTING: u64 = 5_000;

/// A service and its objects, of which the first are to be deleted and the last stay.
struct Platform {
    service: Service,
    stage: Stage,
    tenant: TenantId,
    doomed: AtomicU64,
    visited: AtomicU64,
}

/// Measures both.
pub(crate) fn run(run: &Run) -> Result<Report> {
    let mut report = Report::new(run.rounds);
    for (name, mix) in MIXES {
        let runtime = Runtime::new()?;
        let seen = runtime.block_on(measure(run, mix))?;
        let rows = seen.into_iter();
        let rows = rows.map(|(errand, seen)| (format!("{errand:?}"), seen));
        let Heat { clients, deletes } = HEAT;
        let title = format!("As a {name}: {deletes} errands a round, {clients} at once");
        report
            .tables
            .push(contest::side_by_side(title, HEAT, rows)?);
    }
    Ok(report)
}

async fn measure(run: &Run, mix: &'static [Errand]) -> Result<BTreeMap<Errand, Vec<Seen>>> {
    let folder = tempfile::tempdir_in(&run.disk)?;
    let stage = Stage {
        objects: LASTING + HEAT.deletes * u64::from(run.rounds),
        ..Stage::default()
    };
    stage.furnish(folder.path()).await?;
    let service = Service::open(stage::config(folder.path()))?;
    let warm = service.atropos.sandbox().warm_up().await;
    warm.map_err(|refused| anyhow::anyhow!("no delete can be served: {refused}"))?;
    let tenants = service.tenants.tenants().await?;
    let platform = Arc::new(Platform {
        tenant: tenants.first().context("a tenant")?.id,
        service,
        stage,
        doomed: AtomicU64::new(0),
        visited: AtomicU64::new(0),
    });
    let mut all: BTreeMap<Errand, Vec<Seen>> = BTreeMap::new();
    for _ in 0..run.rounds {
        let next = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..HEAT.clients {
            let (platform, next) = (Arc::clone(&platform), Arc::clone(&next));
            clients.spawn(async move { platform.client(mix, &next).await });
        }
        let mut took: BTreeMap<Errand, Vec<Duration>> = BTreeMap::new();
        while let Some(client) = clients.join_next().await {
            for (errand, latency) in client?? {
                took.entry(errand).or_default().push(latency);
            }
        }
        let whole = started.elapsed();
        for (errand, latencies) in took {
            let seen = Seen {
                took: whole,
                latencies,
            };
            all.entry(errand).or_default().push(seen);
        }
    }
    platform.service.stop().await;
    Ok(all)
}

impl Platform {
    async fn client(&self, mix: &[Errand], next: &AtomicU64) -> Result<Vec<(Errand, Duration)>> {
        let mut took = Vec::new();
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= HEAT.deletes {
                return Ok(took);
            }
            let errand = mix[(nth % mix.len() as u64) as usize];
            let started = Instant::now();
            self.run(errand).await?;
            took.push((errand, started.elapsed()));
        }
    }

    async fn run(&self, errand: Errand) -> Result<()> {
        let catalogue = &self.service.catalogue;
        match errand {
            Errand::Delete => self.delete().await?,
            Errand::ReadMetadata => {
                let (owner, page) = (
                    self.lasting().owner,
                    Page {
                        offset: 0,
                        limit: 25,
                    },
                );
                catalogue
                    .list(self.tenant, Kind::Photo, Some(&owner), page.into())
                    .await?;
            }
            Errand::ReadBytes => {
                let stored = catalogue.show(&self.lasting()).await?;
                let key = stored.and_then(|stored| Some(stored.renditions.first()?.key));
                let mut blob = self
                    .service
                    .bytes
                    .open(key.context("an object")?, WHOLE)
                    .await?;
                let content = &mut blob.as_mut().context("its bytes")?.content;
                tokio::io::copy(content, &mut tokio::io::sink()).await?;
            }
            Errand::Update => {
                let change = Change {
                    labels: Some(vec!["holiday".to_owned()]),
                    retain_until_ms: None,
                };
                catalogue.change(&self.lasting(), change).await?;
            }
            Errand::Insert => self.insert().await?,
        }
        Ok(())
    }

    /// One of those that stay.
    fn lasting(&self) -> Target {
        let nth = self.visited.fetch_add(1, Ordering::Relaxed) * 7919 % LASTING;
        let photo = self.stage.photo(self.stage.objects - 1 - nth);
        Target {
            tenant: self.tenant,
            kind: Kind::Photo,
            owner: photo.user,
            id: photo.id,
        }
    }

    async fn delete(&self) -> Result<()> {
        let photo = self
            .stage
            .photo(self.doomed.fetch_add(1, Ordering::Relaxed));
        let request = Request::Photo(PhotoRequest {
            website_id: Some(photo.website.to_string()),
            site_key: Some(photo.key),
            user_id: Some(photo.user),
            photo_id: Some(photo.id),
        });
        Ok(self.service.atropos.delete(request).await?)
    }

    async fn insert(&self) -> Result<()> {
        let (key, at_ms) = (BlobKey::random(), now_ms());
        let catalogue = &self.service.catalogue;
        catalogue.reserve(&[key], at_ms + DAY_MS).await?;
        let content = vec![b'x'; usize::try_from(self.stage.bytes)?];
        self.service.bytes.put(key, None, &mut &content[..]).await?;
        let target = Target {
            tenant: self.tenant,
            kind: Kind::Photo,
            owner: "u-new".to_owned(),
            id: key.to_string(),
        };
        let new = NewObject {
            object: Object::new(target, self.stage.bytes, "image/jpeg"),
            name: "beach.jpg".to_owned(),
            dimensions: None,
            renditions: vec![Rendition {
                name: "original".to_owned(),
                key,
                size_bytes: self.stage.bytes,
                media_type: "image/jpeg".to_owned(),
            }],
        };
        Ok(catalogue.insert(new).await?)
    }
}
