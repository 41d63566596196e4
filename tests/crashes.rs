//! The power goes in the middle: what was acknowledged stays gone, and nothing is left half.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atropos::target::Kind;

use crate::support::asking::{Answer, ask};
use crate::support::random::Random;
use crate::support::site::{Site, blob_files, database, keys, wait_until};
use crate::support::{self, Server, at_once, at_once_while};

const DOCUMENTS: usize = 200;
const CLIENTS: usize = 32;

/// In every document's content, and nowhere else.
const MARKER: &str = "crash-marker-";
const MARKER_BYTES: usize = MARKER.len() + "000-000".len();

struct Document {
    guid: String,
    marker: String,
    content: Vec<u8>,
}

impl Document {
    fn upload(server: &Server, round: usize, index: usize) -> Self {
        let marker = format!("{MARKER}{round:03}-{index:03}");
        let content = format!("{marker}\n").repeat(100).into_bytes();
        let guid = server.upload_document("crash.txt", &content);
        Self {
            guid,
            marker,
            content,
        }
    }
}

fn delete(server: &Server, document: &Document) -> Answer {
    ask(server.deletion(Kind::Document, &document.guid))
}

/// The markers that are in any file of the data directory.
fn markers(data_dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in support::files(data_dir) {
        // Files come and go beside a server.
        let bytes = std::fs::read(file).unwrap_or_default();
        for (at, _) in bytes
            .windows(MARKER.len())
            .enumerate()
            .filter(|(_, window)| *window == MARKER.as_bytes())
        {
            let marker = bytes.get(at..at + MARKER_BYTES).unwrap_or_default();
            found.insert(String::from_utf8_lossy(marker).into_owned());
        }
    }
    found
}

/// Deletes all documents at once and kills the server after this many successes, and a bit.
fn delete_and_kill(
    server: Server,
    documents: &[Document],
    successes: u64,
    then: Duration,
) -> Vec<Answer> {
    let succeeded = AtomicUsize::new(0);
    let job = |document: &Document| {
        let answer = delete(&server, document);
        let success = matches!(answer, Some((200, _)));
        succeeded.fetch_add(usize::from(success), Ordering::SeqCst);
        answer
    };
    let answers = at_once_while(CLIENTS, documents, job, || {
        while (succeeded.load(Ordering::SeqCst) as u64) < successes {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(then);
        server.signal("KILL");
    });
    server.kill();
    answers
}

/// How many of a round's documents were acknowledged, and of the others, how many are whole and
/// how many gone.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: usize,
    whole: usize,
    gone: usize,
}

/// Looks at what a restarted server makes of every document, and lets its caller try again.
fn check(server: &Server, documents: &[Document], answers: &[Answer]) -> Tally {
    let mut tally = Tally::default();
    let listed: BTreeSet<String> = server.documents().into_iter().collect();
    let deletions = server.deletions();
    let mut expected = Vec::new();
    for (document, answer) in documents.iter().zip(answers) {
        let Document { guid, content, .. } = document;
        let bytes = server.document(guid);
        assert_eq!(listed.contains(guid), bytes.is_some(), "half of {guid}");
        if let Some(bytes) = &bytes {
            assert!(bytes == content, "the bytes of {guid} are others");
        }
        let gone = bytes.is_none();
        let events = deletions.get(guid).copied().unwrap_or_default();
        assert_eq!(events, u32::from(gone), "events of {guid}");
        match answer {
            Some((200, body)) => {
                assert_eq!(body, "");
                assert!(gone, "{guid} was acknowledged and is back");
                tally.acknowledged += 1;
            }
            None => {}
            Some(other) => panic!("{other:?} for {guid}"),
        }
        match (answer, gone) {
            (None, true) => tally.gone += 1,
            (None, false) => tally.whole += 1,
            _ => {}
        }
        expected.push(if gone { 404 } else { 200 });
    }
    let again = at_once(CLIENTS, documents, |document| delete(server, document));
    for (answer, expected) in again.into_iter().zip(expected) {
        let (status, body) = answer.expect("an answer");
        assert_eq!(status, expected, "{body}");
        let told = body.contains("\"document-not-found\"");
        assert_eq!(told, status == 404, "{body}");
    }
    tally
}

/// Once every document is deleted, nothing but one event is left of each.
fn check_all_gone(server: &Server, documents: &[Document]) {
    let data_dir = server.data_dir();
    assert_eq!(server.documents(), Vec::<String>::new());
    let deletions = server.deletions();
    for document in documents {
        assert_eq!(server.document(&document.guid), None);
        assert_eq!(deletions.get(&document.guid), Some(&1), "{}", document.guid);
    }
    wait_until("no document's content is on the disk", || {
        markers(data_dir).is_empty()
    });
    wait_until("no shred record is left", || {
        keys(data_dir, "shreds").is_empty()
    });
    assert_eq!(blob_files(data_dir), BTreeSet::new(), "orphans");
}

