//! URLs as people type them.

use glowplug::runtime::http::{Client, ClientError, RequestError};

use crate::kit::Plug;
use crate::server::{Log, Reply, Site};
use crate::support::{self, beside};

support::on_each_executor![names_that_are_not_ascii];

async fn names_that_are_not_ascii<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let client = Client::builder(runtime.clone()).connect_to(site.at.clone()).build();
    let log = Log::default();
    let work = async {
        let answer =
            client.get("http://B\u{fc}cher.example/caf\u{e9}?q=\u{fc}#top").send().await.expect("an answer");
        assert_eq!(answer.url(), "http://xn--bcher-kva.example/caf%C3%A9?q=%C3%BC");
        assert_eq!(log.last().field("host"), Some("xn--bcher-kva.example"));
        assert_eq!(log.last().target, "/caf%C3%A9?q=%C3%BC");
        let refused = client.get("http://a\u{2f00}\u{ff0f}b/").send().await;
        assert!(matches!(refused, Err(ClientError::Request(RequestError::Url(_)))), "{refused:?}");
        assert_eq!(log.len(), 1);
    };
    beside(work, site.serve(log.clone(), |_| Reply::text(""))).await;
}
