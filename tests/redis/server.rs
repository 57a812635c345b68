//! A server in memory that can be stopped and started again at the same address.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use glowplug::redis::memory;
use glowplug::runtime::redis::{Drive, Serving, serve_memory};
use glowplug::runtime::server::{Config, Server, Stopper};
use glowplug::runtime::time::sleep;
use glowplug::runtime::{Endpoint, Runtime, Spawn};

use crate::support::beside;

/// A runtime that a client and a server in memory run on.
pub(crate) trait Serves: Runtime + Spawn<Drive<Self>> + Spawn<Serving<Self>> {}

impl<R: Runtime + Spawn<Drive<R>> + Spawn<Serving<R>>> Serves for R {}

pub(crate) struct Control {
    at: Cell<Option<SocketAddr>>,
    stopper: RefCell<Option<Stopper>>,
    wanted: Cell<bool>,
}

impl Control {
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.at.get().expect("the server is up"))
    }

    /// Closes the listener and, after a moment, every connection.
    pub(crate) fn stop(&self) {
        self.wanted.set(false);
        if let Some(stopper) = self.stopper.take() {
            stopper.stop();
        }
    }

    pub(crate) fn start(&self) {
        self.wanted.set(true);
    }
}

/// Runs `work` beside a server whose data outlive its stops.
pub(crate) async fn with_server<R: Serves>(runtime: &R, work: impl AsyncFnOnce(Rc<Control>)) {
    with_server_of(runtime, memory::Config::new(), work).await;
}

/// The same, with a configuration of one's own.
pub(crate) async fn with_server_of<R: Serves>(
    runtime: &R,
    config: memory::Config,
    work: impl AsyncFnOnce(Rc<Control>),
) {
    let control =
        Rc::new(Control { at: Cell::new(None), stopper: RefCell::new(None), wanted: Cell::new(true) });
    let store = memory::Handle::new(config.seed(runtime.seed()));
    let serving = async {
        loop {
            if !control.wanted.get() {
                sleep(runtime, Duration::from_millis(1)).await;
                continue;
            }
            let at = control.at.get().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            let Ok(server) = Server::bind(runtime.clone(), Endpoint::Tcp(at)).await else {
                sleep(runtime, Duration::from_millis(1)).await;
                continue;
            };
            let server = server.config(Config::default().drain_timeout(Duration::from_millis(5)));
            if let Ok(Endpoint::Tcp(at)) = server.local_endpoint() {
                control.at.set(Some(at));
            }
            *control.stopper.borrow_mut() = Some(server.stopper());
            serve_memory(runtime.clone(), server, store.clone()).await;
        }
    };
    let working = async {
        while control.at.get().is_none() {
            sleep(runtime, Duration::from_millis(1)).await;
        }
        work(control.clone()).await;
    };
    beside(working, serving).await;
    control.stop();
}
