use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::project::config::Settings;

/// A directory with these files, each holding its own path.
fn tree(paths: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for path in paths {
        write(directory.path(), path, path);
    }
    directory
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn walker(root: &Path, change: impl FnOnce(&mut Settings)) -> Walker {
    let mut settings = Settings::of_directory(root.to_owned(), None);
    change(&mut settings);
    Walker::new(root, Mapping::new(&settings.map), Rules::new(&settings)).unwrap()
}

fn names(walker: &Walker, scope: Scope) -> Vec<String> {
    walker.files(scope).unwrap().into_iter().map(|file| file.name.into()).collect()
}

fn mapped(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(local, prefix)| (local.to_owned(), prefix.to_owned())).collect()
}

#[test]
fn files_are_found_with_their_stat_sorted_by_name_and_hidden_ones_too() {
    let directory = tree(&["b.js", "a/z.js", ".npmrc", "a.js"]);
    let files = walker(directory.path(), |_| {}).files(Scope::Edit).unwrap();
    let found: Vec<(&str, u64)> = files.iter().map(|file| (&*file.name, file.stat.size)).collect();
    assert_eq!(found, [(".npmrc", 6), ("a.js", 4), ("a/z.js", 6), ("b.js", 4)]);
}

#[test]
fn files_and_directories_that_begin_alike_are_in_the_order_of_their_whole_paths() {
    // `-` and `.` come before the slash, `0` after it.
    let paths = ["a/z.js", "a-b.js", "a.js", "a0.js", "a/b/c.js", "a/b.js", "a-b/x.js", "a.d/x.js", "b.js"];
    let mut sorted = paths.to_vec();
    sorted.sort_unstable();
    let directory = tree(&paths);
    assert_eq!(names(&walker(directory.path(), |_| {}), Scope::Edit), sorted);
    // Where `map` changes the order, names are sorted all the same.
    let turned = walker(directory.path(), |settings| settings.map = mapped(&[("a", "z/"), ("a.d", ""), ("a-b", "y/")]));
    assert_eq!(names(&turned, Scope::Edit), ["x.js", "y/x.js", "z/b.js", "z/b/c.js", "z/z.js"]);
}

#[test]
fn a_directory_of_so_many_files_that_threads_share_it_loses_none() {
    let paths: Vec<String> = (0..1_500).map(|number| format!("flat/{number:04}.js")).collect();
    let directory = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(names(&walker(directory.path(), |_| {}), Scope::Edit), paths);
}

#[test]
fn gitignore_counts_without_a_repository_and_quickdeployignore_above_it() {
    let directory = tree(&["a.js", "a.log", "keep.log", "secret.js"]);
    write(directory.path(), ".gitignore", "*.log\n");
    write(directory.path(), ".quickdeployignore", "secret.js\n!keep.log\n");
    assert_eq!(names(&walker(directory.path(), |_| {}), Scope::Edit), ["a.js", "keep.log"]);
}

#[test]
fn ignore_files_above_the_root_count_in_a_repository_only() {
    let directory = tree(&["app/a.js", "app/a.log"]);
    write(directory.path(), ".gitignore", "*.log\n");
    let root = directory.path().join("app");
    assert_eq!(names(&walker(&root, |_| {}), Scope::Edit), ["a.js", "a.log"]);
    std::fs::create_dir(directory.path().join(".git")).unwrap();
    assert_eq!(names(&walker(&root, |_| {}), Scope::Edit), ["a.js"]);
}

#[test]
fn our_own_files_and_version_control_stay_out() {
    let directory =
        tree(&["a.js", ".git/config", ".quickdeploy/index/x", "quickdeploy.toml", ".quickdeployignore", ".gitignore"]);
    assert_eq!(names(&walker(directory.path(), |_| {}), Scope::Package), ["a.js"]);
}

