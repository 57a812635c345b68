//! The messages as quick-protobuf's generator writes them, `bytes` fields borrowed.

use std::borrow::Cow;

use quick_protobuf::sizeofs::{sizeof_len, sizeof_varint};
use quick_protobuf::{BytesReader, MessageRead, MessageWrite, Result, Writer, WriterBackend};

type Slice<'a> = Cow<'a, [u8]>;

fn len_of_bytes(value: &[u8]) -> usize {
    1 + sizeof_len(value.len())
}

fn len_of_message(value: &impl MessageWrite) -> usize {
    1 + sizeof_len(value.get_size())
}

fn len_of_bool(_: &bool) -> usize {
    2
}

fn len_of_uint32(value: &u32) -> usize {
    1 + sizeof_varint(u64::from(*value))
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct GetResp<'a> {
    pub content: Vec<Content<'a>>,
    pub vclock: Option<Slice<'a>>,
    pub unchanged: Option<bool>,
}

impl<'a> MessageRead<'a> for GetResp<'a> {
    fn from_reader(r: &mut BytesReader, bytes: &'a [u8]) -> Result<Self> {
        let mut msg = Self::default();
        while !r.is_eof() {
            match r.next_tag(bytes)? {
                10 => msg.content.push(r.read_message(bytes)?),
                18 => msg.vclock = Some(r.read_bytes(bytes).map(Cow::Borrowed)?),
                24 => msg.unchanged = Some(r.read_bool(bytes)?),
                t => r.read_unknown(bytes, t)?,
            }
        }
        Ok(msg)
    }
}

impl MessageWrite for GetResp<'_> {
    fn get_size(&self) -> usize {
        self.content.iter().map(len_of_message).sum::<usize>()
            + self.vclock.as_deref().map_or(0, len_of_bytes)
            + self.unchanged.as_ref().map_or(0, len_of_bool)
    }

    fn write_message<W: WriterBackend>(&self, w: &mut Writer<W>) -> Result<()> {
        for s in &self.content {
            w.write_with_tag(10, |w| w.write_message(s))?;
        }
        if let Some(s) = &self.vclock {
            w.write_with_tag(18, |w| w.write_bytes(s))?;
        }
        if let Some(s) = self.unchanged {
            w.write_with_tag(24, |w| w.write_bool(s))?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content<'a> {
    pub value: Slice<'a>,
    pub content_type: Option<Slice<'a>>,
    pub charset: Option<Slice<'a>>,
    pub content_encoding: Option<Slice<'a>>,
    pub vtag: Option<Slice<'a>>,
    pub links: Vec<Link<'a>>,
    pub last_mod: Option<u32>,
    pub last_mod_usecs: Option<u32>,
    pub usermeta: Vec<Pair<'a>>,
    pub indexes: Vec<Pair<'a>>,
    pub deleted: Option<bool>,
}

impl<'a> MessageRead<'a> for Content<'a> {
    fn from_reader(r: &mut BytesReader, bytes: &'a [u8]) -> Result<Self> {
        let mut msg = Self::default();
        while !r.is_eof() {
            match r.next_tag(bytes)? {
                10 => msg.value = r.read_bytes(bytes).map(Cow::Borrowed)?,
                18 => msg.content_type = Some(r.read_bytes(bytes).map(Cow::Borrowed)?),
                26 => msg.charset = Some(r.read_bytes(bytes).map(Cow::Borrowed)?),
                34 => msg.content_encoding = Some(r.read_bytes(bytes).map(Cow::Borrowed)?),
                42 => msg.vtag = Some(r.read_bytes(bytes).map(Cow::Borrowed)?),
                50 => msg.links.push(r.read_message(bytes)?),
                56 => msg.last_mod = Some(r.read_uint32(bytes)?),
                64 => msg.last_mod_usecs = Some(r.read_uint32(bytes)?),
                74 => msg.usermeta.push(r.read_message(bytes)?),
                82 => msg.indexes.push(r.read_message(bytes)?),
                88 => msg.deleted = Some(r.read_bool(bytes)?),
                t => r.read_unknown(bytes, t)?,
            }
        }
        Ok(msg)
    }
}

