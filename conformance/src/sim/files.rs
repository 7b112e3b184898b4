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

impl Net {
    /// Binds a socket to a path or an abstract name. As a backend does it, a socket file that was left there is replaced.
    pub(crate) fn bind_unix(&mut self, id: SockId, at: &UnixAddr) -> Result<(), ErrorKind> {
        if let Some(path) = at.as_path_bytes() {
            if path.is_empty() || path.len() > LONGEST || path.contains(&0) {
                return Err(ErrorKind::InvalidInput);
            }
            if let Some(File::Other) = self.files.paths.get(path) {
                return Err(ErrorKind::AddrInUse);
            }
            self.files.paths.insert(path.to_vec(), File::Socket(id));
        } else if let Some(name) = at.as_abstract_name() {
            if name.len() > LONGEST {
                return Err(ErrorKind::InvalidInput);
            }
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

    /// A socket goes, and with it its abstract name; its file stays.
    pub(crate) fn forget_name(&mut self, id: SockId) {
        if let Some(Addr::Unix(name)) = self.sockets.get(id).map(|socket| &socket.local) {
            if let Some(name) = name.as_abstract_name().filter(|name| self.files.abstracts.get(*name) == Some(&id)) {
                let name = name.to_vec();
                self.files.abstracts.remove(&name);
            }
        }
    }

    pub(crate) fn put_file(&mut self, path: &[u8]) {
        self.files.paths.insert(path.to_vec(), File::Other);
    }

    pub(crate) fn remove_file(&mut self, path: &[u8]) -> bool {
        self.files.paths.remove(path).is_some()
    }

    pub(crate) fn has_file(&self, path: &[u8]) -> bool {
        self.files.paths.contains_key(path)
    }
}
