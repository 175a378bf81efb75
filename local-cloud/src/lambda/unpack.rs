//! Unpacks a deployment package into a directory of its own, as `/var/task` is in Lambda.
//!
//! Mode bits count only for entries made on Unix; others get 0644 and 0755. A package is refused when a name would
//! lead out of the directory. Symbolic links are made last, so that no file is ever written through one.
//!
//! To remove thousands of files can take a disk more than a second. Nothing waits for it, neither whoever drops the last
//! use of the code, nor the end of this process: it is left to a process of its own, which outlives this one.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use zip::ZipArchive;

const SYMLINK: u32 = 0o120_000;
const FILE_TYPE: u32 = 0o170_000;

/// A directory with an unpacked package. Its removal begins when the last user drops it.
#[derive(Debug)]
pub(super) struct Unpacked {
    directory: TempDir,
}

impl Unpacked {
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let mut remove = Command::new("rm");
        remove.arg("-rf").arg("--").arg(self.path()).process_group(0);
        remove.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Where there is no `rm`, the directory is removed here and now, by its own drop.
        if let Ok(mut child) = remove.spawn() {
            self.directory.disable_cleanup(true);
            // Without the thread, the child's entry in the process table stays until this process ends.
            let _ = std::thread::Builder::new().spawn(move || child.wait());
        }
    }
}

/// Unpacks whole archives into one directory of their own, later ones over earlier ones. Blocks.
pub(super) fn unpack<R: Read + Seek>(archives: impl IntoIterator<Item = R>) -> io::Result<Unpacked> {
    let directory = tempfile::Builder::new().prefix("local-lambda-task-").tempdir()?;
    let mut links = BTreeMap::new();
    for archive in archives {
        unpack_files(archive, directory.path(), &mut links)?;
    }
    make(links)?;
    Ok(Unpacked { directory })
}

/// Unpacks a whole archive into a directory. Blocks. An archive that can't be unpacked is an error of kind `InvalidData`.
pub(crate) fn unpack_into<R: Read + Seek>(archive: R, directory: &Path) -> io::Result<()> {
    let mut links = BTreeMap::new();
    unpack_files(archive, directory, &mut links)?;
    make(links)
}

/// Symbolic links that are to be made, with their targets.
type Links = BTreeMap<PathBuf, String>;

fn make(links: Links) -> io::Result<()> {
    for (path, target) in links {
        let _ = fs::remove_file(&path);
        symlink(target, &path)?;
    }
    Ok(())
}

/// Everything but the links.
fn unpack_files<R: Read + Seek>(archive: R, directory: &Path, links: &mut Links) -> io::Result<()> {
    let mut archive = ZipArchive::new(archive).map_err(invalid)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(invalid)?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let path = directory.join(inside(&name)?);
        let mode = unix_mode(&entry);
        if entry.is_dir() {
            fs::create_dir_all(&path)?;
            if let Some(mode) = mode {
                // Our own right to enter and empty the directory stays.
                fs::set_permissions(&path, Permissions::from_mode(mode & 0o777 | 0o700))?;
            }
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if mode.is_some_and(|mode| mode & FILE_TYPE == SYMLINK) {
            let mut target = String::new();
            entry.read_to_string(&mut target)?;
            links.insert(path, target);
            continue;
        }
        // A later entry of the same name replaces an earlier one, whatever its mode was.
        let _ = fs::remove_file(&path);
        links.remove(&path);
        let mut file = File::create(&path)?;
        io::copy(&mut entry, &mut file)?;
        file.set_permissions(Permissions::from_mode(mode.map_or(0o644, |mode| mode & 0o777)))?;
    }
    Ok(())
}

/// The mode with the file type, when the entry was made on Unix (host byte of *version made by*, APPNOTE 4.4.2).
fn unix_mode<R: Read>(entry: &zip::read::ZipFile<'_, R>) -> Option<u32> {
    matches!(entry.system(), zip::System::Unix).then(|| entry.external_attributes() >> 16)
}

