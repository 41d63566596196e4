//! Compiled components on disk, so that none is compiled twice: not by a server that starts again, nor
//! by one beside the verb that assigned it.
//!
//! An image is native code and runs with all the rights of this process. Who may write the folder may
//! do anything here; so nobody but its owner may.
//!
//! **Invariant:** an image is mapped only if all its bytes are those that the compiler made of this very
//! component for this very engine: a digest over the three ends the file, and is checked first.
//! **Invariant:** a file that is damaged, cut short or of something else is removed and never a fault:
//! the component is compiled again.

use std::fs::File;
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::private;
use crate::target::Digest;

/// The end of an image's name.
const SUFFIX: &str = ".image";

/// How long the seal at the end of an image is.
const SEAL_BYTES: usize = 32;

/// What lies about for so long was left by a process that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The images in one folder. Cheap to clone.
#[derive(Clone)]
pub(super) struct Images {
    folder: Arc<Path>,
    most_bytes: u64,
    engine: Engine,
    /// Which settings and which version of the compiler an image must come from.
    made_by: Digest,
}

impl Images {
    /// Opens the folder, and makes it if need be, for its owner alone.
    pub(super) fn open(folder: &Path, most_bytes: u64, engine: &Engine) -> io::Result<Self> {
        private::make_folder(folder)?;
        Ok(Self {
            folder: folder.into(),
            most_bytes,
            made_by: compatibility(engine),
            engine: engine.clone(),
        })
    }

    /// Whether there is an image, good or not.
    pub(super) fn has(&self, component: Digest) -> bool {
        self.path(component).exists()
    }

    /// The component, if there is a good image of it.
    ///
    /// # Errors
    /// There is, and what it describes does not fit into the sandbox.
    pub(super) fn load(&self, component: Digest) -> wasmtime::Result<Option<Component>> {
        let path = self.path(component);
        let read = File::open(&path).and_then(|mut file| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok((file, bytes))
        });
        match read {
            Ok((file, bytes)) if self.is_good(&bytes, component) => {
                // Tells which were used last; without it some other goes first.
                let _ = file.set_modified(SystemTime::now());
                self.map(&file, &bytes).map(Some)
            }
            Ok(_) => {
                tracing::warn!(digest = %component, "a compiled image is damaged, and is made again");
                let _ = std::fs::remove_file(&path);
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                tracing::warn!(digest = %component, %error, "a compiled image cannot be read");
                Ok(None)
            }
        }
    }

    /// Keeps what the compiler made of a component, whole or not at all, and makes room for it.
    pub(super) fn keep(&self, component: Digest, image: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(image)?;
        file.write_all(&self.seal(component, image))?;
        // Not synced: what a power cut leaves of it is found out by its seal.
        file.persist(self.path(component))
            .map_err(|failed| failed.error)?;
        self.make_room()
    }

    /// Removes those that were loaded least lately, until the rest fits.
    fn make_room(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut kept = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            // Others make room too.
            let Ok(metadata) = std::fs::metadata(&entry) else {
                continue;
            };
            let used = metadata.modified()?;
            if name.to_string_lossy().ends_with(SUFFIX) {
                kept.push((used, metadata.len(), entry));
            } else if now.duration_since(used).is_ok_and(|age| age > ABANDONED) {
                let _ = std::fs::remove_file(entry);
            }
        }
        kept.sort();
        let mut bytes: u64 = kept.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in kept {
            if bytes <= self.most_bytes {
                break;
            }
            // Who has mapped it keeps it.
            if std::fs::remove_file(path).is_ok() {
                bytes -= size;
            }
        }
        Ok(())
    }

    fn path(&self, component: Digest) -> PathBuf {
        // What another version made is another file, and goes when nobody uses it any more.
        let made_by: String = self.made_by.to_string().chars().take(16).collect();
        self.folder.join(format!("{component}-{made_by}{SUFFIX}"))
    }

    /// Whether these are the bytes that [`Images::keep`] wrote for this component and this engine.
    fn is_good(&self, bytes: &[u8], component: Digest) -> bool {
        let split = bytes.split_last_chunk::<SEAL_BYTES>();
        split.is_some_and(|(image, seal)| *seal == self.seal(component, image))
    }

    fn seal(&self, component: Digest, image: &[u8]) -> [u8; SEAL_BYTES] {
        Digest::of_parts([&component.0[..], &self.made_by.0, image]).0
    }

    /// Maps a good file, so that its pages are read when they are needed and can be dropped when they
    /// are not; where it cannot be mapped to run, such as on a volume that forbids it, its bytes are
    /// copied.
    fn map(&self, file: &File, bytes: &[u8]) -> wasmtime::Result<Component> {
        // By its descriptor: under the name there may be another one by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: the bytes are those that the compiler made, held against their seal just now, and
        // nobody but the owner of the folder can change them: files are replaced, never written to.
        match unsafe { Component::deserialize_file(&self.engine, path) } {
            Ok(component) => Ok(component),
            Err(_) => copied(&self.engine, bytes),
        }
    }
}

