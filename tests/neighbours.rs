//! What a misbehaving guest costs the neighbours of the tenant that brought it, measured.
//!
//! `cargo test --release -p atropos-server --test atropos neighbours -- --ignored --nocapture`

use std::sync::Arc;
use std::time::{Duration, Instant};

use atropos::domain::{ChainEntry, NewComponent, NewRevision, Page};
use atropos::erase::{PhotoRequest, Request};
use atropos::error::Refused;
use atropos::target::{Kind, Tenant, now_ms};
use atropos_service::auth::Issued;
use atropos_service::config::{Breaker, Config};
use atropos_service::service::Service;
use atropos_service::upload::NewUpload;
use atropos_test_guests as guests;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::misbehaving::{PLUGINS, POLICIES};
use crate::support::forge;

const OWNER: &str = "u-1001";
const PHOTO: &[u8] = include_bytes!("fuzz/seeds/picture/rgb.png");

/// Undisturbed and disturbed periods take turns, so that both see the same machine.
const ROUNDS: usize = 4;
const PERIOD: Duration = Duration::from_millis(500);
/// How often the neighbour asks.
const PACE: Duration = Duration::from_millis(1);
/// How often the offender asks, and how many of its requests wait at most.
const OFFENCE: Duration = Duration::from_millis(10);
const OFFENCES: usize = 32;

/// A tenant with one photo that its own chain does not let go.
#[derive(Clone)]
pub(crate) struct Household {
    tenant: Tenant,
    pub(crate) key: String,
}

/// Two tenants of one service.
struct Street {
    service: Service,
    offender: Household,
    neighbour: Household,
    _folder: TempDir,
}

impl Street {
    async fn new(breaker: Breaker) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let config = Config {
            data_dir: folder.path().join("data"),
            breaker,
            ..Config::default()
        };
        let service = Service::open(config).expect("a service");
        let offender = Household::new(&service, "offender", 1).await;
        let neighbour = Household::new(&service, "neighbour", 2).await;
        let street = Self {
            service,
            offender,
            neighbour,
            _folder: folder,
        };
        let settings = r#"{"minimum-age-days":{"photo":30}}"#;
        let (name, retention) = atropos::guest::BUILT_IN_POLICIES[1];
        let (service, neighbour) = (&street.service, &street.neighbour);
        neighbour.assign(service, name, retention, settings).await;
        street
    }

    async fn choose(&self, component: &[u8]) {
        let policies = &self.service.policies;
        let component = NewComponent::new("plugin", component, now_ms());
        let digest = component.digest;
        let kept = policies.add_component(component).await;
        kept.expect("a component");
        let chosen = policies.choose_plugin(Some(digest)).await;
        chosen.expect("a plugin");
    }

    /// How long one request of the offender takes to be refused.
    async fn stopped(&self) -> Duration {
        let started = Instant::now();
        let refused = self.offender.delete(&self.service).await;
        refused.expect_err("it is refused");
        started.elapsed()
    }
}

impl Household {
    pub(crate) async fn new(service: &Service, name: &str, website: u64) -> Self {
        let subdomain = name.parse().expect("a label");
        let website = website.to_string().parse().expect("a number");
        let tenant = service
            .create_tenant(subdomain, website, String::new())
            .await;
        let tenant = tenant.expect("a tenant");
        let Issued { secret, stored } = Issued::new("a key", None);
        let kept = service.tenants.add_key(tenant.id, stored).await;
        kept.expect("a key");
        let new = NewUpload {
            tenant: tenant.id,
            owner: OWNER.to_owned(),
            id: Some("p-1".to_owned()),
            name: "a.png".to_owned(),
            labels: Vec::new(),
            retain_until_ms: None,
        };
        let stored = service.uploads.photo(new, &mut &PHOTO[..]).await;
        stored.expect("a photo");
        Self {
            tenant,
            key: secret,
        }
    }

    /// Puts a policy in force.
    pub(crate) async fn assign(
        &self,
        service: &Service,
        name: &str,
        component: &[u8],
        settings: &str,
    ) {
        let policies = &service.policies;
        let component = NewComponent::new(name, component, now_ms());
        let entry = ChainEntry {
            policy: name.to_owned(),
            digest: component.digest,
            settings: settings.into(),
        };
        let kept = policies.add_component(component).await;
        kept.expect("a component");
        let chain = NewRevision::new(vec![entry], now_ms());
        let revised = policies.revise(self.tenant.id, chain).await;
        revised.expect("a storage").expect("a chain");
    }

    pub(crate) fn website(&self) -> String {
        self.tenant.website_id.to_string()
    }

