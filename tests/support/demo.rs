//! The demo's two tenants, with credentials for both, and deletes that are answered alike.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{GUID, PHOTO, SITE_KEY, Server, TENANT, WEBSITE, patiently, verb};

/// One of the demo's objects.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) tenant: &'static str,
    /// `photo` or `document`.
    pub(crate) kind: &'static str,
    pub(crate) user: &'static str,
    pub(crate) id: String,
}

fn object(tenant: &'static str, kind: &'static str, user: &'static str, id: &str) -> Object {
    let id = id.to_owned();
    Object {
        tenant,
        kind,
        user,
        id,
    }
}

pub(crate) const OTHER_TENANT: &str = "acme";

pub(crate) fn sunset() -> Object {
    object(TENANT, "photo", "u-1001", PHOTO)
}

/// It bears the label `holiday`.
pub(crate) fn hills() -> Object {
    let id = "1c65bae3-9d20-4a7f-8b48-6e3d8f21c5b2";
    object(TENANT, "photo", "u-1001", id)
}

/// It bears the label `in-order`.
pub(crate) fn rings() -> Object {
    let id = "2d76cbf4-ae31-4b80-9c59-7f4e9032d6c3";
    object(TENANT, "photo", "u-1001", id)
}

pub(crate) fn contract() -> Object {
    object(TENANT, "document", "6", GUID)
}

/// It bears the label `payroll`.
pub(crate) fn payslip() -> Object {
    let id = "4f98ed16-c053-4da2-9e7b-9160b254f8e5";
    object(TENANT, "document", "6", id)
}

/// A photo of the other tenant.
pub(crate) fn other_photo() -> Object {
    let id = "72cb1049-f386-40d5-81ae-c493e587cb18";
    object(OTHER_TENANT, "photo", "u-2001", id)
}

/// A document of the other tenant.
pub(crate) fn other_document() -> Object {
    let id = "83dc215a-0497-41e6-92bf-d5a4f698dc29";
    object(OTHER_TENANT, "document", "8", id)
}

/// Status, code and message, whichever style they came in; of a success, the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) u16, pub(crate) String, pub(crate) String);

/// What a delete is answered with that happened.
pub(crate) fn deleted() -> Answer {
    Answer(200, String::new(), String::new())
}

/// What a delete is answered with that did not happen.
pub(crate) fn refused(status: u16, code: &str, message: &str) -> Answer {
    Answer(status, code.to_owned(), message.to_owned())
}

/// The demo, whose API client may do in both tenants what it likes.
pub(crate) struct Demo {
    pub(crate) server: Server,
    other_key: String,
    folder: TempDir,
}

impl Demo {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With this configuration, in TOML.
    pub(crate) fn start_with(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let config = folder.path().join("atropos.toml");
        std::fs::write(&config, patiently(settings)).expect("a configuration");
        let config = config.to_str().expect("a path in UTF-8");
        let data_dir = folder.path().join("data");
        let server = Server::start(&data_dir, &["--demo", "--config", config]);
        let issue = ["key", "issue", "--tenant", OTHER_TENANT];
        let issued = verb(server.data_dir(), &issue);
        let grant = ["client", "grant", "demo", "--tenant", OTHER_TENANT];
        let grant = [&grant[..], &["documents:read", "documents:write"]].concat();
        verb(server.data_dir(), &grant);
        let other_key = issued["secret"].as_str().expect("a key").to_owned();
        Self {
            server,
            other_key,
            folder,
        }
    }

    /// Has the server stop and start again with this configuration.
    pub(crate) fn restart(&mut self, settings: &str) {
        self.server.signal("TERM");
        while !self.server.ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let config = self.folder.path().join("atropos.toml");
        std::fs::write(&config, patiently(settings)).expect("a configuration");
        let config = config.to_str().expect("a path in UTF-8");
        let data_dir = self.server.data_dir().to_owned();
        self.server = Server::start(&data_dir, &["--demo", "--config", config]);
    }

    /// Runs a verb that must succeed beside the server.
    pub(crate) fn verb(&self, args: &[&str]) -> Value {
        verb(self.server.data_dir(), args)
    }

    /// Runs a verb on one object.
    pub(crate) fn on(&self, object: &Object, words: &[&str], more: &[&str]) -> Value {
        let Object {
            tenant,
            kind,
            user,
            id,
        } = object;
        let named = [*kind, id, "--tenant", tenant, "--user", user];
        self.verb(&[words, &named, more].concat())
    }

    /// Puts a chain in force and returns it.
    pub(crate) fn assign(&self, tenant: &str, chain: &[&str]) -> Value {
        let policies = chain.iter().flat_map(|link| ["--policy", link]);
        let assign = ["policy", "assign", "--tenant", tenant].into_iter();
        self.verb(&assign.chain(policies).collect::<Vec<_>>())
    }

    /// Writes a component to a file beside the data directory.
    pub(crate) fn component(&self, name: &str, bytes: &[u8]) -> String {
        let file = self.folder.path().join(format!("{name}.wasm"));
        std::fs::write(&file, bytes).expect("a file");
        file.to_str().expect("a path in UTF-8").to_owned()
    }

    /// Takes a small document of the other tenant.
    pub(crate) fn put_other_document(&self) -> Object {
        let file = self.component("note", b"a note");
        let user = ["--tenant", OTHER_TENANT, "--user", "8"];
        let taken = self.verb(&[&["object", "put", "document", &file], &user[..]].concat());
        let id = taken["id"].as_str().expect("an id").to_owned();
        Object {
            id,
            ..other_document()
        }
    }

    /// Whether the object is there still.
    pub(crate) fn has(&self, object: &Object) -> bool {
        let list = ["object", "list", object.kind, "--tenant", object.tenant];
        let listed = self.verb(&list);
        let mut listed = listed.as_array().expect("an array").iter();
        listed.any(|entry| entry["id"] == object.id.as_str())
    }

    /// The decisions of a tenant, latest first. Of whatever was answered, they are on record.
    pub(crate) fn decisions(&self, tenant: &str) -> Vec<Value> {
        let list = ["decision", "list", "--tenant", tenant, "--limit", "1000000"];
        let decisions = self.verb(&list);
        decisions.as_array().expect("an array").clone()
    }

    /// Asks for a delete over HTTP.
    pub(crate) fn delete(&self, object: &Object) -> Answer {
        let server = &self.server;
        let (request, [code, message]) = if object.kind == "photo" {
            let (website, key) = match object.tenant {
                TENANT => (WEBSITE, SITE_KEY),
                _ => ("423", &*self.other_key),
            };
            let path = "/api/4/UploadImage/DeleteUserPhoto";
            let query = format!("?userId={}&photoId={}", object.user, object.id);
            let request = server.http.get(server.url(&format!("{path}{query}")));
            let request = request.header("websiteId", website);
            let request = request.header("webApiClientKey", key);
            (request, ["ErrorCode", "Message"])
        } else {
            let user: u64 = object.user.parse().expect("a number");
            let body = json!({
                "tenantSubDomain": object.tenant, "userAccountId": user, "fileGuid": object.id,
            });
            let request = server
                .http
                .post(server.url("/api/library/documents/delete"));
            let request = request.bearer_auth(&server.token).json(&body);
            (request, ["code", "detail"])
        };
        let (status, body) = super::answer(request.send().expect("an answer"));
        if status == 200 {
            return deleted();
        }
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Answer(status, text(code), text(message))
    }
}
