//! Edits a zip artifact where it lies, in S3 or in a local file, moving only the bytes that change.
//!
//! An edit reads the artifact's tail ([`open`]), which holds the central directory; plans the new artifact from the
//! directory and the changes alone ([`Plan`], a pure function); and carries the plan out: long runs of kept entries are
//! copied inside the store, new entries and the new directory are uploaded, and one conditional request puts the whole
//! new artifact into the place of the old one. Nobody ever sees anything in between, and when another writer came first,
//! the edit is planned again on top of the other's result.
//!
//! ```no_run
//! # async fn example(client: aws_sdk_s3::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use zipedit::{Changes, Content, EntryName, Options, S3Store, edit};
//!
//! let artifact = S3Store::new(client, "my-bucket", "app/artifact.zip");
//! let mut changes = Changes::new();
//! changes.put(EntryName::new("src/handler.js")?, Content::new("exports.handler = async () => 'hello';\n"));
//! changes.delete(EntryName::new("src/old.js")?);
//! let report = edit(&artifact, &changes, &Options::new()).await?;
//! println!("{} added, {} modified, ETag {}", report.added, report.modified, report.etag);
//! # Ok(())
//! # }
//! ```
//!
//! The pure half ([`changes`], [`directory`], [`plan`], [`parts`]) does no I/O; the other half ([`store`] and what carries
//! plans out) knows no zip format.

pub mod artifact;
mod bytes_le;
pub mod changes;
mod cp437;
pub mod directory;
mod edit;
mod end_record;
mod entry;
mod error;
mod extract;
mod gather;
mod meter;
mod multipart;
mod overlay;
pub mod parts;
pub mod plan;
mod report;
mod rewrite;
mod splice;
mod stamp;
mod stop;
pub mod store;
mod tail;

pub use artifact::{Artifact, Cost, Prepared, open};
pub use changes::{Change, Changes, Content, EntryName, NameError};
pub use directory::{Directory, Entry};
pub use edit::{Options, edit, edit_from};
pub use error::{DEADLINE_MARGIN, Error, FormatError};
pub use extract::read_entries;
pub use overlay::{MAX_OVERLAY, read_overlay};
pub use plan::{MAX_UNZIPPED, Plan};
pub use report::{Report, Strategy, Traffic};
pub use stamp::{STAMP_PREFIX, Stamp, StampError};
pub use stop::Stop;
pub use store::file::FileStore;
pub use store::s3::{Heed, Precondition, Probed, S3Object, S3Store, S3Version};
pub use store::{Object, Store, StoreError};
pub use tail::{Tail, head, reopen, reopen_as};
