//! Everything that has to be refused, by its name, with the artifact untouched.

use aws_sdk_lambda::types::{AllowedPublishers, CodeSigningPolicies, CodeSigningPolicy, FunctionCode, PackageType};
use local_cloud::{Action, Fault};

use crate::world::{KEY, Ran, World, config};

/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:1";

fn error(ran: &Ran) -> (String, String) {
    let document = ran.json();
    let text = |key: &str| document["error"][key].as_str().unwrap().to_owned();
    (text("errorType"), text("message"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_not_there() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &config(&["a", "ghost"], "direct"));
    world.write("start.js", "// edited\n");
    let ran = world.run(&["--json"]).await.expect_code(1);
    let (kind, message) = error(&ran);
    assert_eq!(kind, "FunctionNotFound");
    assert!(message.contains("`ghost`"), "{message}");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn enforced_code_signing() {
    let world = World::with_functions(&["a", "signed"]).await;
    let publishers = AllowedPublishers::builder()
        .signing_profile_version_arns("arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/0123456789")
        .build()
        .unwrap();
    let enforce = CodeSigningPolicies::builder().untrusted_artifact_on_deployment(CodeSigningPolicy::Enforce).build();
    let config = world
        .lambda
        .create_code_signing_config()
        .allowed_publishers(publishers)
        .code_signing_policies(enforce)
        .send()
        .await
        .unwrap();
    world
        .lambda
        .put_function_code_signing_config()
        .function_name("signed")
        .code_signing_config_arn(config.code_signing_config().unwrap().code_signing_config_arn())
        .send()
        .await
        .unwrap();
    world.write("start.js", "// edited\n");
    let ran = world.run(&["--json"]).await.expect_code(1);
    let (kind, message) = error(&ran);
    assert_eq!(kind, "CodeSigningEnforced");
    assert!(message.contains("`signed`"), "{message}");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_runs_from_an_image() {
    let world = World::with_functions(&["a"]).await;
    let code = FunctionCode::builder().image_uri("000000000000.dkr.ecr.us-east-1.amazonaws.com/app:1").build();
    let image = world.lambda.create_function().function_name("image").package_type(PackageType::Image).code(code);
    image.role("arn:aws:iam::000000000000:role/test").send().await.unwrap();
    world.cloud.clear_requests();
    world.write("quickdeploy.toml", &config(&["a", "image"], "direct"));
    world.write("start.js", "// edited\n");
    let ran = world.run(&["--json"]).await.expect_code(1);
    let (kind, message) = error(&ran);
    assert_eq!(kind, "ImageFunction");
    assert!(message.contains("`image`"), "{message}");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_in_another_region_than_the_bucket() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    let arn = "arn:aws:lambda:eu-west-1:000000000000:function:a";
    world.write("quickdeploy.toml", &config(&[arn], "direct"));
    let ran = world.run(&["--json"]).await.expect_code(1);
    assert!(["WrongRegion", "FunctionNotFound"].contains(&error(&ran).0.as_str()), "{ran:?}");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_is_not_there() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &config(&["a"], "direct").replace(KEY, "app/other.zip"));
    let ran = world.run(&["--json"]).await.expect_code(1);
    let (kind, message) = error(&ran);
    assert_eq!(kind, "ArtifactNotFound");
    assert!(message.contains("s3://artifacts/app/other.zip"), "{message}");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zipedit_function_that_is_not_there() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &format!("{}zipedit = \"nowhere\"\n", config(&["a"], "lambda")));
    world.write("start.js", "// edited\n");
    let ran = world.run(&["--json"]).await.expect_code(1);
    assert_eq!(error(&ran).0, "ZipeditNotFound");
    assert!(ran.stderr.contains("--via direct"), "{}", ran.stderr);
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_zipedit_function_comes_through_by_its_name() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &config(&["a"], "lambda"));
    // A file where the artifact has a file's name as a directory.
    std::fs::remove_file(world.project.path().join("start.js")).unwrap();
    world.write("start.js/below.js", "x\n");
    let ran = world.run(&["--json"]).await.expect_code(1);
    assert_eq!(error(&ran).0, "InvalidEntryName");
    assert!(ran.stderr.contains("reported by the function `zipedit`"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_the_configuration_does_not_find() {
    let world = World::with_functions(&["a", "b"]).await;
    world.write("quickdeploy.toml", &config(&["a"], "direct"));
    let ran = world.run(&["--json", "--function", "b"]).await.expect_code(1);
    assert_eq!(error(&ran).0, "FunctionNotFound");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_configuration() {
    let world = World::with_functions(&[]).await;
    std::fs::remove_file(world.project.path().join("quickdeploy.toml")).unwrap();
    let ran = world.run(&["--json"]).await.expect_code(1);
    assert_eq!(error(&ran).0, "NoConfig");
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_has_an_exit_code_of_its_own_and_a_document_too() {
    let world = World::with_functions(&[]).await;
    for arguments in [&["--json", "patch"] as &[&str], &["--json", "--nonsense"], &["--json", "--dry-run", "diff"]] {
        let ran = world.run(arguments).await.expect_code(2);
        assert_eq!(error(&ran).0, "Usage", "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_does_not_answer() {
    let world = World::with_functions(&["a"]).await;
    let ran = world.run(&["--json", "--endpoint-url", NOBODY]).await.expect_code(1);
    let (kind, message) = error(&ran);
    assert_eq!(kind, "Unreachable");
    assert!(message.contains(NOBODY), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_not_there_although_the_environment_has_keys() {
    let world = World::with_functions(&["a"]).await;
    let ran = world.run(&["--json", "--profile", "ghost"]).await.expect_code(1);
    let (kind, message) = error(&ran);
    assert_eq!(kind, "NoCredentials");
    assert!(message.contains("`ghost`"), "{message}");
    assert!(world.cloud.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_keys() {
    let world = World::with_functions(&["a"]).await;
    let mut command = world.command(&["--json"]);
    let ran = Ran::of(&command.env_remove("AWS_SECRET_ACCESS_KEY").output().await.unwrap()).expect_code(1);
    let (kind, message) = error(&ran);
    assert_eq!(kind, "NoCredentials");
    assert!(message.contains("AWS_SECRET_ACCESS_KEY is not"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn causes_are_told_in_one_line_without_the_http_clients_layers() {
    let world = World::with_functions(&["a"]).await;
    let ran = world.run(&["diff", "--endpoint-url", NOBODY]).await.expect_code(1);
    let told: Vec<&str> = ran.stderr.lines().filter(|line| !line.starts_with(" hint: ")).collect();
    assert_eq!(told.len(), 1, "{}", ran.stderr);
    for layer in ["dispatch failure", "client error", "os error"] {
        assert!(!told[0].contains(layer), "{}", told[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    let skewed = Action::Respond { status: 403, code: "RequestTimeTooSkewed" };
    world.cloud.faults().inject(Fault::on("GetObject").always().then(skewed));
    let ran = world.run(&["--json"]).await.expect_code(1);
    let (kind, message) = error(&ran);
    assert_eq!(kind, "WrongClock");
    assert!(message.contains("clock"), "{message}");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_days_off_is_set_by_the_clouds_answers() {
    for ahead in [-3 * 86_400, 3600, 400 * 86_400] {
        let world = World::with_functions(&["a", "b"]).await;
        world.cloud.set_clock(ahead);
        world.write("start.js", "// edited\n");
        let ran = world.run(&["--json"]).await.expect_code(0);
        assert_eq!(ran.json()["ok"], true);
        let refused = world.cloud.requests().iter().filter(|it| it.status == 403).count();
        assert!(refused > 0, "the clock was not looked at: {:#?}", world.cloud.requests());
        world.cloud.set_clock(0);
        assert_eq!(world.live("a").await.0, crate::world::sha256(&world.artifact().await), "{ahead} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_in_the_middle_of_a_deployment() {
    for (before, after) in [(0, 7200), (0, -7200), (7200, -7200)] {
        let world = World::with_functions(&["a", "b"]).await;
        world.cloud.set_clock(before);
        world.write("start.js", "// edited\n");
        world.cloud.faults().inject(Fault::on("PutObject").then(Action::Hold { gate: 1 }));
        let deploying = world.command(&["--json"]).spawn().unwrap();
        crate::interrupts::seen(&world, "PutObject").await;
        // From the answer to the put on, the cloud is hours away from what this machine thinks.
        world.cloud.set_clock(after);
        world.cloud.faults().open(1);
        let ran = Ran::of(&deploying.wait_with_output().await.unwrap()).expect_code(0);
        assert_eq!(ran.json()["ok"], true);
        let took = ran.json()["elapsedMs"].as_u64().unwrap();
        assert!(took < 60_000, "a duration is not by the monotonic clock: {took} ms");
        world.cloud.set_clock(0);
        assert_eq!(world.live("b").await.0, crate::world::sha256(&world.artifact().await));
    }
}
