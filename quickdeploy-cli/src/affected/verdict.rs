//! Whether one changed file affects one function. Pure.

use super::Names;
use crate::trace::{Reach, is_code};

/// A name whose content differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) name: &'a str,
    pub(super) changed: Changed,
}

/// How it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// It is new, or has another content.
    Put,
    Deleted,
}

/// The names that differ, sorted.
pub(super) fn changes<'a>(before: &'a Names, after: &'a Names) -> Vec<Name<'a>> {
    let put = after.iter().filter(|(name, content)| before.get(*name) != Some(content));
    let deleted = before.keys().filter(|name| !after.contains_key(*name));
    let mut changes: Vec<Name<'a>> = put
        .map(|(name, _)| Name { name, changed: Changed::Put })
        .chain(deleted.map(|name| Name { name, changed: Changed::Deleted }))
        .collect();
    changes.sort_by_key(|change| change.name);
    changes
}

/// Why the change affects a function that reaches this much. `None`: it doesn't. `all` is what the artifact's functions
/// reach: a source file that one of them imports is a module, and affects only those that import it.
pub(super) fn why(change: &Name<'_>, reach: &Reach, all: &[&Reach]) -> Option<String> {
    if let Some(chain) = reach.chain(change.name) {
        return Some(chain.join(" → "));
    }
    if let Some(unbounded) = &reach.unbounded {
        return Some(format!("may load any file: {unbounded}"));
    }
    match change.changed {
        Changed::Deleted => Some("deleted: whoever loaded or read it".to_owned()),
        Changed::Put if !is_code(change.name) => Some("a data file: any function may read it".to_owned()),
        Changed::Put if all.iter().any(|other| other.loads(change.name)) => None,
        Changed::Put => Some("no handler imports it: any function may read it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::trace::{Contents, Entrance, Tracer, Tree};

    struct Files(Vec<(&'static str, &'static str)>);

    impl Contents for Files {
        fn read(&self, name: &str) -> Option<Vec<u8>> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_bytes().to_vec())
        }
    }

    /// What each handler reaches in these files.
    fn reaches(files: &[(&'static str, &'static str)], handlers: &[&str]) -> Vec<Reach> {
        let tree = Tree::new(files.iter().map(|(name, _)| (*name, false)));
        let tracer = Tracer::new(tree, Arc::new(Files(files.to_vec())), |_| false);
        let entrance = |handler: &&str| Entrance {
            handler: (*handler).to_owned(),
            runtime: "nodejs22.x".to_owned(),
            environment: Vec::new(),
        };
        handlers.iter().map(|handler| tracer.reach(&entrance(handler))).collect()
    }

    const FILES: [(&str, &str); 6] = [
        ("a.js", "require('./lib/shared'); require('./lib/of-a')"),
        ("b.js", "require('./lib/shared')"),
        ("lib/shared.js", ""),
        ("lib/of-a.js", ""),
        ("public/app.js", ""),
        ("page.html", ""),
    ];

    fn whys(name: &str, changed: Changed) -> Vec<Option<String>> {
        let reaches = reaches(&FILES, &["a.handler", "b.handler"]);
        let all: Vec<&Reach> = reaches.iter().collect();
        all.iter().map(|reach| why(&Name { name, changed }, reach, &all)).collect()
    }

    #[test]
    fn a_module_affects_those_that_load_it() {
        assert_eq!(whys("lib/of-a.js", Changed::Put), [Some("a.js → lib/of-a.js".to_owned()), None]);
        assert!(whys("lib/shared.js", Changed::Put).iter().all(Option::is_some));
    }

    #[test]
    fn what_may_be_data_affects_all() {
        for name in ["page.html", "public/app.js"] {
            assert!(whys(name, Changed::Put).iter().all(Option::is_some), "{name}");
        }
    }

    #[test]
    fn a_deleted_file_affects_all() {
        assert!(whys("lib/old.js", Changed::Deleted).iter().all(Option::is_some));
    }

    #[test]
    fn a_handler_that_may_load_anything_is_affected_by_anything() {
        let reaches = reaches(
            &[("a.js", "require('./c')"), ("b.js", "require(process.env.X)"), ("c.js", "")],
            &["a.handler", "b.handler"],
        );
        let all: Vec<&Reach> = reaches.iter().collect();
        let change = Name { name: "c.js", changed: Changed::Put };
        assert_eq!(why(&change, all[1], &all).as_deref(), Some("may load any file: b.js:1 requires a computed name"));
    }
}
