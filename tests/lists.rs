//! Lists that are long, paged, deleted from meanwhile, and asked for by many.

use std::sync::mpsc;
use std::time::Duration;

use atropos::domain::{ObjectPage, Page};
use atropos::target::{Caller, CallerKind, Kind};
use atropos_service::config::Config;
use atropos_service::service::{Lists, Service};
use futures_util::FutureExt as _;
use reqwest::blocking::{RequestBuilder, Response};
use serde_json::Value;

use crate::support::photos::picture;
use crate::support::raw::Raw;
use crate::support::site::{CLIENT, Site, secret, wait_until};
use crate::support::stage::patient;
use crate::support::{DOCUMENT_USER, PHOTO_USER, Server, TENANT, verb};

/// More rows than are read on a thread that serves.
const LONG: &str = "pageSize=1000";

const KINDS: [Kind; 2] = [Kind::Photo, Kind::Document];

impl Server {
    /// The list of the user that every test has, whom the query need not name.
    fn listing(&self, kind: Kind, query: &str) -> RequestBuilder {
        match kind {
            Kind::Photo if query.contains("userId=") => {
                self.photo_request(&format!("GetUserUploadedList?{query}"))
            }
            Kind::Photo => self.listing(kind, &format!("userId={PHOTO_USER}&{query}")),
            Kind::Document => {
                let request = self.http.get(self.url(&documents(query)));
                request.bearer_auth(&self.token)
            }
        }
    }

    /// Begins to ask for a long list of documents and does not wait for it.
    fn begin_long_list(&self, token: &str) -> Raw {
        let path = documents(LONG);
        let mut connection = self.dial();
        connection.send(format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        ));
        connection
    }

    /// The figure of the first series in whose line all these words are.
    fn figure_of(&self, words: &[&str]) -> usize {
        let figures = self.get("/metrics").text().expect("text");
        let mut lines = figures.lines().filter(|line| !line.starts_with('#'));
        let line = lines.find(|line| words.iter().all(|word| line.contains(word)));
        let figure = line.and_then(|line| line.split(' ').next_back());
        figure.map_or(0, |figure| figure.parse().expect("a number"))
    }

    /// How many long lists were told to hang.
    fn hanging(&self) -> usize {
        let told = "told to hang step=rows.list\n";
        self.whole_log().matches(told).count()
    }
}

fn documents(query: &str) -> String {
    format!("/api/library/documents/list/get/{TENANT}/{DOCUMENT_USER}?{query}")
}

/// The ids of a page, and the query of the next one, of which its `Link` tells.
fn page(kind: Kind, response: Response) -> (Vec<String>, Option<String>) {
    let next = next(&response);
    let mut body: Value = response.json().expect("JSON");
    let (entries, id) = match kind {
        Kind::Photo => (body["Data"]["AssetList"].take(), "Id"),
        Kind::Document => (body, "fileGuid"),
    };
    let entries = entries.as_array().expect("an array").iter();
    let id = |entry: &Value| entry[id].as_str().expect("an id").to_owned();
    (entries.map(id).collect(), next)
}

fn next(response: &Response) -> Option<String> {
    let link = response.headers().get("link")?.to_str().expect("text");
    let query = link.strip_prefix("<?").expect("a query");
    let query = query.strip_suffix(">; rel=\"next\"").expect("a next page");
    Some(query.to_owned())
}

#[test]
fn paging_by_link_while_everything_is_deleted_skips_nothing() {
    let server = Server::demo();
    for kind in KINDS {
        let bytes: &[u8] = match kind {
            Kind::Photo => &picture(4, 3),
            Kind::Document => b"bytes",
        };
        for nth in 0..5 {
            let uploaded = server.upload(kind, &format!("{nth}.png"), bytes).send();
            assert_eq!(uploaded.expect("an answer").status(), 200);
        }
        let mut left = server.objects(kind);
        assert!(left.len() > 5);
        let mut query = Some("pageSize=2".to_owned());
        while let Some(asked) = query {
            let ids;
            let listed = server.listing(kind, &asked).send();
            (ids, query) = page(kind, listed.expect("an answer"));
            for id in ids {
                let deleted = server.deletion(kind, &id).send().expect("an answer");
                assert_eq!(deleted.status(), 200, "{id}");
                left.remove(&id).expect("listed once");
            }
        }
        assert!(left.is_empty(), "{kind:?}: skipped {left:?}");
        assert!(server.objects(kind).is_empty());
    }
}

