//! Where `mongodb+srv` leads: the connection string asks for SRV and TXT records, a resolver answers.
//!
//! Specification "Initial DNS Seedlist Discovery"; what the records may say is checked by
//! [`ConnectionString::resolve_srv`].

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use glowplug_dns::resolver::LookupError;
use glowplug_dns::{Name, Service};
use glowplug_mongodb::ConnectionString;

use super::ConnectError;
use crate::Runtime;
use crate::dns::Resolver;

/// Fills in the hosts and options that DNS knows. Without a resolver of the user's, the system's configuration is asked by one that lives
/// as long as the question.
pub(super) async fn resolve<R: Runtime>(
    runtime: &R,
    resolver: Option<&Resolver<R>>,
    string: &mut ConnectionString,
) -> Result<(), ConnectError> {
    let (Some(srv), Some(txt)) = (string.srv_name(), string.txt_name().map(str::to_owned)) else {
        return Ok(());
    };
    let (services, texts) = match resolver {
        Some(resolver) => ask(resolver, &srv, &txt).await?,
        None => {
            let system = Resolver::builder(runtime.clone()).system();
            let (resolver, drive) =
                system.map_err(|error| ConnectError::Records(error.into()))?.build_undriven();
            let (mut drive, mut asking) = (pin!(drive), pin!(ask(&resolver, &srv, &txt)));
            poll_fn(|cx| {
                if let Poll::Ready(answered) = asking.as_mut().poll(cx) {
                    return Poll::Ready(answered);
                }
                // It ends with the last handle on it, which is ours.
                let _ = drive.as_mut().poll(cx);
                asking.as_mut().poll(cx)
            })
            .await?
        }
    };
    let services: Vec<_> =
        services.iter().map(|service| (service.target.to_string(), service.port)).collect();
    let texts = texts.into_iter().map(|text| {
        String::from_utf8(text.into())
            .map_err(|_| ConnectError::Uri(glowplug_mongodb::UriError::Dns("a TXT record is not UTF-8")))
    });
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    string.resolve_srv(&services, &texts, &mut runtime.seed().rng()).map_err(ConnectError::Uri)
}

async fn ask<R: Runtime>(
    resolver: &Resolver<R>,
    srv: &str,
    txt: &str,
) -> Result<(Vec<Service>, Vec<Bytes>), ConnectError> {
    let name = |name: &str| {
        name.parse::<Name>().map_err(|error| ConnectError::Records(LookupError::BadName(error).into()))
    };
    // Both have begun before the first is waited for.
    let (services, texts) = (resolver.srv(name(srv)?), resolver.txt(name(txt)?));
    let services = services.await.map_err(|error| ConnectError::Records(error.into()))?;
    let texts = match texts.await {
        // There need not be one.
        Err(LookupError::NoRecords | LookupError::NoSuchName) => Vec::new(),
        texts => texts.map_err(|error| ConnectError::Records(error.into()))?,
    };
    Ok((services, texts))
}
