//! The body of the request: a JSON object.
//!
//! Members that are not known are ignored, as clients of this API send some; members that are known
//! are read strictly.

use std::fmt;

use atropos_sdk::plugin::Refusal;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::codes::Code;
use crate::codes::document::{
    INVALID_FILE_GUID, INVALID_TENANT, INVALID_USER, MALFORMED_JSON, MISSING_BODY,
    MISSING_FILE_GUID, MISSING_TENANT, MISSING_USER,
};

/// What the body names.
#[derive(Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) tenant: String,
    pub(crate) user_account_id: u64,
    pub(crate) file_guid: String,
}

/// Serde's derivation refuses a known member that comes twice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    #[serde(default)]
    tenant_sub_domain: Value,
    #[serde(default)]
    user_account_id: Value,
    #[serde(default)]
    file_guid: Value,
}

/// A member's value, as far as it matters.
#[derive(Default)]
enum Value {
    /// `null`, or no such member.
    #[default]
    Missing,
    Text(String),
    /// A number without sign, fraction and exponent, below 2^64.
    Integer(u64),
    Other,
}

/// Reads and checks the body.
pub(crate) fn read(body: &[u8]) -> Result<Named, Refusal> {
    if body.trim_ascii().is_empty() {
        return Err(MISSING_BODY.into());
    }
    // Serde would also take the members from an array, in order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(MALFORMED_JSON.with("."));
    }
    let text = std::str::from_utf8(body).map_err(|_| MALFORMED_JSON.with(", in UTF-8."))?;
    let members: Members = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    Ok(Named {
        tenant: tenant(members.tenant_sub_domain)?,
        user_account_id: user_account_id(&members.user_account_id)?,
        file_guid: file_guid(members.file_guid)?,
    })
}

/// Tells where, and never what: the content may be anything.
fn malformed(error: &serde_json::Error) -> Refusal {
    MALFORMED_JSON.with(&format!(
        "; see line {}, column {}.",
        error.line(),
        error.column()
    ))
}

fn tenant(value: Value) -> Result<String, Code> {
    match value {
        Value::Missing => Err(MISSING_TENANT),
        Value::Text(label) if is_dns_label(&label) => Ok(label),
        _ => Err(INVALID_TENANT),
    }
}

fn user_account_id(value: &Value) -> Result<u64, Code> {
    match *value {
        Value::Missing => Err(MISSING_USER),
        Value::Integer(id) if (1..=i64::MAX.unsigned_abs()).contains(&id) => Ok(id),
        _ => Err(INVALID_USER),
    }
}

fn file_guid(value: Value) -> Result<String, Code> {
    match value {
        Value::Missing => Err(MISSING_FILE_GUID),
        Value::Text(guid) if is_guid(&guid) => Ok(guid),
        _ => Err(INVALID_FILE_GUID),
    }
}

