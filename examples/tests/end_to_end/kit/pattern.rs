//! Bytes that tell their position.

/// An endless stream of bytes, each of which depends on its position and on the stream's number.
#[derive(Clone, Copy)]
pub(crate) struct Pattern(pub(crate) u64);

impl Pattern {
    /// The bytes from `at`.
    pub(crate) fn fill(self, at: u64, bytes: &mut [u8]) {
        for (position, byte) in (at..).zip(bytes) {
            let mixed = (position ^ self.0 << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            *byte = ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56) as u8;
        }
    }

    /// The first bytes.
    pub(crate) fn first(self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(0, &mut bytes);
        bytes
    }
}
