//! The macros that make a component of a crate. They expand to nothing natively: the names that a
//! component exports hold characters which native linkers refuse.

/// Makes the crate a policy component: exports the given [`Policy`](crate::Policy) under the version
/// of the crate, and installs an allocator fit for one short call.
#[macro_export]
macro_rules! policy {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Exported;

            impl $crate::bindings::policy::exports::atropos::policy::policy::Guest for Exported {
                fn describe() -> $crate::Description {
                    $crate::describe::<$policy>(env!("CARGO_PKG_VERSION"))
                }

                fn validate_settings(
                    settings: ::std::string::String,
                ) -> ::core::result::Result<(), ::std::vec::Vec<$crate::SettingsProblem>> {
                    $crate::check::<$policy>(&settings)
                }

                fn review(
                    request: $crate::Request,
                    settings: ::std::string::String,
                ) -> $crate::Judgement {
                    let judgement = $crate::judge::<$policy>(&request, &settings);
                    // The instance is dropped as a whole; freeing this before is work for nothing.
                    ::core::mem::forget((request, settings));
                    judgement
                }
            }

            $crate::bindings::policy::export_policy!(Exported);
            $crate::allocator!();
        };
    };
}

/// Makes the crate a plugin component: exports the given [`Plugin`](crate::plugin::Plugin), and
/// installs an allocator fit for one short call.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $plugin;

            $crate::bindings::deletion::export_plugin!(Exported);
            $crate::allocator!();
        };
    };
}

/// Installs the allocator of [`policy!`] and [`plugin!`], for guests that export by themselves.
#[macro_export]
macro_rules! allocator {
    () => {
        #[cfg(target_family = "wasm")]
        #[global_allocator]
        static ALLOCATOR: $crate::Arena = $crate::Arena::new();
    };
}
