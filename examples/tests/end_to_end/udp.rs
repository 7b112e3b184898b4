//! The UDP echo server and client, with each other and with peers that are not ours.

use crate::kit::{Program, on_both};
use core::time::Duration;
use std::io::Write;
use std::net::UdpSocket;

fn peer() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    peer
}

#[test]
fn many_peers_get_their_datagrams_back_and_a_large_one_too() {
    //= DGRAM-2, DGRAM-3, DGRAM-11
    on_both(|backend| {
        let (server, addr) = Program::server("udp_echo_server", backend, &[]);
        let descriptors = server.descriptors();
        let peers: Vec<UdpSocket> = (0..40).map(|_| peer()).collect(); // All at once they fit into the receive buffer.
        for round in 0..20_usize {
            for (n, peer) in peers.iter().enumerate() {
                peer.send_to(&vec![n as u8; round * 50], addr).unwrap();
            }
            for (n, peer) in peers.iter().enumerate() {
                let mut room = [0; 2000];
                let (len, from) = peer.recv_from(&mut room).unwrap();
                assert_eq!((len, from), (round * 50, addr));
                assert!(room[..len].iter().all(|&byte| byte == n as u8));
            }
        }
        let mut room = vec![0; 70_000];
        peers[0].send_to(&[5; 65_507], addr).unwrap();
        assert_eq!(peers[0].recv(&mut room).unwrap(), 65_507);
        server.out.wait_for(801, " bytes from ");
        assert_eq!(server.descriptors(), descriptors);
        server.falls_asleep();
    });
}

#[test]
fn a_peer_that_has_gone_takes_nobody_with_it() {
    //= DGRAM-7
    on_both(|backend| {
        let (_server, addr) = Program::server("udp_echo_server", backend, &[]);
        for _ in 0..50 {
            // Gone before the echo comes: the system may say so, of whichever send.
            peer().send_to(b"never mind", addr).unwrap();
        }
        let stays = peer();
        stays.send_to(b"hello", addr).unwrap();
        // It may have the port of one that has gone, whose echo is still to come.
        let mut room = [0; 10];
        let echo = core::iter::repeat_with(|| stays.recv(&mut room).unwrap()).find(|len| *len != 10);
        assert_eq!(echo, Some(5));
    });
}

#[test]
fn the_client_prints_the_echo_and_ends() {
    //= DGRAM-4, DGRAM-8
    on_both(|backend| {
        let (_server, addr) = Program::server("udp_echo_server", backend, &[]);
        let mut client = Program::example("udp_echo_client", backend, &[&addr.to_string()]);
        client.prints(&["data sent: Hello World!", "data received: Hello World!", "the endpoint is closed"]);
    });
}

#[test]
fn the_client_says_that_nobody_is_there() {
    //= DGRAM-7
    on_both(|backend| {
        let closed = peer().local_addr().unwrap();
        Program::example("udp_echo_client", backend, &[&closed.to_string()]).fails("connection refused");
    });
}

#[test]
fn an_address_that_is_taken_is_said_and_the_server_fails() {
    //= LOOP-26
    on_both(|backend| {
        let taken = peer();
        let addr = taken.local_addr().unwrap().to_string();
        Program::example("udp_echo_server", backend, &[&addr]).fails("address in use");
    });
}

#[test]
fn asyncio_peers_are_content() {
    //= DGRAM-2, DGRAM-3, DGRAM-4
    on_both(|backend| {
        let (_server, addr) = Program::server("udp_echo_server", backend, &[]);
        let Some(mut peers) = Program::python("udp_echo_client.py", &[&addr.port().to_string()]) else { return };
        peers.prints(&["fine"]);
        let Some(server) = Program::python("udp_echo_server.py", &[]) else { return };
        let mut client = Program::example("udp_echo_client", backend, &[&server.addr().to_string()]);
        client.prints(&["data sent: Hello World!", "data received: Hello World!", "the endpoint is closed"]);
    });
}

#[test]
fn socat_gets_its_datagram_back() {
    //= DGRAM-2
    on_both(|backend| {
        let (_server, addr) = Program::server("udp_echo_server", backend, &[]);
        let Some(mut socat) = Program::tool("socat", &["-t", "3", "-", &format!("UDP:{addr}")]) else { return };
        writeln!(socat.stdin(), "from socat").unwrap();
        socat.prints(&["from socat"]);
    });
}
