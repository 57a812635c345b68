//! `MONITOR`: the lines that show every command.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;
use core::time::Duration;

use super::server::ConnectionId;
use crate::wire::ReceivedCommand;

/// One command as `MONITOR` shows it: `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`. There is no address here, but a number.
pub(super) fn line(unix: Duration, database: usize, id: ConnectionId, command: &ReceivedCommand) -> String {
    let mut line = format!("{}.{:06} [{database} memory:{}]", unix.as_secs(), unix.subsec_micros(), id.0);
    for arg in command.args() {
        line.push_str(" \"");
        for byte in arg {
            // Writing into a String cannot fail.
            let _ = match byte {
                b'"' | b'\\' => write!(line, "\\{}", char::from(*byte)),
                b'\n' => write!(line, "\\n"),
                b'\r' => write!(line, "\\r"),
                b'\t' => write!(line, "\\t"),
                7 => write!(line, "\\a"),
                8 => write!(line, "\\b"),
                b' '..=b'~' => write!(line, "{}", char::from(*byte)),
                _ => write!(line, "\\x{byte:02x}"),
            };
        }
        line.push('"');
    }
    line
}
