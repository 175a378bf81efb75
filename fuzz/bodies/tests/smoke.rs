//! Every fuzz target over its seeds and a fixed number of pseudo-random inputs: it doesn't rot, and what fuzzing found
//! once is found again at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::path::{Path, PathBuf};

use fuzz_bodies::{Choices, TARGETS, seeds};

/// Pseudo-random inputs for each target.
const INPUTS: u64 = 3_000;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds").join(target)
}

#[test]
fn every_target_holds_over_its_seeds() {
    for (target, run) in TARGETS {
        let files: Vec<_> = std::fs::read_dir(folder(target)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= 4, "{target} has {} seeds", files.len());
        for file in files {
            println!("{}", file.display());
            run(&std::fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_target_holds_over_pseudo_random_inputs_and_a_share_of_them_gets_through() {
    for (target, run) in TARGETS {
        let mut through = 0;
        for seed in 0..INPUTS {
            println!("{target} {seed}");
            through += u64::from(run(&Choices::scattered(seed, 20 + seed as usize % 400).into_bytes()));
        }
        println!("{target}: {through} of {INPUTS} got through");
        assert!(through > INPUTS / 20, "{target} refuses nearly everything: {through} of {INPUTS} got through");
    }
}

#[test]
fn every_target_holds_over_its_seeds_with_bytes_overwritten() {
    for (target, run) in TARGETS {
        for (name, bytes) in seeds(target) {
            for seed in 0..200 {
                println!("{target} {name} {seed}");
                let mut bytes = bytes.clone();
                let lies = Choices::scattered(seed, 6).into_bytes();
                for lie in lies.chunks(2) {
                    let at = usize::from(lie[0]) * bytes.len() / 256;
                    bytes[at] = lie[1];
                }
                run(&bytes);
            }
        }
    }
}

#[test]
fn the_seeds_are_what_the_code_makes() {
    for (target, _) in TARGETS {
        for (name, bytes) in seeds(target) {
            let file = folder(target).join(name);
            if std::env::var_os("UPDATE_SEEDS").is_some() {
                std::fs::create_dir_all(folder(target)).unwrap();
                std::fs::write(&file, &bytes).unwrap();
            }
            assert!(std::fs::read(&file).unwrap() == bytes, "{} is stale: run with UPDATE_SEEDS=1", file.display());
        }
    }
}

#[test]
fn every_target_is_one_of_cargo_fuzz_too() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for (target, _) in TARGETS {
        let source = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(source.contains(&format!("fuzz_bodies::{target}::run(data)")), "{source}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target} has no [[bin]]");
    }
    assert_eq!(std::fs::read_dir(fuzz.join("fuzz_targets")).unwrap().count(), TARGETS.len());
}