/// An entry's name as a path below the directory.
fn inside(name: &str) -> io::Result<PathBuf> {
    let path = Path::new(name);
    let mut relative = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => relative.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(invalid(format!("the entry `{name}` leads out of the package")));
            }
        }
    }
    if relative.as_os_str().is_empty() || name.contains('\0') {
        return Err(invalid(format!("the entry `{name}` has no name")));
    }
    Ok(relative)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};
    use std::time::{Duration, Instant};

    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(build: impl FnOnce(&mut zip::ZipWriter<Cursor<Vec<u8>>>)) -> Cursor<Vec<u8>> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        build(&mut writer);
        Cursor::new(writer.finish().unwrap().into_inner())
    }

    #[test]
    fn modes_and_links_are_kept() {
        let zip = archive(|zip| {
            zip.start_file("bootstrap", SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
            zip.write_all(b"#!/bin/sh\n").unwrap();
            zip.start_file("lib/data.txt", SimpleFileOptions::default().unix_permissions(0o640)).unwrap();
            zip.write_all(b"data").unwrap();
            zip.add_symlink("lib/link", "data.txt", SimpleFileOptions::default()).unwrap();
        });
        let unpacked = unpack([zip]).unwrap();
        let mode = |name: &str| fs::metadata(unpacked.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("bootstrap"), 0o755);
        assert_eq!(mode("lib/data.txt"), 0o640);
        assert_eq!(fs::read_link(unpacked.path().join("lib/link")).unwrap(), Path::new("data.txt"));
        assert_eq!(fs::read_to_string(unpacked.path().join("lib/link")).unwrap(), "data");
    }

    #[test]
    fn what_was_unpacked_is_removed_after_the_last_use() {
        let unpacked =
            unpack([archive(|zip| zip.add_directory("a/b", SimpleFileOptions::default()).unwrap())]).unwrap();
        let path = unpacked.path().to_owned();
        drop(unpacked);
        let patience = Instant::now() + Duration::from_secs(30);
        while path.exists() && Instant::now() < patience {
            std::thread::yield_now();
        }
        assert!(!path.exists());
    }

    #[test]
    fn an_entry_that_leads_out_of_the_directory_is_refused() {
        for name in ["../evil", "a/../../evil", "/etc/evil"] {
            assert!(inside(name).is_err(), "{name}");
        }
        assert_eq!(inside("./a//b").unwrap(), Path::new("a/b"));
    }

    #[test]
    fn a_later_archive_lies_over_an_earlier_one() {
        let text = |zip: &mut zip::ZipWriter<Cursor<Vec<u8>>>, name: &str, text: &str| {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        };
        let first = archive(|zip| {
            text(zip, "lib/both", "first");
            text(zip, "lib/one", "first");
            zip.add_symlink("lib/link", "one", SimpleFileOptions::default()).unwrap();
        });
        let second = archive(|zip| {
            text(zip, "lib/both", "second");
            text(zip, "lib/link", "no link");
        });
        let unpacked = unpack([first, second]).unwrap();
        let read = |name: &str| fs::read_to_string(unpacked.path().join(name)).unwrap();
        assert_eq!([read("lib/both"), read("lib/one"), read("lib/link")], ["second", "first", "no link"]);
    }

    #[test]
    fn nothing_is_written_through_the_link_of_an_earlier_archive() {
        let outside = tempfile::tempdir().unwrap();
        let link = archive(|zip| {
            zip.add_symlink("out", outside.path().to_str().unwrap(), SimpleFileOptions::default()).unwrap();
        });
        let file = archive(|zip| {
            zip.start_file("out/evil", SimpleFileOptions::default()).unwrap();
            zip.write_all(b"evil").unwrap();
        });
        assert!(unpack([link, file]).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let outside = tempfile::tempdir().unwrap();
        let zip = archive(|zip| {
            zip.add_symlink("out", outside.path().to_str().unwrap(), SimpleFileOptions::default()).unwrap();
            zip.start_file("out/evil", SimpleFileOptions::default()).unwrap();
            zip.write_all(b"evil").unwrap();
        });
        // The link can't be made where a directory is: the package is refused.
        assert!(unpack([zip]).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
