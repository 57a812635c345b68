//! From characters to the fields of one entry: quotes, escapes, comments, and parentheses that join lines.

use alloc::vec::Vec;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while, take_while1};
use nom::combinator::{map, recognize, value};
use nom::multi::fold_many0;
use nom::sequence::pair;
use nom::{IResult, Parser};

use super::{TextError, TextReason};

/// One piece of a zone file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Blank,
    Comment,
    Newline,
    Open,
    Close,
    /// The text between quotation marks, escapes and all; false if the closing one is missing.
    Quoted(&'a [u8], bool),
    Word(&'a [u8]),
}

/// Characters that end a word unless they are escaped.
fn is_special(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"')
}

/// A backslash and what it protects: one character, which is never the end of the line.
fn escape(input: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize(pair(tag(&b"\\"[..]), nom::bytes::complete::take_while_m_n(0, 1, |b| b != b'\n'))).parse(input)
}

fn word(input: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize(fold_many0(alt((take_while1(|b| !is_special(b) && b != b'\\'), escape)), || (), |(), _| ()))
        .parse(input)
}

fn quoted(input: &[u8]) -> IResult<&[u8], Piece<'_>> {
    let (input, _) = tag(&b"\""[..]).parse(input)?;
    let (input, text) = recognize(fold_many0(
        alt((take_while1(|b| b != b'"' && b != b'\\' && b != b'\n'), escape)),
        || (),
        |(), _| (),
    ))
    .parse(input)?;
    match input {
        [b'"', rest @ ..] => Ok((rest, Piece::Quoted(text, true))),
        _ => Ok((input, Piece::Quoted(text, false))),
    }
}

fn piece(input: &[u8]) -> IResult<&[u8], Piece<'_>> {
    alt((
        value(Piece::Blank, take_while1(|b| matches!(b, b' ' | b'\t' | b'\r'))),
        value(Piece::Newline, tag(&b"\n"[..])),
        value(Piece::Comment, pair(tag(&b";"[..]), take_till(|b| b == b'\n'))),
        value(Piece::Open, tag(&b"("[..])),
        value(Piece::Close, tag(&b")"[..])),
        quoted,
        map(word, Piece::Word),
    ))
    .parse(input)
}

/// Reads a number with an optional unit, over and over, as TTLs are written: `1w2d` or `3600`.
pub(super) fn period(input: &[u8]) -> Option<Result<u32, TextReason>> {
    fn part(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
        pair(take_while1(|b: u8| b.is_ascii_digit()), take_while(|b: u8| b.is_ascii_alphabetic()))
            .parse(input)
    }
    let mut total = Some(0_u32);
    let mut rest = input;
    let mut parts = 0;
    while !rest.is_empty() {
        let (tail, (digits, unit)) = part(rest).ok()?;
        let factor = match unit {
            b"s" | b"S" => 1,
            // A bare number stands alone.
            b"" if parts == 0 && tail.is_empty() => 1,
            b"m" | b"M" => 60,
            b"h" | b"H" => 3600,
            b"d" | b"D" => 86_400,
            b"w" | b"W" => 604_800,
            _ => return None,
        };
        let number = decimal(digits)?.ok();
        total = total.zip(number).and_then(|(total, number)| total.checked_add(number.checked_mul(factor)?));
        rest = tail;
        parts += 1;
    }
    (parts > 0).then(|| total.ok_or(TextReason::NumberTooLarge))
}

/// Reads a decimal number; `None` if it is none.
pub(super) fn decimal(text: &[u8]) -> Option<Result<u32, TextReason>> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text.iter().try_fold(0_u32, |n, b| n.checked_mul(10)?.checked_add(u32::from(b - b'0')));
    Some(number.ok_or(TextReason::NumberTooLarge))
}

/// One field of an entry, as it stands there, escapes and all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a [u8],
    pub(super) quoted: bool,
    /// True if it touches the field before it: `alpn="h2"` comes in two pieces.
    pub(super) joined: bool,
    pub(super) line: usize,
}

