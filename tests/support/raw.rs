//! Requests written by hand: half of one, one that breaks off, one that no library would send.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{DOCUMENT_USER, Server, TENANT};

const BOUNDARY: &str = "----a-boundary-of-no-file";

/// A connection on which the test decides about every byte.
pub(crate) struct Raw {
    stream: TcpStream,
    /// What came and was not asked for yet.
    said: Vec<u8>,
}

/// A request in two parts: its headers, which ask to be told when the body is wanted, and its body.
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Server {
    pub(crate) fn dial(&self) -> Raw {
        let address = self.base.trim_start_matches("http://");
        let stream = TcpStream::connect(address).expect("a connection");
        stream
            .set_read_timeout(Some(super::PATIENCE))
            .expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Raw {
            stream,
            said: Vec::new(),
        }
    }

    /// Whether anybody listens where this server does.
    pub(crate) fn listens(address: &str) -> bool {
        TcpStream::connect(address.trim_start_matches("http://")).is_ok()
    }

    /// The delete of a document.
    pub(crate) fn raw_delete(&self, guid: &str) -> Request {
        let body = serde_json::json!({
            "tenantSubDomain": TENANT, "userAccountId": DOCUMENT_USER, "fileGuid": guid,
        });
        let body = body.to_string().into_bytes();
        let path = "/api/library/documents/delete";
        let head = self.head(path, "application/json", body.len() as u64);
        Request { head, body }
    }

    /// The upload of a document up to its bytes, and what follows them.
    pub(crate) fn raw_upload(&self, name: &str, size: u64) -> (Request, String) {
        let field = |name: &str, value: &str| {
            let head = format!("Content-Disposition: form-data; name=\"{name}\"");
            format!("--{BOUNDARY}\r\n{head}\r\n\r\n{value}\r\n")
        };
        let mut body = field("tenantSubDomain", TENANT);
        body += &field("userAccountId", &DOCUMENT_USER.to_string());
        let file = format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"");
        body += &format!("--{BOUNDARY}\r\n{file}\r\n\r\n");
        let end = format!("\r\n--{BOUNDARY}--\r\n");
        let length = size + (body.len() + end.len()) as u64;
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let head = self.head(
            "/api/file/upload/admin-for-client/store",
            &media_type,
            length,
        );
        let body = body.into_bytes();
        (Request { head, body }, end)
    }

    fn head(&self, path: &str, media_type: &str, length: u64) -> String {
        let token = &self.token;
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: {media_type}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    }
}

impl Raw {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server reads");
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends the headers of a request and waits until the server wants its body.
    pub(crate) fn begin(&mut self, request: &Request) {
        self.send(&request.head);
        let mut said = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        self.stream
            .read_exact(&mut said)
            .expect("an interim answer");
        assert!(said.starts_with(b"HTTP/1.1 100"), "{said:?}");
    }

    /// The next answer on a connection that stays open: its status and body.
    pub(crate) fn next_answer(&mut self) -> (u16, String) {
        loop {
            if let Some(answer) = self.whole_answer() {
                return answer;
            }
            let mut buffer = [0; 4096];
            let read = self.stream.read(&mut buffer).expect("the server answers");
            let said = String::from_utf8_lossy(&self.said);
            assert!(read > 0, "the server hung up: {said}");
            self.said.extend_from_slice(&buffer[..read]);
        }
    }

    /// Reads the headers of an answer, and returns how long its body is.
    pub(crate) fn next_head(&mut self) -> usize {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read_exactly(1));
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        let length = length.expect("a length").parse();
        length.expect("a number")
    }

    pub(crate) fn read_exactly(&mut self, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        self.stream.read_exact(&mut read).expect("the server sends");
        read
    }

    /// Takes the first answer out of what came, once all of it has.
    fn whole_answer(&mut self) -> Option<(u16, String)> {
        let head = self.said.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&self.said[..head]).into_owned();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let end = head
            + length
                .expect("a length")
                .parse::<usize>()
                .expect("a number");
        let body = String::from_utf8_lossy(self.said.get(head..end)?).into_owned();
        self.said.drain(..end);
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        Some((status.expect("a status"), body))
    }

    /// Reads once, so many bytes at most; `None` when the server has hung up.
    pub(crate) fn read_some(&mut self, bytes: usize) -> Option<usize> {
        let mut buffer = vec![0; bytes];
        self.stream.read(&mut buffer).ok().filter(|read| *read > 0)
    }

    /// Whether the server has reset the connection, which shows though nothing is read.
    pub(crate) fn is_reset(&self) -> bool {
        let error = self.stream.take_error().expect("a socket");
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    }

    /// Sends nothing more: what was begun breaks off where it is.
    pub(crate) fn hang_up(self) -> Self {
        // The server may have been first.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        self
    }

    /// Everything that the server says until it hangs up, and the status among it.
    pub(crate) fn answer(mut self) -> (Option<u16>, String) {
        let mut bytes = Vec::new();
        // What came before a connection was reset is an answer as well.
        let _ = self.stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status, text)
    }
}
