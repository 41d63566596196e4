//! Every step of the flow, made to fail, to hang, and to end the process; and what is left.
//!
//! Which steps there are is not written here: each scenario is run once with nothing going wrong, its
//! log tells what it passes, and every step it passes first is made to go wrong.

mod deed;
mod ground;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use atropos::step::Step;
use atropos::target::Kind;
use deed::{Deed, TOLD, word};
use ground::{Ground, Plot};

use crate::support::site::wait_until;
use crate::support::written::assert_written;
use crate::support::{PATIENCE, Server, Starting, at_once, root};

/// How many cases are under way at once.
const AT_ONCE: usize = 6;

/// Passed by the clock and not by a request, so that how often is not certain. They are made to go
/// wrong while the server starts.
const BY_THE_CLOCK: [Step; 4] = [
    Step::ShredHasten,
    Step::ShredLook,
    Step::ShredClaim,
    Step::WriteCheckpoint,
];

/// Passed once while a server runs, unless it fails.
const ONCE: [Step; 1] = [Step::ChainComponent];

/// Passed right after the answer is handed over, so that a process that ends there may or may not have
/// sent it.
const AS_IT_ANSWERS: [Step; 1] = [Step::ShredPostpone];

/// What comes of all cases, as it was reviewed.
const TABLE: &str = "tests/steps.md";

/// How long is waited for an answer that is not to come. One that is to come may take as long as it likes.
const MOMENT: Duration = Duration::from_secs(3);

/// No deadline interferes with what hangs.
const PATIENT: &str = "[plugin]\ndeadline-ms = 60000\n[policy]\ndeadline-ms = 60000\n\
    [http]\nrequest-timeout-ms = 60000\n[log]\nfilter = \"info,atropos::step=trace\"\n";

/// A deed, and what it happens in.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    name: &'static str,
    deed: Deed,
    /// What goes wrong besides.
    besides: &'static str,
    /// Whether a delete was cut short before, so that there is something to recover.
    doomed: bool,
}

const SCENARIOS: [Scenario; 11] = [
    scenario("delete of a photo", Deed::Delete(Kind::Photo), ""),
    scenario("delete of a document", Deed::Delete(Kind::Document), ""),
    scenario(
        "delete whose bytes resist at first",
        Deed::Delete(Kind::Photo),
        "bytes.unlink=2*return",
    ),
    scenario("delete of a photo with a key", Deed::Once, ""),
    scenario("delete that a policy denies", Deed::Denied, ""),
    scenario("the same with a key", Deed::DeniedOnce, ""),
    scenario("upload of a photo", Deed::Upload, ""),
    scenario(
        "upload that cannot be written",
        Deed::Upload,
        "put.sync=return",
    ),
    scenario("download of a photo", Deed::Read, ""),
    scenario("long list of photos", Deed::List, ""),
    Scenario {
        name: "start after a delete was cut short",
        deed: Deed::Start,
        besides: "",
        doomed: true,
    },
];

const fn scenario(name: &'static str, deed: Deed, besides: &'static str) -> Scenario {
    Scenario {
        name,
        deed,
        besides,
        doomed: false,
    }
}

/// What goes wrong at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Error,
    Hang,
    Kill,
    /// The step is passed once, and ends the process the next time.
    KillLater,
}

const HOWS: [How; 4] = [How::Error, How::Hang, How::Kill, How::KillLater];

/// One step that goes wrong in one way.
struct Case {
    scenario: Scenario,
    step: Step,
    /// How often the step is passed before the deed.
    before: usize,
    /// How often the deed passes it.
    with: usize,
    how: How,
}

/// What came of it, in the words under the table.
struct Cell {
    told: &'static str,
    left: &'static str,
    again: &'static str,
}

