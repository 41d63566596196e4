//! Writing what arrives to a file.

use std::fs::File;
use std::io::{self, Write as _};
use std::thread::available_parallelism;

use atropos::step::{self, Step};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// How much of a blob is in memory while it is written. A sender who is slow has it for as long as the
/// upload takes.
const BUFFER: usize = 64 << 10;

/// As many writes at once as there are cores: each takes a thread, and more of them would take the cores
/// from the threads that serve.
pub(super) struct Writes {
    turns: Semaphore,
}

impl Writes {
    pub(super) fn new() -> Self {
        Self {
            turns: Semaphore::new(available_parallelism().map_or(1, usize::from)),
        }
    }

    /// Writes all of `content` to the end of the file. Answers the file and how many bytes were written.
    ///
    /// # Errors
    /// `content` cannot be read, or the file cannot be written.
    pub(super) async fn write(
        &self,
        content: &mut (dyn AsyncRead + Send + Unpin),
        mut file: File,
    ) -> io::Result<(File, u64)> {
        let (mut size, mut buffer) = (0, Vec::with_capacity(BUFFER));
        loop {
            fill(content, &mut buffer).await?;
            if buffer.is_empty() {
                return Ok((file, size));
            }
            // Never closed; were it, there would be no turns.
            let turn = self.turns.acquire().await.ok();
            let write = move || file.write_all(&buffer).map(|()| (file, buffer));
            (file, buffer) = spawn_blocking(write).await??;
            drop(turn);
            size += buffer.len() as u64;
            step::pass(Step::PutWrite).await?;
            buffer.clear();
        }
    }
}

/// Reads until the buffer is full or there is no more. What comes in small pieces is written in few large
/// ones, since each write waits for a thread.
async fn fill(
    content: &mut (dyn AsyncRead + Send + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    while buffer.len() < BUFFER {
        if content.read_buf(buffer).await? == 0 {
            break;
        }
    }
    Ok(())
}
