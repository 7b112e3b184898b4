//! Descriptors without a transport, as a driver of one's own sees them.
#![allow(clippy::std_instead_of_core, reason = "tests have std anyway")]

use plimsoll_core::{Call, Engine, Error, ErrorKind, Key, LoopTag, Op, Origin, Report, Resource, WatchId};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Log = Vec<&'static str>;

/// A watch, and what the driver was asked for.
fn watch(engine: &mut Engine<Log>) -> (WatchId, Key) {
    let id = engine.hub().watch_resource(Resource::new(7_u8));
    let Some(Op::Watch(asked, resource)) = engine.poll_op() else { panic!("nothing to watch") };
    assert_eq!((asked, resource.downcast::<u8>().ok()), (id, Some(7)));
    assert!(engine.is_watch(id.key()));
    (id, id.key())
}

#[test]
fn a_driver_tells_what_is_wanted_and_nothing_else() {
    let mut engine = Engine::new(Log::new());
    let (id, key) = watch(&mut engine);
    assert!(!engine.wants_readable(key) && !engine.wants_writable(key) && engine.is_settled());
    engine.readable(key);
    engine.writable(key);
    engine.hub().add_reader(id, |_, log| log.push("read")).unwrap();
    engine.hub().add_writer(id, |_, log| log.push("write")).unwrap();
    // Looked at once, whatever was said of it.
    assert_eq!((engine.next_dirty(), engine.next_dirty()), (Some(key), None));
    assert!(engine.wants_readable(key) && engine.wants_writable(key));
    engine.readable(key);
    engine.writable(key);
    engine.readable(key);
    assert_eq!(*engine.state(), ["read", "write", "read"]);
    assert!(engine.hub().remove_reader(id) && !engine.hub().remove_reader(id));
    assert_eq!((engine.next_dirty(), engine.next_dirty()), (Some(key), None));
    assert!(!engine.wants_readable(key) && engine.wants_writable(key));
    engine.readable(key);
    assert!(engine.hub().remove_writer(id) && !engine.hub().remove_writer(id));
    engine.writable(key);
    assert_eq!(engine.state().len(), 3);
    assert!(engine.hub().unwatch(id) && !engine.hub().unwatch(id));
    assert!(matches!(engine.poll_op(), Some(Op::Close(closed)) if closed == key));
    assert!(!engine.is_watch(key));
}

#[test]
fn a_callback_that_replaces_or_removes_itself_is_not_put_back() {
    let mut engine = Engine::new(Log::new());
    let (id, key) = watch(&mut engine);
    let replace = move |hub: &mut plimsoll_core::Hub<Log>, log: &mut Log| {
        log.push("first");
        let last = move |hub: &mut plimsoll_core::Hub<Log>, log: &mut Log| {
            log.push("second");
            assert!(hub.remove_reader(id));
        };
        hub.add_reader(id, last).unwrap();
    };
    engine.hub().add_reader(id, replace).unwrap();
    for _ in 0..4 {
        engine.readable(key);
    }
    assert_eq!(*engine.state(), ["first", "second"]);
    assert!(!engine.wants_readable(key));
    // One that ends its watch leaves nothing.
    let end = move |hub: &mut plimsoll_core::Hub<Log>, _: &mut Log| assert!(hub.unwatch(id));
    engine.hub().add_writer(id, end).unwrap();
    engine.writable(key);
    assert!(!engine.is_watch(key));
    engine.writable(key);
}

#[test]
fn a_panic_and_a_failure_end_a_watch_and_are_reported() {
    //= RUST-8
    let mut engine = Engine::new(Log::new());
    let (id, key) = watch(&mut engine);
    engine.hub().add_reader(id, |_, _| panic!("on purpose")).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| engine.readable(key))).is_err());
    let origin = Origin::Watch(id);
    assert!(matches!(engine.poll_report(), Some(Report::Panicked { origin: told, .. }) if told == origin));
    assert!(!engine.is_watch(key) && matches!(engine.poll_op(), Some(Op::Close(_))));

    let (id, key) = watch(&mut engine);
    let error = Error::new(Call::Register, ErrorKind::OutOfMemory);
    engine.watch_failed(key, error);
    engine.watch_failed(key, error);
    let report = engine.poll_report().unwrap();
    assert!(matches!(report, Report::WatchFailed { id: told, .. } if told == id));
    assert_eq!(report.to_string(), format!("{id:?}: register: out of memory"));
    assert!(engine.poll_report().is_none() && !engine.hub().is_watching(id));
}

#[test]
fn a_stale_id_and_one_of_another_loop_name_nothing() {
    //= RUST-10
    let mut engine = Engine::new(Log::new());
    let (old, _) = watch(&mut engine);
    engine.hub().unwatch(old);
    engine.poll_op();
    let (id, key) = watch(&mut engine);
    assert_eq!(old.key().index(), key.index());
    let mut other = Engine::with(Log::new(), LoopTag(1), plimsoll_core::BufPool::new());
    let foreign = other.hub().watch_resource(Resource::new(()));
    assert_eq!(foreign.key().index(), key.index());
    for stranger in [old, foreign] {
        let hub = engine.hub();
        assert_eq!(hub.add_reader(stranger, |_, _| {}).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(hub.add_writer(stranger, |_, _| {}).unwrap_err().kind(), ErrorKind::Closed);
        assert!(!hub.remove_reader(stranger) && !hub.remove_writer(stranger));
        assert!(!hub.is_watching(stranger) && !hub.unwatch(stranger));
    }
    assert!(engine.hub().is_watching(id));
    engine.close();
    assert!(!engine.hub().is_watching(id) && engine.poll_report().is_none());
}

#[test]
fn a_backend_keeps_one_thing_beside_the_hub() {
    let mut engine = Engine::new(());
    *engine.hub().extension::<u32>() += 1;
    *engine.hub().extension::<u32>() += 1;
    assert_eq!(*engine.hub().extension::<u32>(), 2);
    assert_eq!(engine.hub().extension::<String>(), "");
    assert_eq!(*engine.hub().extension::<u32>(), 0);
}
