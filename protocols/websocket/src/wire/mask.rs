//! Masking (RFC 6455 §5.3).

/// XORs `bytes` with `key`, as if `offset` bytes of the same frame came before them. Masking and unmasking are the same.
///
/// The key is laid out over whole vectors, which the compiler then takes at once; bytes need no alignment.
///
/// ```
/// use glowplug_websocket::wire::mask;
/// let mut bytes = *b"Hello";
/// mask([0x37, 0xfa, 0x21, 0x3d], 0, &mut bytes);
/// assert_eq!(bytes, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[inline]
pub fn mask(key: [u8; 4], offset: u64, bytes: &mut [u8]) {
    let turn = (offset % 4) as u32;
    let key = u32::from_le_bytes(key).rotate_right(turn * 8);
    let wide = u64::from(key) | u64::from(key) << 32;
    let (blocks, rest) = bytes.as_chunks_mut::<64>();
    for block in blocks {
        let (words, _) = block.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
        }
    }
    let (words, rest) = rest.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::mask;

    #[test]
    fn agrees_with_the_definition_at_every_length_and_offset() {
        let key = [0x12, 0x34, 0x56, 0x78];
        let plain: Vec<u8> = (0..200u8).collect();
        for len in 0..plain.len() {
            for offset in 0..5 {
                let mut bytes = plain[..len].to_vec();
                mask(key, offset, &mut bytes);
                let wanted = plain[..len].iter().enumerate();
                let wanted: Vec<u8> = wanted.map(|(n, byte)| byte ^ key[(n + offset as usize) % 4]).collect();
                assert_eq!(bytes, wanted, "{len} bytes at {offset}");
            }
        }
    }
}
