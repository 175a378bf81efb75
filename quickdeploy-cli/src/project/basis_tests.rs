use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

use super::super::content::Content;
use super::*;
use crate::project::{ArtifactEntry, CONFIG_FILE, Deletion};

const URL: &str = "s3://bucket/a.zip";
const NAMES: [&str; 6] = ["a.js", "src/b.js", "src/deep/c.js", "lib/d.js", "package.json", "template.yaml"];
const CONFIGS: [&str; 5] = [
    "",
    "exclude = ['lib']",
    "[map]\nsrc = ''",
    "[map]\nsrc = ''\nlib = 'x/'",
    "stack = 's'\ntemplate = 'infra/other.yaml'",
];
const IGNORED: [&str; 3] = ["", "lib", "*.json\nsrc/deep"];

/// Something that happens between two comparisons.
#[derive(Debug, Clone)]
enum Event {
    /// All contents are as long as each other.
    Write(usize, u8),
    Remove(usize),
    Rename(usize, usize),
    MakeExecutable(usize),
    Ignore(usize),
    Configure(usize),
    Outside(u8),
    Commit,
    Deploy,
    /// Somebody else's entry comes into the artifact.
    Put(usize, u8),
    Nothing,
}

fn event() -> impl Strategy<Value = Event> {
    let name = || 0..NAMES.len();
    prop_oneof![
        4 => (name(), 0..3u8).prop_map(|(name, content)| Event::Write(name, content)),
        2 => name().prop_map(Event::Remove),
        1 => (name(), name()).prop_map(|(from, to)| Event::Rename(from, to)),
        1 => name().prop_map(Event::MakeExecutable),
        1 => (0..IGNORED.len()).prop_map(Event::Ignore),
        1 => (0..CONFIGS.len()).prop_map(Event::Configure),
        1 => (0..3u8).prop_map(Event::Outside),
        1 => Just(Event::Commit),
        4 => Just(Event::Deploy),
        1 => (name(), 0..3u8).prop_map(|(name, content)| Event::Put(name, content)),
        3 => Just(Event::Nothing),
    ]
}

/// A project in a git repository, and an artifact that is a map from names to contents.
struct World {
    directory: tempfile::TempDir,
    artifact: Entries,
}

/// What a `diff` that finds nothing changed tells.
type Told = (usize, Vec<String>, Vec<String>);

/// The artifact's, by name.
type Entries = BTreeMap<String, Vec<u8>>;

impl World {
    fn new() -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap(), artifact: BTreeMap::new() };
        world.git(&["init", "-q"]);
        world.write("a.js", b"0");
        world.write("src/b.js", b"0");
        world.write("lib/d.js", b"0");
        world.write("infra/other.yaml", b"0");
        world.write(CONFIG_FILE, b"");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]);
        command.args(arguments).current_dir(self.directory.path());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        assert!(command.output().unwrap().status.success(), "git {arguments:?}");
    }

    fn project(&self) -> Project {
        Project::load(&self.path(CONFIG_FILE), None).unwrap().remove(0)
    }

    fn compared(&self) -> Result<(Scan, Option<Basis>, crate::project::Diff), ProjectError> {
        let (mut scan, basis) = self.project().scan_with_basis(URL)?;
        let contents: Vec<(&String, Content)> =
            self.artifact.iter().map(|(name, bytes)| (name, Content::of(bytes))).collect();
        let entries: Vec<ArtifactEntry<'_>> = contents
            .iter()
            .map(|(name, content)| ArtifactEntry { name, size: content.size, crc32: content.crc32, is_dir: false })
            .collect();
        let diff = scan.diff(&entries, Deletion::Owned)?;
        Ok((scan, basis, diff))
    }

    fn deploy(&mut self) {
        // A project without files can't be deployed.
        let Ok((mut scan, _, diff)) = self.compared() else { return };
        for change in diff.puts() {
            self.artifact.insert(change.name.clone(), change.read().unwrap());
        }
        for name in &diff.deleted {
            assert!(self.artifact.remove(name).is_some());
        }
        scan.record_deployed(&diff).unwrap();
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Write(name, content) => self.write(NAMES[*name], &[*content]),
            // What isn't there can't go.
            Event::Remove(name) => drop(std::fs::remove_file(self.path(NAMES[*name]))),
            Event::Rename(from, to) => drop(std::fs::rename(self.path(NAMES[*from]), self.path(NAMES[*to]))),
            Event::MakeExecutable(name) => make_executable(&self.path(NAMES[*name])),
            Event::Ignore(which) => self.write(".gitignore", IGNORED[*which].as_bytes()),
            Event::Configure(which) => self.write(CONFIG_FILE, CONFIGS[*which].as_bytes()),
            Event::Outside(content) => self.write("infra/other.yaml", &[*content]),
            Event::Commit => {
                self.git(&["add", "-A", "--force", "--", ".", ":!.quickdeploy"]);
                self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
            }
            Event::Deploy => self.deploy(),
            Event::Put(name, content) => drop(self.artifact.insert(NAMES[*name].to_owned(), vec![*content])),
            Event::Nothing => {}
        }
    }

    /// What a comparison tells if it finds nothing changed; `None`: something changed, or it fails.
    fn told(&self) -> (Option<Told>, Option<(Basis, Option<bool>)>) {
        let Ok((scan, basis, diff)) = self.compared() else { return (None, None) };
        let manifests = diff.manifests.iter().map(|change| change.path.clone()).collect();
        let told = diff.is_empty().then_some((diff.unchanged, diff.only_in_artifact, manifests));
        (told, basis.map(|basis| (basis, Basis::speaks_for(&scan))))
    }
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
}

