//! The codes: which message each stands for, who sends it, and what answers it.
#![allow(clippy::wildcard_imports, reason = "the table names every message there is")]

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;

use super::aae::*;
use super::dt::*;
use super::frame::put_frame_of_len;
use super::kv::*;
use super::repl::*;
use super::riak::*;
use super::search::*;
use super::ts::*;
use super::yokozuna::*;
use super::{DecodeError, DecodeLimits, DecodeReason, Message, Reflect, Sink};

/// The byte that says which message a frame carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u8);

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Clients.
    Request,
    /// Nodes.
    Reply,
    /// Both: StartTls, and the Erlang terms of time series.
    Both,
    /// Nobody: the message has a code and travels only inside others.
    Part,
}

/// What a node answers to a request, if it does not answer with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The code of the reply, or of each reply.
    pub code: Code,
    /// False when there is one reply. True when replies come until one [says that it is the last](Reply::is_last).
    pub streamed: bool,
}

/// Whether the replies to a request form a stream.
macro_rules! streamed {
    (once $request:ident) => {
        false
    };
    (stream $request:ident) => {
        true
    };
    (asked $request:ident) => {
        $request.stream == Some(true)
    };
}

macro_rules! codes {
    (
        requests { $($req_code:literal $req:ident => $how:ident $answer:ident;)* }
        replies { $($rep_code:literal $rep:ident;)* }
        both { $($both_code:literal $both:ident;)* }
        parts { $($part_code:literal $part:ident;)* }
    ) => {
        impl Code {
            /// Every code that has a message, in order within requests, replies, and the rest.
            pub const ALL: &'static [Self] = &[
                $(Self($req_code),)* $(Self($rep_code),)* $(Self($both_code),)* $(Self($part_code),)*
            ];

            /// The name of the message, if the code is known.
            pub const fn name(self) -> Option<&'static str> {
                Some(match self.0 {
                    $($req_code => stringify!($req),)*
                    $($rep_code => stringify!($rep),)*
                    $($both_code => stringify!($both),)*
                    $($part_code => stringify!($part),)*
                    _ => return None,
                })
            }

            /// Who sends the message, if the code is known.
            pub const fn direction(self) -> Option<Direction> {
                Some(match self.0 {
                    $($req_code)|* => Direction::Request,
                    $($rep_code)|* => Direction::Reply,
                    $($both_code)|* => Direction::Both,
                    $($part_code)|* => Direction::Part,
                    _ => return None,
                })
            }
        }

        $(impl $req {
            /// The code of this message.
            pub const CODE: Code = Code($req_code);
        })*
        $(impl $rep {
            /// The code of this message.
            pub const CODE: Code = Code($rep_code);
        })*
        $(impl $both {
            /// The code of this message, in both directions.
            pub const CODE: Code = Code($both_code);
        })*
        $(impl $part {
            /// The code of this message, which no frame carries.
            pub const CODE: Code = Code($part_code);
        })*

        /// Anything a client can ask. Messages are large, so each lies in a box: a request is two words, wherever it goes.
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Request {
            $(
                #[doc = concat!("Code ", $req_code, ".")]
                $req(Box<$req>),
            )*
            $(
                #[doc = concat!("Code ", $both_code, ".")]
                $both(Box<$both>),
            )*
        }

        /// Anything a node can answer. Messages are large, so each lies in a box: a reply is two words, wherever it goes.
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Reply {
            $(
                #[doc = concat!("Code ", $rep_code, ".")]
                $rep(Box<$rep>),
            )*
            $(
                #[doc = concat!("Code ", $both_code, ".")]
                $both(Box<$both>),
            )*
        }

        either! { Request { $($req_code $req,)* $($both_code $both,)* } }
        either! { Reply { $($rep_code $rep,)* $($both_code $both,)* } }

        impl Request {
            /// What the node will answer if all goes well. To anything it may answer with an error, which ends the
            /// request, a stream included.
            pub fn answers(&self) -> Answers {
                match self {
                    $(
                        #[allow(unused_variables, reason = "only some requests ask for a stream")]
                        Self::$req(request) => Answers {
                            code: $answer::CODE,
                            streamed: streamed!($how request),
                        },
                    )*
                    $(Self::$both(_) => Answers { code: $both::CODE, streamed: false },)*
                }
            }
        }
    };
}

