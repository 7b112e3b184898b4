//! What the model of the loop has found, each as a test of its own.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::testing::Harness;
use plimsoll_core::{Context, Data, Listen, Protocol, StreamId, TimerId, WriteLimits};

/// Says what happened to it, under a name; does what it was given to do, once.
struct Named(&'static str, Option<Work>);

type Log = Vec<String>;
type Work = Box<dyn FnOnce(&mut Context<'_, Log>)>;

impl Named {
    fn new(name: &'static str) -> Self {
        Self(name, None)
    }

    fn doing(name: &'static str, work: impl FnOnce(&mut Context<'_, Log>) + 'static) -> Self {
        Self(name, Some(Box::new(work)))
    }

    fn say(&self, cx: &mut Context<'_, Log>, what: &str) {
        cx.state.push(format!("{} {what}", self.0));
    }
}

impl Protocol<Log> for Named {
    fn connection_made(&mut self, cx: &mut Context<'_, Log>) {
        self.say(cx, "cm");
    }

    fn data_received(&mut self, cx: &mut Context<'_, Log>, data: Data<'_>) {
        self.say(cx, &format!("data({})", data.escape_ascii()));
        if let Some(work) = self.1.take() {
            work(cx);
        }
    }

    fn pause_writing(&mut self, cx: &mut Context<'_, Log>) {
        self.say(cx, "pause");
        if let Some(work) = self.1.take() {
            work(cx);
        }
    }

    fn resume_writing(&mut self, cx: &mut Context<'_, Log>) {
        self.say(cx, "resume");
    }

    fn timer(&mut self, cx: &mut Context<'_, Log>, _: TimerId) {
        self.say(cx, "timer");
    }
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn marks(low: usize, high: usize) -> WriteLimits {
    WriteLimits::new(low, high).unwrap()
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_timer_that_is_due_before_the_connection_waits_for_it() {
    //= LIFE-1, LIFE-3, LOOP-31
    let mut t = Harness::new(Log::new());
    let c = t.open(addr(9), Named::new("a"));
    let timers: Vec<_> = (0..3).map(|_| t.hub().set_timer(c, Duration::ZERO).unwrap()).collect();
    t.run();
    t.advance(MS);
    assert_eq!(t.trace(c), "cm timer timer timer");
    assert!(timers.into_iter().all(|timer| !t.hub().reset_timer(timer, MS)));
}

#[test]
fn a_cancelled_opening_that_had_failed_already_is_told_to_nobody() {
    //= LIFE-12, RUST-9
    let mut t = Harness::new(Log::new());
    let c = t.open(Harness::<Log>::refused_addr(), Named::new("a"));
    t.run_once();
    t.hub().close(c);
    t.run();
    assert_eq!(t.trace(c), "");
}

#[test]
fn a_timer_that_was_moved_is_due_with_the_others_when_time_jumps() {
    //= LOOP-31
    let mut t = Harness::new(Log::new());
    let soon = |name: &'static str| move |_: &mut _, log: &mut Log| log.push(name.into());
    t.hub().call_later(MS, soon("first"));
    let moved = t.hub().call_later(2 * MS, soon("moved")).unwrap();
    t.hub().call_later(9 * MS, soon("last"));
    assert!(t.hub().reset_timer(moved, 5 * MS));
    t.advance(20 * MS);
    assert_eq!(*t.state(), ["first", "moved", "last"]);
}

#[test]
fn a_listen_that_fails_is_told_before_those_who_wait_for_its_end() {
    //= LOOP-13, LOOP-19
    let mut t = Harness::new(Log::new());
    let taken = Listen::on(addr(7));
    t.listen(taken.clone(), |_, _| Named::new("s")).unwrap();
    let server = t.hub().listen(
        taken,
        |_, _| Named::new("s"),
        |_, log: &mut Log, result| {
            assert!(result.is_err());
            log.push("done".into());
        },
    );
    t.hub().wait_closed(server, |_, log: &mut Log| log.push("closed".into()));
    t.run();
    assert_eq!(*t.state(), ["done", "closed"]);
}

#[test]
fn edges_come_in_the_order_in_which_they_became_due_also_one_that_follows_from_the_other() {
    //= RUST-2, RUST-4
    let mut t = Harness::new(Log::new());
    let b = t.connect(Named::new("b"));
    t.hub().set_write_buffer_limits(b, marks(0, 0));
    // The queue of `a` has drained when its pause is told: its resume is due before what the pause leads to.
    let a = t.connect(Named::doing("a", move |cx| {
        cx.write(b"x");
        cx.hub.write(b, b"y");
    }));
    t.hub().set_write_buffer_limits(a, marks(0, 0));
    t.state().clear();
    t.feed(a, b"1");
    t.run();
    assert_eq!(*t.state(), ["a data(1)", "a pause", "b pause", "a resume", "b resume"]);
    let c = t.connect(Named::doing("c", move |cx| {
        cx.hub.write(b, b"y");
    }));
    t.hub().set_write_buffer_limits(c, marks(0, 0));
    t.state().clear();
    t.hub().write(c, b"x");
    t.run();
    assert_eq!(*t.state(), ["c pause", "c resume", "b pause", "b resume"]);
}

#[test]
fn a_pause_owed_since_before_the_connection_comes_before_what_its_first_callback_leads_to() {
    //= RUST-2, FLOW-17
    struct Opener(StreamId);
    impl Protocol<Log> for Opener {
        fn connection_made(&mut self, cx: &mut Context<'_, Log>) {
            cx.hub.write(self.0, b"y");
        }
        fn data_received(&mut self, _: &mut Context<'_, Log>, _: Data<'_>) {}
        fn pause_writing(&mut self, cx: &mut Context<'_, Log>) {
            cx.state.push("opener pause".into());
        }
    }
    let mut t = Harness::new(Log::new());
    let b = t.connect(Named::new("b"));
    t.hub().set_write_buffer_limits(b, marks(0, 0));
    t.state().clear();
    let c = t.open(addr(9), Opener(b));
    t.hub().set_write_buffer_limits(c, marks(0, 0));
    t.hub().write(c, b"x");
    t.run();
    assert_eq!(*t.state(), ["opener pause", "b pause", "b resume"]);
}

#[test]
fn a_paused_opening_that_fails_holds_its_follower_no_longer() {
    //= READ-6, RUST-2
    let mut t = Harness::new(Log::new());
    let reader = t.connect(Named::new("r"));
    let writer = t.open(Harness::<Log>::refused_addr(), Named::new("w"));
    t.hub().set_write_buffer_limits(writer, marks(0, 0));
    t.hub().write(writer, b"x");
    t.hub().read_follows_write(reader, writer);
    t.feed(reader, b"1");
    t.run();
    assert_eq!(t.trace(reader), "cm data(1)");
}

#[test]
fn a_reader_that_waited_for_its_ninth_edge_goes_on_if_that_is_undone() {
    //= RUST-2, READ-6
    /// Raises its marks when it is paused, so that it is resumed at once, and writes over them again.
    struct Chatty(u32);
    impl Protocol<Log> for Chatty {
        fn data_received(&mut self, _: &mut Context<'_, Log>, _: Data<'_>) {}
        fn pause_writing(&mut self, cx: &mut Context<'_, Log>) {
            let size = cx.hub.write_buffer_size(cx.id);
            if size > 1 {
                cx.set_write_buffer_limits(marks(size, size));
            }
        }
        fn resume_writing(&mut self, cx: &mut Context<'_, Log>) {
            if self.0 > 0 {
                self.0 -= 1;
                cx.write(b"x");
            }
        }
    }
    let mut t = Harness::new(Log::new());
    let c = t.connect(Chatty(4));
    t.hub().set_write_buffer_limits(c, marks(0, 0));
    t.window(c, 0);
    t.hub().write(c, b"x");
    let other = t.connect(Named::doing("other", move |cx| {
        cx.hub.set_write_buffer_limits(c, marks(1, 1));
    }));
    // The ninth callback of one iteration, a resume, has to wait for the next; in the same one a write undoes it.
    t.hub().call_later(Duration::ZERO, move |hub, _| {
        hub.write(c, b"yy");
    });
    t.feed(other, b"1");
    t.feed(c, b"2");
    assert_eq!(t.trace(c), "cm pause resume pause resume pause resume pause resume pause data(2)");
}
