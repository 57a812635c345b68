//! What is served.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A folder of its own for each test, with a secret beside what is served.
pub(crate) struct Tree(pub(crate) PathBuf);

impl Tree {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("glowplug-files-{}-{count}", std::process::id()));
        fs::create_dir_all(path.join("public")).expect("a folder");
        let tree = Self(path);
        fs::write(tree.0.join("secret.txt"), "SECRET").expect("written");
        tree.put("hello.txt", "hello, world\n");
        tree.put("index.html", "<p>top");
        tree.put("deep/er/page.html", "<p>page");
        tree.put("deep/index.html", "<p>deep");
        tree
    }

    pub(crate) fn public(&self) -> PathBuf {
        self.0.join("public")
    }

    /// Writes a file that was last changed at a known time.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.public().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("written");
        age(&path, 784_111_777);
        path
    }
}

pub(crate) fn age(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).expect("opened");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("set");
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) const CHANGED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
