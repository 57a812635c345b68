//! What lies above one request: cookies, content codings, proxies, forms, and downloads that were cut off.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use glowplug_http::multipart::{Boundary, MultipartEvent, MultipartLimits, MultipartReader};
use glowplug_http::proxy::{Proxies, Proxy};
use glowplug_http::{BodyLength, ServerConfig, ServerConnection, ServerEvent, StatusCode};
use glowplug_runtime::drive::Exclusive;
use glowplug_runtime::http::{Body, Client, ClientBuilder, CookieJar, Download, Form, Part};
use glowplug_runtime::{Endpoint, Runtime};

use super::super::io::{first, polled};
use super::super::{Stop, Trial, Tried, When as _, World, ensure, trial};
use super::{MANY, serve_each};

/// What "glowplug " five hundred times comes to.
const GZIP: [u8; 56] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 237, 198, 177, 13, 0, 48, 8, 3, 176, 87, 250, 93, 22, 164, 118, 65, 125,
    159, 47, 152, 236, 201, 169, 251, 95, 117, 78, 68, 68, 68, 68, 68, 68, 68, 68, 100, 43, 3, 197, 238, 196,
    2, 148, 17, 0, 0,
];

/// How many bytes one answer to `/cut` brings before the server hangs up.
const CUT: usize = 3000;

pub(super) fn trials<R: Runtime>() -> Vec<Trial<R>> {
    vec![
        trial!("cookies-go-back-where-they-came-from", cookies),
        trial!("content-is-decoded", decoded),
        trial!("a-form-arrives-in-parts", form),
        trial!("a-proxy-is-told-the-whole-url", proxy),
        trial!("a-download-goes-on-where-it-was-cut", download),
        trial!("calls-with-all-of-it-dropped-at-every-poll", dropped),
    ]
}

/// A request, as far as it matters here.
#[derive(Clone, Debug, Default)]
struct Asked {
    target: String,
    fields: Vec<(String, String)>,
    body: BytesMut,
}

impl Asked {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }
}

type Log = Rc<RefCell<Vec<Asked>>>;

async fn with_server<R: Runtime>(
    world: &World<R>,
    build: impl FnOnce(ClientBuilder<R>, &Endpoint) -> ClientBuilder<R>,
    work: impl AsyncFnOnce(String, Client<R>, Log) -> Tried,
) -> Tried {
    let (listener, at) = world.listen().await?;
    let log = Log::default();
    let (client, _) = build(Client::builder(world.runtime.clone()), &at).build_with_reaper();
    let work = work(format!("http://{at}"), client, log.clone());
    let (runtime, log) = (&world.runtime, &log);
    match first(work, serve_each(listener, |stream| connection(runtime, stream, log))).await {
        Ok(tried) => tried,
        Err(()) => Err(Stop("the server ended".to_owned())),
    }
}

async fn connection<R: Runtime>(runtime: &R, stream: R::Stream, log: &Log) {
    let machine = ServerConnection::new(runtime.now(), Arc::new(ServerConfig::default()));
    let mut driver = Exclusive::new(runtime.clone(), stream, machine);
    let mut asked = Asked::default();
    while let Ok(Some(event)) = driver.next_event().await {
        let now = runtime.now();
        let machine = driver.machine_mut();
        match event {
            ServerEvent::Request { head, .. } => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let fields = head.fields().iter();
                let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect();
                asked = Asked { target: head.target().to_owned(), fields, body: BytesMut::new() };
            }
            ServerEvent::Data { stream, data } => {
                asked.body.extend_from_slice(&data);
                machine.release(now, stream, data.len());
            }
            ServerEvent::End { stream, .. } => {
                log.borrow_mut().push(asked.clone());
                let (status, fields, body) = answer(&asked);
                let cut = asked.target == "/cut" && body.len() > CUT;
                let length = BodyLength::Known(body.len() as u64);
                let piece = if cut { body.slice(..CUT) } else { body };
                let sent = machine.send_head(now, stream, status, &fields, length).is_ok()
                    && machine.send_data(now, stream, piece).is_ok();
                if cut {
                    // What the machine holds goes out, and then the connection is gone.
                    return poll_fn(|cx| match driver.poll_event(cx) {
                        Poll::Pending if driver.has_unsent() => Poll::Pending,
                        _ => Poll::Ready(()),
                    })
                    .await;
                }
                if !sent || driver.machine_mut().finish(now, stream, &()).is_err() {
                    return;
                }
            }
            _ => {}
        }
    }
}

fn whole() -> Vec<u8> {
    (0..8000_u32).map(|n| (n % 251) as u8).collect()
}

