//! Which files of a directory are artifacts: `files`, `exclude-paths` and `base-directory` of a buildspec.
//!
//! In a pattern `*` and `?` stand for any characters of one part of a path, `**` for any number of whole parts, none
//! included.

use std::fs;
use std::io::{self, Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::buildspec::ArtifactFiles;

/// A file of the artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its name in the artifacts, with `/` between its parts.
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// Finds the artifacts below `root`. Blocks.
///
/// # Errors
/// In AWS's words: there is no base directory, or nothing in it matches.
pub(super) fn collect(root: &Path, wanted: &ArtifactFiles) -> Result<Vec<File>, String> {
    let base = match wanted.base_directory.as_deref() {
        None => root.to_owned(),
        Some(directory) => {
            let base = root.join(directory);
            if !base.is_dir() {
                return Err(format!("no matching base directory path found for {directory}"));
            }
            base
        }
    };
    let mut found = Vec::new();
    walk(&base, "", &mut found).map_err(|error| format!("{}: {error}", base.display()))?;
    let any = |patterns: &[String], name: &str| patterns.iter().any(|pattern| matches(clean(pattern), name));
    found.retain(|file| any(&wanted.files, &file.name) && !any(&wanted.exclude_paths, &file.name));
    if wanted.discard_paths {
        for file in &mut found {
            file.name = file.name.rsplit('/').next().unwrap_or_default().to_owned();
        }
    }
    if found.is_empty() {
        return Err("no matching artifact paths found".to_owned());
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// A pattern as people write paths: `./dist/app.js`.
fn clean(pattern: &str) -> &str {
    pattern.strip_prefix("./").unwrap_or(pattern)
}

fn walk(directory: &Path, prefix: &str, found: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        // A link to a file is that file; a link to a directory could lead in circles.
        if entry.file_type()?.is_dir() {
            walk(&path, &format!("{name}/"), found)?;
        } else if path.is_file() {
            found.push(File { name, path });
        }
    }
    Ok(())
}

/// Whether a pattern means a name.
fn matches(pattern: &str, name: &str) -> bool {
    fn parts(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => (0..=name.len()).any(|skipped| parts(rest, &name[skipped..])),
            (Some((first, rest)), Some((part, others))) => {
                characters(first.as_bytes(), part.as_bytes()) && parts(rest, others)
            }
            _ => false,
        }
    }
    fn characters(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=text.len()).any(|skipped| characters(rest, &text[skipped..])),
            (Some((b'?', rest)), Some((_, others))) => characters(rest, others),
            (Some((first, rest)), Some((byte, others))) => first == byte && characters(rest, others),
            _ => false,
        }
    }
    parts(&pattern.split('/').collect::<Vec<_>>(), &name.split('/').collect::<Vec<_>>())
}

/// Files as one zip, in memory. Blocks.
pub(super) fn zipped(files: &[File]) -> io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        let mode = fs::metadata(&file.path)?.permissions().mode() & 0o777;
        let options = SimpleFileOptions::default().unix_permissions(mode).large_file(false);
        zip.start_file(&file.name, options).map_err(io::Error::other)?;
        zip.write_all(&fs::read(&file.path)?)?;
    }
    Ok(zip.finish().map_err(io::Error::other)?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_a_buildspec() {
        for (pattern, name, expected) in [
            ("**/*", "a.js", true),
            ("**/*", "a/b/c.js", true),
            ("dist/**/*", "dist/a.js", true),
            ("dist/**/*", "dist/a/b.js", true),
            ("dist/**/*", "src/a.js", false),
            ("dist/*", "dist/a.js", true),
            ("dist/*", "dist/a/b.js", false),
            ("*.js", "a.js", true),
            ("*.js", "a/b.js", false),
            ("a?.j*s", "ab.jxs", true),
            ("a.js", "a.js", true),
            ("dist", "dist/a.js", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in ["dist/a.js", "dist/a.js.map", "dist/lib/b.js", "src/c.ts"] {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        directory
    }

    fn names(root: &Path, wanted: &ArtifactFiles) -> Vec<String> {
        collect(root, wanted).unwrap().into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn names_begin_at_the_base_directory() {
        let directory = directory();
        let mut wanted = ArtifactFiles {
            files: vec!["**/*".to_owned()],
            exclude_paths: vec!["**/*.map".to_owned()],
            base_directory: Some("dist".to_owned()),
            ..ArtifactFiles::default()
        };
        assert_eq!(names(directory.path(), &wanted), ["a.js", "lib/b.js"]);
        wanted.discard_paths = true;
        assert_eq!(names(directory.path(), &wanted), ["a.js", "b.js"]);
        wanted.base_directory = None;
        wanted.files = vec!["./src/*".to_owned()];
        assert_eq!(names(directory.path(), &wanted), ["c.ts"]);
    }

    #[test]
    fn nothing_to_be_found_is_an_error() {
        let directory = directory();
        let mut wanted = ArtifactFiles { files: vec!["*.exe".to_owned()], ..ArtifactFiles::default() };
        assert_eq!(collect(directory.path(), &wanted).unwrap_err(), "no matching artifact paths found");
        wanted.base_directory = Some("out".to_owned());
        assert_eq!(collect(directory.path(), &wanted).unwrap_err(), "no matching base directory path found for out");
    }

    #[test]
    fn a_zip_keeps_what_may_be_executed() {
        let directory = directory();
        let path = directory.path().join("bootstrap");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let zip = zipped(&[File { name: "bootstrap".to_owned(), path }]).unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        assert_eq!(archive.by_name("bootstrap").unwrap().unix_mode().unwrap() & 0o777, 0o755);
    }
}
