//! Components on their way from a digest to an instance: compiled within bounds, kept on disk, loaded
//! when they are needed, let go when there are too many.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atropos::domain::PolicyLimits;
use atropos::error::Refused;
use atropos::guest::{ALLOW_ALL, COMPILE_VERB, GuestError, Report, Stock};
use atropos_service::config::{Components, Config, GuestLimits};
use atropos_test_guests as guests;
use tempfile::TempDir;

use crate::support::demo::{Demo, deleted, refused, sunset};
use crate::support::forge::{laborious, with_section};
use crate::support::site::Site;
use crate::support::stage::{Stage, patient};
use crate::support::{PATIENCE, TENANT, files, verb};

/// One of many components that do the same.
fn numbered(component: &[u8], number: u64) -> Vec<u8> {
    with_section(component, &number.to_be_bytes())
}

/// How components are loaded by the program: compiled by it, kept on disk.
fn as_the_program(folder: &TempDir) -> Components {
    Components {
        worker: Some(env!("CARGO_BIN_EXE_atropos").into()),
        cache: Some(folder.path().join("components")),
        ..Components::default()
    }
}

fn stage(components: Components) -> Stage {
    Stage::with(&Config {
        components,
        ..patient()
    })
}

fn stock(stage: &Stage) -> Stock {
    stage.atropos.sandbox().stock()
}

async fn check(stage: &Stage, component: &[u8]) -> Result<Report, GuestError> {
    let limits = PolicyLimits::default();
    stage.atropos.sandbox().check(component, limits).await
}

/// A program in the place of the one that compiles.
fn script(folder: &TempDir, lines: &str) -> PathBuf {
    let file = folder.path().join("worker");
    std::fs::write(&file, format!("#!/bin/sh\n{lines}\n")).expect("a script");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o700)).expect("its mode");
    file
}

/// An error with its causes and the remedy.
fn one_line(error: &GuestError) -> String {
    let mut line = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    format!("{line}; {}", error.remedy().unwrap_or_default())
}

#[tokio::test]
async fn whoever_starts_again_compiles_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    let components: Vec<_> = (0..20).map(|nth| numbered(guests::DENY_ALL, nth)).collect();
    for (compiled, from_disk) in [(20, 0), (0, 20)] {
        let stage = stage(as_the_program(&folder));
        for component in &components {
            check(&stage, component).await.expect("a policy");
            check(&stage, component).await.expect("the same again");
        }
        let stock = stock(&stage);
        let came = (stock.compiled, stock.from_disk);
        assert_eq!(came, (compiled, from_disk));
        assert_eq!(stock.loaded, 20);
    }
}

