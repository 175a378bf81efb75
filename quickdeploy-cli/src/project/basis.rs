//! What a comparison of the project with its artifact depends on here, as a digest.
//!
//! Two comparisons with the same basis and the same artifact find the same. It is made of
//!
//! - the files' paths and `stat`s ([`Listing::digest`]). What ignore files, `include` and `exclude` say is in there: the
//!   walk goes by them every time. A `stat` stands for a content exactly as far as the index lets it: see
//!   [`Basis::speaks_for`];
//! - the index, which knows those contents, and what this project has deployed: as it is stored, not what is in it;
//! - root and `map`, by which a file gets its name, the stack's template, and this program's version;
//! - the manifests beside the package, by their content ([`manifest::beside_the_package`]);
//! - and git's index, if git was asked. That is only known after a comparison, so it is chosen when the digest is made.
//!
//! All of it is taken before a comparison reads anything: what changes meanwhile makes another basis the next time. Ignore
//! files that hide a name which would be deleted are not in it; a comparison that rests on those has no basis.

use sha2::{Digest as _, Sha256};

use super::error::ProjectError;
use super::scan::{Scan, meanwhile};
use super::walk::{Listing, Scope};
use super::{Project, manifest, ownership};

/// What a comparison depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Basis {
    /// Of all but git.
    digest: [u8; 32],
    git: Option<[u64; 3]>,
}

impl Basis {
    /// The digest; of git's state, too, if git was asked.
    pub(crate) fn digest(&self, git_was_asked: bool) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(self.digest);
        if git_was_asked {
            digest.update([1, u8::from(self.git.is_some())]);
            self.git.unwrap_or_default().iter().for_each(|part| digest.update(part.to_le_bytes()));
        }
        digest.finalize().into()
    }

    /// Whether this is all that `scan`, after its diff, rests on; then also whether git was asked.
    ///
    /// A scan that had to read files may have read one that was changed in the same tick of the file system's clock. The
    /// index doesn't let such a `stat` stand for a content, so nothing does.
    pub(crate) fn speaks_for(scan: &Scan) -> Option<bool> {
        let rests_on = scan.rests_on();
        (scan.read() == 0 && !rests_on.ignore_files).then_some(rests_on.git)
    }
}

impl Project {
    /// Lists the project's files, and tells what a comparison with `artifact` depends on; `None`, if that can't be told.
    /// Blocks; reads neither files nor index.
    pub(crate) fn list(&self, artifact: &str) -> Result<(Listing, Option<Basis>), ProjectError> {
        let listing = self.walker.list(Scope::Edit)?;
        let basis = self.basis(&listing, self.index(artifact).identity());
        Ok((listing, basis))
    }

    /// [`Project::scan`] of files that were just listed.
    pub(crate) fn scan_of(&self, artifact: &str, listing: Listing) -> Result<Scan, ProjectError> {
        let index = self.index(artifact);
        let data = index.load();
        self.scan_listed(index, listing, data)
    }

    /// [`Project::scan`], and what a comparison by it depends on.
    pub(crate) fn scan_with_basis(&self, artifact: &str) -> Result<(Scan, Option<Basis>), ProjectError> {
        let index = self.index(artifact);
        let load = || (index.identity(), index.load());
        let ((identity, data), listing) = meanwhile(load, || self.walker.list(Scope::Edit))?;
        let basis = self.basis(&listing, identity);
        Ok((self.scan_listed(index, listing, data)?, basis))
    }

    fn basis(&self, listing: &Listing, index: Option<[u8; 32]>) -> Option<Basis> {
        let root = &self.settings.root;
        let template = self.settings.full.template.as_ref();
        let mut digest = Sha256::new_with_prefix(env!("CARGO_PKG_VERSION"));
        digest.update(index?);
        digest.update(listing.digest().ok()?);
        digest.update(self.layout());
        // What a comparison tells of the template is told by this name.
        digest.update(Sha256::digest(template.map_or("", |(name, _)| name)));
        digest.update(manifest::beside_the_package(root, template).ok()?);
        Some(Basis { digest: digest.finalize().into(), git: ownership::git_stamp(root) })
    }
}

#[cfg(test)]
#[path = "basis_tests.rs"]
mod tests;