impl MessageWrite for Content<'_> {
    fn get_size(&self) -> usize {
        len_of_bytes(&self.value)
            + self.content_type.as_deref().map_or(0, len_of_bytes)
            + self.charset.as_deref().map_or(0, len_of_bytes)
            + self.content_encoding.as_deref().map_or(0, len_of_bytes)
            + self.vtag.as_deref().map_or(0, len_of_bytes)
            + self.links.iter().map(len_of_message).sum::<usize>()
            + self.last_mod.as_ref().map_or(0, len_of_uint32)
            + self.last_mod_usecs.as_ref().map_or(0, len_of_uint32)
            + self.usermeta.iter().map(len_of_message).sum::<usize>()
            + self.indexes.iter().map(len_of_message).sum::<usize>()
            + self.deleted.as_ref().map_or(0, len_of_bool)
    }

    fn write_message<W: WriterBackend>(&self, w: &mut Writer<W>) -> Result<()> {
        w.write_with_tag(10, |w| w.write_bytes(&self.value))?;
        if let Some(s) = &self.content_type {
            w.write_with_tag(18, |w| w.write_bytes(s))?;
        }
        if let Some(s) = &self.charset {
            w.write_with_tag(26, |w| w.write_bytes(s))?;
        }
        if let Some(s) = &self.content_encoding {
            w.write_with_tag(34, |w| w.write_bytes(s))?;
        }
        if let Some(s) = &self.vtag {
            w.write_with_tag(42, |w| w.write_bytes(s))?;
        }
        for s in &self.links {
            w.write_with_tag(50, |w| w.write_message(s))?;
        }
        if let Some(s) = self.last_mod {
            w.write_with_tag(56, |w| w.write_uint32(s))?;
        }
        if let Some(s) = self.last_mod_usecs {
            w.write_with_tag(64, |w| w.write_uint32(s))?;
        }
        for s in &self.usermeta {
            w.write_with_tag(74, |w| w.write_message(s))?;
        }
        for s in &self.indexes {
            w.write_with_tag(82, |w| w.write_message(s))?;
        }
        if let Some(s) = self.deleted {
            w.write_with_tag(88, |w| w.write_bool(s))?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair<'a> {
    pub key: Slice<'a>,
    pub value: Option<Slice<'a>>,
}

impl<'a> MessageRead<'a> for Pair<'a> {
    fn from_reader(r: &mut BytesReader, bytes: &'a [u8]) -> Result<Self> {
        let mut msg = Self::default();
        while !r.is_eof() {
            match r.next_tag(bytes)? {
                10 => msg.key = r.read_bytes(bytes).map(Cow::Borrowed)?,
                18 => msg.value = Some(r.read_bytes(bytes).map(Cow::Borrowed)?),
                t => r.read_unknown(bytes, t)?,
            }
        }
        Ok(msg)
    }
}

impl MessageWrite for Pair<'_> {
    fn get_size(&self) -> usize {
        len_of_bytes(&self.key) + self.value.as_deref().map_or(0, len_of_bytes)
    }

    fn write_message<W: WriterBackend>(&self, w: &mut Writer<W>) -> Result<()> {
        w.write_with_tag(10, |w| w.write_bytes(&self.key))?;
        if let Some(s) = &self.value {
            w.write_with_tag(18, |w| w.write_bytes(s))?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link<'a> {
    pub bucket: Option<Slice<'a>>,
    pub key: Option<Slice<'a>>,
    pub tag: Option<Slice<'a>>,
}

impl<'a> MessageRead<'a> for Link<'a> {
    fn from_reader(r: &mut BytesReader, bytes: &'a [u8]) -> Result<Self> {
        let mut msg = Self::default();
        while !r.is_eof() {
            match r.next_tag(bytes)? {
                10 => msg.bucket = Some(r.read_bytes(bytes).map(Cow::Borrowed)?),
                18 => msg.key = Some(r.read_bytes(bytes).map(Cow::Borrowed)?),
                26 => msg.tag = Some(r.read_bytes(bytes).map(Cow::Borrowed)?),
                t => r.read_unknown(bytes, t)?,
            }
        }
        Ok(msg)
    }
}

impl MessageWrite for Link<'_> {
    fn get_size(&self) -> usize {
        [&self.bucket, &self.key, &self.tag].into_iter().flatten().map(|s| len_of_bytes(s)).sum()
    }

    fn write_message<W: WriterBackend>(&self, w: &mut Writer<W>) -> Result<()> {
        if let Some(s) = &self.bucket {
            w.write_with_tag(10, |w| w.write_bytes(s))?;
        }
        if let Some(s) = &self.key {
            w.write_with_tag(18, |w| w.write_bytes(s))?;
        }
        if let Some(s) = &self.tag {
            w.write_with_tag(26, |w| w.write_bytes(s))?;
        }
        Ok(())
    }
}
