//! `recvmmsg(2)` and `sendmmsg(2)`: many datagrams in one call; and in one message, if they are of one flow.
//!
//! What the kernel wants to be told of a datagram is a header that points to a piece of memory and to a name. Headers, pieces and names are made once, pointing to
//! each other, and kept: a call writes into them what differs from the last one, and nothing else.
//!
//! # Why it is sound
//!
//! - What points to each other stands in one allocation, which does not move and is freed with its owner.
//! - The kernel is told of the caller's memory for the length of one call, while it is borrowed: to be written to if it is received into. Pointers to
//!   it that are left in the pieces afterwards are not used before they have been written anew.
//! - Everything that the kernel writes to is plain data of C, initialised, and good whatever stands in it. What it says of lengths is held against the room that
//!   it was given.

mod control;
mod name;
mod receive;
mod run;
mod segments;
mod send;

pub use receive::{Message, Messages, Receiver};
pub use segments::{RunReceiver, RunSender, Runs, can_cut, cut_nothing, put_together, puts_together};
pub use send::{Batch, Sender};

use control::Control;
use core::fmt;
use core::mem::zeroed;
use core::ptr::NonNull;
use libc::{iovec, mmsghdr};
use name::Name;
use std::boxed::Box;

/// The most datagrams that one call takes.
pub const BATCH: usize = 32;

/// What a call works in. The header of an index points to the name and to the control message of the same index; and to the piece of that index, unless
/// it [points](Owner::point) elsewhere.
struct Room {
    /// Zero but for the pointers, and for what a call writes: no flags, and no control messages but of [`RunSender`] and [`RunReceiver`].
    headers: [mmsghdr; BATCH],
    pieces: [iovec; BATCH],
    names: [Name; BATCH],
    controls: [Control; BATCH],
}

/// Owns a [`Room`], and is the only way to it.
struct Owner(NonNull<Room>);

impl Owner {
    fn new() -> Self {
        // SAFETY: headers, pieces, names and control messages are made of numbers and of pointers that may be null, so they may be zero.
        let room: Box<Room> = Box::new(unsafe { zeroed() });
        let room = Box::into_raw(room);
        for n in 0..BATCH {
            // SAFETY: the room has been made above, and nobody refers to it. All pointers are made of the same one, and `room` below uses that one
            // too, so each stays good for as long as the room is.
            unsafe {
                let header = &raw mut (*room).headers[n].msg_hdr;
                (*header).msg_name = (&raw mut (*room).names[n]).cast();
                (*header).msg_iov = &raw mut (*room).pieces[n];
                (*header).msg_iovlen = 1;
                // Of no length: none.
                (*header).msg_control = (&raw mut (*room).controls[n]).cast();
            }
        }
        // SAFETY: it comes from a box.
        Self(unsafe { NonNull::new_unchecked(room) })
    }

    #[inline]
    const fn room(&self) -> &Room {
        // SAFETY: the room is there until the owner is dropped, and is changed by nobody who has not borrowed the owner to change it.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    const fn room_mut(&mut self) -> &mut Room {
        // SAFETY: as above, and nobody else can look at it meanwhile.
        unsafe { self.0.as_mut() }
    }

    /// Lets a header point to the pieces from that one on.
    fn point(&mut self, header: usize, piece: usize) {
        assert!(piece < BATCH, "there is such a piece");
        let room = self.0.as_ptr();
        // SAFETY: the room is there, and nobody else can look at it meanwhile. The pointer is made of the one to the room, as `new` does it, and of the whole
        // array, since it stands for all pieces behind it too; there is one at that place.
        unsafe { (*room).headers[header].msg_hdr.msg_iov = (&raw mut (*room).pieces).cast::<iovec>().add(piece) };
    }

    /// What the calls take.
    #[inline]
    const fn headers(&mut self) -> *mut mmsghdr {
        // SAFETY: the room is there; only where its headers stand is worked out.
        unsafe { (&raw mut (*self.0.as_ptr()).headers).cast() }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: it came from a box, and nobody has it any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