/// The other words of the table.
const WORDS: [(&str, &str); 10] = [
    ("cut off", "no answer: the process was gone"),
    (
        "waits",
        "no answer while it hangs; `plugin.deadline-ms` and `http.request-timeout-ms` end the wait",
    ),
    (
        "either",
        "the process ended as it answered, so that there may be an answer or none",
    ),
    ("listening", "the server came to serve"),
    (
        "ended",
        "the process ended, before or just after the server came to serve",
    ),
    (
        "stuck",
        "something hung while the server started, before or behind its serving",
    ),
    ("intact", "row, bytes, and no event"),
    (
        "gone",
        "no row, and once nothing is under way no bytes, no shred record, and one event",
    ),
    ("whole", "what was uploaded is there to the last byte"),
    ("nothing", "nothing is left of the upload"),
];

impl Scenario {
    fn ground<'a>(&self, fresh: &'a Ground, doomed: &'a Ground) -> &'a Ground {
        if self.doomed { doomed } else { fresh }
    }

    fn starting(&self, plot: &Plot, told: &str) -> Starting {
        let points = format!("{};{told}", self.besides);
        let config = plot.config(PATIENT);
        let variables = [("FAILPOINTS", &*points)];
        Starting::new(&plot.data_dir(), &["--config", &config], &variables)
    }

    /// What it passes when nothing else goes wrong, and how often: before the deed, and with it.
    fn passes(&self, ground: &Ground) -> (BTreeMap<Step, usize>, BTreeMap<Step, usize>) {
        let plot = ground.copy();
        let started = self.starting(&plot, "").ready();
        let server = Plot::token(started.unwrap_or_else(|log| panic!("no server: {log}")));
        wait_until("all is logged", || {
            server.whole_log().contains("atropos is ready")
        });
        let early = passed(&server.whole_log());
        self.deed.ask(&server, 0);
        wait_until("it is done", || self.deed.settled(&plot, 1));
        let all = passed(&server.last_log());
        if self.deed == Deed::Start {
            return (BTreeMap::new(), all);
        }
        let more = |(step, times)| (step, times - early.get(&step).copied().unwrap_or_default());
        let by_the_deed =
            |(step, times): &(Step, usize)| *times > 0 && !BY_THE_CLOCK.contains(step);
        let with = all.into_iter().map(more).filter(by_the_deed).collect();
        (early, with)
    }
}

/// How often a log tells that each step was passed.
fn passed(log: &str) -> BTreeMap<Step, usize> {
    let times = |step: &Step| log.matches(&format!("passed step=\"{step}\"\n")).count();
    let counted = Step::ALL.iter().map(|step| (*step, times(step)));
    counted.filter(|(_, times)| *times > 0).collect()
}

impl Case {
    /// What to tell the crate `fail`.
    fn points(&self) -> String {
        let (step, before) = (self.step, self.before);
        let (skipped, what) = match self.how {
            How::Error => (before, "1*return"),
            How::Hang => (before, "return(hang)"),
            How::Kill => (before, "return(kill)"),
            How::KillLater if self.retried() => (before, "1*return->return(kill)"),
            How::KillLater => (before + 1, "return(kill)"),
        };
        match skipped {
            0 => format!("{step}={what}"),
            _ => format!("{step}={skipped}*off->{what}"),
        }
    }

    /// Whether there is no second time, unless the first one fails.
    fn retried(&self) -> bool {
        self.scenario.deed == Deed::Start || ONCE.contains(&self.step)
    }

    /// Whether the reviewed table says that it answers although the step hangs.
    fn answers(&self) -> bool {
        let name = format!("## {}", self.scenario.name);
        let row = format!("| {} |", self.step);
        let reviewed = std::fs::read_to_string(root().join(TABLE)).unwrap_or_default();
        let mut rows = reviewed.lines().skip_while(|line| *line != name);
        let cells = rows.find(|line| line.starts_with(&row));
        let hang = cells.and_then(|cells| cells.split(" | ").nth(2));
        hang.is_some_and(|cell| !cell.starts_with("waits"))
    }

    fn dies(&self) -> bool {
        matches!(self.how, How::Kill | How::KillLater)
    }

    /// Whether the log of a living server tells that it went wrong.
    fn told(&self, log: &str) -> bool {
        let what = match self.how {
            How::Error => "fail",
            How::Hang => "hang",
            How::Kill | How::KillLater => return false,
        };
        log.contains(&format!("told to {what} step={}\n", self.step))
    }

