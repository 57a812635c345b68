//! What can be set: limits, leniencies and timeouts, and one configuration for each half.

use core::time::Duration;

use glowplug_core::limits::Range;

/// Declares a limit once: its field, its range, its setter (which clamps) and its getter.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $min:expr, $default:expr, $max:expr;)*) => {
        /// How much of everything a peer may send, and how much waits here. Every setter moves a value outside its
        /// range to the nearest one inside.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($name: $kind,)*
        }

        impl Limits {
            $(
                $(#[$doc])*
                #[doc = ""]
                #[doc = concat!("Default `", stringify!($default), "`, range `", stringify!($min), "..=", stringify!($max), "`.")]
                #[must_use = "the changed limits are the return value"]
                pub fn $name(mut self, value: $kind) -> Self {
                    self.$name = ranges::$name.clamp(value);
                    self
                }
            )*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: ranges::$name.default(),)* }
            }
        }

        #[allow(non_upper_case_globals, reason = "each range has the name of the limit that it belongs to")]
        mod ranges {
            use super::Range;
            $(pub(super) const $name: Range<$kind> = Range::new($min, $default, $max);)*
        }

        /// Read access inside the crate.
        #[derive(Clone, Copy)]
        pub(crate) struct Get<'a>(&'a Limits);

        impl Get<'_> {
            $(
                #[inline]
                pub(crate) fn $name(self) -> $kind {
                    self.0.$name
                }
            )*
        }
    };
}

limits! {
    /// Bytes of a message head: first line, fields and the empty line. Longer: 431, or 414 when it is the request
    /// line that is too long.
    max_head_len: usize = 128, 32 * 1024, 65_535;
    /// Bytes of the first line, line end included. A longer request line: 414.
    max_start_line_len: usize = 64, 8 * 1024, 65_535;
    /// Fields of a head, and of a trailer section. More: 431.
    max_fields: usize = 1, 100, 256;
    /// Bytes of a trailer section. More: 431.
    max_trailer_len: usize = 2, 8 * 1024, 65_535;
    /// Bytes of one chunk-size line, extensions included. Longer: 400.
    max_chunk_line_len: usize = 24, 1024, 65_535;
    /// Bytes of chunk extensions in one body, all chunks together: the cost that a peer can add to a small body. More: 400.
    max_chunk_extensions_len: u64 = 0, 16 * 1024, u64::MAX;
    /// Bytes of one message body. A request that announces or sends more: 413. Bodies stream, so nothing is held; the
    /// default is no limit.
    max_body_len: u64 = 0, u64::MAX, u64::MAX;
    /// Empty lines before a request line. RFC 9112 §2.2 asks a server to ignore at least one. More: 400.
    max_empty_lines: u32 = 0, 1, 1024;
    /// Informational responses (1xx) before the final one. More end the connection.
    max_informational: u32 = 0, 16, 65_535;
    /// Requests whose answers a [`ResponseDecoder`](crate::wire::ResponseDecoder) still waits for. The machines have one at a time.
    max_unanswered: usize = 1, 1024, 1 << 20;
    /// Requests that one connection may carry; the last one's answer says `connection: close`.
    max_requests: u64 = 1, u64::MAX, u64::MAX;
    /// Body bytes that are handed out before the application gives credit back with `release`.
    receive_window: usize = 1, 64 * 1024, 1 << 30;
    /// Bytes that wait to be sent before `send_data` answers `Full`. One piece may overshoot it.
    send_buffer: usize = 1, 64 * 1024, 1 << 30;
    /// Bytes of further requests that are read while one is being answered, which is how the end of a connection is
    /// noticed while a handler works.
    read_ahead: usize = 1, 4 * 1024, 1 << 30;
    /// Bytes of an unwanted body that are read and thrown away to keep the connection; above, it is closed.
    max_discard: u64 = 0, 64 * 1024, u64::MAX;
}

impl Limits {
    pub(crate) fn get(&self) -> Get<'_> {
        Get(self)
    }
}

