//! Redis: one client, many callers.

use futures_util::future::{join_all, select};
use glowplug::redis::{Command, Pipeline, commands, memory};
use glowplug::runtime::redis::{Client, serve_memory};

use crate::{Failure, Plug, Stage, Told, beside, listen, pause};

/// What each step has to come to, wherever it happens.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("a key that is not there", "none"),
    ("a value that is empty", "0 bytes"),
    ("a value of every byte there is", "256 bytes, the same"),
    ("64 callers, one connection", "each its own answer, 1 to 64"),
    ("a pipeline of 100", "100 answers in order"),
    ("a value of one mebibyte", "1048576 bytes, the same"),
    ("a list, counted as a string", "WRONGTYPE, and the connection goes on"),
    ("a caller who leaves early", "the next hundred answers pair up"),
    ("a key that expires", "there, then gone"),
];

pub(crate) async fn tell<R: Plug>(stage: &Stage<R>, real: Option<&str>) -> Result<Told, Failure> {
    let (server, at) = listen(stage).await?;
    let store = memory::Handle::new(memory::Config::new());
    let own = format!("redis://{at}");
    let story = story(stage.client.clone(), real.unwrap_or(&own));
    beside(story, serve_memory(stage.server.clone(), server, store)).await
}

/// The story. Plain linear code, and nothing in it knows the executor.
async fn story<R: Plug>(runtime: R, url: &str) -> Result<Told, Failure> {
    let mut told = Told::new();
    let redis = Client::builder(runtime.clone()).connect(url).await?;

    redis.run(commands::del(["tour:none", "tour:list", "tour:count"])).await?;
    let nothing = redis.run(commands::get("tour:none")).await?;
    told.push((
        "a key that is not there",
        nothing.map_or("none".into(), |value| format!("{} bytes", value.len())),
    ));

    redis.run(commands::set("tour:empty", "")).await?;
    let empty = redis.run(commands::get("tour:empty")).await?;
    told.push((
        "a value that is empty",
        empty.map_or("none".into(), |value| format!("{} bytes", value.len())),
    ));

    let every: Vec<u8> = (0..=255).collect();
    redis.run(commands::set("tour:bytes", every.clone())).await?;
    let back = redis.run(commands::get("tour:bytes")).await?.unwrap_or_default();
    told.push(("a value of every byte there is", format!("{} bytes, {}", back.len(), same(back == every))));

    let mut counts: Vec<i64> = Vec::new();
    for count in join_all((0..64).map(|_| redis.run(commands::incr("tour:count")))).await {
        counts.push(count?);
    }
    counts.sort_unstable();
    let distinct = counts.iter().copied().eq(1..=64);
    told.push((
        "64 callers, one connection",
        if distinct { "each its own answer, 1 to 64".into() } else { format!("{counts:?}") },
    ));

    let mut pipeline = Pipeline::new();
    for index in 0..100 {
        pipeline.push(Command::new("ECHO").arg(index.to_string()));
    }
    let answers = redis.pipeline(pipeline).await?;
    let in_order = answers.iter().enumerate().filter(|(index, reply)| {
        reply.view().as_bytes().is_some_and(|bytes| *bytes == *index.to_string().as_bytes())
    });
    told.push(("a pipeline of 100", format!("{} answers in order", in_order.count())));

    let large = vec![b'g'; 1 << 20];
    redis.run(commands::set("tour:large", large.clone())).await?;
    let back = redis.run(commands::get("tour:large")).await?.unwrap_or_default();
    told.push(("a value of one mebibyte", format!("{} bytes, {}", back.len(), same(back == large))));

    redis.call(Command::new("RPUSH").arg("tour:list").arg("a")).await?;
    let refused = redis.run(commands::incr("tour:list")).await;
    let code = match &refused {
        Err(error) => error.server_error().map_or("no error of the server", |error| error.code()).to_owned(),
        Ok(count) => format!("counted {count}"),
    };
    redis.run(commands::ping()).await?;
    told.push(("a list, counted as a string", format!("{code}, and the connection goes on")));

    // The call is polled once, so that it is on its way, and dropped.
    drop(select(redis.run(commands::get("tour:bytes")), std::future::ready(())).await);
    let mut paired = 0;
    for index in 0..100 {
        let echoed = redis.run(commands::echo(format!("after {index}"))).await?;
        paired += u32::from(echoed == format!("after {index}"));
    }
    told.push((
        "a caller who leaves early",
        if paired == 100 {
            "the next hundred answers pair up".into()
        } else {
            format!("only {paired} of 100 pair up")
        },
    ));

    redis.run(commands::set("tour:soon", "gone")).await?;
    redis.run(commands::pexpire("tour:soon", 60)).await?;
    let before = redis.run(commands::get("tour:soon")).await?.is_some();
    pause(&runtime, 120).await;
    let after = redis.run(commands::get("tour:soon")).await?.is_some();
    let word = |there| if there { "there" } else { "gone" };
    told.push(("a key that expires", format!("{}, then {}", word(before), word(after))));

    Ok(told)
}

fn same(same: bool) -> &'static str {
    if same { "the same" } else { "but others" }
}
