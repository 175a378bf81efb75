use super::*;
use crate::project::Project;
use std::path::Path;
use std::process::Command;

/// A project on disk, and an artifact that is a map from names to contents.
struct World {
    directory: tempfile::TempDir,
    artifact: BTreeMap<String, Vec<u8>>,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap(), artifact: BTreeMap::new() };
        std::fs::create_dir(world.root().join("app")).unwrap();
        for (path, content) in files {
            world.write(path, content);
        }
        world
    }

    /// The tests' own temporary directory; the project is `app`, so that its `.git` can be beside it or in it.
    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn app(&self) -> PathBuf {
        self.root().join("app")
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.app().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.app().join(path)).unwrap();
    }

    fn scan(&self) -> Scan {
        let app = self.app();
        Project::of_directory(&app, Some(&app.join(".quickdeploy"))).unwrap().scan("s3://bucket/a.zip").unwrap()
    }

    fn diff_with(&self, deletion: Deletion) -> (Scan, Diff) {
        let contents: Vec<(&String, Content)> =
            self.artifact.iter().map(|(name, bytes)| (name, Content::of(bytes))).collect();
        let entries: Vec<ArtifactEntry<'_>> = contents
            .iter()
            .map(|(name, content)| ArtifactEntry { name, size: content.size, crc32: content.crc32, is_dir: false })
            .collect();
        let mut scan = self.scan();
        let diff = scan.diff(&entries, deletion).unwrap();
        (scan, diff)
    }

    fn diff(&self) -> Diff {
        self.diff_with(Deletion::Owned).1
    }

    /// What `quickdeploy` does, with the cloud left out.
    fn deploy(&mut self) -> Diff {
        let (mut scan, diff) = self.diff_with(Deletion::Owned);
        for change in diff.puts() {
            self.artifact.insert(change.name.clone(), change.read().unwrap());
        }
        for name in &diff.deleted {
            assert!(self.artifact.remove(name).is_some());
        }
        scan.record_deployed(&diff).unwrap();
        diff
    }

    fn put_into_artifact(&mut self, name: &str, content: &str) {
        self.artifact.insert(name.to_owned(), content.as_bytes().to_owned());
    }

    fn git(&self, directory: &Path, arguments: &[&str]) {
        let status = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(directory)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "git {arguments:?}");
    }

    fn commit_all(&self, directory: &Path) {
        self.git(directory, &["add", "-A"]);
        self.git(directory, &["commit", "-q", "-m", "x"]);
    }
}

fn names(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.name.as_str()).collect()
}

#[test]
fn the_first_deployment_adds_and_the_second_has_nothing_to_do() {
    let mut world = World::new(&[("a.js", "1"), ("src/b.js", "2")]);
    assert_eq!(names(&world.deploy().added), ["a.js", "src/b.js"]);
    let diff = world.deploy();
    assert!(diff.is_empty());
    assert_eq!(diff.unchanged, 2);
}

#[test]
fn an_edit_is_found_and_read_back() {
    let mut world = World::new(&[("a.js", "1"), ("b.js", "2")]);
    world.deploy();
    world.write("a.js", "3");
    let diff = world.diff();
    assert_eq!(names(&diff.modified), ["a.js"]);
    assert_eq!((diff.modified[0].size, diff.put_bytes()), (1, 1));
    assert_eq!(diff.modified[0].read().unwrap(), b"3");
}

/// Scans until nothing was touched within the last tick of the file system's clock.
fn settle(world: &World) -> usize {
    for _ in 0..1000 {
        let read = world.scan().read();
        if read == 0 {
            return 0;
        }
    }
    world.scan().read()
}

#[test]
fn only_files_whose_stat_changed_are_read_again() {
    let world = World::new(&[("a.js", "1"), ("b.js", "2"), ("c.js", "3")]);
    assert_eq!(world.scan().read(), 3);
    assert_eq!(settle(&world), 0);
    world.write("b.js", "4");
    assert_eq!(world.scan().read(), 1);
}

#[test]
fn an_edit_that_keeps_size_and_time_is_found() {
    let mut world = World::new(&[("a.js", "1")]);
    world.deploy();
    assert_eq!(settle(&world), 0);
    let path = world.app().join("a.js");
    let modified = path.metadata().unwrap().modified().unwrap();
    world.write("a.js", "2");
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(names(&world.diff().modified), ["a.js"]);
}

