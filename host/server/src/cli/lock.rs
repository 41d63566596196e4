//! One server per data directory: whoever holds the lock on `server.lock` is it.
//!
//! The lock is the operating system's, so a server that was killed leaves none behind. Whoever can open
//! the file can hold the lock: it is for its owner alone.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use atropos_stores::local::place;
use atropos_stores::private;

use super::Failure;

/// Whoever only looks whether there is a server holds the lock for an instant; a server that starts
/// just then tries so often, with such a pause.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// The right to serve a data directory, until it is dropped.
#[derive(Debug)]
pub(crate) struct ServerLock {
    _held: File,
}

impl ServerLock {
    /// Takes the lock and writes this process's id into its file, for whoever comes second.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Failure> {
        let path = data_dir.join("server.lock");
        let failed = |source| Failure::Io {
            what: format!("cannot lock {}", path.display()),
            source,
        };
        place::make_folder(data_dir).map_err(failed)?;
        let file = private::file().read(true).truncate(false).open(&path);
        let mut file = file.map_err(failed)?;
        // Before it is tried: whoever could open one of an earlier version could keep servers out.
        private::narrow_file(&file);
        let mut locked = file.try_lock();
        for _ in 1..TRIES {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            sleep(PAUSE);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::ServerRunning {
                    path: data_dir.to_owned(),
                    process: process_in(&mut file).unwrap_or_else(|_| "unknown".to_owned()),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_process(&mut file).map_err(failed)?;
        Ok(Self { _held: file })
    }

    /// The process id of the server in a data directory, if there is one.
    pub(crate) fn holder(data_dir: &Path) -> io::Result<Option<String>> {
        let mut file = match File::open(data_dir.join("server.lock")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => process_in(&mut file).map(Some),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn process_in(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text)?;
    Ok(match text.trim() {
        // Between taking the lock and writing the id.
        "" => "unknown".to_owned(),
        id => id.to_owned(),
    })
}

fn write_process(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::cli::Exit;

    #[test]
    fn a_second_server_is_refused_and_told_who_was_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = ServerLock::take(dir.path()).unwrap();
        let failure = ServerLock::take(dir.path()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Unavailable);
        let process = std::process::id().to_string();
        assert!(failure.to_string().contains(&process), "{failure}");
        drop(first);
        assert!(ServerLock::take(dir.path()).is_ok());
    }

    #[test]
    fn a_lock_file_left_behind_locks_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("server.lock"), "999999999\n").unwrap();
        assert!(ServerLock::take(dir.path()).is_ok());
    }

    #[test]
    fn a_lock_file_that_anybody_may_open_is_closed_to_others_even_while_it_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.lock");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let stranger = File::open(&path).unwrap();
        stranger.try_lock_shared().unwrap();
        assert!(ServerLock::take(dir.path()).is_err());
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
