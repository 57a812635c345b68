//! Unbound's scenarios, where they test what a stub resolver does: who is asked and when, what is kept and for how long, and what is
//! given out when nobody answers. What Unbound alone has (iteration, validation, policies, errors kept in its cache) is left out.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use glowplug_core::{Instant, Seed, Token};
use glowplug_dns::resolver::{
    Answer, Ask, Event, Freshness, Hosts, LookupError, Order, Request, Resolver, ResolverConfig, StaleConfig,
};
use glowplug_dns::{ExchangeError, Flags, Message, Name, Rcode, Record, RecordType, Reply, Response};
use libtest_mimic::{Failed, Trial};

use crate::read_text;

const FILES: [&str; 8] = [
    "fwd_any",
    "fwd_cached",
    "fwd_error_retries",
    "fwd_notcached",
    "fwd_timeout",
    "fwd_two",
    "serve_expired_client_timeout",
    "serve_expired_reply_ttl",
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &'static str| {
        Trial::test(format!("unbound scenario {name}"), move || {
            let text = read_text(&format!("unbound-scenarios/{name}.rpl"))?;
            play(&text).map_err(|error| format!("{name}: {}", error.message().unwrap_or_default()).into())
        })
    };
    FILES.into_iter().map(trial).collect()
}

/// A message, or the pattern of one.
#[derive(Clone, Debug, Default)]
struct Entry {
    matched: Vec<String>,
    flags: Vec<String>,
    question: Option<(Name, RecordType)>,
    answers: Vec<Record>,
    authorities: Vec<Record>,
}

impl Entry {
    fn rcode(&self) -> Rcode {
        self.flags.iter().find_map(|flag| flag.parse().ok()).unwrap_or(Rcode::NOERROR)
    }

    fn suits(&self, ask: &Ask) -> bool {
        self.question
            .as_ref()
            .is_none_or(|(name, rtype)| *name == ask.query.name && *rtype == ask.query.rtype)
    }

    /// This as the reply to a query.
    fn reply(&self, ask: &Ask) -> Reply {
        let query = glowplug_dns::Question {
            name: ask.query.name.clone(),
            rtype: ask.query.rtype,
            class: ask.query.class,
        };
        let message = Message {
            flags: Flags::default().with_response(true),
            rcode: self.rcode(),
            questions: vec![query],
            answers: self.answers.clone(),
            authorities: self.authorities.clone(),
            ..Message::default()
        };
        let mut out = BytesMut::new();
        message.encode(&mut out).expect("it fits");
        Reply { message: Bytes::from(out), server: Some(ask.server), round_trip: None }
    }
}

/// The words of a line, without its comment.
fn words(line: &str) -> Vec<&str> {
    line.split(';').next().unwrap_or_default().split_whitespace().collect()
}

/// A record whose TTL may be missing.
fn record(words: &[&str]) -> Result<Record, Failed> {
    let mut words = words.to_vec();
    if words.get(1).is_some_and(|word| !word.starts_with(|c: char| c.is_ascii_digit())) {
        words.insert(1, "3600");
    }
    let text = words.join(" ");
    text.parse().map_err(|error| format!("{text}: {error}").into())
}

/// Reads one entry, up to its end.
fn entry<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<Entry, Failed> {
    let mut entry = Entry::default();
    let mut section = "";
    for line in lines {
        let words = words(line);
        match words.split_first() {
            None | Some((&("ENTRY_BEGIN" | "ADJUST"), _)) => {}
            Some((&"ENTRY_END", _)) => return Ok(entry),
            Some((&"MATCH", rest)) => entry.matched.extend(rest.iter().map(|word| (*word).to_owned())),
            Some((&"REPLY", rest)) => entry.flags.extend(rest.iter().map(|word| (*word).to_owned())),
            Some((&"SECTION", rest)) => section = rest.first().copied().unwrap_or_default(),
            Some((name, _)) if section == "QUESTION" => {
                let rtype = words.last().ok_or("no type")?;
                entry.question = Some((name.parse()?, rtype.parse().map_err(|_| "no type")?));
            }
            Some(_) if section == "ANSWER" => entry.answers.push(record(&words)?),
            Some(_) if section == "AUTHORITY" => entry.authorities.push(record(&words)?),
            Some(_) => {}
        }
    }
    Err("an entry without an end".into())
}