/// Decodes where the message is to stay, so that it is not moved there.
fn decode_boxed<M: Message>(body: &Bytes, limits: DecodeLimits) -> Result<Box<M>, DecodeError> {
    let mut message = Box::<M>::default();
    message.merge_all(body, limits).map(|()| message)
}

/// What [`Request`] and [`Reply`] have in common.
macro_rules! either {
    ($enum:ident { $($code:literal $message:ident,)* }) => {
        impl $enum {
            /// The code.
            pub const fn code(&self) -> Code {
                match self {
                    $(Self::$message(_) => Code($code),)*
                }
            }

            /// Decodes the body of a frame.
            ///
            /// A code that is unknown, or not of this direction, is an error at offset 0.
            pub fn decode(code: Code, body: &Bytes, limits: DecodeLimits) -> Result<Self, DecodeError> {
                match code.0 {
                    $($code => decode_boxed(body, limits).map(Self::$message),)*
                    code => Err(DecodeError { offset: 0, reason: DecodeReason::Code { code } }),
                }
            }

            /// The number of bytes of the message, without its frame.
            pub fn encoded_len(&self) -> usize {
                match self {
                    $(Self::$message(message) => message.encoded_len(),)*
                }
            }

            /// Appends the message in its frame. (A message of 4 GiB has none; the connections refuse it.)
            pub fn encode_frame<S: Sink>(&self, out: &mut S) {
                self.encode_frame_of_len(self.encoded_len(), out);
            }

            /// The same for who has [measured](Self::encoded_len) the message.
            pub(crate) fn encode_frame_of_len<S: Sink>(&self, len: usize, out: &mut S) {
                match self {
                    $(Self::$message(message) => put_frame_of_len(Code($code), len, &**message, out),)*
                }
            }

            /// The message, by its fields' names.
            pub fn reflect(&self) -> &dyn Reflect {
                match self {
                    $(Self::$message(message) => &**message,)*
                }
            }
        }

        $(impl From<$message> for $enum {
            fn from(message: $message) -> Self {
                Self::$message(Box::new(message))
            }
        }

        impl From<Box<$message>> for $enum {
            fn from(message: Box<$message>) -> Self {
                Self::$message(message)
            }
        })*

        impl fmt::Debug for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                super::reflect::debug(self.reflect(), f)
            }
        }
    };
}

