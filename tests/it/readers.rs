//! Every strategy's output is read without complaint by everybody else's readers, and they read the same.

use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::cloud::Cloud;
use quickdeploy_tests::programs::read_by_all;
use zipedit::{EntryName, Options, Strategy, edit};

use crate::strategies::puts;

#[tokio::test]
async fn all_readers_read_the_output_of_every_strategy() {
    let cloud = Cloud::start().await;
    let folder = tempfile::tempdir().unwrap();
    for (strategy, body) in [
        (Strategy::Small, project(5, 1000)),
        (Strategy::Splice, project(30, 400_000)),
        (Strategy::Rewrite, project(30, 400_000)),
    ] {
        if strategy == Strategy::Rewrite {
            let fault = Fault::on("UploadPartCopy").then(Action::Respond { status: 501, code: "NotImplemented" });
            cloud.faults().inject(fault);
        }
        cloud.put("artifact.zip", body).await;
        let mut change = puts([("util.js", "changed"), ("new/ü.js", "new, not ASCII"), ("empty", ""), ("tiny", "x")]);
        change.delete(EntryName::new("handlers/list.js").unwrap());
        let report = edit(&cloud.store("artifact.zip"), &change, &Options::new()).await.unwrap();
        assert_eq!(report.strategy, strategy);

        let new = cloud.get("artifact.zip").await;
        let path = folder.path().join(format!("{strategy:?}.zip"));
        std::fs::write(&path, &new).unwrap();
        let read = read_by_all(&path, true);
        assert!(!read.is_empty(), "no reader is installed");
        let names: Vec<String> = contents(&new).into_keys().collect();
        for (reader, printed) in read.iter().filter(|(reader, _)| *reader != "Info-ZIP") {
            let lines: Vec<serde_json::Value> =
                printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let read: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
            assert_eq!(read, names, "{reader}");
        }
        let same: Vec<&String> = read
            .iter()
            .filter(|(reader, _)| ["CPython", "Node"].contains(reader))
            .map(|(_, printed)| printed)
            .collect();
        assert!(same.windows(2).all(|pair| pair[0] == pair[1]), "CPython and Node read different things");
    }
}
