//! What one tenant's slow policies leave to the others.

use std::sync::atomic::{AtomicBool, Ordering};

use atropos_test_guests as guests;

use crate::support::site::{Site, secret};
use crate::support::{TENANT, WEBSITE, verb};

/// More of them than there are places for deletes in the sandbox.
const SLOW_TENANTS: usize = 3;
const CALLERS: usize = 60;

/// The deletes of a tenant that has no slow policy.
const DELETES: usize = 40;

const RETENTION: &str = r#"retention={"minimum-age-days":{"photo":30}}"#;

const PHOTO: &[u8] = include_bytes!("fuzz/seeds/picture/rgb.png");

#[test]
fn tenants_with_slow_policies_take_no_place_from_the_others_however_many_they_are() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let run = |args: &[&str]| verb(&data_dir, args);
    let file = |name: &str, bytes: &[u8]| {
        let path = site.folder().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    let (photo, busy) = (file("a.png", PHOTO), file("busy.wasm", guests::BUSY));
    let put = |tenant: &str, id: &str| {
        let named = ["--tenant", tenant, "--user", "u", "--id", id];
        run(&[&["object", "put", "photo", &photo], &named[..]].concat());
    };
    let key = |tenant: &str| secret(&run(&["key", "issue", "--tenant", tenant]));
    let slow: Vec<_> = (0..SLOW_TENANTS)
        .map(|number| {
            let (name, website) = (format!("slow{number}"), (7000 + number).to_string());
            run(&["tenant", "create", &name, "--website-id", &website]);
            put(&name, "p");
            // The second policy denies, so that the first one is asked again and again.
            let chain = ["--policy", &busy, "--policy", RETENTION];
            run(&[&["policy", "assign", "--tenant", &name], &chain[..]].concat());
            (website, key(&name))
        })
        .collect();
    for id in 0..DELETES {
        put(TENANT, &id.to_string());
    }
    let own = (WEBSITE.to_owned(), key(TENANT));
    // A busy machine may take its time for each run.
    let server = site.serve_with("[policy]\ndeadline-ms = 60000\n");
    let delete = |(website, key): &(String, String), id: &str| {
        let path = format!("/api/4/UploadImage/DeleteUserPhoto?userId=u&photoId={id}");
        let request = server.http.get(server.url(&path));
        let request = request.header("websiteId", website);
        let response = request.header("webApiClientKey", key).send();
        response.expect("an answer").status().as_u16()
    };
    let stop = AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        for tenant in &slow {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        delete(tenant, "p");
                    }
                });
            }
        }
        // By the time that this one is answered all of them are at it.
        delete(&slow[0], "p");
        let refused: Vec<_> = (0..DELETES)
            .map(|id| delete(&own, &id.to_string()))
            .filter(|status| *status != 200)
            .collect();
        stop.store(true, Ordering::Relaxed);
        refused
    });
    assert_eq!(refused, Vec::<u16>::new(), "of {DELETES} deletes");
}
