//! `wss://`: verified, and everything that goes over plain sockets goes over these.

use futures_util::future::join;
use glowplug::runtime::dial::DialError;
use glowplug::runtime::http::server::{Incoming, Server, service_fn};
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::{ClientConfig, ServerConfig};
use glowplug::runtime::websocket::{
    Acceptor, CloseCode, Config, ConnectError, Connector, DeflateConfig, Error, Event, Message,
};
use glowplug::sim::dropped_after;
use http::Request;
use rcgen::{CertificateParams, KeyPair};

use crate::support::{self, any_port};
use crate::{Handled, HandlerFn, Plug, Talk, echo};

support::on_each_executor![messages_over_tls, who_is_not_verified, dropped_over_tls, torn_over_tls];

const URL: &str = "wss://localhost/chat";

/// A server's configuration, and what verifies it.
fn configs() -> (ServerConfig, CertificateDer<'static>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").der().clone();
    let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    (ServerConfig::new(vec![certificate.clone()], private).expect("a configuration"), certificate)
}

/// Runs `work` beside an HTTPS server that accepts sockets; it gets a connector that trusts that server.
async fn serving<R: Plug>(runtime: &R, config: Config, talk: Talk<R>, work: impl AsyncFnOnce(Connector<R>)) {
    let (secured, certificate) = configs();
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let server = server.tls(secured).upgrades();
    let at = server.local_endpoint().expect("an address");
    let stopper = server.stopper();
    let acceptor = Acceptor::new(runtime.clone()).config(config.clone());
    let handler = move |mut request: Request<Incoming>| {
        assert!(request.body().connection().is_tls());
        let response = acceptor.serve(&mut request, talk);
        Box::pin(async move { response }) as Handled
    };
    let trusted = ClientConfig::with_roots([certificate]).expect("a configuration");
    let connector = Connector::new(runtime.clone()).config(config).tls(trusted).connect_to(at);
    let work = async {
        work(connector).await;
        stopper.stop();
    };
    join(work, server.run(service_fn(Box::new(handler) as HandlerFn))).await;
}

async fn messages_over_tls<R: Plug>(runtime: R) {
    for deflate in [None, Some(DeflateConfig::new())] {
        serving(&runtime, Config::new().deflate(deflate), echo, async |connector| {
            let mut socket = connector.connect(URL).await.expect("connected");
            for len in [0, 1, 125, 126, 16_384, 65_536, 300_000] {
                for message in [Message::binary(vec![7; len]), Message::text("é".repeat(len / 2))] {
                    socket.send(message.clone()).await.expect("sent");
                    assert_eq!(socket.recv().await.expect("an echo"), Some(message));
                }
            }
            socket.ping("there?").await.expect("sent");
            assert_eq!(socket.next_event().await.expect("a pong"), Some(Event::Pong("there?".into())));
            let (mut reader, mut writer) = socket.split();
            let sending = async {
                for n in 0..100u8 {
                    writer.send(Message::binary(vec![n; 5000])).await.expect("sent");
                }
            };
            let receiving = async {
                for n in 0..100u8 {
                    assert_eq!(reader.recv().await.expect("an echo"), Some(vec![n; 5000].into()));
                }
            };
            join(sending, receiving).await;
            writer.close().await.expect("said good-bye");
            assert_eq!(reader.recv().await.expect("the end"), None);
            assert_eq!(reader.close_frame().map(|frame| frame.code), Some(CloseCode::NORMAL));
        })
        .await;
    }
}

async fn who_is_not_verified<R: Plug>(runtime: R) {
    serving(&runtime, Config::new(), echo, async |connector| {
        // A name that the certificate does not have, and a certificate that nobody vouches for.
        let (_, stranger) = configs();
        let trusting_another = ClientConfig::with_roots([stranger]).expect("a configuration");
        for (connector, url) in
            [(connector.clone(), "wss://elsewhere.example/"), (connector.tls(trusting_another), URL)]
        {
            let refused = connector.connect(url).await;
            assert!(matches!(refused, Err(ConnectError::Dial(DialError::Tls(_)))), "{url}: {refused:?}");
        }
    })
    .await;
}

/// Whatever is dropped, at whichever poll: messages come whole, in order, and none twice.
async fn dropped_over_tls<R: Plug>(runtime: R) {
    serving(&runtime, Config::new(), echo, async |connector| {
        for polls in 0..6 {
            drop(dropped_after(polls, connector.connect(URL)).await);
        }
        let mut socket = connector.connect(URL).await.expect("connected");
        let (mut sent, mut received) = (0u32, 0u32);
        let wanted = |n: u32| Message::binary(n.to_be_bytes().repeat(500));
        for round in 0..100 {
            let polls = round % 5;
            if dropped_after(polls, socket.feed(wanted(sent))).await.is_some_and(|fed| fed.is_ok()) {
                sent += 1;
            }
            let _ = dropped_after(polls, socket.flush()).await;
            if let Some(heard) = dropped_after(polls, socket.recv()).await {
                assert_eq!(heard.expect("no error"), Some(wanted(received)));
                received += 1;
            }
        }
        while received < sent {
            assert_eq!(socket.recv().await.expect("no error"), Some(wanted(received)));
            received += 1;
        }
        socket.close().await.expect("closed");
    })
    .await;
}

/// An end without a good-bye is none over TLS either.
async fn torn_over_tls<R: Plug>(runtime: R) {
    let drops: Talk<R> = |mut socket| Box::pin(async move { socket.send("so far").await.expect("sent") });
    serving(&runtime, Config::new(), drops, async |connector| {
        let mut socket = connector.connect(URL).await.expect("connected");
        assert_eq!(socket.recv().await.expect("a message"), Some("so far".into()));
        assert!(matches!(socket.recv().await, Err(Error::Protocol(_) | Error::Io(_))));
        assert_eq!(socket.recv().await.expect("told once"), None);
    })
    .await;
}
