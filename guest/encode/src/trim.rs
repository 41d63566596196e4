//! What a component of one call does not need.

use std::convert::Infallible;

use anyhow::Result;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{ExportSection, Module};
use wasmparser::{Export, Parser};

/// How the functions are named that free an answer once it has been taken.
const POST_RETURN: &str = "cabi_post_";

/// The core module without the exports that free answers: an instance that serves one call is dropped
/// before anything could use what they free, and each costs another entry into the guest.
pub(crate) fn trim(module: &[u8]) -> Result<Vec<u8>> {
    struct WithoutPostReturn;

    impl Reencode for WithoutPostReturn {
        type Error = Infallible;

        fn parse_export(
            &mut self,
            exports: &mut ExportSection,
            export: Export<'_>,
        ) -> Result<(), reencode::Error> {
            if export.name.starts_with(POST_RETURN) {
                return Ok(());
            }
            utils::parse_export(self, exports, export)
        }
    }

    let mut trimmed = Module::new();
    WithoutPostReturn.parse_core_module(&mut trimmed, Parser::new(0), module)?;
    Ok(trimmed.finish())
}
