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

        /// DNS on this runtime.
        #[cfg(feature = "dns")]
        pub mod dns {}

        /// HTTP/1.1 on this runtime.
        #[cfg(feature = "http")]
        pub mod http {
            pub use $crate::http::{
                Body, BoxError, ClientError, Idempotent, Informational, RequestError, Stage, UpgradedParts,
            };

            /// An HTTP client on this runtime.
            pub type Client = $crate::http::Client<$runtime>;
            /// How such a client connects and behaves.
            pub type ClientBuilder = $crate::http::ClientBuilder<$runtime>;
            /// A request in the making.
            pub type RequestBuilder = $crate::http::RequestBuilder<$runtime>;
            /// An answer.
            pub type Response = $crate::http::Response<$runtime>;
            /// The body of an answer.
            pub type Incoming<B = Body> = $crate::http::Incoming<$runtime, B>;
            /// A connection that a server has handed over to another protocol.
            pub type Upgraded = $crate::http::Upgraded<$runtime>;
        }

        /// MongoDB on this runtime.
        #[cfg(feature = "mongodb")]
        pub mod mongodb {}

        /// Redis on this runtime.
        #[cfg(feature = "redis")]
        pub mod redis {
            pub use $crate::redis::{Command, ConnectError, Error, Pipeline, Reply, Typed, commands};

            /// A Redis client on this runtime.
            pub type Client = $crate::redis::Client<$runtime>;
            /// How such a client connects and behaves.
            pub type Builder = $crate::redis::Builder<$runtime>;
            #[cfg(feature = "redis-memory")]
            pub use $crate::redis::serve_memory;
        }

        /// Riak on this runtime.
        #[cfg(feature = "riak")]
        pub mod riak {}

        /// TLS on this runtime's streams.
        #[cfg(feature = "tls")]
        pub mod tls {
            pub use $crate::tls::{ClientConfig, ServerConfig};

            /// A stream of this runtime under TLS.
            pub type Tls = $crate::tls::Tls<<$runtime as $crate::Runtime>::Stream>;
        }

        /// UDP conversations on this runtime.
        #[cfg(feature = "udp")]
        pub mod udp {}
    };
}
