//! The real executable in MiniStack's Lambda, under the role of the template, which MiniStack enforces.

use bytes::Bytes;
use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::programs::read_by_all;
use quickdeploy_tests::site::BUCKET;
use serde_json::{Map, Value, json};
use zipedit::{Change, Changes, Options, edit};

use super::super::edits::{KEY, assert_holds, for_each_strategy, puts};
use super::super::project::Project;
use super::{bootstrapped, ministack};

/// The changes as an event has them.
fn event(key: &str, changes: &Changes) -> Value {
    let named = changes.iter().map(|(name, change)| {
        let content = match change {
            Change::Put(content) => json!(String::from_utf8(content.plain().to_vec()).unwrap()),
            Change::Delete => Value::Null,
        };
        (name.as_str().to_owned(), content)
    });
    json!({ "src": format!("{BUCKET}/{key}"), "changes": named.collect::<Map<String, Value>>() })
}

#[tokio::test]
async fn the_function_edits_by_every_strategy_and_every_reader_reads_the_result() {
    let Some(server) = ministack().await else { return };
    let project = Project::new(&server, &[]);
    bootstrapped(&project).await;
    for (strategy, old, changes) in for_each_strategy() {
        server.put(KEY, old.clone()).await;
        let answer = server.invoke("zipedit", &event(KEY, &changes)).await.unwrap();
        assert_eq!(answer["strategy"], strategy.as_str(), "{answer:#}");
        let new = server.get(KEY).await;
        assert_eq!(answer["size"], new.len(), "{strategy:?}");
        assert_holds(&new, &old, &changes);
        let version = answer["versionId"].as_str().unwrap();
        let named = server.s3.head_object().bucket(BUCKET).key(KEY).version_id(version).send().await.unwrap();
        assert_eq!(named.e_tag(), answer["etag"].as_str());
        assert_eq!(server.open_uploads().await, 0, "{strategy:?}");

        let file = project.path().join("edited.zip");
        std::fs::write(&file, &new).unwrap();
        assert!(!read_by_all(&file, true).is_empty(), "no reader is installed");
    }
}

#[tokio::test]
async fn the_role_lets_the_function_edit_below_its_prefix_and_nowhere_else() {
    let Some(server) = ministack().await else { return };
    bootstrapped(&Project::new(&server, &[])).await;
    let change = puts([("new.js", "1")]);
    for key in ["app/small.zip", "elsewhere/small.zip"] {
        server.put(key, project(3, 1000)).await;
    }
    server.invoke("zipedit", &event("app/small.zip", &change)).await.unwrap();
    let (kind, message) = server.invoke("zipedit", &event("elsewhere/small.zip", &change)).await.unwrap_err();
    assert_eq!(kind, "AccessDenied", "{message}");
    assert!(message.contains("s3:GetObject") && message.contains("elsewhere/small.zip"), "{message}");
    assert!(!contents(&server.get("elsewhere/small.zip").await).contains_key("new.js"));
    // What isn't there is told from what is forbidden, as the role may list below the prefix.
    let (kind, message) = server.invoke("zipedit", &event("app/nothing.zip", &change)).await.unwrap_err();
    assert_eq!(kind, "ArtifactNotFound", "{message}");
}

#[tokio::test]
async fn writers_through_the_function_and_direct_ones_lose_nothing() {
    let Some(server) = ministack().await else { return };
    bootstrapped(&Project::new(&server, &[])).await;
    let mut attempts = Vec::new();
    for artifact in [project(3, 1000), project(30, 400_000)] {
        server.put(KEY, artifact.clone()).await;
        let names: Vec<String> = (0..8).map(|at| format!("writer-{at}.js")).collect();
        let all = puts(names.iter().map(|name| (name.as_str(), name.as_str())));
        let edits = names.iter().enumerate().map(|(at, name)| {
            let (store, change, site) = (server.store(KEY), puts([(name.as_str(), name.as_str())]), &server);
            async move {
                if at % 2 == 0 {
                    return u64::from(edit(&store, &change, &Options::new()).await.unwrap().attempts);
                }
                patiently(site, &event(KEY, &change)).await["attempts"].as_u64().unwrap()
            }
        });
        attempts.extend(futures::future::join_all(edits).await);
        assert_holds(&server.get(KEY).await, &artifact, &all);
        assert_eq!(server.open_uploads().await, 0);
    }
    println!("attempts of 8 writers at once, twice: {attempts:?}");
    assert!(attempts.iter().any(|attempts| *attempts > 1), "nobody was in anybody's way");
}

/// Invokes again after a `Conflict`, as the documentation tells callers.
async fn patiently(site: &quickdeploy_tests::site::Site, event: &Value) -> Value {
    for _ in 0..5 {
        match site.invoke("zipedit", event).await {
            Ok(answer) => return answer,
            Err((kind, message)) => assert_eq!(kind, "Conflict", "{message}"),
        }
    }
    panic!("five conflicts in a row");
}

#[tokio::test]
async fn what_is_no_zip_is_refused_by_name_and_stays_as_it_is() {
    let Some(server) = ministack().await else { return };
    bootstrapped(&Project::new(&server, &[])).await;
    let text = Bytes::from_static(b"this is no zip");
    server.put(KEY, text.clone()).await;
    let (kind, message) = server.invoke("zipedit", &event(KEY, &puts([("a", "1")]))).await.unwrap_err();
    assert_eq!(kind, "NotAZip", "{message}");
    assert_eq!(server.get(KEY).await, text);
}
