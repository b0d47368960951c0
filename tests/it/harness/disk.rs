//! Disks that fail in ways that a test can cause.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::postgres::throwaway::unprivileged_user;
use super::server::Keeper;

/// A small disk for one test. Only root can mount it.
pub struct SmallDisk {
    directory: TempDir,
    _keeper: Keeper,
}

impl SmallDisk {
    /// Returns `None` if this machine does not let the tests mount anything.
    pub fn mount(size_kib: u32) -> Option<Self> {
        let directory = TempDir::with_prefix("rollcall-disk-").expect("makes a directory");
        let mount_point = directory.path().display().to_string();
        // Created before the mount, so that it is always unmounted.
        let keeper = Keeper::new(&format!("umount -l '{mount_point}'; rmdir '{mount_point}'"));
        let size = format!("size={size_kib}k");
        if !runs(
            "mount",
            &["-t", "tmpfs", "-o", &size, "tmpfs", &mount_point],
        ) {
            let note = "\nSKIPPED: a test of a full disk: no right to mount one\n\n";
            std::io::stderr().write_all(note.as_bytes()).ok();
            return None;
        }
        Some(Self {
            directory,
            _keeper: keeper,
        })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns a directory on it that PostgreSQL may use.
    pub fn folder_of_postgres(&self) -> PathBuf {
        let folder = self.path().join("space");
        std::fs::create_dir(&folder).expect("makes a directory");
        if let Some((uid, gid)) = unprivileged_user() {
            chown(self.path(), Some(uid), Some(gid)).expect("gives the disk away");
            chown(&folder, Some(uid), Some(gid)).expect("gives the directory away");
        }
        folder
    }

    /// Fills all remaining space.
    pub fn fill(&self) {
        let mut file = File::create(self.path().join("ballast")).expect("creates a file");
        for size in [64 << 10, 4 << 10, 512, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Frees the space.
    pub fn empty(&self) {
        std::fs::remove_file(self.path().join("ballast")).expect("removes a file");
    }

    /// Remounts it read-only. No file may be open for writing.
    pub fn forbid_writes(&self) {
        let mount_point = self.path().display().to_string();
        assert!(runs("mount", &["-o", "remount,ro", &mount_point]));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        runs("umount", &["-l", &self.path().display().to_string()]);
    }
}

/// Files that no user can write, not even root. Dropping restores them.
pub struct Frozen {
    files: Vec<String>,
    _keeper: Keeper,
}

impl Frozen {
    /// Returns `None` if the file system or the permissions do not allow it.
    pub fn new(files: &[PathBuf]) -> Option<Self> {
        let files: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let frozen = Self {
            _keeper: Keeper::new(&format!("chattr -i '{}'", files.join("' '"))),
            files,
        };
        frozen.set("+i").then_some(frozen)
    }

    fn set(&self, flag: &str) -> bool {
        let files = self.files.iter().map(String::as_str);
        runs(
            "chattr",
            &std::iter::once(flag).chain(files).collect::<Vec<_>>(),
        )
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.set("-i");
    }
}

/// Whether a system program exists and succeeds.
pub fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
