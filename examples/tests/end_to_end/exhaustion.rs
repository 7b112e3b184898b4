//! No descriptors left, and how it goes on.

use crate::kit::{PATIENCE, Program, connect, echoes, ended, on_both};
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

const LIMIT: usize = 32;

#[test]
fn a_server_without_descriptors_rests_and_recovers() {
    //= LOOP-23
    on_both(|backend| {
        let server = Program::limited(LIMIT, "tcp_echo_server", backend, &["127.0.0.1:0"]);
        let addr = server.addr();
        let (descriptors, room) = (server.descriptors(), server.room(LIMIT));
        // The kernel connects them all; the server can accept the first ones only.
        let clients: Vec<TcpStream> = (0..60).map(|_| connect(addr)).collect();
        let (first, line) = server.err.wait_for(1, "accept");
        assert!(line.contains("too many open files") && line.contains("rests for a second"), "{line}");
        server.comes_to(descriptors + room);
        for client in &clients[..room] {
            assert!(echoes(client, "served"));
        }
        for mut client in &clients[room..] {
            client.write_all(b"waits").unwrap();
        }

        // One report for each rest of a second, and sleep in between.
        let before = server.processor_time();
        let (third, _) = server.err.wait_for(3, "accept");
        let used = server.processor_time() - before;
        assert!(used <= Duration::from_millis(200), "{used:?}");
        assert!(third - first >= Duration::from_millis(1500), "{:?}", third - first);
        assert!(echoes(&clients[0], "still served"));
        let mut next = &clients[room];
        next.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(next.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        next.set_read_timeout(Some(PATIENCE)).unwrap();

        // Some go, and those that waited are served after the next rest at the latest.
        let mut clients = clients;
        let waiting = clients.split_off(room);
        let gone = Instant::now();
        drop(clients);
        for mut client in &waiting[..room] {
            let mut word = [0; 5];
            client.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"waits");
        }
        let waited = gone.elapsed();
        println!("{backend}: {room} at once; those that waited were served after {waited:?}");
        assert!(waited < Duration::from_secs(5), "{waited:?}");
        drop(waiting);
        assert!(echoes(&connect(addr), "all is well"));
        let reports = server.err.count("");
        let rests = usize::try_from(first.elapsed().as_secs()).unwrap() + 1;
        assert!(reports <= rests, "{reports} reports in {rests} rests");
        assert_eq!(server.err.count("accept"), reports, "something else is reported");
    });
}

#[test]
fn a_proxy_without_descriptors_loses_those_it_cannot_connect_and_nobody_else() {
    //= LOOP-6, LOOP-23, LIFE-13
    on_both(|backend| {
        let (_upstream, upstream) = Program::server("tcp_echo_server", backend, &[]);
        let proxy = Program::limited(LIMIT, "proxy", backend, &["127.0.0.1:0", &upstream.to_string()]);
        let addr = proxy.addr();
        let (descriptors, room) = (proxy.descriptors(), proxy.room(LIMIT));
        // Pairs, until one descriptor is left, or none.
        let pairs: Vec<TcpStream> = (0..room / 2)
            .map(|_| {
                let client = connect(addr);
                assert!(echoes(&client, "through"));
                client
            })
            .collect();
        let more = connect(addr);
        if room % 2 == 1 {
            assert!(ended(&more));
            proxy.err.wait_for(1, "too many open files");
        } else {
            proxy.err.wait_for(1, "rests for a second");
        }
        assert!(pairs.iter().all(|client| echoes(client, "still through")));
        drop((pairs, more));
        proxy.comes_to(descriptors);
        assert!(echoes(&connect(addr), "through again"));
    });
}

#[test]
fn a_server_that_rests_is_not_woken_by_those_that_give_up() {
    //= LOOP-23
    on_both(|backend| {
        let server = Program::limited(LIMIT, "tcp_echo_server", backend, &["127.0.0.1:0"]);
        let addr = server.addr();
        let (descriptors, room) = (server.descriptors(), server.room(LIMIT));
        let clients: Vec<TcpStream> = (0..room).map(|_| connect(addr)).collect();
        server.comes_to(descriptors + room);
        drop(connect(addr));
        server.err.wait_for(1, "rests for a second");
        let before = server.processor_time();
        // Each of these makes the listening socket ready once more.
        let started = Instant::now();
        for _ in 0..50 {
            drop(connect(addr));
            thread::sleep(Duration::from_millis(10));
        }
        let used = server.processor_time() - before;
        assert!(used <= Duration::from_millis(200), "{used:?}");
        let rests = usize::try_from(started.elapsed().as_secs()).unwrap() + 2;
        assert!(server.err.count("rests") <= rests);
        assert!(clients.iter().all(|client| echoes(client, "served")));
    });
}