fn answer(asked: &Asked) -> (StatusCode, Vec<(&'static str, String)>, Bytes) {
    let mut fields = Vec::new();
    let mut status = StatusCode::OK;
    let body = match asked.target.as_str() {
        "/gzip" => {
            fields.push(("content-encoding", "gzip".to_owned()));
            Bytes::from_static(&GZIP)
        }
        "/set" => {
            fields.push(("set-cookie", "here=1; Path=/".to_owned()));
            Bytes::new()
        }
        "/cut" => {
            let range =
                asked.field("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
            let from: usize = range.and_then(|from| from.parse().ok()).unwrap_or(0);
            fields.push(("etag", "\"1\"".to_owned()));
            if from > 0 {
                status = StatusCode::PARTIAL_CONTENT;
                fields.push(("content-range", format!("bytes {from}-7999/8000")));
            }
            Bytes::from(whole()).slice(from..)
        }
        _ => Bytes::from(asked.field("cookie").unwrap_or("none").to_owned()),
    };
    (status, fields, body)
}

async fn text<R: Runtime>(client: &Client<R>, url: String) -> Result<String, Stop> {
    client.get(url).send().await.when("GET")?.text().await.when("a body")
}

async fn cookies<R: Runtime>(world: World<R>) -> Tried {
    let jar = CookieJar::new();
    with_server(
        &world,
        |builder, at| builder.cookies(jar.clone()).connect_to(at.clone()),
        async |_, client, _| {
            text(&client, "http://a.example/set".to_owned()).await?;
            let back = text(&client, "http://a.example/".to_owned()).await?;
            let other = text(&client, "http://b.example/".to_owned()).await?;
            ensure(back == "here=1" && other == "none", || format!("got {back:?}, and elsewhere {other:?}"))
        },
    )
    .await
}

async fn decoded<R: Runtime>(world: World<R>) -> Tried {
    with_server(
        &world,
        |builder, _| builder,
        async |base, client, _| {
            let content = text(&client, format!("{base}/gzip")).await?;
            ensure(content == "glowplug ".repeat(500), || "other content".to_owned())?;
            let request = client.get(format!("{base}/gzip")).decode(None);
            let content = request.send().await.when("GET")?.bytes().await.when("a body")?;
            ensure(content == GZIP[..], || "content that was to stay as it is, is not".to_owned())
        },
    )
    .await
}

fn a_form() -> Form {
    let file = Part::new(Body::from_reader(std::io::Cursor::new(vec![b'x'; 5000]), None)).filename("f");
    Form::new().text("name", "value").part("file", file)
}

async fn form<R: Runtime>(world: World<R>) -> Tried {
    with_server(
        &world,
        |builder, _| builder,
        async |base, client, log| {
            let request = client.post(format!("{base}/form")).multipart(a_form());
            request.send().await.when("POST")?.bytes().await.when("a body")?;
            let mut asked = log.borrow().last().cloned().unwrap_or_default();
            let boundary = asked.field("content-type").and_then(Boundary::of);
            let boundary = boundary.ok_or_else(|| Stop("no boundary came".to_owned()))?;
            let mut reader = MultipartReader::new(&boundary, MultipartLimits::default());
            let mut lengths = Vec::new();
            while let Some(event) = reader.poll_event(&mut asked.body).when("a form")? {
                match event {
                    MultipartEvent::Part(head) => lengths.push((head.name().to_owned(), 0)),
                    MultipartEvent::Data(data) => {
                        lengths.last_mut().into_iter().for_each(|(_, len)| *len += data.len());
                    }
                    _ => {}
                }
            }
            ensure(lengths == [("name".to_owned(), 5), ("file".to_owned(), 5000)], || {
                format!("{lengths:?} came")
            })
        },
    )
    .await
}

async fn proxy<R: Runtime>(world: World<R>) -> Tried {
    let build = |builder: ClientBuilder<R>, at: &Endpoint| {
        let proxy = at.socket_addr().map(|at| Proxy::new(&at.ip().to_string(), at.port()));
        builder.proxies(proxy.map(Proxies::all).unwrap_or_default())
    };
    with_server(&world, build, async |_, client, log| {
        for host in ["a.example", "b.example"] {
            text(&client, format!("http://{host}/x?y")).await?;
            let asked = log.borrow().last().cloned().unwrap_or_default();
            ensure(asked.target == format!("http://{host}/x?y"), || format!("asked for {:?}", asked.target))?;
            ensure(asked.field("host") == Some(host), || format!("the host was {:?}", asked.field("host")))?;
        }
        ensure(client.connections() == 1, || "a proxy needs one connection for both".to_owned())
    })
    .await
}

async fn download<R: Runtime>(world: World<R>) -> Tried {
    with_server(
        &world,
        |builder, _| builder,
        async |base, client, _| {
            let (mut download, mut written) = (Download::new(), Vec::new());
            let length = download.run(|| client.get(format!("{base}/cut")), &mut written, |_| {}).await;
            let length = length.when("a download")?;
            ensure(length == 8000 && written == whole(), || format!("{length} bytes, or other ones"))
        },
    )
    .await
}

async fn dropped<R: Runtime>(world: World<R>) -> Tried {
    let jar = CookieJar::new();
    with_server(
        &world,
        |builder, _| builder.cookies(jar.clone()),
        async |base, client, _| {
            for polls in 0..MANY {
                let all = async {
                    client.post(format!("{base}/set")).multipart(a_form()).send().await.when("POST")?;
                    text(&client, format!("{base}/gzip")).await
                };
                let outcome = polled(polls, all).await;
                let after = text(&client, format!("{base}/gzip")).await?;
                ensure(after == "glowplug ".repeat(500), || "other content after a drop".to_owned())?;
                ensure(client.connections() == client.idle_connections(), || {
                    "a connection is held".to_owned()
                })?;
                if let Some(outcome) = outcome {
                    return ensure(outcome? == after, || "other content".to_owned());
                }
            }
            Err(Stop(format!("more than {MANY} polls")))
        },
    )
    .await
}
