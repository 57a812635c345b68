//! Spans: a connection's, a request's, a task's, and what happens inside them.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};

use futures_util::future::join;
use glowplug::redis::memory;
use glowplug::runtime::Endpoint;
use glowplug::runtime::dial::Dialer;
use glowplug::runtime::redis::{Client, commands, serve_memory};
use glowplug::runtime::server::Server;
use glowplug::runtime::supervise::{Restart, Scope};
use glowplug::runtime::tcp::{Connection, Service};
use glowplug::sim::Simulation;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

fn any_port() -> Endpoint {
    Endpoint::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Notes every span that begins, and every event with the spans around it.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn has(&self, line: &str) -> bool {
        self.0.lock().expect("notes").iter().any(|note| note.contains(line))
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a String cannot fail.
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Notes {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut fields = Fields(format!("span {}", attributes.metadata().name()));
        attributes.record(&mut fields);
        self.0.lock().expect("notes").push(fields.0);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields(String::new());
        for span in context.event_scope(event).into_iter().flatten() {
            fields.0 += span.name();
            fields.0 += " > ";
        }
        event.record(&mut fields);
        self.0.lock().expect("notes").push(fields.0);
    }
}

fn noted<F: Future<Output = ()>>(test: impl FnOnce(glowplug::sim::Sim) -> F) -> Notes {
    let notes = Notes::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(notes.clone()), || {
        let mut simulation = Simulation::new(1);
        let host = simulation.host("here", [10, 0, 0, 1]);
        simulation.run(test(host));
        simulation.run_until_idle();
    });
    notes
}

#[test]
fn a_served_connection_has_a_span_with_its_peer() {
    let notes = noted(|host| async move {
        let service = Service::bind(host.clone(), any_port()).await.expect("a port");
        let (at, stopper) = (service.local_endpoint().expect("an address"), service.stopper());
        let work = async {
            let stream = Dialer::new(host.clone()).endpoint(&at).await.expect("connected");
            let mut near = Connection::new(host.clone(), stream);
            assert!(near.read_any().await.is_err());
            stopper.stop();
        };
        let serving = service.serve(|mut connection| async move {
            tracing::info!(target: "mine", "hello");
            let _ = connection.finish().await;
            resume_unwind(Box::new("this panic belongs to the test"));
        });
        join(work, serving).await;
    });
    assert!(notes.has("span connection peer=127.0.0.1:"), "{notes:?}");
    assert!(notes.has("connection >  message=hello"), "{notes:?}");
    assert!(notes.has("connection >  message=panicked panic=this panic belongs to the test"), "{notes:?}");
}

#[test]
fn requests_and_their_connection_have_spans() {
    let notes = noted(|host| async move {
        let server = Server::bind(host.clone(), any_port()).await.expect("a port");
        let (at, stopper) = (server.local_endpoint().expect("an address"), server.stopper());
        let work = async {
            let client =
                Client::builder(host.clone()).connect(&format!("redis://{at}")).await.expect("connected");
            client.run(commands::set("k", "v")).await.expect("set");
            let late = client.call(commands::ping().into_parts().0).timeout(Some(std::time::Duration::ZERO));
            assert!(late.await.is_err());
            drop(client);
            stopper.stop();
        };
        let serving = serve_memory(host.clone(), server, memory::Handle::new(memory::Config::new()));
        join(work, serving).await;
    });
    assert!(notes.has("span connection"), "{notes:?}");
    assert!(notes.has("span request"), "{notes:?}");
    assert!(notes.has("request > "), "{notes:?}");
}

#[test]
fn a_task_has_a_span_with_its_name() {
    let notes = noted(|host| async move {
        let scope = Scope::new(host);
        let mut left = 2;
        let child = scope.keep_alive("pump", Restart::on_failure(), move || {
            left -= 1;
            async move {
                tracing::info!(target: "mine", "at work");
                if left > 0 { Err("broken") } else { Ok(()) }
            }
        });
        child.await.expect("not cancelled").expect("no panic").expect("in the end");
    });
    assert!(notes.has("span task name=pump"), "{notes:?}");
    assert!(notes.has("task >  message=restarting name=pump after=an error"), "{notes:?}");
    assert!(notes.has("task >  message=at work"), "{notes:?}");
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lock().expect("notes").fmt(f)
    }
}