#[test]
fn a_page_is_named_by_a_number_or_a_position_and_its_link_goes_on_alike() {
    let server = Server::demo();
    let ids = server
        .listing(Kind::Document, "")
        .send()
        .expect("an answer");
    let (ids, none) = page(Kind::Document, ids);
    assert_eq!(none, None, "the list is not that long");
    let guid = &ids[0];
    // One position before all others, one after them.
    let (first, last) = (format!("0-{guid}"), format!("9223372036854775807-{guid}"));
    for kind in KINDS {
        let ask = |query: &str| server.listing(kind, query).send().expect("an answer");
        let query = |rest: &str| match kind {
            Kind::Photo => format!("userId={PHOTO_USER}&{rest}"),
            Kind::Document => rest.to_owned(),
        };
        let after = next(&ask("pageSize=1")).expect("a link");
        let begin = query("after=");
        assert!(
            after.starts_with(&begin) && after.ends_with("&pageSize=1"),
            "{after}"
        );
        let again = next(&ask(&format!("pageSize=1&after={first}")));
        assert_eq!(again.as_ref(), Some(&after), "the first page is the same");
        let by_number = next(&ask("pageIndex=1&pageSize=1"));
        assert_eq!(by_number, Some(query("pageIndex=2&pageSize=1")));
        for empty in [
            &*format!("after={last}"),
            "pageIndex=4294967295&pageSize=1000",
        ] {
            let (ids, next) = page(kind, ask(empty));
            assert!(ids.is_empty() && next.is_none(), "{empty}: {ids:?}");
        }
        let both = format!("after={first}&pageIndex=1");
        let malformed = [
            "after=1",
            "after=-1-a",
            "after=x",
            "after=1-a%20b",
            "after=%FF",
        ];
        for query in [
            &malformed[..],
            &[&*both, "after=0-a&after=0-a", "pageIndex=0"],
        ]
        .concat()
        {
            let refused = ask(query);
            assert_eq!(refused.status(), 400, "{query}");
            let body = refused.text().expect("text");
            let name = query.split('=').next().expect("a name");
            assert!(body.contains(name), "{query}: {body}");
            let code = match kind {
                Kind::Photo => r#""ErrorCode":"400""#,
                Kind::Document => r#""code":"invalid-page""#,
            };
            assert!(body.contains(code), "{query}: {body}");
        }
    }
}

#[test]
fn the_command_line_goes_on_after_what_is_gone() {
    let server = Server::demo();
    let (dir, user) = (server.data_dir(), DOCUMENT_USER.to_string());
    let list = |more: &[&str]| {
        let list = ["object", "list", "document", "--tenant", TENANT];
        let listed = verb(dir, &[&list[..], &["--user", &user], more].concat());
        listed.as_array().expect("an array").clone()
    };
    let all = list(&[]);
    let gone = &all[0];
    let id = gone["id"].as_str().expect("an id");
    let deleted = server.deletion(Kind::Document, id).send();
    assert_eq!(deleted.expect("an answer").status(), 200);
    let after = format!("{}-{id}", gone["createdAtMs"]);
    assert_eq!(list(&["--after", &after]), all[1..]);
}

/// A site whose long lists hang, with a second client.
fn hanging() -> (Site, Server, String) {
    let site = Site::new();
    let other = ["client", "create", "other"];
    verb(&site.data_dir(), &other);
    let grant = ["client", "grant", "other", "--tenant", TENANT];
    let may = ["documents:read", "documents:write"];
    verb(&site.data_dir(), &[&grant[..], &may].concat());
    let token = secret(&verb(&site.data_dir(), &["token", "issue", "other"]));
    let more = [
        ("FAILPOINTS", "rows.list=return(hang)".to_owned()),
        // One thread serves: if a list keeps it, everybody waits.
        ("TOKIO_WORKER_THREADS", "1".to_owned()),
    ];
    let server = site.serve_in("[http]\nrequest-timeout-ms = 120000\n", &more);
    (site, server, token)
}

