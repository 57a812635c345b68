//! `Sec-WebSocket-Extensions` (RFC 6455 §9.1) as far as permessage-deflate goes (RFC 7692 §7.1).

use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::is_token;
use crate::config::DeflateConfig;

const NAME: &str = "permessage-deflate";

/// What was agreed on about compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateParams {
    /// The server forgets each message before it compresses the next.
    pub server_no_context_takeover: bool,
    /// The client forgets each message before it compresses the next.
    pub client_no_context_takeover: bool,
    /// How far the server looks back, as a power of two from 8 to 15.
    pub server_max_window_bits: u8,
    /// How far the client looks back, as a power of two from 8 to 15.
    pub client_max_window_bits: u8,
    /// How hard this end's compressor tries.
    pub level: u32,
    /// From how many bytes on this end compresses.
    pub threshold: usize,
}

/// One extension as it stands in the field.
struct Extension<'f> {
    name: &'f str,
    params: Vec<(&'f str, Option<&'f str>)>,
}

/// The extensions in a field; `None` when it cannot be parsed.
fn parse(value: &[u8]) -> Option<Vec<Extension<'_>>> {
    let text = core::str::from_utf8(value).ok()?;
    split(text, b',')?.into_iter().filter(|part| !part.is_empty()).map(extension).collect()
}

fn extension(text: &str) -> Option<Extension<'_>> {
    let mut parts = split(text, b';')?.into_iter();
    let name = parts.next().filter(|name| is_token(name))?;
    let param = |part| match str::split_once(part, '=') {
        None => is_token(part).then_some((part, None)),
        Some((name, value)) => {
            let (name, value) = (name.trim_end_matches([' ', '\t']), value.trim_start_matches([' ', '\t']));
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let value = quoted.unwrap_or(value);
            (is_token(name) && is_token(value)).then_some((name, Some(value)))
        }
    };
    Some(Extension { name, params: parts.map(param).collect::<Option<_>>()? })
}

/// Splits outside of quotes; `None` when a quote has no end.
fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut begin, mut quoted) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        if byte == b'"' {
            quoted = !quoted;
        } else if byte == separator && !quoted {
            parts.push(text[begin..at].trim_matches([' ', '\t']));
            begin = at + 1;
        }
    }
    parts.push(text[begin..].trim_matches([' ', '\t']));
    (!quoted).then_some(parts)
}

/// The parameters of one offer or answer, each at most once.
#[derive(Default)]
struct Given {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// In an offer it may come without a value, which is 0 here.
    client_max_window_bits: Option<u8>,
}

impl Given {
    /// `None` where a parameter is unknown, repeated or malformed: such an offer is declined, such an answer is wrong.
    fn read(extension: &Extension<'_>) -> Option<Self> {
        let mut given = Self::default();
        for (name, value) in &extension.params {
            let fresh = match (*name, value) {
                ("server_no_context_takeover", None) => {
                    !core::mem::replace(&mut given.server_no_context_takeover, true)
                }
                ("client_no_context_takeover", None) => {
                    !core::mem::replace(&mut given.client_no_context_takeover, true)
                }
                ("server_max_window_bits", Some(bits)) => {
                    given.server_max_window_bits.replace(window_bits(bits)?).is_none()
                }
                ("client_max_window_bits", None) => given.client_max_window_bits.replace(0).is_none(),
                ("client_max_window_bits", Some(bits)) => {
                    given.client_max_window_bits.replace(window_bits(bits)?).is_none()
                }
                _ => false,
            };
            if !fresh {
                return None;
            }
        }
        Some(given)
    }
}

/// 8 to 15, without leading zeros (RFC 7692 §7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok().filter(|bits| (8..=15).contains(bits))?;
    (!value.starts_with(['0', '+'])).then_some(bits)
}

/// Appends a parameter with its value.
fn put_bits(out: &mut String, name: &str, bits: u8) {
    out.push_str(name);
    out.push('=');
    out.push_str(&bits.to_string());
}

