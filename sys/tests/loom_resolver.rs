//! Loom models of the threads that look names up: every name is answered once, and when the loop is gone every thread ends. Each has a bad twin that must fail.
//!
//! The resolver is compiled a second time here, as it stands, over loom's types instead of std's. Loom's waits last until they are rung: that a thread
//! ends when it has had nothing to do for a while is tested beside the code.

/// What the resolver takes from its crate: the types behind `crate::sync` are loom's here.
mod sync {
    pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(crate) use loom::thread;
}

mod error {
    use plimsoll_core::{Call, Error, ErrorKind};

    pub(crate) const fn io_error(call: Call, _: &std::io::Error) -> Error {
        Error::new(call, ErrorKind::Other)
    }
}

mod panic {
    pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Box<str>> {
        Ok(f())
    }
}

/// What the resolver takes from the module that it stands in.
mod resolver {
    use core::net::SocketAddr;
    use loom::sync::{Arc, Condvar, Mutex};
    use plimsoll_core::{Error, Name};

    pub(crate) type Found = Result<Vec<SocketAddr>, Error>;

    #[allow(dead_code, reason = "no model waits for a name")]
    pub(crate) trait Resolve {
        fn resolve(&mut self, name: &Name, answer: Answer);
        fn resolve_now(&mut self, name: &Name) -> Found;
    }

    pub(crate) mod system {
        pub(crate) fn look_up(_: &plimsoll_core::Name) -> super::Found {
            Ok(Vec::new())
        }
    }

    /// What has come, and who waits for it.
    type Inbox = (Mutex<Vec<(usize, bool)>>, Condvar);

    /// The loop's side: which lookups were answered, and whether anything was found.
    #[derive(Clone)]
    pub(crate) struct Answers(Arc<Inbox>);

    impl Answers {
        pub(crate) fn new() -> Self {
            Self(Arc::new((Mutex::new(Vec::new()), Condvar::new())))
        }

        pub(crate) fn of(&self, n: usize) -> Answer {
            Answer { n, to: Some(self.clone()) }
        }

        /// Waits for so many.
        pub(crate) fn wait(&self, count: usize) -> Vec<(usize, bool)> {
            let mut answers = self.0.0.lock().unwrap();
            while answers.len() < count {
                answers = self.0.1.wait(answers).unwrap();
            }
            let mut answers = answers.clone();
            answers.sort_unstable();
            answers
        }
    }

    pub(crate) struct Answer {
        n: usize,
        to: Option<Answers>,
    }

    impl Answer {
        pub(crate) fn send(mut self, found: Found) {
            self.deliver(found.is_ok());
        }

        pub(crate) const fn is_wanted(&self) -> bool {
            true
        }

        fn deliver(&mut self, found: bool) {
            if let Some(to) = self.to.take() {
                to.0.0.lock().unwrap().push((self.n, found));
                to.0.1.notify_one();
            }
        }
    }

    impl Drop for Answer {
        fn drop(&mut self) {
            self.deliver(false);
        }
    }
}

#[allow(dead_code, unreachable_pub, reason = "the models use a part of it, and nobody else sees it")]
#[path = "../src/resolver/threads.rs"]
mod threads;

use plimsoll_core::Name;
use resolver::{Answer, Answers, Found, Resolve, system};
use threads::ThreadedResolver;

/// Every interleaving with at most three preemptions.
fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

fn name() -> Name {
    Name::new("example.org", 80)
}

fn resolver() -> ThreadedResolver {
    ThreadedResolver::new(|_| Ok(Vec::new()))
}

#[test]
fn every_name_is_answered_once_and_its_threads_end_with_the_loop() {
    //= LOOP-1, RUST-6
    model(|| {
        let answers = Answers::new();
        let mut resolver = resolver();
        for n in 0..2 {
            resolver.resolve(&name(), answers.of(n));
        }
        assert_eq!(answers.wait(2), [(0, true), (1, true)]);
        // A model is over when every thread has ended: one that sleeps on is a deadlock.
        drop(resolver);
    });
}

#[test]
fn a_name_that_comes_while_a_thread_goes_to_sleep_is_answered() {
    //= LOOP-1
    model(|| {
        let answers = Answers::new();
        let mut resolver = resolver();
        resolver.resolve(&name(), answers.of(0));
        answers.wait(1);
        resolver.resolve(&name(), answers.of(1));
        assert_eq!(answers.wait(2), [(0, true), (1, true)]);
        drop(resolver);
    });
}

#[test]
fn a_loop_that_goes_at_once_leaves_no_name_without_an_answer() {
    //= LOOP-1, RUST-6
    model(|| {
        let answers = Answers::new();
        let mut resolver = resolver();
        for n in 0..2 {
            resolver.resolve(&name(), answers.of(n));
        }
        drop(resolver);
        let answers: Vec<usize> = answers.wait(2).into_iter().map(|(n, _)| n).collect();
        assert_eq!(answers, [0, 1]);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn twin_whose_threads_are_not_told_that_the_loop_has_gone_sleeps_for_ever() {
    model(|| {
        let answers = Answers::new();
        let mut resolver = resolver();
        resolver.resolve(&name(), answers.of(0));
        answers.wait(1);
        core::mem::forget(resolver);
    });
}
