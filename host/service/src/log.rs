//! The log: lines on their way to stderr, which may take none.
//!
//! A server hands its lines to a thread and waits for nothing. What stderr does not take (its disk is full,
//! its reader is gone, or does not read) is lost and counted. A verb writes in place, as long as it takes.
//!
//! Of crates for this, tracing-appender counts no line that fails to be written, and its guard prints to
//! stdout when it cannot end, which has answers alone here.
//!
//! **Invariant:** no line that is lost makes anything else fail, or wait.
//! **Invariant:** what waits has at most [`WAITING_BYTES`].

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use atropos::parts::{Part, Watched};
use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// What waits to be written has so much at most, and what is being written as much again.
pub const WAITING_BYTES: usize = 4 << 20;

/// How much memory is kept for what will be written next.
const KEPT_BYTES: usize = 64 << 10;

/// How long a server waits before it listens, and at its end, until what it said is written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long the thread rests after it has written, so that under load it wakes for many lines at once.
const REST: Duration = Duration::from_millis(5);

/// How often a stderr is tried that would have the writer wait.
const PAUSE: Duration = Duration::from_millis(10);

/// The log of this process, once it has one.
static LOG: OnceLock<Log> = OnceLock::new();

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    /// Apart from std's, whose lock is held for as long as a write takes.
    stderr: Mutex<Stderr>,
    /// How many lines were lost.
    lost: AtomicU64,
    /// What waits for the thread, if there is one.
    waiting: Option<Waiting>,
}

struct Waiting {
    part: Arc<Watched>,
    lines: Mutex<Lines>,
    came: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    /// Whether some that were taken are still being written.
    under_way: bool,
}

/// Starts the log of this process: of a server, with a thread that writes it.
///
/// # Errors
/// There is one already, no stderr, or no thread.
pub fn start(serves: bool) -> io::Result<Log> {
    let waiting = serves.then(|| Waiting {
        part: Arc::new(Watched::new(Part::Log)),
        lines: Mutex::default(),
        came: Condvar::new(),
        written: Condvar::new(),
    });
    let log = Log(Arc::new(Shared {
        stderr: Mutex::new(Stderr::new(
            io::stderr().as_fd().try_clone_to_owned()?.into(),
        )),
        lost: AtomicU64::new(0),
        waiting,
    }));
    if serves {
        let (shared, written) = (Arc::clone(&log.0), Arc::clone(&log.0));
        let run = move || {
            if let Some(waiting) = &written.waiting {
                waiting
                    .part
                    .keep_thread(|| shared.write_what_waits(waiting));
            }
        };
        let named = thread::Builder::new().name("atropos-log".to_owned());
        named.spawn(run)?;
    }
    match LOG.set(log.clone()) {
        Ok(()) => Ok(log),
        Err(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

/// How many lines of the log of this process were lost.
pub fn lost() -> u64 {
    LOG.get()
        .map_or(0, |log| log.0.lost.load(Ordering::Relaxed))
}

/// Says something to people on stderr, in line with the log.
pub fn say(text: &str) {
    match LOG.get() {
        Some(log) => log.0.take(text.as_bytes()),
        // Nobody can be told that stderr is closed.
        None => drop(io::stderr().lock().write_all(text.as_bytes())),
    }
}

/// The thread that writes the log, if there is one.
pub(crate) fn part() -> Option<Arc<Watched>> {
    let waiting = LOG.get()?.0.waiting.as_ref()?;
    Some(Arc::clone(&waiting.part))
}

/// Waits, but not for ever, until all is written that was said.
pub fn catch_up() {
    if let Some(log) = LOG.get() {
        log.0.catch_up();
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Takes what is written at once as one line.
pub struct Line<'a>(&'a Log);

impl Write for Line<'_> {
    /// Never fails: who writes the log of a failure would fail again.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.0.take(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn catch_up(&self) {
        let Some(waiting) = &self.waiting else {
            return;
        };
        let until = Instant::now() + LAST_WORDS;
        let mut lines = waiting.lines.lock();
        while lines.under_way || !lines.text.is_empty() {
            if waiting.written.wait_until(&mut lines, until).timed_out() {
                return;
            }
        }
    }

    fn take(&self, text: &[u8]) {
        let Some(waiting) = &self.waiting else {
            return self.count(self.stderr.lock().write(text));
        };
        let mut lines = waiting.lines.lock();
        if lines.text.len().saturating_add(text.len()) > WAITING_BYTES {
            drop(lines);
            return self.count(newlines(text));
        }
        lines.text.extend_from_slice(text);
        drop(lines);
        waiting.came.notify_one();
    }

    fn write_what_waits(&self, waiting: &Waiting) {
        let (mut text, mut told) = (Vec::new(), 0);
        loop {
            let mut lines = waiting.lines.lock();
            // After a panic, what was under way is lost.
            lines.under_way = false;
            waiting.written.notify_all();
            while lines.text.is_empty() {
                waiting.came.wait(&mut lines);
            }
            std::mem::swap(&mut text, &mut lines.text);
            lines.under_way = true;
            drop(lines);
            let taken = Taken(self, newlines(&text));
            waiting.part.enter();
            let lost = self.stderr.lock().write(&text);
            taken.end_with(lost);
            text.clear();
            // What one flood took is not kept.
            text.shrink_to(KEPT_BYTES);
            waiting.part.completed();
            let so_far = self.lost.load(Ordering::Relaxed);
            if lost == 0 && so_far > told {
                told = so_far;
                tracing::warn!(so_far, "lines of this log were lost");
            }
            thread::sleep(REST);
        }
    }

    fn count(&self, lost: u64) {
        self.lost.fetch_add(lost, Ordering::Relaxed);
    }
}

/// So many lines, lost unless something else is said.
struct Taken<'a>(&'a Shared, u64);

impl Taken<'_> {
    fn end_with(mut self, lost: u64) {
        self.1 = lost;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.count(self.1);
    }
}