#[test]
fn what_a_verb_has_compiled_the_server_loads_from_disk() {
    let site = Site::new();
    let server = site.serve();
    let file = site.folder().join("mine.wasm");
    std::fs::write(&file, numbered(guests::DENY_ALL, 7)).expect("a component");
    let policy = format!("--policy={}", file.display());
    verb(
        &site.data_dir(),
        &["policy", "assign", "--tenant", TENANT, &policy],
    );
    let guid = server.upload_document("a.txt", b"bytes");
    let started = Instant::now();
    while server.delete_document(&guid).0 != 403 {
        assert!(started.elapsed() < PATIENCE, "not in force");
    }
    let status = verb(&site.data_dir(), &["status"]);
    let components = &status["server"]["components"];
    let built_in = atropos::guest::BUILT_IN_POLICIES.len() + 1;
    assert_eq!(
        components["compiled"], built_in,
        "not the policy: {components}"
    );
    assert_eq!(components["fromDisk"], 1, "the policy: {components}");
    let metrics = server.get("/metrics").text().expect("text");
    for line in [
        "atropos_components_loaded_total{from=\"disk\"} 1",
        &format!("atropos_components_loaded {}", built_in + 1),
        "atropos_components_compiling 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// What becomes of a delete once its policy is ready, however busy the machine is.
async fn once_compiled(stage: &Stage) -> Result<(), Refused> {
    let started = Instant::now();
    loop {
        match stage.delete("p-1").await {
            Err(refused) if refused.to_string().contains("compiling") => {
                assert!(started.elapsed() < PATIENCE, "{refused}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            done => return done,
        }
    }
}

#[test]
fn what_comes_with_the_program_is_compiled_before_the_server_is_ready() {
    let demo = Demo::start();
    let metrics = demo.server.get("/metrics").text().expect("text");
    let compiled = r#"atropos_components_loaded_total{from="compiler"} "#;
    let compiled = metrics.lines().find_map(|line| line.strip_prefix(compiled));
    let policies = atropos::guest::BUILT_IN_POLICIES.len();
    let plugin = 1;
    assert_eq!(compiled, Some((policies + plugin).to_string().as_str()));
}

#[tokio::test]
async fn a_damaged_image_is_compiled_again() {
    let folder = tempfile::tempdir().expect("a directory");
    check(&stage(as_the_program(&folder)), ALLOW_ALL.1)
        .await
        .expect("a policy");
    for image in files(&folder.path().join("components")) {
        let mut bytes = std::fs::read(&image).expect("an image");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x80;
        std::fs::write(&image, bytes).expect("another image");
    }
    let stage = stage(as_the_program(&folder));
    let outcome = once_compiled(&stage).await;
    outcome.expect("it is compiled again");
    assert_eq!(stock(&stage).from_disk, 0);
}

#[tokio::test]
async fn of_many_who_want_one_component_one_compiles_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let stage = Arc::new(stage(as_the_program(&folder)));
    stage.assign("deny-all", guests::DENY_ALL);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let stage = Arc::clone(&stage);
        requests.spawn(async move { stage.delete("p-1").await });
    }
    requests.join_all().await;
    assert_eq!(stock(&stage).compiled, 2, "the plugin and the policy");
    assert_eq!(stage.verdicts().await, ["denied"; 50]);
}

#[tokio::test]
async fn whatever_does_not_compile_is_refused_with_a_code_of_its_own_and_harms_nothing_else() {
    let folder = tempfile::tempdir().expect("a directory");
    let usual = as_the_program(&folder);
    let images_of_the_rest = once_compiled(&stage(usual.clone())).await;
    images_of_the_rest.expect("it allows");
    let in_time = Components {
        deadline_ms: 1,
        ..usual.clone()
    };
    let deny_all = numbered(guests::DENY_ALL, 1);
    let table = [
        (in_time.clone(), laborious(), "policy-compile-deadline"),
        (
            Components {
                worker: None,
                ..in_time
            },
            laborious(),
            "policy-compile-deadline",
        ),
        (
            Components {
                compiler_memory_bytes: 32 << 20,
                ..usual.clone()
            },
            deny_all.clone(),
            "policy-compile-crash",
        ),
        (
            Components {
                max_bytes: 100,
                ..usual.clone()
            },
            deny_all.clone(),
            "policy-too-large",
        ),
        (
            Components {
                worker: Some("/no/such/program".into()),
                ..usual
            },
            deny_all,
            "policy-compiling",
        ),
    ];
    for (components, policy, code) in table {
        let stage = stage(components);
        stage.memory.add_photo("u-1001", "p-2", b"bytes");
        stage.assign("deny-all", &policy);
        stage.delete("p-1").await.expect_err(code);
        stage.memory.assign("allow-all", "{}");
        stage.delete("p-2").await.expect("what is compiled judges");
        // A decision that allows is recorded with what it erases, another one when there is time.
        let mut verdicts = stage.verdicts().await;
        verdicts.sort();
        assert_eq!(verdicts, ["allowed", code]);
    }
}

#[test]
fn a_compiler_without_enough_memory_never_calls_it_the_fault_of_the_machine() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("deny-all.wasm");
    std::fs::write(&file, guests::DENY_ALL).expect("a component");
    // Where memory ends depends on where the system puts things.
    for _ in 0..30 {
        let mut compiler = Command::new(env!("CARGO_BIN_EXE_atropos"));
        compiler.args([COMPILE_VERB, &(32 << 20).to_string(), "600000"]);
        compiler.stdin(File::open(&file).expect("a component"));
        let ended = compiler.output().expect("the binary runs").status;
        assert!(!matches!(ended.code(), Some(0 | 1 | 3)), "{ended}");
    }
}

#[tokio::test]
async fn a_compiler_that_does_not_end_is_ended_at_the_deadline() {
    let folder = tempfile::tempdir().expect("a directory");
    let pid = folder.path().join("pid");
    let worker = script(
        &folder,
        &format!("echo $$ > {}\nexec sleep 1000", pid.display()),
    );
    let stage = stage(Components {
        worker: Some(worker),
        deadline_ms: 300,
        ..Components::default()
    });
    let started = Instant::now();
    let refused = check(&stage, ALLOW_ALL.1).await.expect_err("too slow");
    assert!(started.elapsed() < PATIENCE, "the worker sleeps for longer");
    assert!(one_line(&refused).contains("within 300 ms"));
    let pid = std::fs::read_to_string(pid).expect("it ran");
    assert!(
        !Path::new("/proc").join(pid.trim()).exists(),
        "it still runs"
    );
}

#[tokio::test]
async fn a_compiler_is_heard_however_much_it_says() {
    let folder = tempfile::tempdir().expect("a directory");
    let say = "echo first; head -c 1000000 /dev/zero | tr '\\0' x";
    for (status, kind) in [(1, "no WebAssembly"), (3, "cannot be used")] {
        let stage = stage(Components {
            worker: Some(script(&folder, &format!("{{ {say}; }} >&2\nexit {status}"))),
            deadline_ms: 20_000,
            ..Components::default()
        });
        let refused = check(&stage, ALLOW_ALL.1).await.expect_err(kind);
        let line = one_line(&refused);
        match status {
            1 => assert!(matches!(refused, GuestError::Compile(_)), "{line}"),
            _ => assert!(matches!(refused, GuestError::Compiler(_)), "{line}"),
        }
        assert!(line.contains(": first"), "{line}");
        assert!(line.len() < 5000, "{}", line.len());
    }
}

#[tokio::test]
async fn when_as_many_wait_as_may_one_more_is_told_to_try_again() {
    let folder = tempfile::tempdir().expect("a directory");
    let stage = Arc::new(stage(Components {
        worker: Some(script(&folder, "exec sleep 1000")),
        compilations: 1,
        max_queued: 1,
        deadline_ms: 2000,
        ..Components::default()
    }));
    let beside = |nth| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { check(&stage, &numbered(ALLOW_ALL.1, nth)).await })
    };
    let waiting = [beside(1), beside(2)];
    while stock(&stage).compiling < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = check(&stage, &numbered(ALLOW_ALL.1, 3)).await;
    assert!(matches!(refused, Err(GuestError::Busy { queued: 1 })));
    assert!(waiting.iter().all(|one| !one.is_finished()));
    for one in waiting {
        let refused = one.await.expect("no panic");
        assert!(matches!(refused, Err(GuestError::CompileDeadline { .. })));
    }
    assert_eq!(stock(&stage).compiling, 0);
}

