//! Connections that are handed over to another protocol.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use glowplug::runtime::http::server::{Config, OnUpgrade, UpgradeError};
use glowplug::runtime::time::sleep;
use http::{HeaderValue, Request, Response, StatusCode};

use crate::http_web::{App, Plug, connect, full, serving, text};
use crate::support;

support::on_each_executor![upgrades, connect_is_an_upgrade, an_upgrade_that_is_not_granted,];

/// Grants every upgrade with `status`, and gives whoever holds the other end what was granted.
fn granting(status: StatusCode, granted: Sender<OnUpgrade>) -> App {
    App::new(move |mut request: Request<_>| {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let asked = upgrade.is_some();
        let _ = upgrade.map(|upgrade| granted.send(upgrade));
        async move {
            if !asked {
                return text("no upgrade was asked for");
            }
            let mut response = Response::new(full(""));
            *response.status_mut() = status;
            if status == StatusCode::SWITCHING_PROTOCOLS {
                for (name, value) in [("connection", "upgrade"), ("upgrade", "capitals")] {
                    response.headers_mut().insert(name, HeaderValue::from_static(value));
                }
            }
            Ok(response)
        }
    })
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: capitals\r\n\r\n";

/// The tunnel works both ways, and gets what was sent early.
async fn talk_through<R: Plug>(runtime: &R, request: &str, status: StatusCode) {
    let (granted, taken) = channel();
    serving(runtime, Config::default(), granting(status, granted), async |at, stopper| {
        let mut client = connect(runtime, &at).await;
        assert_eq!(client.get("/plain").await.body, "no upgrade was asked for");
        client.send(format!("{request}early")).await;
        let (answered, head) = client.head().await.expect("a head");
        assert_eq!(answered, status.as_u16());
        assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
        let mut upgraded = taken.recv().expect("granted").await.expect("handed over");
        // It is no connection of the server's any more, as soon as its task has ended.
        while stopper.connections() > 0 {
            sleep(runtime, Duration::from_millis(1)).await;
        }
        client.send(" and late").await;
        while upgraded.input.len() < 14 {
            support::read(&mut upgraded.transport, &mut upgraded.input).await.expect("read");
        }
        assert_eq!(upgraded.input, "early and late");
        support::write(&mut upgraded.transport, "back").await.expect("written");
        drop(upgraded);
        assert_eq!(client.rest().await, "back");
    })
    .await;
}

async fn upgrades<R: Plug>(runtime: R) {
    talk_through(&runtime, UPGRADE, StatusCode::SWITCHING_PROTOCOLS).await;
}

async fn connect_is_an_upgrade<R: Plug>(runtime: R) {
    talk_through(&runtime, "CONNECT there:443 HTTP/1.1\r\nhost: there:443\r\n\r\n", StatusCode::OK).await;
}

async fn an_upgrade_that_is_not_granted<R: Plug>(runtime: R) {
    let (granted, taken) = channel();
    serving(&runtime, Config::default(), granting(StatusCode::OK, granted), async |at, _| {
        let mut client = connect(&runtime, &at).await;
        client.send(UPGRADE).await;
        assert_eq!(client.answer().await.status, 200);
        let refused = taken.recv().expect("offered").await;
        assert_eq!(refused.err(), Some(UpgradeError));
        // The connection goes on as it was.
        assert_eq!(client.get("/plain").await.status, 200);
    })
    .await;
}
