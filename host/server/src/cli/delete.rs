//! Deletes, by the flow that HTTP goes: the plugin gets what was typed, and the policies judge it.

use atropos::erase::{DocumentRequest, IdempotencyKey, PhotoRequest, Request};
use atropos_service::service::Service;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Failure;
use super::output::Answer;

/// What the contract allows a value to hold, in bytes, less the word before a token.
const LONGEST: usize = 4096 - "Bearer ".len();

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Delete one photo for good
    #[command(after_help = "\
What is left out is absent from the request, and the plugin says so as it would over HTTP.

Example:
  ATROPOS_KEY=… atropos delete photo --website 423 --user u-7 --photo 0f0c7f5e-…")]
    Photo {
        #[command(flatten)]
        typed: Photo,
        #[command(flatten)]
        once: Once,
    },
    /// Delete one document for good
    #[command(after_help = "\
What is left out is absent from the request, and the plugin says so as it would over HTTP.

Example:
  ATROPOS_TOKEN=… atropos delete document --tenant acme --user 6 --guid fcc588f3-…")]
    Document {
        #[command(flatten)]
        typed: Document,
        #[command(flatten)]
        once: Once,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Once {
    /// What to call this delete, as in the header `Idempotency-Key`: a repeat of it has no effect, and
    /// is answered as it was
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<IdempotencyKey>,
}

// The verb bears the same name.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Photo {
    /// Website of the tenant, as in the header `websiteId`
    #[arg(long, value_name = "N", value_parser = sized)]
    website: Option<String>,
    /// Site key, as in the header `webApiClientKey`
    #[arg(long, env = "ATROPOS_KEY", hide_env_values = true, value_parser = sized)]
    key: Option<String>,
    /// The photo's user, as in `userId`
    #[arg(long, value_parser = sized)]
    user: Option<String>,
    /// The photo's id, as in `photoId`
    #[arg(long, value_name = "ID", value_parser = sized)]
    photo: Option<String>,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Document {
    /// Bearer token, as in the header `Authorization`
    #[arg(long, env = "ATROPOS_TOKEN", hide_env_values = true, value_parser = sized)]
    token: Option<String>,
    /// Subdomain of the tenant, as in `tenantSubDomain`
    #[arg(long, value_parser = sized)]
    tenant: Option<String>,
    /// The document's user, as in `userAccountId`
    #[arg(long, value_name = "N", value_parser = sized)]
    user: Option<String>,
    /// The document's id, as in `fileGuid`
    #[arg(long, value_parser = sized)]
    guid: Option<String>,
}

pub(crate) async fn run(verb: Verb, service: &Service) -> Result<Answer, Failure> {
    let (request, once) = match verb {
        Verb::Photo { typed, once } => (Request::Photo(typed.into()), once),
        Verb::Document { typed, once } => (Request::Document(typed.into()), once),
    };
    let key = once.idempotency_key;
    let answer = service.atropos.delete_once(request, key).await;
    let (outcome, decision) = (answer.code().to_owned(), answer.decision);
    if let Err(refused) = answer.outcome {
        return Err(Failure::Refused {
            refused,
            outcome,
            decision,
        });
    }
    let value = json!({
        "erased": true,
        "repeated": answer.repeated,
        "outcome": outcome,
        "decision": decision,
    });
    let line = match answer.repeated {
        false => "erased",
        true => "erased by an earlier request",
    };
    Answer::line(&value, line)
}

impl From<Photo> for PhotoRequest {
    fn from(typed: Photo) -> Self {
        Self {
            website_id: typed.website,
            site_key: typed.key,
            user_id: typed.user,
            photo_id: typed.photo,
        }
    }
}

impl From<Document> for DocumentRequest {
    fn from(typed: Document) -> Self {
        let fields = [
            ("tenantSubDomain", typed.tenant.map(Value::String)),
            ("userAccountId", typed.user.map(number_or_text)),
            ("fileGuid", typed.guid.map(Value::String)),
        ];
        let given = fields.into_iter();
        let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Self {
            authorization: typed.token.map(|token| format!("Bearer {token}")),
            content_type: Some("application/json".to_owned()),
            body: Value::Object(given.collect::<Map<_, _>>())
                .to_string()
                .into_bytes(),
        }
    }
}

/// A user account is a number; anything else is for the plugin to refuse.
fn number_or_text(typed: String) -> Value {
    match typed.parse::<serde_json::Number>() {
        Ok(number) => Value::Number(number),
        Err(_) => Value::String(typed),
    }
}

fn sized(text: &str) -> Result<String, String> {
    if text.len() <= LONGEST {
        Ok(text.to_owned())
    } else {
        Err(format!("must have at most {LONGEST} bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(user: Option<&str>) -> (DocumentRequest, Value) {
        let typed = Document {
            token: Some("t".to_owned()),
            tenant: Some("MyTenant".to_owned()),
            user: user.map(str::to_owned),
            guid: None,
        };
        let request = DocumentRequest::from(typed);
        let body = serde_json::from_slice(&request.body).unwrap();
        (request, body)
    }

    #[test]
    fn a_document_request_is_what_http_would_carry() {
        let (request, body) = request(Some("6"));
        assert_eq!(request.authorization.as_deref(), Some("Bearer t"));
        assert_eq!(request.content_type.as_deref(), Some("application/json"));
        assert_eq!(
            body,
            json!({ "tenantSubDomain": "MyTenant", "userAccountId": 6 })
        );
    }

    #[test]
    fn what_is_left_out_is_absent_and_what_is_empty_is_empty() {
        assert_eq!(request(None).1.get("userAccountId"), None);
        assert_eq!(request(Some("")).1["userAccountId"], "");
    }

    #[test]
    fn a_user_account_that_is_no_number_reaches_the_plugin_as_typed() {
        assert_eq!(request(Some("six")).1["userAccountId"], "six");
        assert_eq!(request(Some("-6")).1["userAccountId"], -6);
    }
}