    /// Asks for a delete of the photo.
    pub(crate) async fn delete(&self, service: &Service) -> Result<(), Refused> {
        let request = PhotoRequest {
            website_id: Some(self.website()),
            site_key: Some(self.key.clone()),
            user_id: Some(OWNER.to_owned()),
            photo_id: Some("p-1".to_owned()),
        };
        service.atropos.delete(Request::Photo(request)).await
    }

    async fn list(&self, service: &Service) {
        let page = Page {
            offset: 0,
            limit: 25,
        };
        let id = self.tenant.id;
        let listed = service
            .catalogue
            .list(id, Kind::Photo, Some(OWNER), page.into());
        assert_eq!(listed.await.expect("a list").len(), 1);
    }
}

/// What the neighbour does meanwhile. A plugin serves every tenant, so that while one misbehaves
/// nobody deletes; what goes on is everything else.
#[derive(Clone, Copy)]
enum Errand {
    Delete,
    List,
}

/// How long each errand of the neighbour took in one period.
async fn period(street: &Arc<Street>, errand: Errand, disturbed: bool) -> Vec<Duration> {
    let offences = tokio::spawn(offend(Arc::clone(street), disturbed));
    let street = Arc::clone(street);
    let errands = tokio::spawn(async move {
        let (household, service) = (&street.neighbour, &street.service);
        let started = Instant::now();
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut took = Vec::new();
        while started.elapsed() < PERIOD {
            pace.tick().await;
            let begun = Instant::now();
            match errand {
                Errand::Delete => {
                    let refused = household.delete(service).await;
                    let refused = refused.expect_err("its policy keeps the photo");
                    assert_eq!(refused.code(), "403");
                }
                Errand::List => household.list(service).await,
            }
            took.push(begun.elapsed());
        }
        took
    });
    let took = errands.await.expect("a neighbour");
    offences.await.expect("an offender");
    took
}

/// Asks at a steady pace, whether or not there was an answer.
async fn offend(street: Arc<Street>, disturbed: bool) {
    let started = Instant::now();
    let mut pace = interval(OFFENCE);
    let mut asked = JoinSet::new();
    while disturbed && started.elapsed() < PERIOD {
        pace.tick().await;
        while asked.try_join_next().is_some() {}
        if asked.len() < OFFENCES {
            let street = Arc::clone(&street);
            asked.spawn(async move { street.stopped().await });
        }
    }
    asked.join_all().await;
}

fn percentile(took: &mut [Duration], of_100: usize) -> Duration {
    took.sort();
    took[(took.len() - 1) * of_100 / 100]
}

/// The neighbour's 99th percentile disturbed and undisturbed, as a ratio.
async fn ratio(street: &Arc<Street>, errand: Errand) -> f64 {
    let (mut calm, mut disturbed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        calm.extend(period(street, errand, false).await);
        disturbed.extend(period(street, errand, true).await);
    }
    let [calm, disturbed] = [&mut calm, &mut disturbed].map(|took| percentile(took, 99));
    disturbed.as_secs_f64() / calm.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: minutes, on a quiet machine, in release"]
async fn what_a_misbehaving_guest_costs_its_neighbours() {
    let too_large: &[u8] = forge::padded(guests::DENY_ALL, (32 << 20) + 1).leak();
    let too_deep: &[u8] = forge::nested(200_000).leak();
    let forged = [
        ("too-large", too_large, "policy-too-large"),
        ("too-deep", too_deep, "policy-unreadable"),
    ];
    let policies = POLICIES.into_iter().chain(forged);
    let policies = policies.map(|case| (case, Errand::Delete));
    let plugins = PLUGINS.into_iter().map(|case| (case, Errand::List));
    let wanted = std::env::var("ATROPOS_GUEST").unwrap_or_default();
    let lenient = Breaker {
        faults: 1000,
        ..Breaker::default()
    };
    println!("| guest | code | stopped after | ratio | ratio if never held off |");
    println!("|---|---|---|---|---|");
    for ((name, component, code), errand) in policies.chain(plugins) {
        if !name.contains(&wanted) {
            continue;
        }
        let mut ratios = Vec::new();
        let mut stopped = Vec::new();
        for breaker in [Breaker::default(), lenient] {
            let street = Arc::new(Street::new(breaker).await);
            match errand {
                Errand::Delete => {
                    let (service, offender) = (&street.service, &street.offender);
                    offender.assign(service, name, component, "{}").await;
                }
                Errand::List => street.choose(component).await,
            }
            if breaker == lenient {
                for _ in 0..9 {
                    stopped.push(street.stopped().await);
                }
            }
            ratios.push(ratio(&street, errand).await);
            street.service.stop().await;
        }
        let stopped = percentile(&mut stopped, 50);
        println!(
            "| {name} | {code} | {stopped:.1?} | {:.2} | {:.2} |",
            ratios[0], ratios[1]
        );
    }
}
