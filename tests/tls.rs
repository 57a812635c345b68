//! TLS over every executor's streams: agreement, refusal, deadlines, truncation, half-close, and both directions at once.

mod support;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::join;
use glowplug::core::SendBuf;
use glowplug::redis::memory;
use glowplug::runtime::drive::Serve;
use glowplug::runtime::redis::{Client, ConnectError, Drive, commands};
use glowplug::runtime::time::within;
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::rustls::server::WebPkiClientVerifier;
use glowplug::runtime::tls::rustls::{self, RootCertStore};
use glowplug::runtime::tls::{ClientConfig, ServerConfig, Tls, ring};
use glowplug::runtime::{Listener as _, Runtime, Spawn, Transport};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use support::{accept, any_port, beside, pair, read, read_all, read_some, shutdown, write};

support::on_each_executor![
    an_exchange_and_alpn,
    no_common_protocol_is_an_error,
    an_unknown_authority_is_refused,
    a_client_of_an_unknown_authority_is_refused,
    a_wrong_host_name_is_refused,
    a_name_that_is_none_is_an_error,
    no_tls_at_all_is_refused_and_the_socket_closed,
    a_server_that_stalls,
    a_client_that_stalls,
    a_handshake_dropped_at_any_poll_goes_on,
    truncation_is_an_error,
    half_close,
    writing_after_the_end_is_an_error,
    ten_mib_both_ways_at_once,
    redis_over_tls,
    redis_over_tls_refuses,
];

/// Somebody who signs certificates.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `localhost`, and its key.
    fn leaf(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let leaf = params.signed_by(&key, &self.issuer).expect("signed");
        (vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        roots
    }

    /// Shows a certificate of this authority.
    fn server(&self) -> ServerConfig {
        let (chain, key) = self.leaf();
        ServerConfig::new(chain, key).expect("a configuration")
    }

    /// Trusts this authority alone.
    fn client(&self) -> ClientConfig {
        ClientConfig::with_roots([self.certificate.clone()]).expect("a configuration")
    }
}

/// Both ends of a connection under TLS, before the handshake.
async fn tls_pair<R: Runtime>(
    runtime: &R,
    client: &ClientConfig,
    server: &ServerConfig,
) -> (Tls<R::Stream>, Tls<R::Stream>) {
    let (near, far) = pair(runtime).await;
    (Tls::client(near, client, "localhost").expect("a name"), Tls::server(far, server).expect("a session"))
}

/// Both ends after the handshake.
async fn established<R: Runtime>(runtime: &R) -> (Tls<R::Stream>, Tls<R::Stream>) {
    let authority = Authority::new("one");
    let (mut near, mut far) = tls_pair(runtime, &authority.client(), &authority.server()).await;
    let (one, other) = join(near.handshake(), far.handshake()).await;
    one.and(other).expect("a handshake");
    (near, far)
}

/// What rustls said.
fn reason(error: &io::Error) -> &rustls::Error {
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    error.get_ref().and_then(|error| error.downcast_ref()).expect("an error of rustls")
}

fn is_alert(error: &io::Error) -> bool {
    matches!(reason(error), rustls::Error::AlertReceived(_))
}

