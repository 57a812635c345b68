//! Masking alone.

use std::hint::black_box;

use bench_harness::{Measured, repeat};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Masks the same bytes over and over.
fn masking(len: usize, operations: u64, mask: impl Fn(&mut [u8])) -> Measured {
    let mut bytes = vec![7; len];
    repeat(operations, || mask(black_box(&mut bytes)))
}

pub fn mask(len: usize, operations: u64) -> Measured {
    masking(len, operations, |bytes| glowplug_websocket::wire::mask(KEY, 0, bytes))
}

pub fn mask_fast(len: usize, operations: u64) -> Measured {
    masking(len, operations, |bytes| fastwebsockets::unmask(bytes, KEY))
}

/// The definition.
pub fn mask_plain(len: usize, operations: u64) -> Measured {
    masking(len, operations, |bytes| {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte ^= KEY[at % 4];
        }
    })
}
