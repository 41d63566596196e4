//! A data directory made once and copied for every case, and what must hold in it afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use atropos::domain::tenants::NewCredential;
use atropos::domain::{ChainEntry, NewComponent, NewRevision};
use atropos::guest::ALLOW_ALL;
use atropos::target::{Kind, Permission, TenantId};
use atropos_service::auth::Issued;
use atropos_service::config::Config;
use atropos_service::service::Service;
use atropos_service::upload::NewUpload;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::asking::ask;
use crate::support::site::{blob_files, database, keys, wait_until};
use crate::support::stage::patient;
use crate::support::{
    DOCUMENT_USER, PATIENT, PHOTO_USER, SITE_KEY, Server, Starting, TENANT, WEBSITE, eventually,
    files, forge,
};

/// The objects that a case may delete, of either kind.
pub(super) const OBJECTS: [&str; 2] = [
    "aaaaaaaa-0000-4000-8000-000000000001",
    "aaaaaaaa-0000-4000-8000-000000000002",
];

/// The website of a second tenant, whose policy denies everything.
pub(super) const KEEPER_WEBSITE: &str = "423";
const TOKEN: &str = "a-token-of-the-steps";
const CLIENT: &str = "steps";

/// The data directory that every case begins with.
pub(super) struct Ground(TempDir);

impl Ground {
    /// Two tenants with two photos and two documents each. The first one's policy is a component
    /// that has to be read from the storage.
    pub(super) fn prepare() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let data_dir = folder.path().join("data");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(fill(&data_dir));
        Self(folder)
    }

    /// The same after a delete that was cut short between its commit and its bytes.
    pub(super) fn doom(&self) -> Self {
        let plot = self.copy();
        let config = plot.config(PATIENT);
        let told = [("FAILPOINTS", "write.committed=return(kill)")];
        let server = Starting::new(&plot.data_dir(), &["--config", &config], &told).ready();
        let mut server = Plot::token(server.unwrap_or_else(|log| panic!("no server: {log}")));
        assert_eq!(ask(server.deletion(Kind::Photo, OBJECTS[0])), None);
        eventually("it ends", || server.ended().then_some(()));
        assert_eq!(keys(&plot.data_dir(), "shreds").len(), 2);
        Self(plot.0)
    }

    /// A copy of its own for one case.
    pub(super) fn copy(&self) -> Plot {
        let folder = tempfile::tempdir().expect("a directory");
        let plot = Plot(folder);
        // A socket that a killed server left cannot be copied.
        let files = files(self.0.path())
            .into_iter()
            .filter(|file| file.is_file());
        for file in files {
            let path = file.strip_prefix(self.0.path()).expect("beneath");
            let to = plot.0.path().join(path);
            let beneath = to.parent().expect("a folder");
            std::fs::create_dir_all(beneath).expect("a folder");
            std::fs::copy(&file, to).expect("a copy");
        }
        plot
    }
}

async fn fill(data_dir: &Path) {
    let config = Config {
        data_dir: data_dir.to_owned(),
        ..patient()
    };
    let service = Service::open(config).expect("a service");
    // Kept on disk, so that no server of a case compiles it anew.
    let warm = service.atropos.sandbox().warm_up().await;
    warm.expect("what comes with the program");
    let tenants = &service.tenants;
    // A section that nobody reads makes it another component than the one built in.
    let mine = forge::with_section(ALLOW_ALL.1, b"");
    let allowing: (&str, &[u8]) = ("mine", &mine);
    let denying = ("deny-all", atropos_test_guests::DENY_ALL);
    for (subdomain, website, (policy, bytes)) in [
        (TENANT, WEBSITE, allowing),
        ("keeper", KEEPER_WEBSITE, denying),
    ] {
        let subdomain = subdomain.parse().expect("a subdomain");
        let website = website.parse().expect("a website");
        let tenant = service
            .create_tenant(subdomain, website, String::new())
            .await;
        let tenant = tenant.expect("a tenant").id;
        let component = NewComponent::new(policy, bytes, 1);
        let entry = ChainEntry {
            policy: policy.to_owned(),
            digest: component.digest,
            settings: "{}".into(),
        };
        let kept = service.policies.add_component(component).await;
        kept.expect("a component");
        let chain = NewRevision::new(vec![entry], 1);
        let revised = service.policies.revise(tenant, chain).await;
        revised.expect("a storage").expect("a chain");
        let key = Issued::known(SITE_KEY, "steps", None).stored;
        tenants.add_key(tenant, key).await.expect("a key");
        for id in OBJECTS {
            for kind in [Kind::Photo, Kind::Document] {
                put(&service, tenant, kind, id).await;
            }
        }
    }
    let client = NewCredential {
        id: CLIENT.to_owned(),
        ..Issued::new("steps", None).stored
    };
    tenants.add_client(client).await.expect("a client");
    let first = tenants.tenant(&TENANT.parse().expect("a subdomain")).await;
    let first = first.expect("tenants").expect("the tenant").id;
    let may = [Permission::DocumentsRead, Permission::DocumentsWrite];
    tenants.grant(CLIENT, first, &may).await.expect("a grant");
    let token = Issued::known(TOKEN, "steps", None).stored;
    tenants.add_token(CLIENT, token, 1).await.expect("a token");
    service.stop().await;
}

async fn put(service: &Service, tenant: TenantId, kind: Kind, id: &str) {
    let new = NewUpload {
        tenant,
        owner: match kind {
            Kind::Photo => PHOTO_USER.to_owned(),
            Kind::Document => DOCUMENT_USER.to_string(),
        },
        id: Some(id.to_owned()),
        name: "a name".to_owned(),
        labels: Vec::new(),
        retain_until_ms: None,
    };
    let uploads = &service.uploads;
    let taken = match kind {
        Kind::Photo => uploads.photo(new, &mut &*picture()).await,
        Kind::Document => uploads.document(new, &mut &b"a document"[..]).await,
    };
    taken.expect("an upload");
}

