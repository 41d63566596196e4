//! What went wrong, before a family of calls puts it into its own style.
//!
//! **Invariant:** every [`Refused`] has one status, and it is decided here.

use std::borrow::Cow;
use std::time::Duration;

use atropos::error::{FaultKind, Reason, Refused};
use atropos::ports::StoreError;
use atropos::target::{Kind, now_ms};
use atropos_service::auth::AuthError;
use atropos_service::service::{ListError, NoneLeft};
use atropos_service::upload::UploadError;
use axum::http::StatusCode;

/// How long to wait where nothing tells how long it will take.
const SOON: Duration = Duration::from_secs(1);

/// An answer that is not the one asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: Code,
    pub(super) message: Cow<'static, str>,
    pub(super) retry_after: Option<Duration>,
}

/// A stable code, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Of one family of calls, and sent as it is.
    Family(Cow<'static, str>),
    /// Of the host. The photo calls, whose codes are numbers, show the status instead.
    Host(Cow<'static, str>),
}

impl Failure {
    /// One of a family's own.
    pub(super) const fn family(
        status: StatusCode,
        code: &'static str,
        message: &'static str,
    ) -> Self {
        Self {
            status,
            code: Code::Family(Cow::Borrowed(code)),
            message: Cow::Borrowed(message),
            retry_after: None,
        }
    }

    /// One that the families share.
    pub(super) const fn host(
        status: StatusCode,
        code: &'static str,
        message: &'static str,
    ) -> Self {
        Self {
            status,
            code: Code::Host(Cow::Borrowed(code)),
            message: Cow::Borrowed(message),
            retry_after: None,
        }
    }

    /// No such object for this caller, in the words of the built-in plugin.
    pub(super) const fn no_such(kind: Kind) -> Self {
        let (code, message) = match kind {
            Kind::Photo => ("327", "Invalid Photo Id"),
            Kind::Document => ("document-not-found", "The user has no such document."),
        };
        Self::family(StatusCode::NOT_FOUND, code, message)
    }

    /// Says when to try again.
    pub(super) const fn retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Too many attempts; milliseconds to wait.
    pub(super) const fn throttled(ms: u64) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::host(status, "throttled", "Too many requests.").retry(Duration::from_millis(ms))
    }

    /// Nobody was authenticated; the first two are in a family's words.
    pub(super) fn auth(error: AuthError, rejected: Self, no_access: Self) -> Self {
        match error {
            AuthError::Rejected => rejected,
            AuthError::NoAccess => no_access,
            AuthError::Throttled(ms) => Self::throttled(ms),
            AuthError::Unavailable(source) => source.into(),
        }
    }

    /// A delete that did not happen.
    pub(super) fn refused(refused: Refused, kind: Kind) -> Self {
        use StatusCode as S;
        let (status, retry_after) = match &refused {
            Refused::Gone => return Self::no_such(kind),
            Refused::Plugin { reason, .. } => of_reason(reason),
            Refused::Held | Refused::RetainedUntil(_) => (S::LOCKED, None),
            Refused::OverBudget { until_ms, .. } | Refused::TooManyKeys { until_ms } => {
                let left = until_ms.saturating_sub(now_ms());
                (S::TOO_MANY_REQUESTS, Some(Duration::from_millis(left)))
            }
            Refused::Changed => (S::CONFLICT, None),
            Refused::KeyReused => (S::UNPROCESSABLE_ENTITY, None),
            // Whatever does not depend on the machine will come out the same again.
            Refused::Fault(fault) if fault.kind == FaultKind::Deadline => {
                (S::SERVICE_UNAVAILABLE, Some(SOON))
            }
            Refused::Fault(fault) => (S::SERVICE_UNAVAILABLE, fault.kind.retry_after()),
            Refused::Overloaded
            | Refused::Stopping
            | Refused::Pending
            | Refused::WrongVolume
            | Refused::WrongDatabase
            | Refused::Unavailable => (S::SERVICE_UNAVAILABLE, Some(SOON)),
        };
        let (code, message) = match refused {
            Refused::Plugin { code, message, .. } => (Code::Family(code.into()), message),
            other => (
                Code::Host(other.code().to_owned().into()),
                sentence(&other.to_string()),
            ),
        };
        Self {
            status,
            code,
            message: message.into(),
            retry_after,
        }
    }
}

/// An error's words as a sentence of their own.
fn sentence(words: &str) -> String {
    let mut rest = words.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(rest).chain(['.']).collect()
}

