//! How long the answers take that must look alike.
//!
//! Requests of all sorts are mixed at random on one connection, so that whatever else the machine
//! does falls on all alike. Two sorts are told apart by the chance that one of the first takes longer
//! than one of the second: a half if nothing tells them apart, whatever the distribution. The bound
//! is 0.02 and six standard errors. `ATROPOS_SAMPLES=20000` measures more closely.

use std::time::Instant;

use crate::support::raw::Raw;
use crate::support::{GUID, PHOTO, PHOTO_USER, SITE_KEY, Server, TENANT, WEBSITE};

const SAMPLES: usize = 1000;

/// A request, and what it is about.
struct Sort {
    name: &'static str,
    request: String,
    micros: Vec<f64>,
}

fn photo(name: &'static str, website: &str, key: &str, user: &str, id: &str) -> Sort {
    let path = format!("/api/4/UploadImage/DeleteUserPhoto?userId={user}&photoId={id}");
    let head = format!("websiteId: {website}\r\nwebApiClientKey: {key}");
    Sort {
        name,
        request: format!("GET {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n"),
        micros: Vec::new(),
    }
}

fn document(name: &'static str, token: &str, tenant: &str, user: u64, guid: &str) -> Sort {
    let body =
        format!(r#"{{"tenantSubDomain":"{tenant}","userAccountId":{user},"fileGuid":"{guid}"}}"#);
    let head = format!(
        "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    let path = "/api/library/documents/delete";
    Sort {
        name,
        request: format!("POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{body}"),
        micros: Vec::new(),
    }
}

/// What must look alike, with its status.
fn groups(token: &str) -> Vec<(u16, Vec<Sort>)> {
    let id = |name, user, id| photo(name, WEBSITE, SITE_KEY, user, id);
    let guid = |name, user, guid| document(name, token, TENANT, user, guid);
    let place = |name, tenant| document(name, token, tenant, 8, OTHER_GUID);
    let key = |name, website| photo(name, website, "wrong", PHOTO_USER, PHOTO);
    vec![
        (
            404,
            vec![
                id("an absent photo", PHOTO_USER, ABSENT),
                id("another user's photo", "u-9", PHOTO),
                id("another tenant's photo", "u-2001", OTHER_PHOTO),
            ],
        ),
        (
            404,
            vec![
                guid("an absent document", 6, ABSENT),
                guid("another user's document", 7, GUID),
                guid("another tenant's document", 8, OTHER_GUID),
            ],
        ),
        (
            403,
            vec![
                place("an absent tenant", "nowhere"),
                place("a tenant without access", "acme"),
            ],
        ),
        (
            401,
            vec![
                key("an absent website", "999"),
                key("a website with another key", WEBSITE),
            ],
        ),
    ]
}

const ABSENT: &str = "0b54a9d2-8c1f-4f6e-9a37-5d2c7e10b4a2";
const OTHER_PHOTO: &str = "72cb1049-f386-40d5-81ae-c493e587cb18";
const OTHER_GUID: &str = "83dc215a-0497-41e6-92bf-d5a4f698dc29";

/// The chance that one of `these` is greater than one of `those`; of equals, half.
fn superiority(these: &[f64], those: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = Vec::new();
    all.extend(these.iter().map(|value| (*value, true)));
    all.extend(those.iter().map(|value| (*value, false)));
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for equals in all.chunk_by(|one, other| one.0 == other.0) {
        let theirs = equals.iter().filter(|(_, ours)| !ours).count() as f64;
        let ours = equals.len() as f64 - theirs;
        wins += ours * (below + theirs / 2.0);
        below += theirs;
    }
    wins / (these.len() as f64 * those.len() as f64)
}

fn quantile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}

/// The same mixture on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Sends each sort once, in an order of chance.
fn round(connection: &mut Raw, groups: &mut [(u16, Vec<Sort>)], dice: &mut Dice, warm: bool) {
    let mut sorts: Vec<_> = groups
        .iter_mut()
        .flat_map(|(status, sorts)| sorts.iter_mut().map(|sort| (*status, sort)))
        .collect();
    for end in (1..=sorts.len()).rev() {
        sorts.swap(dice.below(end), end - 1);
    }
    for (status, sort) in sorts {
        let started = Instant::now();
        connection.send(&sort.request);
        let (answered, body) = connection.next_answer();
        let took = started.elapsed();
        assert_eq!(answered, status, "{}: {body}", sort.name);
        if warm {
            sort.micros.push(took.as_secs_f64() * 1e6);
        }
    }
}

#[test]
fn absent_another_users_and_another_tenants_take_equally_long() {
    let samples = std::env::var("ATROPOS_SAMPLES").ok();
    let samples = samples.map_or(SAMPLES, |samples| samples.parse().expect("a number"));
    let server = Server::demo();
    let mut groups = groups(&server.token);
    let mut connection = server.dial();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for nth in 0..samples + 50 {
        round(&mut connection, &mut groups, &mut dice, nth >= 50);
    }
    let bound =
        0.02 + 6.0 * ((2 * samples + 1) as f64 / (12.0 * (samples * samples) as f64)).sqrt();
    eprintln!("{samples} of each; bound 0.5 ± {bound:.3}");
    let mut apart = Vec::new();
    for (_, sorts) in &groups {
        let first = &sorts[0];
        for sort in sorts {
            let chance = superiority(&sort.micros, &first.micros);
            eprintln!(
                "{:>28}: median {:6.0} µs, p99 {:6.0} µs, longer than {}: {chance:.3}",
                sort.name,
                quantile(&sort.micros, 0.5),
                quantile(&sort.micros, 0.99),
                first.name,
            );
            if (chance - 0.5).abs() > bound {
                apart.push(format!("{}: {chance:.3}", sort.name));
            }
        }
    }
    assert!(apart.is_empty(), "told apart by time: {apart:?}");
}

#[test]
fn two_sorts_that_differ_are_told_apart() {
    let noise = |shift: f64, nth: usize| shift + (nth * 7919 % 1000) as f64;
    let values = |shift| (0..1000).map(|nth| noise(shift, nth)).collect::<Vec<_>>();
    assert_eq!(superiority(&values(0.0), &values(0.0)), 0.5);
    // A shift by a tenth of the spread, and it shows.
    assert!(superiority(&values(100.0), &values(0.0)) > 0.59);
    assert_eq!(superiority(&[2.0, 3.0], &[1.0]), 1.0);
}
