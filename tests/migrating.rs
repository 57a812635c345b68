//! What `MIGRATING.md` names is there: this program compiles.
#![allow(unused_imports, reason = "the imports are the test")]

use glowplug::core::framer::{Framer, LengthPrefix, LineEnding, Rule};
use glowplug::core::{SendBuf, StreamProtocol};
use glowplug::runtime::dial::{DialError, Dialer};
use glowplug::runtime::drive::{Exclusive, shared};
use glowplug::runtime::pool::Pool;
use glowplug::runtime::server::{Config, Stopper, Stopping};
use glowplug::runtime::signals::Interrupts;
use glowplug::runtime::time::{sleep, within};
use glowplug::runtime::{task, tls};

macro_rules! names {
    ($plug:ident) => {
        mod $plug {
            use glowplug::$plug::dns::{Client as DnsClient, Resolver, Server as DnsServer};
            use glowplug::$plug::http::{Client as HttpClient, Server};
            use glowplug::$plug::mongodb::Client as MongoClient;
            use glowplug::$plug::redis::{Client as RedisClient, Commands, commands};
            use glowplug::$plug::riak::{Client as RiakClient, TypedBucket};
            use glowplug::$plug::services::Services;
            use glowplug::$plug::supervise::{Restart, Scope};
            use glowplug::$plug::tcp::{Connection, Service, connect, serve};
            use glowplug::$plug::udp::{
                Listener, connect as connect_udp, conversation::current, reliable, serve as serve_udp,
            };
        }
    };
}

names!(sim);
names!(smol);
names!(tokio);

#[test]
fn every_row_of_the_tables_has_a_right_side() {
    let guide = include_str!("../MIGRATING.md");
    let rows = guide.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    for row in rows {
        // A bar that is text is written with a backslash.
        let cells: Vec<_> = row.replace("\\|", "").split('|').map(|cell| cell.trim().to_owned()).collect();
        assert!(cells.len() == 4 && cells[1..3].iter().all(|cell| !cell.is_empty()), "{row}");
    }
}
