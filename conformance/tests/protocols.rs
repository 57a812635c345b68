//! Every machine of this house keeps every law: one line each.

use glowplug_conformance::{datagram_laws, stream_laws, subjects};

stream_laws!(dns_client, subjects::dns::client());
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
stream_laws!(websocket_client, subjects::websocket::client());
stream_laws!(websocket_server, subjects::websocket::server());
stream_laws!(websocket_server_in_pieces, subjects::websocket::server_in_pieces());
