//! What is said beside a message: where it is cut, or was.

use core::mem::offset_of;
use libc::{CMSG_LEN, CMSG_SPACE, SOL_UDP, UDP_GRO, UDP_SEGMENT, c_int, cmsghdr};

/// Room for one control message with a number, which is all that is asked for.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Control {
    header: cmsghdr,
    number: [u8; 4],
}

/// A number stands directly behind the header, and there is room for what the kernel may write.
const _: () = {
    // SAFETY: both only work with numbers.
    let (len, space) = unsafe { (CMSG_LEN(4) as usize, CMSG_SPACE(4) as usize) };
    assert!(offset_of!(Control, number) + 4 == len && size_of::<Control>() == space);
    assert!(size_of::<c_int>() == 4);
};

impl Control {
    /// How much room there is.
    pub(super) const ROOM: usize = size_of::<Self>();

    /// That the message is to be cut into datagrams of this size; how long that is.
    pub(super) fn write_size(&mut self, size: u16) -> usize {
        // SAFETY: it only works with a number.
        self.header.cmsg_len = unsafe { CMSG_LEN(2) } as _;
        self.header.cmsg_level = SOL_UDP;
        self.header.cmsg_type = UDP_SEGMENT;
        self.number[..2].copy_from_slice(&size.to_ne_bytes());
        Self::ROOM
    }

    /// The size of the datagrams that the message was put together of, if the kernel wrote so much, and that.
    pub(super) fn read_size(&self, len: usize) -> Option<usize> {
        // SAFETY: it only works with a number.
        let whole = unsafe { CMSG_LEN(4) } as usize;
        let written: usize = self.header.cmsg_len as _;
        let said = len >= whole && written == whole && (self.header.cmsg_level, self.header.cmsg_type) == (SOL_UDP, UDP_GRO);
        if said { usize::try_from(c_int::from_ne_bytes(self.number)).ok().filter(|size| *size > 0) } else { None }
    }
}
