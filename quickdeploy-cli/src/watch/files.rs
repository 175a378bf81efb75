//! Saves: what the file system reports, until a save is over.
//!
//! One save is many events: an editor writes a temporary file, renames it over the old one, and touches a backup; a
//! compiler writes fifty files. They are gathered until nothing has happened for [`QUIET`], and no longer than
//! [`LONGEST`]. A file that its writer has not closed yet is half written: it is kept back until it is closed, or until
//! nothing was written to it for [`ABANDONED`], because some programs never close.
//!
//! Editors write files of their own beside the one that is saved; these are nobody's save.
//!
//! # Up to now
//!
//! Who has waited for others to finish writing (git, a compiler) has to know that all of their events have come. The
//! system reports in order, so a file is written in a directory of ours that is watched, too: what was written before it
//! has been reported when it is.
//!
//! Directories are watched one by one, so that a `node_modules` of ten thousand directories costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Result};

/// A save is over when nothing has happened for so long.
const QUIET: Duration = Duration::from_millis(10);

/// What was gathered is not kept back longer than this.
const LONGEST: Duration = Duration::from_millis(50);

/// A file that is open but not written to is taken as it is.
const ABANDONED: Duration = Duration::from_millis(300);

/// So long the system may take to report a file of ours: it takes no millisecond, unless the whole machine stands still.
const REPORTED: Duration = Duration::from_secs(3);

/// The same, once it has not reported one at all. Then what is known of the past is what has come by then.
const UNRELIABLE: Duration = Duration::from_millis(50);

/// What was saved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Saved {
    /// When the first of its events came.
    pub(super) at: Instant,
    /// Absolute; of files and directories that were written, created, renamed or deleted.
    pub(super) paths: BTreeSet<PathBuf>,
    /// The file system had more to tell than could be taken.
    pub(super) lost: bool,
}

impl Saved {
    /// What something may be joined to.
    pub(super) fn nothing(at: Instant) -> Self {
        Self { at, paths: BTreeSet::new(), lost: false }
    }

    /// Both in one.
    pub(super) fn join(&mut self, other: Self) {
        self.at = self.at.min(other.at);
        self.paths.extend(other.paths);
        self.lost |= other.lost;
    }
}

/// Watches directories, not what is below them.
pub(super) struct Files {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    gathering: Gathering,
    /// [`Gathering::ours`], as long as it is needed.
    _ours: tempfile::TempDir,
    /// How many have been.
    marks: u32,
    /// Whether the last one was not reported.
    is_unreliable: bool,
}

/// What was reported and not handed out yet.
struct Gathering {
    /// Where files are written to see how far the reports are. Nothing in it is a save.
    ours: PathBuf,
    notices: mpsc::UnboundedReceiver<Notice>,
    first: Option<Instant>,
    last: Option<Instant>,
    done: BTreeSet<PathBuf>,
    /// Files that are being written, with the time of the last write.
    open: BTreeMap<PathBuf, Instant>,
    lost: bool,
}

/// One event.
#[derive(Debug)]
struct Notice {
    at: Instant,
    what: What,
    paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Written to, and not closed.
    Writing,
    /// Closed after writing, created, renamed, deleted.
    Done,
    Lost,
}