/// The value of an option in the head of a file.
fn option(head: &str, key: &str) -> Option<String> {
    let line = head.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':'));
    line.map(|value| words(&value.replace('#', ";")).concat())
}

struct Player {
    resolver: Resolver,
    now: Instant,
    /// What servers say during which steps.
    ranges: Vec<(u64, u64, Vec<Entry>)>,
    step: u64,
    asks: VecDeque<Ask>,
    /// Lookups in the order of their beginning.
    begun: VecDeque<Token>,
    answers: BTreeMap<Token, Answer>,
    ends: BTreeMap<Token, Result<(), LookupError>>,
}

impl Player {
    fn new(head: &str) -> Self {
        let milliseconds =
            |key| option(head, key).and_then(|value| value.parse().ok()).map(Duration::from_millis);
        let stale = (option(head, "serve-expired").as_deref() == Some("yes")).then(|| StaleConfig {
            client_timeout: milliseconds("serve-expired-client-timeout").unwrap_or_default(),
            ..StaleConfig::default()
        });
        let server = SocketAddr::from(([216, 0, 0, 1], 53));
        let config = ResolverConfig { servers: vec![server], stale, ..ResolverConfig::default() };
        Self {
            resolver: Resolver::new(config, Hosts::default(), &Seed::from_u64(1)),
            now: Instant::from_nanos(1_000_000_000),
            ranges: Vec::new(),
            step: 0,
            asks: VecDeque::new(),
            begun: VecDeque::new(),
            answers: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }

    /// Carries orders out, and gives whatever the current step's servers say.
    fn run(&mut self) {
        loop {
            // A driver lets time act before it hears what servers say.
            if self.resolver.poll_timeout().is_some_and(|at| at <= self.now) {
                self.resolver.handle_timeout(self.now);
            }
            while let Some(event) = self.resolver.poll_event() {
                match event {
                    Event::Answer(token, answer) => drop(self.answers.insert(token, answer)),
                    Event::Done(token, result) => drop(self.ends.insert(token, result)),
                }
            }
            while let Some(order) = self.resolver.poll_order() {
                match order {
                    Order::Ask(ask) => self.asks.push_back(ask),
                    Order::Forget(token) => self.asks.retain(|ask| ask.token != token),
                }
            }
            let said = (0..self.asks.len()).find_map(|at| {
                let open = self.ranges.iter().filter(|(from, to, _)| (*from..=*to).contains(&self.step));
                let entry =
                    open.flat_map(|(_, _, entries)| entries).find(|entry| entry.suits(&self.asks[at]))?;
                Some((at, entry.reply(&self.asks[at])))
            });
            match said.and_then(|(at, reply)| Some((self.asks.remove(at)?, reply))) {
                Some((ask, reply)) => self.resolver.handle_reply(self.now, ask.token, Ok(reply)),
                None => return,
            }
        }
    }

    fn time_out(&mut self) {
        if let Some(ask) = self.asks.pop_front() {
            self.resolver.handle_reply(self.now, ask.token, Err(ExchangeError::TimedOut));
        }
    }

    /// Lets time pass, in steps as a driver would.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.run();
            match self.resolver.poll_timeout().filter(|at| *at <= end) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.resolver.handle_timeout(self.now);
                }
                None => break,
            }
        }
        self.now = end;
    }

    fn act(&mut self, what: &str, rest: &[&str], entry: Option<Entry>) -> Result<(), Failed> {
        match (what, entry) {
            ("QUERY", Some(entry)) => {
                let (name, rtype) = entry.question.ok_or("no question")?;
                let token = Token(1_000_000 + self.step);
                self.begun.push_back(token);
                let submitted = self.resolver.submit(self.now, token, Request::whole(name, rtype));
                submitted.map_err(|_| "the resolver is full")?;
            }
            ("CHECK_OUT_QUERY", Some(entry)) => {
                if !self.asks.iter().any(|ask| entry.suits(ask)) {
                    return Err(format!("not asked: {:?}", entry.question).into());
                }
            }
            ("REPLY", Some(entry)) => {
                // Unbound asked once more than we did where it fetches ahead.
                let at = self.asks.iter().position(|ask| entry.suits(ask));
                if let Some(ask) = at.and_then(|at| self.asks.remove(at)) {
                    self.resolver.handle_reply(self.now, ask.token, Ok(entry.reply(&ask)));
                }
            }
            ("CHECK_ANSWER", Some(entry)) => self.check(&entry)?,
            ("TIMEOUT" | "ERROR", _) => self.time_out(),
            ("TIME_PASSES", _) => {
                let seconds = rest.last().ok_or("no time")?.parse()?;
                self.pass(Duration::from_secs(seconds));
            }
            ("NOTHING" | "TRAFFIC", _) => {}
            (other, _) => return Err(format!("{other} is not played").into()),
        }
        self.run();
        Ok(())
    }

    fn check(&mut self, entry: &Entry) -> Result<(), Failed> {
        // The answer to the question at hand, not that of a lookup beside it.
        let suits = |answers: &BTreeMap<Token, Answer>, token: &Token| {
            let asked = entry.question.as_ref();
            answers.get(token).is_none_or(|found| asked.is_none_or(|(_, rtype)| *rtype == found.rtype))
        };
        let at =
            self.begun.iter().position(|token| suits(&self.answers, token)).ok_or("nothing was asked")?;
        let token = self.begun.remove(at).ok_or("nothing was asked")?;
        self.pass(Duration::from_millis(1));
        for _ in 0..50 {
            if self.ends.contains_key(&token) {
                break;
            }
            // What is not answered now never is.
            self.time_out();
            self.run();
        }
        let end = self.ends.remove(&token).ok_or("no end")?;
        if entry.rcode() == Rcode::SERVFAIL {
            return if end.is_err() { Ok(()) } else { Err("an answer instead of a failure".into()) };
        }
        end?;
        let answer = self.answers.remove(&token).ok_or("no answer")?;
        let response = Response::from(&answer);
        let stale = entry.matched.iter().any(|word| word == "ede=3");
        if stale != matches!(answer.freshness, Freshness::Stale(_)) {
            return Err(format!("step {}: {:?}", self.step, answer.freshness).into());
        }
        let all = entry.matched.iter().any(|word| word == "all");
        let times = all && !stale && entry.matched.iter().any(|word| word == "ttl");
        let plain = |records: &[Record]| {
            let mut lines: Vec<String> = records
                .iter()
                .map(|record| {
                    Record { ttl: if times { record.ttl } else { 0 }, ..record.clone() }.to_string()
                })
                .collect();
            lines.sort();
            lines
        };
        let (ours, theirs) = (plain(&response.answers), plain(&entry.answers));
        if response.rcode != entry.rcode() || (all && ours != theirs) {
            return Err(format!("step {}: {ours:?} is not {theirs:?}", self.step).into());
        }
        Ok(())
    }
}

