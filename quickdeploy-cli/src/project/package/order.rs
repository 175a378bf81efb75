//! The order of entries: what changes seldom first, what is edited last.
//!
//! Dependencies are told by their folder, or, where `pip install --target` has put them among the project's own files
//! as Lambda wants it for Python, by the list that pip leaves behind (`*.dist-info/RECORD`,
//! <https://packaging.python.org/en/latest/specifications/recording-installed-packages/>).

use std::collections::HashSet;
use std::path::Path;

use super::super::rules::dependency_folder;
use super::super::walk::LocalFile;

/// Dependencies first, then the rest; each sorted by name.
pub(super) fn sort(root: &Path, files: &mut [LocalFile]) {
    let installed = installed_by_pip(root, files);
    files.sort_by_cached_key(|file| {
        let dependency = dependency_folder(&file.name).is_some() || installed.contains(&*file.name);
        (!dependency, file.name.clone())
    });
}

/// Entry names of the files that pip says it has installed beside a `*.dist-info`. A list that can't be read only costs
/// a good order.
fn installed_by_pip(root: &Path, files: &[LocalFile]) -> HashSet<String> {
    let mut installed = HashSet::new();
    for record in files {
        let Some(info) = record.name.strip_suffix("/RECORD").filter(|info| info.ends_with(".dist-info")) else {
            continue;
        };
        let Ok(list) = std::fs::read_to_string(root.join(record.path())) else { continue };
        // `a/x.py` of `a/b-1.0.dist-info/RECORD` is relative to `a`.
        let place = info.rfind('/').map_or("", |slash| &info[..=slash]);
        installed.extend(list.lines().filter_map(|line| Some(format!("{place}{}", first_field(line)?))));
    }
    installed
}

/// The first field of a line of CSV: `"a,b.py",sha256=…,12` is `a,b.py`.
fn first_field(line: &str) -> Option<String> {
    match line.strip_prefix('"') {
        None => line.split(',').next().map(str::to_owned),
        Some(quoted) => {
            let end = quoted.rfind("\",")?;
            Some(quoted[..end].replace("\"\"", "\""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::stat::Stat;

    #[test]
    fn what_pip_installed_among_the_projects_files_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("lib/six-1.0.dist-info")).unwrap();
        let record = "lib/six-1.0.dist-info/RECORD";
        std::fs::write(
            directory.path().join(record),
            "six.py,sha256=x,10\n\"odd,name.py\",sha256=x,3\nsix-1.0.dist-info/RECORD,,\n",
        )
        .unwrap();
        let stat = Stat { size: 0, mtime: 0, ctime: 0, inode: 0, executable: false };
        let mut files: Vec<LocalFile> = ["handler.py", "lib/own.py", "lib/odd,name.py", "lib/six.py", "six.py", record]
            .map(|name| LocalFile::new(name.to_owned(), name.to_owned(), stat))
            .into();
        sort(directory.path(), &mut files);
        let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
        assert_eq!(names, ["lib/odd,name.py", record, "lib/six.py", "handler.py", "lib/own.py", "six.py"]);
    }
}
