//! Every endpoint that the router has, asked by every sort of caller.

use atropos_server::http::{Access, Endpoint, endpoints};
use reqwest::Method;
use reqwest::blocking::RequestBuilder;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use super::{Caller, callers, table};
use crate::support::photos::picture;
use crate::support::written::assert_written;
use crate::support::{self, DOCUMENT_USER, GUID, PHOTO, PHOTO_USER, Server, TENANT, WEBSITE};

const NOTE: &str = "\
# Endpoints

What each caller is answered who asks for something that the tenant has: the status, and of an error
its code. \"Other tenant\" has good credentials of another one. A site key may upload and delete photos,
so \"read only\" and \"moderate\" show their bearer token in its place, which is none. \"–\": there is no
such caller.

";

fn serves(access: Access) -> String {
    match access {
        Access::Anybody => "anybody".to_owned(),
        Access::Address => "whoever knows the address".to_owned(),
        Access::ClientSecret => "client secret".to_owned(),
        Access::SiteKey => "site key".to_owned(),
        Access::Bearer(permission) => permission.to_string(),
    }
}

/// A form in one piece, which may be refused before it is read.
fn upload(
    request: RequestBuilder,
    fields: &[(&str, &str)],
    file: &str,
    bytes: &[u8],
) -> RequestBuilder {
    let part = |named: &str| format!("--x\r\nContent-Disposition: form-data; {named}\r\n\r\n");
    let field = |(name, value): &(&str, &str)| part(&format!("name=\"{name}\"")) + value + "\r\n";
    let fields: String = fields.iter().map(field).collect();
    let file = part(&format!("name=\"{file}\"; filename=\"new\""));
    let body = [fields.as_bytes(), file.as_bytes(), bytes, b"\r\n--x--\r\n"];
    let request = request.header("content-type", "multipart/form-data; boundary=x");
    request.body(body.concat())
}

/// What each endpoint is asked for.
struct Stage {
    server: Server,
    png: Vec<u8>,
    media: String,
}

impl Stage {
    fn set() -> Self {
        let server = Server::demo();
        let photos = server.photos();
        let kept = photos.iter().find(|photo| photo["Id"] == PHOTO);
        let media = &kept.expect("the demo's photo")["OriginalURL"];
        Self {
            media: media.as_str().expect("an address").to_owned(),
            png: picture(4, 4),
            server,
        }
    }

    /// Asks for something that is there, with what the caller has; `None` if there is no such
    /// caller.
    fn request(&self, endpoint: &Endpoint, caller: &Caller) -> Option<RequestBuilder> {
        let server = &self.server;
        let ask = |path: &str| {
            let method = Method::from_bytes(endpoint.method.as_bytes()).expect("a method");
            let request = server.http.request(method, server.url(path));
            let request = match &caller.token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            let request = request.header("origin", "https://elsewhere.example");
            let request = request.header("websiteId", WEBSITE);
            match &caller.key {
                Some(key) => request.header("webApiClientKey", key),
                None => request,
            }
        };
        let photos = |call: &str, query: &str| ask(&format!("/api/4/UploadImage/{call}?{query}"));
        let user = format!("userId={PHOTO_USER}");
        let documents = |of: &str| {
            ask(&format!(
                "/api/library/documents/{of}/get/{TENANT}/{DOCUMENT_USER}"
            ))
        };
        Some(match endpoint.path {
            "/healthz" | "/readyz" | "/metrics" => ask(endpoint.path),
            "/oauth/token" => {
                let mut form = vec![("grant_type", "client_credentials")];
                match (&caller.client, &caller.token) {
                    (Some((id, secret)), _) => {
                        form.extend([("client_id", *id), ("client_secret", secret)]);
                    }
                    (None, Some(_)) => return None,
                    (None, None) => {}
                }
                server.http.post(server.url(endpoint.path)).form(&form)
            }
            "/api/4/UploadImage/DeleteUserPhoto" => {
                let photo = server.upload_photo("doomed.png", self.png.clone());
                let id = photo["Id"].as_str().expect("an id");
                photos("DeleteUserPhoto", &format!("{user}&photoId={id}"))
            }
            "/api/4/UploadImage/UploadImage" => {
                upload(photos("UploadImage", &user), &[], "postedFile", &self.png)
            }
            "/api/4/UploadImage/GetUserUploadedList" => photos("GetUserUploadedList", &user),
            "/api/4/UploadImage/GetUserActivity" => photos("GetUserActivity", &user),
            "/media/{key}/{name}" => ask(&self.media),
            path @ ("/api/library/documents/delete" | "/api/library/documents/delete/") => {
                let guid = server.upload_document("doomed.txt", b"doomed");
                ask(path).json(&json!({
                    "tenantSubDomain": TENANT, "userAccountId": DOCUMENT_USER, "fileGuid": guid,
                }))
            }
            "/api/library/documents/list/get/{tenantSubDomain}/{userAccountId}" => {
                documents("list")
            }
            "/api/library/documents/activity/get/{tenantSubDomain}/{userAccountId}" => {
                documents("activity")
            }
            "/api/library/documents/file/get/{tenantSubDomain}/{userAccountId}/{fileGuid}" => {
                let account = format!("{TENANT}/{DOCUMENT_USER}");
                ask(&format!("/api/library/documents/file/get/{account}/{GUID}"))
            }
            path @ "/api/file/upload/admin-for-client/store" => {
                let account = DOCUMENT_USER.to_string();
                let fields = [("tenantSubDomain", TENANT), ("userAccountId", &*account)];
                upload(ask(path), &fields, "file", b"new")
            }
            new => panic!(
                "this table does not know how to ask {} {new}",
                endpoint.method
            ),
        })
    }

