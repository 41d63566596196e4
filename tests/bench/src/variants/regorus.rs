//! Regorus: Rego, compiled beforehand, by its interpreter and by its virtual machine. Both are kept
//! from one decision to the next.

use anyhow::{Context, Result};
use atropos::domain::decision::Question;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, Value};

use crate::facts;
use crate::harness::Decide;

const POLICY: &str = include_str!("retention.rego");
const RULE: &str = "data.retention.allow";

pub(super) fn json(question: &Question) -> Result<Decide> {
    let mut engine = engine()?;
    let text = facts::json(question);
    Ok(Box::new(move || {
        let input = Value::from_json_str(&text);
        input.is_ok_and(|input| interpret(&mut engine, input))
    }))
}

pub(super) fn prebuilt(question: &Question) -> Result<Decide> {
    let mut engine = engine()?;
    let input = Value::from_json_str(&facts::json(question))?;
    Ok(Box::new(move || interpret(&mut engine, input.clone())))
}

pub(super) fn vm_json(question: &Question) -> Result<Decide> {
    let mut vm = vm()?;
    let text = facts::json(question);
    Ok(Box::new(move || {
        let input = Value::from_json_str(&text);
        input.is_ok_and(|input| execute(&mut vm, input))
    }))
}

pub(super) fn vm_prebuilt(question: &Question) -> Result<Decide> {
    let mut vm = vm()?;
    let input = Value::from_json_str(&facts::json(question))?;
    Ok(Box::new(move || execute(&mut vm, input.clone())))
}

fn engine() -> Result<Engine> {
    let mut engine = Engine::new();
    engine.add_policy("retention.rego".to_owned(), POLICY.to_owned())?;
    Ok(engine)
}

fn vm() -> Result<RegoVM> {
    let policy = engine()?.compile_with_entrypoint(&RULE.into())?;
    let program = Compiler::compile_from_policy(&policy, &[RULE]);
    let program = program.ok().context("compiling for the virtual machine")?;
    let mut vm = RegoVM::new();
    vm.load_program(program);
    Ok(vm)
}

fn interpret(engine: &mut Engine, input: Value) -> bool {
    engine.set_input(input);
    let verdict = engine.eval_rule(RULE.to_owned());
    verdict.is_ok_and(|verdict| verdict == Value::Bool(true))
}

fn execute(vm: &mut RegoVM, input: Value) -> bool {
    vm.set_input(input);
    vm.execute()
        .is_ok_and(|verdict| verdict == Value::Bool(true))
}
