//! What is answered. All of it may block.

use std::collections::hash_map::RandomState;
use std::fs::{File, Metadata};
use std::hash::BuildHasher;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body::Body as _;

use super::body::FileBody;
use super::conditions::{Validators, Verdict};
use super::path::{Refused, Target, resolve};
use super::range::{self, Asked};
use super::root::{Found, Root};
use super::{Settings, listing};
use crate::http::accept::{AcceptEncoding, Coding, vary};

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Compressed siblings, the one that is liked best first.
const SIBLINGS: [(Coding, &str); 3] =
    [(Coding::Brotli, ".br"), (Coding::Zstd, ".zst"), (Coding::Gzip, ".gz")];

/// The answer to anything but GET and HEAD.
pub(super) fn refuse_method(method: &Method) -> Option<Response<FileBody>> {
    let mut response = match *method {
        Method::GET | Method::HEAD => return None,
        Method::OPTIONS => {
            let mut response = Response::new(FileBody::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        _ => refusal(StatusCode::METHOD_NOT_ALLOWED, method),
    };
    response.headers_mut().insert(header::ALLOW, ALLOWED);
    Some(response)
}

/// The answer to GET and HEAD.
pub(super) fn answer(root: &Root, settings: &Settings, parts: &Parts) -> Response<FileBody> {
    let refused = |status| refusal(status, &parts.method);
    let target = match resolve(parts.uri.path(), settings.hidden) {
        Ok(target) => target,
        Err(Refused::Malformed) => return refused(StatusCode::BAD_REQUEST),
        Err(Refused::Nowhere) => {
            return fall_back(root, settings, parts).unwrap_or_else(|| refused(StatusCode::NOT_FOUND));
        }
    };
    match find(root, settings, parts, &target) {
        Ok(Some(response)) => response,
        Ok(None) => fall_back(root, settings, parts).unwrap_or_else(|| refused(StatusCode::NOT_FOUND)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refused(StatusCode::FORBIDDEN),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// `None` when there is no such thing.
fn find(
    root: &Root,
    settings: &Settings,
    parts: &Parts,
    target: &Target,
) -> io::Result<Option<Response<FileBody>>> {
    match look(root, settings, &target.path)? {
        Some(Found::File(file, metadata)) if !target.slash => {
            Site { root, settings, parts }.send(&target.path, file, metadata).map(Some)
        }
        Some(Found::Directory) if !target.slash => Ok(Some(add_slash(parts))),
        Some(Found::Directory) => directory(root, settings, parts, &target.path),
        _ => Ok(None),
    }
}

/// `None` for names that no file has.
fn look(root: &Root, settings: &Settings, path: &Path) -> io::Result<Option<Found>> {
    match root.find(path, settings.symlinks) {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput => Ok(None),
            _ => Err(error),
        },
    }
}

fn directory(
    root: &Root,
    settings: &Settings,
    parts: &Parts,
    path: &Path,
) -> io::Result<Option<Response<FileBody>>> {
    if let Some(index) = &settings.index {
        let index = path.join(index);
        if let Some(Found::File(file, metadata)) = look(root, settings, &index)? {
            return Site { root, settings, parts }.send(&index, file, metadata).map(Some);
        }
    }
    if !settings.listing {
        return Ok(None);
    }
    let (entries, more) = root.list(path, settings.symlinks, settings.hidden, settings.max_listing)?;
    let page = listing::page(path, entries, more);
    let mut response = Response::new(body_for(&parts.method, FileBody::whole(page)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(listing::POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    no_sniffing(headers);
    Ok(Some(response))
}

/// The page of an application that finds its way by itself, for those who ask for a page.
fn fall_back(root: &Root, settings: &Settings, parts: &Parts) -> Option<Response<FileBody>> {
    let path = settings.fallback.as_ref()?;
    let wants_page = parts.headers.get_all(header::ACCEPT).iter().any(|value| {
        let types = value.to_str().unwrap_or_default();
        types.split(',').any(|listed| {
            listed.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html")
        })
    });
    if !wants_page {
        return None;
    }
    match look(root, settings, path).ok()? {
        Some(Found::File(file, metadata)) => Site { root, settings, parts }.send(path, file, metadata).ok(),
        _ => None,
    }
}

/// The way to a directory. Relative, so that it holds wherever the service is mounted, and leads to no other host whatever the path.
fn add_slash(parts: &Parts) -> Response<FileBody> {
    let name = parts.uri.path().rsplit('/').next().unwrap_or_default();
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = refusal(StatusCode::MOVED_PERMANENTLY, &parts.method);
    if let Ok(location) = HeaderValue::try_from(format!("./{name}/{query}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A status, and a word about it.
fn refusal(status: StatusCode, method: &Method) -> Response<FileBody> {
    let words = format!("{status}\n");
    let mut response = Response::new(body_for(method, FileBody::whole(words)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    no_sniffing(headers);
    response
}

fn no_sniffing(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The answer to HEAD has the length of that to GET.
fn body_for(method: &Method, body: FileBody) -> FileBody {
    if *method == Method::HEAD {
        FileBody::announced(body.size_hint().exact().unwrap_or_default())
    } else {
        body
    }
}

/// What an answer with a file is made of.
struct Site<'a> {
    root: &'a Root,
    settings: &'a Settings,
    parts: &'a Parts,
}

impl Site<'_> {
    fn send(&self, path: &Path, file: File, metadata: Metadata) -> io::Result<Response<FileBody>> {
        let (settings, asked) = (self.settings, &self.parts.headers);
        let (file, metadata, coding) = self.sibling(path, file, metadata);
        let (size, name) = (metadata.len(), coding.map_or("", Coding::as_str));
        let validators = Validators::new(metadata.modified().ok(), size, name, SystemTime::now());
        let mut response = Response::new(FileBody::default());
        let headers = response.headers_mut();
        validators.put(headers);
        if let Some(value) = &settings.cache_control {
            headers.insert(header::CACHE_CONTROL, value.clone());
        }
        if settings.precompressed {
            vary(headers);
        }
        match validators.judge(asked) {
            Verdict::Perform => {}
            Verdict::NotModified => {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return Ok(response);
            }
            Verdict::Failed => {
                let mut refused = refusal(StatusCode::PRECONDITION_FAILED, &self.parts.method);
                refused.headers_mut().extend(std::mem::take(response.headers_mut()));
                return Ok(refused);
            }
        }
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        no_sniffing(headers);
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        }
        let content_type = content_type(settings, path);
        headers.insert(header::CONTENT_TYPE, content_type.clone());

        let ranges = if self.parts.method == Method::GET && validators.range_holds(asked) {
            self.ranges(size)
        } else {
            Asked::Whole
        };
        if ranges == Asked::Refused {
            let mut refused = refusal(StatusCode::RANGE_NOT_SATISFIABLE, &self.parts.method);
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
                refused.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return Ok(refused);
        }
        let mut body = FileBody::of(file, settings.piece_size, settings.on_threads);
        match ranges {
            Asked::Parts(parts) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let headers = response.headers_mut();
                if let [part] = &parts[..] {
                    if let Ok(value) = HeaderValue::try_from(content_range(part, size)) {
                        headers.insert(header::CONTENT_RANGE, value);
                    }
                    body.push_span(part.clone());
                } else {
                    let boundary = boundary();
                    let multipart = format!("multipart/byteranges; boundary={boundary}");
                    if let Ok(value) = HeaderValue::try_from(multipart) {
                        headers.insert(header::CONTENT_TYPE, value);
                    }
                    several(&mut body, &parts, size, &boundary, &content_type);
                }
            }
            _ => body.push_span(0..size),
        }
        *response.body_mut() =
            if self.parts.method == Method::HEAD { FileBody::announced(size) } else { body.begin()? };
        Ok(response)
    }

    /// The file, or the compressed one beside it that the client likes best.
    fn sibling(&self, path: &Path, file: File, metadata: Metadata) -> (File, Metadata, Option<Coding>) {
        if !self.settings.precompressed {
            return (file, metadata, None);
        }
        let accepted = AcceptEncoding::of(&self.parts.headers);
        let mut left: Vec<Coding> = SIBLINGS.iter().map(|(coding, _)| *coding).collect();
        while let Some(coding) = accepted.choose(&left) {
            left.retain(|other| *other != coding);
            let ending =
                SIBLINGS.iter().find(|(other, _)| *other == coding).map_or("", |(_, ending)| *ending);
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            if let Ok(Found::File(sibling, known)) =
                self.root.find(&PathBuf::from(name), self.settings.symlinks)
                && known.modified().ok() >= metadata.modified().ok()
            {
                return (sibling, known, Some(coding));
            }
        }
        (file, metadata, None)
    }

    fn ranges(&self, size: u64) -> Asked {
        let mut values = self.parts.headers.get_all(header::RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Asked::Whole };
        value.to_str().map_or(Asked::Whole, |value| range::parse(value, size, self.settings.max_ranges))
    }
}

/// Types that the table of names is too old for, or has by an older name (RFC 9239).
const NEWER: [(&str, &str); 6] = [
    ("avif", "image/avif"),
    ("js", "text/javascript"),
    ("jxl", "image/jxl"),
    ("mjs", "text/javascript"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
];

/// By the name's extension.
fn content_type(settings: &Settings, path: &Path) -> HeaderValue {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let given = settings.content_types.iter().find(|(given, _)| given.eq_ignore_ascii_case(extension));
    if let Some((_, value)) = given {
        return value.clone();
    }
    let newer = NEWER.iter().find(|(newer, _)| newer.eq_ignore_ascii_case(extension));
    let guessed = newer.map(|(_, media_type)| *media_type);
    let guessed = guessed.or_else(|| mime_guess::from_ext(extension).first_raw());
    let guessed = guessed.unwrap_or("application/octet-stream");
    let charset = if guessed.starts_with("text/") { "; charset=utf-8" } else { "" };
    HeaderValue::try_from(format!("{guessed}{charset}"))
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end - 1)
}

/// RFC 9110 §14.6.
fn several(body: &mut FileBody, parts: &[Range<u64>], size: u64, boundary: &str, content_type: &HeaderValue) {
    for (index, part) in parts.iter().enumerate() {
        let line = if index == 0 { "" } else { "\r\n" };
        let content_range = content_range(part, size);
        let content_type = content_type.to_str().unwrap_or("application/octet-stream");
        body.push_bytes(Bytes::from(format!(
            "{line}--{boundary}\r\ncontent-type: {content_type}\r\ncontent-range: {content_range}\r\n\r\n"
        )));
        body.push_span(part.clone());
    }
    body.push_bytes(Bytes::from(format!("\r\n--{boundary}--\r\n")));
}

/// Not to be guessed by whoever wrote the file: hashed with keys of this process.
fn boundary() -> String {
    static KEYS: std::sync::OnceLock<RandomState> = std::sync::OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let keys = KEYS.get_or_init(RandomState::new);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{:016x}", keys.hash_one(count), keys.hash_one((count, "more")))
}