fn of_reason(reason: &Reason) -> (StatusCode, Option<Duration>) {
    match reason {
        Reason::InvalidRequest => (StatusCode::BAD_REQUEST, None),
        Reason::Unauthenticated => (StatusCode::UNAUTHORIZED, None),
        Reason::Forbidden | Reason::Denied => (StatusCode::FORBIDDEN, None),
        Reason::NotFound => (StatusCode::NOT_FOUND, None),
        Reason::Held => (StatusCode::LOCKED, None),
        Reason::Throttled(ms) => (
            StatusCode::TOO_MANY_REQUESTS,
            Some(Duration::from_millis(*ms)),
        ),
        Reason::Unavailable(ms) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Some(ms.map_or(SOON, Duration::from_millis)),
        ),
        Reason::Other(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
    }
}

pub(super) const NO_ROUTE: Failure = Failure::host(
    StatusCode::NOT_FOUND,
    "route-not-found",
    "There is nothing at this address.",
);
pub(super) const WRONG_METHOD: Failure = Failure::host(
    StatusCode::METHOD_NOT_ALLOWED,
    "method-not-allowed",
    "This address does not take this method.",
);
pub(super) const BROKEN: Failure = Failure::host(
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    "Server error",
);
pub(super) const TIMED_OUT: Failure = Failure::host(
    StatusCode::SERVICE_UNAVAILABLE,
    "request-timeout",
    "The request took too long; try again.",
)
.retry(SOON);
/// As a delete is told that there are too many.
const OVERLOADED: Failure = Failure::host(
    StatusCode::SERVICE_UNAVAILABLE,
    "overloaded",
    "Too many requests are under way; try again.",
)
.retry(SOON);
const UNAVAILABLE: Failure = Failure::host(
    StatusCode::SERVICE_UNAVAILABLE,
    "unavailable",
    "The storage is not available; try again.",
)
.retry(SOON);

const WRONG_VOLUME: Failure = Failure::host(
    StatusCode::SERVICE_UNAVAILABLE,
    "wrong-volume",
    "The volume of the bytes is missing, or another is in its place; try again.",
)
.retry(SOON);
const WRONG_DATABASE: Failure = Failure::host(
    StatusCode::SERVICE_UNAVAILABLE,
    "wrong-database",
    "The database was removed or replaced.",
)
.retry(SOON);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = match &error {
            StoreError::Taken { .. } => {
                return Self::host(StatusCode::CONFLICT, "taken", "It exists already.");
            }
            StoreError::Full(_) => Self::host(
                StatusCode::INSUFFICIENT_STORAGE,
                "storage-full",
                "The storage is full.",
            ),
            StoreError::WrongVolume(_) => WRONG_VOLUME,
            StoreError::WrongDatabase => WRONG_DATABASE,
            StoreError::Newer { .. } | StoreError::NoDatabase | StoreError::StrayLog => BROKEN,
            // Damage may be mended, and a missing reservation made anew.
            StoreError::Corrupt { .. }
            | StoreError::Unavailable(_)
            | StoreError::ReadOnly(_)
            | StoreError::Missing { .. } => UNAVAILABLE,
        };
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the storage failed"
        );
        failure
    }
}

impl From<ListError> for Failure {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Overloaded(_) => OVERLOADED,
            ListError::Store(source) => source.into(),
            ListError::BrokenOff(_) => BROKEN,
        }
    }
}

impl From<NoneLeft> for Failure {
    fn from(_: NoneLeft) -> Self {
        OVERLOADED
    }
}

impl From<UploadError> for Failure {
    fn from(error: UploadError) -> Self {
        let (status, code) = match error {
            UploadError::Store(source) => return source.into(),
            UploadError::Crowded(_) | UploadError::Overloaded(_) => return OVERLOADED,
            UploadError::Empty => (StatusCode::BAD_REQUEST, "file-empty"),
            UploadError::NotAPicture => (StatusCode::BAD_REQUEST, "file-not-a-picture"),
            UploadError::Read(_) => (StatusCode::BAD_REQUEST, "upload-incomplete"),
            UploadError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "file-too-large"),
            UploadError::TooManyPixels { .. }
            | UploadError::TooLong { .. }
            | UploadError::TooManyScans { .. }
            | UploadError::TooManyCodes { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "picture-too-large")
            }
        };
        Self {
            message: sentence(&error.to_string()).into(),
            ..Self::host(status, code, "")
        }
    }
}

#[cfg(test)]
mod tests {
    use atropos::error::{Fault, Guest};
    use atropos::target::{Scope, Window};

    use super::*;

    fn plugin(reason: Reason) -> Refused {
        Refused::Plugin {
            reason,
            code: "261".to_owned(),
            message: "Invalid userId".to_owned(),
        }
    }

