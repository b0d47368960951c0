//! A file that appears complete or not at all, and never replaces another one.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::store::StoreError;
use crate::store::engine::error::Fault;

/// A file being written, under a temporary name in the same folder. Only its owner may read it. It
/// is deleted if it is dropped before it is finished.
#[derive(Debug)]
pub struct NewFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl NewFile {
    /// # Errors
    /// [`StoreError::Open`] if the target already exists or its folder is not writable.
    pub fn begin(target: &Path) -> Result<Self, StoreError> {
        if target.exists() {
            let why = format!("{} exists; name a file that does not", target.display());
            return Err(StoreError::Open {
                message: why.clone(),
                cause: Arc::new(Fault(why)),
            });
        }
        let file = NamedTempFile::with_prefix_in(".rollcall-", folder_of(target))
            .map_err(|error| unwritable(target, error))?;
        Ok(Self {
            file,
            target: target.to_owned(),
        })
    }

    /// The temporary name.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Syncs the file to disk, gives it its final name and returns its size in bytes.
    ///
    /// # Errors
    /// As [`NewFile::begin`]: another file may have been created meanwhile.
    pub fn finish(self) -> Result<u64, StoreError> {
        let Self { file, target } = self;
        let fault = |error| unwritable(&target, error);
        file.as_file().sync_all().map_err(fault)?;
        let size_bytes = file.as_file().metadata().map_err(fault)?.len();
        file.persist_noclobber(&target)
            .map_err(|error| unwritable(&target, error.error))?;
        File::open(folder_of(&target))
            .and_then(|folder| folder.sync_all())
            .map_err(fault)?;
        Ok(size_bytes)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if folder.as_os_str() != "" => folder,
        _ => Path::new("."),
    }
}

fn unwritable(path: &Path, error: io::Error) -> StoreError {
    StoreError::Open {
        message: format!("cannot write {}: {error}", path.display()),
        cause: Arc::new(error),
    }
}
