//! The components.

macro_rules! components {
    ($($(#[$about:meta])* $constant:ident = $name:literal;)*) => {
        $(
            $(#[$about])*
            pub const $constant: &[u8] =
                include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm"));
        )*

        /// Every component by its name.
        pub const ALL: &[(&str, &[u8])] = &[$(($name, $constant)),*];
    };
}

components! {
    /// Policy: describes itself with a settings schema of 100 KB; allows.
    BOASTFUL = "boastful";
    /// Policy: computes for some milliseconds, within the default limits, and allows.
    BUSY = "busy";
    /// Policy: allows beside a failed finding.
    CONTRADICTION = "contradiction";
    /// Policy: denies everything, with the failed finding `deny-all`.
    DENY_ALL = "deny-all";
    /// Policy: asks for a memory of 32 MB.
    GREEDY_START = "greedy-start";
    /// Policy: denies photos and allows documents, with text full of [`crate::HARMFUL`] characters in
    /// its findings, its summary, its schema, and a hundred problems with settings other than `{}`.
    HOSTILE_TEXT = "hostile-text";
    /// Policy: allocates without end.
    HUNGRY = "hungry";
    /// Policy: allows, with a finding that is not UTF-8.
    INVALID_TEXT = "invalid-text";
    /// Policy: denies the first time and allows ever after, if it can remember.
    KEEPS_STATE = "keeps-state";
    /// Policy: allows, with 65 findings.
    MANY_FINDINGS = "many-findings";
    /// Policy: panics at photos whose id begins with `bad`, and allows the rest.
    MOODY = "moody";
    /// Policy: recurses without end.
    OVERFLOW = "overflow";
    /// Policy: denies what is larger than a mebibyte. Built without the SDK.
    PLAIN = "plain";
    /// Policy: computes without end while it is instantiated.
    SLOW_START = "slow-start";
    /// Policy: computes without end.
    SPIN = "spin";
    /// Policy: panics.
    TRAP = "trap";
    /// Policy: panics while it is instantiated.
    TRAPS_AT_START = "traps-at-start";
    /// Policy: allows, with 100 findings of 1 MB each.
    VERBOSE = "verbose";
    /// Policy: asks WASI for the time.
    WASI_IMPORT = "wasi-import";
    /// Policy: describes itself with a settings schema that is not JSON; allows.
    WRONG_SCHEMA = "wrong-schema";
    /// Plugin: refuses every delete, with a code of 10 MB full of line breaks.
    BAD_CODE = "bad-code";
    /// Plugin: answers every delete with success and does nothing.
    CLAIMS_SUCCESS = "claims-success";
    /// Plugin: stages the photo, then refuses with code `403`.
    DENIES_AFTER_STAGING = "denies-after-staging";
    /// Plugin: tries to authenticate without end.
    FLOODS_HOST = "floods-host";
    /// Plugin: allocates without end.
    HUNGRY_PLUGIN = "hungry-plugin";
    /// Plugin: obtains photo and permit, keeps both and answers with success.
    KEEPS_HANDLES = "keeps-handles";
    /// Plugin: obtains photo and permit without end, and gives nothing back.
    LEAKS_HANDLES = "leaks-handles";
    /// Plugin: tries to authenticate with a key of 100 KB.
    LONG_ARGUMENT = "long-argument";
    /// Plugin: authenticates, panics at photos whose id begins with `bad`, and deletes the rest.
    MOODY_PLUGIN = "moody-plugin";
    /// Plugin: refuses every delete with code `403`.
    REFUSE_EVERYTHING = "refuse-everything";
    /// Plugin: refuses every delete with code `403`, in a sentence with line breaks.
    SPLITS_LINES = "splits-lines";
    /// Plugin: computes without end.
    SPIN_PLUGIN = "spin-plugin";
    /// Plugin: obtains photo and permit, and computes without end while the host passes it an answer.
    SPINS_IN_HOST_CALL = "spins-in-host-call";
    /// Plugin: stages the photo, then panics.
    STAGES_THEN_TRAPS = "stages-then-traps";
    /// Plugin: obtains photo and permit twice, stages both and answers with success.
    STAGES_TWICE = "stages-twice";
    /// Plugin: given two photo ids with a comma between, stages the second under the permit of the
    /// first. Answers with success whatever the host says.
    SWAPS_PERMIT = "swaps-permit";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_is_a_component() {
        for (name, bytes) in ALL {
            assert!(bytes.starts_with(b"\0asm\x0d\0\x01\0"), "{name}");
        }
    }

    #[test]
    fn every_file_has_a_constant() {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
        assert_eq!(std::fs::read_dir(examples).unwrap().count(), ALL.len());
    }
}
