//! What is known of a connection, and of everything else.

use super::kit::{Rig, State, Tap, any_port, any_port_v6, socket_path};
use crate::backend::{
    Addr, Command, Context, Data, Datagram, DatagramId, DatagramProtocol, EndpointId, HubExt, PipeFd, PipeKind, ProcessId,
    SocketOption, SubprocessProtocol,
};
use std::os::unix::net::UnixStream;

#[test]
fn addresses_are_known_from_the_making_to_the_loss() {
    //= INFO-2, INFO-3, LIFE-17
    let mut rig = Rig::new();
    let check = |cx: &mut crate::backend::Context<'_, super::kit::State>| {
        let both = (cx.hub.local_addr(cx.id), cx.hub.peer_addr(cx.id));
        cx.state.note(format!("{both:?}"));
    };
    let (server, addr) = rig.serve(move || Tap::new("server").on("made", check).on("eof", check));
    let id = rig.event_loop.hub().connect(addr, Tap::new("client"));
    assert_eq!(rig.event_loop.hub().peer_addr(id), None, "it is not made yet");
    rig.until_saw("client made");
    let client = rig.event_loop.hub().local_addr(id).unwrap();
    assert_eq!(rig.event_loop.hub().peer_addr(id), Some(Addr::from(addr)));
    rig.until_saw("server made");
    rig.event_loop.hub().close(id);
    rig.until(|state| state.reasons.len() == 2);
    let seen = format!("{:?}", (Some(server.addr()), Some(&client)));
    assert_eq!(rig.state().times(&seen), 2);
    for reason in &rig.state().reasons {
        let ends = [reason.ends().local.as_ref().unwrap(), reason.ends().peer.as_ref().unwrap()];
        assert!(ends == [&client, server.addr()] || ends == [server.addr(), &client]);
    }
    assert_eq!(rig.event_loop.hub().local_addr(id), None);
}

#[test]
fn a_socket_is_shown_after_the_callback_that_asked() {
    //= INFO-4
    let mut rig = Rig::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let (_, peer) = rig.serve_one(move || {
        let sender = sender.clone();
        Tap::new("server").on("made", move |cx| {
            let seen = sender.clone();
            cx.hub.with_socket(cx.id, move |socket| {
                seen.send(format!("{}", socket.peer_addr().unwrap())).unwrap();
            });
            sender.send("callback over".into()).unwrap();
        })
    });
    rig.settle();
    let shown: Vec<String> = receiver.try_iter().collect();
    assert_eq!(shown, ["callback over".to_owned(), peer.local_addr().unwrap().to_string()]);

    let id = rig.state().id("server");
    drop(peer);
    rig.until_saw("server lost(None)");
    rig.event_loop.hub().with_socket(id, |_| panic!("shown after the loss"));
    rig.settle();
    assert_eq!(rig.reported(), [""; 0]);
}

struct Quiet;

impl DatagramProtocol<State> for Quiet {
    fn datagram_received(&mut self, _: &mut Context<'_, State, DatagramId>, _: Data<'_>, _: &Addr) {}
}

impl SubprocessProtocol<State> for Quiet {
    fn connection_made(&mut self, cx: &mut Context<'_, State, ProcessId>) {
        cx.state.count += 1;
    }
}

