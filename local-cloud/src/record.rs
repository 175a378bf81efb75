//! A service's whole state as one JSON file: read at the start, and written anew after each change.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Which file cannot be used, and what is wrong with it.
pub(crate) type Fault = (PathBuf, String);

/// The file of one service.
#[derive(Debug)]
pub(crate) struct RecordFile {
    path: PathBuf,
    /// One writer at a time, so that the last change is the last one written.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl RecordFile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, writing: Arc::default() }
    }

    /// What is in the file. A file that isn't there holds the default.
    pub(crate) async fn load<T: DeserializeOwned + Default + Send + 'static>(&self) -> Result<T, Fault> {
        let path = self.path.clone();
        apart(&self.path, move || match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// Writes what `record` gives when it is this change's turn.
    pub(crate) async fn save<T: Serialize>(&self, record: impl FnOnce() -> T) -> Result<(), Fault> {
        // The turn lasts until the file is written, even when nobody waits for that any more.
        let turn = Arc::clone(&self.writing).lock_owned().await;
        let text = serde_json::to_vec_pretty(&record()).map_err(|error| (self.path.clone(), error.to_string()))?;
        let path = self.path.clone();
        let write = move || {
            let _turn = turn;
            replace(&path, &text).map_err(|error| error.to_string())
        };
        apart(&self.path, write).await
    }
}

async fn apart<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()));
    done.map_err(|message| (path.to_owned(), message))
}

/// Writes a new file beside the old one, then puts it in its place.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(new, path)
}