#[tokio::test]
async fn a_component_that_failed_to_compile_is_left_alone_for_a_while() {
    let folder = tempfile::tempdir().expect("a directory");
    let runs = folder.path().join("runs");
    let worker = script(
        &folder,
        &format!("echo run >> {}\nkill -9 $$", runs.display()),
    );
    let stage = stage(Components {
        worker: Some(worker),
        ..Components::default()
    });
    for _ in 0..3 {
        let refused = check(&stage, guests::DENY_ALL).await;
        assert!(matches!(refused, Err(GuestError::CompileCrash { .. })));
    }
    let runs = std::fs::read_to_string(runs).expect("it ran");
    assert_eq!(runs.lines().count(), 1);
}

#[tokio::test]
async fn a_request_that_comes_while_a_policy_is_compiled_is_told_so_and_blames_nobody() {
    let folder = tempfile::tempdir().expect("a directory");
    let usual = as_the_program(&folder);
    let images_of_the_rest = once_compiled(&stage(usual.clone())).await;
    images_of_the_rest.expect("it allows");
    let go = folder.path().join("go");
    let program = env!("CARGO_BIN_EXE_atropos");
    let wait = format!(
        "while [ ! -e {} ]; do sleep 0.01; done\nexec {program} \"$@\"",
        go.display()
    );
    let config = Config {
        components: Components {
            worker: Some(script(&folder, &wait)),
            ..usual
        },
        plugin: GuestLimits {
            deadline_ms: 4_000,
            ..GuestLimits::default()
        },
        ..Config::default()
    };
    let stage = Stage::with(&config);
    stage.assign("deny-all", guests::DENY_ALL);
    let asked = 2 * config.breaker.faults as usize;
    let mut took = Vec::new();
    for _ in 0..asked {
        let started = Instant::now();
        let refused = stage.delete("p-1").await.expect_err("not yet");
        assert!(refused.to_string().contains("policy-compiling"));
        took.push(started.elapsed());
    }
    let later: Duration = took[1..].iter().sum();
    assert!(took[0] > Duration::from_millis(2_500), "it did not wait");
    assert!(later < took[0] * 3, "all of them waited: {took:?}");
    std::fs::write(&go, "").expect("a file");
    let started = Instant::now();
    while stock(&stage).loaded < 2 {
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stage.delete("p-1").await.expect_err("it denies");
    let mut expected = vec!["policy-compiling"; asked];
    expected.push("denied");
    assert_eq!(stage.verdicts().await, expected, "nobody is held off");
}

#[tokio::test]
async fn those_used_least_lately_go_when_memory_is_short_and_come_back_from_disk() {
    let folder = tempfile::tempdir().expect("a directory");
    let memory_bytes = 1 << 20;
    let stage = stage(Components {
        memory_bytes,
        ..as_the_program(&folder)
    });
    for round in 0..2 {
        for nth in 0..30 {
            let component = numbered(guests::DENY_ALL, nth);
            check(&stage, &component).await.expect("a policy");
        }
        let stock = stock(&stage);
        assert_eq!(stock.compiled, 30, "round {round}");
        assert!(stock.loaded_bytes <= memory_bytes, "{stock:?}");
        assert!(stock.evicted >= 30 - stock.loaded, "{stock:?}");
    }
    assert_eq!(stock(&stage).from_disk, 30);
    stage.delete("p-1").await.expect("the rest goes on");
}

#[tokio::test]
async fn what_is_larger_than_all_memory_for_components_is_loaded_alone() {
    let folder = tempfile::tempdir().expect("a directory");
    let stage = stage(Components {
        memory_bytes: 1 << 10,
        ..as_the_program(&folder)
    });
    stage
        .delete("p-1")
        .await
        .expect("plugin and policy take turns");
    assert_eq!(stock(&stage).loaded, 1);
}

#[tokio::test]
async fn a_component_that_needs_more_than_it_is_given_is_refused_with_need_limit_and_remedy() {
    let mut config = Config::default();
    config.ceiling.memory_bytes = 32 << 20;
    let stage = Stage::with(&config);
    let refused = check(&stage, guests::GREEDY_START).await;
    let refused = one_line(&refused.expect_err("more than there is room for"));
    for word in [
        "`ceiling.memory-bytes`",
        "33619968",
        "may have 33554432 bytes",
    ] {
        assert!(refused.contains(word), "{refused}");
    }
    config.ceiling.memory_bytes = 128 << 20;
    let stage = Stage::with(&config);
    let refused = check(&stage, guests::GREEDY_START).await;
    let refused = one_line(&refused.expect_err("more than all policies are given"));
    for word in [
        "16777216 are given",
        "--memory 64MiB",
        "`policy.memory-bytes`",
    ] {
        assert!(refused.contains(word), "{refused}");
    }
}

#[test]
fn a_policy_that_does_not_compile_in_time_stops_the_deletes_of_its_own_tenant_alone() {
    let mut demo = Demo::start();
    demo.assign(TENANT, &["allow-all"]);
    let file = demo.component("mine", &numbered(ALLOW_ALL.1, 1));
    let chain = demo.assign(TENANT, &[&file]);
    let digest = chain["chain"][0]["digest"].as_str().expect("a digest");
    let kept = files(&demo.server.data_dir().join("components"));
    let of_mine = |path: &&PathBuf| path.to_string_lossy().contains(digest);
    let image = kept.iter().find(of_mine).expect("the verb compiled it");
    std::fs::remove_file(image).expect("an image");

    demo.restart("[components]\ndeadline-ms = 1");
    let photo = sunset();
    let sentence = "The policies could not decide: policy-compile-deadline.";
    for _ in 0..3 {
        assert_eq!(demo.delete(&photo), refused(503, "503", sentence));
        let other = demo.put_other_document();
        assert_eq!(demo.delete(&other), deleted());
    }
    assert!(demo.has(&photo));
    // A verb has the default deadline, and the server maps what it made.
    demo.assign(TENANT, &[&file]);
    assert_eq!(demo.delete(&photo), deleted());
}
