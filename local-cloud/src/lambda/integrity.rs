//! Whether a package can be unpacked at all: every entry is stored or deflated, is not encrypted, and gives as many
//! bytes, with the CRC-32, as the central directory says.
//!
//! Finding out means to inflate everything, up to 250 MiB. So it is no part of a request: the function is `Pending` or
//! its update `InProgress` meanwhile. Nothing is written: a package is unpacked when a process first needs it.

use std::io::{self, Read, Seek};
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use zip::ZipArchive;

/// How many packages are looked at in one moment: one core stays free for requests.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(turns()));

fn turns() -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    cores.saturating_sub(1).max(1)
}

/// Why a package can't be unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Could not unzip uploaded file: {0}. Please check your file, then try to upload again.")]
pub(super) struct Damage(String);

/// [`check`] on a blocking thread, in its turn.
pub(super) async fn check_apart<R: Read + Seek + Send + 'static>(archive: R) -> Result<(), Damage> {
    // The semaphore is never closed.
    let _turn = TURNS.acquire().await;
    let checked = tokio::task::spawn_blocking(move || check(archive)).await;
    checked.unwrap_or_else(|e| Err(Damage(format!("its check broke off: {e}"))))
}

/// Keeps every check from beginning, until what is returned is dropped.
#[cfg(test)]
pub(super) async fn suspended() -> tokio::sync::SemaphorePermit<'static> {
    TURNS.acquire_many(u32::try_from(turns()).unwrap()).await.unwrap()
}

/// Reads every entry to its end. Blocks.
///
/// # Errors
/// The first entry that is damaged, or of a kind that can't be read.
fn check<R: Read + Seek>(archive: R) -> Result<(), Damage> {
    let mut archive = ZipArchive::new(archive).map_err(|e| Damage(e.to_string()))?;
    let mut buffer = vec![0; 64 * 1024];
    for index in 0..archive.len() {
        if let Err(e) = check_entry(&mut archive, index, &mut buffer) {
            let name = archive.name_for_index(index).and_then(Result::ok).unwrap_or_default();
            return Err(Damage(format!("the entry `{name}` can't be unpacked: {e}")));
        }
    }
    Ok(())
}

/// The reader holds the bytes against the CRC-32 at their end, and stops where they are more than they should be.
fn check_entry<R: Read + Seek>(archive: &mut ZipArchive<R>, index: usize, buffer: &mut [u8]) -> io::Result<()> {
    let mut entry = archive.by_index(index).map_err(io::Error::other)?;
    let mut size = 0;
    loop {
        match entry.read(buffer)? {
            0 if size == entry.size() => return Ok(()),
            0 => {
                let message = format!("it has {size} bytes and not {}", entry.size());
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            count => size += count as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::write::SimpleFileOptions;

    use super::*;

    /// Two entries, one stored and one deflated.
    fn package() -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file("stored.txt", stored).unwrap();
        writer.write_all(b"as it is").unwrap();
        writer.start_file("deflated.txt", SimpleFileOptions::default()).unwrap();
        writer.write_all(&b"again ".repeat(100)).unwrap();
        writer.add_directory("empty", SimpleFileOptions::default()).unwrap();
        writer.finish().unwrap().into_inner()
    }

    fn problem(package: &[u8]) -> String {
        check(Cursor::new(package)).unwrap_err().to_string()
    }

    /// Where a record of `name` begins, by its signature and the length of its fixed part.
    fn record(package: &[u8], signature: &[u8], fixed: usize, name: &str) -> usize {
        let begins =
            |at: &usize| package[*at..].starts_with(signature) && package[at + fixed..].starts_with(name.as_bytes());
        (0..package.len() - fixed).find(begins).unwrap()
    }

    /// Overwrites a field of both headers of `name`, by its offsets in the local and in the central one (APPNOTE 4.3.7
    /// and 4.3.12).
    fn patched(name: &str, local: usize, central: usize, bytes: &[u8]) -> Vec<u8> {
        let mut package = package();
        let at =
            [record(&package, b"PK\x03\x04", 30, name) + local, record(&package, b"PK\x01\x02", 46, name) + central];
        for at in at {
            package[at..at + bytes.len()].copy_from_slice(bytes);
        }
        package
    }

    #[test]
    fn a_whole_package_is_intact() {
        assert_eq!(check(Cursor::new(package())), Ok(()));
    }

    #[test]
    fn a_checksum_that_lies_names_its_entry() {
        for name in ["stored.txt", "deflated.txt"] {
            assert_eq!(
                problem(&patched(name, 14, 16, b"lies")),
                format!(
                    "Could not unzip uploaded file: the entry `{name}` can't be unpacked: Invalid checksum. Please check your file, then try to upload again."
                )
            );
        }
    }

    #[test]
    fn data_that_does_not_inflate_names_its_entry() {
        let mut package = package();
        let data = record(&package, b"PK\x03\x04", 30, "deflated.txt") + 30 + "deflated.txt".len();
        package[data] = 0xFF;
        assert!(problem(&package).contains("the entry `deflated.txt` can't be unpacked: "), "{}", problem(&package));
    }

    #[test]
    fn a_size_that_lies_names_its_entry() {
        for size in [599_u32, 601] {
            let problem = problem(&patched("deflated.txt", 22, 24, &size.to_le_bytes()));
            assert!(problem.contains("the entry `deflated.txt` can't be unpacked: "), "{problem}");
        }
    }

    #[test]
    fn a_method_that_lambda_does_not_know_and_an_encrypted_entry_are_told() {
        let lzma = problem(&patched("deflated.txt", 8, 10, &14_u16.to_le_bytes()));
        assert!(lzma.contains("`deflated.txt`") && lzma.contains("compression method not supported: 14"), "{lzma}");
        let encrypted = problem(&patched("stored.txt", 6, 8, &1_u16.to_le_bytes()));
        assert!(encrypted.contains("`stored.txt`") && encrypted.contains("Password required"), "{encrypted}");
    }
}
