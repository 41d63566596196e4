//! What `wit/` says, as Rust: generated, named once.

/// The world of policies. Calls are synchronous: a policy imports nothing, so it never waits.
pub(super) mod policy {
    #![allow(
        missing_docs,
        unreachable_pub,
        reason = "generated; the contract in wit/ documents every item"
    )]

    wasmtime::component::bindgen!({
        path: ["../../wit/policy"],
        world: "atropos:policy/policy-plugin",
    });
}

/// The world of deletion plugins. Host calls that reach storage are asynchronous.
pub(super) mod plugin {
    #![allow(
        missing_docs,
        unreachable_pub,
        reason = "generated; the contract in wit/ documents every item"
    )]

    wasmtime::component::bindgen!({
        path: ["../../wit/policy", "../../wit/deletion"],
        world: "atropos:deletion/deletion-plugin",
        imports: {
            "atropos:deletion/auth.[method]caller.facts": trappable,
            "atropos:deletion/storage.[method]object.facts": trappable,
            "atropos:deletion/erasure": trappable,
            default: async | trappable,
        },
        exports: { default: async },
        with: {
            "atropos:policy/types": super::policy::atropos::policy::types,
            "atropos:deletion/auth.caller": crate::target::Caller,
            "atropos:deletion/storage.object": crate::target::Object,
            "atropos:deletion/gate.permit": crate::guest::permit::Permit,
        },
    });
}

pub(super) use policy::atropos::policy::types;
