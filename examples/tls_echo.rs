//! The echo, in private: TLS with a certificate made on the spot, which the client verifies.
//!
//! ```sh
//! cargo run --example tls_echo
//! cargo run --example tls_echo -- --on tokio --listen 127.0.0.1:7443   # openssl s_client -connect 127.0.0.1:7443 -crlf
//! ```

pub(crate) mod common;

use common::{Failure, Options, on_executor};
use futures_util::future::{Either, select};
use glowplug::runtime::Runtime;
use glowplug::runtime::dial::Dialer;
use glowplug::runtime::services::Services;
use glowplug::runtime::tcp::{Connection, Service};
use glowplug::runtime::tls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use glowplug::runtime::tls::{ClientConfig, ServerConfig};

fn main() -> Result<(), Failure> {
    run(&Options::from_args()?)
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate: CertificateDer<'static> = signed.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let server = ServerConfig::new(vec![certificate.clone()], key.into())?;
    on_executor!(options, |runtime| async {
        let service = Service::bind(runtime.clone(), options.address()).await?.tls(server);
        let at = service.local_endpoint()?;
        println!("listening at {at}");
        let mut services = Services::new(runtime.clone());
        services.add("echo", service.stopper(), service.serve(echo));
        if options.listen.is_some() {
            services.run_until_interrupted().await??;
            return Ok(());
        }
        let port = at.socket_addr().map_or(0, |address| address.port());
        match select(Box::pin(talk(&runtime, port, certificate)), Box::pin(services.run())).await {
            Either::Left((talked, _)) => talked,
            Either::Right(_) => Err("the service ended".into()),
        }
    })
}

/// The same conversation as without TLS: the function does not notice.
async fn echo<R: Runtime>(mut connection: Connection<R>) {
    while let Ok(line) = connection.read_line().await {
        if connection.send([&line[..], b"\r\n"].concat()).await.is_err() {
            return;
        }
    }
}

async fn talk<R: Runtime>(
    runtime: &R,
    port: u16,
    certificate: CertificateDer<'static>,
) -> Result<(), Failure> {
    // Who trusts the certificate is served.
    let dialer = Dialer::new(runtime.clone());
    let trusting = dialer.clone().tls_config(ClientConfig::with_roots([certificate])?);
    let mut connection = Connection::new(runtime.clone(), trusting.tls("localhost", port).await?);
    connection.send("a secret\r\n").await?;
    println!("the echo of {:?}", connection.read_line().await?);
    // Who asks for the system's roots refuses, and nobody can turn that off.
    match dialer.tls("localhost", port).await {
        Err(error) => println!("without the certificate: {error}"),
        Ok(_) => return Err("an unknown certificate was accepted".into()),
    }
    connection.close().await?;
    Ok(())
}
