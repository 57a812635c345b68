//! Request targets (RFC 9112 §3.2) and the value of `Host` (RFC 9110 §7.2).

use crate::config::Leniency;
use crate::wire::token::span_of_most;
use crate::wire::words::find_end_of_target;

/// Checks that `target` has a form that goes with `method`; the offset of what is wrong otherwise. That it is made of
/// visible characters and of bytes above ASCII is for the caller to know: see [`is_plain`].
///
/// This is wider than RFC 3986 by what browsers send unescaped (`"`, `<`, `>`, `\`, `^`, `` ` ``, `{`, `|`, `}`): none of
/// these can change where a message ends.
#[inline]
pub(crate) fn check(method: &[u8], target: &[u8], leniency: &Leniency) -> Result<(), usize> {
    // One pass without an exit finds out that there is nothing to find, as nearly always.
    if target.iter().fold(false, |odd, &byte| odd | is_odd(byte)) {
        let offence = |byte: u8| match byte {
            b'#' => !leniency.fragment_in_target,
            _ => is_odd(byte) && !leniency.non_ascii_target,
        };
        if let Some(at) = target.iter().position(|&byte| offence(byte)) {
            return Err(at);
        }
    }
    if fits(method, target) { Ok(()) } else { Err(0) }
}

/// True when `target`, whose characters were checked, has a form that goes with `method`.
#[inline]
pub(crate) fn fits(method: &[u8], target: &[u8]) -> bool {
    match target {
        _ if method == b"CONNECT" => is_authority_with_port(target),
        [b'/', ..] => true,
        b"*" => method == b"OPTIONS",
        _ => is_absolute(target),
    }
}

/// True for visible characters of ASCII alone, and no fragment: what needs no leniency.
#[inline]
pub(crate) fn is_plain(target: &[u8]) -> bool {
    find_end_of_target(target, 0).is_none()
}

/// True for bytes that only a leniency lets pass.
#[inline]
fn is_odd(byte: u8) -> bool {
    byte == b'#' || byte >= 0x80
}

/// RFC 9112 §3.2.2: `scheme "://" authority`, and then a path or a query or nothing.
fn is_absolute(target: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', target) else { return false };
    let Some(rest) = target[colon + 1..].strip_prefix(b"//") else { return false };
    let scheme = &target[..colon];
    let authority = rest.split(|byte| matches!(byte, b'/' | b'?' | b'#')).next().unwrap_or_default();
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && !authority.is_empty()
        && is_host(authority)
}

/// RFC 9112 §3.2.3: host and port, the port not empty.
fn is_authority_with_port(target: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', target) else { return false };
    colon > 0 && !target[colon + 1..].is_empty() && is_host(target)
}

/// `uri-host [ ":" port ]`, which may be empty. User information is not part of it.
pub(crate) fn is_host(value: &[u8]) -> bool {
    if let Some(literal) = value.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', literal) else { return false };
        let address = &literal[..end];
        let is_address = !address.is_empty()
            && address.iter().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'%' | b'-' | b'_' | b'~')
            });
        return is_address && is_port(&literal[end + 1..]);
    }
    is_port(&value[span_of_most(&REG_NAME, value)..])
}

/// RFC 3986 §3.2.2: unreserved, percent-encoded and sub-delims.
const REG_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'%'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
            );
        byte += 1;
    }
    table
};

/// Digits of the largest port.
const MAX_PORT_LEN: usize = 5;

fn is_port(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit) && digits.len() <= MAX_PORT_LEN,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_goes_with_its_method() {
        let strict = Leniency::default();
        let fits = |method: &str, target: &str| check(method.as_bytes(), target.as_bytes(), &strict).is_ok();
        assert!(!is_plain(b"/a b") && !is_plain(b"/\x7f") && !is_plain(b"/#b") && is_plain(b"/a?b"));
        for (method, target) in [
            ("GET", "/"),
            ("GET", "//a?b"),
            ("GET", "http://a"),
            ("GET", "http://a:80/b?c"),
            ("GET", "https://[::1]:80?c"),
            ("OPTIONS", "*"),
            ("CONNECT", "a:443"),
            ("CONNECT", "[::1]:443"),
        ] {
            assert!(fits(method, target), "{method} {target}");
        }
        for (method, target) in [
            ("GET", "a"),
            ("GET", "*"),
            ("GET", "http:/a"),
            ("GET", "http://"),
            ("GET", "http://u@a/"),
            ("GET", "1http://a/"),
            ("GET", "/a#b"),
            ("GET", "/\u{e9}"),
            ("CONNECT", "/"),
            ("CONNECT", "a"),
            ("CONNECT", "a:"),
            ("CONNECT", ":443"),
            ("CONNECT", "a:443/"),
        ] {
            assert!(!fits(method, target), "{method} {target}");
        }
    }

    #[test]
    fn hosts() {
        for good in ["", "a", "a:", "a:80", "[::1]", "[::1]:80", "xn--a.b", "a_b", "10.0.0.1:8080"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b", "a/b", "a@b", "a:b", "a:123456", "[::1", "[]", "[::1]80", "a,b c", "a\\b", "a?b", "\u{e9}",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
