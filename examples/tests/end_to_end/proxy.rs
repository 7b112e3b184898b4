//! The proxy: back-pressure, half-closes and resets, in both directions.

use crate::kit::{
    MIB, Pattern, Program, accept, connect, echoes, ended, finish, kept_between, listener, on_both, receive, receive_to_the_end,
    reset, send, send_until_stalled,
};
use core::net::SocketAddr;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const LEN: u64 = 64 * MIB;
const FORTH: Pattern = Pattern(1);
const BACK: Pattern = Pattern(2);

/// What is kept of each direction while its sink does not read: the high mark, and one read.
const MOST_KEPT: u64 = 65_536 + 65_536;

/// A proxy, and the upstream behind it.
struct Between {
    proxy: Program,
    addr: SocketAddr,
    upstream: TcpListener,
    descriptors: usize,
}

impl Between {
    fn new(backend: &str) -> Self {
        let (upstream, upstream_addr) = listener();
        let (proxy, addr) = Program::server("proxy", backend, &[&upstream_addr.to_string()]);
        let descriptors = proxy.descriptors();
        Self { proxy, addr, upstream, descriptors }
    }

    /// A connection through it: the client's end, and the upstream's.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.addr);
        (client, accept(&self.upstream))
    }

    /// All connections through it are over, on both sides.
    fn is_left_alone(&self) {
        self.proxy.comes_to(self.descriptors);
    }
}

#[test]
fn both_directions_at_once_while_neither_side_reads_at_first() {
    //= FLOW-6, FLOW-7, READ-1, READ-5, READ-6, WRITE-1, WRITE-3, EOF-3, EOF-6, EOF-10
    on_both(|backend| {
        let between = Between::new(backend);
        // What bulk costs anyway is paid before.
        let (client, upstream) = between.connect();
        thread::scope(|scope| {
            scope.spawn(|| send(&client, FORTH, 0, 8 * MIB));
            receive(&upstream, FORTH, 0, 8 * MIB);
        });
        drop((client, upstream));
        between.is_left_alone();
        let resident = between.proxy.resident();

        let (client, upstream) = between.connect();
        let (forth, back) = thread::scope(|scope| {
            let back = scope.spawn(|| send_until_stalled(&upstream, BACK, 0, LEN));
            (send_until_stalled(&client, FORTH, 0, LEN), back.join().unwrap())
        });
        assert!(forth < LEN && back < LEN, "all of it fits on the way, and nothing is shown");
        let outside = [client.local_addr().unwrap(), between.addr];
        let inside = [upstream.peer_addr().unwrap(), upstream.local_addr().unwrap()];
        let turned = |[a, b]: [SocketAddr; 2]| [b, a];
        let kept = [kept_between(forth, outside, inside), kept_between(back, turned(inside), turned(outside))];
        let grown = between.proxy.resident().saturating_sub(resident);
        println!("{backend}: stalled after {forth} bytes forth and {back} back, {kept:?} of them kept, grown by {grown}");
        // More than the low mark, or it would go on reading.
        assert!(kept.iter().all(|kept| (16_385..=MOST_KEPT).contains(kept)), "{kept:?}");
        assert!(grown <= 2 * MIB, "grown by {grown} bytes");
        between.proxy.falls_asleep();

        thread::scope(|scope| {
            scope.spawn(|| {
                send(&client, FORTH, forth, LEN);
                finish(&client);
            });
            scope.spawn(|| {
                send(&upstream, BACK, back, LEN);
                finish(&upstream);
            });
            scope.spawn(|| receive_to_the_end(&client, BACK, 0, LEN));
            receive_to_the_end(&upstream, FORTH, 0, LEN);
        });
        assert!(between.proxy.resident().saturating_sub(resident) <= 2 * MIB);
        between.is_left_alone();
    });
}

#[test]
fn a_client_that_has_finished_still_gets_everything() {
    //= EOF-3, EOF-6, EOF-10, READ-1
    on_both(|backend| {
        let between = Between::new(backend);
        let (client, upstream) = between.connect();
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&client, FORTH, 0, LEN);
                finish(&client);
            });
            receive_to_the_end(&upstream, FORTH, 0, LEN);
        });
        // One half is over, and the other has not begun.
        between.proxy.falls_asleep();
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&upstream, BACK, 0, LEN);
                finish(&upstream);
            });
            receive_to_the_end(&client, BACK, 0, LEN);
        });
        between.is_left_alone();
    });
}

