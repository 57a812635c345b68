//! UTF-8 in pieces.

/// Checks text that comes in pieces, wherever it is cut. What is invalid is found as soon as it is there: a bad byte is not waited
/// out to the end of its character, let alone of its message.
///
/// ```
/// use glowplug_websocket::wire::Utf8;
/// let mut text = Utf8::new();
/// assert_eq!(text.feed(b"caf\xc3"), Ok(()));
/// assert_eq!(text.feed(b"\xa9"), Ok(()));
/// assert_eq!(text.end(), Ok(()));
/// assert_eq!(text.feed(b"\xe2\x28"), Err(5)); // where the invalid sequence begins
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8 {
    /// The beginning of a character that is not complete.
    part: [u8; 4],
    held: usize,
    /// Bytes of complete characters.
    valid: u64,
}

impl Utf8 {
    /// Before the first piece.
    pub const fn new() -> Self {
        Self { part: [0; 4], held: 0, valid: 0 }
    }

    /// The next piece. The error is the number of valid bytes before what is invalid, counted from the first piece on.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<(), u64> {
        while self.held > 0 {
            let Some((&next, rest)) = piece.split_first() else { return Ok(()) };
            self.part[self.held] = next;
            self.held += 1;
            piece = rest;
            match core::str::from_utf8(&self.part[..self.held]) {
                Ok(_) => {
                    self.valid += self.held as u64;
                    self.held = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(self.valid),
                Err(_) => {}
            }
        }
        match core::str::from_utf8(piece) {
            Ok(_) => self.valid += piece.len() as u64,
            Err(error) => {
                self.valid += error.valid_up_to() as u64;
                if error.error_len().is_some() {
                    return Err(self.valid);
                }
                let rest = &piece[error.valid_up_to()..];
                self.part[..rest.len()].copy_from_slice(rest);
                self.held = rest.len();
            }
        }
        Ok(())
    }

    /// The text is over: an error when it ends in the midst of a character.
    pub fn end(&self) -> Result<(), u64> {
        if self.held == 0 { Ok(()) } else { Err(self.valid) }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::Utf8;

    #[test]
    fn every_cut_gives_the_verdict_of_the_whole() {
        let texts: [&[u8]; 9] = [
            "plain and κόσμε and 𝄞 and é".as_bytes(),
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
            b"a\xf4\x90\x80\x80",
            b"ab\xc0\xaf",
            b"\xe2\x82",
            b"ok\xf0\x9d\x84",
            b"\x80",
            b"x\xe2\x28\xa1",
            b"",
        ];
        for text in texts {
            let whole = core::str::from_utf8(text).map(drop).map_err(|error| error.valid_up_to() as u64);
            for cut in 0..=text.len() {
                for next in cut..=text.len() {
                    let mut utf8 = Utf8::new();
                    let pieces: Vec<&[u8]> = std::vec![&text[..cut], &text[cut..next], &text[next..]];
                    let fed = pieces.into_iter().try_for_each(|piece| utf8.feed(piece));
                    assert_eq!(fed.and_then(|()| utf8.end()), whole, "{text:?} at {cut} and {next}");
                }
            }
        }
    }
}
