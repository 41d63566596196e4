//! The configuration. What is accepted is written back and read as the same, and a key too many is
//! refused.

#![no_main]

use atropos_service::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(config) = toml::from_str::<Config>(text) else {
        return;
    };
    let checked = config.check().map_err(|error| error.to_string());
    if let Err(message) = &checked {
        assert!(message.starts_with('`'), "no key is named: {message}");
    }
    let written = toml::to_string(&config).expect("what was TOML is TOML");
    let again: Config = toml::from_str(&written).expect("what was written is read");
    assert_eq!(again, config);
    assert_eq!(again.check().map_err(|error| error.to_string()), checked);
    let more = format!("not-known = 1\n{written}");
    assert!(toml::from_str::<Config>(&more).is_err(), "{more}");
});