#[test]
fn an_upstream_that_has_finished_still_gets_everything() {
    //= EOF-3, EOF-6, EOF-10, READ-1
    on_both(|backend| {
        let between = Between::new(backend);
        let (client, upstream) = between.connect();
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&upstream, BACK, 0, LEN);
                finish(&upstream);
            });
            receive_to_the_end(&client, BACK, 0, LEN);
        });
        between.proxy.falls_asleep();
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&client, FORTH, 0, LEN);
                finish(&client);
            });
            receive_to_the_end(&upstream, FORTH, 0, LEN);
        });
        between.is_left_alone();
    });
}

#[test]
fn a_client_that_says_all_before_the_upstream_is_there_loses_nothing() {
    //= EOF-6, WRITE-13
    on_both(|backend| {
        let between = Between::new(backend);
        for n in 0..20 {
            let client = connect(between.addr);
            send(&client, Pattern(n), 0, 1000);
            finish(&client);
            let upstream = accept(&between.upstream);
            receive_to_the_end(&upstream, Pattern(n), 0, 1000);
            drop(upstream);
            assert!(ended(&client));
        }
        between.is_left_alone();
    });
}

#[test]
fn a_refused_upstream_is_named_and_its_client_let_go() {
    //= LOOP-6, CLOSE-2, LIFE-13
    on_both(|backend| {
        let (listener, upstream) = listener();
        drop(listener);
        let (proxy, addr) = Program::server("proxy", backend, &[&upstream.to_string()]);
        let descriptors = proxy.descriptors();
        for n in 1..=20 {
            let mut client = connect(addr);
            // It may be gone already.
            let _ = client.write_all(b"is anybody there?");
            assert!(ended(&client));
            proxy.err.wait_for(n, &format!("{upstream}: connect: connection refused"));
        }
        proxy.comes_to(descriptors);
    });
}

#[test]
fn a_reset_on_one_side_ends_the_other() {
    //= READ-13, LIFE-4, CLOSE-2, LIFE-13
    on_both(|backend| {
        let between = Between::new(backend);
        for round in 0..20 {
            let (client, upstream) = between.connect();
            let (going, staying) = if round % 2 == 0 { (client, upstream) } else { (upstream, client) };
            (&going).write_all(b"bytes").unwrap();
            (&staying).read_exact(&mut [0; 5]).unwrap();
            if round % 4 < 2 {
                finish(&staying);
                assert!(ended(&going));
            }
            reset(going);
            assert!(ended(&staying));
        }
        between.is_left_alone();
    });
}

#[test]
fn a_reset_behind_a_sink_that_does_not_read_is_waited_out() {
    //= READ-10, READ-13, LIFE-13
    on_both(|backend| {
        let between = Between::new(backend);
        for round in 0..2 {
            let (client, upstream) = between.connect();
            let (source, sink) = if round == 0 { (client, upstream) } else { (upstream, client) };
            let at = send_until_stalled(&source, FORTH, 0, LEN);
            assert!(at < LEN, "all of it fits on the way, and nothing is shown");
            reset(source);
            // Whether it is seen now or when there is room: nothing spins.
            between.proxy.falls_asleep();
            let mut sink = sink;
            let mut rest = vec![0; 65_536];
            while sink.read(&mut rest).is_ok_and(|len| len > 0) {}
            between.is_left_alone();
        }
    });
}

#[test]
fn two_hundred_connections_go_through_and_leave_nothing_behind() {
    //= READ-1, WRITE-3, EOF-10, LIFE-13
    const ROUND: u64 = 8192;
    on_both(|backend| {
        let (_server, upstream) = Program::server("tcp_echo_server", backend, &[]);
        let (proxy, addr) = Program::server("proxy", backend, &[&upstream.to_string()]);
        let descriptors = proxy.descriptors();
        let clients: Vec<(Pattern, TcpStream)> = (0..200).map(|n| (Pattern(n), connect(addr))).collect();
        for round in 0..4 {
            for (pattern, client) in &clients {
                send(client, *pattern, round * ROUND, (round + 1) * ROUND);
            }
            for (pattern, client) in &clients {
                receive(client, *pattern, round * ROUND, (round + 1) * ROUND);
            }
        }
        assert_eq!(proxy.descriptors(), descriptors + 400);
        for (n, (pattern, client)) in clients.into_iter().enumerate() {
            match n % 3 {
                0 => {
                    finish(&client);
                    receive_to_the_end(&client, pattern, 0, 0);
                }
                1 => reset(client),
                _ => drop(client),
            }
        }
        proxy.comes_to(descriptors);
        assert!(echoes(&connect(addr), "one more"));
    });
}
