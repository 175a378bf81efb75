//! The seeds: small archives, each with one thing that is worth finding, and choices that lead somewhere.

use crate::archive::{ArchiveSpec, Descriptor, Spec};
use crate::choices::Choices;

/// The seeds of a target, by name. `UPDATE_SEEDS=1 cargo test -p fuzz-bodies` writes them into `fuzz/seeds`.
#[must_use]
pub fn seeds(target: &str) -> Vec<(&'static str, Vec<u8>)> {
    match target {
        "event" => [
            ("text", r#"{"src":"s3://b/k.zip","changes":{"a.js":"text","gone.js":null}}"#),
            ("base64", r#"{"src":"b/k.zip","changes":{"a.bin":{"base64":"AAEC","mode":"0644"}},"dryRun":true}"#),
            (
                "overlay",
                r#"{"src":"s3://b/k","overlay":"s3://b/o","ifMatch":"\"e\"","metadata":{"quickdeploy-by":"me"}}"#,
            ),
        ]
        .into_iter()
        .map(|(name, text)| (name, text.as_bytes().to_vec()))
        .chain(choices())
        .collect(),
        "parts" => choices().collect(),
        _ => archives().into_iter().map(|(name, spec)| (name, spec.write().to_vec())).chain(choices()).collect(),
    }
}

fn choices() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    ["choices-1", "choices-2", "choices-3", "choices-4"]
        .into_iter()
        .zip(1..)
        // Not to be taken for an archive.
        .map(|(name, seed)| (name, [vec![3], Choices::scattered(seed, 300).into_bytes()].concat()))
}

fn archives() -> Vec<(&'static str, ArchiveSpec)> {
    let a = || Spec::new("a.js", "exports.a = 1;\n");
    let b = || Spec::new("src/b.js", "b b b b b b b b b b b b").mode(0o100_600);
    let empty_end = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let described = |descriptor| Spec { descriptor, ..a() };
    vec![
        ("empty", ArchiveSpec::of([])),
        ("plain", ArchiveSpec::of([a(), b().stored(), Spec::new("dir/", "").stored()])),
        ("zip64", ArchiveSpec::of([Spec { zip64: true, ..a() }, Spec { zip64: true, ..b() }])),
        ("descriptors", ArchiveSpec::of([described(Descriptor::Signed), Spec { descriptor: Descriptor::Bare, ..b() }])),
        ("prefix", ArchiveSpec { prefix: b"#!/bin/sh\n".to_vec(), ..ArchiveSpec::of([a(), b()]) }),
        (
            "prefix-not-counted",
            ArchiveSpec { prefix: b"MZ".to_vec(), offsets_count_prefix: false, ..ArchiveSpec::of([a(), b()]) },
        ),
        ("comment-with-end", ArchiveSpec { comment: empty_end, ..ArchiveSpec::of([a()]) }),
        ("twice", ArchiveSpec::of([a(), b(), Spec::new("a.js", "again").stored()])),
        (
            "twice-reversed",
            ArchiveSpec { directory_reversed: true, ..ArchiveSpec::of([a(), b(), Spec::new("a.js", "")]) },
        ),
        ("link", ArchiveSpec::of([Spec::new("link", "a.js").stored().mode(0o120_777), a()])),
        ("gap", ArchiveSpec::of([Spec { padding: 33, ..a() }, b()])),
    ]
}