impl Files {
    /// Watches these directories. What happens from now on is reported.
    ///
    /// # Errors
    ///
    /// The system has no more watches to give, or a directory can't be read.
    pub(super) fn watch(directories: Vec<PathBuf>) -> Result<Self> {
        let (sender, notices) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Some(notice) = notice(event) {
                // Nobody listens any more at the end.
                drop(sender.send(notice));
            }
        })
        .map_err(|error| watch_error(Path::new("."), &error))?;
        let made = tempfile::Builder::new().prefix("quickdeploy-watch-").tempdir();
        let made = made.and_then(|ours| Ok((ours.path().canonicalize()?, ours)));
        let (path, ours) = made.map_err(|error| Error::file("make a directory in", &std::env::temp_dir(), &error))?;
        let mut files = Self {
            watcher,
            watched: BTreeSet::new(),
            gathering: Gathering::new(path.clone(), notices),
            _ours: ours,
            marks: 0,
            is_unreliable: false,
        };
        let reported = files.watcher.watch(&path, RecursiveMode::NonRecursive);
        reported.map_err(|error| watch_error(&path, &error))?;
        files.follow(directories)?;
        Ok(files)
    }

    /// Takes out what is being written again: it is a save of its own when it is closed.
    pub(super) fn leave_open(&self, saved: &mut Saved) {
        saved.paths.retain(|path| !self.gathering.open.contains_key(path));
    }

    /// What was written up to now and [`Files::next`] has not handed out. What is still being written is left to it.
    pub(super) async fn so_far(&mut self) -> Option<Saved> {
        self.marks += 1;
        let mark = self.gathering.ours.join(self.marks.to_string());
        // Without it, what has been reported is what is known.
        if std::fs::write(&mark, "").is_ok() {
            let patience = if self.is_unreliable { UNRELIABLE } else { REPORTED };
            self.is_unreliable = !self.gathering.until(&mark, Instant::now() + patience).await;
            drop(std::fs::remove_file(&mark));
        }
        self.gathering.so_far()
    }

    /// Watches these directories from now on, and no others.
    pub(super) fn follow(&mut self, directories: Vec<PathBuf>) -> Result<()> {
        let wanted: BTreeSet<PathBuf> = directories.into_iter().collect();
        for gone in self.watched.difference(&wanted) {
            // A directory that was deleted isn't watched any more anyway.
            drop(self.watcher.unwatch(gone));
        }
        for new in &wanted {
            // Again also for known ones: a directory that was deleted and made anew is another one.
            match self.watcher.watch(new, RecursiveMode::NonRecursive) {
                Err(error) if !matches!(error.kind, notify::ErrorKind::PathNotFound) && new.exists() => {
                    return Err(watch_error(new, &error));
                }
                _ => {}
            }
        }
        self.watched = wanted;
        Ok(())
    }

    /// How many directories are watched.
    pub(super) fn len(&self) -> usize {
        self.watched.len()
    }

    /// Whether anything was reported that [`Files::next`] has not handed out. Waits until it was.
    pub(super) async fn ready(&mut self) {
        self.gathering.ready().await;
    }

    /// The next save. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Saved {
        self.gathering.next().await
    }
}

impl Gathering {
    fn new(ours: PathBuf, notices: mpsc::UnboundedReceiver<Notice>) -> Self {
        Self { ours, notices, first: None, last: None, done: BTreeSet::new(), open: BTreeMap::new(), lost: false }
    }

    async fn ready(&mut self) {
        while self.first.is_none() {
            match self.notices.recv().await {
                Some(notice) => self.take(notice),
                None => std::future::pending().await,
            }
        }
    }

    async fn next(&mut self) -> Saved {
        loop {
            while let Ok(notice) = self.notices.try_recv() {
                self.take(notice);
            }
            let now = Instant::now();
            let Some(until) = self.over_at() else {
                match self.notices.recv().await {
                    Some(notice) => self.take(notice),
                    None => std::future::pending().await,
                }
                continue;
            };
            if until <= now {
                if let Some(saved) = self.hand_out(now) {
                    return saved;
                }
                continue;
            }
            if let Ok(Some(notice)) = timeout_at(until, self.notices.recv()).await {
                self.take(notice);
            }
        }
    }

    /// Takes in what is reported, until this file is. It is no save itself. Whether it was.
    async fn until(&mut self, mark: &Path, patience: Instant) -> bool {
        while let Ok(Some(notice)) = timeout_at(patience, self.notices.recv()).await {
            let reached = notice.paths.iter().any(|path| path == mark);
            self.take(notice);
            if reached {
                return true;
            }
        }
        false
    }

    fn so_far(&mut self) -> Option<Saved> {
        while let Ok(notice) = self.notices.try_recv() {
            self.take(notice);
        }
        self.hand_out(Instant::now())
    }

