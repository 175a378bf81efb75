//! Who made this version of the artifact, when and by which verb, as the version itself says.

use std::path::Path;
use std::time::SystemTime;

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use zipedit::Stamp;

/// The stamp of a version that `verb` writes now, from a project in `root`. What can't be written is left out.
pub(super) fn stamp(root: &Path, verb: &str) -> Stamp {
    let now = DateTime::from(SystemTime::now()).fmt(DateTimeFormat::DateTime).ok();
    let said =
        [("quickdeploy-by", Some(who(root))), ("quickdeploy-at", now), ("quickdeploy-verb", Some(verb.to_owned()))];
    said.into_iter().fold(Stamp::new(), |stamp, (key, value)| match value {
        Some(value) => stamp.clone().with(key, value).unwrap_or(stamp),
        None => stamp,
    })
}

/// The address that git would sign a commit with, else USER@HOST.
fn who(root: &Path) -> String {
    let git = std::process::Command::new("git").args(["config", "user.email"]).current_dir(root).output();
    let email =
        git.ok().filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    match email.map(|email| email.trim().to_owned()).filter(|email| !email.is_empty()) {
        Some(email) => ascii(&email),
        None => {
            let of = |names: [&str; 2]| names.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
            let user = of(["USER", "USERNAME"]);
            let host = std::fs::read_to_string("/etc/hostname").unwrap_or_else(|_| of(["HOSTNAME", "COMPUTERNAME"]));
            ascii(&format!("{}@{}", user.trim(), host.trim()))
        }
    }
}

fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(200).collect()
}
