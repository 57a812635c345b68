//! What can be asked for.

use glowplug_http::url;
use http::Uri;

use crate::http::BoxError;

/// What names a URL: text, or a [`Uri`].
///
/// In text, what is not ASCII is allowed: in path and query it is percent-encoded, and in the host's name it is turned into A-labels if the feature
/// `http-idn` is on, as [`glowplug_http::url::parse`] does.
pub trait IntoUrl {
    /// The URL, or why this is none.
    fn into_url(self) -> Result<Uri, BoxError>;

    /// The same as text, if that is what this is: a client then reads only as much of it as it does not know from the URL before.
    fn as_text(&self) -> Option<&str> {
        None
    }
}

impl IntoUrl for Uri {
    fn into_url(self) -> Result<Uri, BoxError> {
        Ok(self)
    }
}

impl IntoUrl for &Uri {
    fn into_url(self) -> Result<Uri, BoxError> {
        Ok(self.clone())
    }
}

impl IntoUrl for &str {
    fn into_url(self) -> Result<Uri, BoxError> {
        Ok(url::parse(self)?)
    }

    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl IntoUrl for &String {
    fn into_url(self) -> Result<Uri, BoxError> {
        self.as_str().into_url()
    }

    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl IntoUrl for String {
    fn into_url(self) -> Result<Uri, BoxError> {
        self.as_str().into_url()
    }

    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}
