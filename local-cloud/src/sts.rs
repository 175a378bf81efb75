//! STS, as far as clients call it by themselves: `GetCallerIdentity`.

use crate::iam::Iam;
use crate::protocol::query::{Answer, Call, Refusal};
use crate::protocol::xml::Xml;
use crate::s3::ACCOUNT;

/// Of STS's documents.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Answers one request.
pub(crate) fn handle(call: &Call, iam: &Iam) -> Answer {
    if call.action != "GetCallerIdentity" {
        return Err(Refusal::invalid_action("STS", &call.action));
    }
    let principal = iam.principal(&call.caller.key_id);
    let mut xml = Xml::default();
    xml.text("Arn", &principal.arn);
    xml.text("UserId", &principal.user_id);
    xml.text("Account", ACCOUNT);
    Ok(Some(xml))
}
