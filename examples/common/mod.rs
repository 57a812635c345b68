//! What the examples of services share: their command line, and one text on two executors.

use std::net::SocketAddr;

/// What ends an example early.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The command line of an example.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "not every example has every option")]
pub(crate) struct Options {
    /// The executor: `tokio` or `smol`.
    pub(crate) on: String,
    /// Serve here until Ctrl-C, instead of telling the story.
    pub(crate) listen: Option<SocketAddr>,
    /// Talk to the server of this name and port, instead of one of our own.
    pub(crate) server: Option<(String, u16)>,
}

impl Options {
    /// The story, on this executor.
    pub(crate) fn on(executor: &str) -> Self {
        Self { on: executor.to_owned(), listen: None, server: None }
    }

    /// As the command line has it.
    #[allow(dead_code, reason = "a program with options of its own reads them itself")]
    pub(crate) fn from_args() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self::on("smol");
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("on") => options.on = parser.value()?.string()?,
                Long("listen") => options.listen = Some(parser.value()?.parse()?),
                Long("server") => {
                    let server = parser.value()?.string()?;
                    let (host, port) = server.rsplit_once(':').ok_or("a server is NAME:PORT")?;
                    let port = port.parse().map_err(|_| "a port is a number up to 65535")?;
                    options.server = Some((host.to_owned(), port));
                }
                Long("help") => {
                    println!("[--on tokio|smol] [--listen ADDRESS:PORT] [--server NAME:PORT]");
                    std::process::exit(0);
                }
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }

    /// Where to listen: as asked for, or anywhere on this machine.
    #[allow(dead_code, reason = "not every example listens")]
    pub(crate) fn address(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}

/// Runs one text on the executor that the options name. The text sees the runtime under the name that is given.
macro_rules! on_executor {
    ($options:expr, |$runtime:ident| $text:expr) => {
        #[allow(clippy::clone_on_copy, reason = "one text, for runtimes that are Copy and for others")]
        match $options.on.as_str() {
            "tokio" => {
                let $runtime = glowplug::tokio::Tokio;
                tokio::runtime::Runtime::new()?.block_on($text)
            }
            "smol" => {
                let $runtime = glowplug::smol::Smol::default();
                smol::block_on($text)
            }
            other => Err(format!("there is no executor called {other}").into()),
        }
    };
}
pub(crate) use on_executor;
