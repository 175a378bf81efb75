//! Which function runs which version. Pure.
//!
//! In REFERENCE mode Lambda names the version. Else it names hash and length of the code that it copied: the hash decides
//! where it is known, which is for versions that were deployed from this machine; the length is a good guess where only
//! one version has it. Nothing is read as a whole to know better.

use super::cache::Versions;
use super::{Version, What};
use crate::functions::Function;
use crate::project::ArtifactUrl;

/// Which of the listed versions a function runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    /// The one at this place.
    This(usize),
    /// By its length, the one at this place.
    Likely(usize),
    /// By its length, one of those at these places.
    OneOf(Vec<usize>),
    /// None of them.
    Other,
}

/// Finds the version that `function` runs among `versions`, newest first.
pub(crate) fn runs(function: &Function, url: &ArtifactUrl, versions: &[Version], known: &Versions) -> Runs {
    if let Some(reference) = &function.referenced {
        let is_it = |version: &Version| Some(&version.id) == reference.version_id.as_ref();
        let same_object = reference.bucket == url.bucket && reference.key == url.key;
        return versions.iter().position(is_it).filter(|_| same_object).map_or(Runs::Other, Runs::This);
    }
    let mut candidates = Vec::new();
    for (at, version) in versions.iter().enumerate() {
        let What::Object { size, .. } = &version.what else { continue };
        if *size != function.code_size {
            continue;
        }
        match known.get(&version.id).and_then(|known| known.code_sha256.as_deref()) {
            Some(sha256) if sha256 == function.code_sha256 => return Runs::This(at),
            Some(_) => {}
            None => candidates.push(at),
        }
    }
    let files = |at: usize| known.get(&versions[at].id).and_then(|known| known.fingerprint.as_ref());
    match candidates.as_slice() {
        [] => Runs::Other,
        // Of copies of one another, the newest stands for all.
        [first, rest @ ..]
            if rest.iter().all(|at| {
                versions[*at].is_same_object(&versions[*first]) || (files(*at).is_some() && files(*at) == files(*first))
            }) =>
        {
            Runs::Likely(*first)
        }
        _ => Runs::OneOf(candidates),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::Reference;
    use crate::functions::tests::function;
    use crate::versions::cache::Known;
    use crate::versions::tests::{marker, object};

    fn url() -> ArtifactUrl {
        "s3://bkt/k.zip".parse().unwrap()
    }

    fn sha256(of: &[(&str, &str)]) -> Versions {
        let known = |sha: &str| Known { code_sha256: Some(sha.to_owned()), ..Known::default() };
        of.iter().map(|(id, sha)| ((*id).to_owned(), known(sha))).collect()
    }

    #[test]
    fn the_hash_decides_where_it_is_known() {
        let versions = [object("v3", 3, 100), marker("m", 2), object("v1", 1, 100)];
        let known = sha256(&[("v3", "C"), ("v1", "A")]);
        assert_eq!(runs(&function("f", "A", 100), &url(), &versions, &known), Runs::This(2));
        assert_eq!(runs(&function("f", "X", 100), &url(), &versions, &known), Runs::Other);
    }

    #[test]
    fn else_the_length_is_a_guess_if_only_one_version_has_it() {
        let versions = [object("v3", 3, 100), object("v2", 2, 90), object("v1", 1, 100)];
        let nothing = Versions::new();
        assert_eq!(runs(&function("f", "A", 90), &url(), &versions, &nothing), Runs::Likely(1));
        assert_eq!(runs(&function("f", "A", 100), &url(), &versions, &nothing), Runs::OneOf(vec![0, 2]));
        assert_eq!(runs(&function("f", "A", 1), &url(), &versions, &nothing), Runs::Other);
        // One of two is known to be something else.
        assert_eq!(runs(&function("f", "A", 100), &url(), &versions, &sha256(&[("v3", "C")])), Runs::Likely(2));
    }

    #[test]
    fn a_copy_stands_for_its_original() {
        let mut copy = object("v2", 2, 100);
        let original = object("v1", 1, 100);
        copy.what = original.what.clone();
        assert_eq!(runs(&function("f", "A", 100), &url(), &[copy, original], &Versions::new()), Runs::Likely(0));
    }

    #[test]
    fn a_reference_is_to_a_version() {
        let versions = [object("v2", 2, 100), object("v1", 1, 100)];
        let mut function = function("f", "A", 100);
        let reference = |key: &str, id: &str| {
            Some(Reference { bucket: "bkt".into(), key: key.into(), version_id: Some(id.into()) })
        };
        function.referenced = reference("k.zip", "v1");
        assert_eq!(runs(&function, &url(), &versions, &Versions::new()), Runs::This(1));
        function.referenced = reference("other.zip", "v1");
        assert_eq!(runs(&function, &url(), &versions, &Versions::new()), Runs::Other);
    }
}
