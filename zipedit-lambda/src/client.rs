//! The S3 client, from what Lambda puts into the environment.
//!
//! `aws-config` would find the same credentials after asking for profiles, containers and instance metadata; without
//! it the function is smaller and starts sooner.

use std::env::var;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};

pub(crate) fn from_environment() -> Client {
    let set = |name: &str| var(name).ok().filter(|value| !value.is_empty());
    let mut config = Builder::new().behavior_version(BehaviorVersion::latest());
    if let Some(region) = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")) {
        config = config.region(Region::new(region));
    }
    if let (Some(id), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        let token = set("AWS_SESSION_TOKEN");
        config = config.credentials_provider(Credentials::new(id, secret, token, None, "environment"));
    }
    if let Some(endpoint) = set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL")) {
        // Other stores have no host name for every bucket.
        config = config.endpoint_url(endpoint).force_path_style(true);
    }
    Client::from_conf(zipedit::store::s3::tuned(config).build())
}
