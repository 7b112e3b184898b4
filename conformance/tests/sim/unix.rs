//! Unix stream sockets, on every kind of kernel interface.

use super::common::{Notes, Sim, echo, on_every_host, script};
use plimsoll_conformance::sim::{Faults, Host, Sim as World, SimLoop};
use plimsoll_core::{Addr, Connect, ErrorKind, Listen, Resource, Role, SocketOption, UnixAddr, WriteLimits, WriteStatus};

const HERE: &str = "/run/here";

fn serve(sim: &mut Sim, listen: impl Into<Listen>) -> plimsoll_core::ServerId {
    sim.listen(listen, |_: &mut Notes, _: Addr| echo()).unwrap()
}

fn kinds(sim: &mut Sim) -> Vec<ErrorKind> {
    sim.state().failed.drain(..).map(|failed| failed.error().kind()).collect()
}

#[test]
fn a_client_without_a_name_is_served_and_says_goodbye() {
    //= LOOP-10, LOOP-24, INFO-2, READ-1, EOF-1
    on_every_host(|sim| {
        for at in [Addr::unix(HERE), UnixAddr::abstract_name("here").into()] {
            let server = serve(sim, at.clone());
            let client = sim.hub().connect(at.clone(), script());
            sim.hub().write(client, "hello");
            sim.settle();
            let accepted = sim.state().ids.iter().copied().find(|id| *id != client).unwrap();
            let hub = sim.hub();
            let unnamed = Some(UnixAddr::UNNAMED.into());
            assert_eq!((hub.local_addr(client), hub.peer_addr(client)), (unnamed.clone(), Some(at.clone())));
            assert_eq!((hub.local_addr(accepted), hub.peer_addr(accepted)), (Some(at.clone()), unnamed));
            assert_eq!(sim.state().got, b"hello");
            sim.hub().close(client);
            sim.hub().server_close(server);
            sim.settle();
            assert_eq!((sim.trace(client), sim.trace(accepted)), ("made data(5) lost".into(), "made data(5) eof lost".into()));
            sim.state().ids.clear();
            sim.state().got.clear();
        }
    });
}

#[test]
fn a_server_that_is_given_no_name_gets_an_abstract_one() {
    //= LOOP-24
    on_every_host(|sim| {
        let server = serve(sim, UnixAddr::UNNAMED);
        let at = sim.hub().sockets(server).remove(0);
        assert!(at.as_unix().is_some_and(|at| at.as_abstract_name().is_some()), "{at}");
        let client = sim.hub().connect(at, script());
        sim.settle();
        assert_eq!(sim.trace(client), "made");
    });
}

#[test]
fn why_nobody_answers_at_a_path() {
    //= LOOP-10, RUST-9
    on_every_host(|sim| {
        drop(sim.sim().bound_socket(Addr::unix("/stale"), false));
        let _bound = sim.sim().listen_peer(Addr::unix("/full"));
        let (_listener, _first) = sim.sim().full_listener("/full");
        let _datagrams = sim.sim().datagram_peer(Addr::unix("/datagrams"));
        sim.sim().put_file("/file");
        for at in ["/nothing", "/stale", "/file", "/full", "/datagrams", "", "a\0b"] {
            sim.hub().connect(Addr::unix(at), script());
            sim.settle();
        }
        let told = [
            ErrorKind::NotFound,
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionRefused,
            ErrorKind::Busy,
            ErrorKind::InvalidInput,
            ErrorKind::InvalidInput,
            ErrorKind::InvalidInput,
        ];
        assert_eq!(kinds(sim), told);
    });
}

#[test]
fn a_left_socket_file_is_replaced_and_anything_else_stays() {
    //= LOOP-24, LOOP-25
    on_every_host(|sim| {
        drop(sim.sim().bound_socket(Addr::unix(HERE), false));
        assert!(sim.sim().has_file(HERE));
        let server = serve(sim, Addr::unix(HERE));
        let client = sim.hub().connect(Addr::unix(HERE), script());
        sim.settle();
        assert_eq!(sim.trace(client), "made");
        sim.hub().server_close(server);
        sim.settle();
        assert!(!sim.sim().has_file(HERE));
        sim.sim().put_file(HERE);
        let refused = sim.listen(Addr::unix(HERE), |_: &mut Notes, _: Addr| echo()).unwrap_err();
        assert_eq!(refused.error().kind(), ErrorKind::AddrInUse);
        assert!(sim.sim().has_file(HERE));
    });
}

#[test]
fn a_server_removes_its_own_file_only_and_only_if_it_is_to() {
    //= LOOP-25
    on_every_host(|sim| {
        let server = serve(sim, Listen::on(Addr::unix(HERE)).cleanup_socket(false));
        sim.hub().server_close(server);
        sim.settle();
        assert!(sim.sim().has_file(HERE));
        let first = serve(sim, Addr::unix(HERE));
        let second = serve(sim, Addr::unix(HERE));
        sim.hub().server_close(first);
        sim.settle();
        assert!(sim.sim().has_file(HERE), "the file is the second one's by now");
        sim.hub().server_close(second);
        sim.settle();
        assert!(!sim.sim().has_file(HERE));
        let given = Resource::new(sim.sim().bound_socket(Addr::unix(HERE), true));
        sim.hub().listen_on(given, |_: &mut Notes, _: Addr| Some(Box::new(echo())), |_, _, _| {});
        sim.settle();
        sim.close();
        assert!(sim.sim().has_file(HERE), "somebody else made it");
    });
}

