//! The echo server with many clients, and with bad ones.

use crate::kit::{
    MIB, Pattern, Program, connect, echoes, ended, finish, kept_between, on_both, receive, receive_to_the_end, reset, send,
    send_until_stalled,
};
use std::io::Write;
use std::net::TcpStream;
use std::thread;

/// What is kept for a client that does not read: the high mark, and one read.
const MOST_KEPT: u64 = 65_536 + 65_536;

#[test]
fn a_thousand_clients_at_once_get_their_own_bytes_back() {
    //= READ-1, WRITE-3, EOF-2, LIFE-13
    const ROUND: u64 = 8192;
    on_both(|backend| {
        let (server, addr) = Program::server("tcp_echo_server", backend, &[]);
        let descriptors = server.descriptors();
        let clients: Vec<(Pattern, TcpStream)> = (0..1000).map(|n| (Pattern(n), connect(addr))).collect();
        server.comes_to(descriptors + 1000);
        for round in 0..4 {
            for (pattern, client) in &clients {
                send(client, *pattern, round * ROUND, (round + 1) * ROUND);
            }
            for (pattern, client) in &clients {
                receive(client, *pattern, round * ROUND, (round + 1) * ROUND);
            }
        }
        server.falls_asleep();
        for (pattern, client) in &clients {
            finish(client);
            receive_to_the_end(client, *pattern, 0, 0);
        }
        server.out.wait_for(1000, ": finished by the peer");
        server.comes_to(descriptors);
        assert_eq!(server.out.count(": "), 1000, "each is lost once");
    });
}

#[test]
fn a_thousand_clients_one_after_the_other_leave_nothing_behind() {
    //= EOF-2, LIFE-2, LIFE-13
    on_both(|backend| {
        let (server, addr) = Program::server("tcp_echo_server", backend, &[]);
        let descriptors = server.descriptors();
        for n in 0..1000 {
            let client = connect(addr);
            send(&client, Pattern(n), 0, 100);
            finish(&client);
            receive_to_the_end(&client, Pattern(n), 0, 100);
        }
        server.out.wait_for(1000, ": finished by the peer");
        server.comes_to(descriptors);
        assert_eq!(server.out.count(": "), 1000, "each is lost once");
    });
}

#[test]
fn clients_that_reset_take_nobody_with_them() {
    //= READ-13, LIFE-4, LIFE-13, LOOP-22
    on_both(|backend| {
        let (server, addr) = Program::server("tcp_echo_server", backend, &[]);
        let descriptors = server.descriptors();
        let neighbour = connect(addr);
        let mut clients: Vec<TcpStream> = (0..100).map(|_| connect(addr)).collect();
        server.comes_to(descriptors + 101);
        for (n, mut client) in clients.drain(..).enumerate() {
            // Some in the middle of a message, with its echo unread, some in silence.
            if n % 2 == 0 {
                client.write_all(&[0; 50_000]).unwrap();
            }
            reset(client);
            assert!(n % 10 != 0 || echoes(&neighbour, "still here"));
        }
        server.comes_to(descriptors + 1);
        // And some that may be gone before they are accepted.
        for _ in 0..100 {
            reset(connect(addr));
        }
        assert!(echoes(&neighbour, "still here") && echoes(&connect(addr), "new here"));
        server.comes_to(descriptors + 1);
        // Those in silence have ended with a read that failed; of the others, some with a write.
        server.out.wait_for(50, "connection reset");
        assert!(server.err.count("") == 0);
    });
}

#[test]
fn a_client_that_never_reads_costs_its_high_mark_and_one_read() {
    //= FLOW-6, FLOW-7, READ-5, READ-6, WRITE-3, READ-1
    const LEN: u64 = 64 * MIB;
    on_both(|backend| {
        let (server, addr) = Program::server("tcp_echo_server", backend, &[]);
        // What bulk costs anyway is paid before.
        let other = connect(addr);
        thread::scope(|scope| {
            scope.spawn(|| send(&other, Pattern(0), 0, 8 * MIB));
            receive(&other, Pattern(0), 0, 8 * MIB);
        });
        let resident = server.resident();

        let client = connect(addr);
        let at = send_until_stalled(&client, Pattern(1), 0, LEN);
        assert!(at < LEN, "all of it fits on the way, and nothing is shown");
        let ends = [client.local_addr().unwrap(), addr];
        let kept = kept_between(at, ends, [ends[1], ends[0]]);
        let grown = server.resident().saturating_sub(resident);
        println!("{backend}: stalled after {at} bytes, {kept} of them kept, grown by {grown}");
        // More than the low mark, or it would go on reading.
        assert!((16_385..=MOST_KEPT).contains(&kept), "{kept} bytes are kept");
        assert!(grown <= MIB, "grown by {grown} bytes");

        assert!(echoes(&other, "others are served"));
        assert!(echoes(&connect(addr), "so are new ones"));
        server.falls_asleep();
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&client, Pattern(1), at, LEN);
                finish(&client);
            });
            receive_to_the_end(&client, Pattern(1), 0, LEN);
        });
        assert!(server.resident().saturating_sub(resident) <= MIB);
    });
}

#[test]
fn a_client_that_never_reads_and_goes_leaves_nothing_behind() {
    //= READ-9, READ-10, WRITE-10, LIFE-13
    on_both(|backend| {
        let (server, addr) = Program::server("tcp_echo_server", backend, &[]);
        let descriptors = server.descriptors();
        let finished = connect(addr);
        let at = send_until_stalled(&finished, Pattern(1), 0, 64 * MIB);
        // The end cannot be seen before the bytes in front of it.
        finish(&finished);
        let gone = connect(addr);
        send_until_stalled(&gone, Pattern(2), 0, 64 * MIB);
        reset(gone);
        server.comes_to(descriptors + 1);
        server.falls_asleep();
        receive_to_the_end(&finished, Pattern(1), 0, at);
        server.comes_to(descriptors);
        assert!(ended(&finished));
    });
}