async fn an_exchange_and_alpn<R: Runtime>(runtime: R) {
    let authority = Authority::new("one");
    let client = authority.client().alpn(["h2", "http/1.1"]);
    let server = authority.server().alpn(["http/1.1"]);
    let (mut near, mut far) = tls_pair(&runtime, &client, &server).await;
    // Neither shakes hands by name: the first use does.
    let ask = async {
        write(&mut near, "question").await.expect("written");
        let answer = read_some(&mut near, 6).await.expect("read");
        assert_eq!(answer, "answer");
        shutdown(&mut near).await.expect("shut down");
        assert_eq!(read_all(&mut near).await.expect("the end"), "");
        near
    };
    let answer = async {
        assert_eq!(read_some(&mut far, 8).await.expect("read"), "question");
        write(&mut far, "answer").await.expect("written");
        assert_eq!(read_all(&mut far).await.expect("the end"), "");
        shutdown(&mut far).await.expect("shut down");
        far
    };
    let (near, far) = join(ask, answer).await;
    assert_eq!(near.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(far.alpn_protocol(), near.alpn_protocol());
}

async fn no_common_protocol_is_an_error<R: Runtime>(runtime: R) {
    let authority = Authority::new("one");
    let (client, server) = (authority.client().alpn(["h2"]), authority.server().alpn(["redis"]));
    let (mut near, mut far) = tls_pair(&runtime, &client, &server).await;
    let (near, far) = join(near.handshake(), far.handshake()).await;
    assert_eq!(reason(&far.expect_err("nothing in common")), &rustls::Error::NoApplicationProtocol);
    assert!(is_alert(&near.expect_err("nothing in common")));
}

async fn an_unknown_authority_is_refused<R: Runtime>(runtime: R) {
    let (one, other) = (Authority::new("one"), Authority::new("other"));
    let (mut near, mut far) = tls_pair(&runtime, &one.client(), &other.server()).await;
    let (near, far) = join(near.handshake(), far.handshake()).await;
    let refusal = near.expect_err("unknown to the client");
    assert!(matches!(reason(&refusal), rustls::Error::InvalidCertificate(_)), "{refusal}");
    // The server hears why.
    assert!(is_alert(&far.expect_err("refused by the client")));
}

async fn a_client_of_an_unknown_authority_is_refused<R: Runtime>(runtime: R) {
    let (one, other) = (Authority::new("one"), Authority::new("other"));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(one.roots()), ring());
    let (chain, key) = one.leaf();
    let server = rustls::ServerConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a configuration");
    let server = ServerConfig::from(Arc::new(server));
    for (authority, welcome) in [(&one, true), (&other, false)] {
        let (chain, key) = authority.leaf();
        let client = rustls::ClientConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(one.roots())
            .with_client_auth_cert(chain, key)
            .expect("a configuration");
        let (mut near, mut far) = tls_pair(&runtime, &Arc::new(client).into(), &server).await;
        let ask = async {
            // The client is done with its handshake before the server has seen its certificate.
            near.handshake().await.expect("done");
            write(&mut near, "hello").await.expect("written");
            read_some(&mut near, 2).await
        };
        let answer = async {
            far.handshake().await?;
            write(&mut far, "hi").await
        };
        let (asked, answered) = join(ask, answer).await;
        if welcome {
            answered.expect("welcome");
            assert_eq!(asked.expect("welcome"), "hi");
        } else {
            let refusal = answered.expect_err("unknown to the server");
            assert!(matches!(reason(&refusal), rustls::Error::InvalidCertificate(_)), "{refusal}");
            assert!(is_alert(&asked.expect_err("refused by the server")));
        }
    }
}

async fn a_wrong_host_name_is_refused<R: Runtime>(runtime: R) {
    let authority = Authority::new("one");
    let (near, far) = pair(&runtime).await;
    let mut near = Tls::client(near, &authority.client(), "elsewhere.example").expect("a name");
    let mut far = Tls::server(far, &authority.server()).expect("a session");
    let (near, far) = join(near.handshake(), far.handshake()).await;
    let refusal = near.expect_err("another name");
    assert!(matches!(reason(&refusal), rustls::Error::InvalidCertificate(_)), "{refusal}");
    assert!(is_alert(&far.expect_err("refused by the client")));
}

async fn a_name_that_is_none_is_an_error<R: Runtime>(runtime: R) {
    let (near, _far) = pair(&runtime).await;
    let error = Tls::client(near, &Authority::new("one").client(), "no name").err();
    assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::InvalidInput));
}

