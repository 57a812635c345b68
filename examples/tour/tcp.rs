//! TCP: one plain function a connection, which reads and answers lines.

use glowplug::runtime::dial::Dialer;
use glowplug::runtime::tcp::{Connection, Error, Service};
use glowplug::runtime::{BoxFuture, Endpoint};

use crate::{Failure, Plug, Stage, Told};

/// What each step has to come to, wherever it happens.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("a line, and its answer", "you said: hello"),
    ("a line in pieces", "you said: one line after all"),
    ("a hundred lines at once", "100 answers in order"),
    ("what comes after the last line", "8 bytes handed over with the end"),
    ("the service, stopped", "every conversation has ended"),
];

pub(crate) type Handler<R> = Box<dyn Fn(Connection<R>) -> BoxFuture<()> + Send + Sync>;

/// The conversation, as the server has it: all its state is in scope.
async fn serve<R: Plug>(mut connection: Connection<R>) -> Result<(), Error> {
    loop {
        let line = connection.read_line().await?;
        if line == "goodbye" {
            return connection.send("the rest").await;
        }
        connection.feed("you said: ").await?;
        connection.feed(line).await?;
        connection.send("\n").await?;
    }
}

pub(crate) async fn tell<R: Plug>(stage: &Stage<R>) -> Result<Told, Failure> {
    let service = Service::bind(stage.server.clone(), stage.any_port()).await?;
    let (at, stopper) = (service.local_endpoint()?, service.stopper());
    let handler: Handler<R> = Box::new(|connection| Box::pin(async move { drop(serve(connection).await) }));
    let story = async {
        let told = story(&stage.client, &at).await;
        stopper.stop();
        told
    };
    let (told, ()) = futures_util::future::join(story, service.serve(handler)).await;
    let mut told = told?;
    let ended = if stopper.connections() == 0 { "every conversation has ended" } else { "some go on" };
    told.push(("the service, stopped", ended.to_owned()));
    Ok(told)
}

async fn story<R: Plug>(runtime: &R, at: &Endpoint) -> Result<Told, Failure> {
    let mut told = Told::new();
    let stream = Dialer::new(runtime.clone()).endpoint(at).await?;
    let mut connection = Connection::new(runtime.clone(), stream);
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();

    connection.send("hello\n").await?;
    told.push(("a line, and its answer", text(&connection.read_line().await?)));

    for piece in ["one line ", "after", " all", "\n"] {
        connection.send(piece).await?;
    }
    told.push(("a line in pieces", text(&connection.read_line().await?)));

    let lines: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    connection.send(lines.join("\n") + "\n").await?;
    let mut right = 0;
    for number in 0..100 {
        right += u32::from(text(&connection.read_line().await?) == format!("you said: {number}"));
    }
    told.push(("a hundred lines at once", format!("{right} answers in order")));

    connection.send("goodbye\n").await?;
    let rest = match connection.read_line().await {
        Err(Error::Closed { remainder }) => format!("{} bytes handed over with the end", remainder.len()),
        other => format!("{other:?}"),
    };
    told.push(("what comes after the last line", rest));
    Ok(told)
}
