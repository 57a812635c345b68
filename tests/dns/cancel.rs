//! Lookups dropped at every poll, on every executor: those that come after are none the worse.

use futures_util::future::join;
use glowplug::dns::RecordType;
use glowplug::runtime::dns::{Client, ServerConfig};
use glowplug::sim::dropped_after;

use crate::support;
use crate::world::*;

support::on_each_executor![lookups_dropped_at_every_poll, queries_dropped_at_every_poll];

const MANY: u64 = 100;

async fn lookups_dropped_at_every_poll<R: Plug>(runtime: R) {
    with_resolver(&runtime, async |resolver| {
        for (kind, tcp) in [("udp", false), ("tcp", true)] {
            for polls in 0..MANY {
                resolver.clear_cache();
                let text = if tcp {
                    "big.example.test".to_owned()
                } else {
                    format!("{kind}{polls}.many.example.test")
                };
                let rtype = if tcp { RecordType::TXT } else { RecordType::A };
                let dropped = dropped_after(polls, resolver.lookup(&text, rtype)).await;
                // The same name again, and another beside one that is dropped.
                let again = resolver.lookup(&text, rtype).await.expect("an answer");
                assert!(!again.records().is_empty());
                resolver.clear_cache();
                let one = dropped_after(polls, resolver.lookup_ip("www.example.test"));
                let (_, other) = join(one, resolver.lookup_ip("www.example.test")).await;
                assert_eq!(other.expect("addresses").iter().count(), 3);
                if let Some(answer) = dropped {
                    answer.expect("an answer");
                    break;
                }
                assert!(polls + 1 < MANY, "one lookup takes more polls than that");
            }
        }
    })
    .await;
}

async fn queries_dropped_at_every_poll<R: Plug>(runtime: R) {
    with_server(&runtime, ServerConfig::default(), Answers::zones(), async |at| {
        for tcp in [false, true] {
            let client = Client::builder(runtime.clone(), at).tcp_only(tcp).build();
            for polls in 0..MANY {
                let ask = |text: &str| client.ask(text, RecordType::A).expect("a name");
                let (dropped, other) =
                    join(dropped_after(polls, ask("only4.example.test")), ask("www.example.test")).await;
                assert_eq!(other.expect("a reply").view().answers().count(), 2);
                let after = ask("only4.example.test").await.expect("a reply");
                assert_eq!(after.view().answers().count(), 1);
                if dropped.is_some() {
                    break;
                }
                assert!(polls + 1 < MANY, "one query takes more polls than that");
            }
        }
    })
    .await;
}
