//! What a machine can do to a server: small volumes, files that cannot be changed, other clocks.
//! Where a machine cannot, it is said loudly, and is an error where `ATROPOS_REQUIRE` names it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Says that something is missing, which must not be required.
pub(crate) fn missing(name: &str, why: &str) {
    let required = std::env::var("ATROPOS_REQUIRE").unwrap_or_default();
    let required = required.split([',', ' ']).any(|one| one == name);
    assert!(!required, "{name} is required: {why}");
    eprintln!("SKIPPED: {name}: {why}");
}

/// The command, run after these words of a shell, such as `ulimit -v 4194304` or `umask 022`.
pub(crate) fn after(words: &str, command: &Command) -> Command {
    let mut under = Command::new("sh");
    under.args(["-c", &format!("{words} && exec \"$@\""), "sh"]);
    under.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => under.env(name, value),
            None => under.env_remove(name),
        };
    }
    under
}

/// Whether a command succeeds.
fn done(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    output.is_ok_and(|output| output.status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A database gives back the room of its log within this, and so often nothing more came when it was looked.
const CHECKPOINT: Duration = Duration::from_millis(300);
const LOOKS: u32 = 3;

/// A small volume in memory, mounted for as long as this lives.
pub(crate) struct Volume(PathBuf);

impl Volume {
    /// Mounts a volume of this size, if the machine lets us (`mount`).
    pub(crate) fn mount(at: &Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a directory");
        let size = format!("size={mebibytes}m");
        if done("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text(at)]) {
            return Some(Self(at.to_owned()));
        }
        missing("mount", "volumes cannot be mounted here");
        None
    }

    /// Takes all room, also what a server gives back meanwhile, in a file that is to be removed.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut ballast = std::fs::File::create(&path).expect("a file");
        let mut looks_in_vain = 0;
        while looks_in_vain < LOOKS {
            looks_in_vain += 1;
            for size in [64 << 10, 4096, 1] {
                while ballast.write_all(&vec![0; size]).is_ok() {
                    looks_in_vain = 0;
                }
            }
            std::thread::sleep(CHECKPOINT);
        }
        path
    }

    /// Makes it read-only (`ro`) or writable again (`rw`).
    pub(crate) fn remount(&self, how: &str) {
        let how = format!("remount,{how}");
        assert!(done("mount", &["-o", &how, text(&self.0)]), "{how}");
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Also while a server is still about to end.
        done("umount", &["-l", text(&self.0)]);
    }
}

/// A file system in an image file. Of a copy of the image, taken while it is mounted, all is missing
/// that was not made durable: that is what a loss of power leaves.
pub(crate) struct Disk {
    image: PathBuf,
    at: PathBuf,
}

impl Disk {
    /// Makes one and mounts it, if the machine lets us (`loop`).
    pub(crate) fn make(image: &Path, at: &Path) -> Option<Self> {
        let file = std::fs::File::create(image).expect("a file");
        file.set_len(DISK_BYTES).expect("a file");
        if !done("mkfs.ext4", &[&DISK_FORMAT[..], &[text(image)]].concat()) {
            missing("loop", "file systems cannot be made here");
            return None;
        }
        std::fs::create_dir_all(at).expect("a directory");
        let disk = Self::mount(image, at);
        if disk.is_none() {
            missing("loop", "image files cannot be mounted here");
        }
        // It is no file of a data directory.
        std::fs::remove_dir(at.join("lost+found")).ok();
        disk
    }

    fn mount(image: &Path, at: &Path) -> Option<Self> {
        let mounted = done("mount", &["-o", DISK_OPTIONS, text(image), text(at)]);
        mounted.then(|| Self {
            image: image.to_owned(),
            at: at.to_owned(),
        })
    }

    /// Makes all that is on it durable.
    pub(crate) fn sync(&self) {
        assert!(done("sync", &["-f", text(&self.at)]), "sync");
    }

    /// Cuts the power of several, each of which is mounted in the one before or beside it, and mounts
    /// what is left in their places.
    pub(crate) fn cut(disks: Vec<Self>) -> Vec<Self> {
        let copies: Vec<_> = disks.iter().map(Self::copy).collect();
        let places: Vec<_> = disks.iter().map(|disk| disk.at.clone()).collect();
        disks.into_iter().rev().for_each(drop);
        let left = copies.into_iter().zip(places);
        let mount = |(image, at): (PathBuf, PathBuf)| Self::mount(&image, &at);
        let mounted = left.map(mount).collect::<Option<_>>();
        mounted.expect("what is left can be mounted")
    }

    fn copy(&self) -> PathBuf {
        let copy = self.image.with_extension("left");
        let copied = done("cp", &["--sparse=always", text(&self.image), text(&copy)]);
        assert!(copied, "the image can be copied");
        std::fs::remove_file(&self.image).expect("a file");
        std::fs::rename(&copy, &self.image).expect("a file");
        self.image.clone()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also while a server is still about to end.
        done("umount", &["-l", text(&self.at)]);
    }
}

/// How large a disk is; what nothing was written to takes no room. No transaction of its file system
/// ends for want of room in the journal.
const DISK_BYTES: u64 = 192 << 20;
const DISK_FORMAT: [&str; 4] = ["-q", "-F", "-J", "size=32"];

/// What a file system writes by itself only after so many seconds is never written in a test.
const DISK_OPTIONS: &str = "loop,commit=300";

/// Files that nobody can write, remove or rename, for as long as this lives.
pub(crate) struct Immutable(Vec<PathBuf>);

impl Immutable {
    /// Makes files immutable, if the machine lets us (`chattr`).
    pub(crate) fn make(files: &[PathBuf]) -> Option<Self> {
        let made = Self(files.to_vec());
        if files.iter().all(|file| done("chattr", &["+i", text(file)])) {
            return Some(made);
        }
        missing("chattr", "files cannot be made immutable here");
        None
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        for file in &self.0 {
            done("chattr", &["-i", text(file)]);
        }
    }
}

/// A clock that the test sets, for one server.
pub(crate) struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// A clock that is off by this much, such as `+1d`, if there is a library for it (`faketime`).
    pub(crate) fn off_by(folder: &Path, offset: &str) -> Option<Self> {
        let folders = std::fs::read_dir("/usr/lib").expect("a directory");
        let library = folders.flatten().find_map(|folder| {
            let library = folder.path().join("faketime/libfaketime.so.1");
            library.exists().then_some(library)
        });
        let Some(library) = library else {
            missing("faketime", "libfaketime is not installed");
            return None;
        };
        let file = folder.join("clock");
        let clock = Self { library, file };
        clock.set(offset);
        Some(clock)
    }

    /// Sets it while its server runs.
    pub(crate) fn set(&self, offset: &str) {
        // Whole at once: it is read at every look at the clock.
        let new = self.file.with_extension("new");
        std::fs::write(&new, offset).expect("a file");
        std::fs::rename(&new, &self.file).expect("a file");
    }

    /// What a server's environment must be for it to look at this clock.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", text(&self.library).to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.file).to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // How long something takes is nobody's to set.
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}
