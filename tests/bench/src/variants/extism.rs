//! Extism: the rule as its plugin, compiled beforehand, which is given the facts as JSON text and answers
//! in JSON. Its instance is kept from one decision to the next, as its host library does by default, or
//! made for each.

use anyhow::Result;
use atropos::domain::decision::Question;
use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use serde::Deserialize;

use crate::facts;
use crate::harness::Decide;

const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/extism.wasm"));

pub(super) fn kept(question: &Question) -> Result<Decide> {
    let text = facts::json(question);
    let mut plugin = Plugin::new_from_compiled(&compiled()?)?;
    Ok(Box::new(move || {
        allows(&mut plugin, &text).unwrap_or(false)
    }))
}

pub(super) fn fresh(question: &Question) -> Result<Decide> {
    let text = facts::json(question);
    let compiled = compiled()?;
    Ok(Box::new(move || {
        let plugin = Plugin::new_from_compiled(&compiled);
        plugin
            .and_then(|mut plugin| allows(&mut plugin, &text))
            .unwrap_or(false)
    }))
}

fn compiled() -> Result<CompiledPlugin> {
    let manifest = Manifest::new([Wasm::data(MODULE)]);
    PluginBuilder::new(manifest).with_cache_disabled().compile()
}

#[derive(Deserialize)]
struct Judgement {
    allows: bool,
}

fn allows(plugin: &mut Plugin, facts: &str) -> Result<bool> {
    let said: &str = plugin.call("review", facts)?;
    let judgement: Judgement = serde_json::from_str(said)?;
    Ok(judgement.allows)
}
