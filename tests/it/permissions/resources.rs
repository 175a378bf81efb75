//! Policies of buckets, which can deny what the caller's own allow, and allow what they don't.

use serde_json::{Value, json};

use super::page::{document, policies};
use super::scenarios::{FUNCTIONS, Scenario, Start};
use super::stage::{Ran, run_in_bucket};

const EVERYTHING: [&str; 2] = ["arn:aws:s3:::my-bucket", "arn:aws:s3:::my-bucket/*"];

fn deploy(start: Start) -> Scenario {
    let arguments = &["deploy", "--via", "direct"];
    Scenario { policy: "deploy", with: &[], arguments, config: FUNCTIONS, start }
}

fn doctor() -> Scenario {
    Scenario { policy: "doctor", arguments: &["doctor"], ..deploy(Start::Small) }
}

/// The scenario under its documented policy, in a bucket with this statement.
async fn run(scenario: Scenario, statement: Value) -> Ran {
    let policy = document(policies()[scenario.policy].required.clone());
    run_in_bucket(scenario, &policy, Some(&document([statement]))).await
}

fn deny(action: &str, condition: &Value) -> Value {
    json!({ "Effect": "Deny", "Principal": "*", "Action": action, "Resource": EVERYTHING, "Condition": condition })
}

/// Denials that buckets are commonly given, each with the first action of a deployment that it hits.
fn denials() -> [(&'static str, Value); 3] {
    [
        ("s3:GetObject", deny("s3:*", &json!({ "Bool": { "aws:SecureTransport": "false" } }))),
        ("s3:GetObject", deny("s3:*", &json!({ "StringNotEquals": { "aws:SourceVpce": "vpce-1a2b3c4d" } }))),
        (
            "s3:PutObject",
            deny("s3:PutObject", &json!({ "StringNotEquals": { "s3:x-amz-server-side-encryption": "aws:kms" } })),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_by_the_bucket_is_told_from_a_missing_allowance_and_nothing_is_changed() {
    for (action, statement) in denials() {
        for start in [Start::Small, Start::Large] {
            let ran = run(deploy(start), statement.clone()).await;
            assert_eq!(ran.code, Some(1), "{ran:#?}");
            assert!(ran.said.contains(action), "{ran:#?}");
            assert!(!ran.artifact_is_new && !ran.functions_are_new, "{ran:#?}");
            // The answer to a HEAD request has no words.
            if ran.said.contains("not authorized to perform") {
                assert!(ran.said.contains("with an explicit deny in a resource-based policy"), "{ran:#?}");
                assert!(ran.said.contains("the resource's own policy denies it"), "{ran:#?}");
                assert!(!ran.said.contains("\"Allow"), "no Allow helps: {ran:#?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_proposes_no_allowance_against_a_denial_by_the_bucket() {
    let (action, statement) = denials().into_iter().next_back().unwrap();
    let ran = run(doctor(), statement).await;
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let (document, _) = ran.said.split_once("\n}\n").unwrap();
    let document: Value = serde_json::from_str(&format!("{document}\n}}")).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let of_action = |finding: &&Value| finding["permission"]["action"] == action;
    let finding = findings.iter().find(of_action).unwrap_or_else(|| panic!("{document:#}"));
    assert_eq!(finding["level"], "failed", "{finding:#}");
    assert!(finding["mend"][0].as_str().unwrap().starts_with("the resource's own policy denies it"), "{finding:#}");
    let proposed = document["policy"].to_string();
    assert!(!proposed.contains(action), "{proposed}");
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_takes_only_conditional_writes_can_be_deployed_to() {
    let condition = json!({ "Null": { "s3:if-match": "true", "s3:if-none-match": "true" },
                            "Bool": { "s3:ObjectCreationOperation": "true" } });
    for start in [Start::Small, Start::Large] {
        let ran = run(deploy(start), deny("s3:PutObject", &condition)).await;
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert!(ran.artifact_is_new && ran.functions_are_new, "{ran:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bucket_allows_need_not_be_allowed_elsewhere() {
    let of_lambda = |statement: &Value| !statement.to_string().contains("s3:");
    let own = document(policies()["deploy"].required.iter().filter(|statement| of_lambda(statement)).cloned());
    let allow = |principal: &str| {
        let actions = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"];
        let principal = json!({ "AWS": format!("arn:aws:iam::000000000000:{principal}") });
        document([json!({ "Effect": "Allow", "Principal": principal, "Action": actions, "Resource": EVERYTHING })])
    };
    let ran = run_in_bucket(deploy(Start::Small), &own, Some(&allow("user/dev"))).await;
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    // To the account as such it is only a permission to pass it on.
    for principal in ["user/ops", "root"] {
        let ran = run_in_bucket(deploy(Start::Small), &own, Some(&allow(principal))).await;
        assert_eq!(ran.code, Some(1), "{principal}: {ran:#?}");
        assert!(ran.said.contains("s3:GetObject"), "{principal}: {ran:#?}");
    }
}
