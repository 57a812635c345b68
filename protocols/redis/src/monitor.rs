//! What `MONITOR` shows.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::wire::Reply;

/// One command that the server has run, as `MONITOR` shows it.
///
/// ```
/// use glowplug_redis::MonitorLine;
/// let line = MonitorLine::parse(br#"1339518083.107412 [0 127.0.0.1:60866] "set" "a\x00b" "1""#).expect("a line");
/// assert_eq!((line.database, &*line.client), (0, "127.0.0.1:60866"));
/// assert_eq!(line.command, ["set", "a\0b", "1"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorLine {
    /// When, since the start of 1970, by the server's clock.
    pub time: Duration,
    /// In which database.
    pub database: u32,
    /// By whom: an address, `unix:` and a path, or `lua` for a script.
    pub client: String,
    /// The command's name and its arguments.
    pub command: Vec<Bytes>,
}

impl MonitorLine {
    /// Reads a line; `None` if it is none.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let space = memchr::memchr(b' ', line)?;
        let (time, rest) =
            (core::str::from_utf8(&line[..space]).ok()?, line[space + 1..].strip_prefix(b"[")?);
        let (seconds, micros) = time.split_once('.')?;
        let time = Duration::from_secs(seconds.parse().ok()?)
            .saturating_add(Duration::from_micros(micros.parse::<u32>().ok()?.into()));
        let space = memchr::memchr(b' ', rest)?;
        let database = core::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let end = memchr::memmem::find(rest, b"] \"")?;
        let client = String::from_utf8_lossy(rest.get(space + 1..end)?).into_owned();
        let mut rest = &rest[end + 2..];
        let mut command = Vec::new();
        while !rest.is_empty() {
            let (word, after) = quoted(rest)?;
            command.push(word);
            rest = after.strip_prefix(b" ").unwrap_or(after);
        }
        Some(Self { time, database, client, command })
    }

    /// Reads the line out of a push; `None` if there is none.
    pub fn from_push(push: &Reply) -> Option<Self> {
        match push {
            Reply::Simple(line) => Self::parse(line),
            _ => None,
        }
    }
}

/// A word in quotes at the front of `text`, and what comes after it.
fn quoted(text: &[u8]) -> Option<(Bytes, &[u8])> {
    let mut word = Vec::new();
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((word.into(), rest)),
            b'\\' => {
                let (&escaped, after) = rest.split_first()?;
                rest = after;
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    b'x' => {
                        let (digits, after) = rest.split_at_checked(2)?;
                        rest = after;
                        u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?
                    }
                    other => other,
                });
            }
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whatever_is_in_them() {
        let line = MonitorLine::parse(br#"1.000002 [9 unix:/tmp/a b] "echo" "\"\\\n\r\t\a\b\xff" """#)
            .expect("a line");
        assert_eq!(line.time, Duration::new(1, 2000));
        assert_eq!((line.database, &*line.client), (9, "unix:/tmp/a b"));
        assert_eq!(line.command, [&b"echo"[..], b"\"\\\n\r\t\x07\x08\xff", b""]);
    }

    #[test]
    fn what_is_no_line_is_none() {
        let line = br#"1.5 [0 lua] "get" "k""#;
        for end in 0..line.len() {
            // A shorter line may be one, but never a panic.
            let _ = MonitorLine::parse(&line[..end]);
        }
        for text in [
            "",
            "OK",
            "1.5",
            "1.5 [",
            "1.5 [0 x]",
            "x [0 lua] \"a\"",
            "1.5 [0 lua] \"\\x\"",
            "1.5 [0 lua] \"\\xzz\"",
        ] {
            assert_eq!(MonitorLine::parse(text.as_bytes()), None, "{text}");
        }
    }
}