    fn take(&mut self, mut notice: Notice) {
        notice.paths.retain(|path| !is_an_editors_own(path) && !path.starts_with(&self.ours));
        if notice.paths.is_empty() && notice.what != What::Lost {
            return;
        }
        self.first.get_or_insert(notice.at);
        self.last = Some(notice.at);
        for path in notice.paths {
            match notice.what {
                What::Writing => {
                    self.done.remove(&path);
                    self.open.insert(path, notice.at);
                }
                What::Done => {
                    self.open.remove(&path);
                    self.done.insert(path);
                }
                What::Lost => {}
            }
        }
        self.lost |= notice.what == What::Lost;
    }

    /// When what was gathered is to be handed out; `None`: nothing was.
    fn over_at(&self) -> Option<Instant> {
        let (first, last) = (self.first?, self.last?);
        if self.done.is_empty() && !self.lost {
            return self.open.values().min().map(|written| *written + ABANDONED);
        }
        let latest = first + LONGEST;
        Some(if self.open.is_empty() { latest.min(last + QUIET) } else { latest })
    }

    fn hand_out(&mut self, now: Instant) -> Option<Saved> {
        let abandoned = |written: &Instant| *written + ABANDONED <= now;
        let stale: Vec<PathBuf> =
            self.open.iter().filter(|(_, written)| abandoned(written)).map(|(path, _)| path.clone()).collect();
        for path in stale {
            self.open.remove(&path);
            self.done.insert(path);
        }
        if self.done.is_empty() && !self.lost {
            return None;
        }
        let at = self.first.take()?;
        // What is still being written is a save of its own, from its last write on.
        self.first = self.open.values().min().copied();
        self.last = self.open.values().max().copied();
        Some(Saved { at, paths: std::mem::take(&mut self.done), lost: std::mem::take(&mut self.lost) })
    }
}

/// Whether an editor writes this file for itself: what is not saved yet, a backup, a lock, a try whether it may write.
fn is_an_editors_own(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let vim = name.starts_with('.') && [".swp", ".swo", ".swx", ".swpx"].iter().any(|end| name.ends_with(end));
    let emacs = name.starts_with(".#") || (name.starts_with('#') && name.ends_with('#'));
    let jetbrains = name.ends_with("___jb_tmp___") || name.ends_with("___jb_old___");
    vim || emacs || jetbrains || name.ends_with('~') || name == "4913"
}

/// What an event says of a save; `None`: nothing.
fn notice(event: notify::Result<notify::Event>) -> Option<Notice> {
    let at = Instant::now();
    let Ok(event) = event else { return Some(Notice { at, what: What::Lost, paths: Vec::new() }) };
    let what = match event.kind {
        _ if event.need_rescan() => What::Lost,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => What::Done,
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => return None,
        // Only where closing is reported, too, can one wait for it.
        EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) if cfg!(target_os = "linux") => {
            What::Writing
        }
        _ => What::Done,
    };
    Some(Notice { at, what, paths: event.paths })
}

