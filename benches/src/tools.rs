//! The tools that are compared. What each does is in its directory under `benches/tools`.

use crate::programs::Peer;
use crate::project::edits::Edit;

/// One of them.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its directory, and what it is called on the command line.
    pub(crate) name: &'static str,
    /// What it is called in the report.
    pub(crate) title: &'static str,
    /// What has to be installed for it.
    pub(crate) needs: &'static [Peer],
    /// Whether it updates functions that are there; else it makes its own.
    pub(crate) finds_functions: bool,
    /// Its largest zip, in MB.
    pub(crate) largest: Option<u32>,
    /// Whether it goes on running from edit to edit.
    pub(crate) watches: bool,
}

impl Tool {
    /// Why it can't do this; `None`: it can.
    #[must_use]
    pub(crate) fn cannot(&self, size: u32, edit: Edit) -> Option<String> {
        if let Some(largest) = self.largest.filter(|largest| size > *largest) {
            return Some(format!("Lambda takes zips of up to {largest} MB directly"));
        }
        if self.watches && edit == Edit::Nothing {
            return Some("it does nothing until a file is saved".to_owned());
        }
        (self.name == "original" && edit == Edit::Delete).then(|| "it can't delete".to_owned())
    }

    /// Whether it is ours.
    #[must_use]
    pub(crate) fn is_ours(&self) -> bool {
        self.name.starts_with("quickdeploy")
    }
}

const OURS: Tool = Tool {
    name: "quickdeploy",
    title: "quickdeploy",
    needs: &[],
    finds_functions: true,
    largest: None,
    watches: false,
};

/// All of them, ours first.
pub(crate) const TOOLS: [Tool; 9] = [
    OURS,
    Tool { name: "quickdeploy-watch", title: "quickdeploy watch", watches: true, ..OURS },
    Tool { name: "original", title: "the original, in Python 3", needs: &[Peer::Python], ..OURS },
    Tool {
        name: "aws-direct",
        title: "zip -u, aws lambda",
        needs: &[Peer::Python],
        // FACTS of UpdateFunctionCode: 50 MB zipped, for direct upload.
        largest: Some(50),
        ..OURS
    },
    Tool { name: "aws-s3", title: "zip -u, aws s3 + lambda", needs: &[Peer::Python], ..OURS },
    Tool { name: "sam", title: "sam sync --code", needs: &[Peer::Sam], finds_functions: false, ..OURS },
    Tool { name: "sam-layer", title: "sam sync --code, layer", needs: &[Peer::Sam], finds_functions: false, ..OURS },
    Tool { name: "cdk", title: "cdk deploy --hotswap", needs: &[Peer::Node], finds_functions: false, ..OURS },
    Tool {
        name: "osls",
        title: "osls deploy function",
        needs: &[Peer::Node],
        finds_functions: false,
        largest: Some(50),
        ..OURS
    },
];
