//! Where a section of lines ends.

use memchr::memchr;

/// Looks for the empty line that ends a head or a trailer section, and remembers how far it looked.
///
/// Nothing is parsed before the end is found. That keeps one-byte reads linear, and it makes the verdict about a
/// section a function of its bytes alone, however they arrive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SectionScan {
    looked: usize,
    line_start: usize,
}

/// Why a section cannot be valid whatever follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The first line is longer than it may be.
    FirstLine,
    /// The section is longer than it may be.
    Section,
    /// A line feed without a carriage return, at this offset.
    BareLf(usize),
}

/// What a [`SectionScan`] holds a section to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_section: usize,
    pub(crate) max_first_line: usize,
    pub(crate) bare_lf: bool,
}

impl SectionScan {
    /// True while nothing was looked at.
    pub(crate) fn is_fresh(&self) -> bool {
        self.looked == 0
    }

    /// The length of the section, empty line included; `None` while it is not all there.
    #[inline]
    pub(crate) fn find(&mut self, input: &[u8], bounds: Bounds) -> Result<Option<usize>, Stop> {
        let visible = &input[..input.len().min(bounds.max_section)];
        let max_first_line = bounds.max_first_line.min(bounds.max_section);
        while let Some(found) = memchr(b'\n', &visible[self.looked..]) {
            let line_feed = self.looked + found;
            if self.line_start == 0 && line_feed >= max_first_line {
                return Err(Stop::FirstLine);
            }
            let content = &visible[self.line_start..line_feed];
            let empty = match content {
                [.., b'\r'] => content.len() == 1,
                _ if bounds.bare_lf => content.is_empty(),
                _ => return Err(Stop::BareLf(line_feed)),
            };
            self.looked = line_feed + 1;
            if empty {
                return Ok(Some(self.looked));
            }
            self.line_start = self.looked;
        }
        self.looked = visible.len();
        if self.line_start == 0 && visible.len() >= max_first_line {
            return Err(Stop::FirstLine);
        }
        if visible.len() >= bounds.max_section {
            return Err(Stop::Section);
        }
        Ok(None)
    }
}

/// Replaces each fold (a line end before white space) by spaces, in place. White space before the first field is no
/// fold and stays, to be refused.
pub(crate) fn unfold(section: &mut [u8], has_first_line: bool) {
    let mut lines = usize::from(!has_first_line);
    for at in 0..section.len().saturating_sub(1) {
        if section[at] != b'\n' {
            continue;
        }
        if lines > 0 && matches!(section[at + 1], b' ' | b'\t') {
            section[at] = b' ';
            if at > 0 && section[at - 1] == b'\r' {
                section[at - 1] = b' ';
            }
        }
        lines += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { max_section: 64, max_first_line: 32, bare_lf: false };

    /// The verdict with all bytes at once, and the one with a byte more at each call.
    fn both(input: &[u8], bounds: Bounds) -> Result<Option<usize>, Stop> {
        let whole = SectionScan::default().find(input, bounds);
        let mut scan = SectionScan::default();
        let mut last = Ok(None);
        for end in 0..=input.len() {
            last = scan.find(&input[..end], bounds);
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(whole, last, "{input:?}");
        whole
    }

    #[test]
    fn the_verdict_does_not_depend_on_cuts() {
        assert_eq!(both(b"a b\r\nc: d\r\n\r\nrest", BOUNDS), Ok(Some(13)));
        assert_eq!(both(b"\r\nrest", BOUNDS), Ok(Some(2)));
        assert_eq!(both(b"a b\r\nc: d\r\n\r", BOUNDS), Ok(None));
        assert_eq!(both(b"a b\nc: d\r\n\r\n", BOUNDS), Err(Stop::BareLf(3)));
        assert_eq!(both(b"a b\nc: d\r\n\n", Bounds { bare_lf: true, ..BOUNDS }), Ok(Some(11)));
        assert_eq!(both(&[b'a'; 100], BOUNDS), Err(Stop::FirstLine));
        assert_eq!(both(&b"a\r\n".repeat(40), BOUNDS), Err(Stop::Section));
        let exact = [&[b'a'; 58][..], b"\r\n\r\n\r\n"].concat();
        assert_eq!(both(&exact, Bounds { max_first_line: 64, ..BOUNDS }), Ok(Some(62)));
        assert_eq!(
            both(&exact, Bounds { max_first_line: 64, max_section: 61, bare_lf: false }),
            Err(Stop::Section)
        );
    }

    #[test]
    fn folds_become_spaces_but_never_before_the_first_field() {
        let mut head = *b"a b\r\nc: d\r\n e\n\tf\r\n\r\n";
        unfold(&mut head, true);
        assert_eq!(&head, b"a b\r\nc: d   e \tf\r\n\r\n");
        let mut head = *b"a b\r\n c: d\r\n\r\n";
        unfold(&mut head, true);
        assert_eq!(&head, b"a b\r\n c: d\r\n\r\n");
    }
}