#[test]
fn losing_the_index_changes_no_answer() {
    let mut world = World::new(&[("a.js", "1"), ("b.js", "2")]);
    world.deploy();
    world.write("b.js", "3");
    let before = world.diff();
    std::fs::remove_dir_all(world.app().join(".quickdeploy")).unwrap();
    assert_eq!(world.diff(), before);
}

#[test]
fn a_file_that_we_deployed_and_deleted_is_deleted() {
    let mut world = World::new(&[("a.js", "1"), ("b.js", "2")]);
    world.put_into_artifact("built.js", "x");
    world.deploy();
    world.remove("b.js");
    let diff = world.diff();
    assert_eq!(diff.deleted, ["b.js"]);
    assert_eq!(diff.only_in_artifact, ["built.js"]);
    world.deploy();
    // Somebody else puts it back: it is theirs now.
    world.put_into_artifact("b.js", "theirs");
    assert_eq!(world.diff().deleted, Vec::<String>::new());
}

#[test]
fn a_file_that_was_in_the_artifact_before_becomes_ours_by_a_deployment() {
    let mut world = World::new(&[("a.js", "1"), ("b.js", "2")]);
    world.put_into_artifact("a.js", "1");
    world.put_into_artifact("b.js", "2");
    assert!(world.deploy().is_empty());
    world.remove("a.js");
    assert_eq!(world.diff().deleted, ["a.js"]);
}

