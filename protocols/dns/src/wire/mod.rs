//! The wire format: RFC 1035 section 4, EDNS(0) of RFC 6891, unknown types of RFC 3597.
//!
//! Two levels. [`MessageView`] borrows a message and decodes on demand: nothing is allocated, and a section costs nothing
//! until it is walked. [`Message`] owns its parts. Both speak the same [`RecordData`].

mod build;
mod code;
mod data;
mod edns;
mod header;
mod message;
mod name;
mod name_ref;
mod rdata;
pub(crate) mod reader;
pub(crate) mod schema;
mod svcb;
mod view;

pub use build::{MessageBuilder, NoRoom, Section};
pub use code::{Class, Opcode, Rcode, RecordType, UnknownCode};
pub use data::{
    Caa, Dnskey, Ds, Mx, Naptr, Nsec, Nsec3, Nsec3param, RecordData, Rrsig, Soa, Srv, Sshfp, Strings, Tlsa,
    TypeBitmap,
};
pub use edns::{ClientSubnet, Cookie, Edns, EdnsOption, OptView, OptionCode, RawOption};
pub use header::{Flags, Header};
pub use message::{Message, Question, Record};
pub use name::{MAX_NAME_LEN, Name, NameError};
pub use name_ref::{Labels, NameRef};
pub use rdata::Rdata;
pub(crate) use svcb::strings;
pub use svcb::{SvcKey, SvcParam, SvcParams, Svcb};
pub use view::{MessageView, QuestionView, RecordView, Records};
