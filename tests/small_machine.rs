//! The memory that the configuration allows is a bound: on a small machine, all that takes memory at once
//! stays below it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use atropos_server::memory::MemoryBudget;
use atropos_service::config::Config;
use atropos_test_guests as guests;

use crate::memory::{kib, unfinished_photo};
use crate::support::demo::{Demo, OTHER_TENANT, other_photo, rings};
use crate::support::photos::picture;
use crate::support::{PATIENT, TENANT, eventually};

const MIB: u64 = 1 << 20;

/// The configuration for a small machine, and what README says that it allows, in MiB.
fn documented() -> (String, u64) {
    let readme = include_str!("../README.md");
    let (_, sizing) = readme.split_once("**Sizing.**").expect("a paragraph");
    let (_, allows) = sizing.split_once("This allows ").expect("a sum");
    let (sum, _) = allows.split_once(" MiB").expect("its unit");
    let (_, block) = sizing.split_once("```toml\n").expect("a TOML block");
    let (block, _) = block.split_once("```").expect("its end");
    (block.to_owned(), sum.parse().expect("a number"))
}

#[test]
fn the_documented_sum_is_what_the_documented_configuration_allows() {
    let (settings, sum) = documented();
    let config: Config = toml::from_str(&settings).expect("a configuration");
    let budget = MemoryBudget::of(&config);
    // Of each core there is one policy more, which README does not know.
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let of_cores = cores * config.ceiling.memory_bytes;
    let told = (budget.total() - of_cores).div_ceil(MIB);
    assert_eq!(told, sum, "{budget}");
}

#[test]
fn whatever_takes_memory_at_once_stays_below_the_sum() {
    let (settings, _) = documented();
    let config: Config = toml::from_str(&settings).expect("a configuration");
    let budget = MemoryBudget::of(&config);
    // A busy machine may take its time.
    let patient: toml::Table = toml::from_str(PATIENT).expect("TOML");
    let mut both: toml::Table = toml::from_str(&settings).expect("TOML");
    for (section, more) in patient {
        let section = both.entry(section).or_insert(toml::Table::new().into());
        if let (Some(section), toml::Value::Table(more)) = (section.as_table_mut(), more) {
            section.extend(more);
        }
    }
    let demo = Demo::start_with(&toml::to_string(&both).expect("TOML"));
    let hungry = demo.component("hungry", guests::HUNGRY);
    let large: Vec<_> = (0..5400).map(|n| format!("label{n:04}")).collect();
    let large = serde_json::json!({ "forbidden": large }).to_string();
    let large = format!("labels=@{}", demo.component("large", large.as_bytes()));
    demo.assign(
        TENANT,
        &[&[r#"labels={"forbidden":["in-order"]}"#], &[&*large; 9][..]].concat(),
    );
    demo.assign(OTHER_TENANT, &[&hungry]);
    let spin = demo.component("spin", guests::SPIN);
    let shadow = [
        "policy",
        "assign",
        "--tenant",
        TENANT,
        "--shadow",
        "--deadline",
        "2s",
    ];
    let chain = [&["--policy", &*spin], &["--policy", &*large].repeat(9)[..]].concat();
    demo.verb(&[&shadow[..], &chain].concat());

    let server = &demo.server;
    // One uploader has two thirds of the places, of which some are left.
    let uploads: Vec<_> = (0..config.upload.max_under_way / 2)
        .map(|_| unfinished_photo(server, MIB))
        .collect();
    let headers: Vec<_> = (0..config.http.max_connections / 4)
        .map(|_| {
            let mut connection = server.dial();
            let long = "x".repeat(60 << 10);
            let _ = connection.try_send(format!("GET / HTTP/1.1\r\nHost: x\r\nx: {long}"));
            connection
        })
        .collect();
    let photo = picture(2000, 2000);
    let (done, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for caller in 0..24 {
            let (done, asked, demo, photo) = (&done, &asked, &demo, &photo);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    match caller % 3 {
                        0 => drop(demo.delete(&rings())),
                        1 => drop(demo.delete(&other_photo())),
                        _ => {
                            let (status, body) = server.try_upload_photo("a.png", photo.clone());
                            assert!([200, 503].contains(&status), "{body}");
                        }
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        eventually("enough of all", || {
            (asked.load(Ordering::Relaxed) >= 600).then_some(())
        });
        done.store(true, Ordering::Relaxed);
    });
    let peak = kib(server.pid(), "VmHWM:").expect("a figure") >> 10;
    let sum = budget.total() / MIB;
    eprintln!("{peak} MiB at most, of {sum}: {budget}");
    assert!(peak <= sum, "{peak} MiB, of {sum}: {budget}");
    assert_eq!(server.get("/readyz").status(), 200, "it goes on");
    drop((uploads, headers));
}
