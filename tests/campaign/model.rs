//! What must be true of a server, by what its clients were told: a history of overlapping calls, each
//! held against all others.
//!
//! Nobody knows when within a call it took effect. So what a call saw must have been possible at some
//! time between its start and its end, and what was certain for all of that time must show.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// From when until when a call was under way. One that was never answered ends when the server was
/// certainly dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: Instant,
    pub(super) end: Instant,
}

impl Span {
    fn before(self, other: Self) -> bool {
        self.end < other.start
    }

    /// Whether anything of it can have come before the other's end.
    fn begins_before_the_end_of(self, other: Self) -> bool {
        self.start <= other.end
    }
}

/// Something that an operator turns on and off, one call after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch {
    on: bool,
    turns: Vec<(Span, bool)>,
}

impl Switch {
    pub(super) fn turn(&mut self, span: Span, on: bool) {
        self.turns.push((span, on));
    }

    /// How it stands now.
    pub(super) fn stands(&self) -> bool {
        self.turns.last().map_or(self.on, |(_, on)| *on)
    }

    /// Whether it can have been so at some time of a call.
    pub(super) fn possibly(&self, on: bool, call: Span) -> bool {
        let mut before = self.on;
        for (span, turned) in &self.turns {
            // It stood so from the last turn's start at the earliest until this one's end at the latest.
            if before == on && call.start <= span.end {
                return true;
            }
            if call.end < span.start {
                return false;
            }
            before = *turned;
        }
        before == on
    }

    fn turned_during(&self, call: Span) -> bool {
        let overlaps = |span: Span| span.start <= call.end && call.start <= span.end;
        self.turns.iter().any(|(span, _)| overlaps(*span))
    }

    /// A new history begins.
    fn rest(&mut self) {
        self.on = self.stands();
        self.turns.clear();
    }
}

/// What a delete was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Erased,
    NotFound,
    Denied,
    /// A hold or a retention date.
    Kept,
    /// The object kept changing.
    Changed,
    /// Nothing: the server died.
    Nothing,
}

/// One object, and all that was done to it in this round.
#[derive(Clone, Debug, Default)]
pub(super) struct Thing {
    pub(super) hold: Switch,
    pub(super) retained: Switch,
    /// When its upload was under way, if it was in this round.
    uploaded: Option<Span>,
    deletes: Vec<(Span, Told)>,
    /// Somebody saw it, or touched it.
    seen: Vec<Span>,
    /// Somebody was told that it is not there.
    missed: Vec<Span>,
    /// It was gone before this round.
    buried: bool,
}

impl Thing {
    pub(super) fn delete(&mut self, span: Span, told: Told) {
        self.deletes.push((span, told));
    }

    pub(super) fn look(&mut self, span: Span, there: bool) {
        match there {
            true => self.seen.push(span),
            false => self.missed.push(span),
        }
    }

    /// Whether it was gone before this round.
    pub(super) fn buried(&self) -> bool {
        self.buried
    }

    /// Whether its delete was acknowledged, in this round or before.
    pub(super) fn acknowledged(&self) -> bool {
        self.buried || self.deletes.iter().any(|(_, told)| *told == Told::Erased)
    }

    /// Whether somebody asked for its delete and was never answered.
    pub(super) fn in_doubt(&self) -> bool {
        let nothing = |told: &Told| *told == Told::Nothing;
        !self.acknowledged() && self.deletes.iter().any(|(_, told)| nothing(told))
    }

    /// Whether a delete under way then may have taken effect.
    fn erasable(&self, denied: &Switch, call: Span) -> bool {
        let free = |switch: &Switch| switch.possibly(false, call);
        free(&self.hold) && free(&self.retained) && free(denied)
    }

    /// Whether it can have been gone before the end of a call, by another delete than that call.
    fn possibly_gone(&self, denied: &Switch, call: Span) -> bool {
        let effective = |(span, told): &(Span, Told)| match told {
            Told::Erased => span.begins_before_the_end_of(call),
            Told::Nothing => span.begins_before_the_end_of(call) && self.erasable(denied, *span),
            _ => false,
        };
        self.buried || self.deletes.iter().any(effective)
    }

    /// Whether it must have been there for all of a call.
    pub(super) fn certainly_there(&self, denied: &Switch, call: Span) -> bool {
        let there = self.uploaded.is_none_or(|upload| upload.before(call));
        there && !self.possibly_gone(denied, call)
    }

    /// Whether it must have been gone for all of a call.
    pub(super) fn certainly_gone(&self, call: Span) -> bool {
        let done = |(span, told): &(Span, Told)| *told == Told::Erased && span.before(call);
        self.buried || self.deletes.iter().any(done)
    }

    /// What the history of this round says that cannot be; `left` is what was found afterwards.
    pub(super) fn divergences(&self, denied: &Switch, left: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut erased = u32::from(self.buried);
        for (span, told) in &self.deletes {
            let span = *span;
            let possible = match told {
                Told::Erased => {
                    erased += 1;
                    self.erasable(denied, span) && !self.buried
                }
                Told::NotFound => self.possibly_gone(denied, span),
                Told::Denied => denied.possibly(true, span),
                Told::Kept => self.hold.possibly(true, span) || self.retained.possibly(true, span),
                Told::Changed => self.hold.turned_during(span) || self.retained.turned_during(span),
                Told::Nothing => true,
            };
            if !possible {
                wrong.push(format!("a delete was told {told:?}"));
            }
        }
        if erased > 1 {
            wrong.push(format!("its delete was acknowledged {erased} times"));
        }
        if self.seen.iter().any(|span| self.certainly_gone(*span)) {
            wrong.push("it was seen after its delete was acknowledged".to_owned());
        }
        let certainly = |span: &Span| self.certainly_there(denied, *span);
        if self.missed.iter().any(certainly) {
            wrong.push("it was missed while nobody had deleted it".to_owned());
        }
        if left && self.acknowledged() {
            wrong.push("its delete was acknowledged, and it is back".to_owned());
        }
        let effective = |(span, told): &(Span, Told)| {
            *told == Told::Erased || *told == Told::Nothing && self.erasable(denied, *span)
        };
        if !left && !self.buried && !self.deletes.iter().any(effective) {
            wrong.push("it is gone, and nobody can have deleted it".to_owned());
        }
        wrong
    }
}

