//! A stop-gap for URLs.

use glowplug_redis::ClientConfig;

pub(super) enum Target {
    Tcp { host: String, port: u16, tls: bool },
    Unix(String),
}

pub(super) struct Url {
    target: Target,
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("unix://") {
            return Ok(Self { target: Target::Unix(path.to_owned()) });
        }
        let (tls, rest) = match (url.strip_prefix("redis://"), url.strip_prefix("rediss://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(format!("{url} is no redis url")),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| "the port is no number".to_owned())?),
            None => (rest, 6379),
        };
        Ok(Self { target: Target::Tcp { host: host.to_owned(), port, tls } })
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn apply(&self, config: ClientConfig) -> ClientConfig {
        config
    }
}
