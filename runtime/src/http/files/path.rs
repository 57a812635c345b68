//! From a request's path to a path beneath the directory.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// What a request's path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Relative, of plain names only; empty for the directory itself.
    pub(super) path: PathBuf,
    /// It ends with a slash.
    pub(super) slash: bool,
}

/// Why it asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No client sends this by itself: 400.
    Malformed,
    /// No file has this name: 404.
    Nowhere,
}

/// Decodes `path`, once, and takes it to pieces.
pub(super) fn resolve(path: &str, hidden: bool) -> Result<Target, Refused> {
    let rest = path.strip_prefix('/').ok_or(Refused::Malformed)?;
    let mut found = PathBuf::new();
    for (index, segment) in rest.split('/').enumerate() {
        let name = decode(segment)?;
        if name.is_empty() {
            continue;
        }
        if name == b"."
            || name == b".."
            || name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0..0x20 | 0x7f))
        {
            return Err(Refused::Malformed);
        }
        let well_known = index == 0 && name == b".well-known";
        if name[0] == b'.' && !hidden && !well_known {
            return Err(Refused::Nowhere);
        }
        let name = to_os(name).ok_or(Refused::Nowhere)?;
        if !is_plain(Path::new(&name)) || cfg!(windows) && is_odd_on_windows(&name.to_string_lossy()) {
            return Err(Refused::Nowhere);
        }
        found.push(name);
    }
    Ok(Target { slash: rest.is_empty() || rest.ends_with('/'), path: found })
}

/// RFC 3986 §2.1.
fn decode(segment: &str) -> Result<Vec<u8>, Refused> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(Refused::Malformed) };
        decoded.push((high * 16 + low) as u8);
    }
    Ok(decoded)
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere not every name is one")]
fn to_os(name: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(name))
}

#[cfg(not(unix))]
fn to_os(name: Vec<u8>) -> Option<OsString> {
    String::from_utf8(name).ok().map(OsString::from)
}

/// One name, and no drive, root or way up, by this system's own rules.
fn is_plain(name: &Path) -> bool {
    let mut components = name.components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
}

/// Devices, streams of a file, and endings that the system ignores.
fn is_odd_on_windows(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["AUX", "CON", "CONIN$", "CONOUT$", "NUL", "PRN"];
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let numbered = stem.len() > 3
        && stem.is_char_boundary(3)
        && ["COM", "LPT"].iter().any(|device| stem[..3].eq_ignore_ascii_case(device))
        && stem[3..].chars().count() == 1;
    name.contains(':')
        || name.ends_with(['.', ' '])
        || numbered
        || DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, expected, slash) in [
            ("/", "", true),
            ("/a", "a", false),
            ("/a/", "a", true),
            ("//a//b", "a/b", false),
            ("/a%20b", "a b", false),
            ("/%61", "a", false),
            ("/...", "...", false),
            ("/a..b/c.", "a..b/c.", false),
            // Decoded once and no more.
            ("/%252e%252e", "%2e%2e", false),
        ] {
            let hidden = true;
            let expected = Target { path: expected.into(), slash };
            assert_eq!(resolve(path, hidden), Ok(expected), "{path}");
        }
        for path in [
            "",
            "*",
            "a",
            "/..",
            "/../",
            "/a/../b",
            "/.",
            "/./a",
            "/%2e%2e/a",
            "/%2E%2e",
            "/.%2e",
            "/%2e",
            "/..%2fa",
            "/a%2fb",
            "/a%5cb",
            "/..\\a",
            "/a\\..\\b",
            "/C:\\a",
            "/a%00",
            "/a%0a",
            "/%7f",
            "/%",
            "/%2",
            "/%zz",
            "/%+1",
            "/%5c%5chost%5cshare",
        ] {
            assert_eq!(resolve(path, true), Err(Refused::Malformed), "{path}");
        }
    }

    #[test]
    fn hidden_names() {
        for path in ["/.git/config", "/a/.htpasswd", "/%2egit", "/a/.well-known/b"] {
            assert_eq!(resolve(path, false), Err(Refused::Nowhere), "{path}");
            assert!(resolve(path, true).is_ok(), "{path}");
        }
        assert!(resolve("/.well-known/a", false).is_ok());
    }

    #[test]
    fn odd_names_of_windows() {
        for name in ["a:b", "C:", "file::$DATA", "nul", "NUL.txt", "com1", "LPT9.log", "a.", "a ", "aux .txt"]
        {
            assert!(is_odd_on_windows(name), "{name}");
        }
        for name in ["a", "nullable", "com", "com10", "console.log", "a.b"] {
            assert!(!is_odd_on_windows(name), "{name}");
        }
    }
}
