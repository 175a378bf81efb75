//! STS, as far as clients call it by themselves: `GetCallerIdentity`.

use crate::protocol::query::{Answer, Call, Refusal};
use crate::protocol::xml::Xml;
use crate::s3::ACCOUNT;

/// Of STS's documents.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Answers one request.
pub(crate) fn handle(call: &Call) -> Answer {
    if call.action != "GetCallerIdentity" {
        return Err(Refusal::invalid_action("STS", &call.action));
    }
    let user = &call.caller.key_id;
    let mut xml = Xml::default();
    xml.text("Arn", &format!("arn:aws:iam::{ACCOUNT}:user/{user}"));
    xml.text("UserId", user);
    xml.text("Account", ACCOUNT);
    Ok(Some(xml))
}
