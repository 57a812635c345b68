//! Client and server of this library over TLS, with more in each direction than any buffer between them holds.

use bytes::Bytes;
use futures_util::future::join;
use glowplug::runtime::Runtime;
use glowplug::runtime::Spawn;
use glowplug::runtime::http::server::Server;
use glowplug::runtime::http::{Body, Client, Reaper};
use glowplug::runtime::tls::rustls::pki_types::PrivatePkcs8KeyDer;
use glowplug::runtime::tls::{ClientConfig, ServerConfig};

use crate::http_web::{self, app};
use crate::support::{self, any_port};

support::on_each_executor![a_megabyte_each_way];

/// What these tests ask of a plug: that client and server run on it.
pub(crate) trait Plug:
    http_web::Plug + Runtime<Connecting: Send, Resolving: Send> + Spawn<Reaper<Self>>
{
}

impl<R> Plug for R where R: http_web::Plug + Runtime<Connecting: Send, Resolving: Send> + Spawn<Reaper<R>> {}

const LEN: usize = 1 << 20;

async fn a_megabyte_each_way<R: Plug>(runtime: R) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let config = ServerConfig::new(vec![certificate.clone()], key).expect("a configuration");
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port").tls(config);
    let (at, stopper) = (server.local_endpoint().expect("an address"), server.stopper());
    let work = async {
        let tls = ClientConfig::with_roots([certificate]).expect("a configuration");
        let client = Client::builder(runtime.clone()).tls(tls).connect_to(at).build();
        let body = Bytes::from((0..LEN).map(|n| (n % 253) as u8).collect::<Vec<_>>());
        let pieces = body
            .chunks(10_000)
            .map(|piece| Ok::<_, std::io::Error>(http_body::Frame::data(body.slice_ref(piece))));
        let stream = futures_util::stream::iter(pieces.collect::<Vec<_>>());
        let chunked = Body::new(http_body_util::StreamBody::new(stream));
        for sent in [Body::from(body.clone()), chunked] {
            // What comes back comes back while the rest is still on its way.
            let answer = client.post("https://localhost/echo").body(sent).send().await.expect("an answer");
            assert!(answer.bytes().await.expect("a body") == body, "another body");
            let count = client.post("https://localhost/count").body(body.clone()).send().await;
            assert_eq!(count.expect("an answer").text().await.expect("a body"), LEN.to_string());
            for path in ["pieces", "announced"] {
                let answer = client.get(format!("https://localhost/{path}?{LEN}")).send().await;
                assert_eq!(answer.expect("an answer").bytes().await.expect("a body").len(), LEN, "{path}");
            }
        }
        assert_eq!(client.connections(), 1);
        drop(client);
        stopper.stop();
    };
    join(work, server.run(app(&runtime))).await;
}
