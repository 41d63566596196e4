//! The contract as generated from `wit/`, for guests that need more than [`policy!`](crate::policy!)
//! and [`plugin!`](crate::plugin!) offer. Types and imports are there natively too (an import called
//! natively panics); only the exports, which the macros add, are bound to WebAssembly.

#![allow(
    missing_docs,
    reason = "generated; the documentation stands in the WIT"
)]
#![allow(clippy::allow_attributes_without_reason, reason = "generated")]
#![allow(unreachable_pub, reason = "generated")]

/// World `policy-plugin`.
pub mod policy {
    wit_bindgen::generate!({
        path: ["../../wit/policy"],
        world: "atropos:policy/policy-plugin",
        additional_derives: [PartialEq, Eq],
        default_bindings_module: "atropos_sdk::bindings::policy",
        export_macro_name: "export_policy",
        pub_export_macro: true,
        disable_run_ctors_once_workaround: true,
    });
}

/// World `deletion-plugin`.
pub mod deletion {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/deletion"],
        world: "atropos:deletion/deletion-plugin",
        with: { "atropos:policy/types@0.1.0": crate::bindings::policy::atropos::policy::types },
        additional_derives: [PartialEq, Eq],
        default_bindings_module: "atropos_sdk::bindings::deletion",
        export_macro_name: "export_plugin",
        pub_export_macro: true,
        disable_run_ctors_once_workaround: true,
    });
}