    fn run(&self, ground: &Ground) -> Cell {
        let (plot, deed) = (ground.copy(), self.scenario.deed);
        let starting = self.scenario.starting(&plot, &self.points());
        let (mut told, mut left, mut time) = ("stuck", None, 0);
        if self.how == How::Hang && deed == Deed::Start {
            wait_until("it hangs", || self.told(&starting.log()));
            starting.kill();
        } else {
            match starting.ready() {
                Ok(server) if self.how == How::Hang => {
                    let seen;
                    (told, seen) = self.hang(Plot::token(server), &plot);
                    left = Some(seen);
                }
                Ok(server) => {
                    let seen;
                    (told, seen, time) = self.trouble(Plot::token(server), &plot);
                    left = Some(seen);
                }
                Err(log) => {
                    assert_eq!(deed, Deed::Start, "{log}");
                    told = "ended";
                }
            }
        }
        plot.check_still();
        let left = left.unwrap_or_else(|| deed.left(&plot, time));
        if deed == Deed::Upload {
            plot.let_reservations_pass();
        }

        let server = Server::start(&plot.data_dir(), &["--config", &plot.config(PATIENT)]);
        let server = Plot::token(server);
        plot.settle();
        plot.check_settled(&server);
        let again = word(&deed.again().ask(&server, time));
        plot.settle();
        plot.check_settled(&server);
        let truth = deed.truth(left);
        assert_eq!(again, truth, "the repetition is not told the truth");
        Cell { told, left, again }
    }

    /// Asks until it goes wrong, and ends the server. Says what was told last, what was left, and at
    /// which time.
    fn trouble(&self, mut server: Server, plot: &Plot) -> (&'static str, &'static str, usize) {
        let deed = self.scenario.deed;
        let wrong = |server: &mut Server| match self.dies() {
            true => server.ended(),
            false => self.told(&server.whole_log()),
        };
        // A deed that passes the step twice needs no second one, however late it does.
        let twice = self.how == How::KillLater && deed != Deed::Start && self.with == 1;
        let times = if twice { 2 } else { 1 };
        let mut last = ("stuck", 0);
        for time in 0..times {
            let answer = deed.ask(&server, time);
            last = (word(&answer), time);
            if deed == Deed::Start {
                last.0 = "listening";
            }
            let started = Instant::now();
            while !wrong(&mut server) {
                assert!(started.elapsed() < PATIENCE, "{} is not passed", self.step);
                std::thread::sleep(Duration::from_millis(10));
                let done = match last.0 {
                    "cut off" => false,
                    "unavailable" => true,
                    _ => deed.settled(plot, time + 1),
                };
                if time + 1 < times && done {
                    break;
                }
            }
            if wrong(&mut server) {
                break;
            }
            self.acknowledged(last.0, plot, time);
        }
        assert!(wrong(&mut server), "{} is not passed", self.step);
        let (mut told, time) = last;
        self.acknowledged(told, plot, time);
        let left = deed.left(plot, time);
        if self.dies() && AS_IT_ANSWERS.contains(&self.step) {
            told = "either";
        }
        if self.dies() && deed == Deed::Start {
            // Whether it came to listen first is chance.
            told = "ended";
        }
        if self.how == How::Error {
            self.heals(&server, plot);
        }
        server.kill();
        (told, left, time)
    }