/// What a client offers.
pub(super) fn offer(config: &DeflateConfig) -> String {
    let mut offer = NAME.to_owned();
    if config.server_no_context_takeover {
        offer.push_str("; server_no_context_takeover");
    }
    if config.client_no_context_takeover {
        offer.push_str("; client_no_context_takeover");
    }
    if config.server_max_window_bits < 15 {
        put_bits(&mut offer, "; server_max_window_bits", config.server_max_window_bits);
    }
    if config.client_max_window_bits < 15 {
        put_bits(&mut offer, "; client_max_window_bits", config.client_max_window_bits);
    } else {
        offer.push_str("; client_max_window_bits");
    }
    offer
}

/// What a server makes of the offers in one field: the first that it can serve, and the answer's text. An error where the field
/// cannot be parsed.
pub(super) fn choose(value: &[u8], config: &DeflateConfig) -> Result<Option<(DeflateParams, String)>, ()> {
    for extension in parse(value).ok_or(())? {
        if extension.name.eq_ignore_ascii_case(NAME)
            && let Some(given) = Given::read(&extension)
        {
            return Ok(Some(grant(&given, config)));
        }
    }
    Ok(None)
}

/// Checks that a field can be parsed.
pub(super) fn is_valid(value: &[u8]) -> bool {
    parse(value).is_some()
}

fn grant(given: &Given, config: &DeflateConfig) -> (DeflateParams, String) {
    let params = DeflateParams {
        server_no_context_takeover: given.server_no_context_takeover || config.server_no_context_takeover,
        client_no_context_takeover: given.client_no_context_takeover || config.client_no_context_takeover,
        server_max_window_bits: given.server_max_window_bits.unwrap_or(15).min(config.server_max_window_bits),
        // RFC 7692 §7.1.2.2: not to be asked of a client that did not say it knows the parameter.
        client_max_window_bits: given
            .client_max_window_bits
            .map_or(15, |bits| if bits == 0 { 15 } else { bits }.min(config.client_max_window_bits)),
        level: config.level,
        threshold: config.threshold,
    };
    let mut answer = NAME.to_owned();
    if params.server_no_context_takeover {
        answer.push_str("; server_no_context_takeover");
    }
    if params.client_no_context_takeover {
        answer.push_str("; client_no_context_takeover");
    }
    if params.server_max_window_bits < 15 {
        put_bits(&mut answer, "; server_max_window_bits", params.server_max_window_bits);
    }
    if params.client_max_window_bits < 15 {
        put_bits(&mut answer, "; client_max_window_bits", params.client_max_window_bits);
    }
    (params, answer)
}

/// What a client makes of the answer's fields: nothing but what it offered, and once. An error otherwise.
pub(super) fn check<'f>(
    values: impl Iterator<Item = &'f [u8]>,
    config: Option<&DeflateConfig>,
) -> Result<Option<DeflateParams>, ()> {
    let mut agreed = None;
    for value in values {
        for extension in parse(value).ok_or(())? {
            let config = config.filter(|_| extension.name.eq_ignore_ascii_case(NAME)).ok_or(())?;
            let given = Given::read(&extension).ok_or(())?;
            let server_bits = given.server_max_window_bits.unwrap_or(15);
            let forgets = given.server_no_context_takeover || !config.server_no_context_takeover;
            let client_bits = match given.client_max_window_bits {
                None => 15,
                Some(0) => return Err(()),
                Some(bits) => bits,
            };
            if agreed.is_some() || !forgets || server_bits > config.server_max_window_bits {
                return Err(());
            }
            agreed = Some(DeflateParams {
                server_no_context_takeover: given.server_no_context_takeover,
                client_no_context_takeover: given.client_no_context_takeover
                    || config.client_no_context_takeover,
                server_max_window_bits: server_bits,
                client_max_window_bits: client_bits.min(config.client_max_window_bits),
                level: config.level,
                threshold: config.threshold,
            });
        }
    }
    Ok(agreed)
}