/// One entry: the fields of one line, or of several within parentheses.
#[derive(Debug, Default)]
pub(super) struct Line<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    /// The line it starts in, counted from 1.
    pub(super) number: usize,
    /// True if it starts with a blank: the owner is that of the entry before.
    pub(super) indented: bool,
}

/// Cuts a text into entries.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text, line: 1 }
    }

    /// Reads the next entry that is not empty into `entry`; false at the end of the text. After an error the next call goes on
    /// behind the broken line.
    pub(super) fn next_line(&mut self, entry: &mut Line<'a>, max_len: usize) -> Result<bool, TextError> {
        loop {
            entry.tokens.clear();
            entry.indented = matches!(self.rest, [b' ' | b'\t', ..]);
            entry.number = self.line;
            if self.rest.is_empty() {
                return Ok(false);
            }
            if let Err(reason) = self.fill(entry, max_len) {
                let line = self.line;
                self.skip_line();
                return Err(TextError { line, reason });
            }
            if !entry.tokens.is_empty() {
                return Ok(true);
            }
        }
    }

    fn fill(&mut self, entry: &mut Line<'a>, max_len: usize) -> Result<(), TextReason> {
        let mut depth = 0_usize;
        let mut joined = false;
        let start = self.rest.len();
        while !self.rest.is_empty() {
            // Every alternative takes at least one byte, and one of them always fits.
            let Ok((rest, piece)) = piece(self.rest) else { return Err(TextReason::BadEscape) };
            if start - rest.len() > max_len {
                return Err(TextReason::EntryTooLong);
            }
            let mut push = |text, quoted| {
                entry.tokens.push(Token { text, quoted, joined, line: self.line });
                joined = true;
            };
            match piece {
                Piece::Quoted(_, false) => return Err(TextReason::OpenQuote),
                Piece::Quoted(text, true) => push(text, true),
                Piece::Word(text) => push(text, false),
                Piece::Blank | Piece::Comment => joined = false,
                Piece::Open => {
                    joined = false;
                    depth += 1;
                }
                Piece::Close => {
                    joined = false;
                    depth = depth.checked_sub(1).ok_or(TextReason::Parenthesis)?;
                }
                Piece::Newline => {
                    joined = false;
                    self.line += 1;
                    self.rest = rest;
                    if depth == 0 {
                        return Ok(());
                    }
                    continue;
                }
            }
            self.rest = rest;
        }
        if depth == 0 { Ok(()) } else { Err(TextReason::Parenthesis) }
    }

    /// Goes to the start of the next line.
    fn skip_line(&mut self) {
        match memchr::memchr(b'\n', self.rest) {
            Some(at) => {
                self.rest = &self.rest[at + 1..];
                self.line += 1;
            }
            None => self.rest = &[],
        }
    }
}

/// The fields of one entry, taken one by one.
#[derive(Clone, Debug)]
pub(super) struct Fields<'l, 'a> {
    tokens: &'l [Token<'a>],
    line: usize,
}

impl<'l, 'a> Fields<'l, 'a> {
    pub(super) fn new(line: &'l Line<'a>) -> Self {
        Self { tokens: &line.tokens, line: line.number }
    }

    pub(super) fn peek(&self) -> Option<Token<'a>> {
        self.tokens.first().copied()
    }

    pub(super) fn next(&mut self) -> Result<Token<'a>, TextReason> {
        let (first, rest) = self.tokens.split_first().ok_or(TextReason::MissingField)?;
        self.tokens = rest;
        self.line = first.line;
        Ok(*first)
    }

    /// The next field as a bare word.
    pub(super) fn word(&mut self) -> Result<&'a [u8], TextReason> {
        let token = self.next()?;
        if token.quoted { Err(TextReason::BadField) } else { Ok(token.text) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(super) fn finish(&self) -> Result<(), TextError> {
        match self.tokens.first() {
            None => Ok(()),
            Some(token) => Err(TextError { line: token.line, reason: TextReason::ExtraField }),
        }
    }

    pub(super) fn error(&self, reason: TextReason) -> TextError {
        TextError { line: self.line, reason }
    }
}
