//! HTTP: a server that is one async function, and a client whose answers drive themselves.

use ::http::{Request, Response, StatusCode, header::LOCATION};
use futures_util::future::join_all;
use glowplug::runtime::BoxFuture;
use glowplug::runtime::http::Client;
use glowplug::runtime::http::server::{Incoming, Server, ServiceFn, service_fn};

use crate::{Failure, Plug, Stage, Told, beside};

/// What each step has to come to, wherever it happens.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("a page", "200, hello from /here"),
    ("a page that is not there", "404, and the connection goes on"),
    ("a page that has moved", "200, hello from /here, at /here"),
    ("20 pages one by one", "1 connection"),
    ("20 pages at once", "20 answers, each its own"),
    ("a mebibyte, there and back", "1048576 bytes, the same"),
];

type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, Failure>;
pub(crate) type App = ServiceFn<fn(Request<Incoming>) -> BoxFuture<Response<Body>>>;

fn text(status: StatusCode, text: String) -> Response<Body> {
    use http_body_util::BodyExt as _;
    let body = http_body_util::Full::new(text.into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// The application. A body that goes back as it comes is streamed, not collected.
fn answer(request: Request<Incoming>) -> BoxFuture<Response<Body>> {
    use http_body_util::BodyExt as _;
    Box::pin(async move {
        match request.uri().path() {
            "/moved" => {
                let mut response = text(StatusCode::FOUND, String::new());
                response.headers_mut().insert(LOCATION, ::http::HeaderValue::from_static("/here"));
                response
            }
            "/missing" => text(StatusCode::NOT_FOUND, String::new()),
            "/echo" => Response::new(request.into_body().map_err(Failure::from).boxed_unsync()),
            path => text(StatusCode::OK, format!("hello from {path}")),
        }
    })
}

pub(crate) async fn tell<R: Plug>(stage: &Stage<R>) -> Result<Told, Failure> {
    let server = Server::bind(stage.server.clone(), stage.any_port()).await?;
    let url = format!("http://{}", server.local_endpoint()?);
    let app: App = service_fn(answer);
    beside(story(stage.client.clone(), &url), server.run(app)).await
}

async fn story<R: Plug>(runtime: R, url: &str) -> Result<Told, Failure> {
    let mut told = Told::new();
    let client = Client::builder(runtime).build();

    let page = client.get(format!("{url}/here")).send().await?;
    told.push(("a page", format!("{}, {}", page.status().as_u16(), page.text().await?)));

    let missing = client.get(format!("{url}/missing")).send().await?;
    let status = missing.status().as_u16();
    missing.bytes().await?;
    let connections = client.connections();
    let verdict = if connections == 1 { "and the connection goes on" } else { "and another connection" };
    told.push(("a page that is not there", format!("{status}, {verdict}")));

    let moved = client.get(format!("{url}/moved")).send().await?;
    let (status, path) = (moved.status().as_u16(), moved.url().path().to_owned());
    told.push(("a page that has moved", format!("{status}, {}, at {path}", moved.text().await?)));

    for number in 0..20 {
        client.get(format!("{url}/{number}")).send().await?.bytes().await?;
    }
    told.push(("20 pages one by one", format!("{} connection", client.connections())));

    let pages = join_all((0..20).map(|number| {
        let client = &client;
        async move {
            let page = client.get(format!("{url}/{number}")).send().await?.text().await?;
            Ok::<_, Failure>(page == format!("hello from /{number}"))
        }
    }));
    let right = pages.await.into_iter().filter(|page| page.as_ref().is_ok_and(|right| *right)).count();
    told.push(("20 pages at once", format!("{right} answers, each its own")));

    let large: bytes::Bytes = (0..1_u32 << 20).map(|index| (index % 251) as u8).collect();
    let back = client.post(format!("{url}/echo")).body(large.clone()).send().await?.bytes().await?;
    let same = if back == large { "the same" } else { "but others" };
    told.push(("a mebibyte, there and back", format!("{} bytes, {same}", back.len())));
    Ok(told)
}