    #[test]
    fn every_reason_of_a_plugin_has_its_status_and_keeps_its_words() {
        let table = [
            (Reason::InvalidRequest, 400, None),
            (Reason::Unauthenticated, 401, None),
            (Reason::Forbidden, 403, None),
            (Reason::NotFound, 404, None),
            (Reason::Denied, 403, None),
            (Reason::Held, 423, None),
            (Reason::Throttled(1500), 429, Some(1500)),
            (Reason::Unavailable(None), 503, Some(1000)),
            (Reason::Unavailable(Some(30_000)), 503, Some(30_000)),
            (Reason::Other("new".to_owned()), 500, None),
        ];
        for (reason, status, retry_ms) in table {
            let failure = Failure::refused(plugin(reason.clone()), Kind::Photo);
            assert_eq!(failure.status.as_u16(), status, "{reason:?}");
            assert_eq!(failure.code, Code::Family("261".into()), "{reason:?}");
            assert_eq!(failure.message, "Invalid userId", "{reason:?}");
            let retry_after = retry_ms.map(Duration::from_millis);
            assert_eq!(failure.retry_after, retry_after, "{reason:?}");
        }
    }

    #[test]
    fn every_outcome_of_the_host_has_its_status_and_code() {
        let used_up = Refused::OverBudget {
            scope: Scope::Caller,
            window: Window::Day,
            until_ms: now_ms() + 60_000,
        };
        let table = [
            (Refused::Held, 423, "held", false),
            (Refused::RetainedUntil(7), 423, "retained", false),
            (used_up, 429, "over-budget", true),
            (Refused::Changed, 409, "changed", false),
            (Refused::KeyReused, 422, "idempotency-key-reused", false),
            (
                Refused::TooManyKeys {
                    until_ms: now_ms() + 60_000,
                },
                429,
                "too-many-idempotency-keys",
                true,
            ),
            (Refused::Overloaded, 503, "overloaded", true),
            (Refused::Stopping, 503, "stopping", true),
            (Refused::Pending, 503, "erasure-pending", true),
            (Refused::WrongVolume, 503, "wrong-volume", true),
            (Refused::WrongDatabase, 503, "wrong-database", true),
            (Refused::Unavailable, 503, "unavailable", true),
        ];
        for (refused, status, code, again) in table {
            let failure = Failure::refused(refused.clone(), Kind::Document);
            assert_eq!(failure.status.as_u16(), status, "{refused:?}");
            assert_eq!(failure.code, Code::Host(code.into()), "{refused:?}");
            assert_eq!(failure.message, sentence(&refused.to_string()));
            assert_eq!(failure.retry_after.is_some(), again, "{refused:?}");
        }
    }

    #[test]
    fn a_list_or_an_upload_without_room_is_told_as_a_delete_without_room_is() {
        let delete = Failure::refused(Refused::Overloaded, Kind::Photo);
        let list = ListError::Overloaded(atropos::fair_queue::Full);
        assert_eq!(Failure::from(list), delete);
        let upload = UploadError::Overloaded(atropos::fair_queue::Full);
        assert_eq!(Failure::from(upload), delete);
    }

    #[test]
    fn every_fault_is_a_503_and_only_what_depends_on_the_clock_is_worth_another_try() {
        use FaultKind::*;
        let left = Duration::from_secs(30);
        let kinds = [
            Missing,
            Unreadable,
            Compiling,
            CompileDeadline,
            CompileCrash,
            TooLarge,
            Trap,
            Fuel,
            Deadline,
            Memory,
            HostCalls,
            Oversized,
            Contradiction,
            HeldOff(left),
        ];
        for guest in [Guest::Plugin, Guest::Policy] {
            for kind in kinds {
                let digest = None;
                let fault = Fault {
                    guest,
                    kind,
                    digest,
                };
                let code = fault.code();
                let failure = Failure::refused(Refused::Fault(fault), Kind::Photo);
                assert_eq!(failure.status.as_u16(), 503, "{code}");
                assert_eq!(failure.code, Code::Host(code.into()));
                let after = match kind {
                    Deadline => Some(SOON),
                    HeldOff(left) => Some(left),
                    Compiling => Some(SOON),
                    _ => None,
                };
                assert_eq!(failure.retry_after, after, "{code}");
            }
        }
    }

    #[test]
    fn gone_between_decision_and_commit_looks_like_never_there() {
        for kind in [Kind::Photo, Kind::Document] {
            let gone = Failure::refused(Refused::Gone, kind);
            assert_eq!(gone, Failure::no_such(kind));
        }
        assert_eq!(
            Failure::no_such(Kind::Photo).code,
            Code::Family("327".into())
        );
    }
}
