//! Multipart forms: a few small fields, and one file that is streamed.
//!
//! The file may come before a field. Its bytes are then to be read before it is known whose they are.
//!
//! **Invariant:** what is in memory at a time is the fields and a few chunks.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use futures_util::{Stream, TryStreamExt};
use multer::{Field, Multipart};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::wire;

/// What part headers, boundaries and small fields may take beside the file.
const OVERHEAD_BYTES: u64 = 256 << 10;
/// The most bytes that the name of a file keeps.
const NAME_BYTES: usize = 255;

/// Which parts a form has.
pub(super) struct Shape<const N: usize> {
    /// The part that is a file.
    pub(super) file: &'static str,
    /// The others.
    pub(super) fields: [&'static str; N],
    /// The most that the file may have.
    pub(super) file_bytes: u64,
    /// The most that it may have if it comes before a field.
    pub(super) file_first_bytes: u64,
}

/// A form that is being read: the fields before its file, the file, the fields behind it.
pub(super) struct Form<const N: usize> {
    /// What is known of the fields, in the order of the shape.
    pub(super) values: [Option<String>; N],
    shape: Shape<N>,
    parts: Multipart<'static>,
    allowance: Arc<AtomicU64>,
    file_first: bool,
}

/// A file in a form.
pub(super) struct FilePart {
    /// Its name without a path.
    pub(super) name: String,
    /// How many bytes it may have, where it is in the form.
    pub(super) at_most: u64,
    /// Its bytes.
    pub(super) content: Box<dyn AsyncRead + Send + Unpin>,
}

/// Why a form is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormError {
    /// Not a multipart form, or broken off.
    Malformed,
    /// A field, by its place in the shape, is there with two values, too long, or not text.
    Field(usize),
}

impl<const N: usize> Form<N> {
    /// Begins to read a form. `values` are what is known of the fields from elsewhere.
    ///
    /// # Errors
    /// It is no multipart form.
    pub(super) fn open(
        headers: &HeaderMap,
        body: Body,
        shape: Shape<N>,
        values: [Option<String>; N],
    ) -> Result<Self, FormError> {
        let content_type = wire::header(headers, CONTENT_TYPE.as_str());
        let content_type = content_type.ok().flatten().ok_or(FormError::Malformed)?;
        let boundary = multer::parse_boundary(content_type).map_err(|_| FormError::Malformed)?;
        let allowance = Arc::new(AtomicU64::new(OVERHEAD_BYTES));
        let parts = Multipart::new(Paced::new(body, Arc::clone(&allowance)), boundary);
        Ok(Self {
            values,
            shape,
            parts,
            allowance,
            file_first: false,
        })
    }

    /// Reads the fields up to the file; `None` if there is no file, and then all fields are read.
    ///
    /// # Errors
    /// A field is refused, or the form breaks off.
    pub(super) async fn file(&mut self) -> Result<Option<FilePart>, FormError> {
        while let Some(part) = self.next().await? {
            if part.name() != Some(self.shape.file) {
                self.field(part).await?;
            } else if let Some(name) = part.file_name().and_then(base_name) {
                self.file_first = self.values.iter().any(Option::is_none);
                let at_most = match self.file_first {
                    true => self.shape.file_first_bytes.min(self.shape.file_bytes),
                    false => self.shape.file_bytes,
                };
                self.allowance.fetch_add(at_most, Ordering::Relaxed);
                let content = StreamReader::new(part.map_err(std::io::Error::other));
                return Ok(Some(FilePart {
                    name,
                    at_most,
                    content: Box::new(content),
                }));
            }
        }
        Ok(None)
    }

    /// Whether the file came before a field.
    pub(super) fn is_file_first(&self) -> bool {
        self.file_first
    }

    /// All fields. Those behind the file are read if one was missing before it; the file has to be
    /// read and dropped by then.
    ///
    /// # Errors
    /// A field is refused, or the form breaks off.
    pub(super) async fn finish(mut self) -> Result<[Option<String>; N], FormError> {
        while self.file_first
            && let Some(part) = self.next().await?
        {
            self.field(part).await?;
        }
        Ok(self.values)
    }

    async fn next(&mut self) -> Result<Option<Field<'static>>, FormError> {
        let part = self.parts.next_field().await;
        part.map_err(|_| FormError::Malformed)
    }

    /// Takes a part, if it is one of the fields.
    async fn field(&mut self, part: Field<'static>) -> Result<(), FormError> {
        let Some((place, value)) = place_of(&self.shape, &mut self.values, part.name()) else {
            return Ok(());
        };
        let text = hold(part, wire::MAX_BYTES).await?;
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or(FormError::Field(place))?;
        if value.as_ref().is_some_and(|value| *value != text) {
            return Err(FormError::Field(place));
        }
        *value = Some(text);
        Ok(())
    }
}

/// The place of the field of a name, and what is known of it.
fn place_of<'a, const N: usize>(
    shape: &Shape<N>,
    values: &'a mut [Option<String>; N],
    name: Option<&str>,
) -> Option<(usize, &'a mut Option<String>)> {
    let place = shape.fields.iter().position(|field| name == Some(field))?;
    values.get_mut(place).map(|value| (place, value))
}

