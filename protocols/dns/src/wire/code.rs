//! The numbers of the protocol: types, classes, opcodes, response codes.

use core::fmt;
use core::str::FromStr;

/// A number with names for some of its values.
macro_rules! code {
    (
        $(#[$meta:meta])* $name:ident($repr:ty), unknown $prefix:literal;
        $( $(#[$doc:meta])* $constant:ident = $value:literal, $text:literal; )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl $name {
            $( $(#[$doc])* pub const $constant: Self = Self($value); )*

            /// The mnemonic, for the values that have one.
            pub const fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($text), )*
                    _ => None,
                }
            }

            const TABLE: &[(&str, Self)] = &[$( ($text, Self($value)), )*];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.mnemonic() {
                    Some(text) => f.write_str(text),
                    None => write!(f, concat!($prefix, "{}"), self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = UnknownCode;

            /// Reads a mnemonic or the generic form with a number, in either case (RFC 3597 section 5).
            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                if let Some((_, code)) = Self::TABLE.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
                    return Ok(*code);
                }
                let (prefix, number) = text.split_at_checked($prefix.len()).ok_or(UnknownCode)?;
                if !prefix.eq_ignore_ascii_case($prefix) || !number.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(UnknownCode);
                }
                number.parse().map(Self).map_err(|_| UnknownCode)
            }
        }
    };
}

/// A text that is neither a mnemonic nor the generic form of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode;

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown mnemonic")
    }
}

impl core::error::Error for UnknownCode {}

code! {
    /// The type of a record, or of a question (the types from 251 on are questions only).
    RecordType(u16), unknown "TYPE";
    /// An IPv4 address.
    A = 1, "A";
    /// A name server.
    NS = 2, "NS";
    /// A mail destination (obsolete).
    MD = 3, "MD";
    /// A mail forwarder (obsolete).
    MF = 4, "MF";
    /// The canonical name of an alias.
    CNAME = 5, "CNAME";
    /// The start of a zone.
    SOA = 6, "SOA";
    /// A mailbox domain.
    MB = 7, "MB";
    /// A mail group member.
    MG = 8, "MG";
    /// A mail rename.
    MR = 9, "MR";
    /// Anything.
    NULL = 10, "NULL";
    /// A pointer, mostly from an address to a name.
    PTR = 12, "PTR";
    /// A host's hardware and system.
    HINFO = 13, "HINFO";
    /// Mailbox information.
    MINFO = 14, "MINFO";
    /// A mail exchange.
    MX = 15, "MX";
    /// Text strings.
    TXT = 16, "TXT";
    /// A responsible person (RFC 1183).
    RP = 17, "RP";
    /// An AFS database (RFC 1183).
    AFSDB = 18, "AFSDB";
    /// An X.25 address (RFC 1183).
    X25 = 19, "X25";
    /// An ISDN address (RFC 1183).
    ISDN = 20, "ISDN";
    /// A route through (RFC 1183).
    RT = 21, "RT";
    /// An NSAP address (RFC 1706).
    NSAP = 22, "NSAP";
    /// A pointer from an NSAP address (RFC 1348).
    NSAP_PTR = 23, "NSAP-PTR";
    /// A signature, today used for SIG(0) alone (RFC 2931).
    SIG = 24, "SIG";
    /// A key (RFC 2535).
    KEY = 25, "KEY";
    /// X.400 mapping (RFC 2163).
    PX = 26, "PX";
    /// A geographical position (RFC 1712).
    GPOS = 27, "GPOS";
    /// An IPv6 address (RFC 3596).
    AAAA = 28, "AAAA";
    /// A location (RFC 1876).
    LOC = 29, "LOC";
    /// The next name, before NSEC (RFC 2535).
    NXT = 30, "NXT";
    /// A service's host and port (RFC 2782).
    SRV = 33, "SRV";
    /// A rewriting rule (RFC 3403).
    NAPTR = 35, "NAPTR";
    /// A key exchanger (RFC 2230).
    KX = 36, "KX";
    /// A certificate (RFC 4398).
    CERT = 37, "CERT";
    /// An alias for a whole subtree (RFC 6672).
    DNAME = 39, "DNAME";
    /// The pseudo-record of EDNS (RFC 6891).
    OPT = 41, "OPT";
    /// A list of address prefixes (RFC 3123).
    APL = 42, "APL";
    /// A digest of a child zone's key (RFC 4034).
    DS = 43, "DS";
    /// An SSH host key's fingerprint (RFC 4255).
    SSHFP = 44, "SSHFP";
    /// An IPsec key (RFC 4025).
    IPSECKEY = 45, "IPSECKEY";
    /// A signature over a set of records (RFC 4034).
    RRSIG = 46, "RRSIG";
    /// The next name and the types at this one (RFC 4034).
    NSEC = 47, "NSEC";
    /// A zone's key (RFC 4034).
    DNSKEY = 48, "DNSKEY";
    /// A DHCP client's identity (RFC 4701).
    DHCID = 49, "DHCID";
    /// The next hashed name and the types at this one (RFC 5155).
    NSEC3 = 50, "NSEC3";
    /// How NSEC3 hashes (RFC 5155).
    NSEC3PARAM = 51, "NSEC3PARAM";
    /// A TLS certificate's association (RFC 6698).
    TLSA = 52, "TLSA";
    /// An S/MIME certificate's association (RFC 8162).
    SMIMEA = 53, "SMIMEA";
    /// A host identity (RFC 8005).
    HIP = 55, "HIP";
    /// The DS a child wants (RFC 7344).
    CDS = 59, "CDS";
    /// The DNSKEY a child wants a DS for (RFC 7344).
    CDNSKEY = 60, "CDNSKEY";
    /// An OpenPGP key (RFC 7929).
    OPENPGPKEY = 61, "OPENPGPKEY";
    /// Child-to-parent synchronization (RFC 7477).
    CSYNC = 62, "CSYNC";
    /// A digest over a zone (RFC 8976).
    ZONEMD = 63, "ZONEMD";
    /// How to reach a service (RFC 9460).
    SVCB = 64, "SVCB";
    /// How to reach an HTTPS origin (RFC 9460).
    HTTPS = 65, "HTTPS";
    /// Where to send generalized notifications (RFC 9859).
    DSYNC = 66, "DSYNC";
    /// Sender policy, before it moved to TXT (RFC 7208).
    SPF = 99, "SPF";
    /// A node identifier (RFC 6742).
    NID = 104, "NID";
    /// A 32-bit locator (RFC 6742).
    L32 = 105, "L32";
    /// A 64-bit locator (RFC 6742).
    L64 = 106, "L64";
    /// A pointer to locators (RFC 6742).
    LP = 107, "LP";
    /// A 48-bit hardware address (RFC 7043).
    EUI48 = 108, "EUI48";
    /// A 64-bit hardware address (RFC 7043).
    EUI64 = 109, "EUI64";
    /// Key agreement (RFC 2930).
    TKEY = 249, "TKEY";
    /// A transaction's signature (RFC 8945).
    TSIG = 250, "TSIG";
    /// Asks for a zone's changes (RFC 1995).
    IXFR = 251, "IXFR";
    /// Asks for a whole zone (RFC 5936).
    AXFR = 252, "AXFR";
    /// Asks for mailbox records (obsolete).
    MAILB = 253, "MAILB";
    /// Asks for mail agents (obsolete).
    MAILA = 254, "MAILA";
    /// Asks for any type (RFC 8482).
    ANY = 255, "ANY";
    /// A URI (RFC 7553).
    URI = 256, "URI";
    /// Which authorities may certify (RFC 8659).
    CAA = 257, "CAA";
    /// Application visibility.
    AVC = 258, "AVC";
    /// An automatic multicast tunnelling relay (RFC 8777).
    AMTRELAY = 260, "AMTRELAY";
    /// What a resolver says of itself (RFC 9606).
    RESINFO = 261, "RESINFO";
    /// A wallet's address.
    WALLET = 262, "WALLET";
    /// A trust authority.
    TA = 32768, "TA";
    /// A DS outside the delegation chain (RFC 4431).
    DLV = 32769, "DLV";
}

