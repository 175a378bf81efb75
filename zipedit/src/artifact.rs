//! An artifact as it was read: which object it is, its directory, and the tail that came with it.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::changes::Changes;
use crate::directory::{Directory, Search};
use crate::error::{Error, FormatError};
use crate::gather::requests;
use crate::parts::{self, Part};
use crate::plan::{Layout, Plan};
use crate::report::Strategy;
use crate::splice::GAP;
use crate::store::{Object, Store, StoreError};

/// How much of the end is read at first: the directory of some 4,000 entries, or less and the files edited last.
pub const TAIL: u64 = 512 << 10;

/// How often an object that is replaced between two reads is read again.
const OPENS: u32 = 8;

/// An artifact as it was read.
#[derive(Debug, Clone)]
pub struct Artifact<O> {
    object: O,
    directory: Directory,
    tail: Bytes,
}

/// Reads an artifact's directory: one request, or two for a directory that doesn't fit into the tail.
///
/// # Errors
/// [`Error::ArtifactNotFound`], [`Error::AccessDenied`], [`Error::NotAZip`], [`Error::UnsupportedZip`], and
/// [`Error::Store`] for what else the store says.
pub async fn open<S: Store>(store: &S) -> Result<Artifact<S::Object>, Error> {
    open_metered(store, || ()).await
}

/// As [`open`]; says so before each step that waits for the one before.
pub(crate) async fn open_metered<S: Store>(store: &S, on_step: impl Fn()) -> Result<Artifact<S::Object>, Error> {
    let location = store.location();
    for _ in 0..OPENS {
        on_step();
        let (object, mut tail) = store.tail(TAIL).await.map_err(|error| Error::store(location, error))?;
        loop {
            let search = Directory::find(&tail, object.size()).map_err(|error| Error::at(location, error))?;
            let from = match search {
                Search::Found(directory) => return Ok(Artifact { object, directory, tail }),
                Search::ReadFrom(from) => from,
            };
            on_step();
            match store.read(&object, from..object.size() - tail.len() as u64).await {
                Ok(more) => tail = joined(&more, &tail),
                Err(StoreError::Changed { .. }) => break,
                Err(error) => return Err(Error::store(location, error)),
            }
        }
    }
    Err(Error::Conflict { location: location.to_owned(), attempts: OPENS })
}

pub(crate) fn joined(front: &[u8], back: &[u8]) -> Bytes {
    let mut whole = BytesMut::with_capacity(front.len() + back.len());
    whole.extend_from_slice(front);
    whole.extend_from_slice(back);
    whole.freeze()
}

impl<O: Object> Artifact<O> {
    /// The successor that was just written: its last bytes are in `end`. `None` when not all of the directory is.
    pub(crate) fn written(object: O, end: &Bytes, directory_len: u64) -> Option<Self> {
        let keep = end.len().min(usize::try_from(TAIL.max(directory_len)).ok()?);
        // A copy, so that the part it came in isn't held in memory for its sake.
        Self::with_tail(object, Bytes::copy_from_slice(&end[end.len() - keep..]))
    }

    /// The artifact whose last bytes are `tail`. `None` when not all of a directory is in them.
    pub(crate) fn with_tail(object: O, tail: Bytes) -> Option<Self> {
        match Directory::find(&tail, object.size()) {
            Ok(Search::Found(directory)) => Some(Self { object, directory, tail }),
            _ => None,
        }
    }

    /// Which object it is.
    pub fn object(&self) -> &O {
        &self.object
    }

    /// Its central directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What was read of its end.
    pub(crate) fn tail_bytes(&self) -> &Bytes {
        &self.tail
    }

    /// Where the bytes that were read begin; they reach to the object's end.
    pub(crate) fn tail_start(&self) -> u64 {
        self.object.size() - self.tail.len() as u64
    }

    /// The part of `range` that was read with the tail; the rest of it is before that.
    pub(crate) fn in_tail(&self, range: &Range<u64>) -> Bytes {
        let start = self.tail_start();
        let from = range.start.max(start).min(range.end);
        let index = |offset: u64| usize::try_from(offset - start).unwrap_or(self.tail.len());
        if from < range.end { self.tail.slice(index(from)..index(range.end)) } else { Bytes::new() }
    }

    /// Whether it is what `plan` was to make: then the plan was carried out, whatever the answer to the commit.
    pub(crate) fn is(&self, plan: &Plan) -> bool {
        let end = plan.directory();
        self.object.size() == plan.size() && self.tail.ends_with(&end)
    }

    /// Plans `changes`, and how to carry them out in `store`. Pure: nothing is read.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn prepare<S: Store<Object = O>>(&self, store: &S, changes: &Changes) -> Result<Prepared, Error> {
        self.prepare_for(store, changes, true).map_err(|error| Error::at(store.location(), error))
    }

    /// As [`Artifact::prepare`]; without `may_copy`, for a store that turned out not to copy parts.
    pub(crate) fn prepare_for<S: Store<Object = O>>(
        &self,
        store: &S,
        changes: &Changes,
        may_copy: bool,
    ) -> Result<Prepared, FormatError> {
        let limits = store.part_limits();
        let small = self.object.size() <= store.small();
        if !small && may_copy {
            let plan = Plan::new(&self.directory, changes, Layout::LongRunsFirst(limits.min))?;
            let parts = parts::parts(plan.pieces(), limits);
            // When more than half would be fetched in pieces, it is better read in one go.
            if plan.is_noop() || self.fetched(&parts) <= self.object.size() / 2 {
                return Ok(self.prepared(plan, Way::Splice(parts)));
            }
        }
        let plan = Plan::new(&self.directory, changes, Layout::InOrder)?;
        Ok(self.prepared(plan, if small { Way::Small } else { Way::Rewrite }))
    }

    fn prepared(&self, plan: Plan, way: Way) -> Prepared {
        let read = match &way {
            _ if plan.is_noop() => 0,
            Way::Splice(parts) => self.fetched(parts),
            Way::Small | Way::Rewrite => self.tail_start(),
        };
        let copied = match &way {
            Way::Splice(parts) => parts.iter().filter(|part| matches!(part, Part::Copy(_))).map(Part::len).sum(),
            Way::Small | Way::Rewrite => 0,
        };
        let cost = match plan.is_noop() {
            true => Cost::default(),
            false => Cost { read, written: plan.size() - copied, copied },
        };
        Prepared { plan, way, cost }
    }

    /// How many old bytes are fetched for the uploaded parts, those between near pieces included.
    fn fetched(&self, parts: &[Part]) -> u64 {
        let requests = parts.iter().flat_map(|part| match part {
            Part::Upload(pieces) => requests(pieces, self.tail_start(), GAP),
            Part::Copy(_) => Vec::new(),
        });
        requests.map(|range| range.end - range.start).sum()
    }
}

/// A plan, and the way in which it will be carried out.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) way: Way,
    cost: Cost,
}

#[derive(Debug, Clone)]
pub(crate) enum Way {
    Small,
    Splice(Vec<Part>),
    Rewrite,
}

/// What carrying out a plan moves, in bytes; what was read already is not counted again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// From the store to this process.
    pub read: u64,
    /// From this process to the store.
    pub written: u64,
    /// Inside the store.
    pub copied: u64,
}

impl Prepared {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What carrying it out moves.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// How it will be carried out.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        match &self.way {
            _ if self.plan.is_noop() => Strategy::None,
            Way::Small => Strategy::Small,
            Way::Splice(_) => Strategy::Splice,
            Way::Rewrite => Strategy::Rewrite,
        }
    }
}
