use proptest::prelude::*;

use super::*;

/// A file whose content is `content`; the same text in an entry is the same content.
fn file(path: &str, content: &str) -> File {
    File { path: path.to_owned(), size: content.len() as u64, crc32: Some(crc32fast::hash(content.as_bytes())) }
}

fn entry(name: &str, content: &str) -> Entry {
    Entry { name: name.to_owned(), size: content.len() as u64, crc32: crc32fast::hash(content.as_bytes()) }
}

/// Paths and names whose content is their last name, unless `path=content` says another one.
fn split(text: &str) -> (&str, String) {
    match text.split_once('=') {
        Some((path, content)) => (path, format!("content {content}")),
        None => (text, format!("content {}", last(text))),
    }
}

fn found(files: &[&str], entries: &[&str]) -> Found {
    let files: Vec<File> = files.iter().map(|text| split(text)).map(|(path, content)| file(path, &content)).collect();
    let entries: Vec<Entry> =
        entries.iter().map(|text| split(text)).map(|(name, content)| entry(name, &content)).collect();
    find(&files, &entries, &[])
}

fn rules(files: &[&str], entries: &[&str]) -> Vec<(String, String)> {
    found(files, entries).rules
}

fn expect(rules: &[(&str, &str)]) -> Vec<(String, String)> {
    rules.iter().map(|(local, prefix)| ((*local).to_owned(), (*prefix).to_owned())).collect()
}

#[test]
fn the_usual_shapes_are_recognised() {
    for (files, entries, expected) in [
        // Everything as it is.
        (&["a.js", "lib/b.js", "README.md"][..], &["a.js", "lib/b.js", "node_modules/x/index.js"][..], &[("", "")][..]),
        // Only the sources, at the top of the zip.
        (&["src/a.js", "src/deep/b.js", "test/a.test.js", "package.json"], &["a.js", "deep/b.js"], &[("src", "")]),
        // Only the sources, under their own name.
        (&["src/a.js", "src/b.js", "README.md", "serverless.yml"], &["src/a.js", "src/b.js"], &[("src", "src/")]),
        // Sources at the top, and a shared directory beside them.
        (
            &["src/a.js", "shared/u.js", "shared/v.js"],
            &["a.js", "shared/u.js", "shared/v.js"],
            &[("shared", "shared/"), ("src", "")],
        ),
        // A layer's layout.
        (&["lib/u.py", "lib/v.py"], &["python/u.py", "python/v.py"], &[("lib", "python/")]),
        // One of several functions of a monorepo, each with an index of its own.
        (
            &["functions/a/index.js=A", "functions/b/index.js=B", "functions/b/u.js"],
            &["index.js=B", "u.js"],
            &[("functions/b", "")],
        ),
        // One package of a workspace lies in `node_modules`.
        (
            &["app/main.js", "packages/util/index.js=u", "packages/util/more.js", "packages/web/page.js"],
            &["main.js", "node_modules/util/index.js=u", "node_modules/util/more.js"],
            &[("app", ""), ("packages/util", "node_modules/util/")],
        ),
    ] {
        assert_eq!(rules(files, entries), expect(expected), "{files:?} in {entries:?}");
    }
}

#[test]
fn edited_files_are_found_by_their_names() {
    let found = found(&["src/a.js=edited", "src/b.js", "docs/x.md"], &["a.js", "b.js", "node_modules/c/a.js"]);
    assert_eq!(found.rules, expect(&[("src", "")]));
    assert_eq!(found.identical, ["src/b.js"]);
    assert_eq!(found.different, ["src/a.js"]);
    assert_eq!(found.only_in_zip, ["node_modules/c/a.js"]);
}

#[test]
fn even_if_every_file_was_edited() {
    let found = found(&["src/a.js=x", "src/b.js=y", "test/c.js"], &["a.js", "b.js"]);
    assert_eq!(found.rules, expect(&[("src", "")]));
    assert_eq!(found.different.len(), 2);
}

