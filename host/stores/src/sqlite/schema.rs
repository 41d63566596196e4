//! The tables, and how an older file becomes a current one.
//!
//! **Invariant:** a migration that was released is never edited; what changes is appended.
//! **Invariant:** a file of a newer version is refused untouched.

use atropos::ports::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use super::durability;
use super::error::{Sql, damaged};

/// Migration n leads from schema n to schema n + 1.
const MIGRATIONS: [&str; 11] = [
    INITIAL, BUDGETS, OUTCOMES, REPORTS, HISTORY, DECISIONS, LISTS, BOUNDS, MADE, OWNERS, ANSWERED,
];

/// Rows that outlive an object (events, decisions) copy its id, and never the name that its owner
/// gave it. `blobs` and `holds` refer to their object at the end of the transaction only, so that
/// the object's own conditional delete can come first.
const INITIAL: &str = "
    CREATE TABLE instance (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE tenants (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        subdomain TEXT NOT NULL UNIQUE,
        website_id INTEGER NOT NULL UNIQUE CHECK (website_id > 0),
        created_at_ms INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE site_keys (
        id TEXT PRIMARY KEY,
        tenant INTEGER NOT NULL REFERENCES tenants (id),
        label TEXT NOT NULL,
        digest BLOB NOT NULL,
        issued_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER,
        revoked_at_ms INTEGER,
        UNIQUE (tenant, digest)
    ) STRICT;

    CREATE TABLE clients (
        id TEXT PRIMARY KEY,
        label TEXT NOT NULL,
        digest BLOB NOT NULL,
        issued_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER
    ) STRICT;

    CREATE TABLE grants (
        client TEXT NOT NULL REFERENCES clients (id),
        tenant INTEGER NOT NULL REFERENCES tenants (id),
        permissions TEXT NOT NULL,
        PRIMARY KEY (client, tenant)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        client TEXT NOT NULL REFERENCES clients (id),
        digest BLOB NOT NULL UNIQUE,
        issued_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER,
        revoked_at_ms INTEGER
    ) STRICT;
    CREATE INDEX tokens_by_expiry ON tokens (expires_at_ms);

    CREATE TABLE components (
        digest BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;

    CREATE TABLE chains (
        tenant INTEGER NOT NULL REFERENCES tenants (id),
        revision INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        entries TEXT NOT NULL,
        PRIMARY KEY (tenant, revision)
    ) STRICT;

    CREATE TABLE objects (
        id INTEGER PRIMARY KEY,
        tenant INTEGER NOT NULL REFERENCES tenants (id),
        kind TEXT NOT NULL CHECK (kind IN ('photo', 'document')),
        owner TEXT NOT NULL,
        public_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        media_type TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        labels TEXT NOT NULL,
        retain_until_ms INTEGER,
        name TEXT NOT NULL,
        width INTEGER,
        height INTEGER,
        UNIQUE (tenant, kind, owner, public_id)
    ) STRICT;
    CREATE INDEX objects_by_age ON objects (tenant, kind);

    CREATE TABLE blobs (
        key TEXT PRIMARY KEY,
        object INTEGER NOT NULL REFERENCES objects (id) DEFERRABLE INITIALLY DEFERRED,
        ordinal INTEGER NOT NULL,
        name TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        media_type TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX blobs_by_object ON blobs (object, ordinal);

    CREATE TABLE holds (
        id TEXT PRIMARY KEY,
        object INTEGER NOT NULL REFERENCES objects (id) DEFERRABLE INITIALLY DEFERRED,
        reason TEXT NOT NULL,
        placed_at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX holds_by_object ON holds (object);

    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant INTEGER NOT NULL,
        owner TEXT NOT NULL,
        activity TEXT NOT NULL,
        kind TEXT NOT NULL,
        object_id TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        caller TEXT NOT NULL,
        decision TEXT,
        bytes_absent INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX events_by_owner ON events (tenant, owner);

    CREATE TABLE shreds (
        key TEXT PRIMARY KEY,
        not_before_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        last_error TEXT,
        claimed INTEGER NOT NULL DEFAULT 0,
        event INTEGER REFERENCES events (id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX shreds_by_time ON shreds (not_before_ms);

    CREATE TABLE decisions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        at_ms INTEGER NOT NULL,
        tenant INTEGER NOT NULL,
        subdomain TEXT NOT NULL,
        caller TEXT NOT NULL,
        kind TEXT NOT NULL,
        owner TEXT NOT NULL,
        object_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        media_type TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        labels TEXT NOT NULL,
        retain_until_ms INTEGER,
        held INTEGER NOT NULL,
        chain_revision INTEGER NOT NULL,
        reviews TEXT NOT NULL,
        verdict TEXT NOT NULL,
        erased INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX decisions_by_time ON decisions (tenant, at_ms);
";

/// `budgets` holds what was set for a tenant; `spending`, what the latest window of each budget has
/// had. An empty `caller` stands for all of the tenant together.
const BUDGETS: &str = "
    CREATE TABLE budgets (
        tenant INTEGER NOT NULL REFERENCES tenants (id),
        scope TEXT NOT NULL,
        span TEXT NOT NULL,
        deletes INTEGER NOT NULL,
        PRIMARY KEY (tenant, scope, span)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE spending (
        tenant INTEGER NOT NULL,
        caller TEXT NOT NULL,
        span TEXT NOT NULL,
        start_ms INTEGER NOT NULL,
        deletes INTEGER NOT NULL,
        PRIMARY KEY (tenant, caller, span)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX spending_by_time ON spending (start_ms);
";

/// Of an erasure, what it doomed is kept; of a refusal, the refusal.
const OUTCOMES: &str = "
    CREATE TABLE outcomes (
        id BLOB PRIMARY KEY,
        meaning BLOB NOT NULL,
        at_ms INTEGER NOT NULL,
        doomed TEXT,
        refused TEXT,
        CHECK ((doomed IS NULL) <> (refused IS NULL))
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX outcomes_by_time ON outcomes (at_ms);
";

/// A report is read whole, and found by its id.
const REPORTS: &str = "
    CREATE TABLE reports (
        id TEXT PRIMARY KEY,
        tenant INTEGER NOT NULL REFERENCES tenants (id),
        report TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Who changed a chain and why; what a component says of itself; chains that are tried beside others.
const HISTORY: &str = r#"
    ALTER TABLE components ADD COLUMN version TEXT;
    ALTER TABLE components ADD COLUMN summary TEXT;
    ALTER TABLE components ADD COLUMN settings_schema TEXT;
    ALTER TABLE components ADD COLUMN added_at_ms INTEGER NOT NULL DEFAULT 0;

    ALTER TABLE chains ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE chains ADD COLUMN origin TEXT NOT NULL DEFAULT '"assigned"';
    ALTER TABLE chains ADD COLUMN author TEXT NOT NULL DEFAULT '';
    ALTER TABLE chains ADD COLUMN why TEXT NOT NULL DEFAULT '';
    ALTER TABLE chains ADD COLUMN report TEXT;

    ALTER TABLE tenants ADD COLUMN replay_required INTEGER NOT NULL DEFAULT 0;

    CREATE TABLE shadows (
        tenant INTEGER PRIMARY KEY REFERENCES tenants (id),
        id TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        entries TEXT NOT NULL,
        limits TEXT NOT NULL,
        author TEXT NOT NULL,
        why TEXT NOT NULL,
        compared INTEGER NOT NULL DEFAULT 0,
        deny_to_allow INTEGER NOT NULL DEFAULT 0,
        allow_to_deny INTEGER NOT NULL DEFAULT 0,
        to_fault INTEGER NOT NULL DEFAULT 0,
        from_fault INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE differences (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant INTEGER NOT NULL,
        flip TEXT NOT NULL,
        decision TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        was TEXT NOT NULL,
        would TEXT NOT NULL,
        policy TEXT,
        why TEXT NOT NULL
    ) STRICT;
    CREATE INDEX differences_by_tenant ON differences (tenant, flip);
"#;

/// Whatever decisions are looked for by, they are found by time.
const DECISIONS: &str = "
    CREATE INDEX decisions_by_owner ON decisions (tenant, owner, at_ms);
    CREATE INDEX decisions_by_object ON decisions (tenant, object_id, at_ms);
    CREATE INDEX decisions_by_caller ON decisions (tenant, caller ->> '$.id', at_ms);
    CREATE INDEX decisions_by_verdict ON decisions (tenant, verdict, at_ms);
    CREATE INDEX decisions_by_revision ON decisions (tenant, chain_revision, at_ms);
";

/// Lists of objects are ranges of one index. What was tried in vain is found by its attempts; what goes
/// at the first try, as nearly all does, is not in that index.
const LISTS: &str = "
    DROP INDEX objects_by_age;
    CREATE INDEX objects_by_owner ON objects (tenant, kind, owner, created_at_ms, public_id);
    CREATE INDEX shreds_by_attempts ON shreds (attempts DESC, not_before_ms) WHERE attempts > 0;
";

/// What one caller can make grow is counted as it grows, so that a bound costs no more the nearer it
/// is: `outcome_counts` counts the outcomes that are kept for each caller, and `clients.tokens` the
/// tokens of each client. Outcomes of earlier versions have no caller and are not counted. The figures of
/// a shadow have a row of their own: to change one of them does not write its settings again.
const BOUNDS: &str = "
    CREATE TABLE shadow_counts (
        tenant INTEGER PRIMARY KEY REFERENCES shadows (tenant),
        compared INTEGER NOT NULL DEFAULT 0,
        passed_over INTEGER NOT NULL DEFAULT 0,
        deny_to_allow INTEGER NOT NULL DEFAULT 0,
        allow_to_deny INTEGER NOT NULL DEFAULT 0,
        to_fault INTEGER NOT NULL DEFAULT 0,
        from_fault INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO shadow_counts
        SELECT tenant, compared, 0, deny_to_allow, allow_to_deny, to_fault, from_fault FROM shadows;
    ALTER TABLE shadows DROP COLUMN compared;
    ALTER TABLE shadows DROP COLUMN deny_to_allow;
    ALTER TABLE shadows DROP COLUMN allow_to_deny;
    ALTER TABLE shadows DROP COLUMN to_fault;
    ALTER TABLE shadows DROP COLUMN from_fault;

    ALTER TABLE outcomes ADD COLUMN caller BLOB;
    CREATE INDEX outcomes_by_caller ON outcomes (caller, at_ms) WHERE caller IS NOT NULL;
    CREATE TABLE outcome_counts (
        caller BLOB PRIMARY KEY,
        kept INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    ALTER TABLE clients ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX tokens_by_client ON tokens (client, expires_at_ms);
    UPDATE clients SET tokens = (SELECT count(*) FROM tokens WHERE tokens.client = clients.id);
";

/// When the database was made, in milliseconds since the epoch: now, or when its first tenant was.
/// `instance` also names the volume of the bytes, once that has proved itself.
const MADE: &str = "
    INSERT INTO instance (name, value)
        SELECT 'made-at-ms', CAST(coalesce(
            min(created_at_ms),
            CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
        ) AS TEXT) FROM tenants;
";

/// Who works on a shred record, and until when others leave it alone: 0 as long as nobody has claimed it. What
/// an earlier version had claimed is in nobody's hands.
const OWNERS: &str = "
    ALTER TABLE shreds RENAME COLUMN claimed TO leased_until_ms;
    ALTER TABLE shreds ADD COLUMN owner BLOB;
    CREATE INDEX shreds_by_lease ON shreds (leased_until_ms) WHERE leased_until_ms > 1;
";

/// By which decision a request was answered that has a key.
const ANSWERED: &str = "
    ALTER TABLE outcomes ADD COLUMN decision TEXT;
";

/// Sets the file up for this version and brings its tables up to date.
pub(super) fn prepare(connection: &mut Connection) -> Sql<()> {
    // Before anything is changed: a newer file may want other settings.
    refuse_newer(version(connection)?)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(damaged("database file does not take a write-ahead log"));
    }
    durability::at_commit(connection)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    // Nothing is written where nothing is to be, so that a full disk keeps nobody out.
    if version(connection)? == known() {
        return Ok(());
    }
    // Another process may be migrating the same file: the version counts once the lock is held.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    refuse_newer(found)?;
    for migration in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known())?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn version(connection: &Connection) -> Sql<u32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

pub(super) fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

fn refuse_newer(found: u32) -> Sql<()> {
    match known() {
        known if found > known => Err(StoreError::Newer { found, known }.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use atropos::domain::{Claim, NewObject, Owner, Rendition};
    use atropos::ports::{PendingUploads as _, Removals as _, StoreError};
    use atropos::target::{BlobKey, Kind, Object, Target, TenantId};

    use super::*;
    use crate::sqlite::{FILE, Sqlite};

    /// A file as the version left it that knew so many migrations.
    fn left_by(known: usize) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let file = Connection::open(dir.path().join(FILE)).unwrap();
        for migration in &MIGRATIONS[..known] {
            file.execute_batch(migration).unwrap();
        }
        file.pragma_update(None, "user_version", known as u32)
            .unwrap();
        let tenant = "
            INSERT INTO tenants (id, subdomain, website_id, created_at_ms) VALUES (1, 'mytenant', 7, 1)";
        file.execute_batch(tenant).unwrap();
        dir
    }

    #[test]
    fn a_file_of_every_earlier_version_opens() {
        for known in 1..=MIGRATIONS.len() {
            let dir = left_by(known);
            let opened = Sqlite::open(dir.path()).unwrap();
            let version = opened.readers.read(version);
            assert_eq!(version.unwrap() as usize, MIGRATIONS.len(), "{known}");
        }
    }

    #[tokio::test]
    async fn what_an_earlier_version_had_claimed_is_free_and_no_upload_takes_it_back() {
        let dir = left_by(9);
        let [claimed, reserved] = [(); 2].map(|()| BlobKey::random());
        let file = Connection::open(dir.path().join(FILE)).unwrap();
        let insert = "INSERT INTO shreds (key, not_before_ms, claimed) VALUES (?, 5, ?)";
        for (key, is_claimed) in [(claimed, 1), (reserved, 0)] {
            file.execute(insert, (key.to_string(), is_claimed)).unwrap();
        }
        drop(file);
        let rows = Sqlite::open(dir.path()).unwrap();
        let target = Target {
            tenant: TenantId(1),
            kind: Kind::Document,
            owner: "7".to_owned(),
            id: "d1".to_owned(),
        };
        let upload = |key| NewObject {
            object: Object::new(target.clone(), 1, "text/plain"),
            name: "one".to_owned(),
            dimensions: None,
            renditions: vec![Rendition {
                name: "original".to_owned(),
                key,
                size_bytes: 1,
                media_type: "text/plain".to_owned(),
            }],
        };
        let refused = rows.insert(upload(claimed)).await;
        assert!(matches!(refused, Err(StoreError::Missing { .. })));
        rows.insert(upload(reserved)).await.unwrap();
        let claim = Claim {
            owner: Owner::random(),
            by_ms: 5,
            until_ms: 9,
            limit: 9,
        };
        let free = rows.claim(&claim).await.unwrap();
        assert_eq!(
            free.iter().map(|one| one.key).collect::<Vec<_>>(),
            [claimed]
        );
    }
}