#[test]
fn exclude_beats_include_and_include_beats_ignore_files() {
    let directory = tree(&["a.js", "dist/a.js", "dist/a.js.map", "dist/deep/b.js", "other/c.js"]);
    write(directory.path(), ".gitignore", "dist\nother\n");
    let walker = walker(directory.path(), |settings| {
        settings.include = vec!["dist/**".to_owned()];
        settings.exclude = vec!["*.map".to_owned()];
    });
    assert_eq!(names(&walker, Scope::Edit), ["a.js", "dist/a.js", "dist/deep/b.js"]);
}

#[test]
fn only_mapped_directories_are_packaged_even_when_an_ignore_file_hides_one() {
    let directory = tree(&["README.md", "src/a.js", "lib/b.js", "dist/c.js", "dist/d.log"]);
    write(directory.path(), ".gitignore", "dist/\n");
    let walker =
        walker(directory.path(), |settings| settings.map = mapped(&[("src", ""), ("lib", "lib/"), ("dist", "out/")]));
    assert_eq!(names(&walker, Scope::Edit), ["a.js", "lib/b.js", "out/c.js", "out/d.log"]);
}

#[test]
fn a_mapped_directory_that_is_missing_is_an_error() {
    let directory = tree(&["a.js"]);
    let error =
        walker(directory.path(), |settings| settings.map = mapped(&[("src", "")])).files(Scope::Edit).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`map` names `src`, but there is no such directory in `{}`: create it, or take it out of `map`",
            directory.path().display()
        )
    );
}