#[test]
fn names_and_licences_that_every_package_has_prove_nothing() {
    let files = ["LICENSE=mit", "package.json=own", "pkg/__init__.py=", "pkg/core.py", "tests/__init__.py="];
    let entries =
        ["pkg/__init__.py=", "pkg/core.py", "requests/__init__.py=", "requests/LICENSE=mit", "idna/core.py=other"];
    assert_eq!(rules(&files, &entries), expect(&[("pkg", "pkg/")]));
}

#[test]
fn a_file_that_is_in_the_zip_under_another_name_is_not_taken_for_an_edit() {
    // `a/index.js` has the content of `b/index.js` in the zip: the directories were swapped, not both files edited.
    let found = found(&["one/index.js=2", "two/index.js=1"], &["one/index.js=1", "two/index.js=2"]);
    assert_eq!(found.rules, expect(&[("one", "two/"), ("two", "one/")]));
}

#[test]
fn a_tools_word_counts_where_nothing_else_is_known() {
    let files = [file("app/handler.js", "new text"), file("web/handler.js", "other text")];
    let entries = [entry("handler.js", "old")];
    let found = find(&files, &entries, &[("web".to_owned(), String::new())]);
    // Both would explain the name; the tool says which.
    assert_eq!(found.different.len(), 1);
    assert_eq!(found.rules, expect(&[("web", "")]));
}

#[test]
fn where_nothing_is_in_the_zip_there_are_no_rules() {
    let found = found(&["main.go", "go.mod"], &["bootstrap"]);
    assert_eq!(found.rules, expect(&[]));
    assert_eq!(found.only_in_zip, ["bootstrap"]);
}

#[test]
fn only_files_that_can_be_equal_are_read() {
    let files = [file("a.js", "12345678"), file("b.js", "1234"), file("x/c.js", "123")];
    let entries = [entry("a.js", "abcdefgh"), entry("b.js", "abc"), entry("y/c.js", "abc")];
    assert_eq!(worth_reading(&files, &entries), [0, 2]);
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-d]{1,2}", 1..4).prop_map(|parts| parts.join("/"))
}

proptest! {
    /// Whatever tree is packaged by one rule, it is explained completely.
    #[test]
    fn one_rule_is_always_found_again(
        names in prop::collection::btree_set("[a-d]{1,2}(/[a-d]{1,2}){0,2}\\.js", 1..12),
        local in prop_oneof![Just(String::new()), path()],
        prefix in prop_oneof![Just(String::new()), path().prop_map(|path| path + "/")],
    ) {
        let mut files = Vec::new();
        let mut entries = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let content = format!("the content of number {number}");
            let path = if local.is_empty() { name.clone() } else { format!("{local}/{name}") };
            files.push(file(&path, &content));
            entries.push(entry(&format!("{prefix}{name}"), &content));
        }
        let found = find(&files, &entries, &[]);
        prop_assert_eq!(found.identical.len(), names.len(), "{:?}", found);
        prop_assert_eq!(&found.only_in_zip, &[] as &[String]);
        prop_assert_eq!(&found.new, &[] as &[String]);
        prop_assert_eq!(found.rules.len(), 1);
    }

    /// Whatever lies where: no two files land on one entry, and every file is counted at most once.
    #[test]
    fn nothing_is_counted_twice(
        here in prop::collection::btree_map("[a-c]{1}(/[a-c]{1}){0,3}\\.js", 0_u8..4, 0..14),
        there in prop::collection::btree_map("[a-c]{1}(/[a-c]{1}){0,3}\\.js", 0_u8..4, 0..14),
    ) {
        let content = |number: &u8| format!("content number {number}");
        let files: Vec<File> = here.iter().map(|(path, number)| file(path, &content(number))).collect();
        let entries: Vec<Entry> = there.iter().map(|(name, number)| entry(name, &content(number))).collect();
        let found = find(&files, &entries, &[]);
        let counted = found.identical.len() + found.different.len();
        prop_assert!(counted + found.new.len() <= files.len());
        prop_assert_eq!(counted + found.only_in_zip.len(), entries.len());
        let locals: BTreeSet<&String> = found.rules.iter().map(|(local, _)| local).collect();
        prop_assert_eq!(locals.len(), found.rules.len());
    }
}
