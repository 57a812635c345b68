//! One macro that names everything for one plug.

/// Re-exports what this crate offers, bound to one runtime: `redis::Client` for `redis::Client<Tokio>`, and so on.
///
/// A plug calls it once, at its crate root, with the path of its runtime type. Features are the plug's own: it forwards each
/// (`redis = ["glowplug-runtime/redis"]`), and the modules appear with them.
#[macro_export]
macro_rules! plug {
    ($runtime:ty) => {
        pub use $crate::{Endpoint, Runtime};

        /// Streams: a server with limits and a drain, on this runtime.
        pub mod server {
            pub use $crate::server::{Accepted, Config, Stopper, Stopping};

            /// A listening server on this runtime.
            pub type Server = $crate::server::Server<$runtime>;
        }

        /// Services that start together and stop in order, on this runtime.
        pub mod services {
            pub use $crate::services::{Ended, Ending, Failed};

            /// A set of services on this runtime.
            pub type Services = $crate::services::Services<$runtime>;
        }

        /// Tasks with names that live and die together, on this runtime.
        pub mod supervise {
            pub use $crate::supervise::{Child, Outcome, Restart, When};

            /// A scope of tasks on this runtime.
            pub type Scope = $crate::supervise::Scope<$runtime>;
        }

        /// Conversations over TCP, Unix sockets and TLS, on this runtime.
        pub mod tcp {
            pub use $crate::tcp::{Config, Delimiter, Error, LineEnding, Rule, connect, serve};

            /// One conversation on this runtime.
            pub type Connection = $crate::tcp::Connection<$runtime>;
            /// A service of conversations on this runtime.
            pub type Service = $crate::tcp::Service<$runtime>;
        }

        /// DNS on this runtime.
        #[cfg(feature = "dns")]
        pub mod dns {
            pub use $crate::dns::{
                Addresses, Asked, Handler, ServerConfig, SocketConfig, Stopper, system_config,
            };

            #[cfg(feature = "dns-https")]
            pub use $crate::dns::{HttpsConfig, HttpsMethod};

            /// A stub resolver on this runtime.
            pub type Resolver = $crate::dns::Resolver<$runtime>;
            /// A client of one name server, on this runtime.
            pub type Client = $crate::dns::Client<$runtime>;
            /// A name server on this runtime.
            pub type Server = $crate::dns::Server<$runtime>;
        }

        /// HTTP/1.1 on this runtime.
        #[cfg(feature = "http")]
        pub mod http {
            #[cfg(feature = "http-compression")]
            pub use $crate::http::coding;
            pub use $crate::http::server::{self, Config as ServerConfig, service_fn};
            pub use $crate::http::{
                Body, BoxError, ClientError, Download, DownloadError, Form, Idempotent, Informational, Part,
                ProxyError, RequestError, Stage, Transferred, UpgradedParts, multipart, proxies_from_env,
                proxy,
            };
            #[cfg(feature = "http-cookies")]
            pub use $crate::http::{CookieJar, CookieLimits};

            /// An HTTP client on this runtime.
            pub type Client = $crate::http::Client<$runtime>;
            /// How such a client connects and behaves.
            pub type ClientBuilder = $crate::http::ClientBuilder<$runtime>;
            /// A request in the making.
            pub type RequestBuilder = $crate::http::RequestBuilder<$runtime>;
            /// An answer.
            pub type Response = $crate::http::Response<$runtime>;
            /// The body of an answer, decoded.
            pub type Content = $crate::http::Content<$runtime>;
            /// The body of an answer, as it comes.
            pub type Incoming<B = Body> = $crate::http::Incoming<$runtime, B>;
            /// A connection that a server has handed over to another protocol.
            pub type Upgraded = $crate::http::Upgraded<$runtime>;

            /// An HTTP server on this runtime.
            pub type Server = $crate::http::server::Server<$runtime>;
        }

        /// MongoDB on this runtime.
        #[cfg(feature = "mongodb")]
        pub mod mongodb {
            pub use $crate::mongodb::{
                BulkFailure, BulkResult, CommandError, ConnectError, ConnectionString, Document, Error,
                OwnedValue, PoolConfig, ReadConcern, ReadMode, ReadPreference, WriteConcern, WriteModel,
                bson, doc,
            };

            /// A MongoDB client on this runtime.
            pub type Client = $crate::mongodb::Client<$runtime>;
            /// How such a client connects and behaves.
            pub type Builder = $crate::mongodb::Builder<$runtime>;
            /// A database of such a client.
            pub type Database = $crate::mongodb::Database<$runtime>;
            /// A collection of such a client.
            pub type Collection<T> = $crate::mongodb::Collection<T, $runtime>;
            /// A cursor of such a client.
            pub type Cursor<T> = $crate::mongodb::Cursor<T, $runtime>;
            /// A session of such a client.
            pub type Session = $crate::mongodb::Session<$runtime>;
            #[cfg(feature = "mongodb-memory")]
            pub use $crate::mongodb::serve_memory;
        }

        /// Redis on this runtime.
        #[cfg(feature = "redis")]
        pub mod redis {
            pub use $crate::redis::{
                CacheConfig, CacheStats, Command, Commands, CommandsMut, ConnectError, Error, HubEvent,
                MonitorLine, Pipeline, ReadFrom, Reply, Scope, StreamItem, Subscription, Transaction, Typed,
                commands,
            };

            /// A Redis client on this runtime.
            pub type Client = $crate::redis::Client<$runtime>;
            /// How such a client connects and behaves.
            pub type Builder = $crate::redis::Builder<$runtime>;
            /// Several such clients that take turns.
            pub type ClientPool = $crate::redis::ClientPool<$runtime>;
            /// What the server runs, as a stream.
            pub type Monitor = $crate::redis::Monitor<$runtime>;
            /// A connection for one caller alone, on this runtime.
            pub type Dedicated = $crate::redis::Dedicated<$runtime>;
            #[cfg(feature = "redis-memory")]
            pub use $crate::redis::serve_memory;
        }

        /// Riak on this runtime.
        #[cfg(feature = "riak")]
        pub mod riak {
            pub use $crate::riak::{
                Bucket, Change, ConnectError, Content, CounterChange, Data, Error, Fetched, GSetChange,
                HllChange, Json, Location, MapChange, Object, Quorum, ServerErrorKind, SetChange, fold,
                request, resolve, wire,
            };

            /// A Riak client on this runtime.
            pub type Client = $crate::riak::Client<$runtime>;
            /// How such a client connects and behaves.
            pub type Builder = $crate::riak::Builder<$runtime>;
            /// A bucket whose values are all of one type.
            pub type TypedBucket<T, C = Json> = $crate::riak::TypedBucket<T, $runtime, C>;
            #[cfg(all(feature = "riak-memory", feature = "tls"))]
            pub use $crate::riak::serve_memory_tls;
            #[cfg(feature = "riak-memory")]
            pub use $crate::riak::{memory, serve_memory};
        }

        /// TLS on this runtime's streams.
        #[cfg(feature = "tls")]
        pub mod tls {
            pub use $crate::tls::{ClientConfig, ServerConfig};

            /// A stream of this runtime under TLS.
            pub type Tls = $crate::tls::Tls<<$runtime as $crate::Runtime>::Stream>;
        }

        /// UDP conversations on this runtime.
        #[cfg(feature = "udp")]
        pub mod udp {
            pub use $crate::udp::{
                Child, Closed, Config, ConnectError, Conversation, SendError, connect, conversation, serve,
            };

            /// A socket of conversations on this runtime.
            pub type Listener = $crate::udp::Listener<$runtime>;
            /// How such a socket behaves.
            pub type Builder = $crate::udp::Builder<$runtime>;

            /// Reliable conversations on this runtime.
            pub mod reliable {
                pub use $crate::udp::reliable::{ChannelConfig, Child, Conversation, Order, current};

                /// A socket of reliable conversations on this runtime.
                pub type Listener = $crate::udp::reliable::Listener<$runtime>;
            }
        }

        /// WebSocket on this runtime.
        #[cfg(feature = "websocket")]
        pub mod websocket {
            pub use $crate::websocket::{
                AcceptError, ByteString, CloseCode, CloseFrame, Config, ConnectError, DeflateConfig, Error,
                Event, Message, MessageKind, Rejection,
            };

            /// A WebSocket on this runtime: a client's, or one on a transport of your own.
            pub type WebSocket<T = $crate::http::Stream<$runtime>> =
                $crate::websocket::WebSocket<$runtime, T>;
            /// A WebSocket that came through the HTTP server.
            pub type ServerSocket = $crate::websocket::ServerSocket<$runtime>;
            /// How a client connects.
            pub type Connector = $crate::websocket::Connector<$runtime>;
            /// How a server accepts.
            pub type Acceptor = $crate::websocket::Acceptor<$runtime>;
        }
    };
}
