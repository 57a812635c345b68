//! Zone files (RFC 1035 section 5, `$TTL` of RFC 2308 section 4).

use alloc::vec::Vec;

use super::lex::{Fields, Lexer, Line, period};
use super::{DEFAULT_CLASS, TextError, TextReason, parse};
use crate::wire::{Class, Name, Record, RecordData, RecordType};

/// How a zone file is read.
#[derive(Clone, Debug)]
pub struct ZoneConfig {
    origin: Option<Name>,
    class: Option<Class>,
    any_class: bool,
    meta: bool,
    ttl: Option<u32>,
    include: bool,
    max_entry_len: usize,
}

impl ZoneConfig {
    /// The largest entry unless it is configured: the longest record data in hexadecimal digits, and as much again for blanks.
    pub const DEFAULT_MAX_ENTRY_LEN: usize = 256 * 1024;

    /// Relative names belong to `origin`, until a `$ORIGIN` says otherwise.
    pub fn new(origin: Name) -> Self {
        Self { origin: Some(origin), ..Self::without_origin() }
    }

    /// Relative names are an error, until a `$ORIGIN` comes.
    pub fn without_origin() -> Self {
        Self {
            origin: None,
            class: None,
            any_class: false,
            meta: false,
            ttl: None,
            include: false,
            max_entry_len: Self::DEFAULT_MAX_ENTRY_LEN,
        }
    }

    /// The class of the zone; records of another are refused. Default: what the first record says, or IN.
    pub fn class(self, class: Class) -> Self {
        Self { class: Some(class), ..self }
    }

    /// Takes records of any class. Default false.
    pub fn any_class(self, any_class: bool) -> Self {
        Self { any_class, ..self }
    }

    /// Takes the types that are part of messages only, such as TSIG, too.
    pub(super) fn any_type(self) -> Self {
        Self { meta: true, ..self }
    }

    /// The TTL of records that have none, until a `$TTL` says otherwise.
    pub fn ttl(self, ttl: u32) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// Gives `$INCLUDE` out as [`Entry::Include`] instead of refusing it. Nothing is opened here in any case. Default
    /// false: a file from elsewhere should not name files of this machine.
    pub fn allow_include(self, include: bool) -> Self {
        Self { include, ..self }
    }

    /// The longest entry, in bytes, comments included. Default 256 KiB.
    pub fn max_entry_len(self, max_entry_len: usize) -> Self {
        Self { max_entry_len, ..self }
    }
}

/// One thing a zone file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record.
    Record(Record),
    /// `$INCLUDE`: the text of that file belongs here. Read it with a reader whose origin is `origin`.
    Include {
        /// The file's name, as it stands there.
        file: Vec<u8>,
        /// What relative names in that file belong to.
        origin: Option<Name>,
    },
}

/// Reads a zone file, entry by entry. After an error it goes on behind the broken line, so that one pass finds all of
/// them; a strict user stops at the first.
///
/// ```
/// use glowplug_dns::{Name, text::{Entry, ZoneConfig, ZoneReader}};
/// let text = "$TTL 1h\n@ IN NS ns1\nns1 A 192.0.2.1\n";
/// let config = ZoneConfig::new("example.org".parse::<Name>().unwrap());
/// let entries = ZoneReader::new(text.as_bytes(), config).collect::<Result<Vec<_>, _>>()?;
/// let Entry::Record(record) = &entries[1] else { panic!() };
/// assert_eq!(record.to_string(), "ns1.example.org.\t3600\tIN\tA\t192.0.2.1");
/// # Ok::<_, glowplug_dns::text::TextError>(())
/// ```
#[derive(Debug)]
pub struct ZoneReader<'a> {
    lexer: Lexer<'a>,
    line: Line<'a>,
    config: ZoneConfig,
    owner: Option<Name>,
    /// The last TTL that a record gave.
    last_ttl: Option<u32>,
}

impl<'a> ZoneReader<'a> {
    /// Reads `text`.
    pub fn new(text: &'a [u8], config: ZoneConfig) -> Self {
        Self { lexer: Lexer::new(text), line: Line::default(), owner: None, config, last_ttl: None }
    }