impl RecordType {
    /// True for types that are asked for but never stored: OPT, TKEY, TSIG and the question types from 249 to 255.
    pub const fn is_meta(self) -> bool {
        self.0 == 41 || (self.0 >= 249 && self.0 <= 255) || self.0 == 0
    }
}

code! {
    /// The class of a record or a question.
    Class(u16), unknown "CLASS";
    /// The Internet.
    IN = 1, "IN";
    /// Chaosnet, today used to ask servers about themselves.
    CH = 3, "CH";
    /// Hesiod.
    HS = 4, "HS";
    /// No class, in updates (RFC 2136).
    NONE = 254, "NONE";
    /// Any class, in questions.
    ANY = 255, "ANY";
}

code! {
    /// What a message is for.
    Opcode(u8), unknown "OPCODE";
    /// A query.
    QUERY = 0, "QUERY";
    /// An inverse query (obsolete).
    IQUERY = 1, "IQUERY";
    /// A server status request.
    STATUS = 2, "STATUS";
    /// A zone has changed (RFC 1996).
    NOTIFY = 4, "NOTIFY";
    /// A dynamic update (RFC 2136).
    UPDATE = 5, "UPDATE";
    /// Stateful operations (RFC 8490).
    DSO = 6, "DSO";
}

code! {
    /// How a query went: twelve bits, of which the header holds four and EDNS the rest.
    Rcode(u16), unknown "RCODE";
    /// All is well.
    NOERROR = 0, "NOERROR";
    /// The server could not read the query.
    FORMERR = 1, "FORMERR";
    /// The server could not do its work.
    SERVFAIL = 2, "SERVFAIL";
    /// There is no such name.
    NXDOMAIN = 3, "NXDOMAIN";
    /// The server does not know the operation.
    NOTIMP = 4, "NOTIMP";
    /// The server does not want to.
    REFUSED = 5, "REFUSED";
    /// A name exists that should not (RFC 2136).
    YXDOMAIN = 6, "YXDOMAIN";
    /// A record set exists that should not (RFC 2136).
    YXRRSET = 7, "YXRRSET";
    /// A record set that should exist does not (RFC 2136).
    NXRRSET = 8, "NXRRSET";
    /// The server has no authority here, or the peer is not authorized.
    NOTAUTH = 9, "NOTAUTH";
    /// A name is outside the zone (RFC 2136).
    NOTZONE = 10, "NOTZONE";
    /// The type of a stateful operation is not known (RFC 8490).
    DSOTYPENI = 11, "DSOTYPENI";
    /// The server does not know this version of EDNS (RFC 6891), or a signature failed (RFC 8945).
    BADVERS = 16, "BADVERS";
    /// A key is not known (RFC 8945).
    BADKEY = 17, "BADKEY";
    /// A signature is out of its time (RFC 8945).
    BADTIME = 18, "BADTIME";
    /// A bad key agreement mode (RFC 2930).
    BADMODE = 19, "BADMODE";
    /// A key's name exists already (RFC 2930).
    BADNAME = 20, "BADNAME";
    /// An algorithm is not known (RFC 2930).
    BADALG = 21, "BADALG";
    /// A signature was cut too short (RFC 8945).
    BADTRUNC = 22, "BADTRUNC";
    /// A cookie is missing or wrong (RFC 7873).
    BADCOOKIE = 23, "BADCOOKIE";
}
