//! Disks that fail in the ways that a test can bring about.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::postgres::throwaway::unprivileged_user;
use super::server::Keeper;

/// A small disk of the test's own. Only root can mount it.
pub struct SmallDisk {
    directory: TempDir,
    _keeper: Keeper,
}

impl SmallDisk {
    /// `None` where this machine lets the tests mount nothing.
    pub fn mount(size_kib: u32) -> Option<Self> {
        let directory = TempDir::with_prefix("rollcall-disk-").expect("makes a directory");
        let place = directory.path().display().to_string();
        // Before the mount, so that nothing stays mounted.
        let keeper = Keeper::new(&format!("umount -l '{place}'; rmdir '{place}'"));
        let size = format!("size={size_kib}k");
        if !runs("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &place]) {
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

    /// A directory on it that PostgreSQL may use.
    pub fn folder_of_postgres(&self) -> PathBuf {
        let folder = self.path().join("space");
        std::fs::create_dir(&folder).expect("makes a directory");
        if let Some((uid, gid)) = unprivileged_user() {
            chown(self.path(), Some(uid), Some(gid)).expect("gives the disk away");
            chown(&folder, Some(uid), Some(gid)).expect("gives the directory away");
        }
        folder
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.path().join("ballast")).expect("creates a file");
        for size in [64 << 10, 4 << 10, 512, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives the room back.
    pub fn empty(&self) {
        std::fs::remove_file(self.path().join("ballast")).expect("removes a file");
    }

    /// Nobody may have a file open for writing.
    pub fn forbid_writes(&self) {
        let place = self.path().display().to_string();
        assert!(runs("mount", &["-o", "remount,ro", &place]));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        runs("umount", &["-l", &self.path().display().to_string()]);
    }
}

/// Files that nobody may write, root neither. Dropped, they are as before.
pub struct Frozen {
    files: Vec<String>,
    _keeper: Keeper,
}

impl Frozen {
    /// `None` where the file system cannot do that, or this user may not.
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

/// Whether a program of the system is there and does it.
pub fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