#[test]
fn two_files_with_one_name_are_an_error_that_names_both() {
    let directory = tree(&["a/x.js", "b/x.js"]);
    let error = walker(directory.path(), |settings| settings.map = mapped(&[("a", ""), ("b", "")]))
        .files(Scope::Edit)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a/x.js` and `b/x.js` would both be `x.js` in the artifact: change `map`, or exclude one of them"
    );
}

#[test]
fn a_file_where_others_need_a_folder_is_an_error_that_names_both() {
    let directory = tree(&["src/lib", "src/lib-a", "other/x.js"]);
    let walker = walker(directory.path(), |settings| settings.map = mapped(&[("src", ""), ("other", "lib/deep/")]));
    assert_eq!(
        walker.files(Scope::Edit).unwrap_err().to_string(),
        "`src/lib` would be `lib` in the artifact, but `other/x.js` would lie below it: change `map`, or exclude one of \
         them"
    );
}

#[test]
fn an_edit_leaves_ignored_dependencies_alone_and_a_package_takes_them() {
    let directory = tree(&[
        "a.js",
        "node_modules/x/index.js",
        "node_modules/x/dist/y.js",
        "api/b.py",
        "api/site-packages/z.py",
        "build/node_modules/no.js",
        "build/out.js",
    ]);
    write(directory.path(), ".gitignore", "node_modules/\nsite-packages/\nbuild/\n");
    // Published by accident in so many packages, and none of our business.
    write(directory.path(), "node_modules/x/.gitignore", "dist\n");
    let walker = walker(directory.path(), |_| {});
    assert_eq!(names(&walker, Scope::Edit), ["a.js", "api/b.py"]);
    assert_eq!(
        names(&walker, Scope::Package),
        ["a.js", "api/b.py", "api/site-packages/z.py", "node_modules/x/dist/y.js", "node_modules/x/index.js"]
    );
}

#[test]
fn dependencies_that_are_not_ignored_are_files_like_any_other() {
    let directory = tree(&["a.js", "node_modules/x/index.js"]);
    let walker = walker(directory.path(), |_| {});
    assert_eq!(names(&walker, Scope::Edit), ["a.js", "node_modules/x/index.js"]);
    assert_eq!(names(&walker, Scope::Package), ["a.js", "node_modules/x/index.js"]);
}

#[test]
fn an_excluded_dependency_folder_is_not_packaged() {
    let directory = tree(&["a.js", "node_modules/x/index.js", "node_modules/dev/index.js"]);
    let without = |pattern: &str| {
        let walker = walker(directory.path(), |settings| settings.exclude = vec![pattern.to_owned()]);
        names(&walker, Scope::Package)
    };
    assert_eq!(without("node_modules"), ["a.js"]);
    assert_eq!(without("node_modules/dev"), ["a.js", "node_modules/x/index.js"]);
}

#[test]
fn a_single_name_is_judged_as_the_walk_would() {
    let directory = tree(&["dist/c.js"]);
    write(directory.path(), ".gitignore", "*.log\nnode_modules\nout/\ndist/\n");
    let walker = walker(directory.path(), |settings| {
        settings.map = mapped(&[("", ""), ("dist", "")]);
        settings.exclude = vec!["docs/".to_owned()];
        settings.include = vec!["out/keep.js".to_owned()];
    });
    let mut visibility = walker.visibility();
    for (path, expected) in [
        ("gone.js", true),
        ("deep/gone.js", true),
        ("a.log", false),
        ("node_modules/x.js", false),
        ("docs/a.md", false),
        ("out/a.js", false),
        ("out/keep.js", true),
        ("dist/gone.js", true),
        (".git/config", false),
    ] {
        assert_eq!(visibility.shows(path), expected, "{path}");
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn executables_are_recognised() {
        let directory = tree(&["run.sh", "a.js"]);
        std::fs::set_permissions(directory.path().join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        let files = walker(directory.path(), |_| {}).files(Scope::Edit).unwrap();
        let executable: Vec<(&str, bool)> = files.iter().map(|file| (&*file.name, file.stat.executable)).collect();
        assert_eq!(executable, [("a.js", false), ("run.sh", true)]);
    }

    #[test]
    fn links_to_files_and_directories_inside_the_root_are_followed() {
        let directory = tree(&["packages/shared/index.js", "packages/shared/debug.log", "app/a.js"]);
        write(directory.path(), ".gitignore", "*.log\n");
        let root = directory.path();
        symlink("../packages/shared", root.join("app/shared")).unwrap();
        symlink("a.js", root.join("app/alias.js")).unwrap();
        let walker = walker(root, |settings| settings.map = mapped(&[("app", "")]));
        let files = walker.files(Scope::Edit).unwrap();
        let found: Vec<(&str, u64)> = files.iter().map(|file| (&*file.name, file.stat.size)).collect();
        // Sizes are those of what the links point to.
        assert_eq!(found, [("a.js", 8), ("alias.js", 8), ("shared/index.js", 24)]);
    }

    #[test]
    fn workspace_links_in_ignored_dependencies_are_packaged() {
        let directory = tree(&["a.js", "packages/shared/index.js", "node_modules/x/index.js"]);
        write(directory.path(), ".gitignore", "node_modules\npackages\n");
        symlink("../packages/shared", directory.path().join("node_modules/shared")).unwrap();
        let walker = walker(directory.path(), |_| {});
        assert_eq!(names(&walker, Scope::Package), ["a.js", "node_modules/shared/index.js", "node_modules/x/index.js"]);
    }

    fn link_error(target: &str) -> String {
        let directory = tree(&["app/a.js"]);
        symlink(target, directory.path().join("app/link")).unwrap();
        let error = walker(directory.path(), |_| {}).files(Scope::Edit).unwrap_err().to_string();
        error.replace(&directory.path().canonicalize().unwrap().display().to_string(), "ROOT")
    }

    #[test]
    fn a_link_that_cannot_be_packaged_is_an_error_that_names_it() {
        let advice = "Replace it by what it points to, or exclude it";
        assert_eq!(
            link_error("nowhere"),
            format!("the symbolic link `ROOT/app/link` points to `nowhere`, which does not exist. {advice}")
        );
        assert_eq!(
            link_error("/etc"),
            format!("the symbolic link `ROOT/app/link` leads out of the project, to `/etc`. {advice}")
        );
        assert_eq!(
            link_error(".."),
            format!("the symbolic link `ROOT/app/link` leads back to `ROOT`, a directory that it lies in. {advice}")
        );
        assert!(link_error("link").contains("`ROOT/app/link` can't be followed ("));
    }

    #[test]
    fn links_that_lead_to_each_other_are_an_error() {
        let directory = tree(&["a/x.js", "b/y.js"]);
        symlink("../b", directory.path().join("a/to-b")).unwrap();
        symlink("../a", directory.path().join("b/to-a")).unwrap();
        let error = walker(directory.path(), |_| {}).files(Scope::Edit).unwrap_err();
        assert!(error.to_string().contains("a/to-b/to-a` leads back to"), "{error}");
    }

    #[test]
    fn an_excluded_link_is_not_followed() {
        let directory = tree(&["a.js"]);
        symlink("nowhere", directory.path().join("link")).unwrap();
        let walker = walker(directory.path(), |settings| settings.exclude = vec!["/link".to_owned()]);
        assert_eq!(names(&walker, Scope::Edit), ["a.js"]);
    }

    #[test]
    fn names_that_cannot_be_entries_are_errors_unless_they_are_ignored() {
        let directory = tree(&["a.js"]);
        let bad = directory.path().join(std::ffi::OsStr::from_bytes(b"b\xff.tmp"));
        std::fs::write(&bad, "").unwrap();
        let walker = walker(directory.path(), |_| {});
        let error = walker.files(Scope::Edit).unwrap_err().to_string();
        assert!(error.ends_with("can't be packaged: its name is not UTF-8. Rename it, or exclude it"), "{error}");
        write(directory.path(), ".gitignore", "*.tmp\n");
        assert_eq!(names(&walker, Scope::Edit), ["a.js"]);
        write(directory.path(), "c\\d.js", "");
        let error = walker.files(Scope::Edit).unwrap_err().to_string();
        assert!(error.contains("its name has a backslash in it"), "{error}");
    }

    #[test]
    fn sockets_are_passed_over() {
        let directory = tree(&["a.js"]);
        let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("s.sock")).unwrap();
        assert_eq!(names(&walker(directory.path(), |_| {}), Scope::Edit), ["a.js"]);
    }
}

