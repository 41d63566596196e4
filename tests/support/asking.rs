//! Requests that may get no answer, because the server dies.

use std::collections::BTreeMap;

use atropos::target::Kind;
use reqwest::blocking::RequestBuilder;
use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

use super::{DOCUMENT_USER, PHOTO_USER, SITE_KEY, Server, TENANT, WEBSITE};

/// Status and body; nothing if the connection broke off.
pub(crate) type Answer = Option<(u16, String)>;

/// Sends a request and reads the whole answer.
pub(crate) fn ask(request: RequestBuilder) -> Answer {
    let response = request.send().ok()?;
    Some((response.status().as_u16(), response.text().ok()?))
}

impl Server {
    /// A photo call of the site whose key every test has.
    pub(crate) fn photo_request(&self, path: &str) -> RequestBuilder {
        let url = self.url(&format!("/api/4/UploadImage/{path}"));
        let request = match path.starts_with("UploadImage") {
            true => self.http.post(url),
            false => self.http.get(url),
        };
        let request = request.header("websiteId", WEBSITE);
        request.header("webApiClientKey", SITE_KEY)
    }

    /// The delete of an object of the user that every test has.
    pub(crate) fn deletion(&self, kind: Kind, id: &str) -> RequestBuilder {
        match kind {
            Kind::Photo => {
                let path = format!("DeleteUserPhoto?userId={PHOTO_USER}&photoId={id}");
                self.photo_request(&path)
            }
            Kind::Document => {
                let url = self.url("/api/library/documents/delete");
                let request = self.http.post(url).bearer_auth(&self.token);
                request.json(&json!({
                    "tenantSubDomain": TENANT, "userAccountId": DOCUMENT_USER, "fileGuid": id,
                }))
            }
        }
    }

    /// The upload of an object of that user.
    pub(crate) fn upload(&self, kind: Kind, name: &str, bytes: &[u8]) -> RequestBuilder {
        let file = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
        match kind {
            Kind::Photo => {
                let form = Form::new().text("userId", PHOTO_USER);
                let form = form.part("postedFile", file);
                self.photo_request("UploadImage").multipart(form)
            }
            Kind::Document => {
                let form = Form::new()
                    .text("tenantSubDomain", TENANT)
                    .text("userAccountId", DOCUMENT_USER.to_string())
                    .part("file", file);
                let url = self.url("/api/file/upload/admin-for-client/store");
                let request = self.http.post(url).bearer_auth(&self.token);
                request.multipart(form)
            }
        }
    }

    /// The objects of that user: of each the addresses of its bytes, the original first.
    pub(crate) fn objects(&self, kind: Kind) -> BTreeMap<String, Vec<String>> {
        self.try_objects(kind).expect("an answer")
    }

    /// The same; nothing if a connection broke off.
    pub(crate) fn try_objects(&self, kind: Kind) -> Option<BTreeMap<String, Vec<String>>> {
        let mut found = BTreeMap::new();
        for page in 1.. {
            let paged = format!("pageIndex={page}&pageSize=1000");
            let list = match kind {
                Kind::Photo => {
                    let list = format!("GetUserUploadedList?userId={PHOTO_USER}&{paged}");
                    self.photo_request(&list)
                }
                Kind::Document => {
                    let list = "/api/library/documents/list/get";
                    let list = format!("{list}/{TENANT}/{DOCUMENT_USER}?{paged}");
                    self.http.get(self.url(&list)).bearer_auth(&self.token)
                }
            };
            let (status, body) = ask(list)?;
            assert_eq!(status, 200, "{body}");
            let mut body: Value = serde_json::from_str(&body).expect("JSON");
            let entries = match kind {
                Kind::Photo => body["Data"]["AssetList"].take(),
                Kind::Document => body,
            };
            let entries = entries.as_array().expect("an array");
            found.extend(entries.iter().map(|entry| addresses(kind, entry)));
            if entries.len() < 1000 {
                break;
            }
        }
        Some(found)
    }

    /// The bytes behind such an address.
    pub(crate) fn bytes(&self, url: &str) -> RequestBuilder {
        let path = url.strip_prefix(&self.base).unwrap_or(url);
        let request = self.http.get(self.url(path));
        match path.starts_with("/media/") {
            true => request,
            false => request.bearer_auth(&self.token),
        }
    }
}

/// The id of a listed object, and where its bytes are.
fn addresses(kind: Kind, entry: &Value) -> (String, Vec<String>) {
    let text = |name: &str| entry[name].as_str().expect("text").to_owned();
    match kind {
        Kind::Photo => {
            let urls = ["OriginalURL", "StandardURL"].map(text);
            (text("Id"), urls.to_vec())
        }
        Kind::Document => {
            let id = text("fileGuid");
            let path = "/api/library/documents/file/get";
            let url = format!("{path}/{TENANT}/{DOCUMENT_USER}/{id}");
            (id, vec![url])
        }
    }
}