/// All of a part; `None` if it has more bytes than `limit`.
async fn hold(mut part: Field<'_>, limit: usize) -> Result<Option<Vec<u8>>, FormError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(|_| FormError::Malformed)? {
        if bytes.len() + chunk.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// The last segment, however the client's system separates them, without control characters.
fn base_name(sent: &str) -> Option<String> {
    let last = sent.rsplit(['/', '\\']).next()?;
    let mut name: String = last.chars().filter(|char| !char.is_control()).collect();
    while name.len() > NAME_BYTES {
        name.pop();
    }
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A body that comes one chunk at a time and ends in an error past its allowance. The parser alone
/// would read ahead of a slow disk, and look for a boundary in as many bytes as there are.
struct Paced {
    chunks: axum::body::BodyDataStream,
    allowance: Arc<AtomicU64>,
    due: bool,
}

impl Paced {
    fn new(body: Body, allowance: Arc<AtomicU64>) -> Self {
        Self {
            chunks: body.into_data_stream(),
            allowance,
            due: true,
        }
    }
}

impl Stream for Paced {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !std::mem::replace(&mut self.due, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let chunk = ready!(Pin::new(&mut self.chunks).poll_next(cx));
        self.due = false;
        Poll::Ready(chunk.map(|chunk| {
            let chunk = chunk.map_err(std::io::Error::other)?;
            let left = self.allowance.load(Ordering::Relaxed);
            let left = left.checked_sub(chunk.len() as u64);
            let left = left.ok_or_else(|| std::io::Error::other("the form is too large"))?;
            self.allowance.store(left, Ordering::Relaxed);
            Ok(chunk)
        }))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const SHAPE: Shape<1> = Shape {
        file: "file",
        fields: ["user"],
        file_bytes: 1 << 20,
        file_first_bytes: 8,
    };
    const USER: &str = "Content-Disposition: form-data; name=\"user\"\r\n\r\n7";

    /// The user, and the file's name, the most that it may have, and its content.
    type Parsed = (Option<String>, Option<(String, u64, String)>);

    fn file(content: &str) -> String {
        let head = "Content-Disposition: form-data; name=\"file\"; filename=\"C:\\x\\a.pdf\"";
        format!("{head}\r\n\r\n{content}")
    }

    async fn parse(parts: &[&str]) -> Result<Parsed, FormError> {
        let mut body = String::new();
        for part in parts {
            body += &format!("--b\r\n{part}\r\n");
        }
        sent(body + "--b--\r\n").await
    }

    async fn sent(body: String) -> Result<Parsed, FormError> {
        let chunks: Vec<_> = body
            .as_bytes()
            .chunks(4096)
            .map(Bytes::copy_from_slice)
            .collect();
        streamed(futures_util::stream::iter(chunks)).await
    }

    async fn streamed(
        chunks: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Parsed, FormError> {
        use futures_util::StreamExt as _;
        let mut headers = HeaderMap::new();
        let content_type = HeaderValue::from_static("multipart/form-data; boundary=b");
        headers.insert(CONTENT_TYPE, content_type);
        let body = Body::from_stream(chunks.map(std::io::Result::Ok));
        let mut form = Form::open(&headers, body, SHAPE, [None])?;
        let mut file = None;
        if let Some(mut part) = form.file().await? {
            let mut content = String::new();
            let read = part.content.read_to_string(&mut content).await;
            read.map_err(|_| FormError::Malformed)?;
            file = Some((part.name, part.at_most, content));
        }
        let [user] = form.finish().await?;
        Ok((user, file))
    }

    #[tokio::test]
    async fn a_file_may_come_before_its_fields_and_may_then_have_less() {
        let user = Some("7".to_owned());
        let named =
            |at_most, content: &str| Some(("a.pdf".to_owned(), at_most, content.to_owned()));
        let large = "x".repeat(500_000);
        let outcome = parse(&[&file("small"), USER]).await;
        assert_eq!(outcome, Ok((user.clone(), named(8, "small"))));
        let outcome = parse(&[USER, &file(&large)]).await;
        assert_eq!(outcome, Ok((user, named(1 << 20, &large))));
        // However little of it is read, no more comes than the shape allows to fields beside it.
        let outcome = parse(&[&file(&large), USER]).await;
        assert_eq!(outcome, Err(FormError::Malformed));
    }

    #[tokio::test]
    async fn a_field_behind_the_file_may_not_contradict_another() {
        let other = USER.replace('7', "8");
        let outcome = parse(&[&file("x"), USER, &other]).await;
        assert_eq!(outcome, Err(FormError::Field(0)));
        // What follows when all is known is not read.
        let outcome = parse(&[USER, &file("x"), &other]).await;
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_field_with_two_values_is_refused() {
        let other = USER.replace('7', "8");
        let outcome = parse(&[USER, &other, &file("x")]).await;
        assert_eq!(outcome, Err(FormError::Field(0)));
    }

    #[tokio::test]
    async fn a_body_without_a_boundary_is_not_read_for_ever() {
        let endless = futures_util::stream::repeat(Bytes::from_static(&[b'x'; 4096]));
        let outcome = streamed(endless).await;
        assert_eq!(outcome, Err(FormError::Malformed));
    }

    #[tokio::test]
    async fn a_file_that_breaks_off_is_not_taken_for_whole() {
        let outcome = sent(format!("--b\r\n{USER}\r\n--b\r\n{}", file("half"))).await;
        assert_eq!(outcome, Err(FormError::Malformed));
    }

    #[test]
    fn a_file_name_keeps_its_last_segment_only() {
        let name = |sent| base_name(sent);
        assert_eq!(name("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(name("a\r\nb.txt").as_deref(), Some("ab.txt"));
        assert_eq!(name("x/").as_deref(), None);
        assert_eq!(name(&"é".repeat(200)).unwrap().len(), 254);
    }
}