/// All that the clients know.
#[derive(Default)]
pub(super) struct Model {
    pub(super) things: BTreeMap<String, Thing>,
    /// Whether the policy denies everything.
    pub(super) denied: Switch,
}

impl Model {
    pub(super) fn thing(&mut self, id: &str) -> &mut Thing {
        self.things.get_mut(id).expect("a known object")
    }

    /// An upload was acknowledged, or found after the crash.
    pub(super) fn add(&mut self, id: &str, uploaded: Span) {
        let thing = Thing {
            uploaded: Some(uploaded),
            ..Thing::default()
        };
        let known = self.things.insert(id.to_owned(), thing);
        assert!(known.is_none(), "two objects have the id {id}");
    }

    /// What is expected of a delete while nothing else is under way.
    pub(super) fn truth(&self, id: &str) -> Told {
        let thing = self.things.get(id).expect("a known object");
        if thing.buried {
            Told::NotFound
        } else if thing.hold.stands() || thing.retained.stands() {
            Told::Kept
        } else if self.denied.stands() {
            Told::Denied
        } else {
            Told::Erased
        }
    }

    /// The round is over, and what is left is known.
    pub(super) fn rest(&mut self, left: impl Fn(&str) -> bool) {
        self.denied.rest();
        for (id, thing) in &mut self.things {
            thing.buried = !left(id);
            thing.uploaded = None;
            thing.deletes.clear();
            thing.seen.clear();
            thing.missed.clear();
            thing.hold.rest();
            thing.retained.rest();
        }
    }
}

fn spans() -> impl Fn(u64, u64) -> Span {
    let zero = Instant::now();
    let at = move |ms| zero + Duration::from_millis(ms);
    move |start, end| Span {
        start: at(start),
        end: at(end),
    }
}

#[test]
fn a_switch_is_certain_between_turns_and_either_during_one() {
    let span = spans();
    let mut switch = Switch::default();
    switch.turn(span(10, 20), true);
    switch.turn(span(50, 60), false);
    let table = [
        (span(0, 5), [true, false]),
        (span(0, 15), [true, true]),
        (span(15, 30), [true, true]),
        (span(30, 40), [false, true]),
        (span(30, 55), [true, true]),
        (span(70, 80), [true, false]),
    ];
    for (call, [off, on]) in table {
        assert_eq!(switch.possibly(false, call), off, "{call:?}");
        assert_eq!(switch.possibly(true, call), on, "{call:?}");
    }
}

/// What is done to an object and what is left, and what is wrong with that.
type History = (
    &'static str,
    fn(&mut Thing, &mut Switch, &dyn Fn(u64, u64) -> Span),
    bool,
);

#[test]
fn the_model_notices_whatever_cannot_be() {
    use Told::*;
    let table: [History; 14] = [
        ("", |thing, _, at| thing.delete(at(0, 9), Erased), false),
        ("", |thing, _, at| thing.delete(at(0, 9), Nothing), false),
        ("", |thing, _, at| thing.delete(at(0, 9), Nothing), true),
        (
            "",
            |thing, _, at| {
                thing.delete(at(0, 9), Erased);
                thing.delete(at(5, 12), NotFound);
            },
            false,
        ),
        (
            "is back",
            |thing, _, at| thing.delete(at(0, 9), Erased),
            true,
        ),
        ("nobody can have deleted it", |_, _, _| {}, false),
        (
            "told NotFound",
            |thing, _, at| thing.delete(at(0, 9), NotFound),
            true,
        ),
        (
            "told Denied",
            |thing, _, at| thing.delete(at(0, 9), Denied),
            true,
        ),
        (
            "told Kept",
            |thing, _, at| thing.delete(at(0, 9), Kept),
            true,
        ),
        (
            "told Erased",
            |thing, denied, at| {
                denied.turn(at(0, 1), true);
                thing.delete(at(2, 9), Erased);
            },
            false,
        ),
        (
            "told Erased",
            |thing, _, at| {
                thing.hold.turn(at(0, 1), true);
                thing.delete(at(2, 9), Erased);
                thing.hold.turn(at(10, 11), false);
            },
            false,
        ),
        (
            "nobody can have deleted it",
            |thing, _, at| {
                thing.hold.turn(at(0, 1), true);
                thing.delete(at(2, 9), Nothing);
            },
            false,
        ),
        (
            "acknowledged 2 times",
            |thing, _, at| {
                thing.delete(at(0, 9), Erased);
                thing.delete(at(0, 9), Erased);
            },
            false,
        ),
        (
            "seen after",
            |thing, _, at| {
                thing.delete(at(0, 9), Erased);
                thing.look(at(10, 11), true);
            },
            false,
        ),
    ];
    for (index, (expected, history, left)) in table.into_iter().enumerate() {
        let span = spans();
        let (mut thing, mut denied) = (Thing::default(), Switch::default());
        history(&mut thing, &mut denied, &span);
        let wrong = thing.divergences(&denied, left).join("; ");
        let told = wrong.contains(expected) && wrong.is_empty() == expected.is_empty();
        assert!(told, "case {index}: {wrong:?} for {expected:?}");
    }
}
