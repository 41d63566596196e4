//! Every refusal, by API: what the host makes a status of, the code for programs, and the sentence for
//! people.
//!
//! The photo API has numbers. Where its family knows none, the number of the HTTP status stands in.

use atropos_sdk::plugin::Reason;

/// One refusal.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) reason: Reason,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

const fn code(reason: Reason, code: &'static str, message: &'static str) -> Code {
    Code {
        reason,
        code,
        message,
    }
}

/// The refusals that the steps after validation have in common. What a policy, a retention date or a
/// fault has to say is appended to the message.
pub(crate) struct Codes {
    pub(crate) rejected: Code,
    pub(crate) no_access: Code,
    pub(crate) forbidden: Code,
    pub(crate) not_found: Code,
    pub(crate) denied: Code,
    pub(crate) held: Code,
    pub(crate) retained: Code,
    pub(crate) throttled: Code,
    pub(crate) undecided: Code,
    pub(crate) unavailable: Code,
    pub(crate) internal: Code,
}

use Reason::{
    Denied, Forbidden, Held, InvalidRequest, NotFound, Other, Throttled, Unauthenticated,
    Unavailable,
};

#[rustfmt::skip]
pub(crate) mod photo {
    use super::*;

    pub(crate) const MISSING_WEBSITE_ID: Code = code(InvalidRequest, "372", "Missing websiteId");
    pub(crate) const INVALID_WEBSITE_ID: Code = code(InvalidRequest, "221", "Invalid websiteId");
    pub(crate) const EMPTY_KEY:          Code = code(InvalidRequest, "226", "Empty webApiClientKey");
    pub(crate) const INVALID_USER_ID:    Code = code(InvalidRequest, "261", "Invalid userId");
    /// Malformed, absent and somebody else's are one answer.
    pub(crate) const INVALID_PHOTO_ID:   Code = code(NotFound,       "327", "Invalid Photo Id");

    pub(crate) static CODES: Codes = Codes {
        rejected:    code(Unauthenticated,     "401", "Unauthorized"),
        no_access:   code(Forbidden,           "403", "Forbidden"),
        forbidden:   code(Forbidden,           "403", "Forbidden"),
        not_found:   INVALID_PHOTO_ID,
        denied:      code(Denied,              "403", "Denied by policy"),
        held:        code(Held,                "423", "The photo is on legal hold"),
        retained:    code(Held,                "423", "The photo must be kept"),
        throttled:   code(Throttled(0),        "429", "Too many requests"),
        undecided:   code(Unavailable,         "503", "The policies could not decide"),
        unavailable: code(Unavailable,         "503", "Try again later"),
        internal:    code(Other(String::new()), "500", "Server error"),
    };
}

#[rustfmt::skip]
pub(crate) mod document {
    use super::*;

    pub(crate) const MISSING_TOKEN:     Code = code(Unauthenticated, "missing-token", "The Authorization header is missing.");
    pub(crate) const INVALID_TOKEN:     Code = code(Unauthenticated, "invalid-token", "The bearer token is not valid.");
    pub(crate) const NOT_JSON:          Code = code(InvalidRequest, "content-type-not-json", "The Content-Type header must be application/json.");
    pub(crate) const MISSING_BODY:      Code = code(InvalidRequest, "missing-body", "The body is empty.");
    pub(crate) const MALFORMED_JSON:    Code = code(InvalidRequest, "malformed-json", "The body must be a JSON object that names no member twice");
    pub(crate) const MISSING_TENANT:    Code = code(InvalidRequest, "missing-tenant-sub-domain", "The member tenantSubDomain is missing.");
    pub(crate) const INVALID_TENANT:    Code = code(InvalidRequest, "invalid-tenant-sub-domain", "The member tenantSubDomain must be a DNS label.");
    pub(crate) const MISSING_USER:      Code = code(InvalidRequest, "missing-user-account-id", "The member userAccountId is missing.");
    pub(crate) const INVALID_USER:      Code = code(InvalidRequest, "invalid-user-account-id", "The member userAccountId must be an integer from 1 to 9223372036854775807.");
    pub(crate) const MISSING_FILE_GUID: Code = code(InvalidRequest, "missing-file-guid", "The member fileGuid is missing.");
    pub(crate) const INVALID_FILE_GUID: Code = code(InvalidRequest, "invalid-file-guid", "The member fileGuid must be a GUID of the form 8-4-4-4-12.");

    pub(crate) static CODES: Codes = Codes {
        rejected:    INVALID_TOKEN,
        no_access:   code(Forbidden,    "tenant-not-accessible", "The client has no access to this tenant."),
        forbidden:   code(Forbidden,    "permission-missing", "The client may not delete documents of this tenant."),
        not_found:   code(NotFound,     "document-not-found", "The user has no such document."),
        denied:      code(Denied,       "denied-by-policy", "Denied by policy"),
        held:        code(Held,         "held", "The document is on legal hold."),
        retained:    code(Held,         "retained", "The document must be kept"),
        throttled:   code(Throttled(0), "throttled", "Too many requests."),
        undecided:   code(Unavailable,  "undecided", "The policies could not decide"),
        unavailable: code(Unavailable,  "unavailable", "The service is not available now."),
        internal:    code(Other(String::new()), "internal", "The plugin failed."),
    };
}
