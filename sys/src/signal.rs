//! Signals of the process, as callbacks of loops.
//!
//! signal-hook's handler writes a byte into a pipe of each loop that handles the signal, and that loop watches the other end. What it cannot do is to take its
//! handler away again, so a signal that no loop handles any more is answered with what the system would do by default.

use crate::error::{io_error, refused};
use crate::socket::watch;
use core::sync::atomic::{AtomicBool, Ordering};
use plimsoll_core::{Call, Error, Hub, WatchId};
use rustix::io::Errno;
use signal_hook::SigId;
use signal_hook::consts::FORBIDDEN;
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a loop handles: the watch of each signal, and what is watched for as long as that lasts.
#[derive(Default)]
struct Signals(BTreeMap<i32, (WatchId, Weak<Handled>)>);

pub(crate) fn on_signal<S>(hub: &mut Hub<S>, signal: i32, f: impl FnMut(&mut Hub<S>, &mut S) + 'static) -> Result<(), Error> {
    let before = hub.extension::<Signals>().0.get(&signal);
    if let Some((watch, handled)) = before.and_then(|(watch, handled)| Some((*watch, handled.upgrade()?))) {
        // The same pipe: a signal that waits in it is not lost.
        return hub.add_reader(watch, caller(handled, f));
    }
    let handled = Rc::new(Handled::begin(signal)?);
    let watch = hub.watch_resource(watch::resource(&handled.bell)?);
    hub.extension::<Signals>().0.insert(signal, (watch, Rc::downgrade(&handled)));
    hub.add_reader(watch, caller(handled, f))
}

/// It ends with the callback, which a panic takes away too.
pub(crate) fn remove_signal<S>(hub: &mut Hub<S>, signal: i32) -> bool {
    hub.extension::<Signals>().0.remove(&signal).is_some_and(|(watch, _)| hub.unwatch(watch))
}

fn caller<S>(
    handled: Rc<Handled>,
    mut f: impl FnMut(&mut Hub<S>, &mut S) + 'static,
) -> impl FnMut(&mut Hub<S>, &mut S) + 'static {
    move |hub, state| {
        if handled.take() {
            f(hub, state);
        }
    }
}

/// A signal that a loop handles.
struct Handled {
    signal: i32,
    /// Readable when it came.
    bell: UnixStream,
    id: SigId,
}

impl Handled {
    fn begin(signal: i32) -> Result<Self, Error> {
        // signal-hook panics at these.
        if FORBIDDEN.contains(&signal) {
            return Err(refused(Call::Signal));
        }
        let failed = |reason| io_error(Call::Signal, &reason);
        let (bell, rope) = UnixStream::pair().map_err(failed)?;
        bell.set_nonblocking(true).map_err(failed)?;
        let id = signal_hook::low_level::pipe::register(signal, rope).map_err(failed)?;
        let handled = Self { signal, bell, id };
        let mut uses = uses();
        let used = match uses.get_mut(&signal) {
            Some(used) => used,
            None => {
                let used = Use::begin(signal)?;
                uses.entry(signal).or_insert(used)
            }
        };
        used.loops += 1;
        // Not before: until now it was handled as ever.
        used.unhandled.store(false, Ordering::SeqCst);
        drop(uses);
        Ok(handled)
    }

    /// Whether it has come since this was asked last, however often.
    fn take(&self) -> bool {
        let mut came = false;
        let mut bytes = [0; 64];
        loop {
            match rustix::io::read(&self.bell, &mut bytes) {
                Ok(0) => return came,
                Ok(_) => came = true,
                Err(Errno::INTR) => {}
                Err(_) => return came,
            }
        }
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        if let Some(used) = uses().get_mut(&self.signal) {
            used.loops -= 1;
            used.unhandled.store(used.loops == 0, Ordering::SeqCst);
        }
        signal_hook::low_level::unregister(self.id);
    }
}

/// A signal that some loop of the process handles, or has handled.
struct Use {
    loops: usize,
    /// No loop does: what the system does by default is to be done.
    unhandled: Arc<AtomicBool>,
}

impl Use {
    fn begin(signal: i32) -> Result<Self, Error> {
        let unhandled = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_default(signal, unhandled.clone())
            .map_err(|reason| io_error(Call::Signal, &reason))?;
        Ok(Self { loops: 0, unhandled })
    }
}

/// All loops of the process have the same signals.
fn uses() -> MutexGuard<'static, BTreeMap<i32, Use>> {
    static USES: Mutex<BTreeMap<i32, Use>> = Mutex::new(BTreeMap::new());
    // Nothing that can panic is done while it is locked.
    USES.lock().unwrap_or_else(PoisonError::into_inner)
}
