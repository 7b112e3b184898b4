//! Lookups that wait, on threads of their own.

use super::{Answer, Found, Resolve, system};
use crate::error::io_error;
use crate::panic;
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, thread};
use core::fmt;
use core::time::Duration;
use plimsoll_core::{Call, Name};
use std::collections::VecDeque;
use std::sync::PoisonError;

/// So many lookups wait at a time.
pub(super) const MOST_THREADS: usize = 4;

/// A thread that had nothing to do for that long ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lookups that nobody waits for any more are swept out when there are this many, and twice as many as were left the last time.
pub(super) const SWEEP: usize = 64;

type LookUp = std::sync::Arc<dyn Fn(&Name) -> Found + Send + Sync>;

/// Runs lookups that wait on threads: by default the system's `getaddrinfo`.
///
/// There are four threads at most, begun when there is something to do and ended when there is not. Names beyond that queue up, and are dropped when nobody
/// waits for them any more. A lookup cannot be stopped: when the loop is gone, its thread ends behind it.
pub struct ThreadedResolver {
    look_up: LookUp,
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    work: Condvar,
    patience: Duration,
}

pub(super) struct State {
    pub(super) queue: VecDeque<(Name, Answer)>,
    pub(super) threads: usize,
    /// How many of them wait for work.
    idle: usize,
    sweep_at: usize,
    closed: bool,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works off the queue until there is nothing to do for a while.
    fn work(&self, look_up: &LookUp) {
        let mut state = self.state();
        loop {
            if let Some((name, answer)) = state.queue.pop_front() {
                drop(state);
                if answer.is_wanted() {
                    // A lookup that panics says nothing, and that is an answer.
                    if let Ok(found) = panic::catch(|| look_up(&name)) {
                        answer.send(found);
                    }
                }
                state = self.state();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (woken, time) = self.work.wait_timeout(state, self.patience).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if time.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

impl ThreadedResolver {
    /// Looks names up by this function, which may wait as long as it likes.
    pub fn new(look_up: impl Fn(&Name) -> Found + Send + Sync + 'static) -> Self {
        Self::with(look_up, PATIENCE)
    }

    pub(super) fn with(look_up: impl Fn(&Name) -> Found + Send + Sync + 'static, patience: Duration) -> Self {
        let state = State { queue: VecDeque::new(), threads: 0, idle: 0, sweep_at: SWEEP, closed: false };
        let shared = Shared { state: Mutex::new(state), work: Condvar::new(), patience };
        Self { look_up: std::sync::Arc::new(look_up), shared: Arc::new(shared) }
    }
}

impl Default for ThreadedResolver {
    fn default() -> Self {
        Self::new(system::look_up)
    }
}

impl Resolve for ThreadedResolver {
    fn resolve(&mut self, name: &Name, answer: Answer) {
        let mut state = self.shared.state();
        if state.queue.len() >= state.sweep_at {
            state.queue.retain(|(_, answer)| answer.is_wanted());
            state.sweep_at = SWEEP.max(2 * state.queue.len());
        }
        state.queue.push_back((name.clone(), answer));
        if state.queue.len() <= state.idle || state.threads == MOST_THREADS {
            drop(state);
            self.shared.work.notify_one();
            return;
        }
        let (shared, look_up) = (self.shared.clone(), self.look_up.clone());
        let thread = thread::Builder::new().name("plimsoll-resolver".into());
        match thread.spawn(move || shared.work(&look_up)) {
            Ok(_) => state.threads += 1,
            // The threads that there are will come to it.
            Err(_) if state.threads > 0 => {}
            Err(reason) => {
                if let Some((_, answer)) = state.queue.pop_back() {
                    answer.send(Err(io_error(Call::Resolve, &reason)));
                }
            }
        }
    }

    fn resolve_now(&mut self, name: &Name) -> Found {
        (self.look_up)(name)
    }
}

impl Drop for ThreadedResolver {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        let queue = core::mem::take(&mut state.queue);
        drop(state);
        self.shared.work.notify_all();
        drop(queue);
    }
}

impl fmt::Debug for ThreadedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadedResolver").field("threads", &self.shared.state().threads).finish_non_exhaustive()
    }
}
