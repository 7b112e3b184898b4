//! Lookups that wait, on threads of their own.

use super::{Answer, Found, Resolve, system};
use crate::error::io_error;
use crate::panic;
use core::fmt;
use core::time::Duration;
use plimsoll_core::{Call, Name};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// So many lookups wait at a time.
const MOST_THREADS: usize = 4;

/// A thread that had nothing to do for that long ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lookups that nobody waits for any more are swept out when there are this many, and twice as many as were left the last time.
const SWEEP: usize = 64;

type LookUp = Arc<dyn Fn(&Name) -> Found + Send + Sync>;

/// Runs lookups that wait on threads: by default the system's `getaddrinfo`.
///
/// There are four threads at most, begun when there is something to do and ended when there is not. Names beyond that queue up, and are dropped when nobody
/// waits for them any more. A lookup cannot be stopped: when the loop is gone, its thread ends behind it.
pub struct ThreadedResolver {
    look_up: LookUp,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    patience: Duration,
}

struct State {
    queue: VecDeque<(Name, Answer)>,
    threads: usize,
    /// How many of them wait for work.
    idle: usize,
    sweep_at: usize,
    closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
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

    fn with(look_up: impl Fn(&Name) -> Found + Send + Sync + 'static, patience: Duration) -> Self {
        let state = State { queue: VecDeque::new(), threads: 0, idle: 0, sweep_at: SWEEP, closed: false };
        let shared = Shared { state: Mutex::new(state), work: Condvar::new(), patience };
        Self { look_up: Arc::new(look_up), shared: Arc::new(shared) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Lookups;
    use plimsoll_core::{Connect, Context, Data, Engine, ErrorKind, Op, Protocol, Wake};
    use std::time::Instant;

    struct Nobody;

    impl Protocol<()> for Nobody {
        fn data_received(&mut self, _: &mut Context<'_, ()>, _: Data<'_>) {}
    }

    struct Silent;

    impl Wake for Silent {
        fn wake(&self) {}
    }

    fn until(mut reached: impl FnMut() -> bool) {
        let started = Instant::now();
        while !reached() {
            assert!(started.elapsed() < Duration::from_secs(20), "it never came to that");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_thread_that_has_nothing_to_do_ends_and_another_begins_when_there_is() {
        //= LOOP-1, RUST-6
        let resolver = ThreadedResolver::with(|_| Ok(Vec::new()), Duration::from_millis(5));
        let shared = resolver.shared.clone();
        let mut lookups = Lookups::new(Arc::new(Silent));
        lookups.set_resolver(Box::new(resolver));
        let mut engine = Engine::new(());
        for _ in 0..3 {
            engine.hub().connect(Connect::host("example.org", 80), Nobody);
            let Some(Op::Resolve(query, name)) = engine.poll_op() else { panic!("nothing to look up") };
            lookups.begin(query, &name);
            until(|| lookups.next_answer().is_some());
            until(|| shared.state().threads == 0);
        }
        // Nobody is left who could answer, and nobody waits.
        lookups.close();
        assert!(lookups.next_answer().is_none());
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn lookups_that_nobody_waits_for_do_not_pile_up() {
        //= LIFE-12, RUST-6
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let resolver = ThreadedResolver::new(move |_| {
            let _ = gate.lock().unwrap_or_else(PoisonError::into_inner).recv();
            Err(plimsoll_core::Error::new(Call::Resolve, ErrorKind::HostNotFound))
        });
        let shared = resolver.shared.clone();
        let mut lookups = Lookups::new(Arc::new(Silent));
        lookups.set_resolver(Box::new(resolver));
        let mut engine = Engine::new(());
        for _ in 0..10_000 {
            let id = engine.hub().connect(Connect::host("example.org", 80), Nobody);
            let Some(Op::Resolve(query, name)) = engine.poll_op() else { panic!("nothing to look up") };
            lookups.begin(query, &name);
            engine.hub().abort(id);
            while let Some(op) = engine.poll_op() {
                if let Op::Forget(query) = op {
                    lookups.forget(query);
                }
            }
            while lookups.next_answer().is_some() {}
            assert!(shared.state().queue.len() <= 2 * SWEEP);
        }
        assert!(shared.state().threads <= MOST_THREADS);
        drop(release);
    }
}
