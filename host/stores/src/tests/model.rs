//! The rows against a model of them: whatever the order of uploads, changes, holds, erasures,
//! removals and restarts, both come to the same.

use std::collections::{BTreeMap, BTreeSet};

use atropos::domain::catalogue::Change;
use atropos::domain::removals::Backlog;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::runtime::Builder;

use super::*;

/// So few that names come again and erasures meet.
const NAMES: usize = 3;

/// How many keys a look for doomed bytes takes.
const PAGE: usize = 5;

/// For how long a commit, and an upload, keep their doomed bytes to themselves.
const LEASE_MS: u64 = 30_000;

#[derive(Clone, Debug)]
enum Step {
    /// Dooms the keys of an upload, and writes its bytes.
    Begin {
        name: usize,
        for_ms: u64,
    },
    /// Makes one of the uploads under way live.
    Complete(Index),
    Hold(usize),
    Release(usize),
    Retain(usize, Option<u64>),
    Label(usize),
    /// Remembers what a policy would be shown.
    Judge(usize),
    /// Commits some of what was judged, in one group; what is stale or repeats as well.
    Erase(Vec<Index>),
    /// Looks for doomed bytes, removes them but for some that resist, and strikes off their records,
    /// unless it crashes before it can.
    Shred {
        resists: Vec<bool>,
        crashes: bool,
    },
    /// Somebody else removes the bytes of a key.
    Vanish(Index),
    Reopen,
    Later(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES;
    let until = prop_oneof![Just(None), (0..80_000_u64).prop_map(Some)];
    prop_oneof![
        4 => (name.clone(), prop_oneof![Just(1_000), Just(3_600_000)])
            .prop_map(|(name, for_ms)| Step::Begin { name, for_ms }),
        4 => any::<Index>().prop_map(Step::Complete),
        2 => name.clone().prop_map(Step::Hold),
        2 => name.clone().prop_map(Step::Release),
        1 => (name.clone(), until).prop_map(|(name, until)| Step::Retain(name, until)),
        1 => name.clone().prop_map(Step::Label),
        4 => name.prop_map(Step::Judge),
        6 => vec(any::<Index>(), 1..5).prop_map(Step::Erase),
        4 => (vec(any::<bool>(), PAGE), any::<bool>())
            .prop_map(|(resists, crashes)| Step::Shred { resists, crashes }),
        1 => any::<Index>().prop_map(Step::Vanish),
        1 => Just(Step::Reopen),
        2 => (0..50_000_u64).prop_map(Step::Later),
    ]
}

/// What there should be.
#[derive(Default)]
struct Model {
    now_ms: u64,
    rows: BTreeMap<String, Row>,
    under_way: Vec<NewObject>,
    judged: Vec<Object>,
    shreds: BTreeMap<BlobKey, Record>,
    bytes: BTreeSet<BlobKey>,
    /// The object, the decision and how many bytes were absent; latest last.
    events: Vec<(String, Uuid, u32)>,
}

struct Row {
    object: Object,
    holds: u64,
    keys: Vec<BlobKey>,
}

/// A shred record; `event` is the place of its erasure among the events.
struct Record {
    not_before_ms: u64,
    attempts: u32,
    claimed: bool,
    /// Until when whoever claimed it has it to itself.
    leased_until_ms: u64,
    event: Option<usize>,
}

impl Model {
    fn doom(&mut self, key: BlobKey, not_before_ms: u64, event: Option<usize>) {
        let record = Record {
            not_before_ms,
            attempts: 0,
            claimed: false,
            leased_until_ms: 0,
            event,
        };
        assert!(
            self.shreds.insert(key, record).is_none(),
            "a key came again"
        );
    }

    /// Counts a change; `None` if there is no such object.
    fn change(&mut self, id: &str) -> Option<&mut Row> {
        let row = self.rows.get_mut(id)?;
        row.object.version += 1;
        Some(row)
    }

    fn insert(&mut self, new: &NewObject) -> Result<(), &'static str> {
        let keys: Vec<_> = new.renditions.iter().map(|one| one.key).collect();
        let reserved = |key: &BlobKey| self.shreds.get(key).is_some_and(|record| !record.claimed);
        if !keys.iter().all(reserved) {
            return Err("reservation");
        }
        let id = new.object.target.id.clone();
        if self.rows.contains_key(&id) {
            return Err("object");
        }
        for key in &keys {
            self.shreds.remove(key);
        }
        let object = new.object.clone();
        let row = Row {
            object,
            holds: 0,
            keys,
        };
        self.rows.insert(id, row);
        Ok(())
    }

