//! Projects with several artifacts.

use crate::world::{BUCKET, World, sha256, zip_of};

const WORKER: &str = "app/worker.zip";

/// A second artifact, of which the functions `worker` runs the first version, with another file of its own.
async fn with_worker() -> World {
    let world = World::with_functions(&["api", "worker"]).await;
    world.write("worker/job.js", "exports.handler = async () => 'job';\n");
    let zip = zip_of([("job.js", b"exports.handler = async () => 'job';\n".to_vec())].into_iter());
    world.s3.put_object().bucket(BUCKET).key(WORKER).body(zip.into()).send().await.unwrap();
    world.write(
        "quickdeploy.toml",
        "via = \"direct\"\n\
         [artifacts.api]\nartifact = \"s3://artifacts/app/app.zip\"\nfunctions = [\"api\"]\nexclude = [\"/worker\"]\n\
         [artifacts.worker]\nartifact = \"s3://artifacts/app/worker.zip\"\nfunctions = [\"worker\"]\nroot = \"worker\"\n",
    );
    world
}

async fn worker_zip(world: &World) -> Vec<u8> {
    let object = world.s3.get_object().bucket(BUCKET).key(WORKER).send().await.unwrap();
    object.body.collect().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_artifact_gets_its_own_changes_and_each_function_its_own_artifact() {
    let world = with_worker().await;
    world.write("start.js", "exports.handler = async () => 'new api';\n");
    world.write("worker/job.js", "exports.handler = async () => 'new job';\n");
    let ran = world.run(&["--json"]).await.expect_code(0);
    let document = ran.json();
    assert_eq!(document["ok"], true);
    let [api, worker] = document["artifacts"].as_array().unwrap().as_slice() else { panic!("{document:#}") };
    assert_eq!((&api["name"], &worker["name"]), (&"api".into(), &"worker".into()));
    assert_eq!(api["changes"]["modified"][0]["name"], "start.js");
    assert_eq!(worker["changes"]["modified"][0]["name"], "job.js");
    assert_eq!(world.live("api").await.0, sha256(&world.artifact().await));
    assert_eq!(world.live("worker").await.0, sha256(&worker_zip(&world).await));

    let ran = world.run(&["diff", "--exit-code"]).await.expect_code(0);
    assert_eq!(ran.stdout, "[api]\n[worker]\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_artifact_can_be_chosen_and_the_others_stay() {
    let world = with_worker().await;
    world.run(&[]).await.expect_code(0);
    let before = world.artifact().await;
    world.write("start.js", "exports.handler = async () => 'new api';\n");
    world.write("worker/job.js", "exports.handler = async () => 'new job';\n");
    let document = world.run(&["--artifact", "worker", "--json"]).await.expect_code(0).json();
    assert_eq!(document["artifacts"].as_array().unwrap().len(), 1);
    assert_eq!(world.artifact().await, before);

    let ran = world.run(&["--artifact", "wroker"]).await.expect_code(1);
    assert!(ran.stderr.contains("has no `[artifacts.wroker]`: did you mean `worker`?"), "{ran:?}");
    let ran = world.run(&["--function", "api"]).await.expect_code(2);
    assert!(ran.stderr.contains("--artifact NAME --function NAME"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_fails_does_not_stop_the_others() {
    let world = with_worker().await;
    world.s3.delete_object().bucket(BUCKET).key(WORKER).send().await.unwrap();
    world.write("start.js", "exports.handler = async () => 'new api';\n");
    let ran = world.run(&["--json"]).await.expect_code(1);
    let document = ran.json();
    assert_eq!(document["ok"], false);
    assert_eq!(document["artifacts"][0]["ok"], true);
    assert_eq!(document["artifacts"][1]["error"]["errorType"], "ArtifactNotFound");
    assert_eq!(world.live("api").await.0, sha256(&world.artifact().await));
    // What is told of one artifact stays together, under its name.
    let (api, worker) = (ran.stderr.find("[api]").unwrap(), ran.stderr.find("[worker]").unwrap());
    let error = ran.stderr.find("error:").unwrap();
    assert!(worker < error && (error < api || api < worker), "{}", ran.stderr);
}
