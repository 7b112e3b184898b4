//! Loom models of the inbox, each with a bad twin that must fail: a model whose twin passes shows nothing.
//!
//! The inbox is compiled a second time here, as it stands, over loom's types instead of std's: no special build is needed.

extern crate alloc;

/// What the inbox takes from the core: the types behind `crate::sync` are loom's here.
mod sync {
    pub(crate) use loom::sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    };
}

/// The inbox only carries closures over a hub.
mod hub {
    #[derive(Debug)]
    pub(crate) struct Hub<S>(core::marker::PhantomData<S>);

    impl<S> Hub<S> {
        pub(crate) const fn new() -> Self {
            Self(core::marker::PhantomData)
        }
    }
}

#[allow(dead_code, unreachable_pub, reason = "the models use a part of it, and nobody else sees it")]
#[path = "../src/inbox.rs"]
mod inbox;

use hub::Hub;
use inbox::{Inbox, Remote, Wake};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A poller that sleeps until it is rung: an eventfd.
#[derive(Clone)]
struct Bell(Arc<(Mutex<usize>, Condvar)>);

impl Bell {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(0), Condvar::new())))
    }

    /// Waits for at least one ring, and takes all; how many there were.
    fn wait(&self) -> usize {
        let mut rings = self.0.0.lock().unwrap();
        while *rings == 0 {
            rings = self.0.1.wait(rings).unwrap();
        }
        core::mem::take(&mut *rings)
    }

    /// Takes all rings, without waiting for one.
    fn take(&self) -> usize {
        core::mem::take(&mut *self.0.0.lock().unwrap())
    }

    fn rings(&self) -> usize {
        *self.0.0.lock().unwrap()
    }
}

impl Wake for Bell {
    fn wake(&self) {
        *self.0.0.lock().unwrap() += 1;
        self.0.1.notify_one();
    }
}

type Log = Vec<(usize, usize)>;

/// Every interleaving with at most three preemptions: more find no further behaviour in two senders and a loop, and take minutes.
fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

fn send(remote: &Remote<Log>, sender: usize, n: usize) {
    remote.call_soon(move |_, log: &mut Log| log.push((sender, n))).unwrap();
}

/// Runs everything that the inbox holds, as a loop does.
fn run(log: &mut Log, inbox: &Inbox<Log>) {
    for item in inbox.drain() {
        item(&mut Hub::new(), log);
    }
}

#[test]
fn a_sleeping_loop_gets_every_item_of_two_senders_in_their_order() {
    //= THREAD-2, THREAD-3
    model(|| {
        let bell = Bell::new();
        let inbox = Inbox::new(bell.clone());
        let senders: Vec<_> = [(0, 2), (1, 1)]
            .map(|(sender, count)| {
                let remote = inbox.remote();
                thread::spawn(move || (0..count).for_each(|n| send(&remote, sender, n)))
            })
            .into_iter()
            .collect();
        let mut log = Log::new();
        while log.len() < 3 {
            bell.wait();
            run(&mut log, &inbox);
        }
        for sender in senders {
            sender.join().unwrap();
        }
        let of = |log: &Log, who| log.iter().filter(|(sender, _)| *sender == who).map(|(_, n)| *n).collect::<Vec<_>>();
        assert_eq!(of(&log, 0), [0, 1]);
        assert_eq!(of(&log, 1), [0]);
    });
}

#[test]
fn between_two_drains_the_loop_is_rung_once_at_most() {
    //= THREAD-3
    model(|| {
        let bell = Bell::new();
        let inbox = Inbox::new(bell.clone());
        let senders = [0, 1].map(|sender| {
            let remote = inbox.remote();
            thread::spawn(move || send(&remote, sender, 0))
        });
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(bell.rings(), 1);
        assert_eq!(inbox.drain().len(), 2);
    });
}

#[test]
fn an_item_that_races_with_closing_is_dropped_once_or_handed_back() {
    //= THREAD-4
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let inbox: Inbox<Log> = Inbox::new(Bell::new());
        let senders = [0, 1].map(|_| {
            let (remote, item) = (inbox.remote(), Counted(drops.clone()));
            thread::spawn(move || {
                let result = remote.call_soon(move |_, _| {
                    let _keep = &item;
                });
                if let Err(closed) = result {
                    assert!(remote.is_closed());
                    drop(closed.0);
                }
            })
        });
        inbox.close();
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(drops.load(Ordering::SeqCst), 2);
        assert!(inbox.remote().call_soon(|_, _| {}).is_err());
    });
}

