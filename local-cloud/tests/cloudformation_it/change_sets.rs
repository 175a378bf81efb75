//! Change sets: what they show, and what becomes of them.

use aws_sdk_cloudformation::types::{
    ChangeAction, ChangeSetType, ChangeSource, EvaluationType, Replacement, ResourceChange,
};

use crate::support::{BUCKET, Bench, HELLO, refused, status};

fn changes(
    shown: &aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput,
) -> Vec<&ResourceChange> {
    shown.changes().iter().map(|change| change.resource_change().unwrap()).collect()
}

#[tokio::test]
async fn a_change_set_for_a_new_stack_adds_everything_and_makes_it_when_executed() {
    let bench = Bench::start().await;
    let shown = bench.change_set("app", "first", ChangeSetType::Create, HELLO, &[]).await;
    assert_eq!(
        (shown.status().unwrap().as_str(), shown.execution_status().unwrap().as_str()),
        ("CREATE_COMPLETE", "AVAILABLE")
    );
    let added: Vec<(&str, &ChangeAction)> = changes(&shown)
        .iter()
        .map(|change| (change.logical_resource_id().unwrap(), change.action().unwrap()))
        .collect();
    assert_eq!(added, [("Function", &ChangeAction::Add), ("Logs", &ChangeAction::Add), ("Role", &ChangeAction::Add)]);
    let reviewed = bench.stack("app").await;
    assert_eq!((status(&reviewed), bench.has_function("app").await), ("REVIEW_IN_PROGRESS", false));

    let stack = bench.execute("app", "first").await;
    assert_eq!(status(&stack), "CREATE_COMPLETE");
    assert!(bench.has_function("app").await);
    assert_eq!(stack.change_set_id(), shown.change_set_id());
    assert_eq!(bench.history("app", "app").await, ["REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"]);
}

#[tokio::test]
async fn a_change_set_without_changes_fails_with_the_reason_that_clients_look_for() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    let shown = bench.change_set("app", "none", ChangeSetType::Update, HELLO, &[]).await;
    assert_eq!(
        (shown.status().unwrap().as_str(), shown.execution_status().unwrap().as_str()),
        ("FAILED", "UNAVAILABLE")
    );
    assert_eq!(
        shown.status_reason(),
        Some("The submitted information didn't contain changes. Submit different information to create a change set.")
    );
    let executed = bench.cloudformation.execute_change_set().stack_name("app").change_set_name("none").send().await;
    let (code, message) = refused(executed);
    assert_eq!(code, "InvalidChangeSetStatus");
    assert!(message.ends_with("cannot be executed in its current status of [FAILED]"), "{message}");
}

#[tokio::test]
async fn a_parameters_new_value_is_shown_as_the_cause() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    let shown = bench.change_set("app", "more", ChangeSetType::Update, HELLO, &[("Memory", "512")]).await;
    let changes = changes(&shown);
    assert_eq!(changes.len(), 1);
    let change = changes[0];
    assert_eq!((change.logical_resource_id(), change.action()), (Some("Function"), Some(&ChangeAction::Modify)));
    assert_eq!((change.physical_resource_id(), change.replacement()), (Some("app"), Some(&Replacement::False)));
    let detail = &change.details()[0];
    assert_eq!(
        (detail.change_source(), detail.causing_entity()),
        (Some(&ChangeSource::ParameterReference), Some("Memory"))
    );
    assert_eq!(detail.target().unwrap().name(), Some("MemorySize"));
    assert_eq!(bench.memory("app").await, 128, "a change set alone changes nothing");
    bench.execute("app", "more").await;
    assert_eq!(bench.memory("app").await, 512);
}

#[tokio::test]
async fn replacement_and_removal_are_announced() {
    let bench = Bench::start().await;
    let two = format!("{BUCKET}  Second:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Retain\n");
    bench.create("store", &two, &[("Name", "first")]).await;
    let shown = bench.change_set("store", "c", ChangeSetType::Update, BUCKET, &[("Name", "other")]).await;
    let changes = changes(&shown);
    let [bucket, second] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(
        (bucket.replacement(), bucket.policy_action().unwrap().as_str()),
        (Some(&Replacement::True), "ReplaceAndDelete")
    );
    assert_eq!((second.action(), second.policy_action().unwrap().as_str()), (Some(&ChangeAction::Remove), "Retain"));

    let kept = second.physical_resource_id().unwrap().to_owned();
    bench.execute("store", "c").await;
    assert!(bench.s3.head_bucket().bucket(kept).send().await.is_ok());
    assert_eq!(bench.history("store", "Second").await.last().unwrap(), "DELETE_SKIPPED");
    assert!(bench.s3.head_bucket().bucket("first").send().await.is_err());
}

/// AWS lists what reads an attribute of a changed resource, although it may stay the same.
#[tokio::test]
async fn what_reads_an_attribute_of_a_changed_resource_may_change_too() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    let template = HELLO.replace("PolicyName: log", "PolicyName: write-log");
    let shown = bench.change_set("app", "c", ChangeSetType::Update, &template, &[]).await;
    let changes = changes(&shown);
    let names: Vec<&str> = changes.iter().map(|change| change.logical_resource_id().unwrap()).collect();
    assert_eq!(names, ["Function", "Role"]);
    let detail = &changes[0].details()[0];
    assert_eq!(
        (detail.evaluation(), detail.change_source()),
        (Some(&EvaluationType::Dynamic), Some(&ChangeSource::ResourceAttribute))
    );
    assert_eq!(detail.causing_entity(), Some("Role.Arn"));
    // The role keeps its ARN, so nothing is done to the function.
    bench.execute("app", "c").await;
    assert_eq!(bench.history("app", "Function").await.last().unwrap(), "CREATE_COMPLETE");
}

#[tokio::test]
async fn change_sets_are_listed_deleted_and_missed() {
    let bench = Bench::start().await;
    bench.change_set("app", "a", ChangeSetType::Create, HELLO, &[]).await;
    bench.change_set("app", "b", ChangeSetType::Create, HELLO, &[("Memory", "256")]).await;
    let listed = bench.cloudformation.list_change_sets().stack_name("app").send().await.unwrap();
    assert_eq!(listed.summaries().len(), 2);
    bench.cloudformation.delete_change_set().stack_name("app").change_set_name("a").send().await.unwrap();
    let (code, message) =
        refused(bench.cloudformation.describe_change_set().stack_name("app").change_set_name("a").send().await);
    assert_eq!((code.as_str(), message.as_str()), ("ChangeSetNotFound", "ChangeSet [a] does not exist"));
    let missing = bench.cloudformation.describe_change_set().stack_name("nope").change_set_name("a").send().await;
    assert_eq!(refused(missing).1, "Stack [nope] does not exist");
}

#[tokio::test]
async fn the_type_must_suit_the_stack() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    let ask = async |stack: &str, kind: ChangeSetType| {
        let request = bench.cloudformation.create_change_set().stack_name(stack).change_set_name("c");
        refused(request.change_set_type(kind).template_body(BUCKET).send().await).1
    };
    assert_eq!(
        ask("app", ChangeSetType::Create).await,
        "Stack [app] already exists and cannot be created again with the changeSet [c]."
    );
    assert_eq!(ask("none", ChangeSetType::Update).await, "Stack [none] does not exist");
}
