//! Chains and components, as the gate asks for them.

use super::subject::{Subject, unknown};
use crate::target::{Digest, TenantId};

pub(super) async fn a_tenant_that_is_not_there_has_no_chain(subject: &Subject) {
    let chain = subject.chains.chain(subject.tenant.id).await.unwrap();
    let chain = chain.unwrap();
    assert_eq!(chain.entries, std::slice::from_ref(&subject.entry));
    let nobody = TenantId(subject.tenant.id.0 + 1);
    assert_eq!(subject.chains.chain(nobody).await.unwrap(), None);
}

pub(super) async fn a_component_is_kept_as_it_was_given(subject: &Subject) {
    let bytes = b"of a component";
    subject.fixture.keep("retention", bytes).await.unwrap();
    let kept = subject.chains.component(Digest::of(bytes)).await.unwrap();
    assert_eq!(kept.as_deref(), Some(&bytes[..]));
    assert_eq!(subject.chains.component(unknown()).await.unwrap(), None);
}
