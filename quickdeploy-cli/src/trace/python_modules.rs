//! Which files of the artifact Python loads for a module.
//!
//! The artifact's top is the first place on Lambda's `sys.path`; further ones are known where the code adds them by a
//! constant path. Importing `a.b.c` runs `a/__init__.py`, `a/b/__init__.py` and the module itself. Which of several
//! candidates wins (package before native module before source before bytecode, one place before another) is not
//! decided here: all of them count.

use super::tree::{Tree, directory, join};

/// The files that importing the module runs, its packages' first.
pub(super) fn files<'t>(tree: &'t Tree, places: &[String], module: &[String]) -> Vec<&'t str> {
    let mut files = Vec::new();
    for place in places {
        let mut path = place.clone();
        for (index, part) in module.iter().enumerate() {
            path = join(&path, part);
            let here = tree.python_files(&path);
            if here.is_empty() && !tree.is_directory(&path) {
                break;
            }
            // A native module knows nothing of packages below it, but the rest of its package may be what it loads.
            files.extend(here.iter().map(String::as_str));
            if index + 1 == module.len() {
                files.extend(companions(tree, here));
            }
        }
    }
    files
}

/// The modules beside a native one: it may import them, and can't be looked into.
fn companions<'t>(tree: &'t Tree, files: &[String]) -> Vec<&'t str> {
    let native = files.iter().find(|name| name.ends_with(".so") || name.ends_with(".pyd"));
    let Some(package) = native.map(|name| directory(name)).filter(|package| !package.is_empty()) else {
        return Vec::new();
    };
    in_package(tree, package)
}

/// Every module directly in a package.
pub(super) fn in_package<'t>(tree: &'t Tree, package: &str) -> Vec<&'t str> {
    tree.python_modules_in(package).flat_map(|stem| tree.python_files(stem)).map(String::as_str).collect()
}

/// The directory that a relative import with so many dots starts from, in a file of this name. `None`: it leaves the
/// artifact, which is an error in Python.
pub(super) fn package_of(file: &str, level: u32) -> Option<String> {
    let mut package = directory(file);
    for _ in 1..level {
        if package.is_empty() {
            return None;
        }
        package = directory(package);
    }
    Some(package.to_owned())
}

/// The module that a text names: the longest beginning of `app.settings.DEBUG` or `app.main:handler` that is one. A text
/// without a dot or colon is a word.
pub(super) fn named(tree: &Tree, places: &[String], text: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = text.split(['.', ':']).map(str::to_owned).collect();
    let is_name = |part: &String| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if parts.len() < 2 || !parts.iter().all(is_name) {
        return None;
    }
    let exists =
        |module: &[String]| places.iter().any(|place| !tree.python_files(&join(place, &module.join("/"))).is_empty());
    (1..=parts.len()).rev().map(|length| &parts[..length]).find(|module| exists(module)).map(<[String]>::to_vec)
}

/// The module of a handler: Lambda takes `pkg/mod.handler` and `pkg.mod.handler`.
pub(super) fn handler_module(handler: &str) -> Option<Vec<String>> {
    let (module, _) = handler.rsplit_once('.')?;
    let module = module.replace('/', ".");
    Some(module.split('.').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tree::tree;

    fn module(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    fn top() -> Vec<String> {
        vec![String::new()]
    }

    #[test]
    fn every_package_on_the_way_is_run() {
        let tree = tree(&["a/__init__.py", "a/b/__init__.py", "a/b/c.py", "a/d.py"]);
        assert_eq!(files(&tree, &top(), &module("a.b.c")), ["a/__init__.py", "a/b/__init__.py", "a/b/c.py"]);
    }

    #[test]
    fn a_package_needs_no_init_file() {
        let tree = tree(&["ns/a/b.py"]);
        assert_eq!(files(&tree, &top(), &module("ns.a.b")), ["ns/a/b.py"]);
        assert_eq!(files(&tree, &top(), &module("os.path")), [] as [&str; 0]);
    }

    #[test]
    fn all_candidates_count_in_all_places() {
        let tree = tree(&["a.py", "a/__init__.py", "vendor/a.py"]);
        let places = [String::new(), "vendor".to_owned()];
        assert_eq!(files(&tree, &places, &module("a")), ["a.py", "a/__init__.py", "vendor/a.py"]);
    }

    #[test]
    fn a_native_module_brings_its_package() {
        let tree = tree(&["p/__init__.py", "p/fast.cpython-312-x86_64-linux-gnu.so", "p/helper.py", "other.py"]);
        let found = files(&tree, &top(), &module("p.fast"));
        assert!(found.contains(&"p/helper.py") && !found.contains(&"other.py"), "{found:?}");
    }

    #[test]
    fn dots_count_upwards() {
        assert_eq!(package_of("a/b/c.py", 1).as_deref(), Some("a/b"));
        assert_eq!(package_of("a/b/c.py", 2).as_deref(), Some("a"));
        assert_eq!(package_of("a.py", 2), None);
    }

    #[test]
    fn a_text_names_a_module_by_its_longest_beginning() {
        let tree = tree(&["app/__init__.py", "app/settings.py"]);
        assert_eq!(named(&tree, &top(), "app.settings.DEBUG"), Some(module("app.settings")));
        assert_eq!(named(&tree, &top(), "app.settings:make"), Some(module("app.settings")));
        assert_eq!(named(&tree, &top(), "app"), None);
        assert_eq!(named(&tree, &top(), "example.com"), None);
    }

    #[test]
    fn a_handler_is_written_with_slashes_or_dots() {
        assert_eq!(handler_module("pkg/mod.handler"), Some(module("pkg.mod")));
        assert_eq!(handler_module("pkg.mod.handler"), Some(module("pkg.mod")));
        assert_eq!(handler_module("handler"), None);
    }
}
