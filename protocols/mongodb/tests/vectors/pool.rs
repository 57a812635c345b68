//! The pool's rules: driver-specs' CMAP format, on a clock of its own.
//!
//! Our pool is never paused: that state waits for a monitor, and there is none. The runner plays it, as far as the vectors only look at
//! the events; what needs a pool that refuses meanwhile is left out by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use glowplug_core::Instant;
use glowplug_mongodb::pool::{CheckOut, Generation, Pool, PoolConfig, Waiter};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{json_files, verdict};

/// What is left out, and why.
const SKIPPED: &[(&str, &str)] = &[
    ("pool-clear-ready", "a cleared pool connects anew at once; it does not refuse until a monitor says so"),
    ("pool-clear-interrupting-pending-connections", "a connection on its way is dropped by whoever makes it"),
    ("pool-create-min-size-error", "its error is the handshake's, which is the runtime's to see"),
];

pub(crate) fn cmap(folder: &Path) -> Result<(), Failed> {
    let (mut failures, mut cases) = (Vec::new(), 0);
    for (name, file) in json_files(folder)? {
        if let Some((_, why)) = SKIPPED.iter().find(|(skipped, _)| *skipped == name) {
            println!("{name} is left out: {why}");
            continue;
        }
        cases += 1;
        if let Err(why) = run(&file) {
            failures.push(format!("{name}: {why}"));
        }
    }
    verdict(&failures, cases, 16)
}

/// Who asked for a connection: a thread and the name under which it keeps it.
#[derive(Clone, Debug)]
struct Asker {
    thread: String,
    label: String,
}

struct World {
    pool: Pool<u64>,
    now: Instant,
    /// How long connecting takes.
    handshake: Duration,
    patience: Option<Duration>,
    ready: bool,
    events: Vec<Value>,
    next_id: u64,
    connecting: Vec<(Instant, u64, Generation, Option<Asker>)>,
    waiting: Vec<(Waiter, Option<Instant>, Asker)>,
    held: BTreeMap<String, (u64, Generation)>,
    error: Option<&'static str>,
}

fn run(file: &Value) -> Result<(), String> {
    let options = &file["poolOptions"];
    let millis = |value: &Value| value.as_u64().map(Duration::from_millis);
    let size = |key: &str, default: usize| options[key].as_u64().map_or(default, |size| size as usize);
    let mut config = PoolConfig::default();
    config.max_size = size("maxPoolSize", config.max_size);
    config.min_size = size("minPoolSize", config.min_size);
    config.max_connecting = size("maxConnecting", config.max_connecting);
    config.max_idle = millis(&options["maxIdleTimeMS"]);
    let mut world = World {
        pool: Pool::new(config),
        now: Instant::ZERO,
        handshake: millis(&file["failPoint"]["data"]["blockTimeMS"]).unwrap_or_default(),
        patience: millis(&options["waitQueueTimeoutMS"]),
        ready: false,
        events: Vec::new(),
        next_id: 0,
        connecting: Vec::new(),
        waiting: Vec::new(),
        held: BTreeMap::new(),
        error: None,
    };
    world.tell(json!({ "type": "ConnectionPoolCreated", "options": options }));
    for operation in file["operations"].as_array().ok_or("operations")? {
        world.operate(operation).map_err(|why| format!("{operation}: {why}"))?;
    }
    let ignored = |event: &Value| {
        file["ignore"].as_array().into_iter().flatten().any(|ignored| *ignored == event["type"])
    };
    let seen: Vec<&Value> = world.events.iter().filter(|event| !ignored(event)).collect();
    let wanted = file["events"].as_array().ok_or("events")?;
    if seen.len() < wanted.len() {
        return Err(format!("of {wanted:?} were seen {seen:?}"));
    }
    for (number, (wanted, seen)) in wanted.iter().zip(&seen).enumerate() {
        for (key, value) in wanted.as_object().into_iter().flatten() {
            let any = value == 42
                || matches!(key.as_str(), "address" | "duration" | "message" | "interruptInUseConnections");
            if !any && seen.get(key) != Some(value) {
                return Err(format!("event {number}: {wanted} was expected, {seen} was seen"));
            }
        }
    }
    match (file["error"]["type"].as_str(), world.error) {
        (wanted, found) if wanted == found => Ok(()),
        (wanted, found) => Err(format!("the error {wanted:?} was expected, {found:?} was seen")),
    }
}

impl World {
    fn tell(&mut self, event: Value) {
        self.events.push(event);
    }

    fn closed(&mut self, ids: impl IntoIterator<Item = u64>, reason: &str) {
        for id in ids {
            self.tell(json!({ "type": "ConnectionClosed", "connectionId": id, "reason": reason }));
        }
    }

