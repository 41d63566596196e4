//! Multipart forms, in chunks of any size. Whether a body is taken, and what of it, does not depend
//! on how it is cut, and a well-formed one delivers what was sent.
//!
//! The input begins with four bytes: `r` for a body as it is or another for one put together of
//! parts, how much of a file is held, and two sizes of chunks that take turns.

#![no_main]

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use atropos_server::http::fuzzing::{Form, MAX_BYTES, form};
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

#[derive(Arbitrary, Debug)]
enum Part {
    User(Vec<u8>),
    File(Name, Vec<u8>),
    NoFile(Vec<u8>),
    Other(Vec<u8>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Name {
    Plain,
    Path,
    Windows,
    Empty,
}

impl Name {
    fn sent(self) -> &'static str {
        match self {
            Self::Plain => "a.pdf",
            Self::Path => "../../etc/a.pdf",
            Self::Windows => "C:\\x\\a.pdf",
            Self::Empty => "../",
        }
    }
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|input: &[u8]| {
    let [kind, held_bytes, size, other_size, rest @ ..] = input else {
        return;
    };
    let mut parts = None;
    let body = if *kind == b'r' {
        rest.to_vec()
    } else {
        let made = Vec::<Part>::arbitrary_take_rest(Unstructured::new(rest));
        encode(parts.insert(made.unwrap_or_default()))
    };
    let held_bytes = u64::from(*held_bytes);
    let whole = read(vec![Bytes::copy_from_slice(&body)], held_bytes);
    let pieces = cut(&body, [*size, *other_size]);
    match (&whole, read(pieces, held_bytes)) {
        // Of several things that are wrong, the first to be seen is told: a file that breaks off and
        // that is too large for its place is one or the other, as the chunks come.
        (Form::Refused(_), Form::Refused(_)) => {}
        (whole, cut) => assert_eq!(*whole, cut, "it matters how it is cut"),
    }
    if let Form::Read(_, Some((name, _))) = &whole {
        is_a_name(name);
    }
    if let Some(parts) = parts {
        delivers(&parts, &whole, held_bytes);
    }
});

fn read(chunks: Vec<Bytes>, held_bytes: u64) -> Form {
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::from_static("multipart/form-data; boundary=b");
    headers.insert("content-type", content_type);
    RUNTIME.block_on(form(&headers, chunks, held_bytes))
}

fn cut(mut body: &[u8], sizes: [u8; 2]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if body.is_empty() {
            break;
        }
        let (chunk, rest) = body.split_at(usize::from(*size).clamp(1, body.len()));
        chunks.push(Bytes::copy_from_slice(chunk));
        body = rest;
    }
    chunks
}

fn encode(parts: &[Part]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        let (head, content) = match part {
            Part::User(content) => ("name=\"user\"".to_owned(), content),
            Part::File(name, content) => (
                format!("name=\"file\"; filename=\"{}\"", name.sent()),
                content,
            ),
            Part::NoFile(content) => ("name=\"file\"".to_owned(), content),
            Part::Other(content) => ("name=\"other\"".to_owned(), content),
        };
        let head = format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    body
}

fn is_a_name(name: &str) {
    assert!((1..=255).contains(&name.len()), "{name:?}");
    assert!(!name.contains(['/', '\\']), "{name:?}");
    assert!(!name.contains(char::is_control), "{name:?}");
}

/// What the documentation of the form says, for parts that do not hold the boundary themselves.
fn delivers(parts: &[Part], outcome: &Form, held_bytes: u64) {
    let has_boundary = |content: &[u8]| content.windows(3).any(|three| three == b"--b");
    let mut user: Option<String> = None;
    let mut file: Option<&Vec<u8>> = None;
    for part in parts {
        let (Part::User(content)
        | Part::File(_, content)
        | Part::NoFile(content)
        | Part::Other(content)) = part;
        if has_boundary(content) {
            return;
        }
    }
    for part in parts {
        match part {
            Part::User(content) => {
                let text = String::from_utf8(content.clone()).ok();
                let text = text.filter(|text| text.len() <= MAX_BYTES);
                let same = |text: &String| user.as_ref().is_none_or(|user| user == text);
                let Some(text) = text.filter(same) else {
                    return assert_eq!(*outcome, Form::Refused("field"));
                };
                user = Some(text);
            }
            Part::File(name, content) if file.is_none() && !matches!(name, Name::Empty) => {
                if user.is_none() && content.len() as u64 > held_bytes {
                    return assert_eq!(*outcome, Form::Refused("file-first"));
                }
                file = Some(content);
                if user.is_some() {
                    break;
                }
            }
            Part::File(..) | Part::NoFile(_) | Part::Other(_) => {}
        }
    }
    let file = file.map(|content| ("a.pdf".to_owned(), content.clone()));
    assert_eq!(*outcome, Form::Read(user, file));
}