codes! {
    // `once`: one reply. `stream`: replies until one says that it is the last. `asked`: a stream if the request says so.
    requests {
        1 RpbPingReq => once RpbPingResp;
        3 RpbGetClientIdReq => once RpbGetClientIdResp;
        5 RpbSetClientIdReq => once RpbSetClientIdResp;
        7 RpbGetServerInfoReq => once RpbGetServerInfoResp;
        9 RpbGetReq => once RpbGetResp;
        11 RpbPutReq => once RpbPutResp;
        13 RpbDelReq => once RpbDelResp;
        15 RpbListBucketsReq => asked RpbListBucketsResp;
        17 RpbListKeysReq => stream RpbListKeysResp;
        19 RpbGetBucketReq => once RpbGetBucketResp;
        21 RpbSetBucketReq => once RpbSetBucketResp;
        23 RpbMapRedReq => stream RpbMapRedResp;
        25 RpbIndexReq => asked RpbIndexResp;
        27 RpbSearchQueryReq => once RpbSearchQueryResp;
        29 RpbResetBucketReq => once RpbResetBucketResp;
        31 RpbGetBucketTypeReq => once RpbGetBucketResp;
        32 RpbSetBucketTypeReq => once RpbSetBucketResp;
        33 RpbGetBucketKeyPreflistReq => once RpbGetBucketKeyPreflistResp;
        40 RpbCSBucketReq => stream RpbCSBucketResp;
        50 RpbCounterUpdateReq => once RpbCounterUpdateResp;
        52 RpbCounterGetReq => once RpbCounterGetResp;
        54 RpbYokozunaIndexGetReq => once RpbYokozunaIndexGetResp;
        56 RpbYokozunaIndexPutReq => once RpbPutResp;
        57 RpbYokozunaIndexDeleteReq => once RpbDelResp;
        58 RpbYokozunaSchemaGetReq => once RpbYokozunaSchemaGetResp;
        60 RpbYokozunaSchemaPutReq => once RpbPutResp;
        70 RpbCoverageReq => once RpbCoverageResp;
        80 DtFetchReq => once DtFetchResp;
        82 DtUpdateReq => once DtUpdateResp;
        90 TsQueryReq => asked TsQueryResp;
        92 TsPutReq => once TsPutResp;
        94 TsDelReq => once TsDelResp;
        96 TsGetReq => once TsGetResp;
        98 TsListKeysReq => stream TsListKeysResp;
        100 TsCoverageReq => once TsCoverageResp;
        128 RpbReplGetReq => once RpbGetResp;
        129 RpbReplGetClusterIdReq => once RpbReplGetClusterIdResp;
        200 RpbRTEReq => once RpbRTEResp;
        202 RpbFetchReq => once RpbFetchResp;
        204 RpbPushReq => once RpbPushResp;
        206 RpbMembershipReq => once RpbMembershipResp;
        210 RpbAaeFoldMergeRootNValReq => once RpbAaeFoldTreeResp;
        211 RpbAaeFoldMergeBranchNValReq => once RpbAaeFoldTreeResp;
        212 RpbAaeFoldFetchClocksNValReq => once RpbAaeFoldKeyValueResp;
        213 RpbAaeFoldMergeTreesRangeReq => once RpbAaeFoldTreeResp;
        214 RpbAaeFoldFetchClocksRangeReq => once RpbAaeFoldKeyValueResp;
        215 RpbAaeFoldFindKeysReq => once RpbAaeFoldKeyCountResp;
        216 RpbAaeFoldObjectStatsReq => once RpbAaeFoldKeyCountResp;
        217 RpbAaeFoldReplKeysReq => once RpbAaeFoldKeyCountResp;
        218 RpbAaeFoldFindTombsReq => once RpbAaeFoldKeyValueResp;
        219 RpbAaeFoldRepairKeysReq => once RpbAaeFoldKeyCountResp;
        223 RpbAaeFoldListBucketsReq => once RpbAaeFoldListBucketsResp;
        230 RpbAaeFoldReapTombsReq => once RpbAaeFoldKeyCountResp;
        231 RpbAaeFoldEraseKeysReq => once RpbAaeFoldKeyCountResp;
        253 RpbAuthReq => once RpbAuthResp;
    }
    replies {
        0 RpbErrorResp;
        2 RpbPingResp;
        4 RpbGetClientIdResp;
        6 RpbSetClientIdResp;
        8 RpbGetServerInfoResp;
        10 RpbGetResp;
        12 RpbPutResp;
        14 RpbDelResp;
        16 RpbListBucketsResp;
        18 RpbListKeysResp;
        20 RpbGetBucketResp;
        22 RpbSetBucketResp;
        24 RpbMapRedResp;
        26 RpbIndexResp;
        28 RpbSearchQueryResp;
        30 RpbResetBucketResp;
        34 RpbGetBucketKeyPreflistResp;
        41 RpbCSBucketResp;
        42 RpbIndexBodyResp;
        51 RpbCounterUpdateResp;
        53 RpbCounterGetResp;
        55 RpbYokozunaIndexGetResp;
        59 RpbYokozunaSchemaGetResp;
        71 RpbCoverageResp;
        81 DtFetchResp;
        83 DtUpdateResp;
        91 TsQueryResp;
        93 TsPutResp;
        95 TsDelResp;
        97 TsGetResp;
        99 TsListKeysResp;
        101 TsCoverageResp;
        130 RpbReplGetClusterIdResp;
        201 RpbRTEResp;
        203 RpbFetchResp;
        205 RpbPushResp;
        207 RpbMembershipResp;
        220 RpbAaeFoldTreeResp;
        221 RpbAaeFoldKeyValueResp;
        222 RpbAaeFoldKeyCountResp;
        224 RpbAaeFoldListBucketsResp;
        254 RpbAuthResp;
    }
    both {
        104 TsTtbMsg;
        255 RpbStartTls;
    }
    parts {
        102 TsCoverageEntry;
        103 TsRange;
    }
}