#[test]
fn long_lists_that_hang_keep_nobody_else_waiting() {
    let (_site, mut server, other) = hanging();
    let guid = server.upload_document("kept.txt", b"kept");
    // More than there are threads to serve.
    let cores = std::thread::available_parallelism().expect("cores").get();
    let lists: Vec<Raw> = (0..4 * cores + 8)
        .map(|_| server.begin_long_list(&server.token))
        .collect();
    wait_until("they hang", || server.hanging() == Lists::slots());
    server.token = other;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(path).status(), 200, "{path}");
    }
    let short = server.listing(Kind::Document, "pageSize=100").send();
    let (ids, _) = page(Kind::Document, short.expect("an answer"));
    assert_eq!(ids, [&*guid]);
    assert_eq!(server.delete_document(&guid).0, 200);
    assert_eq!(server.hanging(), Lists::slots(), "more at once than slots");
    drop(lists);
}

#[test]
fn who_hangs_up_lets_go_of_no_thread_and_who_asks_for_too_much_is_refused() {
    /// So many lists of one caller wait: two thirds of the room for 256.
    const WAITING: usize = 171;
    const REFUSED: usize = 8;
    let (_site, server, other) = hanging();
    let many = Lists::slots() + WAITING + REFUSED;
    let lists: Vec<Raw> = (0..many)
        .map(|_| server.begin_long_list(&server.token))
        .collect();
    wait_until("all have a slot, a place or an answer", || {
        server.figure_of(&["atropos_http_requests_total{", "list/get", "\"503\""]) == REFUSED
    });
    let refused = server.listing(Kind::Document, LONG).send();
    let refused = refused.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    let body: Value = refused.json().expect("JSON");
    assert_eq!(body["code"], "overloaded");
    // Of another caller there is room for some.
    let waits = server.begin_long_list(&other);
    drop(lists);
    wait_until("they have hung up", || {
        server.figure_of(&["atropos_http_connections "]) < 10
    });
    // A slot that was let go would be the waiting list's by now, or soon.
    for _ in 0..25 {
        assert_eq!(server.hanging(), Lists::slots(), "a slot was let go");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(waits);
}

#[test]
fn the_long_list_of_another_caller_has_the_next_turn() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = Config {
        data_dir: folder.path().to_owned(),
        ..patient()
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let service = Service::open(config).expect("a service");
        let subdomain = TENANT.parse().expect("a subdomain");
        let website = "7".parse().expect("a website");
        let tenant = service.create_tenant(subdomain, website, String::new());
        let tenant = tenant.await.expect("a tenant");
        let (begins, begun) = mpsc::channel();
        // A list that ends when what it returns is dropped.
        let ask = |name: &'static str| {
            let caller = Caller {
                tenant: tenant.clone(),
                kind: CallerKind::ApiClient,
                id: name.to_owned(),
                permissions: Vec::new(),
            };
            let (end, ends) = mpsc::channel::<()>();
            let (lists, begins) = (service.lists.clone(), begins.clone());
            let (offset, limit) = (0, 1000);
            let page = ObjectPage::from(Page { offset, limit });
            let mut list = Box::pin(async move {
                let render = move |_| {
                    let _ = begins.send(name);
                    let _ = ends.recv();
                };
                lists.objects(&caller, Kind::Photo, "u", page, render).await
            });
            // It has a slot or stands in the queue before the next one asks.
            assert!(list.as_mut().now_or_never().is_none());
            (end, tokio::spawn(list))
        };
        let next = || begun.recv_timeout(Duration::from_secs(60)).expect("a list");
        let slots = Lists::slots();
        let mut many: Vec<_> = (0..slots + 20).map(|_| ask(CLIENT)).collect();
        let one = ask("other");
        for _ in 0..slots {
            assert_eq!(next(), CLIENT);
        }
        // The first to ask have the slots. One of them ends.
        drop(many.remove(0));
        assert_eq!(next(), "other");
        drop(one);
        assert_eq!(next(), CLIENT);
        drop(many);
        service.stop().await;
    });
}