/// A component from an image in memory. The bytes must be those that a compiler made.
pub(super) fn copied(engine: &Engine, image: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: both callers have the bytes from the compiler, one through a seal that holds them.
    unsafe { Component::deserialize(engine, image) }
}

/// Names the settings and the version of a compiler.
fn compatibility(engine: &Engine) -> Digest {
    /// Feeds what is hashed to a digest that is the same in every process.
    struct Feed(Sha256);

    impl Hasher for Feed {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        /// Not asked for: 64 bits are too few.
        fn finish(&self) -> u64 {
            0
        }
    }

    let mut feed = Feed(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut feed);
    Digest(feed.0.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;
    use crate::guest::{ALLOW_ALL, engine};

    struct Stage {
        images: Images,
        image: Vec<u8>,
        folder: tempfile::TempDir,
    }

    impl Stage {
        fn set(most_bytes: u64) -> Self {
            let engine = engine::compiler().unwrap();
            let folder = tempfile::tempdir().unwrap();
            Self {
                images: Images::open(&folder.path().join("images"), most_bytes, &engine).unwrap(),
                image: engine.precompile_component(ALLOW_ALL.1).unwrap(),
                folder,
            }
        }

        fn keep(&self, name: &str) -> Digest {
            let digest = Digest::of(name.as_bytes());
            self.images.keep(digest, &self.image).unwrap();
            digest
        }

        fn is_there(&self, digest: Digest) -> bool {
            self.images.path(digest).exists()
        }

        fn loads(&self, digest: Digest) -> bool {
            self.images.load(digest).unwrap().is_some()
        }

        /// Makes it a while ago that an image was last used.
        fn age(&self, digest: Digest, seconds: u64) {
            let file = File::open(self.images.path(digest)).unwrap();
            let then = SystemTime::now() - Duration::from_secs(seconds);
            file.set_modified(then).unwrap();
        }
    }

    #[test]
    fn the_folder_and_all_in_it_are_for_their_owner_alone() {
        let stage = Stage::set(u64::MAX);
        let image = stage.images.path(stage.keep("a"));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&stage.folder.path().join("images")), 0o700);
        assert_eq!(mode(&image), 0o600);
    }

    #[test]
    fn an_image_with_any_other_bytes_is_removed_and_never_mapped() {
        let stage = Stage::set(u64::MAX);
        let other = stage.images.path(stage.keep("other"));
        let other = std::fs::read(other).unwrap();
        let good = stage.images.path(stage.keep("good"));
        let good = std::fs::read(good).unwrap();
        let flipped = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        };
        let table = [
            ("first byte", flipped(0)),
            ("a byte of code", flipped(good.len() / 2)),
            ("last byte", flipped(good.len() - 1)),
            ("cut short", good[..good.len() - 1].to_vec()),
            ("longer", [&good[..], b"x"].concat()),
            ("empty", Vec::new()),
            ("of another component", other),
        ];
        for (what, bytes) in table {
            let digest = stage.keep("good");
            assert!(stage.loads(digest), "{what}");
            std::fs::write(stage.images.path(digest), bytes).unwrap();
            assert!(!stage.loads(digest), "{what}");
            assert!(!stage.is_there(digest), "{what}: it is still there");
        }
    }

    #[test]
    fn an_image_of_another_engine_is_another_file() {
        let stage = Stage::set(u64::MAX);
        let digest = stage.keep("a");
        let mut settings = wasmtime::Config::new();
        settings.consume_fuel(true);
        let engine = Engine::new(&settings).unwrap();
        let folder = stage.folder.path().join("images");
        let other = Images::open(&folder, u64::MAX, &engine).unwrap();
        assert!(other.load(digest).unwrap().is_none());
        assert!(stage.loads(digest), "it was taken for damaged");
    }

    #[test]
    fn those_that_were_loaded_least_lately_make_room() {
        let size = Stage::set(0).image.len() as u64 + SEAL_BYTES as u64;
        let stage = Stage::set(size * 3);
        let [a, b, c] = ["a", "b", "c"].map(|name| stage.keep(name));
        for (digest, seconds) in [(a, 30), (b, 20), (c, 10)] {
            stage.age(digest, seconds);
        }
        assert!(stage.loads(a), "it is used");
        let d = stage.keep("d");
        let left = [a, b, c, d].map(|digest| stage.is_there(digest));
        assert_eq!(left, [true, false, true, true]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_in_the_end() {
        let stage = Stage::set(u64::MAX);
        let left = stage.folder.path().join("images/.tmpleft");
        let lately = stage.folder.path().join("images/.tmplately");
        let then = SystemTime::now() - ABANDONED - Duration::from_secs(1);
        File::create(&left).unwrap().set_modified(then).unwrap();
        File::create(&lately).unwrap();
        stage.keep("a");
        assert!(!left.exists() && lately.exists());
    }
}
