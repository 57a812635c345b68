//! Where a redirect leads: a pure function of the request, the status and `Location` (RFC 9110 §15.4), and what of the
//! request may go there.

use core::fmt;
use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode, Uri};

use crate::PoolKey;
use crate::url::ascii_authority;

/// The request that a redirect asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The method: the same, or `GET`.
    pub method: Method,
    /// The target, absolute.
    pub uri: Uri,
    /// The body goes along (if there is one); otherwise the fields about it stay behind too.
    pub keeps_body: bool,
    /// Scheme, host or port is another: credentials stay behind.
    pub crosses_origin: bool,
    /// From `https` to `http`: most callers refuse.
    pub leaves_tls: bool,
}

/// Why a redirect cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// The answer has no `Location`.
    LocationMissing,
    /// `Location` is no reference to a URI.
    LocationInvalid,
    /// The new scheme is neither `http` nor `https`.
    Scheme,
    /// The URI of the request itself is not absolute.
    Base,
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LocationMissing => "a redirect without a location",
            Self::LocationInvalid => "a redirect to an invalid location",
            Self::Scheme => "a redirect to a scheme that is not http or https",
            Self::Base => "a redirect of a request whose uri is not absolute",
        })
    }
}

impl core::error::Error for RedirectError {}

/// The request that follows the answer `status` with `location` to `method` of `uri`; `None` when the answer is no
/// redirect (300 and 304 are not: there is a choice to make, or nothing to fetch).
///
/// ```
/// use glowplug_http::{Method, StatusCode, redirect::next};
/// let uri = "https://example.org/a/b?c".parse().unwrap();
/// let next = next(&Method::POST, &uri, StatusCode::SEE_OTHER, Some(b"../d")).unwrap().unwrap();
/// assert_eq!((next.method, next.uri.to_string().as_str()), (Method::GET, "https://example.org/d"));
/// ```
pub fn next(
    method: &Method,
    uri: &Uri,
    status: StatusCode,
    location: Option<&[u8]>,
) -> Result<Option<Next>, RedirectError> {
    let becomes_get = match status {
        // RFC 9110 §15.4.2 and §15.4.3: for POST, what everybody does.
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        // RFC 9110 §15.4.4.
        StatusCode::SEE_OTHER => !matches!(*method, Method::GET | Method::HEAD),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return Ok(None),
    };
    let from = PoolKey::of(uri).ok_or(RedirectError::Base)?;
    let location = location.ok_or(RedirectError::LocationMissing)?;
    let target = resolve(uri, &escape(&ascii_host(location)?))?;
    let to = PoolKey::of(&target).ok_or(RedirectError::Scheme)?;
    Ok(Some(Next {
        method: if becomes_get { Method::GET } else { method.clone() },
        uri: target,
        keeps_body: !becomes_get,
        crosses_origin: from != to,
        leaves_tls: from.scheme() == crate::Scheme::Https && to.scheme() == crate::Scheme::Http,
    }))
}

/// Takes out of a request's fields what may not go along: credentials, when the origin is another; what describes the
/// body, when that stays behind; and `Host`, which the new target gives.
pub fn strip(headers: &mut HeaderMap, next: &Next) {
    const CREDENTIALS: [HeaderName; 4] =
        [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, header::WWW_AUTHENTICATE];
    const OF_THE_BODY: [HeaderName; 8] = [
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_LENGTH,
        header::CONTENT_LOCATION,
        header::CONTENT_TYPE,
        header::EXPECT,
        header::TRAILER,
        header::TRANSFER_ENCODING,
    ];
    headers.remove(header::HOST);
    if next.crosses_origin {
        for name in CREDENTIALS {
            headers.remove(name);
        }
    }
    if !next.keeps_body {
        for name in OF_THE_BODY {
            headers.remove(name);
        }
    }
}

/// A host that is not ASCII becomes its A-labels, with the feature `idn`: it is what servers mean by it, and browsers do so. Without the
/// feature such a host is invalid.
fn ascii_host(location: &[u8]) -> Result<Cow<'_, [u8]>, RedirectError> {
    let Some(text) = core::str::from_utf8(location).ok().filter(|text| !text.is_ascii()) else {
        return Ok(location.into());
    };
    let begin = match text.find("://") {
        Some(at) if has_scheme(text) => at + 3,
        _ if text.starts_with("//") => 2,
        _ => return Ok(location.into()),
    };
    let (front, rest) = text.split_at(begin);
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let authority = ascii_authority(authority).ok_or(RedirectError::LocationInvalid)?;
    Ok(format!("{front}{authority}{rest}").into_bytes().into())
}

/// Many servers send what they should have escaped: blanks and everything above ASCII is escaped here.
fn escape(location: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(location.len());
    for &byte in location {
        if byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    text
}

/// RFC 3986 §5.2, for references that lead to `http` or `https`. A fragment is for the caller alone and is dropped.
fn resolve(base: &Uri, reference: &str) -> Result<Uri, RedirectError> {
    let reference = reference.split('#').next().unwrap_or_default();
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (reference, None),
    };
    let text = if has_scheme(reference) {
        if !reference.contains("://") {
            return Err(RedirectError::Scheme);
        }
        reference.to_owned()
    } else if reference.starts_with("//") {
        format!("{scheme}:{reference}")
    } else if path.is_empty() {
        let query = query.or(base.query());
        join(scheme, authority, base.path(), query)
    } else if path.starts_with('/') {
        join(scheme, authority, &without_dots(path), query)
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        join(scheme, authority, &without_dots(&format!("{folder}/{path}")), query)
    };
    text.parse().map_err(|_| RedirectError::LocationInvalid)
}

/// RFC 3986 §3.1: a scheme and its colon come before anything else.
fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.'))
}

