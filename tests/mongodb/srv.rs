//! `mongodb+srv`: a DNS server tells where the database is.

use glowplug::dns::resolver::{Hosts, ResolverConfig};
use glowplug::dns::{Zone, Zones};
use glowplug::mongodb::{TopologyError, UriError, doc};
use glowplug::runtime::Spawn;
use glowplug::runtime::dns::{Resolver, ResolverDrive, Server as DnsServer, Serving as DnsServing};
use glowplug::runtime::mongodb::{Builder, Client, ConnectError, serve_memory_tls};
use glowplug::runtime::server::{Guarded, Server};

use crate::support::{any_port, beside};
use crate::tls::Authority;
use crate::{Plug, beside_server, data, support};

support::on_each_executor![records_lead_to_the_server, tls_is_on_by_default, records_that_cannot_be_used,];

trait Named: Plug + Spawn<ResolverDrive<Self>> + Spawn<Guarded<DnsServing<Zones, Self>>> {}

impl<R: Plug + Spawn<ResolverDrive<R>> + Spawn<Guarded<DnsServing<Zones, R>>>> Named for R {}

/// Runs `work` beside a name server with this zone of `example.test`; it gets builders that ask it for everything.
async fn with_zone<R: Named>(runtime: &R, zone: &str, work: impl AsyncFnOnce(&dyn Fn() -> Builder<R>)) {
    let text = format!("$TTL 60\n@ SOA ns h 1 2 3 4 60\n@ NS ns\n{zone}");
    let zone = Zone::from_text("example.test".parse().expect("a name"), text.as_bytes()).expect("a zone");
    let at = any_port().socket_addr().expect("an address");
    let server = DnsServer::bind(runtime.clone(), at).await.expect("a free port");
    let config =
        ResolverConfig { servers: vec![server.local_addr().expect("an address")], ..Default::default() };
    let hosts = Hosts::parse(b"127.0.0.1 db.example.test");
    let resolver = Resolver::builder(runtime.clone()).config(config).hosts(hosts).build();
    let stopper = server.stopper();
    let work = async {
        let builder = || Client::builder(runtime.clone()).records_from(&resolver).resolver(resolver.remote());
        work(&builder).await;
        stopper.stop();
    };
    let (served, ()) = futures_util::future::join(server.run(Zones::new([zone])), work).await;
    served.expect("served");
}

fn port(at: &str) -> &str {
    at.rsplit_once(':').expect("a port").1
}

async fn records_lead_to_the_server<R: Named>(runtime: R) {
    beside_server(runtime.clone(), data(&[("ada", "s3cret")]), async |at: String| {
        let zone = format!(
            "_mongodb._tcp.cluster SRV 0 0 {0} db\n_other._tcp.cluster SRV 0 0 {0} db\ncluster TXT \"authSource=\" \"admin\"\n",
            port(&at)
        );
        with_zone(&runtime, &zone, async |builder| {
            for options in ["?tls=false", "shop?tls=false&srvServiceName=other"] {
                let uri = format!("mongodb+srv://ada:s3cret@cluster.example.test/{options}");
                let client = builder().connect(&uri).await.expect("connected");
                client.ping().await.expect("there");
                let fruit = client.default_database().collection("fruit");
                fruit.insert_one(&doc! {}).run().await.expect("authenticated by the record's option");
            }
            // What the string says goes before what the record says.
            let uri = "mongodb+srv://ada:s3cret@cluster.example.test/?tls=false&authSource=elsewhere";
            let client = builder().connect(uri).await;
            assert!(client.is_ok(), "the embedded server knows its users in every database");
        })
        .await;
    })
    .await;
}

async fn tls_is_on_by_default<R: Named>(runtime: R) {
    let authority = Authority::new();
    let tls = authority.server(&["db.example.test"]);
    let server = Server::bind(runtime.clone(), any_port()).await.expect("a free port");
    let at = server.local_endpoint().expect("an address").to_string();
    let zone = format!("_mongodb._tcp.cluster SRV 0 0 {} db\n", port(&at));
    let work = with_zone(&runtime, &zone, async |builder| {
        let uri = "mongodb+srv://cluster.example.test";
        let client = builder().tls(authority.trust()).connect(uri).await.expect("connected");
        client.ping().await.expect("there");
    });
    beside(work, serve_memory_tls(runtime.clone(), server, tls, data(&[]))).await;
}

async fn records_that_cannot_be_used<R: Named>(runtime: R) {
    let zone = r#"
_mongodb._tcp.strays SRV 0 0 27017 db.elsewhere.test.
_mongodb._tcp.options SRV 0 0 27017 db
options TXT "ssl=false"
_mongodb._tcp.many SRV 0 0 27017 db
many TXT "authSource=a"
many TXT "authSource=b"
_mongodb._tcp.latin SRV 0 0 27017 db
latin TXT "authSource=\255"
_mongodb._tcp.several SRV 0 0 27017 db
_mongodb._tcp.several SRV 0 0 27018 db
"#;
    with_zone(&runtime, zone, async |builder| {
        let refused = async |name: &str| {
            let connected = builder().connect(&format!("mongodb+srv://{name}.example.test/?tls=false")).await;
            connected.map(drop).expect_err(name)
        };
        for name in ["strays", "options", "many", "latin"] {
            let error = refused(name).await;
            assert!(matches!(error, ConnectError::Uri(UriError::Dns(_))), "{name}: {error:?}");
        }
        assert!(matches!(refused("nothing").await, ConnectError::Records(_)));
        let error = refused("several").await;
        assert!(matches!(error, ConnectError::Topology(TopologyError::SeveralHosts(2))), "{error:?}");
    })
    .await;
}