fn watch_error(directory: &Path, error: &notify::Error) -> Error {
    let told = Error::new("Watch", format!("can't watch `{}`", directory.display()));
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => told
            .cause("the system's limit of watched directories is reached")
            .hint("raise it: `sudo sysctl fs.inotify.max_user_watches=524288`")
            .hint("or let `.gitignore` or `.quickdeployignore` name large directories that are not yours"),
        notify::ErrorKind::Io(error) => told.because(error),
        _ => told.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Feed {
        sender: mpsc::UnboundedSender<Notice>,
        gathering: Gathering,
    }

    impl Feed {
        fn new() -> Self {
            let (sender, notices) = mpsc::unbounded_channel();
            Self { sender, gathering: Gathering::new(PathBuf::from("/ours"), notices) }
        }

        fn send(&self, what: What, path: &str) {
            let paths = if path.is_empty() { Vec::new() } else { vec![PathBuf::from(path)] };
            self.sender.send(Notice { at: Instant::now(), what, paths }).unwrap();
        }

        async fn next(&mut self) -> (Duration, Vec<String>) {
            let saved = self.gathering.next().await;
            (saved.at.elapsed(), saved.paths.iter().map(|path| path.display().to_string()).collect())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_save_is_over_ten_milliseconds_after_its_last_event() {
        let mut feed = Feed::new();
        feed.send(What::Writing, "a");
        feed.send(What::Done, "a");
        let (waited, paths) = feed.next().await;
        assert_eq!(paths, ["a"]);
        assert!((QUIET..QUIET * 2).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_save_that_goes_on_is_not_kept_back_longer_than_fifty_milliseconds() {
        let mut feed = Feed::new();
        let sender = feed.sender.clone();
        tokio::spawn(async move {
            for number in 0..30 {
                let paths = vec![PathBuf::from(format!("{number:02}"))];
                sender.send(Notice { at: Instant::now(), what: What::Done, paths }).unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let (waited, first) = feed.next().await;
        assert!((LONGEST..LONGEST + QUIET).contains(&waited), "{waited:?}");
        let mut seen = first;
        while seen.len() < 30 {
            let (waited, more) = feed.next().await;
            assert!(waited <= LONGEST + QUIET, "{waited:?}");
            seen.extend(more);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_kept_back_until_it_is_closed_and_holds_up_nobody() {
        let mut feed = Feed::new();
        feed.send(What::Writing, "bundle.js");
        feed.send(What::Done, "a.js");
        let (waited, paths) = feed.next().await;
        assert_eq!(paths, ["a.js"]);
        assert!(waited <= LONGEST + QUIET, "{waited:?}");
        feed.send(What::Writing, "bundle.js");
        feed.send(What::Done, "bundle.js");
        assert_eq!(feed.next().await.1, ["bundle.js"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_never_closed_is_taken_when_it_rests() {
        let mut feed = Feed::new();
        feed.send(What::Writing, "log");
        let (waited, paths) = feed.next().await;
        assert_eq!(paths, ["log"]);
        assert!((ABANDONED..ABANDONED * 2).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn lost_events_are_told_even_without_any_path() {
        let mut feed = Feed::new();
        feed.send(What::Lost, "");
        assert!(feed.gathering.next().await.lost);
    }

    #[tokio::test(start_paused = true)]
    async fn what_editors_write_for_themselves_is_no_save() {
        let mut feed = Feed::new();
        for name in ["src/.a.js.swp", "src/a.js~", "src/4913", "src/.#a.js", "src/#a.js#", "src/a.js___jb_tmp___"] {
            feed.send(What::Done, name);
        }
        feed.send(What::Done, "src/a.js");
        assert_eq!(feed.next().await.1, ["src/a.js"]);
    }

    #[tokio::test]
    async fn what_was_written_up_to_now_is_known_at_once_and_handed_out_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let mut files = Files::watch(vec![root.clone()]).unwrap();
        assert_eq!(files.so_far().await, None);
        let written: BTreeSet<PathBuf> = (0..100).map(|number| root.join(format!("{number}.js"))).collect();
        for path in &written {
            std::fs::write(path, "1").unwrap();
        }
        assert_eq!(files.so_far().await.unwrap().paths, written);
        assert_eq!(files.so_far().await, None);
    }

    /// On the real file system.
    #[tokio::test]
    async fn writes_renames_and_deletes_are_seen_and_reads_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::fs::write(root.join("old.js"), "1").unwrap();
        std::fs::write(root.join("gone.js"), "1").unwrap();
        let mut files = Files::watch(vec![root.clone()]).unwrap();
        std::fs::read(root.join("old.js")).unwrap();
        std::fs::write(root.join(".old.js.swp"), "2").unwrap();
        std::fs::rename(root.join(".old.js.swp"), root.join("old.js")).unwrap();
        std::fs::remove_file(root.join("gone.js")).unwrap();
        std::fs::write(root.join("new.js"), "1").unwrap();
        let mut seen = BTreeSet::new();
        while !["old.js", "gone.js", "new.js"].iter().all(|name| seen.contains(&root.join(name))) {
            seen.extend(files.next().await.paths);
        }
        std::fs::create_dir(root.join("deep")).unwrap();
        files.follow(vec![root.clone(), root.join("deep")]).unwrap();
        std::fs::write(root.join("deep/a.js"), "1").unwrap();
        while !files.next().await.paths.contains(&root.join("deep/a.js")) {}
    }
}