/// A small picture.
pub(super) fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(4, 3, image::Rgb([200, 100, 50]));
    let written = picture.write_to(&mut bytes, image::ImageFormat::Png);
    written.expect("a picture");
    bytes.into_inner()
}

/// Where the bytes of a photo are.
pub(super) fn address(data_dir: &Path, id: &str) -> String {
    let query = "SELECT key FROM blobs WHERE ordinal = 0 AND object =
        (SELECT id FROM objects WHERE tenant = 1 AND kind = 'photo' AND public_id = ?)";
    let key = database(data_dir).query_row(query, [id], |row| row.get(0));
    let key: String = key.expect("a photo");
    format!("/media/{key}/{id}.png")
}

/// What there is of an object at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Its row.
    Intact,
    /// No row.
    Gone,
}

/// The data directory of one case.
pub(super) struct Plot(TempDir);

impl Plot {
    pub(super) fn data_dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Writes a configuration beside the data directory.
    pub(super) fn config(&self, text: &str) -> String {
        let file = self.0.path().join("atropos.toml");
        std::fs::write(&file, text).expect("a configuration");
        file.to_str().expect("a path in UTF-8").to_owned()
    }

    /// A server on it, with the token that every copy knows.
    pub(super) fn token(mut server: Server) -> Server {
        TOKEN.clone_into(&mut server.token);
        server
    }

    /// Reads one number beside the server.
    pub(super) fn count(&self, query: &str) -> i64 {
        count(&database(&self.data_dir()), query)
    }

    /// What there is of an object of the first tenant.
    pub(super) fn left(&self, kind: Kind, id: &str) -> Left {
        let rows = "SELECT count(*) FROM objects WHERE tenant = 1";
        let of_kind = format!("{rows} AND kind = '{}'", kind.as_str());
        match self.count(&format!("{of_kind} AND public_id = '{id}'")) {
            0 => Left::Gone,
            _ => Left::Intact,
        }
    }

    /// Without a server: every file is named, and every row has its files.
    pub(super) fn check_still(&self) {
        let data_dir = self.data_dir();
        let (files, rows) = (blob_files(&data_dir), keys(&data_dir, "blobs"));
        let doomed = keys(&data_dir, "shreds");
        let named: BTreeSet<_> = rows.union(&doomed).cloned().collect();
        assert!(named.is_superset(&files), "bytes that nobody answers for");
        assert!(files.is_superset(&rows), "a row without its bytes");
    }

    /// Uploads that did not complete run out, as if their time had passed.
    pub(super) fn let_reservations_pass(&self) {
        let passed = "UPDATE shreds SET not_before_ms = 1 WHERE event IS NULL";
        let passed = database(&self.data_dir()).execute(passed, []);
        passed.expect("an update");
    }

    /// Waits until nothing is doomed any more.
    pub(super) fn settle(&self) {
        wait_until("no shred record is left", || {
            keys(&self.data_dir(), "shreds").is_empty()
        });
    }

    /// With a settled server: what is listed is whole, what is gone has its one event and nothing
    /// else, and nothing else has an event.
    pub(super) fn check_settled(&self, server: &Server) {
        let data_dir = self.data_dir();
        assert_eq!(blob_files(&data_dir), keys(&data_dir, "blobs"), "orphans");
        for kind in [Kind::Photo, Kind::Document] {
            for (id, urls) in server.objects(kind) {
                let read = |url: &String| {
                    let response = server.bytes(url).send().expect("an answer");
                    assert_eq!(response.status(), 200, "{url}");
                    response.bytes().expect("bytes")
                };
                let bytes: Vec<_> = urls.iter().map(read).collect();
                match kind {
                    Kind::Photo => assert_eq!(bytes[0], picture(), "{id}"),
                    Kind::Document => assert_eq!(&*bytes[0], b"a document", "{id}"),
                }
            }
        }
        let database = database(&data_dir);
        let erased = self.erased(&database);
        for kind in [Kind::Photo, Kind::Document] {
            for id in OBJECTS {
                let gone = self.left(kind, id) == Left::Gone;
                let name = (kind.as_str().to_owned(), id.to_owned());
                let events = erased.get(&name).copied().unwrap_or_default();
                assert_eq!(events, i64::from(gone), "events of {name:?}");
            }
        }
        let others = "SELECT count(*) FROM objects WHERE tenant = 2";
        assert_eq!(count(&database, others), 2 * OBJECTS.len() as i64);
        let events = "SELECT count(*) FROM events";
        let decided = "SELECT count(*) FROM decisions WHERE erased = 1";
        assert_eq!(count(&database, events), count(&database, decided));
        let absent = "SELECT coalesce(sum(bytes_absent), 0) FROM events";
        assert_eq!(count(&database, absent), 0, "the bytes were there");
    }

    fn erased(&self, database: &Connection) -> BTreeMap<(String, String), i64> {
        let query = "SELECT kind, object_id, count(*) FROM events GROUP BY kind, object_id";
        let mut query = database.prepare(query).expect("a table");
        let rows = query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
        rows.expect("rows").collect::<Result<_, _>>().expect("rows")
    }

    /// Whether a server answers at all.
    pub(super) fn lives(server: &Server) -> bool {
        matches!(ask(server.http.get(server.url("/healthz"))), Some((200, _)))
    }
}

fn count(database: &Connection, query: &str) -> i64 {
    let counted = database.query_row(query, [], |row| row.get(0));
    counted.expect("a number")
}
