//! What people write by hand: a handler that deletes one row and one file. No gate, no event, no group:
//! each delete waits for a barrier of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use rusqlite::{Connection, params};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::stage::Stage;

const FILE: &str = "by-hand.db";
const TABLE: &str = "
    CREATE TABLE photos (user TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (user, id)) WITHOUT ROWID";

/// Puts the photos of a stage into a directory.
///
/// # Errors
/// The disk is full, or the like.
pub(crate) fn furnish(stage: Stage, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut rows = open(folder)?;
    rows.execute_batch(TABLE)?;
    let content = vec![b'x'; usize::try_from(stage.bytes)?];
    let transaction = rows.transaction()?;
    for nth in 0..stage.objects {
        let photo = stage.photo(nth);
        let insert = "INSERT INTO photos (user, id) VALUES (?, ?)";
        transaction.execute(insert, params![photo.user, photo.id])?;
        fs::write(folder.join(&photo.id), &content)?;
    }
    transaction.commit()?;
    rustix::fs::sync();
    Ok(())
}

fn open(folder: &Path) -> Result<Connection> {
    let rows = Connection::open(folder.join(FILE))?;
    rows.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    rows.pragma_update(None, "synchronous", "FULL")?;
    Ok(rows)
}

struct Photos {
    folder: PathBuf,
    rows: Mutex<Connection>,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "userId")]
    user: String,
    #[serde(rename = "photoId")]
    photo: String,
}

/// Serves deletes until it is dropped.
///
/// # Errors
/// The database does not open, or nothing can be accepted any more.
pub(crate) async fn serve(folder: &Path, listener: TcpListener) -> Result<()> {
    let photos = Arc::new(Photos {
        folder: folder.to_owned(),
        rows: Mutex::new(open(folder)?),
    });
    let path = "/api/4/UploadImage/DeleteUserPhoto";
    let routes = Router::new().route(path, get(delete)).with_state(photos);
    Ok(axum::serve(listener, routes).await?)
}

async fn delete(
    State(photos): State<Arc<Photos>>,
    Query(asked): Query<Asked>,
) -> Result<(), StatusCode> {
    let deleted = tokio::task::spawn_blocking(move || photos.delete(&asked)).await;
    match deleted {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(StatusCode::NOT_FOUND),
        _ => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

impl Photos {
    fn delete(&self, asked: &Asked) -> Result<bool> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delete = rows.prepare_cached("DELETE FROM photos WHERE user = ? AND id = ?")?;
        let gone = delete.execute(params![asked.user, asked.photo])? == 1;
        drop(delete);
        drop(rows);
        if gone {
            fs::remove_file(self.folder.join(&asked.photo))?;
        }
        Ok(gone)
    }
}