/// What an endpoint answers for: our address, the peer's, a socket, a pipe, a process.
fn has(rig: &mut Rig, id: impl Into<EndpointId>) -> String {
    let id = id.into();
    let hub = rig.event_loop.hub();
    let (local, peer) = (hub.local_addr(id).is_some(), hub.peer_addr(id).is_some());
    let socket = rig.event_loop.socket(id).is_some();
    let pipe = id.stream().is_some_and(|id| rig.event_loop.pipe(id).is_some());
    let process = id.process().is_some_and(|id| rig.event_loop.process(id).is_some());
    // From a callback the same is shown.
    let shown = std::rc::Rc::new(std::cell::Cell::new([false; 3]));
    let mark = |n: usize| {
        let shown = shown.clone();
        move || {
            let mut all = shown.get();
            all[n] = true;
            shown.set(all);
        }
    };
    let (see_socket, see_pipe, see_process) = (mark(0), mark(1), mark(2));
    let hub = rig.event_loop.hub();
    hub.with_socket(id, move |_| see_socket());
    if let Some(id) = id.stream() {
        hub.with_pipe(id, move |_| see_pipe());
    }
    if let Some(id) = id.process() {
        hub.with_process(id, move |_| see_process());
    }
    rig.event_loop.run_once(Some(std::time::Duration::ZERO)).unwrap();
    assert_eq!(shown.get(), [socket, pipe, process]);
    let words = [(local, "local"), (peer, "peer"), (socket, "socket"), (pipe, "pipe"), (process, "process")];
    words.iter().filter(|(yes, _)| *yes).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_kind_answers_for_what_it_has_and_for_nothing_else() {
    //= INFO-1, INFO-2, INFO-4, INFO-6
    let mut rig = Rig::new();
    let (server, addr) = rig.serve(|| Tap::new("server"));
    let unix = rig.event_loop.listen(socket_path(), |_, _| Tap::new("unix server")).unwrap();
    let hub = rig.event_loop.hub();
    let tcp = hub.connect(addr, Tap::new("tcp"));
    let local = hub.connect(unix.addr().clone(), Tap::new("unix"));
    let (bound, connected) = (hub.open_datagram(any_port(), Quiet), hub.open_datagram(Datagram::to(addr), Quiet));
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let reader = hub.connect_read_pipe(reader, Tap::new("reader"));
    let writer = hub.connect_write_pipe(writer, Tap::new("writer"));
    let (used_as_pipe, _peer) = UnixStream::pair().unwrap();
    let used_as_pipe = hub.connect_read_pipe(used_as_pipe, Tap::new("used as pipe"));
    let child = hub.spawn(Command::new("cat"), Quiet);
    let stdin = hub.pipe(child, PipeFd::Stdin).unwrap();
    for id in [EndpointId::from(tcp), bound.into(), reader.into(), child.into()] {
        assert_eq!(rig.event_loop.hub().local_addr(id), None, "it is not made yet");
    }
    rig.until(|state| state.made.len() == 7 && state.count == 1);
    assert_eq!(has(&mut rig, tcp), "local peer socket");
    assert_eq!(has(&mut rig, local), "local peer socket");
    assert_eq!(has(&mut rig, bound), "local socket");
    assert_eq!(has(&mut rig, connected), "local peer socket");
    for pipe in [reader, writer, used_as_pipe, stdin] {
        assert_eq!(has(&mut rig, pipe), "pipe");
    }
    assert_eq!(has(&mut rig, child), "process");
    assert_eq!(rig.event_loop.pipe(used_as_pipe).unwrap().kind().unwrap(), PipeKind::Socket);
    // Nothing of what is lost.
    let all: [EndpointId; 7] =
        [tcp.into(), local.into(), bound.into(), connected.into(), reader.into(), writer.into(), child.into()];
    for id in all {
        rig.event_loop.hub().abort(id);
    }
    rig.event_loop.hub().server_close(server.id());
    rig.until(|state| state.reasons.len() >= 4);
    rig.spin(std::time::Duration::from_millis(200));
    for id in all {
        assert_eq!(has(&mut rig, id), "");
    }
    assert_eq!(has(&mut rig, stdin), "");
}

#[test]
fn options_are_told_as_they_were_set() {
    //= INFO-4
    let mut rig = Rig::new();
    for at in [any_port(), any_port_v6()] {
        let options = [SocketOption::Broadcast(true), SocketOption::MulticastLoop(false), SocketOption::MulticastHops(7)];
        let id = rig.event_loop.hub().open_datagram(options.into_iter().fold(Datagram::on(at), Datagram::option), Quiet);
        rig.settle();
        let socket = rig.event_loop.socket(id).unwrap();
        assert_eq!((socket.broadcast().unwrap(), socket.multicast_loop().unwrap()), (true, false), "{at}");
        assert_eq!(socket.multicast_hops().unwrap(), 7);
    }
    assert_eq!(rig.reported(), [""; 0]);
}