fn play(text: &str) -> Result<(), Failed> {
    let (head, text) = text.split_once("CONFIG_END").ok_or("no configuration")?;
    let mut player = Player::new(head);
    let mut lines = text.lines();
    let mut checked = 0;
    // Ranges may stand behind the steps they are for.
    let mut steps = Vec::new();
    while let Some(line) = lines.next() {
        match words(line)[..] {
            ["RANGE_BEGIN", from, to] => player.ranges.push((from.parse()?, to.parse()?, Vec::new())),
            ["ENTRY_BEGIN", ..] => {
                let entry = entry(&mut lines)?;
                player.ranges.last_mut().ok_or("an entry of nothing")?.2.push(entry);
            }
            ["STEP", number, what, ref rest @ ..] => {
                let has_entry = matches!(what, "QUERY" | "CHECK_ANSWER" | "CHECK_OUT_QUERY" | "REPLY");
                let entry = if has_entry { Some(entry(&mut lines)?) } else { None };
                steps.push((number.parse()?, what, rest.to_vec(), entry));
            }
            _ => {}
        }
    }
    for (number, what, rest, entry) in steps {
        player.step = number;
        checked += u32::from(what == "CHECK_ANSWER");
        player.act(what, &rest, entry)?;
    }
    if checked > 0 { Ok(()) } else { Err("nothing was checked".into()) }
}