    /// Asks until it hangs, and ends the server. Says what was told and what was left.
    fn hang(&self, server: Server, plot: &Plot) -> (&'static str, &'static str) {
        let deed = self.scenario.deed;
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| deed.ask(&server, 0));
            wait_until("it hangs", || self.told(&server.whole_log()));
            let since = Instant::now();
            let patience = if self.answers() { PATIENCE } else { MOMENT };
            while !asked.is_finished() && since.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(Plot::lives(&server), "one hang stops everything");
            let left = deed.left(plot, 0);
            let answered = asked.is_finished();
            server.signal("KILL");
            let answer = asked.join().expect("a caller");
            let told = if answered { word(&answer) } else { "waits" };
            self.acknowledged(told, plot, 0);
            (told, left)
        })
    }

    /// Success is told only of what is done.
    fn acknowledged(&self, told: &str, plot: &Plot, time: usize) {
        let deed = self.scenario.deed;
        if told == "done" {
            let done = match deed {
                Deed::Delete(_) | Deed::Once => "gone",
                Deed::Upload => "whole",
                _ => return,
            };
            assert_eq!(deed.left(plot, time), done, "told of success");
        }
    }

    /// After an error everything goes on without a restart.
    fn heals(&self, server: &Server, plot: &Plot) {
        match self.scenario.deed {
            Deed::Start => plot.settle(),
            // What goes wrong besides goes on.
            _ if !self.scenario.besides.is_empty() => {}
            deed => {
                let other = deed.ask(server, 1);
                assert_eq!(word(&other), deed.truth("intact"), "it does not heal");
            }
        }
    }
}

#[test]
fn whichever_step_fails_hangs_or_is_cut_short_nothing_is_lost() {
    let started = Instant::now();
    let fresh = Ground::prepare();
    let doomed = fresh.doom();
    let mut cases = Vec::new();
    let mut seen = BTreeSet::new();
    let passes = at_once(AT_ONCE, &SCENARIOS, |scenario| {
        scenario.passes(scenario.ground(&fresh, &doomed))
    });
    for (scenario, (before, with)) in SCENARIOS.into_iter().zip(passes) {
        let mut new = |step: &Step| seen.insert((scenario.deed.surface(), *step));
        for (step, with) in with.into_iter().filter(|(step, _)| new(step)) {
            let before = before.get(&step).copied().unwrap_or_default();
            cases.extend(HOWS.map(|how| Case {
                scenario,
                step,
                before,
                with,
                how,
            }));
        }
    }
    let missed = |step: &&Step| !seen.iter().any(|(_, seen)| seen == *step);
    let missed: Vec<_> = Step::ALL.iter().filter(missed).collect();
    assert!(missed.is_empty(), "no scenario passes {missed:?}");
    let cells = at_once(AT_ONCE, &cases, |case| {
        let ground = case.scenario.ground(&fresh, &doomed);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.run(ground)))
    });
    let failed: Vec<_> = cases
        .iter()
        .zip(&cells)
        .filter(|(_, cell)| cell.is_err())
        .collect();
    for (case, _) in &failed {
        eprintln!(
            "failed: {}, {}, {:?}",
            case.scenario.name, case.step, case.how
        );
    }
    assert!(failed.is_empty(), "{} cases failed", failed.len());
    let cells: Vec<_> = cells.into_iter().flatten().collect();
    let table = table(&cases, &cells);
    eprintln!(
        "{table}\n{} cases in {:.0?}",
        cases.len(),
        started.elapsed()
    );
    assert_written(TABLE, &table);
}

/// The table as it stands in the repository.
fn table(cases: &[Case], cells: &[Cell]) -> String {
    let mut text = "# What becomes of a request when a step goes wrong\n\n\
        Written by the test in `steps.rs`; `ATROPOS_BLESS=1` writes it anew.\n"
        .to_owned();
    let mut name = "";
    for (cases, cells) in cases.chunks(HOWS.len()).zip(cells.chunks(HOWS.len())) {
        if cases[0].scenario.name != name {
            name = cases[0].scenario.name;
            let columns =
                "| step | error | hang | kill | kill the next time |\n|---|---|---|---|---|";
            let _ = write!(text, "\n## {name}\n\n{columns}\n");
        }
        let _ = write!(text, "| {} |", cases[0].step);
        for Cell { told, left, again } in cells {
            let _ = write!(text, " {told} · {left} · {again} |");
        }
        text.push('\n');
    }
    text += "\n## The words\n\nEach cell: what the caller was told · what was left · what the caller \
        was told who asked again, after a restart.\n\n";
    let words = TOLD.iter().map(|(_, word, meaning)| (*word, *meaning));
    for (word, meaning) in words.chain(WORDS).collect::<BTreeMap<_, _>>() {
        let _ = writeln!(text, "- **{word}**: {meaning}.");
    }
    text
}
