//! The values of `Authorization` (and of `Proxy-Authorization`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::InvalidHeaderValue;

/// Credentials of the Basic scheme (RFC 7617), marked as sensitive; `None` if the user's name holds a colon or either
/// holds a control character, which the scheme cannot carry.
///
/// ```
/// let value = glowplug_http::auth::basic("Aladdin", "open sesame").expect("plain text");
/// assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
/// ```
pub fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    if user.contains(':') || user.chars().chain(password.chars()).any(char::is_control) {
        return None;
    }
    let mut text = String::from("Basic ");
    STANDARD.encode_string(format!("{user}:{password}"), &mut text);
    sensitive(text).ok()
}

/// A token of the Bearer scheme (RFC 6750), marked as sensitive. A token that no field value can hold is an error.
///
/// ```
/// assert_eq!(glowplug_http::auth::bearer("abc").expect("plain text"), "Bearer abc");
/// ```
pub fn bearer(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    sensitive(format!("Bearer {token}"))
}

fn sensitive(text: String) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_schemes_cannot_carry_is_refused() {
        assert_eq!(basic("a:b", "c"), None);
        assert_eq!(basic("a", "b\n"), None);
        assert!(bearer("a\r\nx: y").is_err());
        // RFC 7617 §2.1.
        assert_eq!(basic("test", "123\u{a3}").expect("no control"), "Basic dGVzdDoxMjPCow==");
        assert!(basic("a", "").expect("no control").is_sensitive());
    }
}