async fn no_tls_at_all_is_refused_and_the_socket_closed<R: Runtime>(runtime: R) {
    let authority = Authority::new("one");
    let (near, mut far) = pair(&runtime).await;
    let speak = async {
        let mut near = Tls::client(near, &authority.client(), "localhost").expect("a name");
        near.handshake().await.expect_err("no TLS")
    };
    let answer = async {
        let mut input = BytesMut::new();
        read(&mut far, &mut input).await.expect("a greeting");
        write(&mut far, "HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
        // The end, or a reset because of what it had sent and nobody read: either way the socket is closed.
        drop(read_all(&mut far).await);
    };
    let (error, ()) = join(speak, answer).await;
    reason(&error);
}

const SOON: Duration = Duration::from_millis(100);

async fn a_server_that_stalls<R: Runtime>(runtime: R) {
    let (near, mut far) = pair(&runtime).await;
    let client = Authority::new("one").client();
    let shake = async {
        let mut near = Tls::client(near, &client, "localhost").expect("a name");
        within(&runtime, Some(SOON), near.handshake()).await.expect_err("nobody answers");
    };
    // Reads to the end, and the end comes although it never says a word.
    let (greeting, ()) = join(read_all(&mut far), shake).await;
    assert!(!greeting.expect("closed").is_empty());
}

async fn a_client_that_stalls<R: Runtime>(runtime: R) {
    let (mut near, far) = pair(&runtime).await;
    let server = Authority::new("one").server();
    let shake = async {
        let mut far = Tls::server(far, &server).expect("a session");
        within(&runtime, Some(SOON), far.handshake()).await.expect_err("nobody speaks");
    };
    let (answer, ()) = join(read_all(&mut near), shake).await;
    assert_eq!(answer.expect("closed"), "");
}

async fn a_handshake_dropped_at_any_poll_goes_on<R: Runtime>(runtime: R) {
    let authority = Authority::new("one");
    let (mut near, mut far) = tls_pair(&runtime, &authority.client(), &authority.server()).await;
    // Each future is polled once and dropped; the next takes up where it was.
    let impatient = async {
        loop {
            let mut once = Some(near.handshake());
            let polled = poll_fn(|cx| {
                let future = std::pin::pin!(once.take().expect("polled once"));
                Poll::Ready(future.poll(cx))
            });
            if let Poll::Ready(done) = polled.await {
                return done;
            }
            glowplug::runtime::time::sleep(&runtime, Duration::from_millis(1)).await;
        }
    };
    let (one, other) = join(impatient, far.handshake()).await;
    one.and(other).expect("a handshake");
}

async fn truncation_is_an_error<R: Runtime>(runtime: R) {
    let (mut near, mut far) = established(&runtime).await;
    write(&mut far, "the whole sto").await.expect("written");
    // The socket closes, and nothing under TLS says that this was the end.
    drop(far);
    assert_eq!(read_some(&mut near, 13).await.expect("read"), "the whole sto");
    let error = read_all(&mut near).await.expect_err("cut off");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    // And stays one.
    assert_eq!(read_all(&mut near).await.expect_err("cut off").kind(), io::ErrorKind::UnexpectedEof);
}

async fn half_close<R: Runtime>(runtime: R) {
    let (mut near, mut far) = established(&runtime).await;
    write(&mut far, "that is all").await.expect("written");
    shutdown(&mut far).await.expect("shut down");
    shutdown(&mut far).await.expect("shutting down again is harmless");
    assert_eq!(read_all(&mut near).await.expect("the end"), "that is all");
    // The peer has finished; we have not.
    let payload = Bytes::from(vec![7; 300_000]);
    let send = async {
        write(&mut near, payload.clone()).await.expect("written");
        shutdown(&mut near).await.expect("shut down");
    };
    let ((), received) = join(send, read_all(&mut far)).await;
    assert!(received.expect("the end") == payload);
}

async fn writing_after_the_end_is_an_error<R: Runtime>(runtime: R) {
    let (mut near, _far) = established(&runtime).await;
    shutdown(&mut near).await.expect("shut down");
    let error = write(&mut near, "one more thing").await.expect_err("too late");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

/// Sends `payload` and the end, and reads to the end, both at once.
async fn exchange<T: Transport>(stream: &mut T, payload: Bytes) -> io::Result<BytesMut> {
    let (mut out, mut input) = (SendBuf::new(), BytesMut::new());
    let (mut finished, mut ended) = (false, false);
    out.push(payload);
    poll_fn(|cx| {
        while !out.is_empty() {
            match stream.poll_write(cx, &mut out)? {
                Poll::Ready(n) => assert!(n > 0),
                Poll::Pending => break,
            }
        }
        finished = finished || out.is_empty() && stream.poll_shutdown(cx)?.is_ready();
        while !ended {
            match stream.poll_read(cx, &mut input)? {
                Poll::Ready(n) => ended = n == 0,
                Poll::Pending => break,
            }
        }
        if finished && ended { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
    .map(|()| input)
}

async fn ten_mib_both_ways_at_once<R: Runtime>(runtime: R) {
    const LEN: u32 = 10 << 20;
    let (mut near, mut far) = established(&runtime).await;
    let up: Bytes = (0..LEN).map(|n| (n % 251) as u8).collect();
    let down: Bytes = (0..LEN).map(|n| (n % 241) as u8).collect();
    let (one, other) = join(exchange(&mut near, up.clone()), exchange(&mut far, down.clone())).await;
    assert!(one.expect("exchanged") == down, "what came down is not what was sent");
    assert!(other.expect("exchanged") == up, "what came up is not what was sent");
}

/// Serves one connection after the other under TLS from memory, for ever.
async fn serve_redis<R: Runtime>(runtime: R, mut listener: R::Listener, config: ServerConfig) {
    let store = memory::Handle::new(memory::Config::new());
    loop {
        let stream = accept(&mut listener).await;
        let stream = Tls::server(stream, &config).expect("a session");
        let machine = memory::Connection::new(runtime.now(), &store);
        Serve::new(runtime.clone(), stream, machine, None, |_, event| match event {}).await;
    }
}

async fn redis_over_tls<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    let authority = Authority::new("one");
    let listener = runtime.listen(&any_port()).await.expect("a free port");
    let port = listener.local_endpoint().expect("an address").socket_addr().expect("TCP").port();
    let work = async {
        let client = Client::builder(runtime.clone()).tls(authority.client());
        let client = client.connect(&format!("rediss://localhost:{port}")).await.expect("connected");
        let long = vec![b'x'; 1 << 20];
        client.run(commands::set("key", long.clone())).await.expect("set");
        let back = client.run(commands::get("key")).await.expect("got");
        assert!(back.as_deref() == Some(&long[..]), "another value came back");
        let calls = (0..100).map(|n| {
            let client = client.clone();
            async move {
                let text = format!("call {n}");
                assert_eq!(client.run(commands::echo(&text)).await.expect("an echo"), text.as_bytes());
            }
        });
        futures_util::future::join_all(calls).await;
    };
    beside(work, serve_redis(runtime.clone(), listener, authority.server())).await;
}

async fn redis_over_tls_refuses<R: Runtime + Spawn<Drive<R>>>(runtime: R) {
    let (one, other) = (Authority::new("one"), Authority::new("other"));
    let listener = runtime.listen(&any_port()).await.expect("a free port");
    let port = listener.local_endpoint().expect("an address").socket_addr().expect("TCP").port();
    let url = format!("rediss://localhost:{port}");
    let refused = Client::builder(runtime.clone()).tls(one.client());
    let refused = beside(refused.connect(&url), serve_redis(runtime.clone(), listener, other.server())).await;
    assert!(matches!(refused, Err(ConnectError::Tls(_))), "{refused:?}");

    // A server that accepts and says nothing: the error tells what the time was spent on.
    let mut listener = runtime.listen(&any_port()).await.expect("a free port");
    let port = listener.local_endpoint().expect("an address").socket_addr().expect("TCP").port();
    let slow = Client::builder(runtime.clone()).tls(one.client()).connect_timeout(Some(SOON));
    let silent = async {
        let mut stream = accept(&mut listener).await;
        read_all(&mut stream).await
    };
    let url = format!("rediss://localhost:{port}");
    let (slow, silent) = join(slow.connect(&url), silent).await;
    assert!(matches!(slow, Err(ConnectError::TimedOut("agreed on tls"))), "{slow:?}");
    silent.expect("the socket is closed");
}
