//! The server's half of a message: what came in, and what goes out for it. EDNS, sizes and truncation are done here,
//! for every transport.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::resolver::{Answer, Channel};
use crate::wire::{
    Class, Edns, EdnsOption, Flags, MessageBuilder, MessageView, Name, Opcode, Rcode, Record, RecordType,
    Section,
};

/// A datagram without EDNS has at most so many bytes (RFC 1035 section 4.2.1).
const PLAIN_UDP_SIZE: u16 = 512;

/// How a server speaks EDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseConfig {
    /// The largest datagram that is taken and sent. Default 1232.
    pub udp_payload_size: u16,
    /// The server finds answers elsewhere: sets RA. Default false.
    pub recursion_available: bool,
}

impl Default for ResponseConfig {
    fn default() -> Self {
        Self { udp_payload_size: Edns::DEFAULT_UDP_PAYLOAD_SIZE, recursion_available: false }
    }
}

/// A query that came in, with all that its response needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    message: Bytes,
    name: Name,
    rtype: RecordType,
    class: Class,
    channel: Channel,
    edns: Option<Edns>,
    config: ResponseConfig,
    /// Which query of its connection this is.
    pub(crate) number: u64,
}

/// Why a message does not reach the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It is a response, or shorter than a header: nothing may be said to it, or two servers talk for ever.
    Ignored,
    /// It breaks a rule: this response says which.
    Answered(Bytes),
}

impl Incoming {
    /// Reads a query of one question.
    pub fn read(message: Bytes, channel: Channel, config: &ResponseConfig) -> Result<Self, Rejected> {
        let Ok(view) = MessageView::new(&message) else { return Err(Rejected::Ignored) };
        if view.flags().is_response() {
            return Err(Rejected::Ignored);
        }
        let refuse = |rcode| Err(Rejected::Answered(bare(view, rcode, *config)));
        if view.flags().opcode() != Opcode::QUERY {
            return refuse(Rcode::NOTIMP);
        }
        if view.counts()[0] != 1 || view.check().is_err() {
            return refuse(Rcode::FORMERR);
        }
        let (Ok(Some(question)), Ok(opt)) = (view.question(), view.opt()) else {
            return refuse(Rcode::FORMERR);
        };
        if opt.is_some_and(|opt| opt.version() != 0) {
            // RFC 6891 section 6.1.3.
            return refuse(Rcode::BADVERS);
        }
        Ok(Self {
            name: question.name.to_name(),
            rtype: question.rtype,
            class: question.class,
            channel,
            edns: opt.map(Edns::from_view),
            config: *config,
            number: 0,
            message,
        })
    }

    /// The name asked about, in the case it was asked in.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The type asked for.
    pub fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// The class asked for.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How the query came.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// What the client said by EDNS.
    pub fn edns(&self) -> Option<&Edns> {
        self.edns.as_ref()
    }

    /// True if DNSSEC records are welcome.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.dnssec_ok)
    }

    /// The whole message.
    pub fn view(&self) -> MessageView<'_> {
        MessageView::new(&self.message).unwrap_or(MessageView::EMPTY)
    }

    /// How many bytes the response may have.
    pub fn limit(&self) -> usize {
        match (self.channel, &self.edns) {
            (Channel::Tcp, _) => usize::from(u16::MAX),
            (Channel::Udp, None) => usize::from(PLAIN_UDP_SIZE),
            // RFC 6891 section 6.2.3: less than 512 counts as 512.
            (Channel::Udp, Some(edns)) => {
                let ours = self.config.udp_payload_size.max(PLAIN_UDP_SIZE);
                usize::from(edns.udp_payload_size.clamp(PLAIN_UDP_SIZE, ours))
            }
        }
    }

    /// Appends the response as a message. What does not fit is left out, and TC says so (RFC 2181 section 9): answers and
    /// authorities count, additional records are only help.
    pub fn respond(&self, response: &Response, out: &mut BytesMut) -> usize {
        let asked = self.view().flags();
        let flags = asked
            .with_response(true)
            .with_authoritative(response.authoritative)
            .with_truncated(response.truncated)
            .with_recursion_available(self.config.recursion_available)
            .with_authentic_data(response.authentic)
            .with_rcode(response.rcode);
        let edns = self.edns.as_ref().map(|asked| Edns {
            udp_payload_size: self.config.udp_payload_size,
            dnssec_ok: asked.dnssec_ok,
            options: response.options.clone(),
            ..Edns::default()
        });
        let mut builder = MessageBuilder::new(out, self.view().id(), flags);
        builder.limit(self.limit());
        builder.reserve(edns.as_ref().map_or(0, Edns::wire_len));
        let mut full = builder.question(self.name.as_ref(), self.rtype, self.class).is_err();
        let sections = [
            (Section::Answer, &response.answers),
            (Section::Authority, &response.authorities),
            (Section::Additional, &response.additionals),
        ];
        for (section, records) in sections {
            if full {
                break;
            }
            for record in records {
                let owner = record.name.as_ref();
                if builder.record(section, owner, record.class, record.ttl, &record.data).is_err() {
                    full = section != Section::Additional;
                    break;
                }
            }
        }
        if full {
            *builder.flags_mut() = builder.flags_mut().with_truncated(true);
        }
        if let Some(edns) = &edns {
            // There is room: it was reserved, unless the options alone pass the limit.
            let _ = builder.edns(edns, response.rcode);
        }
        builder.finish()
    }
}

/// A response without records, to a message that may not be readable beyond its header.
fn bare(view: MessageView<'_>, rcode: Rcode, config: ResponseConfig) -> Bytes {
    let mut out = BytesMut::new();
    let flags = Flags::default()
        .with_opcode(view.flags().opcode())
        .with_response(true)
        .with_recursion_desired(view.flags().recursion_desired())
        .with_rcode(rcode);
    let mut builder = MessageBuilder::new(&mut out, view.id(), flags);
    builder.limit(usize::from(PLAIN_UDP_SIZE));
    if let Ok(Some(question)) = view.question() {
        let _ = builder.question(question.name, question.rtype, question.class);
    }
    if rcode.0 > 15 || matches!(view.opt(), Ok(Some(_))) {
        let edns = Edns { udp_payload_size: config.udp_payload_size, ..Edns::default() };
        let _ = builder.edns(&edns, rcode);
    }
    builder.finish();
    out.freeze()
}

/// What is answered. `Default` is an empty NOERROR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// How it went.
    pub rcode: Rcode,
    /// AA: this server is an authority for the name.
    pub authoritative: bool,
    /// AD: the answer was verified.
    pub authentic: bool,
    /// TC: asks the client to come over TCP, whatever fits.
    pub truncated: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section without EDNS.
    pub additionals: Vec<Record>,
    /// EDNS options; they are left out when the client does not speak EDNS.
    pub options: Vec<EdnsOption>,
}

impl Response {
    /// A response without records.
    pub fn error(rcode: Rcode) -> Self {
        Self { rcode, ..Self::default() }
    }
}

/// What a resolver found, passed on: aliases and records, or the SOA record that says that there are none (RFC 2308 section 6), each with as
/// much of its time as is left.
impl From<&Answer> for Response {
    fn from(answer: &Answer) -> Self {
        let left = u32::try_from(answer.valid_for.as_secs()).unwrap_or(u32::MAX);
        let aged = |record: &Record| Record { ttl: record.ttl.min(left), ..record.clone() };
        Self {
            rcode: answer.rcode,
            answers: answer.chain.iter().chain(answer.records()).map(aged).collect(),
            authorities: answer.soa().map(aged).into_iter().collect(),
            ..Self::default()
        }
    }
}
