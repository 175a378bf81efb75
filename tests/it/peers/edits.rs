//! What holds for edits in anybody's S3.

use std::collections::BTreeMap;

use aws_sdk_s3::types::Tag;
use bytes::Bytes;
use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::site::{BUCKET, Site};
use zipedit::{Changes, Content, EntryName, Options, Strategy, edit};

/// Where the artifacts are that are edited here.
pub(super) const KEY: &str = "app/artifact.zip";

/// An artifact for each strategy, the changes that lead to it, and their counts of added, modified and deleted.
pub(super) fn for_each_strategy() -> [(Strategy, Bytes, Changes); 3] {
    // Every tenth of the dependencies is replaced, so that no run that is kept is long enough for a part copy.
    let scattered = (0..30).step_by(10).map(|at| format!("node_modules/package-{at:05}/index.js"));
    [
        (Strategy::Small, project(5, 1000), changes([])),
        (Strategy::Splice, project(30, 400_000), changes([])),
        (Strategy::Rewrite, project(30, 400_000), changes(scattered)),
    ]
}

/// One file is added, one deleted, and `handlers/stop.js` and `replaced` get a new content.
fn changes(replaced: impl IntoIterator<Item = String>) -> Changes {
    let mut changes = puts([("handlers/stop.js", "exports.name = 'edited';\n"), ("ä/added.js", "// new\n")]);
    changes.delete(EntryName::new("handlers/list.js").unwrap());
    for name in replaced {
        changes.put(EntryName::new(name).unwrap(), Content::new("// replaced\n"));
    }
    changes
}

pub(super) fn puts<'a>(of: impl IntoIterator<Item = (&'a str, &'a str)>) -> Changes {
    let mut changes = Changes::new();
    for (name, content) in of {
        changes.put(EntryName::new(name).unwrap(), Content::new(content.to_owned()));
    }
    changes
}

/// name → content and mode.
type Contents = BTreeMap<String, (Vec<u8>, Option<u32>)>;

/// `new` holds what `old` held, with the changes.
pub(super) fn assert_holds(new: &Bytes, old: &Bytes, changes: &Changes) {
    let (held, expected) = (contents(new), changed(old, changes));
    let differ = |name: &&String| held.get(*name) != expected.get(*name);
    let names: std::collections::BTreeSet<&String> = held.keys().chain(expected.keys()).filter(differ).collect();
    assert!(names.is_empty(), "not as they should be: {names:?}");
}

/// What `old` must hold after the changes: a model that knows nothing of zips.
fn changed(old: &Bytes, changes: &Changes) -> Contents {
    let mut model = contents(old);
    for (name, change) in changes.iter() {
        let before = model.remove(name.as_str());
        if let zipedit::Change::Put(content) = change {
            let mode = before.map_or(Some(0o100_755), |(_, mode)| mode);
            model.insert(name.as_str().to_owned(), (content.plain().to_vec(), mode));
        }
    }
    model
}

/// By every strategy, the artifact holds what it held, with the changes, and no upload is left behind. `and_the_rest` is
/// asked of each new object with what its strategy was, for what the object has besides its bytes.
pub(super) async fn every_strategy_changes_what_it_was_told(site: &Site, and_the_rest: impl AsyncFn(&Site, Strategy)) {
    for (strategy, old, changes) in for_each_strategy() {
        let put = site.s3.put_object().bucket(BUCKET).key(KEY).body(old.clone().into());
        put.content_type("application/zip").metadata("commit", "abc").tagging("team=blue").send().await.unwrap();
        let store = site.store(KEY);
        let report = edit(&store, &changes, &Options::new()).await.unwrap();
        assert_eq!((report.strategy, report.added, report.deleted), (strategy, 1, 1));
        let new = site.get(KEY).await;
        assert_eq!(report.size, new.len() as u64, "{strategy:?}");
        assert_holds(&new, &old, &changes);
        assert_eq!(site.open_uploads().await, 0, "{strategy:?}");
        let head = site.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
        assert_eq!((head.e_tag(), head.content_type()), (Some(report.etag.as_str()), Some("application/zip")));
        assert_eq!(head.metadata().unwrap()["commit"], "abc", "{strategy:?}");
        and_the_rest(site, strategy).await;

        let again = edit(&store, &changes, &Options::new()).await.unwrap();
        assert_eq!(again.strategy, Strategy::None, "nothing is left to do");
    }
}

/// The artifact's tags are those that it was put with.
pub(super) async fn tags_are_carried_over(site: &Site, strategy: Strategy) {
    let tags = site.s3.get_object_tagging().bucket(BUCKET).key(KEY).send().await.unwrap();
    let team = Tag::builder().key("team").value("blue").build().unwrap();
    assert_eq!(tags.tag_set(), [team], "{strategy:?}");
}

/// Edits of one artifact at the same time are all there in the end.
pub(super) async fn writers_lose_nothing(site: &Site, artifact: Bytes, writers: usize) {
    site.put("app/contended.zip", artifact.clone()).await;
    let names: Vec<String> = (0..writers).map(|at| format!("writer-{at}.js")).collect();
    let edits = names.iter().map(|name| {
        let store = site.store("app/contended.zip");
        async move { edit(&store, &puts([(name.as_str(), name.as_str())]), &Options::new()).await.unwrap() }
    });
    let reports = futures::future::join_all(edits).await;
    let attempts: Vec<u32> = reports.iter().map(|report| report.attempts).collect();
    println!("{} bytes: attempts of {writers} writers at once: {attempts:?}", artifact.len());
    assert!(attempts.iter().any(|attempts| *attempts > 1), "nobody was in anybody's way");
    let all = puts(names.iter().map(|name| (name.as_str(), name.as_str())));
    assert_holds(&site.get("app/contended.zip").await, &artifact, &all);
    assert_eq!(site.open_uploads().await, 0);
}