impl Answers {
    /// True when a reply with this code belongs to the request.
    pub fn accept(&self, code: Code) -> bool {
        // An index query with bodies is answered by a message of its own.
        code == self.code || (self.code == RpbIndexResp::CODE && code == RpbIndexBodyResp::CODE)
    }
}

impl Request {
    /// How long the node was told that it may take.
    pub fn timeout(&self) -> Option<Duration> {
        let millis = match self {
            Self::RpbGetReq(request) => request.timeout,
            Self::RpbPutReq(request) => request.timeout,
            Self::RpbDelReq(request) => request.timeout,
            Self::RpbListBucketsReq(request) => request.timeout,
            Self::RpbListKeysReq(request) => request.timeout,
            Self::RpbIndexReq(request) => request.timeout,
            Self::RpbCSBucketReq(request) => request.timeout,
            Self::RpbYokozunaIndexPutReq(request) => request.timeout,
            Self::DtFetchReq(request) => request.timeout,
            Self::DtUpdateReq(request) => request.timeout,
            Self::TsGetReq(request) => request.timeout,
            Self::TsDelReq(request) => request.timeout,
            Self::TsListKeysReq(request) => request.timeout,
            Self::RpbRTEReq(request) => request.timeout,
            _ => None,
        };
        millis.map(|millis| Duration::from_millis(millis.into()))
    }
}

impl Request {
    /// True when the request changes nothing, so that it may be sent again whatever became of it.
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::RpbPingReq(_)
                | Self::RpbGetClientIdReq(_)
                | Self::RpbGetServerInfoReq(_)
                | Self::RpbGetReq(_)
                | Self::RpbListBucketsReq(_)
                | Self::RpbListKeysReq(_)
                | Self::RpbGetBucketReq(_)
                | Self::RpbGetBucketTypeReq(_)
                | Self::RpbIndexReq(_)
                | Self::RpbSearchQueryReq(_)
                | Self::RpbGetBucketKeyPreflistReq(_)
                | Self::RpbCSBucketReq(_)
                | Self::RpbCounterGetReq(_)
                | Self::RpbYokozunaIndexGetReq(_)
                | Self::RpbYokozunaSchemaGetReq(_)
                | Self::RpbCoverageReq(_)
                | Self::DtFetchReq(_)
                | Self::TsGetReq(_)
                | Self::TsListKeysReq(_)
                | Self::TsCoverageReq(_)
                | Self::RpbReplGetClusterIdReq(_)
                | Self::RpbAaeFoldMergeRootNValReq(_)
                | Self::RpbAaeFoldMergeBranchNValReq(_)
                | Self::RpbAaeFoldFetchClocksNValReq(_)
                | Self::RpbAaeFoldMergeTreesRangeReq(_)
                | Self::RpbAaeFoldFetchClocksRangeReq(_)
                | Self::RpbAaeFoldFindKeysReq(_)
                | Self::RpbAaeFoldObjectStatsReq(_)
                | Self::RpbAaeFoldFindTombsReq(_)
                | Self::RpbAaeFoldListBucketsReq(_)
        )
    }
}

impl Reply {
    /// True when this reply ends the stream it belongs to. A reply that belongs to none always does.
    pub fn is_last(&self) -> bool {
        match self {
            Self::RpbListBucketsResp(reply) => reply.done == Some(true),
            Self::RpbListKeysResp(reply) => reply.done == Some(true),
            Self::RpbMapRedResp(reply) => reply.done == Some(true),
            Self::RpbIndexResp(reply) => reply.done == Some(true),
            Self::RpbIndexBodyResp(reply) => reply.done == Some(true),
            Self::RpbCSBucketResp(reply) => reply.done == Some(true),
            Self::TsListKeysResp(reply) => reply.done == Some(true),
            // The one message whose `done` defaults to true.
            Self::TsQueryResp(reply) => reply.done != Some(false),
            _ => true,
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => self.0.fmt(f),
        }
    }
}
