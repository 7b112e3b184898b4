//! A backend that has the calls that every backend must have, and no others: whatever it leaves out is refused, and nothing is lost.

use bytes::BytesMut;
use plimsoll_core::driver::{Attached, CompletionIo, FileError, Incoming, Interest, ReadinessIo, Sockets, Trigger};
use plimsoll_core::{
    Addr, Attempt, Call, Command, Context, Data, Datagram, Ends, Engine, Error, ErrorKind, InFlight, Key, Listen, Op, Protocol,
    Resource, Role, SocketOption, UnixAddr,
};

/// Notes under which keys sockets were attached, and how often something was sent.
#[derive(Default)]
struct Bare {
    attached: Vec<Key>,
    sent: usize,
}

fn none<T>() -> Result<T, Error> {
    Err(Error::new(Call::Socket, ErrorKind::Other))
}

impl Sockets for Bare {
    type Source = ();

    fn bind(&mut self, _: &Addr, _: &Listen) -> Result<((), Addr), Error> {
        none()
    }
    fn listen(&mut self, (): &mut (), _: u32) -> Result<(), Error> {
        none()
    }
    fn adopt(&mut self, _: Resource, _: Role) -> Result<((), Ends), Error> {
        none()
    }
    fn set_option(&mut self, (): &(), _: SocketOption) -> Result<(), Error> {
        none()
    }
    fn visit(&mut self, (): &(), _: Resource) {}
    fn attach(&mut self, (): &mut (), key: Key) -> Result<Attached, Error> {
        self.attached.push(key);
        Ok(Attached::Stream)
    }
    fn close(&mut self, (): (), _: Key) {}
}

impl ReadinessIo for Bare {
    fn trigger(&self) -> Trigger {
        Trigger::Edge
    }
    fn recv(&mut self, (): &mut (), _: &mut [u8]) -> Result<Option<usize>, Error> {
        none()
    }
    fn send(&mut self, (): &mut (), bufs: &[&[u8]]) -> Result<Option<usize>, Error> {
        self.sent += 1;
        Ok(Some(bufs.len()))
    }
    fn shutdown_write(&mut self, (): &mut ()) -> Result<(), Error> {
        none()
    }
    fn connect(&mut self, _: &Attempt) -> Result<(), Error> {
        none()
    }
    fn connect_result(&mut self, (): &mut ()) -> Result<Option<Ends>, Error> {
        none()
    }
    fn accept(&mut self, (): &mut ()) -> Result<Option<((), Ends)>, Error> {
        none()
    }
    fn arm(&mut self, (): &(), _: Key, _: Interest) -> Result<(), Error> {
        none()
    }
}

impl CompletionIo for Bare {
    fn recv(&mut self, (): &mut (), _: Key, _: BytesMut) {}
    fn send(&mut self, (): &mut (), _: Key, _: InFlight) {}
    fn shutdown_write(&mut self, (): &mut (), _: Key) {}
    fn connect(&mut self, _: Key, _: &Attempt) -> Result<(), Error> {
        none()
    }
    fn accept(&mut self, (): &mut (), _: Key) {}
}

struct Idle;

impl Protocol<()> for Idle {
    fn data_received(&mut self, _: &mut Context<'_, ()>, _: Data<'_>) {}
}

fn key() -> Key {
    Key::from_bits(7)
}

fn refused(call: Call) -> Error {
    Error::new(call, ErrorKind::Unsupported)
}

#[test]
fn kinds_of_endpoints_that_it_does_not_have_are_refused() {
    //= RUST-9, RUST-11
    let mut bare = Bare::default();
    let local = Datagram::on(Addr::Unix(UnixAddr::UNNAMED));
    assert_eq!(bare.open_datagram(&local).unwrap_err(), refused(Call::Socket));
    assert_eq!(bare.adopt_datagram(Resource::new(())).unwrap_err(), refused(Call::Adopt));
    assert_eq!(bare.watch(Resource::new(())).unwrap_err(), refused(Call::Watch));
    assert_eq!(bare.spawn(Command::new("anything")).unwrap_err(), refused(Call::Spawn));
    let mut engine = Engine::new(());
    engine.hub().connect(("nowhere", 7), Idle);
    let Some(Op::Resolve(query, name)) = engine.poll_op() else { panic!("nothing to look up") };
    assert_eq!(bare.resolve(query, &name), Err(refused(Call::Resolve)));
    assert_eq!(bare.resolve_now(&name), Err(refused(Call::Resolve)));
    assert_eq!(bare.signal(&mut (), 15).unwrap_err(), refused(Call::Signal));
    assert_eq!(ReadinessIo::wait_child(&mut bare, &mut ()).unwrap_err(), refused(Call::Wait));
    let mut came = [Incoming { len: 0, from: Addr::Unix(UnixAddr::UNNAMED) }];
    assert_eq!(ReadinessIo::recv_from(&mut bare, &mut (), &mut [BytesMut::new()], &mut came), Err(refused(Call::Receive)));
    assert_eq!(ReadinessIo::send_to(&mut bare, &mut (), [].into_iter()), Err(refused(Call::Send)));
    assert_eq!(bare.recv_runs(&mut (), &mut [BytesMut::new()], &mut []), Err(refused(Call::Receive)));
    assert_eq!(bare.poll(&mut (), key(), true), Err(refused(Call::Watch)));
}

#[test]
fn a_file_that_it_cannot_send_is_the_files_fault_and_comes_back() {
    //= LOOP-28
    let mut bare = Bare::default();
    let mut file = Resource::new(5_u8);
    assert_eq!(bare.read_file(&mut file, 0, &mut [0; 4]), Err(refused(Call::SendFile)));
    assert_eq!(ReadinessIo::send_file(&mut bare, &mut (), &mut file, 0, 4), Err(FileError::File(refused(Call::SendFile))));
    let back = CompletionIo::send_file(&mut bare, &mut (), key(), file, 0, 4).unwrap_err();
    assert_eq!(back.downcast::<u8>().ok(), Some(5));
}

#[test]
fn what_can_be_done_with_other_calls_is() {
    //= PIPE-8
    let mut bare = Bare::default();
    bare.rekey(&mut (), key(), Key::from_bits(8)).unwrap();
    assert_eq!(bare.attached, [Key::from_bits(8)]);
    assert_eq!(bare.send_pipe(&mut (), &[b"a", b"b"]), Ok(Some(2)));
    assert_eq!(bare.sent, 1);
    assert!(!bare.is_hung_up(&mut ()));
    let both = Interest { readable: true, writable: true, hang_up: true };
    assert_eq!(ReadinessIo::is_ready(&mut bare, &mut (), both), Interest::default());
    // What a poll of its own says is taken for true, and so is that a poller tells of everything.
    assert!(CompletionIo::is_ready(&mut bare, &mut (), true) && CompletionIo::is_ready(&mut bare, &mut (), false));
    assert_eq!((bare.receives_runs(&()), bare.tell_room(&(), key(), true)), (false, Ok(())));
}
