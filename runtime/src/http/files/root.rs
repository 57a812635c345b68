//! The directory, and how names beneath it are opened.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, OpenOptions};

use super::Symlinks;

/// A directory, by its handle, and by its name for those who let links lead anywhere.
#[derive(Debug)]
pub(super) struct Root {
    handle: Dir,
    path: PathBuf,
}

/// What a name stands for.
#[derive(Debug)]
pub(super) enum Found {
    File(File, Metadata),
    Directory,
    /// A device, a pipe, a socket.
    Other,
}

/// A name of a directory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) directory: bool,
    pub(super) size: u64,
    pub(super) modified: Option<std::time::SystemTime>,
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        Ok(Self { handle: Dir::open_ambient_dir(&path, cap_std::ambient_authority())?, path })
    }

    /// What is there under this relative path.
    pub(super) fn find(&self, path: &Path, symlinks: Symlinks) -> io::Result<Found> {
        if path.as_os_str().is_empty() {
            return Ok(Found::Directory);
        }
        let opened = match symlinks {
            Symlinks::Within => {
                let mut options = OpenOptions::new();
                options.read(true);
                #[cfg(unix)]
                cap_std::fs::OpenOptionsExt::custom_flags(&mut options, NONBLOCK);
                self.handle.open_with(path, &options).map(cap_std::fs::File::into_std)
            }
            Symlinks::Anywhere => {
                let mut options = File::options();
                options.read(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, NONBLOCK);
                options.open(self.path.join(path))
            }
        };
        let file = match opened {
            Ok(file) => file,
            // Not every system opens directories as it does files.
            Err(_) if self.is_directory(path, symlinks) => return Ok(Found::Directory),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        Ok(if metadata.is_dir() {
            Found::Directory
        } else if metadata.is_file() {
            Found::File(file, metadata)
        } else {
            Found::Other
        })
    }

    fn is_directory(&self, path: &Path, symlinks: Symlinks) -> bool {
        cfg!(not(unix))
            && match symlinks {
                Symlinks::Within => self.handle.metadata(path).is_ok_and(|metadata| metadata.is_dir()),
                Symlinks::Anywhere => self.path.join(path).is_dir(),
            }
    }

    /// The names in a directory that would be served, in no order, and whether there are more than `max`.
    pub(super) fn list(
        &self,
        path: &Path,
        symlinks: Symlinks,
        hidden: bool,
        max: usize,
    ) -> io::Result<(Vec<Entry>, bool)> {
        let mut entries = Vec::new();
        let names: Box<dyn Iterator<Item = io::Result<std::ffi::OsString>>> = match symlinks {
            Symlinks::Within => {
                let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
                Box::new(self.handle.read_dir(here)?.map(|entry| entry.map(|entry| entry.file_name())))
            }
            Symlinks::Anywhere => {
                let here = std::fs::read_dir(self.path.join(path))?;
                Box::new(here.map(|entry| entry.map(|entry| entry.file_name())))
            }
        };
        for name in names {
            // Names that are no text have no place on a page.
            let Ok(name) = name?.into_string() else { continue };
            if name.starts_with('.') && !hidden {
                continue;
            }
            let place = path.join(&name);
            // What leads nowhere, or out of here, would not be served.
            let known = match symlinks {
                Symlinks::Within => self.handle.metadata(&place).map(|metadata| {
                    let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
                    (metadata.is_dir(), metadata.is_file(), metadata.len(), modified)
                }),
                Symlinks::Anywhere => std::fs::metadata(self.path.join(&place)).map(|metadata| {
                    (metadata.is_dir(), metadata.is_file(), metadata.len(), metadata.modified().ok())
                }),
            };
            let Ok((directory, file, size, modified)) = known else { continue };
            if !directory && !file {
                continue;
            }
            if entries.len() == max {
                return Ok((entries, true));
            }
            entries.push(Entry { name, directory, size, modified });
        }
        Ok((entries, false))
    }
}

/// To open a pipe that nobody writes to must not hold a thread for good.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const NONBLOCK: i32 = nix::libc::O_NONBLOCK;
/// The same on macOS and the other descendants of BSD.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android", target_os = "freebsd"))))]
const NONBLOCK: i32 = 0x4;