#[test]
fn closing_with_something_unread_resets_and_without_it_ends() {
    //= CLOSE-11, EOF-1, READ-10
    on_every_host(|sim| {
        let _server = serve(sim, Addr::unix(HERE));
        for (unread, trace) in [(false, "made data(3) eof lost"), (true, "made data(3) lost(ConnectionReset)")] {
            sim.state().ids.clear();
            let peer = sim.sim().connect_unix_peer(HERE).unwrap();
            peer.stall();
            peer.send("abc");
            sim.settle();
            if !unread {
                peer.read(3);
                assert_eq!(peer.recv(), b"abc");
            }
            drop(peer);
            sim.settle();
            let id = sim.state().ids[0];
            assert_eq!(sim.trace(id), trace);
        }
    });
}

#[test]
fn a_full_peer_pauses_and_a_peer_that_goes_is_a_broken_pipe() {
    //= FLOW-6, FLOW-7, WRITE-10, CLOSE-1
    on_every_host(|sim| {
        sim.sim().change_faults(|faults| faults.send_space = 4..=4);
        let listener = sim.sim().listen_peer(Addr::unix(HERE));
        let id = sim.hub().connect(Addr::unix(HERE), script());
        sim.hub().set_write_buffer_limits(id, WriteLimits::new(2, 4).unwrap());
        sim.settle();
        let peer = listener.accept().unwrap();
        peer.stall();
        assert_eq!(sim.hub().write(id, "0123456789"), WriteStatus::Paused);
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), sim.hub().write_buffer_size(id)), ("made pause", 6));
        peer.read(4);
        sim.settle();
        assert_eq!(sim.trace(id), "made pause resume");
        sim.hub().pause_reading(id);
        assert_eq!(peer.recv(), b"0123");
        peer.read(4);
        drop(peer);
        sim.hub().write(id, "x");
        sim.settle();
        // An operation that waited for room had it at once: then something was left unread, and that comes first.
        let why = if sim.host() == Host::Completion { "ConnectionReset" } else { "BrokenPipe" };
        assert_eq!(sim.trace(id), format!("made pause resume lost({why})"));
    });
}

#[test]
fn a_pair_is_taken_over_and_knows_no_delay() {
    //= LOOP-10, LOOP-11, EOF-6
    on_every_host(|sim| {
        let (ours, peer) = sim.sim().unix_pair("/pair");
        let id = sim.hub().adopt(Resource::new(ours), Role::Client, script().eof(|_| true));
        sim.hub().write(id, "hello");
        peer.send("world");
        peer.eof();
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), peer.recv()), ("made data(5) eof", b"hello".to_vec()));
        sim.hub().set_option(id, SocketOption::NoDelay(true));
        sim.hub().write(id, "more");
        let _ = sim.hub().write_eof(id);
        sim.settle();
        // That the option is none of its kind is reported, and nothing else comes of it.
        assert_eq!((peer.recv(), sim.take_reports().len()), (b"more".to_vec(), 1));
        assert!(peer.saw_eof());
        sim.hub().close(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made data(5) eof lost");
    });
}

#[test]
fn a_client_may_have_a_name_of_its_own() {
    //= LOOP-5, INFO-2
    on_every_host(|sim| {
        let _server = serve(sim, Addr::unix(HERE));
        let client = sim.hub().connect(Connect::to(Addr::unix(HERE)).local_addr(Addr::unix("/own")), script());
        sim.settle();
        assert_eq!(sim.hub().local_addr(client), Some(Addr::unix("/own")));
        sim.hub().connect(Connect::to(Addr::unix(HERE)).local_addr(Addr::unix("/own")), script());
        sim.settle();
        assert_eq!(kinds(sim), [ErrorKind::AddrInUse]);
    });
}

#[test]
fn every_byte_comes_back_whatever_goes_wrong_around_it() {
    //= READ-1, WRITE-3, FLOW-6, RUST-12
    for host in Host::ALL {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut faults = Faults::swarm(&mut rng);
            (faults.descriptors, faults.refuse) = (1000, 0);
            let world = World::new(seed, faults);
            let mut sim = SimLoop::with_block_size(&world, host, Notes::default(), [1, 7, 4096][rng.usize(..3)]);
            sim.listen(Addr::unix(HERE), |_: &mut Notes, _: Addr| {
                script().made(|cx| cx.hub.read_follows_write(cx.id, cx.id)).data(|cx, data| {
                    cx.write(data);
                })
            })
            .unwrap();
            let client = sim.hub().connect(Addr::unix(HERE), script());
            let bytes: Vec<u8> = (0..rng.usize(..2000)).map(|_| rng.u8(..)).collect();
            sim.hub().write(client, &bytes);
            let _ = sim.hub().write_eof(client);
            assert!(sim.run_until(50_000, |sim| sim.state().lost.len() == 2), "seed {seed} on {host:?}");
            assert!(sim.state().lost.iter().all(|reason| reason.error().is_none()), "seed {seed} on {host:?}");
            assert!(sim.state().got == bytes, "seed {seed} on {host:?}");
        }
    }
}
