//! `compile` of quickdeploy.toml, where a deployment is asked for by hand.
#![cfg(unix)]

use crate::world::{World, config};

/// `dist` is deployed, and made from `src`.
async fn compiled(command: &str) -> World {
    let world = World::with_functions(&["start"]).await;
    world.write("src/start.js", "// new\n");
    let more = format!("compile = {command:?}\nbuild = \"mkdir dist && cp src/* dist\"\n[map]\ndist = \"\"\n");
    world.write("quickdeploy.toml", &format!("{}{more}", config(&["start"], "direct")));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_compiles_first() {
    let world = compiled("mkdir -p dist && cp src/* dist && echo $QUICKDEPLOY_ROOT > ../where").await;
    let ran = world.run(&[]).await.expect_code(0);
    assert!(ran.stderr.contains("Compiled in"), "{}", ran.stderr);
    assert_eq!(world.entry("start.js").await.unwrap(), "// new\n");
    let place = world.project.path().join("../where");
    assert_eq!(std::fs::read_to_string(&place).unwrap().trim(), world.project.path().to_str().unwrap());
    std::fs::remove_file(place).unwrap();

    world.write("src/start.js", "// newer\n");
    let ran = world.run(&["--dry-run", "--json"]).await.expect_code(0);
    assert!(ran.stderr.contains("`compile` is not run"), "{}", ran.stderr);
    assert_eq!(ran.json()["changes"]["modified"].as_array().unwrap().len(), 0);
    world.run(&["--no-compile"]).await.expect_code(0);
    assert_eq!(world.entry("start.js").await.unwrap(), "// new\n");
    world.run(&["diff", "--exit-code"]).await.expect_code(0);
    world.run(&[]).await.expect_code(0);
    assert_eq!(world.entry("start.js").await.unwrap(), "// newer\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_compile_is_not_deployed() {
    let world =
        compiled("mkdir -p dist; echo '// half' > dist/start.js; for i in $(seq 30); do echo line $i; done; exit 7")
            .await;
    let ran = world.run(&["--json"]).await.expect_code(1);
    let error = &ran.json()["error"];
    assert_eq!(error["errorType"], "CompileFailed");
    assert!(error["message"].as_str().unwrap().ends_with("ended with exit code 7: nothing was deployed"), "{error:#}");
    let cause = error["causes"][0].as_str().unwrap();
    assert!(cause.starts_with("the last 20 of the 30 lines that it printed:\nline 11\n"), "{cause}");
    world.assert_nothing_was_changed();

    let world = compiled("no-such-compiler").await;
    let ran = world.run(&[]).await.expect_code(1);
    assert!(ran.stderr.contains("was not found: is it installed, and in PATH?"), "{}", ran.stderr);
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_checkout_is_built_in_full_where_that_is_allowed() {
    let world = compiled("false").await;
    let ran = world.run(&["--full-if-needed", "--json"]).await.expect_code(0);
    assert_eq!(ran.json()["command"], "full", "{}", ran.stderr);
    assert!(ran.stderr.contains("as `dist` was never built here"), "{}", ran.stderr);
    assert_eq!(world.entry("start.js").await.unwrap(), "// new\n");
}
