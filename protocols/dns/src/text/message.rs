//! A whole message for people, in the form that `dig` made known.

use core::fmt;

use crate::wire::{Edns, EdnsOption, Message, Record};

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ";; opcode: {}, status: {}, id: {}\n;; flags:", self.flags.opcode(), self.rcode, self.id)?;
        for (on, name) in [
            (self.flags.is_response(), "qr"),
            (self.flags.authoritative(), "aa"),
            (self.flags.truncated(), "tc"),
            (self.flags.recursion_desired(), "rd"),
            (self.flags.recursion_available(), "ra"),
            (self.flags.authentic_data(), "ad"),
            (self.flags.checking_disabled(), "cd"),
        ] {
            if on {
                write!(f, " {name}")?;
            }
        }
        f.write_str("\n")?;
        if let Some(edns) = &self.edns {
            edns_lines(f, edns)?;
        }
        if !self.questions.is_empty() {
            f.write_str("\n;; QUESTION\n")?;
        }
        for question in &self.questions {
            writeln!(f, ";{}\t{}\t{}", question.name, question.class, question.rtype)?;
        }
        section(f, "ANSWER", &self.answers)?;
        section(f, "AUTHORITY", &self.authorities)?;
        section(f, "ADDITIONAL", &self.additionals)
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, records: &[Record]) -> fmt::Result {
    if records.is_empty() {
        return Ok(());
    }
    write!(f, "\n;; {title}\n")?;
    records.iter().try_for_each(|record| writeln!(f, "{record}"))
}

fn edns_lines(f: &mut fmt::Formatter<'_>, edns: &Edns) -> fmt::Result {
    let dnssec = if edns.dnssec_ok { " do" } else { "" };
    writeln!(f, ";; edns: version {}, flags:{dnssec}, udp: {}", edns.version, edns.udp_payload_size)?;
    edns.options.iter().try_for_each(|option| writeln!(f, ";; {option}"))
}

impl fmt::Display for EdnsOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        match self {
            Self::Nsid(text) => super::write_escaped(f, text, super::Escape::Quoted),
            Self::ClientSubnet(subnet) => {
                write!(f, "{}/{}/{}", subnet.address, subnet.source_prefix, subnet.scope_prefix)
            }
            Self::Cookie(cookie) => {
                super::base::write_hex(f, &cookie.client)?;
                super::base::write_hex(f, &cookie.server)
            }
            Self::Keepalive(Some(tenths)) => write!(f, "{}.{} s", tenths / 10, tenths % 10),
            Self::Keepalive(None) => f.write_str("?"),
            Self::Padding(len) => write!(f, "{len} bytes"),
            Self::ExtendedError(code, text) => {
                write!(f, "{code} \"")?;
                super::write_escaped(f, text, super::Escape::Quoted)?;
                f.write_str("\"")
            }
            Self::Other(_, data) => super::base::write_hex(f, data),
        }
    }
}
