//! The entries of one directory, and what `stat` says of them.
//!
//! A walk of thousands of files spends its time here, so on Linux the kernel is asked by its own calls ([`linux`]):
//! entries come in one buffer, their names go behind each other into another, and `stat` is asked relative to the
//! directory, which stays open. Through the standard library (`portable`) each entry is allocated twice and shares a
//! counted reference to its directory. The tests hold both to the same answers.

use std::cmp::Ordering;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use linux::Entries;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) use portable::Entries;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux;
#[cfg(any(test, not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))))]
mod portable;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    /// A socket, a pipe or a device.
    Other,
}

/// The order in which paths through these entries of one directory are sorted: a directory's are followed by a slash.
fn in_path_order((one, kind): (&[u8], Kind), (other, other_kind): (&[u8], Kind)) -> Ordering {
    let common = one.len().min(other.len());
    let next = |bytes: &[u8], kind: Kind| bytes.get(common).copied().or((kind == Kind::Directory).then_some(b'/'));
    one[..common].cmp(&other[..common]).then_with(|| next(one, kind).cmp(&next(other, other_kind)))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::super::super::stat::Stat;
    use super::*;

    type Found = Vec<(String, Kind, Stat)>;

    fn asked(directory: &Path) -> [Found; 2] {
        let here = Entries::read(directory).unwrap();
        let portable = portable::Entries::read(directory).unwrap();
        let name = |name: &std::ffi::OsStr| name.to_str().unwrap().to_owned();
        [
            here.iter().map(|(at, n, kind)| (name(n), kind, here.stat(at).unwrap())).collect(),
            portable.iter().map(|(at, n, kind)| (name(n), kind, portable.stat(at).unwrap())).collect(),
        ]
    }

    #[test]
    fn entries_of_every_kind_are_found_in_the_order_of_their_paths() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["b.js", "a-b", "a.js", "a0", "ä"] {
            std::fs::write(path(name), name).unwrap();
        }
        std::fs::create_dir(path("a")).unwrap();
        std::fs::set_permissions(path("b.js"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("b.js", path("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();

        let [here, portable] = asked(directory.path());
        assert_eq!(here, portable);
        let names: Vec<(&str, Kind)> = here.iter().map(|(name, kind, _)| (name.as_str(), *kind)).collect();
        use Kind::{Directory, File, Link, Other};
        assert_eq!(
            names,
            [
                ("a-b", File),
                ("a.js", File),
                ("a", Directory),
                ("a0", File),
                ("b.js", File),
                ("link", Link),
                ("socket", Other),
                ("ä", File)
            ]
        );
        let stat = |name: &str| here.iter().find(|(other, ..)| other == name).unwrap().2;
        assert_eq!(stat("b.js"), Stat::of(&path("b.js").metadata().unwrap()));
        assert!(stat("b.js").executable && !stat("a.js").executable);
        assert_eq!(stat("link"), Stat::of(&path("link").symlink_metadata().unwrap()), "a link's own");
    }

    #[test]
    fn more_entries_than_fit_into_one_answer_of_the_kernel_are_all_found() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..1_500 {
            std::fs::write(directory.path().join(format!("{number:04}-{}", "long".repeat(20))), "").unwrap();
        }
        let [here, portable] = asked(directory.path());
        assert_eq!(here.len(), 1_500);
        assert!(here == portable && here.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn what_is_gone_is_said_to_be_gone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "").unwrap();
        let entries = Entries::read(directory.path()).unwrap();
        std::fs::remove_file(directory.path().join("a")).unwrap();
        assert_eq!(entries.stat(0).unwrap_err().kind(), std::io::ErrorKind::NotFound);
        let gone = Entries::read(&directory.path().join("b")).err().unwrap();
        assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    }
}
