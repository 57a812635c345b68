//! What a client accepts of content codings (RFC 9110 §12.5.3).

use http::{HeaderMap, header};

/// A content coding that is known here (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// `br`.
    Brotli,
    /// `deflate`: the zlib format (RFC 1950), as RFC 9110 has it.
    Deflate,
    /// `gzip`, and its alias `x-gzip`.
    Gzip,
    /// `zstd`.
    Zstd,
}

impl Coding {
    /// Every coding.
    pub const ALL: [Self; 4] = [Self::Brotli, Self::Deflate, Self::Gzip, Self::Zstd];

    /// Its name in `content-encoding`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.as_str()))
    }
}

/// What a client accepts, with its weights. What is malformed counts as if it had not been said.
///
/// ```
/// use glowplug_runtime::http::accept::{AcceptEncoding, Coding};
/// let accepted = AcceptEncoding::parse("br;q=0.5, gzip, *;q=0");
/// assert_eq!(accepted.choose(&[Coding::Brotli, Coding::Gzip]), Some(Coding::Gzip));
/// assert_eq!(accepted.quality(Coding::Zstd), 0);
/// assert!(!accepted.identity_allowed());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptEncoding {
    /// In thousandths, in the order of [`Coding::ALL`].
    codings: [Option<u16>; 4],
    identity: Option<u16>,
    others: Option<u16>,
}

impl AcceptEncoding {
    /// As the fields of a request have it. A request without the field accepts everything, and asks for nothing: no coding is
    /// chosen for it.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            if let Ok(value) = value.to_str() {
                accepted.add(value);
            }
        }
        accepted
    }

    /// As one field's value has it.
    pub fn parse(value: &str) -> Self {
        let mut accepted = Self::default();
        accepted.add(value);
        accepted
    }

    fn add(&mut self, value: &str) {
        for element in value.split(',') {
            let (name, weight) = match element.split_once(';') {
                None => (element.trim(), Some(1000)),
                Some((name, weight)) => (name.trim(), parse_weight(weight)),
            };
            let Some(weight) = weight else { continue };
            if name == "*" {
                self.others = Some(weight);
            } else if name.eq_ignore_ascii_case("identity") {
                self.identity = Some(weight);
            } else if let Some(coding) = Coding::from_name(name) {
                self.codings[coding as usize] = Some(weight);
            }
        }
    }

    /// How much this coding is wanted, in thousandths; 0 when it is not acceptable.
    pub fn quality(&self, coding: Coding) -> u16 {
        self.codings[coding as usize].or(self.others).unwrap_or_default()
    }

    /// Whether content without any coding is acceptable: unless the client says otherwise it is.
    pub fn identity_allowed(&self) -> bool {
        self.identity.or(self.others) != Some(0)
    }

    /// The best of `preferred`: what the client wants most, and among equals the first. `None` when it accepts none of them, or
    /// says that it would rather have no coding.
    pub fn choose(&self, preferred: &[Coding]) -> Option<Coding> {
        let mut best = None;
        for &coding in preferred {
            let quality = self.quality(coding);
            if quality > best.map_or(0, |(quality, _)| quality) {
                best = Some((quality, coding));
            }
        }
        let (quality, coding) = best?;
        (self.identity.unwrap_or_default() <= quality).then_some(coding)
    }
}

/// A weight in thousandths (RFC 9110 §12.4.2).
fn parse_weight(text: &str) -> Option<u16> {
    let (name, value) = text.trim().split_once('=')?;
    if !name.eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// Adds `accept-encoding` to what an answer says it varies with.
pub(super) fn vary(headers: &mut HeaderMap) {
    let says_so = headers.get_all(header::VARY).iter().any(|value| {
        let names = value.to_str().unwrap_or_default();
        names.split(',').any(|name| {
            let name = name.trim();
            name == "*" || name.eq_ignore_ascii_case("accept-encoding")
        })
    });
    if !says_so {
        headers.append(header::VARY, http::HeaderValue::from_static("accept-encoding"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    #[test]
    fn what_is_chosen() {
        for (value, expected) in [
            ("", None),
            ("gzip", Some(Coding::Gzip)),
            ("gzip, br", Some(Coding::Brotli)),
            ("X-GZip", Some(Coding::Gzip)),
            ("gzip;q=1.0, br;q=0.999", Some(Coding::Gzip)),
            ("deflate", None),
            ("*", Some(Coding::Brotli)),
            ("br;q=0, *", Some(Coding::Zstd)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Coding::Gzip)),
            ("identity;q=0", None),
            ("gzip;q=0", None),
            ("gzip ; Q=0.5 , zstd; q=0.25", Some(Coding::Gzip)),
            ("gzip;q=1.001, br;q=2, zstd;q=0.0001", None),
            ("gzip;level=9", None),
            ("gzip;q=, br;q", None),
            ("gzip;q=0.", None),
        ] {
            assert_eq!(AcceptEncoding::parse(value).choose(&ORDER), expected, "{value:?}");
        }
    }

    #[test]
    fn when_no_coding_is_acceptable() {
        for (value, expected) in
            [("", true), ("gzip", true), ("identity;q=0", false), ("*;q=0", false), ("*;q=0, identity", true)]
        {
            assert_eq!(AcceptEncoding::parse(value).identity_allowed(), expected, "{value:?}");
        }
    }

    #[test]
    fn several_fields_are_one() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT_ENCODING, http::HeaderValue::from_static("br;q=0.1"));
        headers.append(header::ACCEPT_ENCODING, http::HeaderValue::from_static("zstd"));
        assert_eq!(AcceptEncoding::of(&headers).choose(&ORDER), Some(Coding::Zstd));
        vary(&mut headers);
        vary(&mut headers);
        assert_eq!(headers.get_all(header::VARY).iter().count(), 1);
    }
}
