//! Threads that look names up, seen by the loop.

use super::Lookups;
use super::threads::{MOST_THREADS, SWEEP, ThreadedResolver};
use crate::sync::{Arc, Mutex, thread};
use core::time::Duration;
use plimsoll_core::{Call, Connect, Context, Data, Engine, ErrorKind, Op, Protocol, Wake};
use std::sync::PoisonError;
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
