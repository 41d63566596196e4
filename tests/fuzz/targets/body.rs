//! The JSON body of a delete, as the default plugin reads it: strictly what it knows, whatever else
//! there is, and in agreement with serde_json.

#![no_main]

use atropos_sdk::plugin::DocumentRequest;
use atropos_standard::fuzzing;
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let request = DocumentRequest {
        authorization: Some("Bearer abc".to_owned()),
        content_type: Some("application/json".to_owned()),
        body: body.to_vec(),
    };
    let (outcome, calls) = fuzzing::document(&request);
    match (&outcome, expected(body)) {
        (Ok(()), Ok([token, document])) => assert_eq!(calls[..2], [token, document]),
        // Members that nobody asks for are skipped without a look at what serde_json would refuse,
        // such as a number beyond a double, or half a surrogate pair.
        (_, Err("unreadable")) => {}
        (Err(refusal), Err(code)) => assert_eq!(refusal.code, code),
        (_, expected) => panic!("{outcome:?}, and not {expected:?}"),
    }
    match outcome {
        Ok(()) => assert_eq!(calls.len(), 4),
        Err(refusal) => {
            assert!(calls.is_empty(), "the host was asked");
            assert!(refusal.message.len() <= 512);
        }
    }
});

/// All members, in order, with those that repeat.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Members;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

impl Members {
    fn named(&self, name: &str) -> Result<&Value, &'static str> {
        let mut values = self.0.iter().filter(|(member, _)| member == name);
        match (values.next(), values.next()) {
            (None, _) => Ok(&Value::Null),
            (Some((_, value)), None) => Ok(value),
            _ => Err("malformed-json"),
        }
    }
}

/// What the host is asked first, or the code of the refusal.
fn expected(body: &[u8]) -> Result<[String; 2], &'static str> {
    if body.trim_ascii().is_empty() {
        return Err("missing-body");
    }
    let members: Members = serde_json::from_slice(body).map_err(|_| "unreadable")?;
    let [tenant, user, guid] = ["tenantSubDomain", "userAccountId", "fileGuid"];
    let (tenant, user, guid) = (
        members.named(tenant)?,
        members.named(user)?,
        members.named(guid)?,
    );
    let tenant = match tenant {
        Value::Null => return Err("missing-tenant-sub-domain"),
        Value::String(label) if label.parse::<atropos::target::Subdomain>().is_ok() => label,
        _ => return Err("invalid-tenant-sub-domain"),
    };
    let user = match user {
        Value::Null => return Err("missing-user-account-id"),
        Value::Number(number) => number.as_i64().filter(|id| *id > 0 && number.is_u64()),
        _ => None,
    };
    let user = user.ok_or("invalid-user-account-id")?;
    let guid = match guid {
        Value::Null => return Err("missing-file-guid"),
        Value::String(guid) if is_hyphenated(guid) => guid,
        _ => return Err("invalid-file-guid"),
    };
    Ok([
        format!("token abc {tenant}"),
        format!("document {user} {guid}"),
    ])
}

fn is_hyphenated(guid: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    guid.len() == 36
        && guid.bytes().enumerate().all(|(at, byte)| {
            if hyphens.contains(&at) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
}
