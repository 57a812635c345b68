//! What SRV and MX records say, owned, and in the order to try it in.

use alloc::vec::Vec;

use glowplug_core::Rng;

use crate::wire::{Name, Record, RecordData};

/// One place where a service is offered (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Places with a lower priority are tried first.
    pub priority: u16,
    /// How large a share of the clients this one gets among those of its priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host.
    pub target: Name,
}

impl Service {
    /// The services among `records`, in the order to try them in: by priority, and within one by weighted chance.
    ///
    /// A target that is the root says that the service is decidedly not offered; it is left out.
    pub fn arrange(records: &[Record], rng: &mut Rng) -> Vec<Self> {
        let mut services: Vec<Self> = records.iter().filter_map(Self::read).collect();
        // RFC 2782: those of weight zero first, so that they are rarely chosen while others have weight.
        services.sort_by_key(|service| (service.priority, service.weight > 0));
        let mut start = 0;
        while start < services.len() {
            let priority = services[start].priority;
            let len = services[start..].iter().take_while(|service| service.priority == priority).count();
            draw(&mut services[start..start + len], rng);
            start += len;
        }
        services
    }

    fn read(record: &Record) -> Option<Self> {
        let RecordData::Srv(srv) = record.data.data() else { return None };
        let target = srv.target.to_name();
        let service = Self { priority: srv.priority, weight: srv.weight, port: srv.port, target };
        (!service.target.is_root()).then_some(service)
    }
}

/// Draws one after another, each with a chance by its weight.
fn draw(services: &mut [Service], rng: &mut Rng) {
    for at in 0..services.len() {
        let rest = &mut services[at..];
        let total: u64 = rest.iter().map(|service| u64::from(service.weight)).sum();
        let mut drawn = rng.below(total + 1);
        let chosen = rest.iter().position(|service| {
            let weight = u64::from(service.weight);
            let hit = drawn <= weight;
            drawn = drawn.saturating_sub(weight);
            hit
        });
        // The others keep their order.
        rest[..=chosen.unwrap_or(0)].rotate_right(1);
    }
}

/// One host that takes mail for a domain (RFC 5321 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailExchange {
    /// Hosts with a lower preference are tried first.
    pub preference: u16,
    /// The host.
    pub host: Name,
}

impl MailExchange {
    /// The mail hosts among `records`, the preferred first, equals by chance.
    ///
    /// A host that is the root says that the domain takes no mail (RFC 7505); it is left out.
    pub fn arrange(records: &[Record], rng: &mut Rng) -> Vec<Self> {
        let mut hosts: Vec<(u64, Self)> = Vec::new();
        for record in records {
            if let RecordData::Mx(mx) = record.data.data() {
                hosts.push((rng.u64(), Self { preference: mx.preference, host: mx.exchange.to_name() }));
            }
        }
        hosts.sort_by_key(|(chance, host)| (host.preference, *chance));
        hosts.into_iter().map(|(_, host)| host).filter(|host| !host.host.is_root()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use glowplug_core::Seed;

    use super::*;

    fn records(text: &str) -> Vec<Record> {
        text.lines().map(|line| line.trim().parse().unwrap()).collect()
    }

    #[test]
    fn services_come_by_priority_and_by_weight() {
        let records = records(
            "s. 60 IN SRV 20 0 1 last.
             s. 60 IN SRV 10 90 1 often.
             s. 60 IN SRV 10 10 1 seldom.
             s. 60 IN SRV 10 0 1 hardly.
             s. 60 IN SRV 5 1 1 .",
        );
        let mut rng = Seed::from_u64(7).rng();
        let mut firsts = [0_u32; 3];
        for _ in 0..1000 {
            let services = Service::arrange(&records, &mut rng);
            assert_eq!(services.len(), 4);
            assert_eq!(services[3].target.to_string(), "last.");
            match services[0].target.to_string().as_str() {
                "often." => firsts[0] += 1,
                "seldom." => firsts[1] += 1,
                "hardly." => firsts[2] += 1,
                other => panic!("{other} came first"),
            }
        }
        assert!(firsts[0] > 800 && firsts[1] > 50 && firsts[2] < 50, "{firsts:?}");
    }

    #[test]
    fn mail_hosts_come_by_preference() {
        let with = |text| MailExchange::arrange(&records(text), &mut Seed::from_u64(1).rng());
        let hosts = with("m. 60 IN MX 20 b.\nm. 60 IN MX 10 a.");
        assert_eq!(hosts.iter().map(|host| host.host.to_string()).collect::<Vec<_>>(), ["a.", "b."]);
        assert!(with("m. 60 IN MX 0 .").is_empty());
    }
}
