//! The messages as prost has them, `bytes` fields sharing the input's memory.

use bytes::Bytes;

#[derive(Clone, PartialEq, prost::Message)]
pub struct GetResp {
    #[prost(message, repeated, tag = "1")]
    pub content: Vec<Content>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub vclock: Option<Bytes>,
    #[prost(bool, optional, tag = "3")]
    pub unchanged: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Content {
    #[prost(bytes = "bytes", required, tag = "1")]
    pub value: Bytes,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub content_type: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub charset: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub content_encoding: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub vtag: Option<Bytes>,
    #[prost(message, repeated, tag = "6")]
    pub links: Vec<Link>,
    #[prost(uint32, optional, tag = "7")]
    pub last_mod: Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    pub last_mod_usecs: Option<u32>,
    #[prost(message, repeated, tag = "9")]
    pub usermeta: Vec<Pair>,
    #[prost(message, repeated, tag = "10")]
    pub indexes: Vec<Pair>,
    #[prost(bool, optional, tag = "11")]
    pub deleted: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Pair {
    #[prost(bytes = "bytes", required, tag = "1")]
    pub key: Bytes,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub value: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Link {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub key: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub tag: Option<Bytes>,
}
