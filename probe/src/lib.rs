//! Links the pure protocols into a program that has no std.
#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

pub use {glowplug_core, glowplug_dns, glowplug_redis, glowplug_riak, glowplug_udp, glowplug_websocket};

/// A second panic handler: if anything below links std, whose own is the first, the build fails with E0152.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

struct Nowhere;

// SAFETY: an allocator may always answer that there is no memory.
unsafe impl GlobalAlloc for Nowhere {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nowhere = Nowhere;
