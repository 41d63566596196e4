//! How a database file is opened.

use std::path::Path;
use std::time::Duration;

use atropos::ports::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::Sql;
use crate::private;

/// How long a write waits for another process that is writing.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How a database is opened that must be there.
const OPEN: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Opens a database that is there.
pub(super) fn connect(path: &Path) -> Sql<Connection> {
    set_up(Connection::open_with_flags(path, OPEN)?)
}

/// Opens a database, which is made if it is not there.
pub(super) fn create(path: &Path) -> Sql<Connection> {
    // SQLite would make it for all who may read by the umask; what it makes beside it has its mode.
    let made = private::file().truncate(false).open(path);
    made.map_err(StoreError::of_file)?;
    connect(path)
}

fn set_up(connection: Connection) -> Sql<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Plans do not go by the values that are bound: else some statements would be compiled anew each
    // time, which took a sixth of what the server computes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Temporary tables and sorters would otherwise spill rows to files that nobody overwrites.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Opens a database file without a look at what lies beside it.
pub(super) fn immutable(file: &Path) -> Sql<Connection> {
    let mut name = String::from("file:");
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => name.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(*byte)),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(name, flags)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}