/// What a strict reading of RFC 9112 refuses and a user may have to accept. Everything is off by default; each switch
/// accepts one thing and leaves the framing unambiguous on this side. What a proxy in front or behind makes of the same
/// bytes is another matter: every switch is a door for request smuggling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leniency {
    /// A line feed without a carriage return ends a line of a head, a chunk-size line or a trailer section (RFC 9112
    /// §2.2 allows it).
    pub bare_lf: bool,
    /// A line of the field section that begins with white space continues the value above (RFC 9112 §5.2); the fold
    /// is replaced by spaces.
    pub obs_fold: bool,
    /// White space between field name and colon, in responses only (RFC 9112 §5.1 orders servers to refuse it).
    pub space_before_colon: bool,
    /// Several `Content-Length` values that are all the same (RFC 9112 §6.3).
    pub repeated_content_length: bool,
    /// `Content-Length` beside `Transfer-Encoding`, which then wins; the connection closes after the message (RFC
    /// 9112 §6.3).
    pub content_length_with_transfer_encoding: bool,
    /// Bytes above 127 in a request target.
    pub non_ascii_target: bool,
    /// A fragment (`#...`) in a request target.
    pub fragment_in_target: bool,
    /// A status line that ends right behind the status code, without the space.
    pub status_without_space: bool,
    /// An HTTP/1.1 request without `Host`.
    pub missing_host: bool,
}

/// How the server half behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How much of everything.
    pub limits: Limits,
    /// What is accepted although the RFC refuses it. Default nothing.
    pub leniency: Leniency,
    /// How long a connection may wait between requests before it is closed. Default 75 s.
    pub idle_timeout: Option<Duration>,
    /// How long a head may take from its first byte (or, for the first one, from the start of the connection) to its
    /// end; then 408. Default 15 s.
    pub head_timeout: Option<Duration>,
    /// How long a body may make no progress while it is waited for. Default 30 s.
    pub body_timeout: Option<Duration>,
    /// Bytes a second that a body has to come with, once `body_timeout` is used up: a peer that sends a byte now and
    /// then earns only as much time as these bytes are worth. 0 turns it off. Default 256.
    pub min_body_rate: u32,
    /// How long, after the last answer, further input is read and thrown away, so that the peer gets to read that
    /// answer before the transport is reset (RFC 9112 §9.6). Default 2 s.
    pub linger_timeout: Duration,
    /// Whether chunk extensions are reported. Default no.
    pub report_chunk_extensions: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            leniency: Leniency::default(),
            idle_timeout: Some(Duration::from_secs(75)),
            head_timeout: Some(Duration::from_secs(15)),
            body_timeout: Some(Duration::from_secs(30)),
            min_body_rate: 256,
            linger_timeout: Duration::from_secs(2),
            report_chunk_extensions: false,
        }
    }
}

/// How the client half behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How much of everything.
    pub limits: Limits,
    /// What is accepted although the RFC refuses it. Default nothing.
    pub leniency: Leniency,
    /// How long a connection may be idle before it closes itself. Default none: that is a pool's business.
    pub idle_timeout: Option<Duration>,
    /// How long the final head may take once the whole request is sent. Default none: that is the caller's deadline.
    pub head_timeout: Option<Duration>,
    /// How long a body may make no progress while it is waited for. Default 60 s.
    pub body_timeout: Option<Duration>,
    /// How long a body waits for `100 Continue` before it is sent anyway. Default 1 s.
    pub continue_timeout: Duration,
    /// Whether chunk extensions are reported. Default no.
    pub report_chunk_extensions: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            leniency: Leniency::default(),
            idle_timeout: None,
            head_timeout: None,
            body_timeout: Some(Duration::from_secs(60)),
            continue_timeout: Duration::from_secs(1),
            report_chunk_extensions: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_its_range_becomes_the_nearest_inside() {
        let limits = Limits::default().max_head_len(0).max_fields(1_000_000).receive_window(0);
        assert_eq!(limits.get().max_head_len(), 128);
        assert_eq!(limits.get().max_fields(), 256);
        assert_eq!(limits.get().receive_window(), 1);
    }
}
