//! The ways to change an artifact, each on a stage of its own.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use local_cloud::Record;
use quickdeploy_tests::archives::{archive, contents, project};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use zipedit::{Artifact, Changes, Error, Object as _, Options, S3Object, Stamp, Stop, edit, edit_from, read_overlay};

use crate::strategies::puts;

pub(super) const KEY: &str = "artifact.zip";
const OVERLAY: &str = "overlay.zip";

static LARGE: LazyLock<Bytes> = LazyLock::new(|| project(22, 400_000));

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scenario {
    /// One conditional put.
    Small,
    /// Part copies.
    Splice,
    /// Part copies of an artifact that an earlier edit has left known.
    Warm,
    /// One stream through our memory.
    Rewrite,
    /// A splice whose changes come out of another object.
    Overlay,
    /// An earlier version is made the current one.
    Rollback,
    /// A full build's artifact takes the place of the one that is there: in one put,
    SmallUpload,
    /// or in parts.
    FullUpload,
}

impl Scenario {
    pub(super) const ALL: [Scenario; 8] = [
        Scenario::Small,
        Scenario::Splice,
        Scenario::Warm,
        Scenario::Rewrite,
        Scenario::Overlay,
        Scenario::Rollback,
        Scenario::SmallUpload,
        Scenario::FullUpload,
    ];

    pub(super) fn takes_the_place_of_a_whole(self) -> bool {
        matches!(self, Scenario::Rollback | Scenario::SmallUpload | Scenario::FullUpload)
    }

    fn before(self) -> Bytes {
        match self {
            Scenario::Small | Scenario::Rollback | Scenario::SmallUpload | Scenario::FullUpload => project(3, 1000),
            Scenario::Splice | Scenario::Warm | Scenario::Rewrite | Scenario::Overlay => LARGE.clone(),
        }
    }

    fn puts(self) -> Vec<(&'static str, &'static str)> {
        match self {
            // One in every 4 MB: no run is long enough for a part copy.
            Scenario::Rewrite => vec![
                ("node_modules/package-00000/index.js", "// one\n"),
                ("node_modules/package-00010/index.js", "// two\n"),
                ("node_modules/package-00020/index.js", "// three\n"),
                ("handlers/stop.js", "exports.name = 'edited';\n"),
            ],
            _ => vec![("handlers/stop.js", "exports.name = 'edited';\n"), ("added.js", "// new\n")],
        }
    }

    fn changes(self) -> Changes {
        puts(self.puts())
    }
}

/// What somebody was told.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    /// Nothing was changed, for this reason.
    Unchanged(String),
    /// It isn't known whether something was changed.
    Unknown(String),
}

/// What the key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Old,
    New,
    /// Something else.
    Neither,
}

/// A cloud with an artifact, ready for a scenario.
pub(super) struct Stage {
    pub(super) cloud: Cloud,
    scenario: Scenario,
    before: Bytes,
    known: Option<Artifact<S3Object>>,
    /// For a rollback: the version to go back to.
    earlier: Option<String>,
    /// What a rollback or a full build puts in the artifact's place.
    whole: Option<Bytes>,
    /// What the artifact is after the change, when nothing goes wrong.
    pub(super) usual: Option<Bytes>,
}

