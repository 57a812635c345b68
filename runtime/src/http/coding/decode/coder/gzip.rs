//! gzip (RFC 1952): a head, deflate, and a checksum; several of them one behind the other are one content.

use bytes::{Buf, Bytes};
use flate2::Crc;

use super::Inflate;

/// Where in a member it is.
enum At {
    Head(Head),
    Body(Box<Inflate>),
    Trailer([u8; 8], usize),
}

/// What comes next of a head; what it says is of no use here, and thrown away.
#[derive(Clone, Copy)]
enum Head {
    Fixed(u8),
    ExtraLen(u8),
    Extra,
    Name,
    Comment,
    Check(u8),
}

pub(in super::super) struct Gzip {
    at: At,
    flags: u8,
    extra: u16,
    crc: Crc,
    members: u64,
}

const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const CHECK: u8 = 2;

impl Gzip {
    pub(super) fn new() -> Self {
        Self { at: At::Head(Head::Fixed(0)), flags: 0, extra: 0, crc: Crc::new(), members: 0 }
    }

    pub(super) fn holds_output(&self) -> bool {
        matches!(&self.at, At::Body(inflate) if inflate.more)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.members > 0 && matches!(self.at, At::Head(Head::Fixed(0)))
    }

    pub(super) fn step(&mut self, input: &mut Bytes) -> Result<Vec<u8>, ()> {
        loop {
            match &mut self.at {
                At::Head(head) => {
                    if input.is_empty() {
                        return Ok(Vec::new());
                    }
                    let (head, byte) = (*head, input.get_u8());
                    self.at = match self.head(head, byte)? {
                        Some(next) => At::Head(next),
                        None => At::Body(Box::new(Inflate::new(false))),
                    };
                }
                At::Body(inflate) => {
                    let piece = inflate.step(input)?;
                    self.crc.update(&piece);
                    if inflate.ended {
                        self.at = At::Trailer([0; 8], 0);
                    }
                    if !piece.is_empty() || !matches!(self.at, At::Trailer(..)) {
                        return Ok(piece);
                    }
                }
                At::Trailer(trailer, len) => {
                    let take = (trailer.len() - *len).min(input.len());
                    input.copy_to_slice(&mut trailer[*len..*len + take]);
                    *len += take;
                    if *len < trailer.len() {
                        return Ok(Vec::new());
                    }
                    let mut trailer = &trailer[..];
                    if trailer.get_u32_le() != self.crc.sum() || trailer.get_u32_le() != self.crc.amount() {
                        return Err(());
                    }
                    self.crc.reset();
                    self.members += 1;
                    self.at = At::Head(Head::Fixed(0));
                    return Ok(Vec::new());
                }
            }
        }
    }

    /// RFC 1952 §2.3: one byte of a head, and what comes behind it; `None` is its end.
    fn head(&mut self, head: Head, byte: u8) -> Result<Option<Head>, ()> {
        let next = match head {
            Head::Fixed(at) => {
                match at {
                    0 if byte != 0x1f => return Err(()),
                    1 if byte != 0x8b => return Err(()),
                    2 if byte != 8 => return Err(()),
                    // Flags that nobody has given a meaning.
                    3 if byte & 0xe0 != 0 => return Err(()),
                    3 => self.flags = byte,
                    _ => {}
                }
                if at < 9 {
                    return Ok(Some(Head::Fixed(at + 1)));
                }
                self.from(EXTRA)
            }
            Head::ExtraLen(0) => {
                self.extra = u16::from(byte);
                Some(Head::ExtraLen(1))
            }
            Head::ExtraLen(_) => {
                self.extra |= u16::from(byte) << 8;
                if self.extra == 0 { self.from(NAME) } else { Some(Head::Extra) }
            }
            Head::Extra => {
                self.extra -= 1;
                if self.extra == 0 { self.from(NAME) } else { Some(Head::Extra) }
            }
            Head::Name if byte != 0 => Some(Head::Name),
            Head::Name => self.from(COMMENT),
            Head::Comment if byte != 0 => Some(Head::Comment),
            Head::Comment => self.from(CHECK),
            Head::Check(0) => Some(Head::Check(1)),
            Head::Check(_) => None,
        };
        Ok(next)
    }

    /// The next part that this head has, from that of `flag` on.
    fn from(&self, flag: u8) -> Option<Head> {
        let parts = [
            (EXTRA, Head::ExtraLen(0)),
            (NAME, Head::Name),
            (COMMENT, Head::Comment),
            (CHECK, Head::Check(0)),
        ];
        let mut parts = parts.into_iter().skip_while(|(other, _)| *other != flag);
        parts.find(|(flag, _)| self.flags & flag != 0).map(|(_, part)| part)
    }
}
