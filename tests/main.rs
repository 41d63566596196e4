//! The tests of the whole: one binary, a file a theme.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::type_complexity,
    reason = "a table says the type of its cases once"
)]

// What each verb answers with `--json`, recorded.
mod answers;
// Who may do what: a row for each endpoint and verb, a column for each sort of caller.
mod authorization;
// Policies from their author's hand: new, tried, measured, and in three languages.
mod authoring;
// Backups: made beside a load, verified, put back, cut short.
mod backup;
// How many deletes tenants and callers may have.
mod budgets;
// A mixed load, the power goes, and a model says what may be left.
mod campaign;
// Chains that are changed: deployed, taken back, tried beside others, held to a replay.
mod chains;
// Clocks that are set.
mod clocks;
// The command line: exit codes, JSON, secrets, and the server beside it.
mod commands;
// What any storage must do, tried over three.
mod conformance;
// A machine that denies: directories, executable memory, address space.
mod constrained;
// The contract: what may change of it, what is kept of it, and who meets it.
mod contract;
// The power goes in the middle.
mod crashes;
// Rows that are damaged, and panics: each fails its own request.
mod damaged_rows;
// Decisions on record: there before the answer, found, explained and exported.
mod decisions;
// The two documented calls, as documented.
mod deletes;
// What has come apart between rows and bytes.
mod doctor;
// The example, whose platform in memory the tests use.
#[allow(dead_code, reason = "an example prints")]
#[path = "../host/atropos/examples/embed/main.rs"]
mod embed;
// The crate in a platform that has storage and accounts of its own.
mod embedding;
// Disks that are full or cannot be written, databases that are locked or damaged.
mod faults;
// Credentials that are guessed at.
mod guessing;
// Components that keep failing, held off for a while.
mod holding_off;
// The house: directions, sizes, and words that must agree.
mod house;
// Lists that are long, paged, deleted from meanwhile, and asked for by many.
mod lists;
// Components on their way from a digest to an instance: compiled, kept on disk, loaded, let go.
mod loading;
// A log that nobody takes: its lines are lost, and nothing else.
mod logging;
// Many who hold on, and some who take their time.
mod load;
// What many tenants cost that have policies of their own.
mod many_tenants;
// How much memory large files take.
mod memory;
// Guests that misbehave, and what becomes of them.
mod misbehaving;
// What misbehaving guests cost the neighbours of their tenant.
mod neighbours;
// The tasks and threads that live as long as a server: each panics, and goes on.
mod parts;
// Plugins and policies from files: chosen, checked, refused, and failing for one tenant alone.
mod plugins;
// Chains that allow and refuse, swapped under a running server; holds and retention dates.
mod policies;
// What happens to an object between its decision and its end.
mod races;
// Reads that are under way while their object is erased.
mod reading;
// The power is lost: what the kernel had not written is gone, too.
mod power;
// Data directories, which are for their owner alone.
mod private;
// Ready means that a delete would be served.
mod readiness;
// Recorded decisions, judged again.
mod replay;
// Files that nothing names: set aside, brought back, and erased when their period is over.
mod quarantine;
// Requests that delete nothing, and the exact answers to them.
mod requests;
// Deletes that have a key, repeated.
mod retries;
// The server in operation: its end, its probes, clients that hang up.
mod serving;
// What an operator sees at a glance.
mod status;
// Every step of the flow, made to fail, to hang, and to end the process.
mod steps;
// The real binary, and the words to speak with it.
mod support;
// Components that are swapped under a load, again and again.
mod swaps;
// Text from guests: one plain line wherever it goes, and nobody's fault.
mod texts;
// How long answers take that must look alike.
mod timing;
// The plugin, which all tenants share: who is held off when it fails, and who is not.
mod shared_plugin;
// Chains that are tried beside others: what waits for a slow one, and what is passed over.
mod shadows;
// What one tenant's slow policies leave to the others.
mod slow_tenants;
mod small_machine;
// What is left of a name in the files.
mod traces;
// Requests that are too large, and ids and links that lead elsewhere.
mod trespass;
// The place of the bytes and the files of the database: missing, another's, taken away and put back.
mod volumes;
// What one who takes all that it can get costs another tenant, measured.
mod who_pays;
