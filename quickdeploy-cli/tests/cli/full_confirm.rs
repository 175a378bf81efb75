//! `quickdeploy full --confirm`, on a terminal.

use crate::full_stack::{change_sets, edit_template, memory, project, status};
use crate::terminal::{CTRL_C, CTRL_D, answered};

#[tokio::test(flavor = "multi_thread")]
async fn yes_executes_the_change_set_that_was_shown() {
    let world = project().await;
    let Some(ran) = answered(&world, &["full", "--confirm"], "y\n").await else { return };
    let ran = ran.expect_code(0);
    let plain = anstream::adapter::strip_str(&ran.stdout).to_string();
    let (before, after) = plain.split_once("Execute it? [y/N]").expect("it asks");
    assert!(before.contains("2 to add") && after.contains("Created the stack `app`"), "{plain}");
    assert_eq!(status(&world).await.as_deref(), Some("CREATE_COMPLETE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_but_yes_leaves_neither_change_set_nor_stack() {
    for answer in ["n\n", "\n", "maybe\n", CTRL_D] {
        let world = project().await;
        let Some(ran) = answered(&world, &["full", "--confirm"], answer).await else { return };
        let ran = ran.expect_code(1);
        let plain = anstream::adapter::strip_str(&ran.stdout).to_string();
        assert!(plain.contains("the change set was not executed, as you said"), "{answer:?}: {plain}");
        assert_eq!(status(&world).await, None, "{answer:?}");
        assert!(world.requests("ExecuteChangeSet").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_leaves_a_stack_that_is_there_as_it_is() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    let (sets, live) = (change_sets(&world).await, world.live("app-api").await);
    edit_template(&world, "MemorySize: 128", "MemorySize: 512");
    let Some(ran) = answered(&world, &["full", "--confirm"], "n\n").await else { return };
    ran.expect_code(1);
    assert_eq!((change_sets(&world).await, memory(&world).await), (sets, Some(128)));
    assert_eq!((status(&world).await.as_deref(), world.live("app-api").await), (Some("CREATE_COMPLETE"), live));
    // What was refused is still to be deployed, and named.
    let ran = world.run(&["diff"]).await.expect_code(0);
    assert!(ran.stderr.contains("`template.yaml` has changed"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_at_the_question_leaves_neither_change_set_nor_stack() {
    let world = project().await;
    let Some(ran) = answered(&world, &["full", "--confirm"], CTRL_C).await else { return };
    let ran = ran.expect_code(1);
    assert!(ran.stdout.contains("the stack `app` was not touched"), "{}", ran.stdout);
    assert_eq!(status(&world).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_to_ask_it_is_wrong_usage_before_anything_is_done() {
    let world = project().await;
    for verb in ["full", "bootstrap"] {
        let ran = world.run(&[verb, "--confirm"]).await.expect_code(2);
        assert!(ran.stderr.contains("there is nobody to ask: standard input is no terminal"), "{}", ran.stderr);
        assert!(ran.stderr.contains("`--dry-run`"), "{}", ran.stderr);
    }
    assert!(world.cloud.requests().is_empty());
}
