//! Cookies: given back to whom they came from, and to nobody else.

use glowplug::runtime::http::{Client, CookieJar, CookieLimits};
use http::Uri;

use crate::kit::Plug;
use crate::server::{Log, Reply, Seen, Site};
use crate::support::{self, beside};

support::on_each_executor![
    what_is_set_comes_back,
    redirects_carry_no_cookies_across,
    a_request_may_go_without,
    a_request_of_ones_own_has_the_jar_it_is_given,
];

fn url(text: &str) -> Uri {
    text.parse().expect("a url")
}

/// Sets what the query says, redirects to what the path says, and else tells what it got.
fn setting(seen: &Seen) -> Reply {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let mut reply = match path.strip_prefix("/to/") {
        Some(place) => Reply::status(302).field("location", format!("http://{place}")),
        None => Reply::text(seen.field("cookie").unwrap_or("none")),
    };
    for cookie in query.split('&').filter(|cookie| !cookie.is_empty()) {
        reply = reply.field("set-cookie", cookie.replace('+', "; "));
    }
    reply
}

/// A client whose every name leads to the site, and its jar.
fn with_jar<R: Plug>(runtime: &R, site: &Site<R>) -> (Client<R>, CookieJar) {
    let jar = CookieJar::new();
    let client = Client::builder(runtime.clone()).cookies(jar.clone()).connect_to(site.at.clone());
    (client.build(), jar)
}

async fn ask<R: Plug>(client: &Client<R>, url: &str) -> String {
    client.get(url).send().await.expect("an answer").text().await.expect("a body")
}

async fn what_is_set_comes_back<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (client, jar) = with_jar(&runtime, &site);
    let log = Log::default();
    let work = async {
        assert_eq!(ask(&client, "http://a.example/?one=1&two=2+Path=/deep&three=3+Secure").await, "none");
        assert_eq!(jar.len(), 2, "a secure cookie comes over https alone");
        assert_eq!(ask(&client.clone(), "http://a.example/").await, "one=1");
        assert_eq!(ask(&client, "http://a.example/deep/er").await, "two=2; one=1");
        assert_eq!(ask(&client, "http://a.example/?one=1+Max-Age=0").await, "one=1");
        assert_eq!(ask(&client, "http://a.example/").await, "none");
        // Other hosts, below and beside.
        ask(
            &client,
            "http://a.example/?host=1&all=2+Domain=a.example&evil=3+Domain=b.example&tld=4+Domain=example",
        )
        .await;
        assert_eq!(ask(&client, "http://a.example/").await, "host=1; all=2");
        assert_eq!(ask(&client, "http://www.a.example/").await, "all=2");
        assert_eq!(ask(&client, "http://b.example/").await, "none");
        assert_eq!(ask(&client, "http://aa.example/").await, "none");
        // What the caller says is said.
        let request = client.get("http://a.example/").header("cookie", "mine=1");
        assert_eq!(request.send().await.expect("an answer").text().await.expect("a body"), "mine=1");
    };
    beside(work, site.serve(log, setting)).await;
}

async fn redirects_carry_no_cookies_across<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (client, jar) = with_jar(&runtime, &site);
    let log = Log::default();
    let work = async {
        // What is set on the way is there at once, each with its own host.
        ask(&client, "http://a.example/?a=1").await;
        ask(&client, "http://b.example/?b=1").await;
        assert_eq!(ask(&client, "http://a.example/to/b.example/x?a2=2+Path=/").await, "b=1");
        assert_eq!(ask(&client, "http://a.example/to/a.example/x?a3=3+Path=/").await, "a=1; a2=2; a3=3");
        assert_eq!(ask(&client, "http://b.example/to/c.example/x").await, "none");
        let request = client.get("http://a.example/to/b.example/x").header("cookie", "mine=1");
        assert_eq!(request.send().await.expect("an answer").text().await.expect("a body"), "b=1");
        for seen in log.all() {
            let (host, cookies) = (seen.field("host").expect("a host"), seen.field("cookie").unwrap_or(""));
            assert!(host == "a.example" || !cookies.contains('a') && !cookies.contains("mine"), "{seen:?}");
        }
        assert_eq!(jar.get(&url("http://a.example/"), "a2").as_deref(), Some("2"));
    };
    beside(work, site.serve(log.clone(), setting)).await;
}

async fn a_request_may_go_without<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (client, jar) = with_jar(&runtime, &site);
    let work = async {
        ask(&client, "http://a.example/?a=1").await;
        let request = client.get("http://a.example/?b=1").cookies(None);
        assert_eq!(request.send().await.expect("an answer").text().await.expect("a body"), "none");
        let other = CookieJar::new();
        let request = client.get("http://a.example/?c=1").cookies(Some(other.clone()));
        assert_eq!(request.send().await.expect("an answer").text().await.expect("a body"), "none");
        assert_eq!((jar.len(), other.len()), (1, 1));
        assert_eq!(ask(&client, "http://a.example/").await, "a=1");
    };
    beside(work, site.serve(Log::default(), setting)).await;
}

