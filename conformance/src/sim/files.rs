//! The names of Unix sockets: files, and abstract ones.

use super::net::{Net, SockId};
use plimsoll_core::{Addr, ErrorKind, UnixAddr};
use std::collections::BTreeMap;

/// The longest path, or abstract name, that fits into an address.
const LONGEST: usize = 107;

/// What has a path.
#[derive(Debug)]
enum File {
    /// A socket was bound to it, and may have gone since.
    Socket(SockId),
    /// Anything else.
    Other,
}

/// Every name that is taken.
#[derive(Debug, Default)]
pub(crate) struct Files {
    paths: BTreeMap<Vec<u8>, File>,
    abstracts: BTreeMap<Vec<u8>, SockId>,
}

/// Whether the system can take an address at all.
fn check(addr: &UnixAddr) -> Result<(), ErrorKind> {
    let bad_path = |path: &[u8]| path.is_empty() || path.len() > LONGEST || path.contains(&0);
    let bad = addr.as_path_bytes().is_some_and(bad_path) || addr.as_abstract_name().is_some_and(|name| name.len() > LONGEST);
    if bad { Err(ErrorKind::InvalidInput) } else { Ok(()) }
}

impl Net {
    /// Binds a socket to a path or an abstract name. As backends do it for servers and datagrams, a socket file that was left there may be replaced.
    pub(crate) fn bind_unix(&mut self, id: SockId, at: &UnixAddr, replaces: bool) -> Result<(), ErrorKind> {
        check(at)?;
        if let Some(path) = at.as_path_bytes() {
            match self.files.paths.get(path) {
                None => {}
                Some(File::Socket(_)) if replaces => {}
                Some(_) => return Err(ErrorKind::AddrInUse),
            }
            self.files.paths.insert(path.to_vec(), File::Socket(id));
        } else if let Some(name) = at.as_abstract_name() {
            if self.files.abstracts.contains_key(name) {
                return Err(ErrorKind::AddrInUse);
            }
            self.files.abstracts.insert(name.to_vec(), id);
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.local = at.clone().into();
        }
        Ok(())
    }

    /// The live socket of a name.
    pub(crate) fn unix_at(&self, addr: &UnixAddr) -> Result<SockId, ErrorKind> {
        check(addr)?;
        let id = match (addr.as_path_bytes(), addr.as_abstract_name()) {
            (Some(path), _) => match self.files.paths.get(path) {
                Some(File::Socket(id)) => *id,
                Some(File::Other) => return Err(ErrorKind::ConnectionRefused),
                None => return Err(ErrorKind::NotFound),
            },
            (None, Some(name)) => *self.files.abstracts.get(name).ok_or(ErrorKind::ConnectionRefused)?,
            (None, None) => return Err(ErrorKind::InvalidInput),
        };
        // A file stays when its socket has gone.
        self.sockets.get(id).map(|_| id).ok_or(ErrorKind::ConnectionRefused)
    }

    /// A socket goes, and with it its abstract name; its file only if it `cleans_up`, and if it is still its own.
    pub(crate) fn forget_name(&mut self, id: SockId, cleans_up: bool) {
        let Some(Addr::Unix(name)) = self.sockets.get(id).map(|socket| &socket.local) else { return };
        if let Some(name) = name.as_abstract_name().filter(|name| self.files.abstracts.get(*name) == Some(&id)) {
            self.files.abstracts.remove(name);
        }
        if let Some(path) = name.as_path_bytes().filter(|_| cleans_up) {
            if matches!(self.files.paths.get(path), Some(File::Socket(bound)) if *bound == id) {
                self.files.paths.remove(path);
            }
        }
    }

    /// An abstract name that nobody has.
    pub(crate) fn free_name(&mut self) -> UnixAddr {
        loop {
            let name = format!("{:05x}", self.rng.u32(..0x10_0000));
            if !self.files.abstracts.contains_key(name.as_bytes()) {
                return UnixAddr::abstract_name(name);
            }
        }
    }

    pub(crate) fn put_file(&mut self, path: &[u8]) {
        self.files.paths.insert(path.to_vec(), File::Other);
    }

    pub(crate) fn remove_file(&mut self, path: &[u8]) -> bool {
        self.files.paths.remove(path).is_some()
    }

    pub(crate) fn is_socket_file(&self, path: &[u8]) -> Option<bool> {
        self.files.paths.get(path).map(|file| matches!(file, File::Socket(_)))
    }

    pub(crate) fn has_file(&self, path: &[u8]) -> bool {
        self.files.paths.contains_key(path)
    }
}
