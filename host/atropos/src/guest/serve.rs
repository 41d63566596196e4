//! One call into the plugin, from fresh instance to outcome.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use super::bindings::plugin::atropos::deletion::types::Refusal;
use super::bindings::plugin::exports::atropos::deletion::deletion as export;
use super::bindings::plugin::{DeletionPlugin, DeletionPluginPre};
use super::engine::store;
use super::fit::{self, Prepare};
use super::limits::{Meter, PolicyTime};
use super::plugin::{Call, Powers};
use super::plugin_calls::PluginCall;
use super::world::{self, World};
use super::{GuestError, Served, convert, fault};
use crate::config::GuestLimits;
use crate::error::{FaultKind, Reason, Refused};
use crate::request::Request;
use crate::target::{Digest, now_ms};
use crate::text;

const MAX_CODE_BYTES: usize = 64;
const MAX_MESSAGE_BYTES: usize = 512;
const MAX_REASON_BYTES: usize = 64;

/// A plugin that is ready to instantiate.
pub(super) struct Plugin(DeletionPluginPre<Call>);

/// Links the powers and checks against the world and its types.
pub(super) fn prepare(engine: &Engine) -> Result<Prepare<Plugin>, GuestError> {
    let mut linker = Linker::new(engine);
    DeletionPlugin::add_to_linker::<_, HasSelf<Call>>(&mut linker, |call| call)
        .map_err(GuestError::types)?;
    let engine = engine.clone();
    Ok(Arc::new(move |component: &Component| {
        fit::require(&engine, component, World::DeletionPlugin)?;
        typecheck(&engine, component)?;
        let pre = linker.instantiate_pre(component);
        let pre = pre.and_then(DeletionPluginPre::new);
        pre.map(Plugin).map_err(GuestError::types)
    }))
}

fn typecheck(engine: &Engine, component: &Component) -> Result<(), GuestError> {
    use world::typecheck;
    type Return = (Result<(), Refusal>,);
    let world = World::DeletionPlugin;
    typecheck::<(&export::PhotoRequest,), Return>(engine, component, world, "delete-photo")?;
    typecheck::<(&export::DocumentRequest,), Return>(engine, component, world, "delete-document")
}

impl Plugin {
    /// Serves one request. The instance is gone when this returns.
    pub(super) async fn serve(
        &self,
        digest: Digest,
        request: &Request,
        powers: Arc<Powers>,
        limits: GuestLimits,
        admitted: PluginCall,
    ) -> Served {
        let started = Instant::now();
        let policy_time = PolicyTime::default();
        let call = Call::new(powers, Meter::new(limits), policy_time.clone(), now_ms());
        fn meter(call: &mut Call) -> &mut Meter {
            &mut call.meter
        }
        let mut store = match store(self.0.engine(), call, limits, meter) {
            Ok(store) => store,
            Err(_) => return Served::refused(fault::of_plugin(FaultKind::Trap, digest)),
        };
        // Computing yields at every tick, so that the deadline covers guest and host calls alike.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);

        let answer = async {
            let plugin = self.0.instantiate_async(&mut store).await?;
            let deletion = plugin.atropos_deletion_deletion();
            match request {
                Request::Photo(request) => {
                    let request = convert::photo_request(request);
                    deletion.call_delete_photo(&mut store, &request).await
                }
                Request::Document(request) => {
                    let request = convert::document_request(request);
                    deletion.call_delete_document(&mut store, &request).await
                }
            }
        };
        let deadline = Duration::from_millis(limits.deadline_ms);
        let answer = policy_time.within(deadline, answer).await;
        let call = store.into_data();
        let refused = match answer {
            Some(Ok(Ok(()))) => None,
            Some(Ok(Err(refusal))) => Some(plugin_refusal(refusal, digest, call.wait)),
            Some(Err(error)) => {
                let kind = call.meter.fault(&error);
                tracing::warn!(%digest, ?kind, error = %text::escape(&format!("{error:#}")), "the plugin failed");
                Some(fault::of_plugin(kind, digest))
            }
            None => Some(fault::of_plugin(FaultKind::Deadline, digest)),
        };
        let own_time = started.elapsed().saturating_sub(call.away.total());
        let served = conclude(call, refused, digest);
        match served.fault() {
            // The storage was slow, which tells nothing of the plugin.
            Some(FaultKind::Deadline) if own_time < deadline / 2 => drop(admitted),
            fault => admitted.settle(fault, served.caller.as_ref()),
        }
        served
    }
}

/// Sorts the decisions of a call into the one to commit and the ones only to record.
fn conclude(mut call: Call, refused: Option<Refused>, digest: Digest) -> Served {
    let staged = match (refused, call.staged) {
        (None, Some(index)) if index < call.decisions.len() => Ok(call.decisions.remove(index)),
        // Success without a staged object, or the reverse of what its handles say.
        (None, _) => Err(fault::of_plugin(FaultKind::Contradiction, digest)),
        (Some(refused), _) => Err(refused),
    };
    Served {
        staged,
        unused: call.decisions,
        caller: call.caller,
        crowded: call.crowded,
    }
}

/// Takes over a plugin's refusal if it keeps to the contract, with its text escaped: a message may repeat
/// what a tenant's policy said, which is no fault of the plugin of all. If a policy is held off or being
/// compiled, the host knows how long to wait.
fn plugin_refusal(refusal: Refusal, digest: Digest, wait: Option<Duration>) -> Refused {
    let Refusal {
        reason,
        code,
        mut message,
    } = refusal;
    let printable = code.bytes().all(|byte| byte.is_ascii_graphic());
    if !(1..=MAX_CODE_BYTES).contains(&code.len()) || message.len() > MAX_MESSAGE_BYTES {
        return fault::of_plugin(FaultKind::Oversized, digest);
    }
    if !printable {
        return fault::of_plugin(FaultKind::Contradiction, digest);
    }
    text::escape_within(&mut message, MAX_MESSAGE_BYTES);
    let reason = match convert::reason(reason) {
        Reason::Unavailable(_) => {
            let ms = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            Reason::Unavailable(wait.map(ms))
        }
        Reason::Other(mut name) => {
            text::escape_within(&mut name, MAX_REASON_BYTES);
            Reason::Other(name)
        }
        reason => reason,
    };
    Refused::Plugin {
        reason,
        code,
        message,
    }
}
