//! Files of the simulated kernel that are sent: they grow, shrink and fail as a test says.

use super::calls::World;
use super::fault::{Failure, Syscall};
use super::net::{Net, SockId, error};
use super::peer::Sim;
use core::cell::RefCell;
use core::fmt;
use plimsoll_core::driver::FileError;
use plimsoll_core::{Call, Error, ErrorKind, Resource};
use std::rc::Rc;

/// What is read at once where the kernel does not send by itself.
const BLOCK: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    position: u64,
    /// From this offset on it cannot be read, and why.
    fails: Option<(u64, ErrorKind)>,
}

/// A file, for any number of connections to send.
#[derive(Clone, Debug)]
pub struct SimFile {
    sim: Sim,
    contents: Rc<RefCell<Contents>>,
}

impl Sim {
    /// A file with these contents.
    pub fn file(&self, bytes: impl Into<Vec<u8>>) -> SimFile {
        let contents = Contents { bytes: bytes.into(), ..Contents::default() };
        SimFile { sim: self.clone(), contents: Rc::new(RefCell::new(contents)) }
    }
}

impl SimFile {
    /// A descriptor of it, for [`Hub::send_resource`](plimsoll_core::Hub::send_resource).
    #[must_use]
    pub fn resource(&self) -> Resource {
        self.sim.net().opened += 1;
        Resource::new(Open { world: self.sim.world.clone(), contents: self.contents.clone(), read: false })
    }

    /// Its position: behind the last byte that was sent.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.contents.borrow().position
    }

    /// Cuts it off there.
    pub fn truncate(&self, len: usize) {
        self.contents.borrow_mut().bytes.truncate(len);
    }

    /// Makes it longer.
    pub fn append(&self, bytes: &[u8]) {
        self.contents.borrow_mut().bytes.extend_from_slice(bytes);
    }

    /// From this offset on it cannot be read.
    pub fn fail_from(&self, offset: u64, kind: ErrorKind) {
        self.contents.borrow_mut().fails = Some((offset, kind));
    }
}

/// A descriptor of a file.
pub(crate) struct Open {
    world: World,
    contents: Rc<RefCell<Contents>>,
    /// The kernel refused to send it by itself: it is read and sent.
    read: bool,
}

impl Open {
    /// A piece of it.
    fn read(&self, offset: u64, most: usize) -> Result<Vec<u8>, ErrorKind> {
        let contents = self.contents.borrow();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.bytes.len());
        let mut to = from.saturating_add(most).min(contents.bytes.len());
        if let Some((at, kind)) = contents.fails {
            if offset >= at {
                return Err(kind);
            }
            to = to.min(usize::try_from(at).unwrap_or(usize::MAX));
        }
        Ok(contents.bytes[from..to].to_vec())
    }

    /// The file is not sent any more.
    pub(crate) fn finish(&self, position: u64) {
        self.contents.borrow_mut().position = position;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.world.borrow_mut().closed += 1;
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("read", &self.read).finish_non_exhaustive()
    }
}

impl Net {
    /// Sends bytes of a file, as backends do it: what the kernel refuses is read and sent instead.
    pub(crate) fn send_file(
        &mut self,
        id: SockId,
        file: &mut Resource,
        offset: u64,
        most: u64,
    ) -> Result<Option<u64>, FileError> {
        let refused = |kind| FileError::File(error(Call::SendFile, kind));
        let Some(open) = file.get_mut::<Open>() else { return Err(refused(ErrorKind::InvalidInput)) };
        let mut most = usize::try_from(most).unwrap_or(usize::MAX);
        if !open.read {
            match self.enter(Syscall::SendFile, Some(id)) {
                Ok(Some(Failure::OneByte)) => most = 1,
                Ok(Some(_)) => return Ok(None),
                Ok(None) => {}
                Err(_) => open.read = true,
            }
        }
        if open.read {
            self.enter(Syscall::ReadFile, None).map_err(refused)?;
            most = most.min(BLOCK);
        }
        let piece = open.read(offset, most).map_err(refused)?;
        if piece.is_empty() {
            return Ok(Some(0));
        }
        let sent = self.send(id, [&piece[..]].into_iter());
        sent.map(|sent| sent.map(|n| n as u64)).map_err(|kind| FileError::Socket(error(Call::Send, kind)))
    }

    /// Reads bytes of a file, as backends do it.
    pub(crate) fn read_file(&self, file: &mut Resource, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.sends_files()?;
        let refused = |kind| error(Call::SendFile, kind);
        let open = file.get_mut::<Open>().ok_or(refused(ErrorKind::InvalidInput))?;
        let piece = open.read(offset, buf.len()).map_err(refused)?;
        buf[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }

    /// Whether the backend sends no files in this run.
    pub(crate) const fn sends_files(&self) -> Result<(), Error> {
        if self.faults.no_sendfile { Err(error(Call::SendFile, ErrorKind::Unsupported)) } else { Ok(()) }
    }
}
