//! Redirects: where they lead, with which method and body, and what stays behind.

use glowplug::runtime::http::{Body, Client, ClientError};
use http::Method;

use crate::basics::{Plug, client};
use crate::server::{Log, Reply, Seen, Site};
use crate::support::{self, beside};

support::on_each_executor![
    each_status_has_its_method_rules,
    credentials_stay_with_their_origin,
    a_limit_ends_a_circle,
    locations_that_lead_nowhere,
    none_are_followed_where_none_are_wanted,
    a_body_that_is_gone_is_the_callers_business,
    the_connection_goes_on,
];

/// `/301/to` answers 301 with the location `/to`; everything else tells what it got.
fn redirecting(seen: &Seen) -> Reply {
    let path = seen.target.trim_start_matches('/');
    match path.split_once('/').map(|(status, to)| (status.parse(), to)) {
        Some((Ok(status), to)) => {
            let location = if to.starts_with("http") { to.to_owned() } else { format!("/{to}") };
            // A body that nobody reads.
            Reply { status, ..Reply::text("moved") }.field("location", location)
        }
        _ => Reply::text(format!("{} {} {}", seen.method, seen.target, seen.text())),
    }
}

async fn each_status_has_its_method_rules<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base, client) = (Log::default(), site.url(""), client(&runtime));
    let work = async {
        for (method, status, lands) in [
            (Method::GET, 301, "GET /x "),
            (Method::GET, 308, "GET /x "),
            (Method::POST, 301, "GET /x "),
            (Method::POST, 302, "GET /x "),
            (Method::POST, 303, "GET /x "),
            (Method::POST, 307, "POST /x body"),
            (Method::POST, 308, "POST /x body"),
            (Method::PUT, 301, "PUT /x body"),
            (Method::PUT, 302, "PUT /x body"),
            (Method::PUT, 303, "GET /x "),
            (Method::DELETE, 307, "DELETE /x body"),
        ] {
            let mut request = client.method(method.clone(), format!("{base}/{status}/x"));
            if method != Method::GET {
                request = request.body("body").header("content-type", "text/plain");
            }
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.url().to_string(), format!("{base}/x"));
            assert_eq!(answer.text().await.expect("a body"), lands, "{method} {status}");
            let kept = log.last().field("content-type").is_some();
            assert_eq!(kept, lands.ends_with("body"), "{method} {status}");
        }
        // A choice, or an answer without a location, is the caller's business.
        let answer = client.get(format!("{base}/300/x")).send().await.expect("an answer");
        assert_eq!(answer.status(), 300);
    };
    beside(work, site.serve(log.clone(), redirecting)).await;
}

async fn credentials_stay_with_their_origin<R: Plug>(runtime: R) {
    let (here, there) = (Site::open(&runtime).await, Site::open(&runtime).await);
    let (base, far) = (here.url(""), there.url(""));
    let (near_log, far_log, client) = (Log::default(), Log::default(), client(&runtime));
    let work = async {
        let request = client.get(format!("{base}/302/302/{far}/x"));
        let request = request.bearer_auth("secret").header("cookie", "secret").header("x-a", "1");
        request.send().await.expect("an answer");
        let seen = near_log.last();
        assert_eq!(seen.target, format!("/302/{far}/x"));
        assert_eq!(
            (seen.field("authorization"), seen.field("cookie")),
            (Some("Bearer secret"), Some("secret"))
        );
        let seen = far_log.last();
        assert_eq!((seen.field("authorization"), seen.field("cookie")), (None, None));
        assert_eq!(seen.field("x-a"), Some("1"));
        assert_eq!(seen.field("host"), far.strip_prefix("http://"));
    };
    let servers = futures_util::future::join(
        here.serve(near_log.clone(), redirecting),
        there.serve(far_log.clone(), redirecting),
    );
    beside(work, servers).await;
}

async fn a_limit_ends_a_circle<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base, client) = (Log::default(), site.url(""), client(&runtime));
    let circle = |_: &Seen| Reply::status(302).field("location", "/again");
    let work = async {
        let lost = client.get(&*base).send().await;
        assert!(matches!(lost, Err(ClientError::TooManyRedirects(10))), "{lost:?}");
        assert_eq!(log.len(), 11);
        let lost = client.get(&*base).max_redirects(2).send().await;
        assert!(matches!(lost, Err(ClientError::TooManyRedirects(2))), "{lost:?}");
        assert_eq!(client.connections() - client.idle_connections(), 0);
    };
    beside(work, site.serve(log.clone(), circle)).await;
}

async fn locations_that_lead_nowhere<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (base, client) = (site.url(""), client(&runtime));
    let handler = |seen: &Seen| match seen.target.as_str() {
        "/none" => Reply::status(302),
        "/mail" => Reply::status(302).field("location", "mailto:me@a"),
        "/ftp" => Reply::status(302).field("location", "ftp://a/"),
        _ => Reply::status(302).field("location", "http://"),
    };
    let work = async {
        let answer = client.get(format!("{base}/none")).send().await.expect("an answer");
        assert_eq!(answer.status(), 302);
        for path in ["/mail", "/ftp", "/empty"] {
            let lost = client.get(format!("{base}{path}")).send().await;
            assert!(matches!(lost, Err(ClientError::Redirect(_))), "{path}: {lost:?}");
        }
    };
    beside(work, site.serve(Log::default(), handler)).await;
}

async fn none_are_followed_where_none_are_wanted<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let base = site.url("");
    let client = Client::builder(runtime.clone()).max_redirects(0).build();
    let work = async {
        let answer = client.get(format!("{base}/302/x")).send().await.expect("an answer");
        assert_eq!(answer.status(), 302);
        assert_eq!(answer.headers()["location"], "/x");
        let request = http::Request::get(format!("{base}/302/x")).body(Body::empty()).expect("a request");
        assert_eq!(client.request(request).await.expect("an answer").status(), 302);
    };
    beside(work, site.serve(Log::default(), redirecting)).await;
}

async fn a_body_that_is_gone_is_the_callers_business<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base) = (Log::default(), site.url(""));
    let client = Client::builder(runtime.clone()).replay_limit(3).build();
    let body = |pieces: &'static [&'static str]| {
        let frames =
            pieces.iter().map(|piece| Ok::<_, std::io::Error>(http_body::Frame::data(piece.as_bytes())));
        Body::new(http_body_util::StreamBody::new(futures_util::stream::iter(frames)))
    };
    let work = async {
        let answer = client.post(format!("{base}/307/x")).body(body(&["ab", "cd"])).send().await;
        assert_eq!(answer.expect("an answer").status(), 307);
        let answer = client.post(format!("{base}/303/x")).body(body(&["ab", "cd"])).send().await;
        assert_eq!(answer.expect("an answer").text().await.expect("a body"), "GET /x ");
        let answer = client.post(format!("{base}/307/x")).body(body(&["a", "bc"])).send().await;
        assert_eq!(answer.expect("an answer").text().await.expect("a body"), "POST /x abc");
    };
    beside(work, site.serve(log.clone(), redirecting)).await;
}

async fn the_connection_goes_on<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (log, base, client) = (Log::default(), site.url(""), client(&runtime));
    let work = async {
        let answer = client.get(format!("{base}/301/302/303/x")).send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "GET /x ");
        assert_eq!((client.connections(), client.idle_connections()), (1, 1));
    };
    beside(work, site.serve(log.clone(), redirecting)).await;
    assert_eq!(log.len(), 4);
}
