//! What the last full build was made from, as the artifact itself remembers it.
//!
//! A full build writes the digests of the project's dependency manifests, and of the stack's template, into the artifact's
//! user metadata (`built-from`). A patch carries them over, a rollback brings back those of its version. So on any machine
//! a deploy can tell what a code patch can't do: dependencies that were declared, or a template that was edited, since the
//! artifact was last built as a whole.
//!
//! The value is `1;PATH=DIGEST;PATH=DIGEST…`, each digest the first 16 hexadecimal digits of a SHA-256 over what the
//! file declares (see [`crate::project::ManifestKind`]). S3 takes 2 KB of metadata: a project with more manifests than fit
//! has one digest over all, `1;*=DIGEST`, which tells that something changed but not what.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::project::{ManifestChange, ManifestKind};

/// The metadata's key. It has no `quickdeploy-` in front because it belongs to the artifact, not to one version of it.
pub(crate) const KEY: &str = "built-from";

/// Longest value, in bytes: the rest of S3's 2 KB is for others.
const LONGEST: usize = 1400;
/// Stands for all files together.
const ALL: &str = "*";

/// Digests of manifests and template, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BuiltFrom(BTreeMap<String, String>);

impl BuiltFrom {
    /// What the project declares now.
    pub(crate) fn new(digests: &BTreeMap<String, [u8; 32]>) -> Self {
        let short = |digest: &[u8; 32]| digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self(digests.iter().map(|(path, digest)| (path.clone(), short(digest))).collect())
    }

    /// The same without one file: as if it had not been there.
    pub(crate) fn without(&self, path: &str) -> Self {
        let mut rest = self.0.clone();
        rest.remove(path);
        Self(rest)
    }

    /// As metadata: printable ASCII.
    pub(crate) fn encode(&self) -> String {
        let whole = encode(&self.0);
        if whole.len() <= LONGEST { whole } else { encode(&self.summary().0) }
    }

    /// From metadata. `None`: written by something else.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let entries = text.strip_prefix("1")?;
        let mut digests = BTreeMap::new();
        for entry in entries.split(';').skip(1) {
            let (path, digest) = entry.split_once('=')?;
            digests.insert(unescape(path)?, digest.to_owned());
        }
        Some(Self(digests))
    }

    /// What is different now from what `built` was made from. `is_template`: the stack's template.
    pub(crate) fn changed_since(&self, built: &Self, is_template: impl Fn(&str) -> bool) -> Vec<ManifestChange> {
        let change = |path: &str| ManifestChange {
            path: path.to_owned(),
            kind: match ManifestKind::of(path) {
                _ if is_template(path) => ManifestKind::Template,
                Some(kind) => kind,
                None => ManifestKind::Dependencies,
            },
        };
        if built.0.contains_key(ALL) {
            return if self.summary() == *built {
                Vec::new()
            } else {
                vec![change("a dependency manifest or the template")]
            };
        }
        let paths: BTreeSet<&String> = self.0.keys().chain(built.0.keys()).collect();
        paths.into_iter().filter(|path| self.0.get(*path) != built.0.get(*path)).map(|path| change(path)).collect()
    }

    /// One digest over all.
    fn summary(&self) -> Self {
        let digest: [u8; 32] = Sha256::digest(encode(&self.0)).into();
        Self::new(&BTreeMap::from([(ALL.to_owned(), digest)]))
    }
}

fn encode(digests: &BTreeMap<String, String>) -> String {
    let mut text = "1".to_owned();
    for (path, digest) in digests {
        text.push(';');
        text.push_str(&escape(path));
        text.push('=');
        text.push_str(digest);
    }
    text
}

/// Percent-encodes what metadata can't hold, and what separates entries.
fn escape(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic() && !b"%;=".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, u8)]) -> BuiltFrom {
        BuiltFrom::new(&files.iter().map(|(path, byte)| ((*path).to_owned(), [*byte; 32])).collect())
    }

    fn changed(now: &BuiltFrom, then: &BuiltFrom) -> Vec<(String, ManifestKind)> {
        let changes = now.changed_since(then, |path| path == "infra/stack.yaml");
        changes.into_iter().map(|change| (change.path, change.kind)).collect()
    }

    #[test]
    fn metadata_gives_back_what_was_put_in_whatever_the_names_are() {
        let built = of(&[("package.json", 1), ("ä b/x;y=z%.lock/Cargo.toml", 2)]);
        let text = built.encode();
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
        assert_eq!(BuiltFrom::decode(&text), Some(built));
        assert_eq!(BuiltFrom::decode(&of(&[]).encode()), Some(of(&[])));
        assert_eq!(BuiltFrom::decode("2;a=b"), None);
        assert_eq!(BuiltFrom::decode("1;a"), None);
    }

    #[test]
    fn what_was_edited_added_and_removed_has_changed() {
        let then = of(&[("package-lock.json", 1), ("package.json", 1), ("infra/stack.yaml", 1)]);
        let now = of(&[("package-lock.json", 2), ("infra/stack.yaml", 2), ("Pipfile", 1)]);
        assert_eq!(
            changed(&now, &then),
            [
                ("Pipfile".to_owned(), ManifestKind::Dependencies),
                ("infra/stack.yaml".to_owned(), ManifestKind::Template),
                ("package-lock.json".to_owned(), ManifestKind::LockFile),
                ("package.json".to_owned(), ManifestKind::Dependencies),
            ]
        );
        assert_eq!(changed(&then, &then), []);
    }

    #[test]
    fn more_manifests_than_fit_are_told_to_have_changed_but_not_which() {
        let many = |byte: u8| {
            BuiltFrom::new(&(0..90).map(|number| (format!("packages/{number}/package.json"), [byte; 32])).collect())
        };
        let recorded = many(1).encode();
        assert!(recorded.len() <= LONGEST, "{}", recorded.len());
        let recorded = BuiltFrom::decode(&recorded).unwrap();
        assert_eq!(changed(&many(1), &recorded), []);
        assert_eq!(changed(&many(2), &recorded).len(), 1);
    }
}
