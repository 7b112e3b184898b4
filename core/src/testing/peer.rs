//! What a peer does, as data: written down, drawn by a generator, shrunk, and played.

use super::harness::Harness;
use crate::key::StreamId;
use alloc::vec::Vec;
use core::time::Duration;

/// One step of a peer. Any sequence of steps is a peer that there could be: a step that has become impossible, as sending after the end, does nothing.
///
/// With the feature `proptest` steps are drawn by `any::<PeerStep>()` and [`PeerStep::speaking`]; with the feature `arbitrary` a fuzzer makes them.
///
/// ```
/// use plimsoll_core::testing::{Harness, PeerStep};
/// # use plimsoll_core::{Context, Data, Protocol};
/// # struct Echo;
/// # impl<S> Protocol<S> for Echo {
/// #     fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
/// #         cx.write(data);
/// #     }
/// # }
/// let mut t = Harness::new(());
/// let c = t.connect(Echo);
/// t.play(c, &[PeerStep::Take(3), PeerStep::Send(b"hello".to_vec()), PeerStep::Finish]);
/// assert_eq!(t.sent(c), b"hel"); // the peer takes no more, and the rest is queued
/// t.play(c, &[PeerStep::TakeAll]);
/// assert_eq!(t.sent(c), b"lo");
/// assert_eq!(t.trace(c), "cm data(hello) eof lost(None)");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum PeerStep {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Takes so many bytes of what we send from now on, and then none.
    Take(u16),
    /// Takes all that we send from now on, as at the beginning.
    TakeAll,
    /// Does nothing for so many milliseconds.
    Wait(u16),
    /// Finishes sending, and goes on taking.
    Finish,
    /// Resets the connection.
    Reset,
}

impl<S> Harness<S> {
    /// The peer does these steps one after the other; after each everything happens that can happen.
    #[track_caller]
    pub fn play(&mut self, id: StreamId, steps: &[PeerStep]) {
        for step in steps {
            match step {
                PeerStep::Send(bytes) if self.peer_sends(id) => self.feed(id, bytes),
                PeerStep::Finish if self.peer_sends(id) => self.eof(id),
                PeerStep::Send(_) | PeerStep::Finish => {}
                PeerStep::Take(bytes) => self.window(id, usize::from(*bytes)),
                PeerStep::TakeAll => self.window(id, usize::MAX),
                PeerStep::Wait(time) => self.advance(Duration::from_millis((*time).into())),
                PeerStep::Reset => self.reset(id),
            }
        }
    }
}

/// Steps drawn by proptest.
#[cfg(feature = "proptest")]
mod strategy {
    use super::PeerStep;
    use alloc::vec::Vec;
    use proptest::collection::vec;
    use proptest::prelude::{Arbitrary, BoxedStrategy, Just, Strategy, any};
    use proptest::prop_oneof;

    impl PeerStep {
        /// A step of a peer that sends what `words` draws: fragments of a language that gets it further than random bytes would.
        ///
        /// ```
        /// use plimsoll_core::testing::PeerStep;
        /// use proptest::prelude::*;
        ///
        /// let words = prop_oneof![Just(b"GET / HTTP/1.1\r\n".to_vec()), Just(b"Host: a\r\n".to_vec()), Just(b"\r\n".to_vec())];
        /// let peer = prop::collection::vec(PeerStep::speaking(words), 0..20);
        /// # let _ = peer;
        /// ```
        pub fn speaking(words: impl Strategy<Value = Vec<u8>> + 'static) -> BoxedStrategy<Self> {
            prop_oneof![
                6 => words.prop_map(Self::Send),
                2 => (0..200_u16).prop_map(Self::Take),
                2 => Just(Self::TakeAll),
                1 => (0..20_000_u16).prop_map(Self::Wait),
                1 => Just(Self::Finish),
                1 => Just(Self::Reset),
            ]
            .boxed()
        }
    }

    impl Arbitrary for PeerStep {
        type Parameters = ();
        type Strategy = BoxedStrategy<Self>;

        fn arbitrary_with((): ()) -> Self::Strategy {
            Self::speaking(vec(any::<u8>(), 0..64))
        }
    }
}