impl Stage {
    pub(super) async fn set(scenario: Scenario) -> Self {
        let cloud = Cloud::start().await;
        let mut stage =
            Self { cloud, scenario, before: scenario.before(), known: None, earlier: None, whole: None, usual: None };
        match scenario {
            Scenario::Warm => {
                stage.cloud.put(KEY, stage.before.clone()).await;
                let first = puts([("util.js", "exports.name = 'first';\n")]);
                let (_, known) = edit_from(&stage.store(), None, &first, &Options::new()).await.unwrap();
                stage.before = stage.cloud.get(KEY).await;
                stage.known = known;
            }
            Scenario::Overlay => {
                let puts = scenario.puts().into_iter();
                let files = puts.map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec()));
                stage.cloud.put(OVERLAY, archive(files)).await;
                stage.cloud.put(KEY, stage.before.clone()).await;
            }
            Scenario::Rollback => {
                stage.cloud.keep_versions().await;
                let earlier = project(4, 1000);
                let put = stage.cloud.s3.put_object().bucket(BUCKET).key(KEY).body(earlier.clone().into());
                let version = put.send().await.unwrap().version_id.unwrap();
                stage.cloud.put(KEY, stage.before.clone()).await;
                (stage.earlier, stage.whole) = (Some(version), Some(earlier));
            }
            Scenario::SmallUpload | Scenario::FullUpload => {
                let full = if scenario == Scenario::FullUpload { LARGE.clone() } else { project(5, 1000) };
                stage.whole = Some(full);
                stage.cloud.put(KEY, stage.before.clone()).await;
            }
            Scenario::Small | Scenario::Splice | Scenario::Rewrite => {
                stage.cloud.put(KEY, stage.before.clone()).await;
            }
        }
        stage.cloud.clear_requests();
        stage
    }

    fn store(&self) -> zipedit::S3Store {
        self.cloud.store(KEY).stamped(Stamp::new().with("quickdeploy-at", "2026-11-22T20:00:00.000Z").unwrap())
    }

    pub(super) fn requests(&self) -> Vec<Record> {
        self.cloud.s3_requests()
    }

    /// Makes the change; stopped this long after it met a fault.
    pub(super) async fn run(&self, patience: Option<Duration>) -> Answer {
        let stop = Stop::never();
        let stopping = async {
            while !self.requests().iter().any(|request| request.fault.is_some()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if let Some(patience) = patience {
                tokio::time::sleep(patience).await;
                stop.now();
            }
        };
        let mut changing = std::pin::pin!(self.change(&stop));
        tokio::select! {
            answer = changing.as_mut() => answer,
            () = stopping => changing.await,
        }
    }

    async fn change(&self, stop: &Stop) -> Answer {
        let options = Options::new().stop(stop.clone());
        let edited = match self.scenario {
            Scenario::Small | Scenario::Splice | Scenario::Rewrite => {
                edit(&self.store(), &self.scenario.changes(), &options).await.map(|_| ())
            }
            Scenario::Warm => {
                edit_from(&self.store(), self.known.clone(), &self.scenario.changes(), &options).await.map(|_| ())
            }
            Scenario::Overlay => match read_overlay(&self.cloud.store(OVERLAY), stop).await {
                Ok(changes) => edit(&self.store(), &changes, &options).await.map(|_| ()),
                Err(error) => Err(error),
            },
            Scenario::Rollback => self.roll_back(stop).await,
            Scenario::SmallUpload | Scenario::FullUpload => self.upload(stop).await,
        };
        match edited {
            Ok(()) => Answer::Done,
            Err(error @ Error::Unknown { .. }) => Answer::Unknown(error.to_string()),
            Err(error) => Answer::Unchanged(error.to_string()),
        }
    }

    async fn roll_back(&self, stop: &Stop) -> Result<(), Error> {
        let version = self.earlier.as_ref().unwrap();
        // As the verb does: what is current is looked at, and must still be that when the copy is made.
        let now = self.look().await?;
        if now.as_ref().is_some_and(|now| self.is_there(now)) {
            return Ok(());
        }
        self.store().version(version).restore(now.as_ref(), stop).await.map(|_| ())
    }

    async fn upload(&self, stop: &Stop) -> Result<(), Error> {
        let base = self.look().await?.unwrap_or_else(|| self.store().absent());
        if self.is_there(&base) {
            return Ok(());
        }
        let whole = self.whole.as_ref().unwrap();
        let read = |range: std::ops::Range<u64>| {
            let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            std::future::ready(Ok(whole.slice(start..end)))
        };
        self.store().replace(&base, whole.len() as u64, read, |_| (), stop).await.map(|_| ())
    }

    async fn look(&self) -> Result<Option<S3Object>, Error> {
        let looked = tokio::time::timeout(Duration::from_secs(5), self.store().head_current()).await;
        looked.unwrap_or_else(|_| Err(Error::Timeout { location: format!("s3://{BUCKET}/{KEY}") }))
    }

    fn is_there(&self, now: &S3Object) -> bool {
        self.whole.as_ref().is_some_and(|whole| whole.len() as u64 == now.size())
    }

    /// Lets the cloud come to an end with what it is still at: it learns only after a moment that a client has gone.
    pub(super) async fn settled(&self) {
        let address = self.cloud.endpoint().trim_start_matches("http://").to_owned();
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let patience = tokio::time::Instant::now() + Duration::from_secs(2);
        while self.cloud.requests_under_way() > 0 && tokio::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the key holds.
    pub(super) async fn holds(&self) -> Held {
        let now = self.cloud.get(KEY).await;
        if now == self.before {
            return Held::Old;
        }
        // Whatever is written is the same each time. But what another strategy was fallen back to has another order.
        if self.usual.as_ref().is_some_and(|usual| now == *usual) {
            return Held::New;
        }
        let is_new = match &self.whole {
            Some(whole) => now == *whole,
            None => contents(&now) == self.expected(),
        };
        if is_new { Held::New } else { Held::Neither }
    }

    /// The artifact with the changes, by a plain model.
    fn expected(&self) -> BTreeMap<String, (Vec<u8>, Option<u32>)> {
        let mut model = contents(&self.before);
        for (name, content) in self.scenario.puts() {
            let mode = model.get(name).map_or(Some(0o100_755), |(_, mode)| *mode);
            model.insert(name.to_owned(), (content.as_bytes().to_vec(), mode));
        }
        model
    }
}