    /// What relative names belong to now.
    pub fn origin(&self) -> Option<&Name> {
        self.config.origin.as_ref()
    }

    fn entry(&mut self, line: &Line<'a>) -> Result<Option<Entry>, TextError> {
        let mut fields = Fields::new(line);
        let directive = fields.peek().filter(|token| !token.quoted && token.text.starts_with(b"$"));
        let entry = match directive {
            Some(token) if !line.indented => {
                let _ = fields.next();
                self.directive(token.text, &mut fields)
            }
            _ => self.record(line.indented, &mut fields).map(|record| Some(Entry::Record(record))),
        };
        let entry = entry.map_err(|reason| fields.error(reason))?;
        fields.finish()?;
        Ok(entry)
    }

    fn directive(
        &mut self,
        directive: &[u8],
        fields: &mut Fields<'_, '_>,
    ) -> Result<Option<Entry>, TextReason> {
        if directive.eq_ignore_ascii_case(b"$ORIGIN") {
            self.config.origin = Some(parse::name(fields.word()?, self.config.origin.as_ref())?);
            return Ok(None);
        }
        if directive.eq_ignore_ascii_case(b"$TTL") {
            self.config.ttl = Some(period(fields.word()?).ok_or(TextReason::BadField)??);
            return Ok(None);
        }
        if !directive.eq_ignore_ascii_case(b"$INCLUDE") {
            return Err(TextReason::UnknownDirective);
        }
        let file = parse::unescaped(fields.next()?.text)?;
        let origin = match fields.peek() {
            Some(_) => Some(parse::name(fields.word()?, self.config.origin.as_ref())?),
            None => self.config.origin.clone(),
        };
        if self.config.include {
            Ok(Some(Entry::Include { file, origin }))
        } else {
            Err(TextReason::IncludeRefused)
        }
    }

    fn record(&mut self, indented: bool, fields: &mut Fields<'_, '_>) -> Result<Record, TextReason> {
        let name = if indented {
            self.owner.clone().ok_or(TextReason::NoOwner)?
        } else {
            let name = parse::name(fields.word()?, self.config.origin.as_ref())?;
            self.owner = Some(name.clone());
            name
        };
        let (mut given_ttl, mut class) = (None, None);
        let rtype = loop {
            let word = fields.word()?;
            let text = core::str::from_utf8(word).map_err(|_| TextReason::UnknownType)?;
            if given_ttl.is_none() && word.first().is_some_and(u8::is_ascii_digit) {
                given_ttl = Some(period(word).ok_or(TextReason::BadField)??);
            } else if let (None, Ok(named)) = (class, text.parse::<Class>()) {
                // `ANY` and `NONE` are classes of messages, never of stored records.
                class = Some(named);
            } else {
                break text.parse::<RecordType>().map_err(|_| TextReason::UnknownType)?;
            }
        };
        let of_zone = self.config.class;
        let class = class.or(of_zone).unwrap_or(DEFAULT_CLASS);
        if !self.config.any_class && of_zone.is_some_and(|of_zone| of_zone != class) {
            return Err(TextReason::OtherClass);
        }
        if rtype.is_meta() && !self.config.meta {
            return Err(TextReason::MetaType);
        }
        let data = parse::rdata(rtype, fields, self.config.origin.as_ref())?;
        let ttl = match given_ttl.or(self.config.ttl).or(self.last_ttl) {
            Some(ttl) => ttl,
            // RFC 1035 has no `$TTL`: the SOA's last field is what zones without one mean.
            None => match data.data() {
                RecordData::Soa(soa) => soa.minimum,
                _ => return Err(TextReason::NoTtl),
            },
        };
        self.config.class = Some(class);
        self.last_ttl = Some(ttl);
        Ok(Record { name, class, ttl, data })
    }
}

impl Iterator for ZoneReader<'_> {
    type Item = Result<Entry, TextError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = core::mem::take(&mut self.line);
            let read = self.lexer.next_line(&mut line, self.config.max_entry_len);
            let entry = match read {
                Ok(true) => self.entry(&line).transpose(),
                Ok(false) => return None,
                Err(error) => Some(Err(error)),
            };
            self.line = line;
            if let Some(entry) = entry {
                return Some(entry);
            }
        }
    }
}
