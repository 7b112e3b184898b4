//! mio's poller as the loop wants it.

use core::time::Duration;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Poll, Token};
use plimsoll_core::Wake;
use plimsoll_core::driver::{Interest, Ready, Trigger};
use plimsoll_sys::{Selector, Watched};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Weak};

/// No endpoint has this index.
const RING: Token = Token(usize::MAX);

/// mio's poller: epoll, or kqueue. Where mio makes do with poll(2) it is edge-triggered for its own sockets only, and this does not compile.
#[derive(Debug)]
pub struct Mio {
    poll: Poll,
    waker: Arc<mio::Waker>,
}

impl Selector for Mio {
    type Events = Events;
    type Waker = Ring;

    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), RING)?);
        Ok(Self { poll, waker })
    }

    fn events(most: usize) -> Events {
        Events::with_capacity(most)
    }

    fn trigger(&self) -> Trigger {
        Trigger::Edge
    }

    fn register(&mut self, descriptor: Watched<'_>, index: usize) -> io::Result<()> {
        let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&descriptor.as_fd().as_raw_fd()), Token(index), both)
    }

    fn modify(&mut self, descriptor: Watched<'_>, index: usize, interest: Interest) -> io::Result<()> {
        let readable = mio::Interest::READABLE;
        let interest = if interest.writable { readable | mio::Interest::WRITABLE } else { readable };
        self.poll.registry().reregister(&mut SourceFd(&descriptor.as_fd().as_raw_fd()), Token(index), interest)
    }

    fn deregister(&mut self, descriptor: Watched<'_>, _: usize) {
        // It can only fail if it is not registered.
        let _ = self.poll.registry().deregister(&mut SourceFd(&descriptor.as_fd().as_raw_fd()));
    }

    fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            result => result,
        }
    }

    #[inline]
    fn each(events: &Events, mut ready: impl FnMut(usize, Ready)) {
        for event in events.iter().filter(|event| event.token() != RING) {
            let index = event.token().0;
            if event.is_readable() && !event.is_read_closed() && !event.is_error() {
                // A message, as nearly every event: nothing else is looked for. What has closed for writing is hung up, or has an error.
                ready(index, Ready { readable: true, writable: event.is_writable(), ..Ready::default() });
            } else {
                ready(index, spell_out(event));
            }
        }
    }

    fn waker(&self) -> io::Result<Ring> {
        Ok(Ring(Arc::downgrade(&self.waker)))
    }
}

/// Out of line, so that nearly every event does not have to be.
#[inline(never)]
fn spell_out(event: &Event) -> Ready {
    Ready {
        readable: event.is_readable(),
        writable: event.is_writable(),
        read_closed: event.is_read_closed(),
        write_closed: event.is_write_closed(),
        error: event.is_error(),
    }
}

impl AsFd for Mio {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}

/// Wakes the loop. It holds nothing of a loop that is gone.
#[derive(Debug)]
pub struct Ring(Weak<mio::Waker>);

impl Wake for Ring {
    fn wake(&self) {
        if let Some(waker) = self.0.upgrade() {
            // It can only fail if the descriptor is bad, which is ours alone.
            let _ = waker.wake();
        }
    }
}