fn directory() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]", 0..3).prop_map(|parts| parts.join("/"))
}

fn file() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a.js", "b.js", "a.log", "c"]);
    (directory(), name).prop_map(|(directory, name)| format!("{directory}/{name}"))
}

fn patterns() -> impl Strategy<Value = String> {
    let lines = vec![
        "a", "b/", "/a", "/a/", "*.log", "!*.log", "a/b", "**/c", "!a", "!b/", "/b/a.js", "a.js", "!a.js", "b/**", "*",
        "!*/", "[", "\\#c", "# c",
    ];
    prop::collection::vec(prop::sample::select(lines), 1..4).prop_map(|lines| lines.join("\n"))
}

fn ignore_file() -> impl Strategy<Value = (String, &'static str, String)> {
    let name = prop::sample::select(vec![".gitignore", IGNORE_FILE, ".git/info/exclude"]);
    (directory(), name, patterns())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_same_files_are_ignored_as_by_the_ignore_crate(
        files in prop::collection::vec(file(), 1..16),
        ignore_files in prop::collection::vec(ignore_file(), 0..5),
        repositories in prop::collection::vec(directory(), 0..3),
        is_below in any::<bool>(),
    ) {
        let top = tree(&[]);
        for file in &files {
            write(top.path(), &format!("./{file}"), "");
        }
        for (directory, name, patterns) in &ignore_files {
            write(top.path(), &format!("./{directory}/{name}"), patterns);
        }
        for repository in &repositories {
            std::fs::create_dir_all(top.path().join(format!("./{repository}/.git"))).unwrap();
        }
        // What is above the root counts, too, or doesn't.
        let root = if is_below { top.path().join("a") } else { top.path().to_owned() };
        std::fs::create_dir_all(&root).unwrap();
        let walker = walker(&root, |_| {});
        let expected: BTreeSet<String> = walker
            .builder(&root, IgnoreFiles::Respected)
            .build()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
            .map(|entry| mapping::slashed_below(&root, entry.path()).unwrap())
            .filter(|path| !walker.rules.excludes_with_parents(path))
            .collect();
        prop_assert_eq!(names(&walker, Scope::Edit), expected.into_iter().collect::<Vec<_>>());
    }
}
