//! URLs as people type them, made into what goes over the wire.

use core::fmt;

use http::Uri;

/// Why text is no URL that can be requested.
#[derive(Debug)]
#[non_exhaustive]
pub enum UrlError {
    /// The host's name cannot be written in ASCII (RFC 5891, UTS 46), or is not ASCII and the feature `idn` is off.
    Host,
    /// It is no URI for another reason.
    Uri(http::uri::InvalidUri),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host is no name that can be written in ascii"),
            Self::Uri(_) => f.write_str("invalid url"),
        }
    }
}

impl core::error::Error for UrlError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Host => None,
            Self::Uri(error) => Some(error),
        }
    }
}

/// Reads a URL. What is not ASCII in its path and query is percent-encoded as UTF-8 (RFC 3987 §3.1), a fragment is dropped, and a host that is
/// not ASCII becomes its A-labels, with the feature `idn`.
///
/// ```
/// let url = glowplug_http::url::parse("http://example.org/caf\u{e9}?q=\u{fc}#top")?;
/// assert_eq!(url, "http://example.org/caf%C3%A9?q=%C3%BC");
/// # Ok::<(), glowplug_http::url::UrlError>(())
/// ```
pub fn parse(text: &str) -> Result<Uri, UrlError> {
    if text.is_ascii() {
        return text.parse().map_err(UrlError::Uri);
    }
    let text = text.split('#').next().unwrap_or_default();
    let Some((scheme, rest)) = text.split_once("://") else {
        return escape(text).parse().map_err(UrlError::Uri);
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = ascii_authority(authority).ok_or(UrlError::Host)?;
    format!("{scheme}://{authority}{}", escape(path)).parse().map_err(UrlError::Uri)
}

/// An authority in ASCII: its host in A-labels, its user percent-encoded.
pub(crate) fn ascii_authority(authority: &str) -> Option<String> {
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.starts_with('[') => (host, Some(port)),
        _ => (place, None),
    };
    let mut ascii = user.map_or_else(String::new, |user| escape(user) + "@");
    if host.is_ascii() {
        ascii.push_str(host);
    } else {
        ascii.push_str(&to_ascii(host)?);
    }
    if let Some(port) = port {
        ascii.push(':');
        ascii.push_str(port);
    }
    Some(ascii)
}

#[cfg(feature = "idn")]
fn to_ascii(host: &str) -> Option<String> {
    let name = idna::domain_to_ascii_cow(host.as_bytes(), idna::AsciiDenyList::URL).ok()?;
    (!name.is_empty()).then(|| name.into_owned())
}

#[cfg(not(feature = "idn"))]
fn to_ascii(_: &str) -> Option<String> {
    None
}

/// Percent-encodes what is not ASCII.
fn escape(text: &str) -> String {
    use fmt::Write as _;
    let mut escaped = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if char.is_ascii() {
            escaped.push(char);
            continue;
        }
        for byte in char.encode_utf8(&mut [0; 4]).bytes() {
            write!(escaped, "%{byte:02X}").expect("writing into a String cannot fail");
        }
    }
    escaped
}

/// RFC 3986 §2.1; `None` where two digits are missing behind a percent sign, or what comes out is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        let digits = core::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_becomes_a_uri() {
        for (text, uri) in [
            ("http://a/b?c", "http://a/b?c"),
            (
                "http://user@b\u{fc}cher.example:81/\u{fc}?\u{fc}#\u{fc}",
                "http://user@xn--bcher-kva.example:81/%C3%BC?%C3%BC",
            ),
            ("https://FA\u{df}.example", "https://xn--fa-hia.example/"),
            ("http://\u{4f8b}\u{3048}.\u{30c6}\u{30b9}\u{30c8}/", "http://xn--r8jz45g.xn--zckzah/"),
            ("http://[::1]:8080/\u{fc}", "http://[::1]:8080/%C3%BC"),
            ("/\u{fc}", "/%C3%BC"),
            ("http://\u{ff41}\u{3002}example/", "http://a.example/"),
        ] {
            match parse(text) {
                Ok(parsed) => assert_eq!(parsed.to_string(), uri, "{text}"),
                Err(error) => panic!("{text}: {error}"),
            }
        }
        // A slash in disguise would make another host of it.
        for text in ["http://a\u{ff0f}b.example/", "http://\u{ad}/", "http://a b\u{fc}/"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("http://a b/").is_err());
    }

    #[test]
    fn percent_signs_need_two_digits() {
        assert_eq!(percent_decode("open%20sesame%c3%bC").as_deref(), Some("open sesame\u{fc}"));
        assert_eq!(["%4", "%zz", "%", "%+1", "%ff"].map(percent_decode), [const { None }; 5]);
    }
}