    fn erase(&mut self, erasure: &Erasure) -> Result<Vec<BlobKey>, Conflict> {
        let judged = &erasure.decision.object;
        let id = &judged.target.id;
        let row = self.rows.get(id).ok_or(Conflict::Gone)?;
        if row.holds > 0 {
            return Err(Conflict::Held);
        }
        if let Some(until) = row.object.retain_until_ms
            && until > erasure.at_ms
        {
            return Err(Conflict::RetainedUntil(until));
        }
        let is_judged = row.object.created_at_ms == judged.created_at_ms;
        if !is_judged || row.object.version != judged.version {
            return Err(Conflict::Changed);
        }
        let event = self.events.len();
        self.events.push((id.clone(), erasure.decision.id, 0));
        let row = self.rows.remove(id).unwrap();
        for key in &row.keys {
            self.doom(*key, erasure.lease_until_ms, Some(event));
        }
        Ok(row.keys)
    }

    /// The records that a look for due ones takes over.
    fn due(&self) -> Vec<(u64, BlobKey)> {
        let due = self.shreds.iter();
        let due = due.filter(|(_, record)| {
            record.not_before_ms <= self.now_ms && record.leased_until_ms <= self.now_ms
        });
        let mut due: Vec<_> = due
            .map(|(key, record)| (record.not_before_ms, *key))
            .collect();
        due.sort();
        due
    }

    fn backlog(&self, by_ms: u64) -> Backlog {
        let waits = |record: &&Record| record.not_before_ms <= by_ms || record.attempts > 0;
        let waiting = self.shreds.values().filter(waits);
        Backlog {
            due: waiting.clone().count() as u64,
            most_attempts: waiting.map(|record| record.attempts).max().unwrap_or(0),
        }
    }
}

/// The backend and what it should hold.
struct Bench {
    backend: Backend,
    /// Who removes, from one crash to the next.
    owner: Owner,
    model: Model,
}

fn id(name: usize) -> String {
    format!("p{name}")
}

