//! Files that connections send, of the system or of a simulated kernel.

use super::model::Part;
#[cfg(feature = "backends")]
use super::peer_real::Places;
use super::stage::Stage;
use crate::sim::{Sim, SimFile};
use core::fmt::Debug;
use core::ops::{Bound, RangeBounds};
use plimsoll_core::{ErrorKind, Hub, StreamId};

/// A file that a connection was told to send.
pub(crate) trait Sent: Debug {
    /// Where it stands.
    fn position(&self) -> u64;
}

/// Where the files are.
pub(crate) trait Disk: Debug {
    /// Makes a file with these contents, and has a connection send a part of it.
    fn send(&mut self, hub: &mut Hub<Stage>, id: StreamId, contents: &[u8], part: Part) -> Result<Box<dyn Sent>, ErrorKind>;
}

impl Part {
    /// What it is of these contents.
    pub(crate) fn of(self, contents: &[u8]) -> &[u8] {
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
        let end = self.count.map_or(contents.len(), |count| place(self.from.saturating_add(count)));
        &contents[place(self.from)..end]
    }

    fn range(self) -> impl RangeBounds<u64> {
        let end = self.count.map_or(Bound::Unbounded, |count| Bound::Excluded(self.from.saturating_add(count)));
        (Bound::Included(self.from), end)
    }
}

impl Sent for SimFile {
    fn position(&self) -> u64 {
        Self::position(self)
    }
}

impl Disk for Sim {
    fn send(&mut self, hub: &mut Hub<Stage>, id: StreamId, contents: &[u8], part: Part) -> Result<Box<dyn Sent>, ErrorKind> {
        let file = self.file(contents);
        hub.send_resource(id, file.resource(), part.range()).map_err(|error| error.kind())?;
        Ok(Box::new(file))
    }
}

#[cfg(feature = "backends")]
mod real {
    use super::{Debug, Disk, ErrorKind, Hub, Part, Places, Sent, Stage, StreamId};
    use plimsoll_sys::HubExt;
    use std::fs::{self, File};
    use std::io::{self, Seek};

    impl Sent for File {
        fn position(&self) -> u64 {
            // It is a regular file, which always knows.
            (&*self).stream_position().unwrap_or(u64::MAX)
        }
    }

    /// A folder of its own, in which no file has a name for long.
    #[derive(Default)]
    pub(crate) struct Folder(Places);

    impl Debug for Folder {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("Folder")
        }
    }

    impl Folder {
        /// A file with these contents, at its beginning.
        fn file(&mut self, contents: &[u8]) -> io::Result<File> {
            let path = self.0.next_path();
            fs::write(&path, contents)?;
            let file = File::open(&path)?;
            fs::remove_file(&path)?;
            Ok(file)
        }
    }

    impl Disk for Folder {
        fn send(&mut self, hub: &mut Hub<Stage>, id: StreamId, contents: &[u8], part: Part) -> Result<Box<dyn Sent>, ErrorKind> {
            let file = self.file(contents).map_err(|_| ErrorKind::Other)?;
            let shared = file.try_clone().map_err(|_| ErrorKind::Other)?;
            hub.sendfile(id, file, part.range()).map_err(|error| error.kind())?;
            Ok(Box::new(shared))
        }
    }
}
#[cfg(feature = "backends")]
pub(crate) use real::Folder;
