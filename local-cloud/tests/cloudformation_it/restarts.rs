//! Stacks and roles in a data directory survive a restart; what was under way has failed.

use std::path::Path;
use std::time::Duration;

use aws_sdk_cloudformation::types::Capability;

use crate::support::{Bench, HELLO, given, quick, status};

async fn start(path: &Path) -> Bench {
    Bench::with(quick().data_dir(path)).await
}

#[tokio::test]
async fn a_stack_can_be_updated_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let bench = start(directory.path()).await;
    let id = bench.create("app", HELLO, &[]).await.stack_id.unwrap();
    bench.cloud.shutdown().await;

    let bench = start(directory.path()).await;
    let stack = bench.stack("app").await;
    assert_eq!(
        (stack.stack_id.as_deref(), stack.stack_status.unwrap().as_str()),
        (Some(id.as_str()), "CREATE_COMPLETE")
    );
    assert_eq!(bench.iam.list_roles().send().await.unwrap().roles().len(), 1);
    assert_eq!(status(&bench.update("app", HELLO, &[("Memory", "512")]).await), "UPDATE_COMPLETE");
    assert_eq!(status(&bench.delete("app").await), "DELETE_COMPLETE");
}

#[tokio::test]
async fn an_update_that_was_cut_off_has_failed_and_can_be_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let bench = start(directory.path()).await;
    bench.create("app", HELLO, &[]).await;
    bench.cloud.stacks().delay_next("Function", Duration::from_secs(3600));
    let update = bench.cloudformation.update_stack().stack_name("app").template_body(HELLO);
    let update = update.capabilities(Capability::CapabilityIam).set_parameters(Some(given(&[("Memory", "512")])));
    update.send().await.unwrap();
    // In the middle of the function's step, which is written down by then.
    while bench.memory("app").await != 512 {
        tokio::task::yield_now().await;
    }
    bench.create("other", HELLO, &[]).await;
    bench.cloud.shutdown().await;

    let bench = start(directory.path()).await;
    let stack = bench.stack("app").await;
    assert_eq!(status(&stack), "UPDATE_FAILED");
    assert_eq!(stack.stack_status_reason.as_deref(), Some("The local cloud ended during the operation."));
    assert_eq!(status(&bench.update("app", HELLO, &[("Memory", "512")]).await), "UPDATE_COMPLETE");
    assert_eq!(bench.memory("app").await, 512);
}