impl Bench {
    fn target(&self, name: usize) -> Target {
        self.backend.target(&id(name))
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Begin { name, for_ms } => self.begin(name, for_ms).await,
            Step::Complete(which) => self.complete(which).await,
            Step::Hold(name) => {
                let expected = self.model.change(&id(name)).map(|row| row.holds += 1);
                let target = self.target(name);
                let held = self.backend.rows.place_hold(&target, "a lawsuit", 1);
                assert_eq!(held.await.is_ok(), expected.is_some());
            }
            Step::Release(name) => {
                let row = self.model.change(&id(name));
                let expected = row.map(|row| std::mem::take(&mut row.holds));
                let target = self.target(name);
                let released = self.backend.rows.release_holds(&target);
                assert_eq!(released.await.ok(), expected);
            }
            Step::Retain(name, after_ms) => {
                let until = after_ms.map(|after_ms| self.model.now_ms + after_ms);
                let change = Change {
                    retain_until_ms: Some(until),
                    ..Change::default()
                };
                let row = self.model.change(&id(name));
                let expected = row.map(|row| row.object.retain_until_ms = until);
                let target = self.target(name);
                let changed = self.backend.rows.change(&target, change);
                assert_eq!(changed.await.ok(), expected);
            }
            Step::Label(name) => {
                let change = Change {
                    labels: Some(vec!["evidence".to_owned()]),
                    ..Change::default()
                };
                let labels = change.labels.clone().unwrap();
                let row = self.model.change(&id(name));
                let expected = row.map(|row| row.object.labels = labels);
                let target = self.target(name);
                let changed = self.backend.rows.change(&target, change);
                assert_eq!(changed.await.ok(), expected);
            }
            Step::Judge(name) => {
                let found = self.backend.rows.find(&self.target(name)).await.unwrap();
                self.model.judged.extend(found);
            }
            Step::Erase(which) => self.erase(&which).await,
            Step::Shred { resists, crashes } => self.shred(&resists, crashes).await,
            Step::Vanish(which) => {
                if !self.model.bytes.is_empty() {
                    let key = *which.get(&Vec::from_iter(self.model.bytes.clone()));
                    self.model.bytes.remove(&key);
                    self.backend.blobs.remove(key).await.unwrap();
                }
            }
            Step::Reopen => self.backend.reopen(),
            Step::Later(ms) => self.model.now_ms += ms,
        }
    }

    async fn begin(&mut self, name: usize, for_ms: u64) {
        let until = self.model.now_ms + for_ms;
        let new = self
            .backend
            .new_object_until(&id(name), b"bytes", until)
            .await;
        for rendition in &new.renditions {
            self.model.doom(rendition.key, until, None);
            self.model.bytes.insert(rendition.key);
        }
        self.model.under_way.push(new);
    }

    async fn complete(&mut self, which: Index) {
        if self.model.under_way.is_empty() {
            return;
        }
        let new = self
            .model
            .under_way
            .swap_remove(which.index(self.model.under_way.len()));
        let expected = self.model.insert(&new);
        let inserted = self.backend.rows.insert(new).await;
        let inserted = inserted.map_err(|error| match error {
            StoreError::Missing { what } | StoreError::Taken { what } => what,
            other => panic!("{other}"),
        });
        assert_eq!(inserted, expected);
    }

    async fn erase(&mut self, which: &[Index]) {
        if self.model.judged.is_empty() {
            return;
        }
        let at_ms = self.model.now_ms;
        let erasure = |which: &Index| Erasure {
            decision: self.backend.allowed(which.get(&self.model.judged)),
            at_ms,
            owner: self.owner,
            lease_until_ms: at_ms + LEASE_MS,
            budget: Budget::default(),
            once: None,
        };
        let group: Vec<_> = which.iter().map(erasure).collect();
        let outcomes = self.backend.erase(&group).await;
        assert_eq!(outcomes.len(), group.len());
        for (erasure, outcome) in group.iter().zip(outcomes) {
            let outcome = outcome.map(|doomed| BTreeSet::from_iter(doomed.blobs));
            assert_eq!(outcome, self.model.erase(erasure).map(BTreeSet::from_iter));
        }
    }

    async fn shred(&mut self, resists: &[bool], crashes: bool) {
        let now_ms = self.model.now_ms;
        let until_ms = now_ms + LEASE_MS;
        let claim = Claim {
            owner: self.owner,
            by_ms: now_ms,
            until_ms,
            limit: PAGE,
        };
        let due = self.backend.rows.claim(&claim).await.unwrap();
        let expected = self.model.due();
        assert_eq!(due.len(), expected.len().min(PAGE));
        let times =
            |(expected, found): (&(u64, BlobKey), &Shred)| expected.0 == found.not_before_ms;
        assert!(expected.iter().zip(&due).all(times), "soonest first");
        let mut removed = Vec::new();
        for (shred, resists) in due.iter().zip(resists) {
            let record = self.model.shreds.get_mut(&shred.key).unwrap();
            (record.claimed, record.leased_until_ms) = (true, until_ms);
            assert_eq!(shred.attempts, record.attempts);
            if *resists {
                let later = now_ms + 500;
                (record.not_before_ms, record.attempts) = (later, record.attempts + 1);
                record.leased_until_ms = 0;
                self.backend.postpone(self.owner, shred.key, later).await;
                continue;
            }
            let removal = self.backend.blobs.remove(shred.key).await.unwrap();
            let was_there = self.model.bytes.remove(&shred.key);
            assert_eq!(removal == Removal::Removed, was_there);
            removed.push((shred.key, removal));
        }
        if crashes {
            self.owner = Owner::random();
            return self.backend.reopen();
        }
        self.backend.rows.shredded(&removed).await.unwrap();
        for (key, removal) in removed {
            let record = self.model.shreds.remove(&key).unwrap();
            if let (Some(event), Removal::Absent) = (record.event, removal) {
                self.model.events[event].2 += 1;
            }
        }
    }

    async fn check(&self) {
        let (catalogue, tenant) = (&self.backend.rows, self.backend.tenant.id);
        let listed = catalogue
            .list(tenant, Kind::Photo, None, FIRST.into())
            .await
            .unwrap();
        assert_eq!(listed.len(), self.model.rows.len());
        for stored in listed {
            let row = &self.model.rows[&stored.object.target.id];
            let held = row.holds > 0;
            let object = row.object.clone();
            assert_eq!(stored.object, Object { held, ..object });
            let keys: Vec<_> = stored.renditions.iter().map(|one| one.key).collect();
            assert_eq!(keys, row.keys);
        }
        let activity = catalogue
            .activity(tenant, None, "user-6", FIRST)
            .await
            .unwrap();
        let told = |one: &Activity| {
            (
                one.object_id.clone(),
                one.decision_id.unwrap(),
                one.bytes_absent,
            )
        };
        let told: Vec<_> = activity.iter().rev().map(told).collect();
        assert_eq!(told, self.model.events);
        let decisions = catalogue
            .decisions(tenant, &Wanted::default(), LATEST)
            .await
            .unwrap();
        let decided = BTreeSet::from_iter(decisions.iter().map(|decision| decision.id));
        assert_eq!(
            decided,
            BTreeSet::from_iter(told.iter().map(|(_, id, _)| *id))
        );
        for by_ms in [self.model.now_ms, u64::MAX] {
            let backlog = catalogue.backlog(by_ms, u32::MAX).await.unwrap();
            assert_eq!(backlog, self.model.backlog(by_ms));
        }
        for key in &self.model.bytes {
            assert!(self.backend.readable(&[*key]).await, "the bytes are gone");
            let live = catalogue.by_blob(*key).await.unwrap().is_some();
            assert_ne!(live, self.model.shreds.contains_key(key), "named once");
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn rows_and_their_model_come_to_the_same(steps in vec(step(), 1..60)) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let backend = Backend::embedded().await;
            let model = Model { now_ms: now_ms(), ..Model::default() };
            let owner = Owner::random();
            let mut bench = Bench {
                backend,
                owner,
                model,
            };
            for step in steps {
                bench.take(step).await;
                bench.check().await;
            }
        });
    }
}
