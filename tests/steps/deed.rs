//! What callers ask for, what they are told, and what is left.

use atropos::target::Kind;
use reqwest::blocking::RequestBuilder;

use super::ground::{self, KEEPER_WEBSITE, Left, OBJECTS, Plot, picture};
use crate::support::asking::{Answer, ask};
use crate::support::site::keys;
use crate::support::{PHOTO_USER, SITE_KEY, Server};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Nothing; the server starts.
    Start,
    Delete(Kind),
    /// A delete of a photo with an idempotency key.
    Once,
    /// A delete that a policy denies.
    Denied,
    /// The same with an idempotency key.
    DeniedOnce,
    Upload,
    Read,
    /// A list that may be long.
    List,
}

/// What a caller is told: what is in the answer, the word for it, and what it means.
pub(super) const TOLD: [(&str, &str, &str); 8] = [
    ("", "done", "success"),
    ("Invalid Photo Id", "not found", "there is no such object"),
    ("no such document", "not found", "there is no such object"),
    ("Denied by policy", "denied", "a policy denies it"),
    (
        "Try again later",
        "unavailable",
        "503: the storage failed; try again",
    ),
    (
        "service is not available",
        "unavailable",
        "503: the storage failed; try again",
    ),
    (
        "storage is not available",
        "unavailable",
        "503: the storage failed; try again",
    ),
    (
        "bytes are not deleted yet",
        "pending",
        "503: the row is gone, the bytes are about to go",
    ),
];

pub(super) fn word(answer: &Answer) -> &'static str {
    let Some((status, body)) = answer else {
        return "cut off";
    };
    if *status == 200 {
        return "done";
    }
    let known = TOLD.iter().skip(1).find(|(part, ..)| body.contains(part));
    known
        .unwrap_or_else(|| panic!("unexplained: {status} {body}"))
        .1
}

impl Deed {
    /// Deeds of one surface pass their first steps alike; each step is made to go wrong in the first of
    /// them that passes it.
    pub(super) fn surface(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Delete(_) | Self::Once | Self::Denied | Self::DeniedOnce => "delete",
            Self::Upload => "upload",
            Self::Read => "download",
            Self::List => "list",
        }
    }

    /// Asks for it, for the first or second time.
    pub(super) fn ask(self, server: &Server, time: usize) -> Answer {
        let id = OBJECTS[time];
        match self {
            Self::Start => Some((200, String::new())),
            Self::Delete(kind) => ask(server.deletion(kind, id)),
            Self::Once => ask(server.deletion(Kind::Photo, id).header(IDEMPOTENCY_KEY, id)),
            Self::Denied => ask(denied(server, id)),
            Self::DeniedOnce => ask(denied(server, id).header(IDEMPOTENCY_KEY, id)),
            Self::Upload => ask(server.upload(Kind::Photo, "new.png", &picture())),
            Self::List => {
                let list = format!("GetUserUploadedList?userId={PHOTO_USER}&pageSize=1000");
                ask(server.photo_request(&list))
            }
            Self::Read => {
                let url = ground::address(server.data_dir(), id);
                let response = server.bytes(&url).send().ok()?;
                let status = response.status().as_u16();
                let bytes = response.bytes().ok()?;
                assert!(status != 200 || *bytes == *picture(), "other bytes");
                Some((status, String::from_utf8_lossy(&bytes).into_owned()))
            }
        }
    }

    /// Whether nothing of what was asked for is under way any more; so many times it was.
    pub(super) fn settled(self, plot: &Plot, times: usize) -> bool {
        let decided = || plot.count("SELECT count(*) FROM decisions") >= times as i64;
        match self {
            Self::Delete(_) | Self::Once => {
                decided() && keys(&plot.data_dir(), "shreds").is_empty()
            }
            Self::Denied | Self::DeniedOnce => decided(),
            Self::Start => keys(&plot.data_dir(), "shreds").is_empty(),
            Self::Upload | Self::Read | Self::List => true,
        }
    }

    /// What is left of what was asked for.
    pub(super) fn left(self, plot: &Plot, time: usize) -> &'static str {
        let delete = |kind| match plot.left(kind, OBJECTS[time]) {
            Left::Intact => "intact",
            Left::Gone => "gone",
        };
        match self {
            Self::Delete(kind) => delete(kind),
            Self::Start
            | Self::Read
            | Self::List
            | Self::Once
            | Self::Denied
            | Self::DeniedOnce => delete(Kind::Photo),
            Self::Upload => {
                let photos = "SELECT count(*) FROM objects WHERE tenant = 1 AND kind = 'photo'";
                match plot.count(photos) - OBJECTS.len() as i64 > time as i64 {
                    true => "whole",
                    false => "nothing",
                }
            }
        }
    }

    /// What a repetition must be told; one with a key, what the first was told or should have been.
    pub(super) fn truth(self, left: &str) -> &'static str {
        match (self, left) {
            (Self::Denied | Self::DeniedOnce, _) => "denied",
            (Self::Delete(_) | Self::Start, "gone") => "not found",
            _ => "done",
        }
    }

    /// What is asked again to see that the truth is told.
    pub(super) fn again(self) -> Self {
        match self {
            Self::Start => Self::Delete(Kind::Photo),
            other => other,
        }
    }
}

/// A delete that the second tenant's policy denies.
fn denied(server: &Server, id: &str) -> RequestBuilder {
    let path = format!("DeleteUserPhoto?userId={PHOTO_USER}&photoId={id}");
    let url = server.url(&format!("/api/4/UploadImage/{path}"));
    let request = server.http.get(url).header("websiteId", KEEPER_WEBSITE);
    request.header("webApiClientKey", SITE_KEY)
}