    /// What a caller without the right must not change.
    fn objects(&self) -> (Vec<Value>, Vec<String>) {
        (self.server.photos(), self.server.documents())
    }

    /// Asks, and tells the answer as a cell.
    fn cell(&self, endpoint: &Endpoint, caller: &Caller) -> String {
        let Some(request) = self.request(endpoint, caller) else {
            return "–".to_owned();
        };
        let before = self.objects();
        let response = request.send().expect("an answer");
        let (status, headers) = (response.status(), response.headers());
        let asked = (endpoint.path, caller.name);
        assert_eq!(headers["cache-control"], "no-store", "{asked:?}");
        let shared = |name: &HeaderName| name.as_str().starts_with("access-control");
        assert!(
            !headers.keys().any(shared),
            "{asked:?} is shared with other sites"
        );
        let body: Value = response.json().unwrap_or(Value::Null);
        let code = ["ErrorCode", "code", "error"].map(|name| body[name].as_str());
        let code = code.into_iter().flatten().next().unwrap_or_default();
        if !status.is_success() {
            assert_eq!(
                self.objects(),
                before,
                "{asked:?} was refused, and changed something"
            );
            assert!(!code.is_empty(), "{asked:?}: {body}");
        }
        format!("{} {code}", status.as_u16()).trim_end().to_owned()
    }
}

#[test]
fn each_endpoint_serves_whom_the_reviewed_table_says() {
    let stage = Stage::set();
    let callers = callers(&stage.server);
    let head = ["endpoint", "serves"].map(str::to_owned).into_iter();
    let head = head.chain(callers.iter().map(|caller| caller.name.to_owned()));
    let mut rows = vec![head.collect::<Vec<_>>()];
    for endpoint in endpoints() {
        let named = format!("{} {}", endpoint.method, endpoint.path);
        let cells = callers.iter().map(|caller| stage.cell(&endpoint, caller));
        let cells: Vec<String> = cells.collect();
        let open = matches!(endpoint.access, Access::Anybody | Access::Address);
        assert_eq!(cells[0] == "200", open, "{named} says that it is otherwise");
        let row = [named, serves(endpoint.access)].into_iter().chain(cells);
        rows.push(row.collect());
    }
    let text = format!("{NOTE}{}", table(&rows));
    assert_written("tests/authorization/endpoints.md", &text);
}

#[test]
fn no_endpoint_takes_a_method_that_is_not_listed() {
    let server = Server::demo();
    let all = endpoints();
    let words = [
        ("{tenantSubDomain}", TENANT),
        ("{userAccountId}", "6"),
        ("{fileGuid}", GUID),
        ("{key}", "0"),
        ("{name}", "0"),
    ];
    for Endpoint { path, .. } in &all {
        let mut filled = (*path).to_owned();
        for (word, meaning) in words {
            filled = filled.replace(word, meaning);
        }
        for method in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X",
        ] {
            if all
                .iter()
                .any(|listed| (listed.method, listed.path) == (method, *path))
            {
                continue;
            }
            let sent = Method::from_bytes(method.as_bytes()).expect("a method");
            let request = server.http.request(sent, server.url(&filled));
            let request = request.header("websiteId", WEBSITE);
            let request = request.header("webApiClientKey", support::SITE_KEY);
            let response = request
                .bearer_auth(&server.token)
                .send()
                .expect("an answer");
            assert_eq!(response.status(), 405, "{method} {path}");
            let headers = response.headers();
            let allowed = headers["allow"].to_str().expect("text");
            assert!(!allowed.contains(method), "{method} {path}: {allowed}");
        }
    }
}