/// Where lines are written to.
struct Stderr {
    file: File,
    /// Whether what was written last is a part of a line.
    torn: bool,
}

impl Stderr {
    fn new(file: File) -> Self {
        Self { file, torn: false }
    }

    /// Writes lines, and returns how many of them are lost.
    fn write(&mut self, text: &[u8]) -> u64 {
        if self.torn {
            match self.file.write(b"\n") {
                Ok(1..) => self.torn = false,
                Ok(0) | Err(_) => return newlines(text),
            }
        }
        let mut left = text;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(written @ 1..) => left = left.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever started this program has made it so.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Ok(0) | Err(_) => {
                    let written = text.len() - left.len();
                    let before = written.checked_sub(1).and_then(|last| text.get(last));
                    self.torn = before.is_some_and(|byte| *byte != b'\n');
                    return newlines(left);
                }
            }
        }
        0
    }
}

/// How many lines end in a text.
fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(path: &str) -> Shared {
        let file = File::options().write(true).open(path).unwrap();
        Shared {
            stderr: Mutex::new(Stderr::new(file)),
            lost: AtomicU64::new(0),
            waiting: Some(Waiting {
                part: Arc::new(Watched::new(Part::Log)),
                lines: Mutex::default(),
                came: Condvar::new(),
                written: Condvar::new(),
            }),
        }
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted_line_by_line() {
        let mut full = Stderr::new(File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(full.write(b"one\ntwo\n"), 2);
        assert!(!full.torn, "nothing of it was written");
        full.torn = true;
        assert_eq!(full.write(b"three\n"), 1);
        assert!(full.torn, "the line before has not ended yet");
    }

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_lost() {
        let shared = shared("/dev/null");
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let fit = WAITING_BYTES / line.len();
        for _ in 0..fit + 7 {
            shared.take(&line);
        }
        assert_eq!(shared.lost.load(Ordering::Relaxed), 7);
        let waiting = shared.waiting.as_ref().unwrap();
        assert_eq!(waiting.lines.lock().text.len(), WAITING_BYTES);
    }
}