fn join(scheme: &str, authority: &str, path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{scheme}://{authority}{path}?{query}"),
        None => format!("{scheme}://{authority}{path}"),
    }
}

/// RFC 3986 §5.2.4, for a path that begins with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for segment in path.split('/').skip(1) {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let mut clean = String::with_capacity(path.len());
    for segment in kept {
        clean.push('/');
        clean.push_str(segment);
    }
    if ends_in_folder || clean.is_empty() {
        clean.push('/');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(method: &Method, status: u16, location: &str) -> Result<Option<Next>, RedirectError> {
        let uri = "https://a.example/b/c/d;p?q".parse().expect("a uri");
        let status = StatusCode::from_u16(status).expect("a status");
        next(method, &uri, status, Some(location.as_bytes()))
    }

    fn lands(location: &str) -> String {
        follow(&Method::GET, 302, location)
            .map_or_else(|e| e.to_string(), |next| next.expect("a redirect").uri.to_string())
    }

    /// The examples of RFC 3986 §5.4, as far as they lead somewhere.
    #[test]
    fn references_resolve_as_the_rfc_says() {
        for (reference, target) in [
            ("g", "https://a.example/b/c/g"),
            ("./g", "https://a.example/b/c/g"),
            ("g/", "https://a.example/b/c/g/"),
            ("/g", "https://a.example/g"),
            ("//g", "https://g/"),
            ("?y", "https://a.example/b/c/d;p?y"),
            ("g?y", "https://a.example/b/c/g?y"),
            ("#s", "https://a.example/b/c/d;p?q"),
            ("g?y#s", "https://a.example/b/c/g?y"),
            (";x", "https://a.example/b/c/;x"),
            ("", "https://a.example/b/c/d;p?q"),
            (".", "https://a.example/b/c/"),
            ("..", "https://a.example/b/"),
            ("../g", "https://a.example/b/g"),
            ("../../../g", "https://a.example/g"),
            ("/./g", "https://a.example/g"),
            ("g;x=1/../y", "https://a.example/b/c/y"),
            ("g?y/../x", "https://a.example/b/c/g?y/../x"),
            ("http://other/x y", "http://other/x%20y"),
            ("/caf\u{e9}", "https://a.example/caf%C3%A9"),
        ] {
            assert_eq!(lands(reference), target, "{reference:?}");
        }
    }

    #[test]
    fn a_host_beyond_ascii_becomes_its_labels() {
        for (reference, target) in [
            ("http://b\u{fc}cher.example/\u{fc}?\u{fc}", "http://xn--bcher-kva.example/%C3%BC?%C3%BC"),
            ("//b\u{fc}cher.example:81", "https://xn--bcher-kva.example:81/"),
            // A slash in disguise would make another host of it.
            ("http://a\u{ff0f}b.example/", "a redirect to an invalid location"),
            // No host at all.
            ("/x?to=http://b\u{fc}cher.example", "https://a.example/x?to=http://b%C3%BCcher.example"),
        ] {
            assert_eq!(lands(reference), target, "{reference:?}");
        }
    }

    #[test]
    fn each_status_has_its_method_rules() {
        let method = |method: &Method, status| {
            follow(method, status, "/x").expect("valid").map(|next| (next.method, next.keeps_body))
        };
        for (status, post, put) in [
            (301, Method::GET, Method::PUT),
            (302, Method::GET, Method::PUT),
            (303, Method::GET, Method::GET),
            (307, Method::POST, Method::PUT),
            (308, Method::POST, Method::PUT),
        ] {
            assert_eq!(method(&Method::POST, status), Some((post.clone(), post == Method::POST)), "{status}");
            assert_eq!(method(&Method::PUT, status), Some((put.clone(), put == Method::PUT)), "{status}");
            assert_eq!(method(&Method::HEAD, status), Some((Method::HEAD, true)), "{status}");
        }
        for status in [200, 300, 304, 305, 404] {
            assert_eq!(method(&Method::GET, status), None);
        }
    }

    #[test]
    fn credentials_do_not_cross_origins_nor_bodies_a_change_of_method() {
        let kept = |method: &Method, status, location| {
            let mut headers = HeaderMap::new();
            for name in ["host", "authorization", "cookie", "proxy-authorization", "content-type", "accept"] {
                headers.insert(name, "x".parse().expect("a value"));
            }
            strip(&mut headers, &follow(method, status, location).expect("valid").expect("a redirect"));
            let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(
            kept(&Method::PUT, 307, "/x"),
            "accept authorization content-type cookie proxy-authorization"
        );
        assert_eq!(kept(&Method::PUT, 307, "https://b.example/"), "accept content-type");
        assert_eq!(kept(&Method::PUT, 307, "https://a.example:444/"), "accept content-type");
        assert_eq!(kept(&Method::POST, 303, "http://a.example/"), "accept");
        let next = follow(&Method::GET, 302, "http://a.example/").expect("valid").expect("a redirect");
        assert!(next.leaves_tls && next.crosses_origin);
    }

    #[test]
    fn what_leads_nowhere_is_an_error() {
        assert_eq!(follow(&Method::GET, 302, "mailto:a@b"), Err(RedirectError::Scheme));
        assert_eq!(follow(&Method::GET, 302, "ftp://a/"), Err(RedirectError::Scheme));
        assert_eq!(follow(&Method::GET, 302, "http://"), Err(RedirectError::LocationInvalid));
        let uri = "/relative".parse().expect("a uri");
        assert_eq!(next(&Method::GET, &uri, StatusCode::FOUND, Some(b"/")), Err(RedirectError::Base));
        let uri = "http://a/".parse().expect("a uri");
        assert_eq!(next(&Method::GET, &uri, StatusCode::FOUND, None), Err(RedirectError::LocationMissing));
    }
}
