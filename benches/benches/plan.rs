//! From a tail to a plan: what an edit computes between its first answer from S3 and its next request.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use zipedit::directory::Search;
use zipedit::parts::{PartLimits, parts};
use zipedit::plan::{Layout, Plan};
use zipedit::{Change, Changes, Content, Directory, EntryName};

const SIZES: [usize; 3] = [300, 20_000, 65_000];

fn parsed(archive: &Bytes) -> Directory {
    match Directory::find(archive, archive.len() as u64).unwrap() {
        Search::Found(directory) => directory,
        Search::ReadFrom(_) => panic!("the whole archive is there"),
    }
}

fn changes(count: usize) -> Changes {
    (0..count)
        .map(|at| {
            (EntryName::new(benches::name(at * 7)).unwrap(), Change::Put(Content::new("exports.changed = true;\n")))
        })
        .collect()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("directory");
    for entries in SIZES {
        let archive = benches::archive(entries).unwrap();
        group.bench_with_input(BenchmarkId::new("find", entries), &archive, |bencher, archive| {
            bencher.iter(|| parsed(archive));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("plan");
    for (entries, changed) in [(300, 1), (20_000, 1), (20_000, 1000), (65_000, 1)] {
        let directory = parsed(&benches::archive(entries).unwrap());
        let changes = changes(changed);
        group.bench_function(BenchmarkId::new(format!("{changed} changed"), entries), |bencher| {
            bencher.iter(|| {
                let plan = Plan::new(&directory, &changes, Layout::LongRunsFirst(PartLimits::S3.min)).unwrap();
                parts(plan.pieces(), PartLimits::S3)
            });
        });
    }
    group.finish();
}

criterion_group!(plan, bench);
criterion_main!(plan);