#[test]
fn a_loop_that_outlives_all_its_senders_has_lost_nothing() {
    //= THREAD-3
    model(|| {
        let bell = Bell::new();
        let inbox = Inbox::new(bell.clone());
        let remote = inbox.remote();
        let sender = thread::spawn(move || send(&remote, 0, 0));
        bell.wait();
        let mut log = Log::new();
        run(&mut log, &inbox);
        sender.join().unwrap();
        assert_eq!(log.len(), 1);
    });
}

/// The inbox with one thing wrong.
#[derive(Clone)]
struct Twin {
    items: Arc<Mutex<Option<Vec<usize>>>>,
    rung: Arc<AtomicBool>,
    bell: Bell,
}

impl Twin {
    fn new() -> Self {
        Self { items: Arc::new(Mutex::new(Some(Vec::new()))), rung: Arc::new(AtomicBool::new(false)), bell: Bell::new() }
    }

    fn send(&self, n: usize) {
        if let Some(items) = &mut *self.items.lock().unwrap() {
            items.push(n);
        }
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.bell.wake();
        }
    }

    fn take(&self) -> Vec<usize> {
        self.items.lock().unwrap().as_mut().map(core::mem::take).unwrap_or_default()
    }
}

/// Answers the bell while two senders ring it, and then until it is silent; what the loop got. It never sleeps: a lost wake-up shows as a
/// missing item, since loom cannot unwind out of a deadlock.
fn answer(twin: &Twin, sender: fn(&Twin, usize), drain: fn(&Twin) -> usize) -> usize {
    let senders = [0, 1].map(|n| {
        let twin = twin.clone();
        thread::spawn(move || sender(&twin, n))
    });
    let mut got = 0;
    if twin.bell.take() > 0 {
        got += drain(twin);
    }
    for sender in senders {
        sender.join().unwrap();
    }
    while twin.bell.take() > 0 {
        got += drain(twin);
    }
    got
}

#[test]
fn twin_with_nothing_wrong_gets_everything() {
    model(|| {
        let twin = Twin::new();
        let got = answer(&twin, Twin::send, |twin| {
            twin.rung.swap(false, Ordering::AcqRel);
            twin.take().len()
        });
        assert_eq!(got, 2, "lost wake-up");
    });
}

#[test]
#[should_panic(expected = "lost wake-up")]
fn twin_that_lowers_the_flag_behind_the_drain_loses_a_wake_up() {
    model(|| {
        let twin = Twin::new();
        let got = answer(&twin, Twin::send, |twin| {
            let got = twin.take().len();
            twin.rung.swap(false, Ordering::AcqRel);
            got
        });
        assert_eq!(got, 2, "lost wake-up");
    });
}

#[test]
#[should_panic(expected = "lost wake-up")]
fn twin_that_rings_before_it_pushes_loses_an_item() {
    model(|| {
        let twin = Twin::new();
        let early = |twin: &Twin, n| {
            if !twin.rung.swap(true, Ordering::AcqRel) {
                twin.bell.wake();
            }
            if let Some(items) = &mut *twin.items.lock().unwrap() {
                items.push(n);
            }
        };
        let got = answer(&twin, early, |twin| {
            twin.rung.swap(false, Ordering::AcqRel);
            twin.take().len()
        });
        assert_eq!(got, 2, "lost wake-up");
    });
}

#[test]
#[should_panic(expected = "rung more than once")]
fn twin_without_the_flag_rings_for_every_item() {
    model(|| {
        let twin = Twin::new();
        let senders = [0, 1].map(|n| {
            let twin = twin.clone();
            thread::spawn(move || {
                if let Some(items) = &mut *twin.items.lock().unwrap() {
                    items.push(n);
                }
                twin.bell.wake();
            })
        });
        for sender in senders {
            sender.join().unwrap();
        }
        assert!(twin.bell.rings() <= 1, "rung more than once");
    });
}

#[test]
#[should_panic(expected = "lost")]
fn twin_that_looks_before_it_locks_loses_an_item_to_closing() {
    model(|| {
        let twin = Twin::new();
        let open = Arc::new(AtomicBool::new(true));
        let accepted = Arc::new(AtomicUsize::new(0));
        let dropped = Arc::new(AtomicUsize::new(0));
        let sender = {
            let (twin, open, accepted) = (twin.clone(), open.clone(), accepted.clone());
            thread::spawn(move || {
                if open.load(Ordering::Acquire) {
                    accepted.fetch_add(1, Ordering::SeqCst);
                    if let Some(items) = &mut *twin.items.lock().unwrap() {
                        items.push(0);
                    }
                }
            })
        };
        open.store(false, Ordering::Release);
        let waiting = twin.items.lock().unwrap().take();
        dropped.fetch_add(waiting.map_or(0, |items| items.len()), Ordering::SeqCst);
        sender.join().unwrap();
        assert_eq!(accepted.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst), "lost");
    });
}