async fn a_request_of_ones_own_has_the_jar_it_is_given<R: Plug>(runtime: R) {
    let site = Site::open(&runtime).await;
    let (client, jar) = with_jar(&runtime, &site);
    let work = async {
        for (given, len) in [(None, 0), (Some(jar.clone()), 1)] {
            let mut request = http::Request::get("http://a.example/?a=1").body(String::new()).expect("valid");
            if let Some(jar) = given {
                request.extensions_mut().insert(jar);
            }
            let answer = client.request(request).await.expect("an answer");
            answer.into_body().bytes(100).await.expect("a body");
            assert_eq!(jar.len(), len);
        }
    };
    beside(work, site.serve(Log::default(), setting)).await;
}

#[test]
fn a_jar_holds_so_much_and_no_more() {
    let limits =
        CookieLimits::default().max_cookies(5).max_per_domain(3).max_cookie_len(40).max_header_len(20);
    let jar = CookieJar::with_limits(limits);
    let (a, b) = (url("http://a.example/"), url("http://b.example/"));
    assert!(!jar.set(&a, &format!("long={}", "x".repeat(40))), "max_cookie_len");
    for n in 0..4 {
        assert!(jar.set(&a, &format!("a{n}=1")));
    }
    assert_eq!((jar.len(), jar.get(&a, "a0")), (3, None), "max_per_domain");
    // What is set anew is new.
    assert!(jar.set(&a, "a1=2"));
    assert!(jar.set(&a, "a4=1"));
    assert_eq!((jar.get(&a, "a1").as_deref(), jar.get(&a, "a2")), (Some("2"), None));
    for n in 0..3 {
        assert!(jar.set(&b, &format!("b{n}=1")));
    }
    assert_eq!((jar.len(), jar.get(&a, "a3")), (5, None), "max_cookies");
    let jar = CookieJar::with_limits(CookieLimits::default().max_header_len(20));
    for n in 0..5 {
        assert!(jar.set(&a, &format!("name{n}=1")));
    }
    assert_eq!(jar.header(&a).expect("some"), "name0=1; name1=1", "max_header_len");
    jar.clear();
    assert!(jar.is_empty() && jar.header(&a).is_none());
}

#[test]
fn who_may_set_what() {
    let jar = CookieJar::new();
    let (plain, secure) = (url("http://a.co.uk/x/y"), url("https://a.co.uk/x/y"));
    for (url, cookie, taken) in [
        (&plain, "a=1; Secure", false),
        (&secure, "a=1; Secure", true),
        (&secure, "__Secure-a=1", false),
        (&secure, "__secure-a=1; Secure", true),
        (&secure, "__Host-a=1; Secure; Path=/x", false),
        (&secure, "__Host-b=1; Secure; Path=/; Domain=a.co.uk", false),
        (&secure, "__Host-a=1; Secure; Path=/", true),
        (&plain, "b=1; Domain=uk", false),
        (&plain, "c=1; Domain=co.uk", true),
        (&plain, "d=1; Domain=other.co.uk", false),
        (&plain, "e=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", false),
        (&url("/no/host"), "f=1", false),
        (&plain, "", false),
    ] {
        assert_eq!(jar.set(url, cookie), taken, "{url} {cookie}");
    }
    let strict = CookieJar::new();
    strict
        .public_suffixes("// ===BEGIN ICANN DOMAINS===\nuk\nco.uk\n// ===END ICANN DOMAINS===\n")
        .expect("a list");
    assert!(!strict.set(&plain, "c=1; Domain=co.uk"));
    assert!(strict.set(&plain, "c=1; Domain=a.co.uk"));
}

#[test]
fn a_jar_is_written_and_read() {
    let jar = CookieJar::new();
    let a = url("https://a.example/x/");
    for cookie in ["stays=1; Max-Age=1000; Secure; HttpOnly; Path=/x", "goes=1"] {
        assert!(jar.set(&a, cookie));
    }
    let (mut some, mut all) = (Vec::new(), Vec::new());
    jar.save(&mut some).and_then(|()| jar.save_all(&mut all)).expect("written");
    let back = CookieJar::load(&*some, CookieLimits::default()).expect("read");
    assert_eq!(back.header(&a).expect("one"), "stays=1");
    assert_eq!(back.header(&url("http://a.example/x/")), None);
    let back = CookieJar::load(&*all, CookieLimits::default()).expect("read");
    assert_eq!(back.header(&a).expect("both"), "goes=1; stays=1");
    let few = CookieJar::load(&*all, CookieLimits::default().max_cookies(1)).expect("read");
    assert_eq!(few.len(), 1);
    assert!(CookieJar::load(&b"no json"[..], CookieLimits::default()).is_err());
}