#[cfg(not(unix))]
fn make_executable(_: &Path) {}

/// Compares until all that is seen is known to the index, which doesn't take a file of this very moment for known.
fn settled(world: &World) -> (Option<Told>, Basis, Option<bool>) {
    for _ in 0..1000 {
        let (told, Some((basis, speaks))) = world.told() else { continue };
        if speaks.is_some() {
            return (told, basis, speaks);
        }
    }
    panic!("the clock of the file system stands still");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_was_told_on_a_basis_is_true_whenever_there_is_that_basis_again(
        events in prop::collection::vec(event(), 1..12)
    ) {
        let mut world = World::new();
        let mut kept: HashMap<(Entries, bool, [u8; 32]), Told> = HashMap::new();
        world.deploy();
        for event in events {
            world.happen(&event);
            // The first comparison writes the index, the next ones find it.
            for _ in 0..3 {
                let before = world.project().list(URL).ok().and_then(|(_, basis)| basis);
                let (told, now) = world.told();
                if let Some(before) = before {
                    for git in [false, true] {
                        if let Some(old) = kept.get(&(world.artifact.clone(), git, before.digest(git))) {
                            prop_assert_eq!(Some(old), told.as_ref(), "after {:?}", event);
                        }
                    }
                }
                if let (Some(told), Some((basis, Some(git)))) = (told, now) {
                    kept.insert((world.artifact.clone(), git, basis.digest(git)), told);
                }
            }
        }
    }
}

#[test]
fn a_project_that_nobody_touches_keeps_its_basis() {
    let mut world = World::new();
    world.deploy();
    let (told, basis, speaks) = settled(&world);
    assert_eq!((told, speaks), (Some((4, vec![], vec![])), Some(false)));
    let (_, listed) = world.project().list(URL).unwrap();
    assert_eq!(listed, Some(basis.clone()), "by listing files alone");
    // Git's own state doesn't matter unless git was asked.
    world.git(&["add", "-A"]);
    let (_, listed) = world.project().list(URL).unwrap();
    assert_eq!(listed.unwrap().digest(false), basis.digest(false));
}

#[test]
fn an_answer_of_gits_is_part_of_the_basis() {
    let mut world = World::new();
    world.deploy();
    // Of somebody else's, so that git is asked whether it was ours.
    world.artifact.insert("theirs.js".to_owned(), b"1".to_vec());
    let (told, basis, speaks) = settled(&world);
    assert_eq!((told, speaks), (Some((4, vec!["theirs.js".to_owned()], vec![])), Some(true)));
    world.git(&["add", "a.js"]);
    let (_, listed) = world.project().list(URL).unwrap();
    assert_ne!(listed.unwrap().digest(true), basis.digest(true));
}

#[test]
fn what_is_kept_only_because_an_ignore_file_hides_it_has_no_basis() {
    let mut world = World::new();
    world.write("lib/d.js", b"1");
    world.deploy();
    // Deployed from here, gone from here, and hidden: it stays for as long as it is hidden.
    std::fs::remove_file(world.path("lib/d.js")).unwrap();
    world.write(".gitignore", b"lib\n");
    for _ in 0..3 {
        let (told, now) = world.told();
        assert!(told.is_some() && now.is_none_or(|(_, speaks)| speaks.is_none()));
    }
    world.write(".gitignore", b"");
    assert_eq!(world.told().0, None, "now it is deleted");
}

#[test]
fn manifests_beside_the_package_and_the_template_are_part_of_the_basis() {
    let world = World::new();
    world.write(CONFIG_FILE, b"stack = 's'\ntemplate = 'infra/other.yaml'\n[map]\nsrc = ''\n");
    world.write("package.json", b"{}");
    let mut world = world;
    world.deploy();
    let (_, mut basis, _) = settled(&world);
    for (name, content) in [("package.json", "{ }"), ("infra/other.yaml", "1"), ("requirements.txt", "six")] {
        world.write(name, content.as_bytes());
        let now = world.project().list(URL).unwrap().1.unwrap();
        assert_ne!(now.digest(false), basis.digest(false), "{name}");
        basis = now;
    }
    // Not a manifest, and not packaged.
    world.write("README.md", b"news");
    assert_eq!(world.project().list(URL).unwrap().1.unwrap().digest(false), basis.digest(false));
}

#[test]
fn without_an_index_there_is_no_basis() {
    let world = World::new();
    assert_eq!(world.project().list(URL).unwrap().1, None);
}
