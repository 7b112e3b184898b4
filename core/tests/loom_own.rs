//! A user's own model, with the real inbox in it: `RUSTFLAGS="--cfg loom" cargo test -p plimsoll-core --test loom_own`. Without the cfg there is nothing here.
#![cfg(loom)]

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use plimsoll_core::{Engine, Inbox, Instant, Wake};

/// What wakes the loop's thread.
#[derive(Clone)]
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Wake for Bell {
    fn wake(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }
}

impl Bell {
    fn wait(&self) {
        let mut rung = self.0.0.lock().unwrap();
        while !*rung {
            rung = self.0.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// A worker publishes a result and tells the loop, which must find the result there, in every interleaving.
//= THREAD-2
#[test]
fn what_a_worker_did_before_it_called_is_seen_by_what_it_called() {
    loom::model(|| {
        let bell = Bell(Arc::new((Mutex::new(false), Condvar::new())));
        let inbox = Inbox::<bool>::new(bell.clone());
        let remote = inbox.remote();
        let done = Arc::new(AtomicBool::new(false));
        let worker = {
            let done = done.clone();
            loom::thread::spawn(move || {
                done.store(true, Ordering::Relaxed);
                let seen = done.clone();
                let called = remote.call_soon(move |_, state| *state = seen.load(Ordering::Relaxed));
                assert!(called.is_ok());
            })
        };
        let mut engine = Engine::new(false);
        while !*engine.state() {
            bell.wait();
            for item in inbox.drain() {
                engine.hub().call_boxed_soon(item);
            }
            engine.begin_round(Instant::ZERO);
            while engine.run_one_ready() {}
        }
        worker.join().unwrap();
    });
}