#[test]
fn a_kill_amid_deletes_leaves_every_document_whole_or_gone() {
    let mut random = Random::from_environment("deletes");
    let rounds = std::env::var("ATROPOS_ROUNDS");
    let rounds: usize = rounds.map_or(4, |rounds| rounds.parse().expect("a number"));
    let site = Site::new();
    let mut server = site.serve();
    let mut torn = 0;
    for round in 0..rounds {
        let indices: Vec<usize> = (0..DOCUMENTS).collect();
        let new = |index: &usize| Document::upload(&server, round, *index);
        let documents = at_once(CLIENTS, &indices, new);
        assert_eq!(markers(&site.data_dir()).len(), DOCUMENTS);
        let successes = random.below(DOCUMENTS as u64 * 3 / 4);
        let then = Duration::from_micros(random.below(10_000));
        let answers = delete_and_kill(server, &documents, successes, then);
        server = site.serve();
        let acknowledged: BTreeSet<&str> = documents
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| answer.is_some())
            .map(|(document, _)| document.marker.as_str())
            .collect();
        wait_until("nothing is left of what was acknowledged", || {
            let left = markers(&site.data_dir());
            !left.iter().any(|left| acknowledged.contains(&**left))
        });
        let tally = check(&server, &documents, &answers);
        eprintln!("round {round}: killed after {successes} and {then:?}: {tally:?}");
        torn += usize::from((1..DOCUMENTS).contains(&tally.acknowledged));
        check_all_gone(&server, &documents);
    }
    assert!(torn > 0, "no round died in the middle");
    assert_eq!(server.stop(), Some(0));
}

fn upload(server: &Server, name: &str, content: &[u8]) -> Option<String> {
    let (status, body) = ask(server.upload(Kind::Document, name, content))?;
    (status == 200).then(|| serde_json::from_str(&body).expect("a GUID"))
}

#[test]
fn a_kill_amid_uploads_leaves_no_bytes_that_nobody_answers_for() {
    const STALLED: usize = 4;
    let mut random = Random::from_environment("uploads");
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    // Some are certain to be in the middle of their bytes.
    let mut stalled = Vec::new();
    for index in 0..STALLED {
        let (request, _) = server.raw_upload(&format!("stalled-{index}"), 8 << 20);
        let mut connection = server.dial();
        connection.begin(&request);
        connection.send(&request.body);
        connection.send(vec![b'x'; 4 << 20]);
        stalled.push(connection);
    }
    wait_until("the stalled uploads have files", || {
        blob_files(&data_dir).len() == STALLED
    });
    let successes = AtomicUsize::new(0);
    let indices: Vec<usize> = (0..DOCUMENTS).collect();
    let content = |index: &usize| format!("upload {index};").repeat(10_000).into_bytes();
    let job = |index: &usize| {
        let guid = upload(&server, "quick", &content(index));
        successes.fetch_add(usize::from(guid.is_some()), Ordering::SeqCst);
        guid
    };
    let enough = random.below(DOCUMENTS as u64 / 2);
    let guids = at_once_while(CLIENTS, &indices, job, || {
        while (successes.load(Ordering::SeqCst) as u64) < enough {
            std::thread::sleep(Duration::from_micros(200));
        }
        server.signal("KILL");
    });
    server.kill();
    drop(stalled);

    let server = site.serve();
    let listed = server.documents();
    for (index, guid) in guids.iter().enumerate() {
        if let Some(guid) = guid {
            assert!(listed.contains(guid), "{guid} was acknowledged");
            assert!(server.document(guid) == Some(content(&index)), "{guid}");
        }
    }
    let known: BTreeSet<_> = indices.iter().map(content).collect();
    for guid in &listed {
        let bytes = server.document(guid).expect("bytes");
        assert!(known.contains(&bytes), "{guid} is not whole");
    }
    let (files, rows) = (blob_files(&data_dir), keys(&data_dir, "blobs"));
    assert_eq!(rows.len(), listed.len());
    assert!(files.is_superset(&rows), "a row has lost its bytes");
    let orphans: BTreeSet<_> = files.difference(&rows).cloned().collect();
    let reserved = keys(&data_dir, "shreds");
    eprintln!(
        "killed after {enough}: {} acknowledged, {} listed, {} orphans, {} reservations",
        guids.iter().flatten().count(),
        listed.len(),
        orphans.len(),
        reserved.len()
    );
    assert!(orphans.len() >= STALLED);
    assert!(reserved.is_superset(&orphans), "bytes without a record");
    assert_eq!(server.stop(), Some(0));

    // As if the hour had passed.
    let passed = "UPDATE shreds SET not_before_ms = 1";
    database(&data_dir).execute(passed, []).expect("an update");
    let server = site.serve();
    wait_until("reservations that ran out are gone", || {
        keys(&data_dir, "shreds").is_empty()
    });
    assert_eq!(blob_files(&data_dir), rows, "orphans");
    assert_eq!(server.documents().len(), listed.len());
}
