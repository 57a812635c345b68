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
}

impl IntoUrl for &String {
    fn into_url(self) -> Result<Uri, BoxError> {
        self.as_str().into_url()
    }
}

impl IntoUrl for String {
    fn into_url(self) -> Result<Uri, BoxError> {
        self.as_str().into_url()
    }
}
