//! What sockets do on which only bytes matter: whatever else is asked of them is done at once, and nothing comes of it.

/// Implements [`Sockets`](plimsoll_core::driver::Sockets) for a type whose sources are nothing; what else it does follows. `options` in front: what it does with
/// options follows too.
macro_rules! quiet_sockets {
    ($io:ty { $($more:tt)* }) => {
        quiet_sockets!(options $io {
            fn set_option(&mut self, (): &(), _: plimsoll_core::SocketOption) -> Result<(), Error> {
                Ok(())
            }

            $($more)*
        });
    };
    (options $io:ty { $($more:tt)* }) => {
        impl plimsoll_core::driver::Sockets for $io {
            type Source = ();

            fn bind(&mut self, at: &plimsoll_core::Addr, _: &plimsoll_core::Listen) -> Result<((), plimsoll_core::Addr), Error> {
                Ok(((), at.clone()))
            }

            fn listen(&mut self, (): &mut (), _: u32) -> Result<(), Error> {
                Ok(())
            }

            fn adopt(&mut self, _: plimsoll_core::Resource, _: plimsoll_core::Role) -> Result<((), Ends), Error> {
                Ok(((), Ends::default()))
            }

            fn visit(&mut self, (): &(), _: plimsoll_core::Resource) {}

            fn attach(&mut self, (): &mut (), _: Key) -> Result<plimsoll_core::driver::Attached, Error> {
                Ok(plimsoll_core::driver::Attached::Stream)
            }

            fn close(&mut self, (): (), _: Key) {}

            $($more)*
        }
    };
}