#[test]
fn a_project_without_files_is_an_error_and_not_a_deletion_of_everything() {
    let mut world = World::new(&[("a.js", "1")]);
    world.deploy();
    world.remove("a.js");
    let app = world.app();
    let error = Project::of_directory(&app, Some(&app.join(".quickdeploy"))).unwrap().scan("u").unwrap_err();
    assert!(
        error.to_string().ends_with("has no files to package: check `map`, `exclude` and the ignore files"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_ignored_now_is_not_deleted() {
    let mut world = World::new(&[("a.js", "1"), ("dist/b.js", "2")]);
    world.deploy();
    world.write(".gitignore", "dist/\n");
    let diff = world.diff();
    assert!(diff.is_empty());
    assert_eq!(diff.only_in_artifact, ["dist/b.js"]);
}

#[test]
fn removing_node_modules_deletes_no_dependency_but_removing_a_package_does() {
    let mut world = World::new(&[("a.js", "1"), ("node_modules/x/i.js", "2"), ("node_modules/y/i.js", "3")]);
    world.deploy();
    world.remove("node_modules/x/i.js");
    assert_eq!(world.diff().deleted, ["node_modules/x/i.js"]);
    std::fs::remove_dir_all(world.app().join("node_modules")).unwrap();
    assert!(world.diff().is_empty());
    assert!(world.diff_with(Deletion::Everything).1.is_empty());
}

#[test]
fn delete_takes_all_that_is_in_sight_and_nothing_else() {
    let mut world = World::new(&[("a.js", "1"), (".gitignore", "dist/\nnode_modules/\n")]);
    for name in ["old.js", "dist/built.js", "node_modules/x/i.js"] {
        world.put_into_artifact(name, "x");
    }
    let (_, diff) = world.diff_with(Deletion::Everything);
    assert_eq!(diff.deleted, ["old.js"]);
    assert_eq!(diff.only_in_artifact, ["dist/built.js", "node_modules/x/i.js"]);
    assert_eq!(world.diff().deleted, Vec::<String>::new());
}

#[test]
fn without_an_index_git_knows_which_deleted_files_were_the_projects() {
    let mut world = World::new(&[("a.js", "1"), ("uncommitted.js", "2"), ("committed.js", "3"), ("old.js", "4")]);
    for name in ["a.js", "uncommitted.js", "committed.js", "old.js", "built.js"] {
        world.put_into_artifact(name, "x");
    }
    // The repository begins above the project: paths are relative to different directories.
    let repository = world.root().to_owned();
    world.git(&repository, &["init", "-q"]);
    world.commit_all(&repository);
    world.git(&repository, &["mv", "app/old.js", "app/new.js"]);
    world.remove("committed.js");
    world.commit_all(&repository);
    world.remove("uncommitted.js");
    let diff = world.diff();
    assert_eq!(diff.deleted, ["committed.js", "old.js", "uncommitted.js"]);
    assert_eq!(diff.only_in_artifact, ["built.js"]);
    // From the stored answers, and again after the next commit.
    assert_eq!(world.diff(), diff);
    world.remove("a.js");
    world.commit_all(&repository);
    assert_eq!(world.diff().deleted, ["a.js", "committed.js", "old.js", "uncommitted.js"]);
}

#[test]
fn new_commits_are_asked_about_names_that_git_did_not_know() {
    let mut world = World::new(&[("a.js", "1"), ("b.js", "2")]);
    world.put_into_artifact("b.js", "x");
    world.put_into_artifact("c.js", "x");
    let app = world.app();
    world.git(&app, &["init", "-q"]);
    world.commit_all(&app);
    world.remove("b.js");
    assert_eq!(world.diff().deleted, ["b.js"]);
    world.commit_all(&app);
    assert_eq!(world.diff().deleted, ["b.js"]);
    assert_eq!(world.diff().only_in_artifact, ["c.js"]);
    // A colleague adds and deletes `c.js`: known of from now on, by the new commits alone.
    world.write("c.js", "3");
    world.commit_all(&app);
    world.remove("c.js");
    world.commit_all(&app);
    assert_eq!(world.diff().deleted, ["b.js", "c.js"]);
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_deleted() {
    let mut world = World::new(&[("in/a.js", "1"), ("out/b.js", "2")]);
    world.put_into_artifact("out/b.js", "2");
    let app = world.app();
    world.git(&app, &["init", "-q"]);
    world.commit_all(&app);
    // Deleted once, and brought back: the history alone would say that it is gone.
    world.git(&app, &["rm", "-q", "out/b.js"]);
    world.commit_all(&app);
    world.write("out/b.js", "2");
    world.commit_all(&app);
    world.git(&app, &["sparse-checkout", "set", "in"]);
    assert!(!app.join("out/b.js").exists());
    let diff = world.diff();
    assert_eq!(diff.deleted, Vec::<String>::new());
    assert_eq!(diff.only_in_artifact, ["out/b.js"]);
}

#[test]
fn changed_dependencies_are_reported_and_changed_scripts_are_not() {
    let mut world = World::new(&[
        ("package.json", r#"{"dependencies":{"x":"1"},"version":"1"}"#),
        ("yarn.lock", "1"),
        ("template.yaml", "1"),
    ]);
    let report = |diff: &Diff| -> Vec<String> {
        diff.manifests.iter().map(|change| format!("{}: {:?}", change.path, change.kind)).collect()
    };
    assert_eq!(report(&world.deploy()), Vec::<String>::new());
    world.write("package.json", r#"{"dependencies":{"x":"1"},"version":"2"}"#);
    assert_eq!(report(&world.deploy()), Vec::<String>::new());
    world.write("package.json", r#"{"dependencies":{"x":"2"},"version":"2"}"#);
    world.write("yarn.lock", "2");
    world.write("template.yaml", "2");
    assert_eq!(
        report(&world.deploy()),
        ["package.json: Dependencies", "template.yaml: Template", "yarn.lock: LockFile"]
    );
    assert_eq!(report(&world.deploy()), Vec::<String>::new());
}

#[test]
fn dependencies_declared_outside_the_package_are_watched_too() {
    let world = World::new(&[("src/a.js", "1"), ("package.json", r#"{"dependencies":{"x":"1"}}"#)]);
    world.write("quickdeploy.toml", "[map]\nsrc = ''\n");
    let scan = || Project::find(&world.app().join("src"), None).unwrap().remove(0).scan("u").unwrap();
    let mut first = scan();
    let diff = first.diff(&[], Deletion::Owned).unwrap();
    assert_eq!((names(&diff.added), diff.manifests.len()), (vec!["a.js"], 0));
    first.record_deployed(&diff).unwrap();
    world.write("package.json", r#"{"dependencies":{"x":"2"}}"#);
    let diff = scan().diff(&[], Deletion::Owned).unwrap();
    assert_eq!(diff.manifests, [ManifestChange { path: "package.json".into(), kind: ManifestKind::Dependencies }]);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_an_error_with_its_path() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new(&[("a.js", "1")]);
    let path = world.app().join("a.js");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    if std::fs::read(&path).is_ok() {
        return; // The superuser reads everything.
    }
    let app = world.app();
    let error = Project::of_directory(&app, None).unwrap().scan("u").unwrap_err().to_string();
    assert!(error.contains("can't read `") && error.contains("a.js`"), "{error}");
}
