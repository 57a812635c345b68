//! Every machine of this house keeps every law: one line each.

#[cfg(feature = "redis")]
use glowplug_conformance::subjects::redis;

#[cfg(feature = "redis")]
glowplug_conformance::stream_laws!(redis_handshake, redis::handshake());
#[cfg(feature = "redis")]
glowplug_conformance::stream_laws!(redis_client, redis::client());
#[cfg(feature = "redis")]
glowplug_conformance::stream_laws!(redis_server, redis::server());
#[cfg(feature = "redis")]
glowplug_conformance::stream_laws!(redis_memory, redis::memory());
