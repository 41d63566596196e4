//! Whether this machine lets guests run, asked once and before anybody depends on it.
//!
//! What is forbidden to the process as a whole would otherwise show at the first component as a fault of
//! that component, or never end to be tried again.

use wasmtime::{Engine, Instance, Module, Store};

use super::failure::{GuestError, source};

/// A module with a function that does nothing, and a memory of one page.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x05\x03\x01\0\x01\
    \x0a\x04\x01\x02\0\x0b";

/// Makes code executable, and has the memories of a plugin and of a policy beside it.
///
/// # Errors
/// [`GuestError::NotExecutable`] or [`GuestError::NoRoom`].
pub(super) fn run(engine: &Engine) -> Result<(), GuestError> {
    let module = Module::new(engine, MODULE);
    let module = module.map_err(|error| GuestError::NotExecutable(source(error)))?;
    let mut store = Store::new(engine, ());
    for _ in 0..2 {
        let instance = Instance::new(&mut store, &module, &[]);
        instance.map_err(|error| GuestError::NoRoom(source(error)))?;
    }
    Ok(())
}