    fn operate(&mut self, operation: &Value) -> Result<(), String> {
        let text = |key: &str| operation[key].as_str().unwrap_or_default().to_owned();
        match operation["name"].as_str().unwrap_or_default() {
            "ready" => {
                if !self.ready {
                    self.ready = true;
                    self.tell(json!({ "type": "ConnectionPoolReady" }));
                }
            }
            "start" => {}
            "wait" => {
                let until = self.now + Duration::from_millis(operation["ms"].as_u64().unwrap_or(0));
                while self.step(until) {}
                self.now = until;
            }
            "checkOut" => {
                let asker = Asker { thread: text("thread"), label: text("label") };
                self.check_out(asker.clone());
                if asker.thread.is_empty() {
                    self.until(|world| !world.is_busy(&asker.thread))?;
                }
            }
            "checkIn" => {
                let (id, generation) = self.held.remove(&text("connection")).ok_or("nobody holds it")?;
                self.tell(json!({ "type": "ConnectionCheckedIn", "connectionId": id }));
                let returned = self.pool.check_in(self.now, id, generation);
                let reason = if self.pool.is_closed() { "poolClosed" } else { "stale" };
                self.closed(returned, reason);
            }
            "clear" => {
                if self.ready {
                    self.ready = false;
                    self.tell(json!({ "type": "ConnectionPoolCleared" }));
                    let closed = self.pool.clear(self.pool.generation());
                    self.closed(closed, "stale");
                }
            }
            "close" => {
                let closed = self.pool.close();
                self.closed(closed, "poolClosed");
                self.tell(json!({ "type": "ConnectionPoolClosed" }));
            }
            "waitForThread" => {
                let thread = text("target");
                self.until(|world| !world.is_busy(&thread))?;
            }
            "waitForEvent" => {
                let (name, count) = (text("event"), operation["count"].as_u64().unwrap_or(1) as usize);
                self.until(|world| {
                    world.events.iter().filter(|event| event["type"] == name).count() >= count
                })?;
            }
            other => return Err(format!("{other} is not understood")),
        }
        while self.step(self.now) {}
        Ok(())
    }

    fn until(&mut self, done: impl Fn(&Self) -> bool) -> Result<(), String> {
        let late = self.now + Duration::from_secs(60);
        while !done(self) {
            if !self.step(late) {
                return Err(format!("it never comes; seen were {:?}", self.events));
            }
        }
        Ok(())
    }

    fn is_busy(&self, thread: &str) -> bool {
        let own = |asker: &Asker| asker.thread == thread;
        self.waiting.iter().any(|(_, _, asker)| own(asker))
            || self.connecting.iter().any(|(_, _, _, asker)| asker.as_ref().is_some_and(own))
    }

    fn check_out(&mut self, asker: Asker) {
        self.tell(json!({ "type": "ConnectionCheckOutStarted" }));
        let found = self.pool.check_out(self.now);
        let perished = self.pool.take_perished();
        self.closed(perished, "idle");
        self.serve(&found, asker);
    }

    fn serve(&mut self, found: &CheckOut<u64>, asker: Asker) {
        match *found {
            CheckOut::Connection(id, generation) => self.hand_over(id, generation, &asker),
            CheckOut::Connect(generation) => self.connect(generation, Some(asker)),
            CheckOut::Wait(waiter) => {
                self.waiting.push((waiter, self.patience.map(|patience| self.now + patience), asker));
            }
            CheckOut::Overloaded | CheckOut::Closed => {
                self.tell(json!({ "type": "ConnectionCheckOutFailed", "reason": "poolClosed" }));
            }
        }
    }

    fn connect(&mut self, generation: Generation, asker: Option<Asker>) {
        self.next_id += 1;
        self.tell(json!({ "type": "ConnectionCreated", "connectionId": self.next_id }));
        self.connecting.push((self.now + self.handshake, self.next_id, generation, asker));
    }

    fn hand_over(&mut self, id: u64, generation: Generation, asker: &Asker) {
        self.tell(json!({ "type": "ConnectionCheckedOut", "connectionId": id }));
        self.held.insert(asker.label.clone(), (id, generation));
    }

    /// The next thing that happens by itself until `late`; false when there is none.
    fn step(&mut self, late: Instant) -> bool {
        for waiter in self.pool.take_woken() {
            let Some(at) = self.waiting.iter().position(|(own, _, _)| *own == waiter) else { continue };
            let (_, _, asker) = self.waiting.remove(at);
            if let Some(found) = self.pool.poll_waiter(waiter) {
                self.serve(&found, asker);
            }
            return true;
        }
        if self.ready
            && let Some(generation) = self.pool.begin_connect()
        {
            self.connect(generation, None);
            return true;
        }
        let connected = self.connecting.iter().map(|(at, ..)| *at).min();
        let given_up = self.waiting.iter().filter_map(|(_, at, _)| *at).min();
        let Some(next) = connected.into_iter().chain(given_up).min().filter(|next| *next <= late) else {
            return false;
        };
        self.now = self.now.max(next);
        if connected == Some(next)
            && let Some(at) = self.connecting.iter().position(|(at, ..)| *at == next)
        {
            let (_, id, generation, asker) = self.connecting.remove(at);
            self.pool.connected();
            self.tell(json!({ "type": "ConnectionReady", "connectionId": id }));
            match asker {
                Some(asker) => self.hand_over(id, generation, &asker),
                None => {
                    let returned = self.pool.check_in(self.now, id, generation);
                    self.closed(returned, "stale");
                }
            }
        } else if let Some(at) = self.waiting.iter().position(|(_, at, _)| *at == Some(next)) {
            let (waiter, _, _) = self.waiting.remove(at);
            self.pool.leave(self.now, waiter);
            self.tell(json!({ "type": "ConnectionCheckOutFailed", "reason": "timeout" }));
            self.error = Some("WaitQueueTimeoutError");
        }
        true
    }
}
