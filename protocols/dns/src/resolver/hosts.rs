//! The hosts file.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::wire::Name;

/// A hosts file, read once: `address name alias ...`, comments behind `#`.
///
/// ```
/// use glowplug_dns::resolver::Hosts;
/// let hosts = Hosts::parse(b"192.0.2.1 www.example.org www # ours\n");
/// assert_eq!(hosts.addresses(&"WWW".parse().unwrap()).len(), 1);
/// assert_eq!(hosts.name([192, 0, 2, 1].into()).unwrap().to_string(), "www.example.org.");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    addresses: BTreeMap<Name, Vec<IpAddr>>,
    names: BTreeMap<IpAddr, Name>,
}

impl Hosts {
    /// Reads the file's text. Lines that are not understood are passed over, as everywhere.
    pub fn parse(text: &[u8]) -> Self {
        let mut hosts = Self::default();
        for line in text.split(|b| *b == b'\n') {
            let line = line.split(|b| *b == b'#').next().unwrap_or_default();
            let Ok(line) = core::str::from_utf8(line) else { continue };
            let mut words = line.split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
            for name in words.filter_map(|word| word.parse::<Name>().ok()) {
                hosts.names.entry(address).or_insert_with(|| name.clone());
                let addresses = hosts.addresses.entry(name).or_default();
                if addresses.last() != Some(&address) {
                    addresses.push(address);
                }
            }
        }
        hosts
    }

    /// The addresses of a name, in the order of the file.
    pub fn addresses(&self, name: &Name) -> &[IpAddr] {
        self.addresses.get(name).map_or(&[], Vec::as_slice)
    }

    /// The first name of an address.
    pub fn name(&self, address: IpAddr) -> Option<&Name> {
        self.names.get(&address)
    }
}
