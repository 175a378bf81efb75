//! Access control lists: kept and shown. Nobody is kept out by one, as there is only one account.

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::*;

use super::tagging::change_attributes;
use super::{Answer, owner, plain, settings};
use crate::s3::{Context, Refusal, Store};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// The headers that grant, with what they grant.
const GRANT_HEADERS: [(&str, &str); 5] = [
    ("x-amz-grant-full-control", "FULL_CONTROL"),
    ("x-amz-grant-read", "READ"),
    ("x-amz-grant-write", "WRITE"),
    ("x-amz-grant-read-acp", "READ_ACP"),
    ("x-amz-grant-write-acp", "WRITE_ACP"),
];

fn grant(grantee: Grantee, permission: &str) -> Grant {
    Grant { grantee: Some(grantee), permission: Some(Permission::from(permission.to_owned())) }
}

fn group(uri: &str) -> Grantee {
    Grantee {
        type_: Type::from_static(Type::GROUP),
        uri: Some(uri.to_owned()),
        display_name: None,
        email_address: None,
        id: None,
    }
}

fn user(id: &str) -> Grantee {
    Grantee {
        type_: Type::from_static(Type::CANONICAL_USER),
        id: Some(id.to_owned()),
        display_name: None,
        email_address: None,
        uri: None,
    }
}

/// The list that a canned ACL stands for.
fn canned(name: &str) -> Result<AccessControlPolicy, Refusal> {
    let mut grants = vec![grant(user(crate::s3::OWNER), "FULL_CONTROL")];
    match name {
        "private" | "bucket-owner-read" | "bucket-owner-full-control" | "aws-exec-read" => {}
        "public-read" => grants.push(grant(group(ALL_USERS), "READ")),
        "public-read-write" => {
            grants.push(grant(group(ALL_USERS), "READ"));
            grants.push(grant(group(ALL_USERS), "WRITE"));
        }
        "authenticated-read" => grants.push(grant(group(AUTHENTICATED_USERS), "READ")),
        "log-delivery-write" => {
            grants.push(grant(group(LOG_DELIVERY), "READ_ACP"));
            grants.push(grant(group(LOG_DELIVERY), "WRITE"));
        }
        other => return Err(Refusal::invalid_argument("", "x-amz-acl", other)),
    }
    Ok(AccessControlPolicy { grants: Some(grants), owner: Some(owner()) })
}

/// The ACL that a request's headers ask for, as XML; `None` when they ask for none.
pub(crate) fn of_headers(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let named = text("x-amz-acl");
    let granted = GRANT_HEADERS.iter().any(|(name, _)| headers.contains_key(*name));
    let policy = match (named, granted) {
        (None, false) => return Ok(None),
        (Some(_), true) => {
            return Err(Refusal::invalid_request("Specifying both Canned ACLs and Header Grants is not allowed"));
        }
        (Some(name), false) => canned(name)?,
        (None, true) => {
            let mut grants = Vec::new();
            for (name, permission) in GRANT_HEADERS {
                for grantee in text(name).into_iter().flat_map(|value| value.split(',')) {
                    grants.push(grant(parse_grantee(grantee.trim(), name)?, permission));
                }
            }
            AccessControlPolicy { grants: Some(grants), owner: Some(owner()) }
        }
    };
    settings::to_xml(&policy).map(Some)
}

/// `id="…"`, `uri="…"` or `emailAddress="…"`.
fn parse_grantee(text: &str, header: &str) -> Result<Grantee, Refusal> {
    let invalid = || Refusal::invalid_argument("Argument format not recognized", header, text);
    let (kind, value) = text.split_once('=').ok_or_else(invalid)?;
    let value = value.trim().trim_matches('"');
    match kind.trim().to_ascii_lowercase().as_str() {
        "id" => Ok(user(value)),
        "uri" => Ok(group(value)),
        "emailaddress" => Ok(Grantee {
            type_: Type::from_static(Type::AMAZON_CUSTOMER_BY_EMAIL),
            email_address: Some(value.to_owned()),
            display_name: None,
            id: None,
            uri: None,
        }),
        _ => Err(invalid()),
    }
}

fn shown(stored: Option<&str>) -> Result<AccessControlPolicy, Refusal> {
    match stored.and_then(settings::of_xml) {
        Some(policy) => Ok(policy),
        None => canned("private"),
    }
}

/// The ACL that a Put request brings, in its headers or in its body.
fn asked(context: &Context, body: Option<AccessControlPolicy>) -> Result<String, Refusal> {
    match (of_headers(&context.headers)?, body) {
        (Some(_), Some(_)) => Err(Refusal::new("UnexpectedContent", 400, "This request does not support content")),
        (Some(headers), None) => Ok(headers),
        (None, Some(policy)) if policy.owner.is_none() || policy.grants.is_none() => {
            let message = "The XML you provided was not well-formed or did not validate against our published schema";
            Err(Refusal::new("MalformedACLError", 400, message))
        }
        (None, Some(policy)) => settings::to_xml(&policy),
        (None, None) => Err(Refusal::new("MissingSecurityHeader", 400, "Your request was missing a required header")
            .with("MissingHeaderName", "x-amz-acl")),
    }
}

pub(super) async fn get_bucket(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketAclInput,
) -> Answer<GetBucketAclOutput> {
    let policy = store.read(|state| shown(state.bucket(&input.bucket)?.settings.get("acl").map(String::as_str)))?;
    plain(GetBucketAclOutput { grants: policy.grants, owner: policy.owner })
}

pub(super) async fn put_bucket(
    store: &Arc<Store>,
    context: &Context,
    input: PutBucketAclInput,
) -> Answer<PutBucketAclOutput> {
    let acl = asked(context, input.access_control_policy)?;
    store
        .commit(move |state, _| {
            state.bucket_mut(&input.bucket)?.settings.insert("acl".to_owned(), acl);
            Ok(())
        })
        .await?;
    plain(PutBucketAclOutput {})
}

pub(super) async fn get_object(
    store: &Arc<Store>,
    _: &Context,
    input: GetObjectAclInput,
) -> Answer<GetObjectAclOutput> {
    let policy = store.read(|state| {
        let (_, _, object) = state.readable(&input.bucket, &input.key, input.version_id.as_deref())?;
        shown(object.attributes.acl.as_deref())
    })?;
    plain(GetObjectAclOutput { grants: policy.grants, owner: policy.owner, request_charged: None })
}

pub(super) async fn put_object(
    store: &Arc<Store>,
    context: &Context,
    input: PutObjectAclInput,
) -> Answer<PutObjectAclOutput> {
    let acl = asked(context, input.access_control_policy)?;
    store
        .commit(move |state, _| {
            change_attributes(state, &input.bucket, &input.key, input.version_id.as_deref(), |attributes| {
                attributes.acl = Some(acl);
                Ok(())
            })
        })
        .await?;
    plain(PutObjectAclOutput { request_charged: None })
}
