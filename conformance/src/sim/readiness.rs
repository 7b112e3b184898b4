//! The calls of a loop that is told when a call would not block.

use super::calls::{Backend, SimIo, SimSocket};
use super::fault::Syscall;
use super::net::{Owner, error};
use bytes::BytesMut;
use plimsoll_core::driver::{FileError, Incoming, Interest, ReadinessIo, Trigger};
use plimsoll_core::{Attempt, Call, Ends, Error, ExitStatus, Key, Outgoing, ReadResult, Resource};

impl ReadinessIo for SimIo {
    fn trigger(&self) -> Trigger {
        match self.backend {
            Backend::Poller(poller) if self.world.borrow().pollers[poller].level => Trigger::Level,
            _ => Trigger::Edge,
        }
    }

    fn recv(&mut self, source: &mut SimSocket, buf: &mut [u8]) -> ReadResult {
        self.world.borrow_mut().recv(source.id, buf).map_err(|kind| error(Call::Receive, kind))
    }

    fn send(&mut self, source: &mut SimSocket, bufs: &[&[u8]]) -> ReadResult {
        self.world.borrow_mut().send(source.id, bufs.iter().copied()).map_err(|kind| error(Call::Send, kind))
    }

    fn send_file(
        &mut self,
        source: &mut SimSocket,
        file: &mut Resource,
        offset: u64,
        most: u64,
    ) -> Result<Option<u64>, FileError> {
        let mut net = self.world.borrow_mut();
        net.sends_files().map_err(FileError::File)?;
        net.send_file(source.id, file, offset, most)
    }

    fn shutdown_write(&mut self, source: &mut SimSocket) -> Result<(), Error> {
        self.world.borrow_mut().shutdown_write(source.id).map_err(|kind| error(Call::Shutdown, kind))
    }

    fn wait_child(&mut self, child: &mut SimSocket) -> Result<Option<ExitStatus>, Error> {
        self.world.borrow_mut().reap(child.id).map_err(|kind| error(Call::Wait, kind))
    }

    fn recv_from(&mut self, source: &mut SimSocket, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        self.world.borrow_mut().receive_datagrams(source.id, blocks, came).map_err(|kind| error(Call::Receive, kind))
    }

    fn send_to<'a>(
        &mut self,
        source: &mut SimSocket,
        datagrams: impl ExactSizeIterator<Item = Outgoing<'a>> + Clone,
    ) -> ReadResult {
        let datagrams: Vec<_> = datagrams.collect();
        self.world.borrow_mut().send_datagrams(source.id, &datagrams).map_err(|kind| error(Call::Send, kind))
    }

    fn is_hung_up(&mut self, source: &mut SimSocket) -> bool {
        self.world.borrow_mut().is_hung_up(source.id)
    }

    fn is_ready(&mut self, source: &mut SimSocket, asked: Interest) -> Interest {
        let mut net = self.world.borrow_mut();
        Interest {
            readable: asked.readable && net.is_ready(source.id, false),
            writable: asked.writable && net.is_ready(source.id, true),
            hang_up: false,
        }
    }

    fn connect(&mut self, to: &Attempt) -> Result<SimSocket, Error> {
        self.begin_connect(to)
    }

    fn connect_result(&mut self, source: &mut SimSocket) -> Result<Option<Ends>, Error> {
        let id = source.id;
        Ok(self.call((Syscall::ConnectResult, Call::Connect), Some(id), |net| net.connect_result(id))?.flatten())
    }

    fn accept(&mut self, source: &mut SimSocket) -> Result<Option<(SimSocket, Ends)>, Error> {
        let id = source.id;
        let accepted = self.call((Syscall::Accept, Call::Accept), Some(id), |net| {
            let often = net.faults.would_block;
            if net.chance(often) {
                let at = net.arrival();
                net.clock.push(at, super::clock::Happening::Wake { sock: id });
                return Ok(None);
            }
            net.accept(id, Owner::Process)
        })?;
        Ok(accepted.flatten().map(|(id, ends)| (self.socket(id), ends)))
    }

    fn arm(&mut self, source: &SimSocket, _key: Key, interest: Interest) -> Result<(), Error> {
        self.must((Syscall::Arm, Call::Register), None, |net| {
            net.arm(source.id, interest);
            Ok(())
        })
    }
}
