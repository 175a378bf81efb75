//! The project that the demo shows when it is given none: two Node.js handlers that share a `util.js`, compiled in.

use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// File names and contents, as in `examples/node-ec2-controller`.
const FILES: [(&str, &str); 5] = [
    ("start.js", include_str!("../../../examples/node-ec2-controller/start.js")),
    ("stop.js", include_str!("../../../examples/node-ec2-controller/stop.js")),
    ("util.js", include_str!("../../../examples/node-ec2-controller/util.js")),
    ("package.json", include_str!("../../../examples/node-ec2-controller/package.json")),
    ("quickdeploy.toml", include_str!("../../../examples/node-ec2-controller/quickdeploy.toml")),
];

/// Its dependencies are not installed, as that would need a network; these bytes stand in for them. Random, because
/// dependencies are packaged compressed and don't shrink either.
const STAND_IN_FILES: usize = 12;
const STAND_IN_BYTES: usize = 2 << 20;

/// How the example is called so that it does something without an account: it checks everything and calls no EC2.
pub(crate) struct Example;

impl Example {
    /// What the demo changes in `start.js`.
    pub(crate) const EDITED_FILE: &'static str = "start.js";
    /// The text that is edited there.
    pub(crate) const BEFORE: &'static str = "controller('start',";
    /// The settings that its functions read.
    pub(crate) const ENVIRONMENT: [(&'static str, &'static str); 3] =
        [("TOKEN", "demo"), ("INSTANCE_ID", "i-0123456789abcdef0"), ("DRY_RUN", "1")];
    /// An event that it answers.
    pub(crate) const EVENT: &'static str = r#"{"token":"demo"}"#;
    /// How many bytes stand in for its dependencies.
    pub(crate) const STAND_IN: u64 = (STAND_IN_FILES * STAND_IN_BYTES) as u64;
}

/// Writes the example into `directory`.
pub(crate) fn write_example(directory: &Path) -> Result<()> {
    let write = |name: &str, content: &[u8]| {
        let path = directory.join(name);
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::File::create(&path)?.write_all(content))
            .map_err(|error| Error::file("write", &path, &error))
    };
    for (name, content) in FILES {
        write(name, content.as_bytes())?;
    }
    // The same bytes in every demo, so that its figures are the same too.
    let mut random = fastrand::Rng::with_seed(20);
    let mut content = vec![0; STAND_IN_BYTES];
    for number in 1..=STAND_IN_FILES {
        random.fill(&mut content);
        write(&format!("node_modules/stand-in-{number:02}/data.bin"), &content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edit_of_the_example_still_fits_it() {
        let (_, start) = FILES.iter().find(|(name, _)| *name == Example::EDITED_FILE).unwrap();
        assert_eq!(start.matches(Example::BEFORE).count(), 1);
    }
}