/// RFC 1035's label as RFC 1123 widened it, in any case.
fn is_dns_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Hexadecimal digits in any case, grouped 8-4-4-4-12.
fn is_guid(guid: &str) -> bool {
    let groups = guid.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12])
        && guid
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Missing)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Value, A::Error> {
        IgnoredAny.visit_seq(items).map(|_| Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Value, A::Error> {
        IgnoredAny.visit_map(members).map(|_| Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::GUID;

    fn with(tenant: &str, user: &str, guid: &str) -> String {
        format!(r#"{{"tenantSubDomain":{tenant},"userAccountId":{user},"fileGuid":{guid}}}"#)
    }

    fn code(body: impl AsRef<[u8]>) -> String {
        read(body.as_ref()).unwrap_err().code
    }

    fn guid() -> String {
        format!("\"{GUID}\"")
    }

    #[test]
    fn the_three_members_are_read_and_others_ignored() {
        let body = format!(
            r#" {{"fileGuid":"{GUID}","x":[{{"x":1}}],"x":2,"userAccountId":6,"tenantSubDomain":"myTenant"}} "#
        );
        let named = Named {
            tenant: "myTenant".to_owned(),
            user_account_id: 6,
            file_guid: GUID.to_owned(),
        };
        assert_eq!(read(body.as_bytes()), Ok(named));
    }

    #[test]
    fn a_tenant_is_a_dns_label() {
        let long = "x".repeat(64);
        for tenant in ["", "-a", "a-", "a.b", "a_b", "a b", "ä", "../a", &long] {
            let body = with(&format!("\"{tenant}\""), "6", &guid());
            assert_eq!(code(body), "invalid-tenant-sub-domain", "{tenant}");
        }
        for tenant in ["6", "true", "[]", "{}"] {
            assert_eq!(
                code(with(tenant, "6", &guid())),
                "invalid-tenant-sub-domain",
                "{tenant}"
            );
        }
        assert_eq!(
            code(with("null", "6", &guid())),
            "missing-tenant-sub-domain"
        );
    }

    #[test]
    fn a_user_is_a_positive_integer_written_as_one() {
        for user in [
            "0",
            "-0",
            "-6",
            "6.0",
            "6e0",
            "6.5",
            "\"6\"",
            "true",
            "[6]",
            "{}",
            "9223372036854775808",
            "18446744073709551616",
            "1e300",
        ] {
            assert_eq!(
                code(with("\"a\"", user, &guid())),
                "invalid-user-account-id",
                "{user}"
            );
        }
        assert_eq!(
            code(with("\"a\"", "null", &guid())),
            "missing-user-account-id"
        );
        for user in ["1", "9223372036854775807"] {
            assert!(
                read(with("\"a\"", user, &guid()).as_bytes()).is_ok(),
                "{user}"
            );
        }
    }

    #[test]
    fn a_file_is_named_by_a_guid() {
        for guid in [
            "",
            "fcc588f3",
            "fcc588f30a1b4c2d8e3f0123456789ab",
            "{fcc588f3-0a1b-4c2d-8e3f-0123456789ab}",
            "gcc588f3-0a1b-4c2d-8e3f-0123456789ab",
            "fcc588f3-0a1b-4c2d-8e3f-0123456789ab-",
            "fcc588f-30a1b-4c2d-8e3f-0123456789ab",
            "../../..",
        ] {
            assert_eq!(
                code(with("\"a\"", "6", &format!("\"{guid}\""))),
                "invalid-file-guid",
                "{guid}"
            );
        }
        assert_eq!(code(with("\"a\"", "6", "6")), "invalid-file-guid");
        assert_eq!(code(with("\"a\"", "6", "null")), "missing-file-guid");
        let upper = format!("\"{}\"", GUID.to_uppercase());
        assert!(read(with("\"a\"", "6", &upper).as_bytes()).is_ok());
    }

    #[test]
    fn a_member_in_another_case_is_another_member() {
        assert_eq!(
            code(r#"{"tenantsubdomain":"a"}"#),
            "missing-tenant-sub-domain"
        );
        assert_eq!(
            code(r#"{"tenantSubDomain":"a","UserAccountId":6}"#),
            "missing-user-account-id"
        );
    }

    #[test]
    fn what_is_not_a_json_object_is_malformed() {
        for body in [
            &b"x"[..],
            b"null",
            b"[]",
            b"\"a\"",
            b"[\"a\",6,\"fcc588f3-0a1b-4c2d-8e3f-0123456789ab\"]",
            b"{",
            b"{} {}",
            b"{\"a\":1,}",
            b"{'a':1}",
            b"{\"a\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
            b"{\"userAccountId\":06}",
            b"{\"userAccountId\":1e999}",
            b"{\"fileGuid\":\"a\",\"fileGuid\":\"a\"}",
        ] {
            assert_eq!(
                code(body),
                "malformed-json",
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        for body in ["", " \r\n\t"] {
            assert_eq!(code(body), "missing-body");
        }
    }

    #[test]
    fn a_syntax_error_is_told_by_place_and_not_by_content() {
        let message = read(b"{\n \"secret\": secret}").unwrap_err().message;
        assert!(message.ends_with("see line 2, column 12."), "{message}");
        assert!(!message.contains("secret"));
    }

    #[test]
    fn deep_nesting_is_refused_or_ignored_without_harm() {
        let deep = "[".repeat(8_000);
        assert_eq!(code(format!(r#"{{"x":{deep}"#)), "malformed-json");
        assert_eq!(code(format!(r#"{{"fileGuid":{deep}"#)), "malformed-json");
    }
}
